"""The data planes under our control: the port `Planes`, choosing one for a transfer, and calling it.

What lives here: choosing, HTTP calls in the plane's dialect, and how each plane answered last. What does not: what is said in which
dialect (`telling.py`), how entries are kept (`book.py`).
A plane that is down stays registered and its offers stay: what waits for it is the transfer.
Source: Data Plane Signaling v1.0-RC3, "Data Plane Endpoint"; the older dialect as EDC 0.15.1 speaks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connector import observe
from connector.dps import standard
from connector.dps.flow import format_of
from connector.dps.messages import ControlPlaneRegistration, Dialect, Status
from connector.errors import BadMessage, KontorError, PeerAnswer, PeerMessage, TooLarge, Unreachable
from connector.outbound.client import Answer, OutboundClient
from connector.outbound.rules import shown
from connector.ports.clock import Clock
from connector.ports.signaling import PlaneWish, Telling
from connector.signaling import telling as words
from connector.signaling.book import Book
from connector.signaling.entries import Entry, vet
from connector.signaling.logins import Logins

_MOST_BYTES: Final = 1 << 20
_AT_ONCE: Final = 28
"""Calls to one plane under way at once: one that hangs leaves room for others."""
_WHEN_DOWN: Final = 4
"""The same, once it has failed to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a plane answered last, seen from this node."""

    at: datetime
    fault: str = ""
    """Empty: it answered."""


class DataPlanes:
    """The data planes of all participants of this node."""

    def __init__(self, book: Book, outbound: OutboundClient, logins: Logins, clock: Clock, *, url: str, id_: str) -> None:
        """`url` is where planes reach our signaling listener, `id_` our id as a control plane."""
        self.book = book
        self._outbound = outbound
        self._logins = logins
        self._clock = clock
        self._url = url
        self._id = id_
        self._health: dict[tuple[str, str], Health] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()

    def health(self, participant: str, plane: str) -> Health | None:
        """How it answered last; None when this node has not called it."""
        return self._health.get((participant, plane))

    def callback(self, entry: Entry) -> str:
        """Where `entry` reports."""
        return f"{self._url}/{entry.participant}"

    # --- port Planes

    async def profiles(self, participant: str, source_type: str) -> tuple[str, ...]:
        """The transfer profiles in which some plane can serve a source of this type."""
        found = [entry for entry in await self.book.all(participant) if words.serves(entry, source_type)]
        return tuple(dict.fromkeys(profile for entry in found for profile in entry.profiles))

    async def choose(self, participant: str, wish: PlaneWish) -> str | None:
        """The id of a plane that fits; one that answered last time comes first."""
        fits = [entry for entry in await self.book.all(participant) if self._fits(entry, wish)]
        if not fits:
            return None
        down = {entry.id for entry in fits if (known := self.health(participant, entry.id)) is not None and known.fault}
        return min(fits, key=lambda entry: (entry.id in down, entry.id)).id

    def _fits(self, entry: Entry, wish: PlaneWish) -> bool:
        if wish.plane is not None and entry.id != wish.plane:
            return False
        if format_of(wish.profile) not in map(format_of, entry.profiles) or not set(wish.labels) <= set(entry.labels):
            return False
        return wish.source_type is None or words.serves(entry, wish.source_type)

    async def tell(self, participant: str, plane: str, telling: Telling) -> Status:
        """How the flow stands after the plane has taken `telling`."""
        entry = await self.book.get(participant, plane)
        said = words.said(entry, telling, self.callback(entry))
        if said.body is None:
            return said.read(b"")
        answer = await self._call(entry, "POST", f"{entry.endpoint}/dataflows{said.path}", said.body)
        return _read(said.read, answer, entry)

    async def look(self, participant: str, plane: str, flow_id: str) -> Status:
        """How the flow stands, asked of the plane."""
        entry = await self.book.get(participant, plane)
        said = words.asked(entry, flow_id)
        return _read(said.read, await self._call(entry, "GET", f"{entry.endpoint}/dataflows{said.path}", None), entry)

    # --- calling

    async def announce(self, entry: Entry) -> None:
        """Register ourselves with a data plane whose entry says so.

        Raises: as `tell`.
        """
        secret = entry.authorization.secret
        mine = ControlPlaneRegistration(
            id=self._id,
            endpoint=self.callback(entry),
            authorization={"type": "shared_secret", "secret": secret} if secret is not None else None,
        )
        await self._call(entry, "PUT", f"{entry.endpoint}/controlplanes", standard.write_control_plane(mine))

    async def _call(self, entry: Entry, method: str, url: str, body: bytes | None) -> Answer:
        """The answer of a plane, a success.

        Raises: Unreachable, PeerAnswer, PeerMessage, AddressRefused.
        """
        vet(entry.endpoint, entry, "endpoint")
        place = (entry.participant, entry.id)
        known = self._health.get(place)
        if self._under_way[place] >= (_WHEN_DOWN if known is not None and known.fault else _AT_ONCE):
            raise Unreachable(
                "calls to this data plane wait for an answer already", where=shown(url), mend="see that it answers"
            )
        # None: whoever waited for the answer has gone
        fault: str | None = None
        self._under_way[place] += 1
        try:
            headers: Mapping[str, str] = {
                **await self._logins.headers(entry),
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
            answer = await self._outbound.request(method, url, body, headers, max_bytes=_MOST_BYTES)
            if entry.dialect is Dialect.EDC and answer.status not in (200, 204):
                raise _refused(answer, url)
            if not answer.is_success:
                if answer.status == 401:
                    self._logins.forget(entry)
                raise _refused(answer, url)
            fault = ""
            return answer
        except KontorError as problem:
            fault = str(problem) if not isinstance(problem, PeerAnswer) or problem.answer_status >= 500 else ""
            raise
        finally:
            self._under_way[place] -= 1
            if fault is not None:
                self._answered(place, fault)

    def _answered(self, place: tuple[str, str], fault: str) -> None:
        known = self._health.get(place)
        if fault and (known is None or not known.fault):
            observe.warning("signaling.plane_down", plane=place[1], participant=place[0], cause=fault)
        self._health[place] = Health(at=self._clock.now(), fault=fault)


def _refused(answer: Answer, url: str) -> PeerAnswer:
    return PeerAnswer(f"the data plane answers {answer.status}", answer_status=answer.status, where=shown(url))


def _read(read: words.Reader, answer: Answer, entry: Entry) -> Status:
    try:
        return read(answer.body)
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the data plane answers something else: {fault.what}", where=entry.id) from fault
