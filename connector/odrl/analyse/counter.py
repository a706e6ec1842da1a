"""The counter-offer: the nearest policy that both sides can accept, and why it is not what was asked for.

It is what both permit, proven to lie within our terms and within what was asked. Where there is no such policy (nothing in
common, or not one that can be written down) it is our terms, about the target and party that were asked for.
Nothing goes out in words that one side does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from connector.odrl.analyse.boxes import bounded
from connector.odrl.analyse.contain import Answer, contains
from connector.odrl.analyse.meet import meet
from connector.odrl.analyse.space import conditions, leaves
from connector.odrl.expand import atomic
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterOffer:
    """What to answer with."""

    policy: Policy
    reasons: tuple[str, ...]
    is_common: bool
    # False: our terms as they are, which the other side did not ask for


@bounded
def counter_offer(terms: Policy, asked: Policy, vocabulary: Vocabulary, *, theirs: Vocabulary | None = None) -> CounterOffer:
    """The nearest policy both can accept; `theirs` is what the other side knows, by default what we know.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    about = replace(terms, targets=terms.targets or asked.targets, assignees=terms.assignees or asked.assignees)
    found = meet(about, asked, vocabulary)
    if found.policy is None:
        return CounterOffer(policy=about, reasons=(*found.reasons, "our terms are the offer"), is_common=False)
    # proven at every stage, not only when data is asked for
    if any(contains(one, found.policy, vocabulary).answer is not Answer.YES for one in (about, asked)):
        unproven = ("what both permit cannot be proven to suit both", "our terms are the offer")
        return CounterOffer(policy=about, reasons=unproven, is_common=False)
    strange = list(dict.fromkeys(strangers(found.policy, vocabulary, theirs or vocabulary)))
    if strange:
        reasons = tuple(f"`{name}` is not known to both" for name in strange)
        return CounterOffer(policy=about, reasons=(*reasons, "our terms are the offer"), is_common=False)
    return CounterOffer(policy=found.policy, reasons=("this is all that both sides permit",), is_common=True)


def strangers(policy: Policy, *vocabularies: Vocabulary) -> Iterator[str]:
    """The actions and operands of a policy that one of the vocabularies does not know."""
    for words in vocabularies:
        for rule in atomic((*policy.permissions, *policy.prohibitions), policy):
            if rule.action is not None and words.action(rule.action.name) is None:
                yield rule.action.name
            yield from (one.left for one in leaves(conditions(rule)) if words.operand(one.left) is None)
        yield from (profile for profile in policy.profiles if profile not in words.profiles)
