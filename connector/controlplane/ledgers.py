"""The ledgers of data products that our participants belong to, asked for their operators.

What lives here: which ledger is asked, and how we prove who asks. What does not: what a ledger answers (`federation/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from connector import strict
from connector.controlplane.participants import Participants
from connector.dsp.process import below
from connector.errors import BadMessage, CallerError, PeerMessage, TooLarge
from connector.ports.peers import Peers
from connector.settings.catalog import KnownCatalog

_LIMITS: Final = strict.Limits(max_bytes=8 << 20)


class Ledgers:
    """Asks ledgers."""

    def __init__(self, participants: Participants, peers: Peers, catalogs: Mapping[str, tuple[KnownCatalog, ...]]) -> None:
        self._participants = participants
        self._peers = peers
        self._catalogs = catalogs

    async def search(
        self, participant: str, fields: Mapping[str, Sequence[str]], *, address: str | None, peer: str | None
    ) -> Mapping[str, Any]:
        """A page of what the ledger at `address` finds; without one the first that the participant belongs to.

        Raises: CallerError when there is none; PeerError of every kind, NotFound.
        """
        return await self.asked(participant, "GET", "api/search?" + urlencode(fields, doseq=True), address=address, peer=peer)

    async def report(self, participant: str, member: str, *, address: str | None, peer: str | None) -> Mapping[str, Any]:
        """How the ledger's last look at a member went.

        Raises: as `search`.
        """
        return await self.asked(participant, "GET", below("api/reports", member), address=address, peer=peer)

    async def members(
        self, participant: str, after: str | None, size: int, *, failing: bool, address: str | None, peer: str | None
    ) -> Mapping[str, Any]:
        """A page of the ledger's members by id, and how its last looks at them went.

        Raises: as `search`.
        """
        fields = {"size": str(size), "failing": "true" if failing else "false"} | ({"after": after} if after else {})
        return await self.asked(participant, "GET", "api/members?" + urlencode(fields), address=address, peer=peer)

    async def asked(
        self,
        participant: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        address: str | None,
        peer: str | None,
    ) -> Mapping[str, Any]:
        """What the ledger answers at `path`, below its own address.

        Raises: as `search`.
        """
        await self._participants.context(participant)
        known = self._catalogs.get(participant, ())
        if address is None:
            if not known:
                raise CallerError(
                    f"participant `{participant}` belongs to no catalogue",
                    where=f"participants.{participant}.catalogs",
                    mend='add `{ id = "did:web:...", address = "https://.../catalog" }` there, or name one with `--catalog`',
                )
            address, peer = known[0].address, known[0].id
        elif peer is None:
            peer = next((one.id for one in known if one.address == address.rstrip("/")), None)
        url = f"{address.rstrip('/')}/{path}"
        data = orjson.dumps(body) if body is not None else None
        answer = await self._peers.ask(method, url, data, participant=participant, peer=peer)
        if answer.status == 204:
            return {}
        try:
            tree = strict.scan(answer.body, _LIMITS)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the ledger's answer cannot be read: {fault}", where=url) from fault
        if not isinstance(tree, dict):
            raise PeerMessage("the ledger's answer is no object", where=url)
        return tree
