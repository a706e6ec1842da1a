"""The authority's signed lists: who takes part in the space, and who is believed for what.

What lives here: `SignedLists`, which gives each list a number that grows with every change, and signs it when it is asked for.
What does not: the form of lists (`trustlists.py`), and who changes a member (`registry.py`).

INVARIANT: a larger number never says what is older. The revision of the members that a list was made from is kept with its number, and
a replica that has seen less than that looks again instead of numbering what it saw. A signed list is kept: all replicas serve the same
bytes, under the same tag.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from connector.errors import Conflict
from connector.identity import trustlists
from connector.identity.authority.members import Member, State
from connector.identity.authority.records import AUTHORITY, LISTS, Records
from connector.identity.authority.space import Space
from connector.identity.authority.statuslists import Served, served
from connector.identity.keys import Keys, Purpose
from connector.identity.trustlists import ListedIssuer, ListedParticipant, Listing, Standing
from connector.jose import SigningKey
from connector.ports.clock import Clock

_STANDINGS: Final = {
    State.ACTIVE: Standing.ACTIVE,
    State.SUSPENDED: Standing.SUSPENDED,
    State.REVOKED: Standing.REVOKED,
}
_MOST_TRIES: Final = 100


@dataclass(slots=True, kw_only=True)
class _Signed:
    seq: int
    revision: int
    key_id: str
    signed_at: datetime
    served: Served


class SignedLists:
    """The two lists of a space."""

    def __init__(self, records: Records, keys: Keys, clock: Clock, space: Space) -> None:
        self._records = records
        self._keys = keys
        self._clock = clock
        self._space = space
        self._signed: dict[Listing, _Signed] = {}
        self._making = asyncio.Lock()

    async def served(self, listing: Listing) -> Served:
        """The list, signed anew when what it says has changed, half of its life is over, or the key is another."""
        return (await self._fresh(listing)).served

    async def seq(self, listing: Listing) -> int:
        """The number of the list as it is now."""
        return (await self._fresh(listing)).seq

    async def _fresh(self, listing: Listing) -> _Signed:
        # of many that ask at once, as notices do, one makes the list
        async with self._making:
            return await self._made(listing)

    async def _made(self, listing: Listing) -> _Signed:
        revision = await self._records.revision()
        key, now = await self._keys.signing(AUTHORITY, Purpose.TRUST_LIST), self._clock.now()
        signed = self._signed.get(listing)
        if (
            signed is not None
            and signed.revision == revision
            and signed.key_id == key.id
            and signed.signed_at <= now < signed.signed_at + trustlists.LIFE / 2
        ):
            return signed
        for _ in range(_MOST_TRIES):
            revision = await self._records.revision()
            entries = await self._entries(listing)
            seq = await self._numbered(listing, trustlists.shown_digest(entries), revision)
            if seq is None:
                continue
            write = partial(self._written, listing, entries, key, seq)
            found = await self._records.signed(
                "list", listing, {"version": seq, "key": key.id}, write, now, trustlists.LIFE / 2
            )
            signed = _Signed(
                seq=seq,
                revision=revision,
                key_id=key.id,
                signed_at=found.at,
                served=served(found.raw.encode(), b"application/jwt", max_age_s=0),
            )
            self._signed[listing] = signed
            return signed
        raise Conflict(f"the list of {listing} changes too often", mend="try again")

    def _written(
        self, listing: Listing, entries: Sequence[ListedParticipant | ListedIssuer], key: SigningKey, seq: int, now: datetime
    ) -> str:
        space = self._space
        return trustlists.write(listing, entries, key=key, governance=space.did, space=space.id, seq=seq, now=now)

    async def _entries(self, listing: Listing) -> Sequence[ListedParticipant | ListedIssuer]:
        if listing is Listing.ISSUERS:
            types = tuple(one.type for one in self._space.kinds)
            return (ListedIssuer(id=self._space.did, types=types), *self._space.issuers)
        return [listed(one) async for one in self._records.members() if one.since is not None]

    async def _numbered(self, listing: Listing, digest: str, revision: int) -> int | None:
        """The number of a list with these entries; None when another replica has seen more than they say."""
        kept = await self._records.get(LISTS, "signed-list", listing)
        if kept is not None and kept.body["digest"] == digest:
            return int(kept.body["seq"])
        if kept is not None and kept.body["revision"] > revision:
            return None
        seq = int(kept.body["seq"]) + 1 if kept is not None else 1
        body = {"seq": seq, "digest": digest, "revision": revision}
        try:
            await self._records.put(LISTS, "signed-list", listing, body, kept.version if kept is not None else 0)
        except Conflict:
            return None
        return seq


def listed(member: Member) -> ListedParticipant:
    """How others are told of somebody who is a member, or was one."""
    return ListedParticipant(
        id=member.did,
        # who has left and applies again is none until it is taken in
        state=_STANDINGS.get(member.state, Standing.REVOKED),
        name=str(member.attributes.get("name", "")),
        address=member.address,
        since=member.since,
    )
