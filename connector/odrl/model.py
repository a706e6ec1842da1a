"""What an ODRL policy is: frozen values for every class of the Information Model.

Terms of the ODRL vocabulary are held by their short name (`use`, `dateTime`, `isAnyOf`), whatever the spelling they were
read from; terms of other vocabularies as full IRIs, or verbatim when they came as bare words. What a term *means* is the
business of `vocabulary`. A value keeps the lexical form that was written: `operands` gives it a type.
How policies are read, written and judged is not here.
Source: ODRL Information Model 2.2, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

ODRL = "http://www.w3.org/ns/odrl/2/"
XSD = "http://www.w3.org/2001/XMLSchema#"


class PolicyType(StrEnum):
    """The policy classes of ODRL; a profile may add others, so `Policy.type` is a plain string."""

    SET = "Set"
    OFFER = "Offer"
    AGREEMENT = "Agreement"
    REQUEST = "Request"
    TICKET = "Ticket"
    ASSERTION = "Assertion"
    PRIVACY = "Privacy"


class Conflict(StrEnum):
    """Who wins when a permission and a prohibition meet (Information Model 2.10); `invalid` voids the policy."""

    PERM = "perm"
    PROHIBIT = "prohibit"
    INVALID = "invalid"


class Operator(StrEnum):
    """The 12 relational operators."""

    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTEQ = "lteq"
    GT = "gt"
    GTEQ = "gteq"
    IS_A = "isA"
    IS_ANY_OF = "isAnyOf"
    IS_ALL_OF = "isAllOf"
    IS_NONE_OF = "isNoneOf"
    IS_PART_OF = "isPartOf"
    HAS_PART = "hasPart"


class LogicalOperand(StrEnum):
    """How the members of a logical constraint are joined."""

    AND = "and"
    OR = "or"
    XONE = "xone"
    AND_SEQUENCE = "andSequence"


class DutyRole(StrEnum):
    """The four places in which a duty stands; the class is one."""

    OBLIGATION = "obligation"
    CONDITION = "duty"
    REMEDY = "remedy"
    CONSEQUENCE = "consequence"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """Something to say about a policy: what, where, and how to mend it."""

    code: str
    severity: Severity
    where: str
    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A right operand, a unit or a status as it was written."""

    text: str
    datatype: str | None = None
    # full IRI; None for plain strings and IRIs
    language: str | None = None
    is_iri: bool = False


Extra = tuple[tuple[str, str], ...]
"""Properties that ODRL does not know: (name, JSON text), sorted by name. They are kept and written back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One comparison of a left operand with a right operand (Information Model 2.5.1)."""

    left: str
    operator: Operator
    right: tuple[Value, ...] = ()
    # several values only with set-based operators
    right_references: tuple[str, ...] = ()
    # IRIs to be dereferenced instead of `right`
    uid: str | None = None
    unit: Value | None = None
    datatype: str | None = None
    status: Value | None = None
    # the value accumulated so far
    extra: Extra = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalConstraint:
    """Constraints joined by one logical operand (Information Model 2.5.2); members may be logical themselves."""

    operand: LogicalOperand
    members: tuple[AnyConstraint, ...]
    # in written order, which matters for andSequence only
    uid: str | None = None
    extra: Extra = ()
    where: str = field(default="", compare=False)


AnyConstraint = Constraint | LogicalConstraint


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRef:
    """An action, narrowed by refinements (Information Model 2.4)."""

    name: str
    uid: str | None = None
    refinements: tuple[AnyConstraint, ...] = ()
    extra: Extra = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRef:
    """An asset or asset collection (Information Model 2.2): `uid`, or `source` with refinements that pick members."""

    uid: str | None = None
    source: str | None = None
    is_collection: bool = False
    refinements: tuple[AnyConstraint, ...] = ()
    part_of: tuple[str, ...] = ()
    extra: Extra = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRef:
    """A party or party collection (Information Model 2.3): `uid`, or `source` with refinements that pick members."""

    uid: str | None = None
    source: str | None = None
    is_collection: bool = False
    refinements: tuple[AnyConstraint, ...] = ()
    part_of: tuple[str, ...] = ()
    extra: Extra = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFunction:
    """A party in a function other than assigner and assignee, such as `informedParty`."""

    name: str
    party: PartyRef


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRelation:
    """An asset in a relation other than target, such as `output`."""

    name: str
    asset: AssetRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What rules and whole policies have in common: actions, assets and parties, several of each in compact form."""

    uid: str | None = None
    actions: tuple[ActionRef, ...] = ()
    targets: tuple[AssetRef, ...] = ()
    assigners: tuple[PartyRef, ...] = ()
    assignees: tuple[PartyRef, ...] = ()
    functions: tuple[PartyFunction, ...] = ()
    relations: tuple[AssetRelation, ...] = ()
    extra: Extra = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty(Shared):
    """An action that must be performed (Information Model 2.6.3); what follows when it is not are its `consequences`."""

    role: DutyRole = DutyRole.OBLIGATION
    constraints: tuple[AnyConstraint, ...] = ()
    consequences: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission(Shared):
    """An action that may be performed when constraints hold and duties are fulfilled (Information Model 2.6.1)."""

    constraints: tuple[AnyConstraint, ...] = ()
    duties: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prohibition(Shared):
    """An action that must not be performed while constraints hold (Information Model 2.6.2)."""

    constraints: tuple[AnyConstraint, ...] = ()
    remedies: tuple[Duty, ...] = ()


Rule = Permission | Prohibition | Duty


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Shared):
    """A group of rules (Information Model 2.1); its own actions, assets and parties hold for each rule without its own."""

    type: str = PolicyType.SET
    permissions: tuple[Permission, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    obligations: tuple[Duty, ...] = ()
    profiles: tuple[str, ...] = ()
    inherit_from: tuple[str, ...] = ()
    replaced_by: tuple[str, ...] = ()
    # policies to be processed instead; this one is void (Information Model 2.8, dct:isReplacedBy)
    conflicts: tuple[Conflict, ...] = ()
    # none means `invalid`; several arise from inheritance
    timestamp: str | None = None
    # when an agreement was made (DSP 2025-1, Contract Negotiation Protocol)
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def has_rules(self) -> bool:
        """False for a policy that neither permits, prohibits nor obliges: nothing is permitted by it."""
        return bool(self.permissions or self.prohibitions or self.obligations)

    @property
    def target(self) -> str | None:
        """The one asset that the whole policy is about, when it names exactly one."""
        return self.targets[0].uid if len(self.targets) == 1 else None

    @property
    def assigner(self) -> str | None:
        """The one party that issues the policy, when it names exactly one."""
        return self.assigners[0].uid if len(self.assigners) == 1 else None

    @property
    def assignee(self) -> str | None:
        """The one party that the policy is for, when it names exactly one."""
        return self.assignees[0].uid if len(self.assignees) == 1 else None
