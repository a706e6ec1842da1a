"""The outbox, posted: each message once it is committed, again after a pause when the peer was not ready, until it is settled.

A fresh message comes straight from the transaction that wrote it, leased to this node; what an earlier run or a dead node left
behind comes through `Timers`. What an answer means for the process is the use case's matter (`Settler`).
Source: Dataspace Protocol 2025-1, HTTPS bindings, for what each status means.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from connector import measures, observe, tracing
from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.process import Outgoing, Process
from connector.dsp.tables import Event, Kind
from connector.dsp.values import replace
from connector.errors import AddressRefused, ConfigurationError, PeerError, StoreUnavailable
from connector.outbound.client import Answer, OutboundClient, wait_s
from connector.outbound.within import within
from connector.ports.clock import Clock
from connector.ports.identity import TokenSource
from connector.ports.pulse import resting
from connector.ports.store import Attempt, Change, Key, Message, Retry, Snapshot, Store
from connector.settings import Delivery as DeliverySettings

_FIRST_MESSAGE_404 = 3
"""Tries of a first message that is answered 404: the peer cannot be behind there, but may be starting."""
_FIRST_PATHS = ("/negotiations/request", "/negotiations/offers", "/transfers/request")
_MOST_QUEUED, _MOST_QUEUED_FOR_ONE = 10_000, 1_000
_TICK_S = 0.01
"""How much sooner than asked for timers of the loop may come."""
_TOO_LONG = "no answer for as long as the message was ours; see `store.lease_s` and `outbound.total_timeout_s`"
_HEADERS = {"content-type": "application/json", "accept": "application/json"}


class Settler(Protocol):
    """What a use case does with the end of a delivery."""

    async def settled(self, key: Key, attempt: Attempt, body: bytes) -> None:
        """The peer has acknowledged the message with `body`."""
        ...

    async def given_up(self, key: Key, attempt: Attempt) -> None:
        """The message cannot be delivered."""
        ...


LOOK_AGAIN = timedelta(seconds=10)
"""Timers look at the store this often whatever happens: nobody need wake them for what is due later."""


class _Queued(NamedTuple):
    """A message that this node has leased."""

    message: Message
    until: datetime
    """When the lease ends."""
    trace: tracing.Place | None
    """What caused it, where that was here and now."""


@dataclass(slots=True)
class _Lane:
    """The messages to one peer: a peer that hangs holds up its own alone."""

    busy: int = 0
    waiting: deque[_Queued] = field(default_factory=deque)


class Delivery:
    """Posts messages, several at once, never more than a few to one peer."""

    def __init__(
        self,
        store: Store,
        outbound: OutboundClient,
        tokens: TokenSource,
        clock: Clock,
        settings: DeliverySettings,
        *,
        lease_s: float,
    ) -> None:
        self._store = store
        self._outbound = outbound
        self._tokens = tokens
        self._clock = clock
        self._settings = settings
        # an attempt ends before its lease does: nobody else may take the message while we wait for an answer
        self._ours_for = timedelta(seconds=lease_s * 0.9)
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue()
        self._parallel = asyncio.Semaphore(settings.parallel)
        self._lanes: dict[str, _Lane] = {}
        self._parked = 0
        """Messages that wait in lanes."""
        self._settlers: dict[Kind, Settler] = {}
        self._announce: Callable[[], None] = lambda: None
        self.woken = asyncio.Event()
        """Set when something was put off, so that timers look again."""

    @property
    def waiting(self) -> int:
        """Messages that were taken and are not posted yet."""
        return self._queue.qsize() + self._parked

    def connect(self, kind: Kind, settler: Settler) -> None:
        """Name the use case that the ends of `kind`'s deliveries are told to."""
        self._settlers[kind] = settler

    def announce_to(self, ring: Callable[[], None]) -> None:
        """Have `ring` called for each change of a process that was committed here."""
        self._announce = ring

    def submit(self, messages: tuple[Message, ...]) -> None:
        """Take over messages that this node has leased. What finds no room stays in the outbox and comes again."""
        until = self._clock.now() + self._ours_for
        for message in messages:
            if self.waiting >= _MOST_QUEUED:
                observe.warning("delivery.queue_full", waiting=_MOST_QUEUED)
                self.woken.set()
                return
            self._queue.put_nowait(_Queued(message, until, tracing.here()))

    def handover(self, key: Key, peer: str, change: Change[Any]) -> None:
        """Take over what a transaction has just written."""
        self._announce()
        now = self._clock.now()
        self.submit(tuple(Message(key=key, peer=peer, outgoing=o, tries=0, created_at=now) for o in change.outgoing))
        if any(due.at <= now + LOOK_AGAIN for due in change.due):
            self.woken.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                with resting():
                    queued = await self._queue.get()
                lane = self._lanes.setdefault(queued.message.peer, _Lane())
                if lane.busy >= self._settings.parallel_per_peer:
                    self._park(lane, queued)
                    continue
                lane.busy += 1
                await self._parallel.acquire()
                tasks.create_task(self._deliver(lane, queued))

    def _park(self, lane: _Lane, queued: _Queued) -> None:
        if len(lane.waiting) < _MOST_QUEUED_FOR_ONE:
            lane.waiting.append(queued)
            self._parked += 1
        # else it stays in the outbox, and comes again when its lease is over

    async def _deliver(self, lane: _Lane, queued: _Queued) -> None:
        message, until, place = queued
        try:
            if place is None:
                place = await self._begun_in(message.key)
            with tracing.resumed(place) as trace, observe.bound(participant=message.key.participant, trace=trace):
                if self._clock.now() < until:
                    await self._attempt(message, until)
                # else the lease is over: whoever claims the row next delivers it
        except StoreUnavailable as fault:
            # the row keeps its lease and comes again when that is over; the peer takes the repetition as such
            observe.error("delivery.unsettled", pid=message.key.pid, cause=fault)
        except Exception as fault:  # noqa: BLE001 - one message that cannot be dealt with must not take the others with it
            observe.error("delivery.failed", fault=fault, pid=message.key.pid)
        finally:
            self._parallel.release()
            lane.busy -= 1
            if lane.waiting:
                # behind what waits for others, so that no peer is served out of turn
                self._parked -= 1
                self._queue.put_nowait(lane.waiting.popleft())
            elif lane.busy == 0:
                self._lanes.pop(message.peer, None)

    async def _begun_in(self, key: Key) -> tracing.Place | None:
        """The trace of a message that was put off, or that another run or another node has written."""
        process = await self._store.process(key)
        return tracing.place_of(process.trace) if process is not None else None

    async def _attempt(self, message: Message, until: datetime) -> None:
        outgoing, key = message.outgoing, message.key
        settler = self._settlers[key.kind]
        begun_s = time.monotonic()
        if message.tries == 0:
            measures.OUTBOX.add(max(0.0, (self._clock.now() - message.created_at).total_seconds()), key.kind)
        answer: Answer | None = None
        cause, may_retry, end_s = "", True, math.inf
        try:
            # whoever gives tokens may be away, and hold up others of this peer's messages with it
            async with within(self._loop, (until - self._clock.now()).total_seconds()):
                authorization = await self._tokens.authorization(key.participant, message.peer, outgoing.url)
            about = {"kontor.pid": key.pid, "kontor.peer": message.peer, "kontor.participant": key.participant}
            with tracing.span(f"send {outgoing.event}", "client", **about) as span:
                headers = {**_HEADERS, **tracing.headers()}
                if authorization is not None:
                    headers["authorization"] = authorization
                # INVARIANT: nothing is on its way when the lease is over: somebody else may send it then
                if (left_s := (until - self._clock.now()).total_seconds()) <= 0:
                    raise PeerError(_TOO_LONG)
                end_s = time.monotonic() + left_s
                answer = await self._outbound.post(outgoing.url, outgoing.body, headers, within_s=left_s)
                span.note(**{"http.response.status_code": answer.status})
        except (AddressRefused, ConfigurationError) as fault:
            cause, may_retry = str(fault), False
        except TimeoutError:
            cause = _TOO_LONG
        except PeerError as fault:
            cause = _TOO_LONG if time.monotonic() >= end_s - _TICK_S else str(fault)
        took_s, event = time.monotonic() - begun_s, outgoing.event
        status = answer.status if answer else None
        if answer is not None:
            if 200 <= answer.status < 300 or (answer.status == 404 and outgoing.event is Event.TERMINATE):
                # a peer that does not know the process any more has nothing left to terminate
                await settler.settled(key, self._noted(outgoing, status, "", is_final=True), answer.body)
                observe.count("messages_sent", event=outgoing.event.value, outcome="ok")
                measures.SENDINGS.add(took_s, event, "ok")
                observe.info("delivery.sent", act=outgoing.event, pid=key.pid, peer=message.peer, status=status)
                return
            cause = f"answered {answer.status}{_said(answer.body, key.kind)}"
            may_retry = answer.status in (404, 408, 409, 425, 429) or answer.status >= 500
        tries = message.tries + 1
        limit = self._settings.attempts
        if status == 404 and outgoing.url.endswith(_FIRST_PATHS):
            limit = min(limit, _FIRST_MESSAGE_404)
        if tries < limit and (may_retry or await self._is_doubted(key)):
            measures.SENDINGS.add(took_s, event, "put-off")
            await self._put_off(message, self._noted(outgoing, status, cause, is_final=False), answer)
        else:
            observe.count("messages_sent", event=outgoing.event.value, outcome="given-up")
            measures.SENDINGS.add(took_s, event, "given-up")
            observe.warning("delivery.given_up", act=outgoing.event, pid=key.pid, peer=message.peer, tries=tries, cause=cause)
            await settler.given_up(key, self._noted(outgoing, status, cause, is_final=True))

    async def _is_doubted(self, key: Key) -> bool:
        """Whether a process may be further than we know, and what we say again be refused for that: what the peer says decides."""
        process = await self._store.process(key)
        return process is not None and process.is_doubted

    def _noted(self, outgoing: Outgoing, status: int | None, cause: str, *, is_final: bool) -> Attempt:
        return Attempt(
            at=self._clock.now(),
            message_id=outgoing.message_id,
            event=outgoing.event.value,
            url=outgoing.url,
            status=status,
            cause=cause,
            is_final=is_final,
        )

    async def _put_off(self, message: Message, attempt: Attempt, answer: Answer | None) -> None:
        delay = min(self._settings.first_delay_s * 2**message.tries, self._settings.max_delay_s)
        if answer is not None and (asked := wait_s(answer.headers)) is not None:
            delay = min(max(delay, asked), self._settings.max_delay_s)
        retry = Retry(message_id=attempt.message_id, not_before=attempt.at + timedelta(seconds=delay))

        def put_off(snapshot: Snapshot[Process]) -> Change[Process]:
            process = snapshot.process
            if process is not None and process.in_flight and process.in_flight.message_id == attempt.message_id:
                # of a message that has lost its sense the timeline tells
                process = replace(process, error=attempt.cause)
            return Change(process=process, retries=(retry,), attempts=(attempt,))

        await self._store.advance(message.key, put_off)
        observe.count("messages_sent", event=attempt.event, outcome="put-off")
        observe.info("delivery.put_off", act=attempt.event, pid=message.key.pid, delay_s=delay, cause=attempt.cause)
        self.woken.set()


def _said(body: bytes, kind: Kind, most: int = 600) -> str:
    """What a refusing peer said: code and reasons of the protocol's error, else the beginning of whatever it sent."""
    error: m.ErrorMessage | None
    if kind is Kind.NEGOTIATION:
        error = wire.read_answer(body, m.ContractNegotiationError)
    else:
        error = wire.read_answer(body, m.TransferError)
    words = [error.code or "", *wire.reasons(error)] if error is not None else [body[: most * 2].decode("utf-8", "replace")]
    text = " ".join(": ".join(word for word in words if word).split())
    return f": {text[:most]}{'…' if len(text) > most else ''}" if text else ""
