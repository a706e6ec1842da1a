"""Background work, carried out: claims the jobs whose kinds somebody has registered for, several at once, and sees each to its end.

What lives here: the loop, the back-off, the lease that is kept up while a handler works, failures made visible. What does not: what
a job does (the handlers), and where jobs are kept (`ports/jobs.py`).

A handler may be called again for a job that it has done: when the node dies between its last act and the note that it is done.
It therefore does what can be done twice, or finds out what was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe
from connector.errors import KontorError, StoreUnavailable
from connector.ports.clock import Clock
from connector.ports.jobs import Failure, Job, Jobs

_LOOK_AGAIN: Final = timedelta(seconds=10)
_AFTER_A_FAULT: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The job ended well and comes again: it is one that repeats."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job could not be done, as an answer rather than an error; a KontorError that a handler raises is one of these."""

    cause: str
    is_final: bool = False
    """True when trying again cannot help."""
    not_before: datetime | None = None
    """When to try again, such as a peer asked for; None: after the usual pause."""


Handler = Callable[[Job], Awaitable[Again | Failed | None]]
"""Does one job; None when it is done."""


def repeated(work: Callable[[Job], Awaitable[datetime | None]]) -> Handler:
    """The handler of rooms below this one, which say when a job is due again; None when it is done."""

    async def handle(job: Job) -> Again | None:
        at = await work(job)
        return Again(at=at) if at is not None else None

    return handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often and how long the jobs of a kind are tried."""

    attempts: int = 8
    """Tries in a row before a job is given up; one that a node died over counts."""
    first_delay_s: float = 1.0
    """Pause after the first failure; it doubles each time."""
    max_delay_s: float = 300.0
    timeout_s: float | None = 60.0
    """Longest time for one try; None: as long as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    handler: Handler
    pace: Pace


class Workers:
    """Runs jobs, at most `parallel` at once."""

    def __init__(self, jobs: Jobs, clock: Clock, *, lease_s: float, parallel: int = 16) -> None:
        self._jobs = jobs
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)
        self._parallel = parallel
        self._trades: dict[str, _Trade] = {}
        self._running = 0
        self._woken = asyncio.Event()

    def register(self, kind: str, handler: Handler, pace: Pace | None = None) -> None:
        """Have `handler` do the jobs of `kind`: called before `run`, once for each kind."""
        if kind in self._trades:
            raise ValueError(f"somebody does the jobs of kind `{kind}` already")
        self._trades[kind] = _Trade(handler=handler, pace=pace or Pace())

    @property
    def is_idle(self) -> bool:
        """True when nobody has registered: there is nothing to run."""
        return not self._trades

    async def run(self) -> None:
        """Work until cancelled. What was begun and not ended then is free when its lease is over, or when this node starts anew."""
        self._jobs.listen(self._woken.set)
        kinds = tuple(self._trades)
        async with asyncio.TaskGroup() as tasks:
            while True:
                now = self._clock.now()
                latest = now + _LOOK_AGAIN
                try:
                    moment = await self._begin(tasks, kinds, now)
                except StoreUnavailable as fault:
                    observe.error("jobs.store_unavailable", cause=fault)
                    moment = now + _AFTER_A_FAULT
                await self._clock.wait_until(latest if moment is None else min(moment, latest), self._woken)

    async def _begin(self, tasks: asyncio.TaskGroup, kinds: tuple[str, ...], now: datetime) -> datetime | None:
        """When to look again: what can be begun now has begun."""
        while (free := self._parallel - self._running) > 0:
            found = await self._jobs.claim(kinds, now, limit=free)
            for job in found:
                self._running += 1
                tasks.create_task(self._see_through(job))
            if len(found) < free:
                return await self._jobs.next_moment(kinds)
        # each job that ends wakes us
        return None

    async def _see_through(self, job: Job) -> None:
        try:
            with observe.bound(participant=job.participant):
                await self._do(job)
        except StoreUnavailable as fault:
            observe.error("jobs.unsettled", kind=job.kind, job=job.id, cause=fault)
        except Exception as fault:  # noqa: BLE001 - one job that cannot be dealt with must not take the others with it
            observe.error("jobs.failed", fault=fault, kind=job.kind, job=job.id)
        finally:
            self._running -= 1
            self._woken.set()

    async def _do(self, job: Job) -> None:
        trade = self._trades[job.kind]
        pace = trade.pace
        if job.tries > pace.attempts:
            # only a node that died each time gets here: nobody was left to count
            await self._end(job, pace, Failed(cause="the node ended each time while it was at this", is_final=True))
            return
        outcome: Again | Failed | None
        try:
            outcome = await self._kept(job, trade)
        except StoreUnavailable:
            raise
        except TimeoutError:
            outcome = Failed(cause=f"not done within {pace.timeout_s or 0:g} s")
        except KontorError as fault:
            outcome = Failed(cause=str(fault))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is told and tried again
            observe.error("jobs.handler_failed", fault=fault, kind=job.kind, job=job.id)
            outcome = Failed(cause=f"{type(fault).__name__}: {fault}")
        await self._end(job, pace, outcome)

    async def _kept(self, job: Job, trade: _Trade) -> Again | Failed | None:
        """What the handler says; the lease is kept up meanwhile.

        Raises: what the handler raises, TimeoutError.
        """
        async with asyncio.timeout(trade.pace.timeout_s):
            work = asyncio.ensure_future(trade.handler(job))
            keeper = asyncio.create_task(self._keep(job, work))
            try:
                return await work
            finally:
                work.cancel()
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, job: Job, work: asyncio.Future[Again | Failed | None]) -> None:
        """Renew the lease in time; work whose lease is lost is stopped: another node has it."""
        never = asyncio.Event()
        kept_at = self._clock.now()
        while True:
            await self._clock.wait_until(self._clock.now() + self._lease / 4, never)
            now = self._clock.now()
            try:
                is_ours = await self._jobs.keep(job, now)
                kept_at = now
            except StoreUnavailable as fault:
                observe.warning("jobs.lease_not_kept", kind=job.kind, job=job.id, cause=fault)
                # INVARIANT: work has stopped before another node can have it
                is_ours = abs(now - kept_at) < self._lease / 2
            if not is_ours:
                # whoever waits for it ends as cancelled too, and so writes nothing about the job
                work.cancel()
                return

    async def _end(self, job: Job, pace: Pace, outcome: Again | Failed | None) -> None:
        now = self._clock.now()
        if outcome is None:
            await self._jobs.done(job)
            observe.count("jobs", kind=job.kind, outcome="done")
            return
        if isinstance(outcome, Again):
            await self._jobs.put_off(job, outcome.at)
            observe.count("jobs", kind=job.kind, outcome="again")
            return
        failure = Failure(at=now, cause=outcome.cause)
        if outcome.is_final or job.tries >= pace.attempts:
            await self._jobs.give_up(job, failure)
            observe.count("jobs", kind=job.kind, outcome="given-up")
            observe.warning("jobs.given_up", kind=job.kind, job=job.id, tries=job.tries, cause=outcome.cause)
            return
        delay = timedelta(seconds=min(pace.first_delay_s * 2 ** (job.tries - 1), pace.max_delay_s))
        await self._jobs.put_off(job, max(now + delay, outcome.not_before or now), failure)
        observe.count("jobs", kind=job.kind, outcome="put-off")
        observe.info("jobs.put_off", kind=job.kind, job=job.id, tries=job.tries, cause=outcome.cause)
