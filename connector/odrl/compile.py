"""From a policy to closures and an index, once per policy text, so that a decision takes microseconds.

1. Take the policy that holds, and refuse as a whole what cannot be judged as a whole: unknown profiles, parents, successors.
2. Merge what is inherited, make its rules whole, and expand to atomic rules.
3. Make of each constraint a premise (`premises`).
4. Join premises in three-valued logic. The join knows whether it serves a permission or a prohibition, because doubts of
   two kinds meet: hard ones (nobody knows) and soft ones (another stage or the law sees to it). Each side takes the worse.
5. Index the rules by target and action.

Looking rules up and weighing them is in `evaluate`.
Source: ODRL Information Model 2.2, sections 2.6, 2.7, 2.9, 3; ODRL Formal Semantics (draft), "Activation".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from connector.odrl import inherit
from connector.odrl.closures import Frame, Test, all_for_permission, all_for_prohibition, belongs, constant, is_party, names_of
from connector.odrl.expand import Atomic, atomic, composed, duty_key, rule_key, torn
from connector.odrl.model import (
    AnyConstraint,
    AssetRef,
    Conflict,
    Diagnostic,
    Duty,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
)
from connector.odrl.premises import Atom, Premises, Ticks, Tree, parts
from connector.odrl.remarks import remarks
from connector.odrl.standing import standing
from connector.odrl.truth import NO_WORDS, Code, Decision, Truth, Unknown
from connector.odrl.vocabulary import Vocabulary
from connector.odrl.windows import Times, intersection

NO_PARENTS: Mapping[str, Policy] = MappingProxyType({})
_TYPES = frozenset(PolicyType)
Join = Callable[[tuple[Test, ...]], Test]
TWO_DUTIES = "two different duties have the identifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledDuty:
    """A condition of a permission, or an obligation; active when `test` is not False."""

    duty: Duty
    key: str
    trees: tuple[Tree, ...]
    test: Test
    text: Mapping[str, str] = field(default_factory=lambda: NO_WORDS)
    # what its actions are called, by language
    consequences: tuple[CompiledDuty, ...] = ()
    # what is due besides, once it is violated


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """An atomic permission or prohibition: the premises besides action and target."""

    atomic: Atomic
    is_permission: bool
    action: str | None
    # None: any action (a permission), or one that nobody knows (a prohibition)
    target: Test | None
    # what the index cannot decide: that one is named, and is in the collection and picked; None: any target
    party: Test | None
    matches: Test
    # action known, target and party
    is_strange: bool
    # it has a property that nobody knows
    about: tuple[Tree, ...]
    # the refinements of the target
    trees: tuple[Tree, ...]
    test: Test
    # `matches` and all constraints and refinements
    is_flat: bool
    # its premises are single constraints: when it is true, each of them is
    duties: tuple[CompiledDuty, ...]
    # the conditions of a permission
    remedies: tuple[CompiledDuty, ...]
    # what is due once a prohibition is infringed
    key: str
    # under which its use, or its infringement, is recorded
    until: Times | None
    # the times outside of which it cannot hold, when the clock can change nothing else of it
    permits: dict[int, Decision] = field(default_factory=dict, compare=False, repr=False)
    # by stage, the last permit that it gave by itself
    clock: tuple[Ticks, ...]
    # of its premises and of those of its duties


Index = Mapping[str | None, Mapping[str | None, tuple[CompiledRule, ...]]]
"""Rules by target (None: any, or one of a collection) and by action (None: any)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A policy ready to be asked. Immutable; share it, and make a new one when policy or vocabulary changes."""

    policy: Policy
    vocabulary: Vocabulary
    fault: Unknown | None
    # why the policy as a whole grants nothing
    permissions: Index
    prohibitions: Index
    rules: tuple[CompiledRule, ...]
    remedied: tuple[CompiledRule, ...]
    # the prohibitions that have remedies
    obligations: tuple[CompiledDuty, ...]
    is_plain: bool
    # nothing is due besides what a rule itself asks
    conflict: Conflict | None
    # None: several strategies contradict each other
    grants_access: bool
    # False for offers and requests, which only propose
    warnings: tuple[Diagnostic, ...]


def compile(
    policy: Policy, vocabulary: Vocabulary, *, parents: Mapping[str, Policy] = NO_PARENTS, has_ledger: bool = False
) -> Compiled:
    """The policy ready for `evaluate.decide`; `Compiled.warnings` says what in it can never be judged.

    `parents` are the policies that it inherits from or is replaced by, and theirs, by uid. `has_ledger` says that decisions will be given a
    `LedgerView`; without it, whatever needs one is warned about.

    Raises: PolicyError when the policy expands beyond all measure. Unknown terms do not raise: they deny, with a reason.
    """
    builder = _Builder(vocabulary, has_ledger=has_ledger)
    whole = inherit.whole(policy, parents)
    strange = None if isinstance(whole, Unknown) else builder.premises.strange(whole.extra, whole.where)
    fault = whole if isinstance(whole, Unknown) else strange if strange is not None else _fault(whole, vocabulary)
    whole = standing(composed(policy if isinstance(whole, Unknown) else whole), vocabulary)
    rules = [builder.rule(a, is_permission=True) for a in atomic(whole.permissions, whole)]
    rules += [builder.rule(a, is_permission=False) for a in atomic(whole.prohibitions, whole)]
    obligations = tuple(builder.duty(duty) for duty in whole.obligations)
    strategies = whole.conflicts or (Conflict.INVALID,)
    return Compiled(
        policy=whole,
        vocabulary=vocabulary,
        fault=fault,
        permissions=_index([rule for rule in rules if rule.is_permission]),
        prohibitions=_index([rule for rule in rules if not rule.is_permission]),
        rules=tuple(rules),
        remedied=tuple(rule for rule in rules if rule.remedies),
        obligations=obligations,
        is_plain=not obligations and not any(rule.remedies for rule in rules),
        conflict=strategies[0] if len(set(strategies)) == 1 else None,
        grants_access=whole.type not in (PolicyType.OFFER, PolicyType.REQUEST),
        warnings=(
            *whole.warnings,
            *remarks(whole, vocabulary),
            *builder.premises.warnings,
            *builder.premises.unlooked(whole.where),
        ),
    )


def _fault(policy: Policy, vocabulary: Vocabulary) -> Unknown | None:
    # Information Model 3: a processor that does not know a profile MUST stop processing
    for profile in policy.profiles:
        if profile not in vocabulary.profiles:
            return Unknown(code=Code.PROFILE_UNKNOWN, detail=f"the profile `{profile}` is not loaded", needs=profile)
    if policy.type not in _TYPES:
        # classes of profiles may mean anything: no profile of ours brings one
        return Unknown(code=Code.PROPERTY_UNKNOWN, detail=f"ODRL has no policies of type `{policy.type[:80]}`")
    if (name := torn(policy)) is not None:
        return Unknown(code=Code.REFERENCE_UNRESOLVABLE, detail=f"{TWO_DUTIES} `{name[:80]}`", needs=name)
    return None


def _index(rules: list[CompiledRule]) -> Index:
    found: dict[str | None, dict[str | None, list[CompiledRule]]] = {}
    for rule in rules:
        found.setdefault(_asset_key(rule.atomic.target), {}).setdefault(rule.action, []).append(rule)
    return {target: {action: tuple(those) for action, those in row.items()} for target, row in found.items()}


def _asset_key(asset: AssetRef | None) -> str | None:
    # a collection has members that the index cannot know: its rules are asked for every target
    return None if asset is None or asset.is_collection else asset.uid


class _Builder:
    def __init__(self, vocabulary: Vocabulary, *, has_ledger: bool) -> None:
        self.vocabulary = vocabulary
        self.premises = Premises(vocabulary, has_ledger=has_ledger)

    def rule(self, a: Atomic, *, is_permission: bool) -> CompiledRule:
        join = all_for_permission if is_permission else all_for_prohibition
        key = rule_key(a.rule)
        fault: Unknown | None = None
        action: str | None = None
        if a.action is not None:
            known = self.vocabulary.action(a.action.name)
            action = known.name if known else None if not is_permission else a.action.name
            if known is None:
                hint = self.premises.hint(self.vocabulary.hint_action, a.action.name)
                fault = Unknown(
                    code=Code.ACTION_UNKNOWN, detail=f"unknown action `{a.action.name[:80]}`{hint}", needs=a.action.name
                )
                self.premises.warn(fault, a.action.where)

        strange = self.strange(a)
        doubts = tuple(constant(doubt) for doubt in (fault, strange) if doubt is not None)

        def trees_of(constraints: tuple[AnyConstraint, ...], part: str) -> tuple[Tree, ...]:
            return tuple(self.premises.tree(each, part, key, is_permission=is_permission) for each in constraints)

        about = trees_of(a.target.refinements if a.target else (), "target")
        target, party = self.asset(a.target, about, join), is_party(a.assignee)
        matches = (*doubts, *(test for test in (target, party) if test))
        trees = trees_of(a.rule.constraints, "constraint")
        trees += trees_of(a.action.refinements if a.action else (), "refinement")
        trees += trees_of(a.assignee.refinements if a.assignee else (), "party")
        conditions = tuple(self.duty(duty) for duty in a.rule.duties) if isinstance(a.rule, Permission) else ()
        remedies = tuple(self.duty(duty) for duty in a.rule.remedies) if isinstance(a.rule, Prohibition) else ()
        premises = (*trees, *(tree for duty in conditions for tree in duty.trees))
        return CompiledRule(
            atomic=a,
            is_permission=is_permission,
            action=action,
            target=target,
            party=party,
            matches=join(matches),
            is_strange=strange is not None,
            about=about,
            trees=trees,
            test=join((*matches, *(tree.test for tree in trees))),
            is_flat=all(isinstance(tree, Atom) for tree in (*trees, *about)),
            duties=conditions,
            remedies=remedies,
            key=key,
            until=_until((*trees, *about), conditions),
            clock=tuple(part.ticks for tree in premises for part in parts(tree) if part.ticks),
        )

    def strange(self, a: Atomic) -> Unknown | None:
        """The doubt about a rule of which, or of whose action, target or party, something is said that nobody knows."""
        parts = (a.rule, *(part for part in (a.action, a.target, a.assignee) if part is not None))
        found = (self.premises.strange(part.extra, part.where) for part in parts)
        return next((doubt for doubt in found if doubt is not None), None)

    def duty(self, duty: Duty) -> CompiledDuty:
        key = duty_key(duty)
        trees = tuple(self.premises.tree(constraint, "duty", key, is_permission=False) for constraint in duty.constraints)
        return CompiledDuty(
            duty=duty,
            key=key,
            trees=trees,
            test=all_for_prohibition(tuple(tree.test for tree in trees)),
            text=self.called(duty),
            consequences=tuple(self.duty(consequence) for consequence in duty.consequences),
        )

    def called(self, duty: Duty) -> Mapping[str, str]:
        """What the actions of a duty are called, in the languages that have words for all of them."""
        known = [self.vocabulary.action(action.name) for action in duty.actions]
        texts = [action.text if action is not None else NO_WORDS for action in known]
        spoken = set.intersection(*(set(text) for text in texts)) if texts else set()
        return {language: " + ".join(text[language] for text in texts) for language in spoken}

    def asset(self, asset: AssetRef | None, about: tuple[Tree, ...], join: Join) -> Test | None:
        """A test of what the index cannot decide about a target: that it is named, and that refinements pick it."""
        if asset is None:
            return None
        unnamed = Unknown(code=Code.VALUE_MISSING, detail="the request names no target", needs="target")
        if not asset.is_collection:
            return lambda frame: True if frame.request.target is not None else unnamed
        detail = "the properties of the asset are not known, so a refinement cannot pick it"
        unpicked = Unknown(code=Code.SOURCE_UNAVAILABLE, detail=detail, needs="target")
        is_refined = bool(asset.refinements)
        picked = join(tuple(tree.test for tree in about))
        names = names_of(asset)

        def test(frame: Frame) -> Truth:
            asked = frame.request.target
            found = unnamed if asked is None else belongs(asked, names, frame.world, "target")
            if not is_refined or found is not True:
                return found
            return picked(frame) if asked in frame.world.properties else unpicked

        return test


_ALWAYS = Times(True, ())


def _until(trees: tuple[Tree, ...], conditions: tuple[CompiledDuty, ...]) -> Times | None:
    """The times to which a conjunction is bound; None when the clock changes more of it than that."""
    times = [tree.times for tree in trees if tree.times is not None]
    is_bound = all(tree.times is not None or not any(part.ticks for part in parts(tree)) for tree in trees)
    if not is_bound or conditions:
        return None
    return times[0] if len(times) == 1 else intersection(times) if times else _ALWAYS


def next_flip(rule: CompiledRule, frame: Frame) -> datetime | None:
    """The first instant after the frame's now at which a premise of the rule changes by the clock; None when none does."""
    now = frame.now
    first: datetime | None = None
    for ticks in rule.clock:
        if not ticks.judged[frame.stage]:
            continue
        fixed = ticks.fixed
        place = bisect_right(fixed, now) if fixed else 0
        if place < len(fixed) and (first is None or fixed[place] < first):
            first = fixed[place]
        for edge in ticks.moving(frame) if ticks.moving is not None else ():
            if edge > now and (first is None or edge < first):
                first = edge
    return first
