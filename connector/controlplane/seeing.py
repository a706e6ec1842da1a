"""Who sees which offers: the access policies asked, for one viewer, at this moment.

What lives here: the question, and the note that it leaves in the decision log. What does not: the engine (`connector.odrl`), and what is
made of the answer (`catalog.py`, `negotiation.py`).

Nothing here is kept from one question to the next: claims, the clock and the policies themselves are looked at each time. What makes a
catalogue of thousands of offers cheap is that a policy which does not ask about the dataset is asked once for all offers under it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.controlplane.kept import Kept, ReadPolicies
from connector.controlplane.noting import Notes
from connector.controlplane.participants import Context
from connector.controlplane.shelf import Terms, by_access
from connector.dsp.tables import Role
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.truth import Decision, Effect, Request, Stage, World
from connector.ports.decisions import MOST_NAMED, Made, Question, Subject

Outcome = bool | tuple[bool, ...]
"""Whether the offers under one access policy are seen: all alike, or each by itself in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """By whom and when."""

    party: str
    world: World
    context: Context


class Seeing:
    """Asks access policies; notes what came of it."""

    def __init__(self, policies: ReadPolicies, notes: Notes) -> None:
        self._policies = policies
        self._notes = notes

    def outcomes(
        self, groups: Mapping[str, Sequence[Terms]], party: str, claims: Mapping[str, Any], now: datetime, context: Context
    ) -> tuple[Outcome, ...]:
        """For each group of offers under one access policy whether `party` may see them; without a policy every proven caller may.

        What is asked together is noted together: one entry for each access policy and effect, with how many offers and which.
        """
        asked = _Asked(party=party, world=World(now=now, claims=claims), context=context)
        return tuple(self._of_group(key, group, asked) for key, group in groups.items())

    def visible(
        self, offers: Sequence[Terms], party: str, claims: Mapping[str, Any], now: datetime, context: Context
    ) -> list[Terms]:
        """Those of the offers that `party` may see, in their order."""
        groups = by_access(offers)
        seen = shown(groups, self.outcomes(groups, party, claims, now, context))
        return [terms for terms in offers if (terms.dataset, terms.offer_id) in seen]

    def access(self, terms: Terms, party: str, claims: Mapping[str, Any], now: datetime, context: Context) -> Decision | None:
        """What the access policy of an offer says about `party`, noted nowhere; None without one."""
        access = terms.access
        if access is None:
            return None
        asked = _Asked(party=party, world=World(now=now, claims=claims), context=context)
        return _decided(self._policies.compiled(terms.access_key, access), access, terms, asked)

    def _of_group(self, key: str, group: Sequence[Terms], asked: _Asked) -> Outcome:
        access, began = group[0].access, time.perf_counter_ns()
        if access is None:
            return True
        kept = self._policies.compiled(key, access)
        if not kept.asks_target:
            decision = _decided(kept, access, group[0], asked)
            self._note(kept, access, group, decision, asked, time.perf_counter_ns() - began)
            return decision.is_permitted
        by_effect: dict[Effect, list[tuple[Terms, Decision]]] = {}
        decisions = [_decided(kept, access, terms, asked) for terms in group]
        for terms, decision in zip(group, decisions, strict=True):
            by_effect.setdefault(decision.effect, []).append((terms, decision))
        each_ns = (time.perf_counter_ns() - began) // len(group)
        for alike in by_effect.values():
            self._note(kept, access, [terms for terms, _ in alike], alike[0][1], asked, each_ns * len(alike))
        seen = tuple(decision.is_permitted for decision in decisions)
        return seen if len(set(seen)) > 1 else seen[0]

    def _note(
        self, kept: Kept, access: Policy, group: Sequence[Terms], decision: Decision, asked: _Asked, took_ns: int
    ) -> None:
        """Note one decision for all of `group`: the case is that of the first."""
        context, terms = asked.context, group[0]
        if not (context.is_catalog_logged and self._notes.are_kept):
            return
        subject = Subject(
            participant=context.name,
            question=Question.CATALOG,
            role=Role.PROVIDER,
            about=terms.offer_id,
            peer=asked.party,
            dataset=terms.dataset,
            kept=context.kept_inputs,
        )
        self._notes.made(
            Made(
                subject=subject,
                policy=kept.digest,
                request=_sight(access, terms, asked.party),
                world=asked.world,
                decision=decision,
                duty_mode=context.duty_mode,
                micros=took_ns // 1000,
                offers=tuple(one.offer_id for one in group[:MOST_NAMED]),
                count=len(group),
            )
        )


def shown(groups: Mapping[str, Sequence[Terms]], outcomes: Sequence[Outcome]) -> frozenset[tuple[str, str]]:
    """Dataset and offer ids of what is seen of the groups."""
    found: list[tuple[str, str]] = []
    for group, outcome in zip(groups.values(), outcomes, strict=True):
        each = outcome if isinstance(outcome, tuple) else (outcome,) * len(group)
        found += [(terms.dataset, terms.offer_id) for terms, is_seen in zip(group, each, strict=True) if is_seen]
    return frozenset(found)


def _decided(kept: Kept, access: Policy, terms: Terms, asked: _Asked) -> Decision:
    # an access policy is about this very moment: nothing of it is left for a later stage
    request = _sight(access, terms, asked.party)
    return decide(kept.compiled, request, asked.world, stage=Stage.REQUEST, duty_mode=asked.context.duty_mode)


def _sight(access: Policy, terms: Terms, party: str) -> Request:
    return Request(action=_seen_by(access), target=terms.dataset, party=party)


def _seen_by(access: Policy) -> str:
    """The action that an access policy is asked about: its own where it speaks of one, as Catena-X's do of `access`; else `use`."""
    names = {action.name for rule in access.permissions for action in rule.actions or access.actions}
    return names.pop() if len(names) == 1 else "use"
