"""Policies that inherit, made whole: nothing is offered, compared, agreed or judged without what its parents say.

The parents that are known are the participant's own policies, by the identifier of the policy and by the name under which it
is kept. What we offer, send and keep as agreed is whole: the parents may change later, and a peer may not know them. What a
peer sent is kept as it was; where it inherits from what is not known here, its terms are nobody's to accept.
Pure. What a child takes over is in `connector.odrl.inherit`.
Source: ODRL Information Model 2.2, sections 2.8 and 2.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from connector.dsp.negotiation import rules_of
from connector.errors import PolicyError
from connector.odrl import canonical, inherit, jsonld
from connector.odrl.model import Policy
from connector.odrl.truth import Unknown
from connector.odrl.wire import Shape

Known = Mapping[str, Policy]
"""The policies of a participant, by identifier."""
NONE: Final[Known] = MappingProxyType({})
_SAYS_IT_ALL: Final = frozenset({"permission", "prohibition", "obligation", "profile"})
_MEND: Final = "send the terms whole, without `inheritFrom`, or write the parent as a policy first"


def family(policies: Mapping[str, Policy]) -> Known:
    """The policies of a participant, given by the names under which they are kept, as parents of others.

    An identifier that two of them share with different rules names neither.
    """
    found: dict[str, Policy] = {}
    torn: set[str] = set()
    for policy in policies.values():
        if policy.uid is not None:
            if policy.uid in found and not canonical.same(found[policy.uid], policy):
                torn.add(policy.uid)
            found[policy.uid] = policy
    named = {name: policy for name, policy in policies.items() if name not in found}
    return {name: policy for name, policy in {**found, **named}.items() if name not in torn}


def offered_with(name: str, known: Known) -> Known:
    """Those of the `known` policies that whoever is offered the policy `name` has read in it: itself, its parents and theirs.

    A peer may inherit from these. Any other would come back to it in an agreement, word for word, for the price of a guess.
    """
    found: dict[str, Policy] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        policy = known.get(one)
        if policy is not None and one not in found:
            found[one] = policy
            waiting += (*policy.inherit_from, *policy.replaced_by, *((policy.uid,) if policy.uid else ()))
    return found


def child_of(name: str, policies: Mapping[str, Policy]) -> str | None:
    """The name of a policy that inherits from, or is replaced by, the one that is kept as `name`; None when there is none."""
    own = policies.get(name)
    names = {name, own.uid if own is not None else name}
    heirs = (each for each, other in policies.items() if not names.isdisjoint((*other.inherit_from, *other.replaced_by)))
    return next((each for each in heirs if each != name), None)


def whole(policy: Policy, known: Known) -> Policy:
    """The policy with all that it inherits, or the one that replaces it.

    Raises: PolicyError naming the parent that is not known, or that inherits from itself.
    """
    if not (policy.inherit_from or policy.replaced_by):
        return policy
    found = inherit.whole(policy, known)
    if isinstance(found, Unknown):
        raise PolicyError(found.detail, where=f"{policy.where}.inheritFrom", mend=_MEND, flaw=found.code)
    return found


def read(tree: Mapping[str, Any], where: str, known: Known) -> Policy:
    """The whole policy that `tree` spells.

    Raises: PolicyError when it cannot be read, see also `whole`.
    """
    return whole(jsonld.read(tree, where), known)


def may_inherit(tree: Mapping[str, Any]) -> bool:
    """False for terms that plainly say all of themselves, which are not read for that."""
    return not rules_of(tree).keys() <= _SAYS_IT_ALL


def is_same(offer: Mapping[str, Any], agreement: Mapping[str, Any], known: Known) -> bool:
    """Whether an agreement says what the offer says, each with its parents.

    Raises: PolicyError when one cannot be read, or inherits from what is not `known`: the same name may mean something else there.
    """
    offered, agreed = rules_of(offer), rules_of(agreement)
    # 1 and true are equal here and not in a policy
    if offered == agreed and repr(offered) == repr(agreed) and not may_inherit(agreement):
        return True
    return canonical.same(read(offer, "offer", known), read(agreement, "agreement", known))


def spelled_out(tree: Mapping[str, Any], known: Known, shape: Shape = Shape.DSP) -> dict[str, Any]:
    """Terms as a message or an agreement carries them: `tree` as it is, but for what it inherits, which stands in it.

    Raises: PolicyError, see `whole`; with `Shape.DSP` also when the parents say what cannot travel.
    """
    if not may_inherit(tree):
        return dict(tree)
    policy = jsonld.read(tree, "offer")
    if not (policy.inherit_from or policy.replaced_by):
        return dict(tree)
    own = rules_of(tree)
    envelope = {name: value for name, value in tree.items() if name not in own and name != "@context"}
    return {**envelope, **rules_of(jsonld.write(whole(policy, known), shape))}
