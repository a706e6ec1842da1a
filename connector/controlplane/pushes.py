"""Pushes that run, as background jobs: of all replicas one moves the data, and when it dies another goes on.

The job of a push is put by the transition that starts it, in its transaction; each entry into STARTED has a job of its own, and those
of one transfer wait for each other, so that what was suspended has stopped wherever it ran before what was resumed begins.
What does not live here: moving (`dataplane/`), stopping what somebody else has ended (`watch.py`), the lease (`jobs.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from connector.controlplane.access import DataAccess
from connector.controlplane.jobs import Failed, Pace
from connector.controlplane.offerings import Offerings
from connector.dsp.process import Process, entry
from connector.dsp.tables import Kind, State
from connector.dsp.transfer import Transfer
from connector.errors import ConfigurationError, Forbidden, NotFound
from connector.ports.dataplane import ENDLESS, DataPlane, Source
from connector.ports.jobs import Job, NewJob
from connector.ports.store import Key, Store

PUSH: Final = "push"
STREAM: Final = "stream"
"""A push that has no end by itself."""
PACE: Final = Pace(attempts=1_000_000, first_delay_s=1, max_delay_s=60, timeout_s=None)
"""A push has its own patience and its own end; what is tried again here is what ended without a word."""
_BATCH: Final = 500


class Ender(Protocol):
    """Whoever ends transfers whose data cannot be moved."""

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        """Moving has failed for good."""
        ...

    async def refused(self, participant: str, pid: str, reason: str) -> None:
        """The terms do not allow it."""
        ...


def job_of(process: Process | None) -> NewJob | None:
    """The job that moves the data of `process` now; None when nothing is to be pushed by us."""
    if not isinstance(process, Transfer) or not (process.is_provider and process.is_push and process.is_open):
        return None
    if process.state is not State.STARTED or process.flow is not None:
        return None
    return NewJob(
        participant=process.participant,
        kind=STREAM if process.format in ENDLESS else PUSH,
        id=f"{process.pid}#{entry(process)}",
        body={"pid": process.pid},
        order_key=process.pid,
    )


async def take_up(store: Store, now: datetime) -> None:
    """After a start: every push that should be running has its job, also where an earlier release began it without one."""
    keys = await store.running(Kind.TRANSFER, (State.STARTED,))
    places = [(key.participant, key.pid) for key in keys]
    for first in range(0, len(places), _BATCH):
        found = await store.several(Kind.TRANSFER, places[first : first + _BATCH])
        await store.jobs.put([job for process in found if (job := job_of(process)) is not None], now)


class Pushes:
    """Does the jobs."""

    def __init__(self, store: Store, offerings: Offerings, data_plane: DataPlane, access: DataAccess, ender: Ender) -> None:
        self._store = store
        self._offerings = offerings
        self._data_plane = data_plane
        self._access = access
        self._ender = ender

    async def push(self, job: Job) -> Failed | None:
        """Move the data, unless the transfer has moved on; returns when that is over, however it ended."""
        process = await self._current(job)
        if process is None:
            return await self._over(job)
        try:
            source: Source = await self._offerings.source(process.participant, process.dataset)
            # of a stream each message is asked about
            if source.events is None:
                await self._access.may_send(process)
        except Forbidden as fault:
            await self._ender.refused(process.participant, process.pid, fault.what)
            return None
        except (NotFound, ConfigurationError) as fault:
            await self._ender.failed(process.participant, process.pid, str(fault))
            return None
        try:
            await self._data_plane.start(process, source)
            await self._data_plane.over(process.participant, process.pid)
        finally:
            # whoever takes this job from us must find that we have stopped
            await self._data_plane.stop(process.participant, process.pid)
        if await self._current(job) is None:
            return await self._over(job)
        return Failed(cause="the push ended, and nobody was told")

    async def _over(self, job: Job) -> Failed | None:
        """Nothing is moved by `job` now: free what the start that it is of has reserved, as whoever stopped it may have died before.

        In doubt, after a restore, it stays: the very same start may turn out to be what the peer holds it for, too.
        """
        process = await self._store.process(_key(job))
        if isinstance(process, Transfer) and process.is_doubted and not process.is_ended:
            return Failed(cause="the peer has not said how the transfer stands since the store was restored")
        if isinstance(process, Transfer) and process.format not in ENDLESS:
            await self._access.let_go(process, int(job.id.rpartition("#")[2]))
        return None

    async def _current(self, job: Job) -> Transfer | None:
        """The transfer, when this job is the one that moves its data now."""
        process = await self._store.process(_key(job))
        wanted = job_of(process)
        return process if isinstance(process, Transfer) and wanted is not None and wanted.id == job.id else None


def _key(job: Job) -> Key:
    return Key(kind=Kind.TRANSFER, participant=job.participant, pid=str(job.body["pid"]))
