"""The authority's status lists: places given out at random, bits set, lists signed when they have changed or grow old.

What lives here: `StatusLists`. What does not: what a list looks like (`issuing.py`), and when a credential is withdrawn (`registry.py`).

A place is taken by writing a record that only one can write: of several replicas none gives a place twice. Places are drawn at random,
so that nothing is learnt from a credential's number; a list on which many draws in a row find nothing free is full, and a new one begins.
A signed list is kept beside its bits: every replica serves the same bytes, under the same tag.
Source: Bitstring Status List 1.0, sections 3.1 and 5 (privacy); Status List 2021.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from connector.errors import Conflict, NotFound
from connector.identity import status
from connector.identity.authority import issuing
from connector.identity.authority.issuing import Entry
from connector.identity.authority.kinds import PURPOSES, CredentialType
from connector.identity.authority.records import AUTHORITY, LISTS, Body, Records
from connector.identity.formats import Model
from connector.identity.keys import Keys, Purpose
from connector.ports.clock import Clock

_NAMES: Final = {Model.V1: "2021", Model.V2: "bitstring"}
_MODELS: Final = {name: model for model, name in _NAMES.items()}
_DRAWS: Final = 24
_MOST_LISTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Something signed, as it is served."""

    body: bytes
    content_type: bytes
    etag: str
    max_age_s: int


@dataclass(slots=True, kw_only=True)
class _Signed:
    version: int
    key_id: str
    signed_at: datetime
    token: Served
    plain: Served


class StatusLists:
    """The lists of one issuer."""

    def __init__(
        self,
        records: Records,
        keys: Keys,
        clock: Clock,
        *,
        issuer: str,
        address: str,
        draw: Callable[[int], int],
        entries: int = status.LEAST_BITS,
    ) -> None:
        self._records = records
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._address = address
        self._draw = draw
        self._bytes = max(entries, status.LEAST_BITS) // 8
        self._current: dict[str, int] = {}
        self._signed: dict[str, _Signed] = {}

    async def allot(self, kind: CredentialType, credential: str) -> tuple[Entry, ...]:
        """A place for a new credential of `kind` on one list of each of its purposes; nobody else ever gets it."""
        return tuple([await self._place(kind.model, purpose, credential) for purpose in kind.purposes])

    async def set(self, changes: Iterable[tuple[Entry, bool]]) -> None:
        """Set or clear the bits of places. Each list is written and signed once; a bit that is right already costs nothing."""
        by_list: dict[str, list[tuple[Entry, bool]]] = {}
        for entry, is_set in changes:
            by_list.setdefault(entry.list, []).append((entry, is_set))
        for name, wanted in by_list.items():

            def changed(body: Body | None, wanted: list[tuple[Entry, bool]] = wanted) -> Body:
                bits = status.unpack(body["bits"]) if body is not None else bytes(self._bytes)
                for entry, is_set in wanted:
                    bits = issuing.with_bit(bits, entry.index, is_set=is_set)
                return {"bits": status.pack(bits)}

            await self._records.update(LISTS, "status-list", name, changed)
            await self._fresh(name)

    async def served(self, name: str, *, is_plain: bool = False) -> Served:
        """The list `name`, signed anew when it has changed, when half of its life is over, or when the key is another.

        `is_plain` gives it as JSON without a signature, for connectors that read nothing else.

        Raises: NotFound.
        """
        found = await self._fresh(name)
        return found.plain if is_plain else found.token

    async def _fresh(self, name: str) -> _Signed:
        style, _, rest = name.partition("-")
        purpose = rest.rpartition("-")[0]
        kept = await self._records.get(LISTS, "status-list", name)
        if kept is None or style not in _MODELS or purpose not in PURPOSES:
            raise NotFound("there is no such list")
        key = await self._keys.signing(AUTHORITY, Purpose.STATUS_LIST)
        now = self._clock.now()
        signed = self._signed.get(name)
        if (
            signed is not None
            and signed.version == kept.version
            and signed.key_id == key.id
            and signed.signed_at <= now < signed.signed_at + issuing.LIST_LIFE / 2
        ):
            return signed
        bits, url, model = status.unpack(kept.body["bits"]), self.url(name), _MODELS[style]

        def write(moment: datetime) -> str:
            return issuing.status_list(model, purpose, bits, key=key, issuer=self._issuer, url=url, now=moment)

        wanted = {"version": kept.version, "key": key.id}
        found = await self._records.signed("status-list", name, wanted, write, now, issuing.LIST_LIFE / 2)
        # what is not signed follows from the rest, to the byte
        plain = issuing.plain_status_list(model, purpose, bits, issuer=self._issuer, url=url, now=found.at)
        type_ = b"application/jwt" if model is Model.V1 else b"application/vc+jwt"
        signed = _Signed(
            version=kept.version,
            key_id=key.id,
            signed_at=found.at,
            token=served(found.raw.encode(), type_),
            plain=served(orjson.dumps(plain), b"application/json"),
        )
        self._signed[name] = signed
        return signed

    def url(self, name: str) -> str:
        """Where the list `name` stands."""
        return f"{self._address}/status/{name}"

    async def _place(self, model: Model, purpose: str, credential: str) -> Entry:
        series = f"{_NAMES[model]}-{purpose}"
        for number in range(self._current.get(series, 1), _MOST_LISTS):
            name = f"{series}-{number}"
            if series not in self._current or self._current[series] != number:
                await self._begin(name)
                self._current[series] = number
            for _ in range(_DRAWS):
                index = self._draw(self._bytes * 8)
                record: dict[str, Any] = {"credential": credential}
                try:
                    await self._records.put(LISTS, "status-entry", f"{name}.{index}", record, 0)
                except Conflict:
                    continue
                return Entry(list=name, url=self.url(name), purpose=purpose, index=index)
        raise Conflict("there is no free place on any status list")

    async def _begin(self, name: str) -> None:
        empty = {"bits": status.pack(bytes(self._bytes))}
        await self._records.update(LISTS, "status-list", name, lambda body: empty if body is None else body)


def served(body: bytes, content_type: bytes, max_age_s: int = 60) -> Served:
    """`body` with the tag that its readers ask again by."""
    return Served(body=body, content_type=content_type, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"', max_age_s=max_age_s)
