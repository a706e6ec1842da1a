"""What the built-in data plane reports of transfers: the port `TransferEvents`.

What lives here: an end of a push, and what could not or may not be moved. What does not: what planes of others report (`signals.py`),
and what follows from the state that is entered then (`transfer_course.py`).
"""

from __future__ import annotations

from connector.controlplane.decisions import Choice
from connector.controlplane.flows import key_of
from connector.controlplane.transfer import Transfers
from connector.controlplane.usage import Usages
from connector.dsp import transfer as steps
from connector.dsp.process import By, Cause
from connector.dsp.tables import Event
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.ports.clock import Clock
from connector.ports.store import Attempt, Change, Snapshot, Store

DATA = "data"
"""What an attempt of the data plane is called in a timeline, where those of messages have the event's name."""


class BuiltInEvents:
    """Told by the data plane, for all contexts of this node."""

    def __init__(self, store: Store, transfers: Transfers, usages: Usages, clock: Clock) -> None:
        self._store = store
        self._transfers = transfers
        self._usages = usages
        self._clock = clock

    async def completed(self, participant: str, pid: str, *, moved_bytes: int, digest: str | None) -> None:
        """All bytes of a push are with the consumer: it counts as a use, and then we say so."""
        process = await self._store.process(key_of(participant, pid))
        if isinstance(process, Transfer) and not process.is_ended:
            desk = await self._transfers.desk(key_of(participant, pid), None)
            if desk.agreement is not None:
                await self._usages.done(process, desk.case(desk.agreement), moved_bytes)
        await self._moved(participant, pid, moved_bytes, digest, Event.COMPLETE)

    async def received(self, participant: str, pid: str, *, moved_bytes: int, digest: str) -> None:
        """All bytes of a push have arrived here; the provider says when it is complete."""
        await self._moved(participant, pid, moved_bytes, digest, None)

    async def failed(self, participant: str, pid: str, reason: str) -> None:
        """Moving has failed for good: terminate, with the reason."""
        cause = Cause(by=By.DATA_PLANE, code="data-plane", reasons=(reason,))
        await self._by_data_plane(participant, pid, Event.TERMINATE, cause, None)

    async def attempted(self, participant: str, pid: str, *, url: str, cause: str) -> None:
        """An attempt to move data has failed: it stands among the attempts of the transfer, and nothing follows from it."""
        attempt = Attempt(at=self._clock.now(), message_id="", event=DATA, url=url, status=None, cause=cause, is_final=False)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None or snapshot.process.is_ended:
                return Change()
            return Change(process=snapshot.process, attempts=(attempt,))

        await self._store.advance(key_of(participant, pid), decide)

    async def noted(self, participant: str, pid: str, mark: str) -> None:
        """What a receiver calls an upload: any node of ours goes on with it."""

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None or snapshot.process.is_ended:
                return Change()
            return Change(process=replace(snapshot.process, mark=mark))

        await self._store.advance(key_of(participant, pid), decide)

    async def refused(self, participant: str, pid: str, reason: str) -> None:
        """Data that was about to be moved may not be: terminate, with the reason."""
        cause = Cause(by=By.POLICY, code="not-permitted", reasons=(reason,))
        await self._by_data_plane(participant, pid, Event.TERMINATE, cause, None)

    async def _moved(self, participant: str, pid: str, moved_bytes: int, digest: str | None, event: Event | None) -> None:
        await self._by_data_plane(participant, pid, event, Cause(by=By.DATA_PLANE), (moved_bytes, digest))

    async def _by_data_plane(
        self, participant: str, pid: str, event: Event | None, cause: Cause, moved: tuple[int, str | None] | None
    ) -> None:
        desk = await self._transfers.desk(key_of(participant, pid), None)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            process = snapshot.process
            if process is None:
                return Change()
            if moved is not None:
                process = steps.moved(process, moved[0], moved[1], self._clock.now())
            if event is None or process.is_ended or (process.in_flight is not None and event is not Event.TERMINATE):
                return Change(process=process)
            return self._transfers.course.change(self._transfers.course.do(process, Choice(act=event, cause=cause)), desk)

        await self._transfers.advance(key_of(participant, pid), decide)
