"""Processes compared with what their peers hold them for, after a restore or when an operator asks; durable, and polite.

1. `begin` writes down which processes are compared, in jobs of some fifty, one peer after another for each peer.
2. A job asks the peer about each (`asking.py`), judges (`dsp/comparing.py`) and commits what follows, if nothing has moved meanwhile.
3. What is on its way, was told or asked for again, is looked at again after a moment, a few times; what differs then is ended.
After a restore (`take_up`) everything that had not ended is in doubt before anybody is answered: nothing of it is given out, and none
of its delayed acts is carried out, until it was compared; how long it may stand still begins anew. Each finding stands in the journal
(`reconciled.py` reads it), in the process's timeline where it changed something, and in the log.
A peer that hangs holds up its own jobs alone; one that lies gets nowhere that its messages could not have got it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connector import observe
from connector.controlplane.agreements import Agreements, lost_agreement
from connector.controlplane.asking import Told, asked
from connector.controlplane.decisions import Choice
from connector.controlplane.jobs import Failed, Pace
from connector.controlplane.negotiation import Negotiations
from connector.controlplane.participants import NODE
from connector.controlplane.process import new_urn
from connector.controlplane.transfer import Transfers
from connector.dsp.comparing import Finding, Verdict, compared, concluded
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import By, Cause, Process, Step, acknowledged
from connector.dsp.tables import TABLES, Event, Kind, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import AddressRefused, CallerError, Conflict, KontorError, PeerAnswer, PeerError
from connector.ports.clock import Clock
from connector.ports.jobs import Job, NewJob
from connector.ports.journal import Line
from connector.ports.peers import Peers
from connector.ports.store import Change, Filter, Key, Snapshot, Store

RECONCILE: Final = "reconcile"
RESTORED: Final = "restored"
"""The kind of the job that a restored store begins with: nobody does it, a start takes it up."""
STREAM: Final = "reconciliation"
PACE: Final = Pace(attempts=300, first_delay_s=5, max_delay_s=600, timeout_s=900)
PARALLEL: Final = 8
_TURN_S: Final = 20.0
"""So long one job asks; what it does not get to stands behind the jobs of other peers then."""
_AT_ONCE: Final = 50
_LOOKS: Final = tuple(timedelta(seconds=seconds) for seconds in (0, 3, 20, 120))
_LATER: Final = timedelta(minutes=10)
_QUIET: Final = timedelta(seconds=10)
"""What has moved more lately may differ for no other reason than that an answer is still on its way."""
_RECENT: Final = timedelta(days=7)
_KEPT: Final = timedelta(days=90)
"""Findings; what changed a process stands in its timeline."""
_ENDED_LOOKED_AT: Final = 200
"""Of the latest of each final state."""
_PAGE: Final = 500
_GATHERED: Final = 32
_LOOK_AGAIN: Final = frozenset({Finding.UNDERWAY, Finding.TOLD, Finding.ASKED})
Place = tuple[Kind, str]


class _Moved(Exception):
    """The process is not what it was when its peer was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """One comparison and what came of it."""

    kind: Kind
    process: Process
    theirs: State | None
    verdict: Verdict

    def body(self, run: str, *, is_dry: bool) -> dict[str, Any]:
        """The journal's entry."""
        one, verdict = self.process, self.verdict
        return {
            "run": run,
            "what": "found",
            "kind": self.kind.value,
            "pid": one.pid,
            "role": one.role.value,
            "peer": one.peer,
            "dataset": one.dataset if isinstance(one, Negotiation | Transfer) else "",
            "ours": one.state.value if one.state else None,
            "theirs": self.theirs.value if self.theirs else None,
            "finding": verdict.finding.value,
            "words": verdict.words,
            "needs_person": verdict.needs_person,
            "is_dry": is_dry,
        }


class Reconciling:
    """Compares, and brings together what can be."""

    def __init__(
        self, store: Store, negotiations: Negotiations, transfers: Transfers, agreements: Agreements, peers: Peers, clock: Clock
    ) -> None:
        self._store = store
        self._negotiations = negotiations
        self._transfers = transfers
        self._agreements = agreements
        self._peers = peers
        self._clock = clock

    # --- beginning

    async def take_up(self) -> None:
        """Once at a start, before anybody is answered: after a restore, doubt everything that had not ended, and have it compared.

        Several replicas may do so at once, and one may die over it: what is done twice is harmless, and the mark goes last.
        """
        marks = (await self._store.jobs.page(NODE, kind=RESTORED, limit=_PAGE)).items
        if not marks:
            return
        places: dict[str, dict[str, list[Place]]] = {}
        count = 0
        for kind, table in TABLES.items():
            keys = await self._store.running(kind, tuple(state for state in table if state is None or not state.is_terminal))
            for first in range(0, len(keys), _GATHERED):
                found = await asyncio.gather(*(self._doubt(key) for key in keys[first : first + _GATHERED]))
                for process in found:
                    if process is not None:
                        count += 1
                        places.setdefault(process.participant, {}).setdefault(process.peer, []).append((kind, process.pid))
        cause = f"restored from a backup of {marks[0].body.get('written_at', 'an unknown moment')}"
        observe.warning("reconcile.restored", processes=count, cause=cause, mend="see `kontor reconcile --last`")
        for participant, by_peer in places.items():
            await self._begin(participant, by_peer, cause=cause, is_dry=False)
        for mark in marks:
            await self._store.jobs.drop(NODE, RESTORED, mark.id)

    async def _doubt(self, key: Key) -> Process | None:
        def decide(snapshot: Snapshot[Any]) -> Change[Any]:
            process = snapshot.process
            if process is None or process.is_ended:
                return Change()
            # how long it may stand still counts from here on: the backup may be older than anybody waits, and its peer has gone on
            at = process.updated_at if process.is_doubted else self._clock.now()
            return Change(process=replace(process, is_doubted=True, updated_at=at))

        return (await self._store.advance(key, decide)).process

    async def begin(self, participant: str, *, peer: str | None = None, is_dry: bool = False) -> str:
        """The id of a comparison that was begun: of all that has not ended, and of what ended of late, with one peer or with all."""
        by_peer: dict[str, list[Place]] = {}
        since = self._clock.now() - _RECENT
        for kind, table in TABLES.items():
            for state in table:
                if state is None:
                    continue
                async for process in self._in_state(participant, kind, state, peer):
                    if process.peer_pid is not None and (not process.is_ended or process.updated_at > since):
                        by_peer.setdefault(process.peer, []).append((kind, process.pid))
        return await self._begin(participant, by_peer, cause="asked for", is_dry=is_dry)

    async def _in_state(self, participant: str, kind: Kind, state: State, peer: str | None) -> AsyncIterator[Process]:
        cursor: str | None = None
        fitting = Filter(state=state, peer=peer)
        while True:
            limit = _ENDED_LOOKED_AT if state.is_terminal else _PAGE
            page = await self._store.processes(kind, participant, fitting, cursor=cursor, limit=limit)
            for process in page.items:
                yield process
            cursor = page.next_cursor
            if cursor is None or state.is_terminal:
                return

    async def _begin(self, participant: str, by_peer: Mapping[str, list[Place]], *, cause: str, is_dry: bool) -> str:
        run, now = observe.new_id(), self._clock.now()
        counts = {peer: len(places) for peer, places in by_peer.items()}
        await self._store.journal.trim(participant, STREAM, now - _KEPT)
        await self._note(participant, [{"run": run, "what": "begun", "cause": cause, "is_dry": is_dry, "peers": counts}])
        jobs = [
            _job(participant, run, peer, places[first : first + _AT_ONCE], look=0, part=str(first), is_dry=is_dry)
            for peer, places in by_peer.items()
            for first in range(0, len(places), _AT_ONCE)
        ]
        for first in range(0, len(jobs), _PAGE):
            await self._store.jobs.put(jobs[first : first + _PAGE], now)
        observe.info("reconcile.begun", participant=participant, run=run, peers=len(counts), processes=sum(counts.values()))
        return run

    # --- comparing

    async def compare(self, job: Job) -> Failed | None:
        """Do one job; a failure when the peer cannot be asked."""
        body = job.body
        run, peer, look, is_dry = str(body["run"]), str(body["peer"]), int(body["look"]), bool(body["is_dry"])
        found: list[_Compared] = []
        same, failed, until = 0, None, time.monotonic() + _TURN_S
        places: list[Place] = [(Kind(kind), str(pid)) for kind, pid in body["places"]]
        stuck: list[Place] = []
        for kind, pid in tuple(places):
            if len(places) < len(body["places"]) and time.monotonic() >= until:
                failed = None
                break
            process = await self._store.process(Key(kind=kind, participant=job.participant, pid=pid))
            if process is not None:
                try:
                    one = await self._one(process, kind, is_dry=is_dry, is_last=look >= len(_LOOKS) - 1)
                except (PeerError, Conflict) as fault:
                    failed = _failed(fault, self._clock.now())
                    if not _is_of_one(fault):
                        # the peer cannot be asked, or not by us as it is: what was found is kept, and all is asked again
                        break
                    stuck.append(places.pop(0))
                    continue
                if one.verdict.finding is Finding.SAME and not one.verdict.words and look == 0:
                    same += 1
                else:
                    found.append(one)
            del places[0]
        else:
            # INVARIANT: what a peer does not answer about holds up nothing else of it
            failed = failed if len(stuck) == len(body["places"]) else None
        lines = [one.body(run, is_dry=is_dry) for one in found]
        if same:
            lines.append({"run": run, "what": "same", "peer": peer, "part": body["part"], "count": same})
        await self._note(job.participant, lines)
        if failed is None:
            await self._put_rest(job, places, [] if is_dry else found, stuck)
        return failed

    async def _put_rest(self, job: Job, places: list[Place], found: list[_Compared], stuck: list[Place]) -> None:
        """Jobs for the `places` that found no time, behind those of others, for what is looked at again, and for what was `stuck`:
        not answered about."""
        body, now = job.body, self._clock.now()
        run, peer, look, part, is_dry = (body[name] for name in ("run", "peer", "look", "part", "is_dry"))
        jobs: list[NewJob] = []
        if places:
            jobs.append(_job(job.participant, run, peer, places, look=look, part=f"{part}+", is_dry=is_dry))
        again = [one for one in found if one.verdict.finding in _LOOK_AGAIN]
        pause = _LOOKS[look + 1] if look + 1 < len(_LOOKS) else _LATER
        if look + 1 >= len(_LOOKS):
            # what is in doubt stays so until its message is delivered, or given up
            again = [one for one in again if one.process.is_doubted]
        if again:
            left = [(one.kind, one.process.pid) for one in again]
            new = _job(job.participant, run, peer, left, look=look + 1, part=part, is_dry=is_dry)
            jobs.append(replace(new, not_before=now + pause))
        if stuck:
            new = _job(job.participant, run, peer, stuck, look=look, part=f"{part}!", is_dry=is_dry)
            jobs.append(replace(new, not_before=now + _LOOKS[-1], order_key=f"{peer}!"))
        if jobs:
            await self._store.jobs.put(jobs, now)

    async def _one(self, process: Process, kind: Kind, *, is_dry: bool, is_last: bool) -> _Compared:
        if process.peer_pid is None:
            words = "the peer has not acknowledged our first message yet"
            return _Compared(kind=kind, process=process, theirs=None, verdict=Verdict(finding=Finding.UNDERWAY, words=words))
        told = await asked(self._peers, process, kind)
        verdict = _judged(process, kind, told, self._clock.now(), is_last=is_last)
        if not is_dry:
            verdict = await self._concluded(process, kind, told, verdict)
        log = observe.debug if verdict.finding is Finding.SAME else observe.warning if verdict.needs_person else observe.info
        log("reconcile.process", pid=process.pid, peer=process.peer, ours=process.state, theirs=told.state,
            finding=verdict.finding, cause=verdict.words)  # fmt: skip
        observe.count("reconciled", finding=verdict.finding.value)
        return _Compared(kind=kind, process=process, theirs=told.state, verdict=verdict)

    async def _concluded(self, process: Process, kind: Kind, told: Told, verdict: Verdict) -> Verdict:
        """The verdict once what it asks for is committed."""
        if verdict.finding is Finding.REVOKED:
            return await self._revoked(process, verdict)
        try:
            if isinstance(process, Negotiation):
                await self._advance_negotiation(process, told, verdict)
            elif isinstance(process, Transfer):
                await self._advance_transfer(process, verdict)
        except _Moved:
            return Verdict(finding=Finding.UNDERWAY, words="it has moved while its peer was asked")
        except CallerError as fault:
            return Verdict(finding=Finding.OPEN, words=f"{verdict.words}; {fault}", needs_person=True)
        return verdict

    async def _advance_negotiation(self, seen: Negotiation, told: Told, verdict: Verdict) -> None:
        key = Key(kind=Kind.NEGOTIATION, participant=seen.participant, pid=seen.pid)
        desk, now, message_id = await self._negotiations.desk(key), self._clock.now(), new_urn()

        def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            process = _unmoved(snapshot.process, seen)
            step = concluded(process, verdict, message_id=message_id, now=now)
            if step.process is process and not step.outgoing:
                return Change()
            change = self._negotiations.course.change(step, desk)
            after = change.process
            if verdict.is_ours_too and after is not None and after.in_flight is not None and after.in_flight.to is told.state:
                # the peer has this act of ours already: nobody sends it once more
                landed = acknowledged(after, now)
                process_, records = replace(landed.process, is_doubted=False), change.records + landed.records
                change = replace(change, process=process_, outgoing=(), records=records)
            lost = lost_agreement(process, step.process, verdict.words or "the peer ended the negotiation", now)
            return replace(change, agreement=lost) if lost is not None else change

        await self._negotiations.advance(key, decide)

    async def _advance_transfer(self, seen: Transfer, verdict: Verdict) -> None:
        key = Key(kind=Kind.TRANSFER, participant=seen.participant, pid=seen.pid)
        desk, now, message_id = await self._transfers.desk(key, None), self._clock.now(), new_urn()
        course = self._transfers.course

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            process = _unmoved(snapshot.process, seen)
            step: Step[Transfer]
            if verdict.finding is Finding.UNTOLD and process.is_doubted and process.is_provider:
                # the standard gives a provider no way to ask: what runs is stopped, which the consumer takes, or it is over there
                cause = Cause(by=By.RULE, code="restored", reasons=("our store was restored: start it again to go on",))
                step = (
                    course.do(process, Choice(act=Event.SUSPEND, cause=cause))
                    if process.state is State.STARTED
                    else concluded(process, Verdict(finding=Finding.SAME, words=verdict.words), message_id=message_id, now=now)
                )
            elif verdict.finding is Finding.TOLD and verdict.events == (Event.START,):
                step = course.said_again(replace(process, is_doubted=False))
            else:
                step = concluded(process, verdict, message_id=message_id, now=now)
            if step.process is process and not step.outgoing:
                return Change()
            return course.change(step, desk)

        await self._transfers.advance(key, decide)

    async def _revoked(self, process: Process, verdict: Verdict) -> Verdict:
        agreement = process.agreement_id if isinstance(process, Negotiation) else None
        try:
            await self._agreements.end(process.participant, agreement or "", verdict.words)
        except CallerError:
            # there is none, or it has ended: nothing is given out under it
            return Verdict(finding=Finding.SAME, words=verdict.words)
        return verdict

    async def _note(self, participant: str, bodies: Iterable[Mapping[str, Any]]) -> None:
        at = self._clock.now()
        lines = [Line(at=at, body=body) for body in bodies]
        if lines:
            await self._store.journal.append(participant, STREAM, lines, can_wait=True)


def restored_mark(written_at: str) -> NewJob:
    """What a store begins with that was restored from an archive of the moment `written_at`."""
    return NewJob(participant=NODE, kind=RESTORED, id=observe.new_id(), body={"written_at": written_at})


def _judged(process: Process, kind: Kind, told: Told, now: datetime, *, is_last: bool) -> Verdict:
    if not told.is_told:
        is_silent = process.is_provider and kind is Kind.TRANSFER and process.is_doubted
        if is_silent and process.in_flight is not None:
            return Verdict(finding=Finding.UNDERWAY, words=f"our `{process.in_flight.event}` is on its way")
        words = f"the peer does not say how it stands: {told.words}"
        if is_silent and process.state is State.STARTED:
            words += "; it is suspended until one of us starts it again"
        return Verdict(finding=Finding.UNTOLD, words=words, needs_person=not is_silent and not process.is_ended)
    verdict = compared(process, kind, told.state, is_last=is_last)
    if verdict.finding is not Finding.SAME and not process.is_doubted and now - process.updated_at < _QUIET:
        return Verdict(finding=Finding.UNDERWAY, words="it has just moved")
    return verdict


def _unmoved(process: Any, seen: Process) -> Any:
    def stand(one: Process) -> tuple[object, ...]:
        flight = one.in_flight.message_id if one.in_flight is not None else None
        return one.state, one.entries, flight, one.peer_pid, one.is_doubted

    if process is None or stand(process) != stand(seen):
        raise _Moved
    return process


def _job(participant: str, run: str, peer: str, places: list[Place], *, look: int, part: str, is_dry: bool) -> NewJob:
    told = [[kind.value, pid] for kind, pid in places]
    return NewJob(
        participant=participant,
        kind=RECONCILE,
        id=f"{run} {look} {part} {peer}",
        body={"run": run, "peer": peer, "look": look, "part": part, "is_dry": is_dry, "places": told},
        order_key=peer,
    )


def _is_of_one(fault: KontorError) -> bool:
    """Whether the peer may have failed, or refused, to answer about one process alone."""
    return isinstance(fault, PeerAnswer) and fault.wait_s is None


def _failed(fault: KontorError, now: datetime) -> Failed:
    wait_s = fault.wait_s if isinstance(fault, PeerAnswer) else None
    later = now + timedelta(seconds=wait_s) if wait_s else None
    return Failed(cause=str(fault), is_final=isinstance(fault, AddressRefused), not_before=later)
