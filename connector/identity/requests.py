"""Our participants' requests for credentials: kept until they are answered, and for as long as they stand renewed before the end.

What lives here: `Request`, and `Requests` over the node's store. What does not: sending them (`renewal.py`), and what is delivered
(`deliveries.py`). A request is named by its `holderPid`; only what names an open one, of its issuer, is taken in.
Source: DCP 1.0, sections 6.4 and 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from connector.errors import Conflict, NotFound
from connector.ports.clock import Clock
from connector.ports.store import Document, Store

KIND: Final = "credential-request"
ASKING: Final = "@asking"
"""The context that names the participants with requests: whoever looks for work does not go through all there are."""


class RequestState(StrEnum):
    """Where a request is."""

    REQUESTED = "REQUESTED"
    """To be sent, or on its way."""
    RECEIVED = "RECEIVED"
    """The issuer has it."""
    ISSUED = "ISSUED"
    """What it asks for is here."""
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for credentials."""

    id: str
    """Our name for it: the `holderPid`."""
    issuer: str
    """The DID of the issuer."""
    types: tuple[str, ...]
    profile: str = ""
    """The format to ask for, where the issuer has several; empty for whichever it lists first."""
    is_standing: bool = True
    """Whether it is renewed before what it brought ends, and takes in what the issuer sends meanwhile."""
    state: RequestState = RequestState.REQUESTED
    location: str = ""
    """Where the issuer tells how it stands."""
    next_at: datetime | None = None
    """When it must be looked at again; None for never."""
    offered: tuple[str, ...] = ()
    """Ids that its issuer offers anew; what they name has to be looked up in the issuer's metadata."""
    renew_at: datetime | None = None
    """While something offered is looked up: when it would have been looked at without."""
    tries: int = 0
    error: str = ""
    """Why it does not go on."""
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something may still be delivered for it."""
        return self.is_standing or self.state in (RequestState.REQUESTED, RequestState.RECEIVED)


class Requests:
    """Requests by participant."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, participant: str, request: Request) -> Request:
        """Keep a new request; it is sent from now on.

        Raises: Conflict when its name is taken.
        """
        if await self._store.document(participant, KIND, request.id) is not None:
            raise Conflict(f"there is a request `{request.id}`", where=request.id, mend="choose another name, or end that one")
        now = self._clock.now()
        await self._store.put_document(
            Document(participant=ASKING, kind=KIND, id=participant, body={}, created_at=now, updated_at=now)
        )
        return await self.put(participant, replace(request, next_at=now, version=0))

    async def participants(self) -> tuple[str, ...]:
        """The participants that have ever asked for something."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(ASKING, KIND, cursor=cursor, limit=1000)
            found += [one.id for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def put(self, participant: str, request: Request) -> Request:
        """Keep `request` in place of the version that it was read as.

        Raises: Conflict when it was changed meanwhile.
        """
        now = self._clock.now()
        kept = await self._store.put_document(
            Document(participant=participant, kind=KIND, id=request.id, body=_body(request), created_at=now, updated_at=now),
            expect=request.version,
        )
        return replace(request, version=kept.version)

    async def get(self, participant: str, id_: str) -> Request | None:
        """The request, or None."""
        kept = await self._store.document(participant, KIND, id_)
        return _request(kept) if kept is not None else None

    async def all(self, participant: str) -> tuple[Request, ...]:
        """Every request of `participant`, by its name."""
        found: list[Request] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, KIND, cursor=cursor, limit=100)
            found += [_request(one) for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def drop(self, participant: str, id_: str) -> None:
        """End a request: nothing is taken in for it any more, nothing renewed.

        Raises: NotFound.
        """
        if not await self._store.delete_document(participant, KIND, id_):
            raise NotFound(f"there is no request `{id_}`", where=id_, mend="see `kontor credentials list`")


def _body(request: Request) -> dict[str, Any]:
    return {
        "issuer": request.issuer,
        "types": list(request.types),
        "profile": request.profile,
        "is_standing": request.is_standing,
        "state": request.state.value,
        "location": request.location,
        "next_at": _text(request.next_at),
        "offered": list(request.offered),
        "renew_at": _text(request.renew_at),
        "tries": request.tries,
        "error": request.error,
    }


def _request(kept: Document) -> Request:
    body: Mapping[str, Any] = kept.body
    return Request(
        id=kept.id,
        issuer=body["issuer"],
        types=tuple(body["types"]),
        profile=body["profile"],
        is_standing=body["is_standing"],
        state=RequestState(body["state"]),
        location=body["location"],
        next_at=_moment(body["next_at"]),
        # what an earlier release has written has neither
        offered=tuple(body.get("offered", ())),
        renew_at=_moment(body.get("renew_at")),
        tries=body["tries"],
        error=body["error"],
        version=kept.version,
    )


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
