"""What a member's state means for the credentials that it was given: the bits of their status lists.

What lives here: `Withdrawal`: which credentials were given to whom, and `settle`, which makes their bits say what the state says.
What does not: who changes a state (`registry.py`), and the lists (`statuslists.py`).

`settle` may be called at any time and again: it only ever writes what follows from the state. Before a state changes, a job is put that
settles the member once more, so that a node that dies between the two leaves nothing undone.
A suspension is a bit of a list for suspensions, cleared when it ends; a credential that stands on no such list is revoked instead, and
a revocation is never taken back: such a member is offered new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from connector.identity.authority.issuing import Entry
from connector.identity.authority.kinds import REVOCATION, SUSPENSION
from connector.identity.authority.members import Member, State
from connector.identity.authority.records import AUTHORITY, ISSUED, Body, Records
from connector.identity.authority.statuslists import StatusLists
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

JOB: Final = "authority.settle"
_AFTER: Final = timedelta(seconds=5)
_GRACE: Final = timedelta(days=1)
"""How long after its end a credential is still known."""


class Withdrawal:
    """The credentials that were given, and whether they hold."""

    def __init__(self, records: Records, lists: StatusLists, jobs: Jobs, clock: Clock, *, new_id: Callable[[], str]) -> None:
        self._records = records
        self._lists = lists
        self._jobs = jobs
        self._clock = clock
        self._new_id = new_id

    async def note(self, did: str) -> None:
        """Have the member settled a little later, whatever happens to this node until then."""
        now = self._clock.now()
        job = NewJob(
            participant=AUTHORITY, kind=JOB, id=self._new_id(), body={"did": did}, order_key=did, not_before=now + _AFTER
        )
        await self._jobs.put([job], now)

    async def given(self, did: str, credential: str, type_: str, entries: tuple[Entry, ...], ends: datetime) -> None:
        """Keep that a credential is about to be given, before it is signed: nothing that was given can be forgotten."""
        row = {
            "id": credential,
            "type": type_,
            "ends": ends.isoformat(),
            "entries": [{"list": one.list, "url": one.url, "purpose": one.purpose, "index": one.index} for one in entries],
        }
        now = self._clock.now()

        def change(body: Body | None) -> Body:
            kept = [one for one in (body or {"credentials": []})["credentials"] if _ends(one) + _GRACE > now]
            return {"credentials": [*kept, row]}

        await self._records.update(ISSUED, "issued", did, change)

    async def credentials(self, did: str) -> tuple[Mapping[str, Any], ...]:
        """What was given to a member and is not over."""
        kept = await self._records.get(ISSUED, "issued", did)
        return tuple(kept.body["credentials"]) if kept is not None else ()

    async def settle(self, did: str) -> None:
        """Make the bits of the member's credentials say what its state says."""
        member = await self._records.member(did)
        if member is None:
            return
        changes: list[tuple[Entry, bool]] = []
        for row in await self.credentials(did):
            entries = [Entry(**one) for one in row["entries"]]
            purposes = {one.purpose for one in entries}
            changes += [(one, wanted) for one in entries if (wanted := _bit(member, one.purpose, purposes)) is not None]
        await self._lists.set(changes)

    async def revoke(self, did: str, credential: str) -> None:
        """Revoke one credential for ever."""
        found = [Entry(**one) for row in await self.credentials(did) if row["id"] == credential for one in row["entries"]]
        await self._lists.set([(one, True) for one in found if one.purpose == REVOCATION])

    async def work(self, job: Job) -> None:
        """Settles a member: the handler of the jobs that `note` puts."""
        await self.settle(str(job.body["did"]))


def _bit(member: Member, purpose: str, purposes: set[str]) -> bool | None:
    """What a bit must say; None leaves it as it is."""
    if member.state is State.REVOKED:
        return True
    if purpose == SUSPENSION:
        return member.state is State.SUSPENDED
    if member.state is State.SUSPENDED and SUSPENSION not in purposes:
        return True
    return None


def _ends(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["ends"])
