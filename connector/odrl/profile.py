"""What a profile lets a policy say: which rules, with which actions, operands, joins and parts; and what of a policy does not fit.

The words that a profile adds are in `vocabulary`, from the same file. Here is the part that ODRL has no terms for (our format):

    profile, name, version, text{language}
    says.types[]       policy classes; none: any
    says.rules[]       {rule: permission | prohibition | obligation, actions[], operands[], joins[], least, most};
                       a rule fits when one of these lets it; no `rules`: any rule
    says.parts         part -> yes | warning; a part that is not named is an error
    says.exclusive[][] operands of which a rule has one at most

Parts: and, or, xone, andSequence, duty, remedy, consequence, refinement, collection, function, relation, reference, unit,
datatype, status, conflict, inheritance, rule-target, rule-party, several-actions, several-targets, several-parties, obligation.
Source: ODRL Information Model 2.2, section 3 (profiles); DSP 2025-1, `contract-schema.json`; cx-odrl-profile 2025-09, schemas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from connector.errors import ConfigurationError
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Diagnostic,
    Duty,
    LogicalConstraint,
    PartyRef,
    Permission,
    Policy,
    Prohibition,
    Rule,
    Severity,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import Hints, nearest
from connector.odrl.truth import Code, Unknown
from connector.odrl.vocabulary import Vocabulary

_KINDS = ("permission", "prohibition", "obligation")
PARTS = frozenset({
    "and", "or", "xone", "andSequence", "duty", "remedy", "consequence", "refinement", "collection", "function", "relation",
    "reference", "unit", "datatype", "status", "conflict", "inheritance", "rule-target", "rule-party", "several-actions",
    "several-targets", "several-parties", "obligation-only",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One kind of rule that a profile lets a policy have."""

    rule: str
    actions: frozenset[str]
    operands: frozenset[str] | None = None
    # None: any
    least: int = 0
    most: int | None = None
    # constraints, those in joins counted one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What policies under a profile may say."""

    iri: str
    name: str
    version: str = ""
    text: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    # what the profile is, by language
    types: frozenset[str] = frozenset()
    rules: tuple[Saying, ...] = ()
    parts: Mapping[str, Severity | None] | None = None
    # by part: how wrong it is, None for not at all; without the table all parts are in order
    exclusive: tuple[frozenset[str], ...] = ()


def load(tree: Mapping[str, Any], vocabulary: Vocabulary) -> Profile:
    """The profile that parsed data tells; its operands and actions must be in `vocabulary`.

    Raises: ConfigurationError naming the entry that means nothing.
    """
    name = str(tree.get("name") or tree["profile"])
    says: Mapping[str, Any] = tree.get("says", {})

    def operand(word: str) -> str:
        found = vocabulary.operand(word)
        if found is None:
            raise ConfigurationError(f"unknown operand `{word}`", where=name, mend=vocabulary.hint_operand(word))
        return found.name

    def action(word: str) -> str:
        found = vocabulary.action(word)
        if found is None:
            raise ConfigurationError(f"unknown action `{word}`", where=name, mend=vocabulary.hint_action(word))
        return found.name

    def saying(row: Mapping[str, Any]) -> Saying:
        if row.get("rule") not in _KINDS:
            raise ConfigurationError(f"unknown rule `{row.get('rule')}`", where=name, mend=nearest("", _KINDS))
        operands = row.get("operands")
        return Saying(
            rule=row["rule"],
            actions=frozenset(map(action, row["actions"])),
            operands=None if operands is None else frozenset(map(operand, operands)),
            least=row.get("least", 0),
            most=row.get("most"),
        )

    parts = says.get("parts")
    for part in parts or ():
        if part not in PARTS:
            raise ConfigurationError(f"unknown part `{part}`", where=name, mend=nearest(part, PARTS))
    return Profile(
        iri=str(tree["profile"]),
        name=name,
        version=str(tree.get("version", "")),
        text=MappingProxyType(dict(tree.get("text", {}))),
        types=frozenset(says.get("types", ())),
        rules=tuple(map(saying, says.get("rules", ()))),
        parts=None if parts is None else {part: Severity.WARNING if how == "warning" else None for part, how in parts.items()},
        exclusive=tuple(frozenset(map(operand, group)) for group in says.get("exclusive", ())),
    )


def check(policy: Policy, profile: Profile, vocabulary: Vocabulary) -> tuple[Diagnostic, ...]:
    """What of a policy is not what the profile lets it say; errors cannot stand, warnings should be read."""
    return tuple(_Check(profile, vocabulary).policy(policy))


class _Check:
    def __init__(self, profile: Profile, vocabulary: Vocabulary) -> None:
        self.profile = profile
        self.vocabulary = vocabulary
        self.hints = Hints()
        # what a rule or duty without an action of its own does
        self.shared: tuple[ActionRef, ...] = ()

    def error(self, code: str, where: str, what: str, mend: str) -> Diagnostic:
        return Diagnostic(code=code, severity=Severity.ERROR, where=where, what=what, mend=mend)

    def part(self, part: str, where: str, what: str) -> Iterator[Diagnostic]:
        """What the profile says to a part of ODRL that the policy uses."""
        parts = self.profile.parts
        severity = None if parts is None else parts.get(part, Severity.ERROR)
        if severity is not None:
            mend = "say it in another way, or agree on it outside the policy"
            yield Diagnostic(
                code="not-in-profile", severity=severity, where=where, what=f"`{self.profile.name}` has no {what}", mend=mend
            )

    def policy(self, policy: Policy) -> Iterator[Diagnostic]:
        self.shared = policy.actions
        types = self.profile.types
        if types and policy.type not in types:
            mend = f"make it {', '.join(sorted(types))}"
            yield self.error("type-differs", policy.where, f"a policy of type `{policy.type}`", mend)
        if not policy.permissions and not policy.prohibitions:
            yield from self.part("obligation-only", policy.where, "policy without permission and prohibition")
        if policy.conflicts and "invalid" not in policy.conflicts:
            yield from self.part("conflict", policy.where, "conflict strategy")
        if policy.inherit_from:
            yield from self.part("inheritance", policy.where, "inheritance")
        if policy.functions:
            yield from self.part("function", policy.where, "party functions besides assigner and assignee")
        if policy.relations:
            yield from self.part("relation", policy.where, "relations besides target")
        if len(policy.targets) > 1:
            yield from self.part("several-targets", policy.where, "policy about several targets")
        if len(policy.assigners) > 1 or len(policy.assignees) > 1:
            yield from self.part("several-parties", policy.where, "policy with several assigners or assignees")
        yield from self.references(policy)
        named = (("permission", policy.permissions), ("prohibition", policy.prohibitions), ("obligation", policy.obligations))
        for kind, rules in named:
            for rule in rules:
                yield from self.rule(kind, rule)

    def references(self, holder: Rule | Policy) -> Iterator[Diagnostic]:
        named: tuple[AssetRef | PartyRef, ...] = (*holder.targets, *holder.assigners, *holder.assignees)
        for reference in named:
            if reference.is_collection or reference.refinements or reference.uid is None:
                yield from self.part("collection", reference.where or holder.where, "collections")
            yield from self.values(reference.refinements)

    def rule(self, kind: str, rule: Rule) -> Iterator[Diagnostic]:
        actions = rule.actions or self.shared
        yield from self.features(rule, actions)
        yield from self.values(rule.constraints)
        yield from self.legal(rule.constraints)
        leaves = list(_leaves(rule.constraints))
        found = {operand.name for leaf in leaves if (operand := self.vocabulary.operand(leaf.left)) is not None}
        for group in self.profile.exclusive:
            if len(found & group) > 1:
                names = ", ".join(f"`{self.short(name)}`" for name in sorted(found & group))
                yield self.error("exclusive", rule.where, f"{names} exclude each other", "keep one")
        if self.profile.rules:
            yield from self.saying(kind, rule, actions, leaves)

    def saying(self, kind: str, rule: Rule, actions: tuple[ActionRef, ...], leaves: list[Constraint]) -> Iterator[Diagnostic]:
        """The complaint of the kind of rule that fits best."""
        names = {found.name if (found := self.vocabulary.action(one.name)) else one.name for one in actions}
        of_kind = [saying for saying in self.profile.rules if saying.rule == kind]
        fitting = [saying for saying in of_kind if names <= saying.actions]
        if not fitting:
            known = sorted({self.spelled(action) for saying in of_kind for action in saying.actions})
            what = f"a {kind} of `{', '.join(sorted(names)) or 'no action'}`"
            mend = (
                self.hints.of(lambda word: nearest(word, known, 6), next(iter(names), ""))
                if known
                else f"the profile has no {kind}"
            )
            yield self.error("not-in-profile", rule.where, what, mend)
            return
        yield from min((list(self.within(saying, rule, leaves)) for saying in fitting), key=len)

    def within(self, saying: Saying, rule: Rule, leaves: list[Constraint]) -> Iterator[Diagnostic]:
        known = saying.operands or ()
        for leaf in leaves:
            operand = self.vocabulary.operand(leaf.left)
            if operand is not None and saying.operands is not None and operand.name not in saying.operands:
                what = f"`{operand.short}` in a {saying.rule} of `{self.spelled(min(saying.actions))}`"
                mend = self.hints.of(lambda word: nearest(word, map(self.short, known), 5), operand.short)
                yield self.error("not-in-profile", leaf.where, what, mend)
        if len(leaves) < saying.least:
            mend = f"name at least {saying.least}"
            yield self.error("too-few", rule.where, f"{len(leaves)} constraints in a {saying.rule}", mend)
        if saying.most is not None and len(leaves) > saying.most:
            yield self.error("too-many", rule.where, f"{len(leaves)} constraints in a {saying.rule}", f"keep {saying.most}")

    def features(self, rule: Rule, actions: tuple[ActionRef, ...]) -> Iterator[Diagnostic]:
        """The parts of ODRL that a rule uses."""
        where = rule.where
        if len(actions) != 1:
            yield from self.part("several-actions", where, f"rule with {len(actions)} actions")
        for action in actions:
            if self.vocabulary.action(action.name) is None:
                mend = self.hints.of(self.vocabulary.hint_action, action.name)
                yield self.error(Code.ACTION_UNKNOWN, action.where or where, f"unknown action `{action.name[:60]}`", mend)
            if action.refinements or action.uid:
                yield from self.part("refinement", action.where or where, "refined actions")
            yield from self.values(action.refinements)
        if rule.targets:
            yield from self.part("rule-target", where, "target of a single rule")
        if rule.assigners or rule.assignees:
            yield from self.part("rule-party", where, "parties of a single rule")
        if rule.functions:
            yield from self.part("function", where, "party functions besides assigner and assignee")
        if rule.relations:
            yield from self.part("relation", where, "relations besides target")
        yield from self.references(rule)
        for duty in _duties(rule):
            yield from self.part(duty.role.value, duty.where or where, f"rule with a {duty.role}")
            yield from self.features(duty, duty.actions or self.shared)
            yield from self.values(duty.constraints)

    def values(self, constraints: Iterable[AnyConstraint]) -> Iterator[Diagnostic]:
        """What is wrong with constraints by themselves, and the parts of ODRL that they use."""
        for one in constraints:
            if isinstance(one, LogicalConstraint):
                yield from self.part(one.operand.value, one.where, f"`{one.operand}`")
                yield from self.values(one.members)
                continue
            flags = (
                ("reference", one.right_references),
                ("unit", one.unit),
                ("datatype", one.datatype),
                ("status", one.status),
            )
            for part, there in flags:
                if there:
                    yield from self.part(part, one.where, f"constraint with a {part}")
            operand = self.vocabulary.operand(one.left)
            if operand is None:
                mend = self.hints.of(self.vocabulary.hint_operand, one.left)
                yield self.error(Code.OPERAND_UNKNOWN, one.where, f"unknown left operand `{one.left[:60]}`", mend)
                continue
            right = right_side(one, operand)
            if isinstance(right, Unknown) and right.code is not Code.REFERENCE_UNRESOLVABLE:
                yield self.error(right.code, one.where, right.detail, operand.text.get("en", ""))

    def legal(self, constraints: Iterable[AnyConstraint]) -> Iterator[Diagnostic]:
        for leaf in _leaves(constraints):
            operand = self.vocabulary.operand(leaf.left)
            if operand is not None and operand.is_legal_only:
                what = f"`{operand.short}` is agreed, and no machine enforces it"
                yield Diagnostic(
                    code=Code.LEGAL_ONLY, severity=Severity.WARNING, where=leaf.where, what=what, mend="see to it by contract"
                )

    def short(self, name: str) -> str:
        operand = self.vocabulary.operand(name)
        return operand.short if operand else name

    def spelled(self, action: str) -> str:
        known = self.vocabulary.action(action)
        return known.label if known and ":" in action and known.label else action


def _leaves(constraints: Iterable[AnyConstraint]) -> Iterator[Constraint]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield from _leaves(one.members)
        else:
            yield one


def _duties(rule: Rule) -> tuple[Duty, ...]:
    if isinstance(rule, Permission):
        return rule.duties
    return rule.remedies if isinstance(rule, Prohibition) else rule.consequences
