"""Who will see to it: for each clause of a policy, when and by whom it is enforced, before anybody agrees to it.

    now         at each negotiation, before there is an agreement
    transfer    when a transfer starts
    running     again with each request for data, and while data flows
    consumer    by the consumer's connector, or by the consumer itself with a record of it
    legal-only  agreed, and not technically enforced
    nobody      nobody knows the value that it asks for: it could never be judged

Pure: who can enforce what is an argument. Judging itself is in `evaluate`; what a policy means in `vocabulary`.
Source: ODRL Information Model 2.2, section 2.5; the stages are ours (`truth.Stage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from connector.odrl.cycles import FREQUENCY
from connector.odrl.expand import torn
from connector.odrl.ledger import KEPT, NO_PERIOD, period_of
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Rule,
    Shared,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import PROPERTIES, Hints, nearest, stranger, term
from connector.odrl.truth import STAGE_ORDER, Stage, Unknown
from connector.odrl.units import is_recorded
from connector.odrl.vocabulary import Operand, Source, SourceKind, ValueType, Vocabulary

SUPPLIED = frozenset({"purpose", "deliveryChannel"})
"""What a connector knows of a request by itself, besides party, claims, clock and ledger."""
_USE = "use"
_TYPES = frozenset(PolicyType)
_BEFORE, _RUNNING = (Stage.CATALOG, Stage.NEGOTIATE, Stage.AGREE), (Stage.ONGOING, Stage.REQUEST)


class Enforcement(StrEnum):
    """When, or by whom, a clause is enforced; the order is the order of the report."""

    NOW = "now"
    TRANSFER = "transfer"
    RUNNING = "running"
    CONSUMER = "consumer"
    LEGAL_ONLY = "legal-only"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcers:
    """Who can enforce what."""

    request: frozenset[str] = SUPPLIED
    # operands whose value this node knows of each request
    consumer: frozenset[str] = frozenset()
    # operands that the consumers' connectors judge
    legal_only: frozenset[str] = frozenset()
    # operands that are left to the law


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause of a policy and who sees to it."""

    where: str
    kind: str
    # constraint, refinement, condition (a duty before use), obligation, or rule (what is forbidden by its action)
    text: str
    # in the policy's own words, such as `count lteq 10`
    enforced: tuple[Enforcement, ...]
    why: str = ""
    operand: str = ""

    @property
    def is_open(self) -> bool:
        """True when nobody sees to it, not even the law."""
        return self.enforced == (Enforcement.NOBODY,)


def enforceability(policy: Policy, vocabulary: Vocabulary, enforcers: Enforcers) -> tuple[Clause, ...]:
    """Every clause of `policy` with who sees to it, in written order. Nothing is left out."""
    words = _Words(vocabulary)
    found = tuple(_clauses(policy, words, enforcers))
    if not words.hints.more:
        return found
    rest = f"{words.hints.more} more, of which no like ones were looked for"
    return (*found, Clause(where=policy.where, kind="rule", text="unknown words", enforced=(Enforcement.NOBODY,), why=rest))


class _Words:
    """The vocabulary, with hints for the first few of the words that it does not know."""

    __slots__ = ("hints", "vocabulary")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.hints = Hints()

    def hint(self, find: Callable[[str], str], word: str) -> str:
        return self.hints.behind(find, word)

    def profile(self, word: str) -> str:
        return nearest(word, self.vocabulary.profiles)


def _property(word: str) -> str:
    return nearest(word, PROPERTIES)


def _type(word: str) -> str:
    return nearest(word, _TYPES)


def _clauses(policy: Policy, words: _Words, enforcers: Enforcers) -> Iterator[Clause]:
    yield from _unread(policy, words)
    yield from _unknown(policy, words)
    # in compact form, what a policy says of actions, assets and parties is a condition of all its rules
    yield from (_constraint(one, "refinement", words, enforcers) for one in _refined(policy))
    rules: list[Permission | Prohibition] = [*policy.permissions, *policy.prohibitions]
    for rule in rules:
        yield from _unread(rule, words)
        if isinstance(rule, Prohibition):
            yield from _forbidden(rule, policy, words)
        yield from (_constraint(one, "constraint", words, enforcers) for one in _leaves(rule.constraints))
        yield from _orders(rule)
        yield from (_constraint(one, "refinement", words, enforcers) for one in _refined(rule))
        for duty in rule.duties if isinstance(rule, Permission) else rule.remedies:
            yield from _duties(duty, words, enforcers, Enforcement.TRANSFER, Enforcement.RUNNING)
    for duty in policy.obligations:
        yield from _duties(duty, words, enforcers, Enforcement.CONSUMER)


def _unread(holder: Shared, words: _Words) -> Iterator[Clause]:
    """Every word at `holder`, its parts and its groups of constraints that ODRL does not have: a condition may have been meant,
    and nobody judges it. What constraints themselves say is told with the constraint."""
    for part in _nodes(holder):
        name = stranger(part.extra)
        if name is not None:
            why = f"ODRL has no such property{words.hint(_property, name)}"
            where = part.where or holder.where
            yield Clause(where=where, kind="rule", text=name[:80], enforced=(Enforcement.NOBODY,), why=why)


def _unknown(policy: Policy, words: _Words) -> Iterator[Clause]:
    """What makes the policy as a whole, or a permission of it, one that nobody can judge, so that nothing comes of it."""
    for profile in policy.profiles:
        if profile not in words.vocabulary.profiles:
            why = f"unknown profile{words.hint(words.profile, profile)}"
            where = f"{policy.where}.profile"
            yield Clause(where=where, kind="rule", text=f"profile {profile}", enforced=(Enforcement.NOBODY,), why=why)
    if (name := torn(policy)) is not None:
        text = f"duty {name[:80]}"
        yield Clause(
            where=policy.where, kind="rule", text=text, enforced=(Enforcement.NOBODY,), why="it names two different duties"
        )
    if policy.type not in _TYPES:
        why = f"ODRL has no such policies{words.hint(_type, policy.type)}"
        yield Clause(where=policy.where, kind="rule", text=f"type {policy.type[:80]}", enforced=(Enforcement.NOBODY,), why=why)
    for holder in (policy, *policy.permissions):
        for action in holder.actions:
            if words.vocabulary.action(action.name) is None:
                why = f"unknown action `{action.name[:80]}`{words.hint(words.vocabulary.hint_action, action.name)}"
                where = action.where or holder.where
                yield Clause(where=where, kind="rule", text=f"action {action.name}", enforced=(Enforcement.NOBODY,), why=why)


def _forbidden(rule: Prohibition, policy: Policy, words: _Words) -> Iterator[Clause]:
    """What is forbidden besides the use that the connector serves happens where no connector looks."""
    for action in rule.actions or policy.actions:
        known = words.vocabulary.action(action.name)
        if known is None:
            why = f"unknown action `{action.name[:80]}`{words.hint(words.vocabulary.hint_action, action.name)}"
            yield Clause(where=rule.where, kind="rule", text=f"forbid {action.name}", enforced=(Enforcement.NOBODY,), why=why)
        elif known.name not in words.vocabulary.forbidden_by[_USE]:
            why = "what is done with the data after delivery is a matter of the contract"
            text = f"forbid {known.name}"
            yield Clause(where=rule.where, kind="rule", text=text, enforced=(Enforcement.LEGAL_ONLY,), why=why)


def _orders(rule: Rule) -> Iterator[Clause]:
    """Each order that an `andSequence` asks for: its members are judged, and no record of a node tells when each first held."""
    for group in _groups(rule.constraints):
        if group.operand is LogicalOperand.AND_SEQUENCE:
            text = f"the order of {', '.join(one.left for one in _leaves(group.members))}"
            why = "no record tells when each began to hold; it is judged as `and`"
            yield Clause(where=group.where, kind="constraint", text=text, enforced=(Enforcement.LEGAL_ONLY,), why=why)


def _duties(duty: Duty, words: _Words, enforcers: Enforcers, *when: Enforcement) -> Iterator[Clause]:
    """A duty, what is misspelt about it, and what follows when it is violated."""
    yield from _unread(duty, words)
    yield _duty(duty, words, enforcers, *when)
    yield from _orders(duty)
    for consequence in duty.consequences:
        yield from _duties(consequence, words, enforcers, *when)


def _duty(duty: Duty, words: _Words, enforcers: Enforcers, *when: Enforcement) -> Clause:
    """A duty: a condition keeps data from flowing until it is on record; an obligation is kept on record with its deadline."""
    actions = [action.name for action in duty.actions]
    kind = "obligation" if Enforcement.CONSUMER in when else "condition"
    text = " and ".join(actions) or "act"
    unknown = next((name for name in actions if words.vocabulary.action(name) is None), None)
    if unknown is not None:
        why = f"unknown action `{unknown[:80]}`{words.hint(words.vocabulary.hint_action, unknown)}"
        return Clause(where=duty.where, kind=kind, text=text, enforced=(Enforcement.NOBODY,), why=why)
    for one in (*_leaves(duty.constraints), *_refined(duty)):
        found = _constraint(one, kind, words, enforcers)
        if found.is_open:
            return replace(found, text=f"{text}: {found.text}")
    why = (
        "kept on record: done, waived, or violated at its deadline" if kind == "obligation" else "until it is on record as done"
    )
    return Clause(where=duty.where, kind=kind, text=text, enforced=when, why=why)


def _constraint(constraint: Constraint, kind: str, words: _Words, enforcers: Enforcers) -> Clause:
    operand = words.vocabulary.operand(constraint.left)
    enforced, why = _seen_to(constraint, operand, words, enforcers)
    right = ", ".join(value.text for value in constraint.right) or ", ".join(constraint.right_references)
    name = operand.short if operand is not None else constraint.left
    text = f"{name} {constraint.operator.value} {right}"
    return Clause(where=constraint.where, kind=kind, text=text, enforced=enforced, why=why, operand=name)


def _seen_to(
    constraint: Constraint, operand: Operand | None, words: _Words, enforcers: Enforcers
) -> tuple[tuple[Enforcement, ...], str]:
    names = {constraint.left} | ({operand.name, operand.short, *operand.aliases} if operand is not None else set())
    if names & enforcers.legal_only:
        return (Enforcement.LEGAL_ONLY,), "marked so"
    if operand is None:
        what = f"unknown left operand `{constraint.left[:80]}`{words.hint(words.vocabulary.hint_operand, constraint.left)}"
        return (Enforcement.NOBODY,), what
    right = right_side(constraint, operand)
    if isinstance(right, Unknown):
        return (Enforcement.NOBODY,), right.detail
    if name := stranger(constraint.extra):
        return (Enforcement.NOBODY,), f"ODRL has no property `{name[:80]}`"
    if operand.name == "payAmount" and (constraint.unit is None or not is_recorded(term(constraint.unit.text))):
        return (Enforcement.NOBODY,), "it is not in a currency, such as `EUR`, so it can never be paid"
    if operand.on_record == FREQUENCY and period_of(constraint) is None:
        return (Enforcement.NOBODY,), NO_PERIOD
    if operand.is_legal_only:
        return (Enforcement.LEGAL_ONLY,), "a clause of the contract that no machine judges"
    if names & enforcers.consumer:
        return (Enforcement.CONSUMER,), "the consumer's connector knows it"
    if all(source.kind is SourceKind.REQUEST and not names & enforcers.request for source in operand.sources):
        why = f"nobody tells the connector `{operand.short}`"
        return (Enforcement.NOBODY,), why
    if all(source.kind is SourceKind.LEDGER for source in operand.sources) and operand.on_record not in KEPT:
        return (Enforcement.NOBODY,), f"the record of use does not tell `{operand.short}`"
    return _stages(operand), f"known from {_SOURCES[operand.sources[0].kind]}"


_SOURCES = {
    SourceKind.CLOCK: "the clock",
    SourceKind.REQUEST: "the request",
    SourceKind.PARTY: "who asks",
    SourceKind.CLAIM: "what is attested about who asks",
    SourceKind.LEDGER: "the record of use",
    SourceKind.COMPUTED: "a part that the settings name",
}


def _stages(operand: Operand) -> tuple[Enforcement, ...]:
    groups = ((_BEFORE, Enforcement.NOW), ((Stage.TRANSFER,), Enforcement.TRANSFER), (_RUNNING, Enforcement.RUNNING))
    found = tuple(when for stages, when in groups if operand.stages.intersection(stages))
    return found or (Enforcement.CONSUMER,)


# --- walking


def _leaves(constraints: Iterable[AnyConstraint]) -> Iterator[Constraint]:
    for one in constraints:
        if isinstance(one, Constraint):
            yield one
        else:
            yield from _leaves(one.members)


def _groups(constraints: Iterable[AnyConstraint]) -> Iterator[LogicalConstraint]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield one
            yield from _groups(one.members)


def _parts(holder: Shared) -> list[ActionRef | AssetRef | PartyRef]:
    """Everything that `holder` refers to: actions, assets and parties, in whatever relation or function."""
    references: list[ActionRef | AssetRef | PartyRef] = [*holder.actions, *holder.targets, *holder.assigners, *holder.assignees]
    references += (function.party for function in holder.functions)
    references += (relation.asset for relation in holder.relations)
    return references


def _nodes(holder: Shared) -> Iterator[Shared | ActionRef | AssetRef | PartyRef | LogicalConstraint]:
    yield holder
    if isinstance(holder, Permission | Prohibition | Duty):
        yield from _groups(holder.constraints)
    for part in _parts(holder):
        yield part
        yield from _groups(part.refinements)


def _refined(holder: Shared) -> Iterator[Constraint]:
    return _leaves(refinement for part in _parts(holder) for refinement in part.refinements)


def operands_of(policy: Policy) -> frozenset[str]:
    """The left operands of all constraints and refinements of a policy, of its duties and what follows from them, as written."""
    found = {one.left for one in _refined(policy)}
    for rule in _rules(policy):
        found |= {one.left for one in (*_leaves(rule.constraints), *_refined(rule))}
    return frozenset(found)


def _rules(policy: Policy) -> Iterator[Rule]:
    duties: list[Duty] = list(policy.obligations)
    for permission in policy.permissions:
        yield permission
        duties += permission.duties
    for prohibition in policy.prohibitions:
        yield prohibition
        duties += prohibition.remedies
    while duties:
        duty = duties.pop()
        yield duty
        duties += duty.consequences


# --- words under which what is left to others is not judged here


def left_to_others(policy: Policy, vocabulary: Vocabulary, known: frozenset[str] = SUPPLIED) -> frozenset[str]:
    """The operands of `policy` that its consumer does not judge of itself: what is attested about it is the provider's to judge,
    and what it does not know of its own use (`known`) nobody here can judge."""
    found: set[str] = set()
    for name in operands_of(policy):
        operand = vocabulary.operand(name)
        if operand is None or operand.is_legal_only:
            continue
        is_claim = operand.sources[0].kind is SourceKind.CLAIM
        is_untold = operand.sources[0].kind is SourceKind.REQUEST and not {operand.name, operand.short, name} & known
        if is_claim or is_untold:
            found.add(name)
    return frozenset(found)


def marked(vocabulary: Vocabulary, names: Iterable[str], theirs: Iterable[str] = ()) -> Vocabulary:
    """The vocabulary in which the operands `names` are legal only: agreed, listed, and not judged; and `theirs` the other side's
    to judge, listed as that. Unknown ones are known then."""
    operands: dict[str, Operand] = dict(vocabulary.operands)
    spellings: dict[str, str] = dict(vocabulary.operand_names)
    to_peer = frozenset(theirs)
    for name in (*names, *to_peer):
        found = vocabulary.operand(name) or _strange(name)
        operands[found.name] = replace(found, is_legal_only=True, is_left_to_peer=name in to_peer)
        spellings.setdefault(found.name, found.name)
        spellings.setdefault(name, found.name)
    return replace(vocabulary, operands=MappingProxyType(operands), operand_names=MappingProxyType(spellings))


def _strange(name: str) -> Operand:
    return Operand(
        name=name,
        value=ValueType.ANY,
        operators=frozenset(Operator),
        sources=(Source(kind=SourceKind.REQUEST),),
        stages=frozenset(STAGE_ORDER) - {Stage.PUBLISH},
        label=name,
        is_many=True,
    )
