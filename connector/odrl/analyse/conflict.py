"""What is wrong inside one policy: rules that contradict each other, and rules that can never matter.

A conflict comes with a request that meets both rules; what becomes of it is decided by the policy's conflict strategy.
A dead permission grants nothing at all, grants nothing that others do not, or is forbidden wherever it grants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connector.odrl.analyse.boxes import Beyond, Box, bounded, difference, intersection
from connector.odrl.analyse.normal import Forms, RuleBoxes, doubts, normal_forms
from connector.odrl.analyse.witness import Witness, sample, stages, state
from connector.odrl.analyse.words import tell
from connector.odrl.model import Conflict, Policy
from connector.odrl.truth import Stage
from connector.odrl.vocabulary import Vocabulary


class Flaw(StrEnum):
    """What can be wrong with a rule."""

    CONFLICT = "conflict"
    # a permission and a prohibition meet
    NEVER = "never"
    # its conditions exclude each other
    REDUNDANT = "redundant"
    # other rules say all of it
    FORBIDDEN = "forbidden"
    # a prohibition covers all of it
    IDLE = "idle"
    # a prohibition of what nothing permits
    UNKNOWN = "unknown"
    # the policy cannot be analysed


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One flaw, where it is, and for a conflict a request that shows it."""

    flaw: Flaw
    where: str
    other: str = ""
    # the rule on the other side of a conflict
    what: str = ""
    witness: Witness | None = None
    is_settled: bool = False
    # a conflict of which the policy itself says who wins

    @property
    def is_harmful(self) -> bool:
        """Whether the policy does not do what its text seems to say; the others only waste words."""
        return not self.is_settled and self.flaw in (Flaw.CONFLICT, Flaw.NEVER, Flaw.FORBIDDEN, Flaw.UNKNOWN)


@bounded
def check(policy: Policy, vocabulary: Vocabulary) -> tuple[Finding, ...]:
    """The flaws of a policy; none when every rule matters and none contradicts another.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = tuple(doubts(policy, "the terms", vocabulary))
    if unsure:
        return tuple(Finding(flaw=Flaw.UNKNOWN, where=policy.where, what=one) for one in unsure)
    try:
        forms = normal_forms(vocabulary, policy)
        return (*_dead(forms), *_conflicts(forms))
    except Beyond as beyond:
        return (Finding(flaw=Flaw.UNKNOWN, where=policy.where, what=str(beyond)),)


def _real(forms: Forms, boxes: Sequence[Box]) -> list[Box]:
    # what another stage will judge may still exclude each other: ask when all is judged
    return [box for box in boxes if Stage.REQUEST in stages(forms.space, box)]


def _by_rule(rules: Sequence[RuleBoxes]) -> list[tuple[str, list[Box]]]:
    found: dict[str, list[Box]] = {}
    for one in rules:
        found.setdefault(one.rule.rule.where, []).extend(one.boxes)
    return list(found.items())


def _dead(forms: Forms) -> Iterator[Finding]:
    form = forms.policies[0]
    for rules, is_permission in ((form.permissions, True), (form.prohibitions, False)):
        groups = _by_rule(rules)
        alive = {where for where, boxes in groups if _real(forms, boxes)}
        for where, boxes in groups:
            if where not in alive:
                yield Finding(flaw=Flaw.NEVER, where=where, what="its conditions exclude each other")
                continue
            others = [box for other, more in groups if other != where and other in alive for box in more]
            if not _real(forms, difference(boxes, others)):
                # of two that say the same, the later one is redundant
                alive.discard(where)
                yield Finding(flaw=Flaw.REDUNDANT, where=where, what="other rules say all of it")
            elif is_permission and not _real(forms, difference(boxes, form.forbidden)):
                yield Finding(flaw=Flaw.FORBIDDEN, where=where, what="it is forbidden wherever it permits anything")
            elif not is_permission and not _real(forms, intersection(boxes, form.granted)):
                yield Finding(flaw=Flaw.IDLE, where=where, what="nothing permits what it forbids")


def _conflicts(forms: Forms) -> Iterator[Finding]:
    form = forms.policies[0]
    strategies = set(form.policy.conflicts) or {Conflict.INVALID}
    ending = {
        frozenset({Conflict.PERM}): "the permission wins",
        frozenset({Conflict.PROHIBIT}): "the prohibition wins",
    }.get(frozenset(strategies), "there the whole policy is void")
    for where, boxes in _by_rule(form.permissions):
        for other, against in _by_rule(form.prohibitions):
            shared = _real(forms, intersection(boxes, against))
            if shared:
                box, stage = sample(forms.space, shared)[0]
                yield Finding(
                    flaw=Flaw.CONFLICT,
                    where=where,
                    other=other,
                    what=f"both meet {tell(forms.space, shared[:3])}; {ending}",
                    witness=state(forms.space, box, stage),
                    is_settled=bool(form.policy.conflicts) and Conflict.INVALID not in strategies and len(strategies) == 1,
                )
