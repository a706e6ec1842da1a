"""Telling catalogues at once that something has changed here, so that it is found within moments and not at the next crawl.

What lives here: `Announcer`: a worker that notices changes, and the job that tells them. What does not: what a catalogue does with it
(it asks again, as we prove ourselves to it), and which catalogues there are (`participants.NAME.catalogs`).

An announcement says nothing but ids; one without any means everything, such as what the participant says of itself. One that cannot
be delivered is tried again; that it is lost at worst delays what it tells until the catalogue looks by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import orjson

from connector.controlplane.describing import Describing
from connector.controlplane.jobs import Pace
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Revisions
from connector.controlplane.shelf import Item
from connector.errors import NotFound
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob
from connector.ports.peers import Peers
from connector.settings.catalog import KnownCatalog

KIND: Final = "catalog.announce"
PACE: Final = Pace(attempts=12, first_delay_s=0.5, max_delay_s=600)
_LOOK_AGAIN: Final = timedelta(seconds=1)
_MOST_NAMED: Final = 100


class Announcer:
    """Notices what changes on the shelves of participants that belong to a catalogue."""

    def __init__(
        self,
        jobs: Jobs,
        offerings: Offerings,
        describing: Describing,
        revisions: Revisions,
        peers: Peers,
        clock: Clock,
        catalogs: Mapping[str, tuple[KnownCatalog, ...]],
    ) -> None:
        self._jobs = jobs
        self._offerings = offerings
        self._describing = describing
        self._revisions = revisions
        self._peers = peers
        self._clock = clock
        self._catalogs = catalogs
        self._known: dict[str, tuple[int, Mapping[str, Item], str]] = {}
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Notice changes, for ever."""
        while True:
            for name in self._catalogs:
                await self._notice(name)
            await self._clock.wait_until(self._clock.now() + _LOOK_AGAIN, self.woken)

    async def _notice(self, participant: str) -> None:
        """Put a job for each catalogue when the shelf is another than the last time; the first time everything is news."""
        revision = await self._revisions.of(participant)
        before = self._known.get(participant)
        if before is not None and before[0] == revision:
            return
        try:
            items = (await self._offerings.shelf(participant)).items
            about = await self._describing.published(participant)
        except NotFound:
            return
        said = about.digest if about is not None else ""
        changed = [] if before is None or said != before[2] else _changed(before[1], items)
        if before is None or said != before[2] or changed:
            body = {"changed": changed if len(changed) <= _MOST_NAMED else []}
            await self._jobs.put(
                [
                    NewJob(
                        participant=participant,
                        kind=KIND,
                        id=f"{catalog.id} {revision}",
                        body={"catalog": catalog.id, "address": catalog.address, **body},
                        order_key=catalog.id,
                    )
                    for catalog in self._catalogs[participant]
                ],
                self._clock.now(),
            )
        self._known[participant] = (revision, items, said)

    async def tell(self, job: Job) -> None:
        """Tell a catalogue.

        Raises: KontorError: it is tried again.
        """
        url = f"{job.body['address']}/announcements"
        body = orjson.dumps({"changed": job.body["changed"]})
        await self._peers.ask("POST", url, body, participant=job.participant, peer=job.body["catalog"])


def _changed(before: Mapping[str, Item], now: Mapping[str, Item]) -> list[str]:
    # a shelf hands on what did not change: to compare the values of thousands would be the work of each change
    other = [id_ for id_ in {**before, **now} if before.get(id_) is not now.get(id_)]
    return [id_ for id_ in other if before.get(id_) != now.get(id_)]
