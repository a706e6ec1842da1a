"""Hearing of whoever joins a space: a catalogue of its members asks the authority to be told.

What lives here: `Newcomers`, which asks, once for each start and each space. What does not: the authority's side
(`authority/announcing.py`), and taking its notices in, which are those of any change (`joining.py`).
Whoever is told looks at the signed list; whoever is not looks at it from time to time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connector import observe
from connector.errors import Conflict, PeerAnswer
from connector.identity import joined, tokens
from connector.identity.holder import Wallets
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob
from connector.ports.store import Store

FOLLOW: Final = "space.follow"
_MAX_ANSWER: Final = 64 << 10
_UNKNOWN: Final = (404, 405)
"""What an authority answers that tells nobody: one of an older release takes the question for the proof of an application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """Asks to be told of whoever joins."""

    store: Store
    wallets: Wallets
    outbound: OutboundClient
    jobs: Jobs
    clock: Clock
    new_id: Callable[[], str]

    async def follow(self, participant: str, authority: str) -> None:
        """Have the participant told by `authority` of whoever joins the spaces that it takes part in."""
        for one in await joined.joined(self.store, participant):
            if one.authority == authority and one.is_member:
                await self.put(participant, one.space)

    async def put(self, participant: str, space: str) -> None:
        """Have the authority of `space` asked; it is asked until it has answered."""
        job = NewJob(participant=participant, kind=FOLLOW, id=joined.name_of(space), body={"space": space})
        await self.jobs.put([job], self.clock.now())

    async def ask(self, job: Job) -> None:
        """Ask one authority.

        Raises: PeerError or Conflict, so that it is tried again.
        """
        participant, space = job.participant, str(job.body["space"])
        one = next((one for one in await joined.joined(self.store, participant) if one.space == space), None)
        if one is None or not one.is_member:
            return
        wallet, where = await self.wallets(participant), f"{one.applications}/follow"
        if wallet is None:
            raise Conflict(f"participant `{participant}` has no wallet", where=participant)
        now = self.clock.now()
        token = tokens.self_issued(wallet.token_key, sender=wallet.did, receiver=one.authority, now=now, jti=self.new_id())
        answer = await self.outbound.post(where, b"", {"Authorization": f"Bearer {token}"}, max_bytes=_MAX_ANSWER)
        if not answer.is_success and answer.status not in _UNKNOWN:
            raise PeerAnswer(f"the authority answers {answer.status}", answer_status=answer.status, where=where)
        outcome = "space.followed" if answer.is_success else "space.not_followed"
        observe.info(outcome, participant=participant, space=space, status=answer.status)
