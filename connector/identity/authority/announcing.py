"""Telling the connectors of the space that somebody's standing has changed: a signed notice to each, tried until it has arrived.

Of who has just joined only those are told that follow the list of participants, which are catalogues: nobody else has anything of a
newcomer that could count wrongly, and a notice of every newcomer to every member would be more than either could bear. Newcomers of one
moment are one notice: it makes a follower look at the list, which has them all.

What lives here: `Announcing`. What does not: the form of a notice (`notices.py`), and what a connector does about it (`spaces.py`).
One job for each receiver: a connector that is away holds up nobody. A notice is signed when it is sent; it says what is true then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from connector.errors import Conflict, Overloaded, PeerAnswer
from connector.identity import notices
from connector.identity.authority.members import Member, State
from connector.identity.authority.records import AUTHORITY, FOLLOWERS, Records
from connector.identity.authority.signedlists import SignedLists, listed
from connector.identity.authority.space import Space
from connector.identity.keys import Keys, Purpose
from connector.identity.trustlists import Listing
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

JOB: Final = "authority.notice"
OFFER: Final = "authority.offer"
"""What the issuer sends (`issuer.py`)."""
_MOST_FOLLOWERS: Final = 1_000
_TOGETHER: Final = timedelta(seconds=0.25)
"""Who joins within so long is told together."""


class Announcing:
    """Sends notices."""

    def __init__(
        self,
        records: Records,
        lists: SignedLists,
        keys: Keys,
        jobs: Jobs,
        outbound: OutboundClient,
        clock: Clock,
        *,
        space: Space,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._lists = lists
        self._keys = keys
        self._jobs = jobs
        self._outbound = outbound
        self._clock = clock
        self._space = space
        self._new_id = new_id

    async def announce(self, about: Member) -> None:
        """Have every active member that takes notices told of `about`, and itself unless it was its own doing.

        Who has left knows it, and takes no notices of a space any more that it takes no part in; nor does it follow the list.
        """
        if about.state is State.REVOKED:
            await self._records.drop(FOLLOWERS, "follower", about.did)
        round_ = self._new_id()
        is_own_doing = about.steps[-1].by == about.did
        jobs = [
            NewJob(
                participant=AUTHORITY,
                kind=JOB,
                id=f"{round_}/{one.did}",
                body={"receiver": one.did, "about": about.did},
                order_key=one.did,
            )
            async for one in self._records.members()
            if one.notices and (one.is_active if one.did != about.did else not is_own_doing)
        ]
        if jobs:
            await self._jobs.put(jobs, self._clock.now())

    async def invite(self, member: Member) -> None:
        """Have an applicant that was just taken in offered its membership: it need not ask again and again whether it was.

        Source: DCP 1.0, section 6.6.
        """
        body = {"holder": member.did, "types": [one.type for one in self._space.kinds[:1]], "reason": "issue"}
        job = NewJob(participant=AUTHORITY, kind=OFFER, id=f"membership {member.did}", body=body, order_key=member.did)
        await self._jobs.put([job], self._clock.now())

    async def follow(self, member: Member) -> None:
        """Have an active member told of whoever joins from now on; again changes nothing.

        Raises: Conflict when it is not active or takes no notices; Overloaded when too many follow already.
        """
        if not member.is_active or not member.notices:
            mend = "apply with the address where you take notices"
            raise Conflict(f"`{member.did}` is {member.state} or takes no notices", where="notices", mend=mend)
        known = [one.id async for one in self._records.all(FOLLOWERS, "follower")]
        if member.did in known:
            return
        if len(known) >= _MOST_FOLLOWERS:
            raise Overloaded(f"{len(known)} members follow the list already", mend="look at the list from time to time")
        await self._records.update(FOLLOWERS, "follower", member.did, lambda kept: kept or {})

    async def announce_newcomer(self, about: Member) -> None:
        """Have every follower told that `about` has joined."""
        now = self._clock.now()
        moment = int(now.timestamp() / _TOGETHER.total_seconds()) + 1
        at = datetime.fromtimestamp(moment * _TOGETHER.total_seconds(), UTC)
        jobs = [
            NewJob(
                participant=AUTHORITY,
                kind=JOB,
                # one that waits takes the others of its moment along; the moment is over before it is sent
                id=f"joined {moment}/{one.id}",
                body={"receiver": one.id, "about": about.did, "if_active": True},
                order_key=one.id,
                not_before=at,
            )
            async for one in self._records.all(FOLLOWERS, "follower")
            if one.id != about.did
        ]
        if jobs:
            await self._jobs.put(jobs, now)

    async def work(self, job: Job) -> None:
        """Sends one notice. Raises: PeerError, so that it is tried again."""
        receiver = await self._records.member(str(job.body["receiver"]))
        about = await self._records.member(str(job.body["about"]))
        if receiver is None or about is None or not receiver.notices or about.since is None:
            return
        if job.body.get("if_active") and not receiver.is_active:
            return
        raw = notices.write(
            await self._keys.signing(AUTHORITY, Purpose.TRUST_LIST),
            governance=self._space.did,
            space=self._space.id,
            receiver=receiver.did,
            about=about.did,
            state=listed(about).state,
            seq=await self._lists.seq(Listing.PARTICIPANTS),
            now=self._clock.now(),
            jti=self._new_id(),
        )
        answer = await self._outbound.post(receiver.notices, raw.encode(), {"Content-Type": "application/jwt"})
        if not answer.is_success:
            raise PeerAnswer(f"the notice is answered {answer.status}", answer_status=answer.status, where=receiver.notices)
