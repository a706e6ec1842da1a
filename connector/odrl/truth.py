"""What evaluating says: three-valued truth, reason codes, the request, the world, and the decision.

A truth is True, False or an `Unknown` that says why. An Unknown has no truth value: using one in a condition raises, so
that no doubt is ever taken for a yes by accident; the engine asks `is True` and `is False`.
How a decision is reached is in `evaluate`.
Source: ODRL Formal Semantics (W3C community group draft), "Inputs", "States"; Kleene's strong three-valued logic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType


class Stage(StrEnum):
    """When in the life of a contract a question is asked; the order is the order of time, and `number` its place in it."""

    number: int

    def __init__(self, word: str) -> None:
        self.number = len(type(self).__members__)

    PUBLISH = "publish"
    CATALOG = "catalog"
    NEGOTIATE = "negotiate"
    AGREE = "agree"
    TRANSFER = "transfer"
    ONGOING = "ongoing"
    REQUEST = "request"
    AFTER = "after"


STAGE_ORDER: Mapping[Stage, int] = MappingProxyType({stage: stage.number for stage in Stage})


class Code(StrEnum):
    """Why a premise, a rule or a decision is as it is. The codes are stable: peers and tools may rely on them."""

    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    PERMITTED = "permitted"
    PROHIBITED = "prohibited"
    OVERRIDDEN = "overridden"
    # a prohibition that the conflict strategy `perm` sets aside
    CONFLICT = "conflict"
    # permission and prohibition meet under the strategy `invalid`
    NOT_PERMITTED = "not-permitted"
    # no permission covers the request (closed world)
    ACTION_DIFFERS = "action-differs"
    TARGET_DIFFERS = "target-differs"
    PARTY_DIFFERS = "party-differs"
    DUTY_OPEN = "duty-open"
    DUTY_VIOLATED = "duty-violated"
    GRANTS_NOTHING = "grants-nothing"
    # an Offer or Request asked for access: only what was agreed grants
    REPLACED = "replaced"
    # another policy is to be processed instead (isReplacedBy), and it is not at hand
    PROFILE_UNKNOWN = "profile-unknown"
    PROPERTY_UNKNOWN = "property-unknown"
    # a word that ODRL does not have stands where a condition may have been meant
    ACTION_UNKNOWN = "action-unknown"
    OPERAND_UNKNOWN = "operand-unknown"
    OPERATOR_NOT_ALLOWED = "operator-not-allowed"
    VALUE_TYPE = "value-type"
    UNIT_MISMATCH = "unit-mismatch"
    VALUE_MISSING = "value-missing"
    SOURCE_UNAVAILABLE = "source-unavailable"
    REFERENCE_UNRESOLVABLE = "reference-unresolvable"
    STAGE_DEFERRED = "stage-deferred"
    LEGAL_ONLY = "legal-only"
    LEFT_TO_PEER = "left-to-peer"
    STATE_MISSING = "state-missing"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Neither true nor false, and why."""

    code: Code
    detail: str
    needs: str = ""
    # the operand or claim that would settle it

    @property
    def is_soft(self) -> bool:
        """True when the doubt is in order for now: another stage, or the law, sees to it. It is listed, never dropped."""
        return self.code in (Code.STAGE_DEFERRED, Code.LEGAL_ONLY, Code.LEFT_TO_PEER)

    def __bool__(self) -> bool:
        raise TypeError("an unknown has no truth value; ask `is True` or `is False`")


Truth = bool | Unknown


class State(StrEnum):
    """The satisfaction state of a premise as reports spell it."""

    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    UNKNOWN = "unknown"


class Effect(StrEnum):
    """What a decision comes to. Only `permit` lets anything happen; `void` is a policy that contradicts itself or is replaced."""

    PERMIT = "permit"
    DENY = "deny"
    VOID = "void"


class DutyMode(StrEnum):
    """When an active duty blocks its permission: until it is fulfilled (default), or only once it is violated."""

    REQUIRE_FULFILLED = "require-fulfilled"
    UNLESS_VIOLATED = "unless-violated"


class DutyState(StrEnum):
    PENDING = "pending"
    FULFILLED = "fulfilled"
    VIOLATED = "violated"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit, such as 2 GB."""

    amount: Decimal
    unit: str


Fact = str | int | float | bool | datetime | Quantity | tuple[object, ...] | list[object] | frozenset[object]
"""A value of the world: one, or several in a collection. Anything else is answered with `value-type`."""

NOTHING: Mapping[str, object] = MappingProxyType({})
NO_WORDS: Mapping[str, str] = MappingProxyType({})
NO_PARTS: Mapping[str, frozenset[str]] = MappingProxyType({})
NO_DUTIES: Mapping[str, DutyState] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """What lies in what, for isA, isPartOf and hasPart: each value with its direct parents."""

    parents: Mapping[str, tuple[str, ...]]


NO_TAXONOMIES: Mapping[str, Taxonomy] = MappingProxyType({})
NO_PROPERTIES: Mapping[str, Mapping[str, object]] = MappingProxyType({})
NOT_PAID: Mapping[str, Decimal] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a rule was used in the last period in which it was."""

    began: datetime
    # when that period began
    count: int = 0
    # uses in it, those included that are being asked for
    anew: int = 0
    # uses that a later period begins with: what is being asked for, and nothing else

    def __post_init__(self) -> None:
        _zoned(self.began)


NO_RATES: Mapping[str, Rate] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is on record of the use of one rule. The defaults say: nothing yet. Without a record there is no `Usage`."""

    count: int = 0
    # executions of the rule's action; whoever reserves one counts it in before asking
    metered: timedelta = timedelta(0)
    # time of use, added up
    running: tuple[datetime, ...] = ()
    # since when each use that runs now is not added up yet: time of use grows by itself meanwhile
    first_used_at: datetime | None = None
    last_used_at: datetime | None = None
    triggered_at: datetime | None = None
    # when the wait of `delayPeriod` began
    paid: Mapping[str, Decimal] = field(default_factory=lambda: NOT_PAID)
    # by currency
    rates: Mapping[str, Rate] = field(default_factory=lambda: NO_RATES)
    # by the key of the periods in which uses are counted anew (`cycles.Cycle`)
    values: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    # of operands that a profile takes from the ledger, by operand name

    def __post_init__(self) -> None:
        _zoned(self.first_used_at, self.last_used_at, self.triggered_at, *self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """When an event was; None: it has not begun, or not ended, yet."""

    began: datetime | None = None
    ended: datetime | None = None

    def __post_init__(self) -> None:
        _zoned(self.began, self.ended)


def _zoned(*moments: datetime | None) -> None:
    if any(moment is not None and moment.tzinfo is None for moment in moments):
        raise ValueError("a moment of the ledger needs a time zone")


NO_USAGES: Mapping[str, Usage] = MappingProxyType({})
NO_EVENTS: Mapping[str, Period] = MappingProxyType({})
NO_HISTORY: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """What the usage ledger knows at the moment of a decision, about one agreement and one party. What is absent is not known."""

    usages: Mapping[str, Usage] = field(default_factory=lambda: NO_USAGES)
    # by rule key (`expand.rule_key`)
    total: Usage | None = None
    # for rules without a record of their own
    events: Mapping[str, Period] = field(default_factory=lambda: NO_EVENTS)
    # by IRI of the event
    became_true: Mapping[str, datetime] = field(default_factory=lambda: NO_HISTORY)
    # when a constraint first held, by its identifier or path: the order that `andSequence` asks for

    def usage(self, rule: str) -> Usage | None:
        """The record of a rule; None when nobody keeps one."""
        return self.usages.get(rule, self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: may `party` perform `action` on `target`."""

    action: str = "use"
    target: str | None = None
    # None: about whatever the policy is about
    party: str | None = None
    params: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    # what the request says of itself by operand name, such as `purpose`


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is known besides the request. `now` is aware; what is not given is not known."""

    now: datetime
    claims: Mapping[str, object] = field(default_factory=lambda: NOTHING)
    # verified statements about the requesting party, by claim name
    memberships: Mapping[str, frozenset[str]] = field(default_factory=lambda: NO_PARTS)
    # collections that an asset or party belongs to (odrl:partOf), transitive ones included
    taxonomies: Mapping[str, Taxonomy] = field(default_factory=lambda: NO_TAXONOMIES)
    # by left operand; added to those that the vocabulary carries
    agreed_at: datetime | None = None
    # when the agreement was made; operands relative to it need it
    duties: Mapping[str, DutyState] = field(default_factory=lambda: NO_DUTIES)
    # by duty key (`expand.duty_key`); what is not listed is pending
    properties: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: NO_PROPERTIES)
    # proven properties of assets and parties, by identifier and left operand; refinements pick members by them
    ledger: LedgerView | None = None
    # None: nobody keeps a record of use


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One premise, or one verdict about a rule, and how it came out."""

    code: Code
    state: State
    where: str
    # path of the rule or constraint in the policy
    rule: str = ""
    # path of the rule that the premise belongs to
    part: str = "rule"
    # rule, action, target, party, constraint, refinement, times, duty, profile, policy
    operand: str = ""
    label: str = ""
    # the operand's short name, for readers
    text: Mapping[str, str] = field(default_factory=lambda: NO_WORDS, compare=False, repr=False)
    # what it is called in other languages, by language
    operator: str = ""
    right: tuple[str, ...] = ()
    value: tuple[str, ...] | None = None
    # what the left operand was at the time; None when it was not known
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A constraint that was not judged now: `until` names the stage that will, None when only the law does."""

    code: Code
    where: str
    operand: str
    until: Stage | None
    detail: str
    label: str = ""
    # the operand's short name, for readers
    text: Mapping[str, str] = field(default_factory=lambda: NO_WORDS, compare=False, repr=False)
    # what it is called in other languages, by language


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyDue:
    """A duty that goes with the decision and how it stands."""

    key: str
    action: str
    state: DutyState
    where: str
    is_blocking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something whose knowledge would let a doubtful premise be judged."""

    operand: str
    how: str
    label: str = ""
    # the short name, for readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to a request: the effect and everything that explains it."""

    effect: Effect
    stage: Stage
    policy: str | None = None
    # the policy's uid
    rule: str = ""
    # path of the permission that grants, or of the rule that refuses
    reasons: tuple[Reason, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    duties: tuple[DutyDue, ...] = ()
    missing: tuple[Missing, ...] = ()
    valid_until: datetime | None = None
    # the first instant at which the effect can change by the clock alone; None when it cannot

    @property
    def is_permitted(self) -> bool:
        return self.effect is Effect.PERMIT
