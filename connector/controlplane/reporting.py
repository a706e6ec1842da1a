"""Telling catalogues how many agreements a participant has concluded, where its operator wants that.

What lives here: `Reporter`, a worker that counts, and the job that tells. What does not: what a ledger makes of the number, and who the
catalogues are (`participants.NAME.catalogs`). Only a count is told, of agreements as a provider, so that no agreement is counted twice;
nothing is told of whom they are with or about, and nothing at all without `participants.NAME.report_agreements`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import orjson

from connector.controlplane.jobs import Pace
from connector.dsp.tables import Role
from connector.ports.clock import Clock
from connector.ports.jobs import Job, NewJob
from connector.ports.peers import Peers
from connector.ports.store import Filter, Store
from connector.settings.catalog import KnownCatalog

KIND: Final = "catalog.agreements"
PACE: Final = Pace(attempts=6, first_delay_s=5, max_delay_s=600)
EVERY: Final = timedelta(minutes=1)


class Reporter:
    """Counts the agreements of participants that report them."""

    def __init__(self, store: Store, peers: Peers, clock: Clock, catalogs: Mapping[str, tuple[KnownCatalog, ...]]) -> None:
        """`catalogs` of those participants alone that report."""
        self._store = store
        self._peers = peers
        self._clock = clock
        self._catalogs = catalogs
        self._told: dict[str, int] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        never = asyncio.Event()
        while True:
            await self.look()
            await self._clock.wait_until(self._clock.now() + EVERY, never)

    async def look(self) -> None:
        """Put a job for each catalogue of a participant whose count is another than the one told last; after a start each is told."""
        for participant, catalogs in self._catalogs.items():
            page = await self._store.agreements(participant, Filter(role=Role.PROVIDER), limit=1)
            if self._told.get(participant) == page.total:
                continue
            now = self._clock.now()
            jobs = [
                NewJob(
                    participant=participant,
                    kind=KIND,
                    id=f"{catalog.id} {page.total} {int(now.timestamp())}",
                    body={"catalog": catalog.id, "address": catalog.address, "concluded": page.total},
                    order_key=f"agreements {catalog.id}",
                )
                for catalog in catalogs
            ]
            await self._store.jobs.put(jobs, now)
            self._told[participant] = page.total

    async def tell(self, job: Job) -> None:
        """Tell a catalogue. Raises: KontorError: it is tried again."""
        url = f"{job.body['address']}/agreements"
        body = orjson.dumps({"concluded": job.body["concluded"]})
        await self._peers.ask("POST", url, body, participant=job.participant, peer=job.body["catalog"])
