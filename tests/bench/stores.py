"""What a node keeps, read from its store while it runs or lies dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.process import Process
from connector.dsp.tables import Kind
from connector.dsp.transfer import Transfer
from connector.ports.store import Filter, Store
from connector.storage import open_store
from tests.bench.nodes import PARTICIPANT

P = TypeVar("P", bound=Process)
_ALL = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The processes and agreements of a node."""

    negotiations: tuple[Negotiation, ...]
    transfers: tuple[Transfer, ...]
    agreements: tuple[Agreement, ...]
    is_busy: bool
    """Whether messages, acts or jobs wait."""

    @property
    def processes(self) -> tuple[Negotiation | Transfer, ...]:
        return (*self.negotiations, *self.transfers)


async def kept(url: str) -> Kept:
    """What the store at `url` holds of the participant."""
    store = open_store(url, node="reader", lease_s=30, connections=2)
    await store.open()
    try:
        return Kept(
            negotiations=await _all(store, Kind.NEGOTIATION, Negotiation),
            transfers=await _all(store, Kind.TRANSFER, Transfer),
            agreements=(await store.agreements(PARTICIPANT, Filter(), limit=_ALL)).items,
            is_busy=await store.next_moment() is not None or (await store.jobs.page(PARTICIPANT)).total > 0,
        )
    finally:
        await store.close()


async def _all(store: Store, kind: Kind, type_: type[P]) -> tuple[P, ...]:
    page = await store.processes(kind, PARTICIPANT, Filter(), limit=_ALL)
    return tuple(process for process in page.items if isinstance(process, type_))
