"""Telling webhooks: one node of a store reads the feed and puts a job for each message; any node sends it.

What lives here: `Telling`, the handlers of both kinds of job, and the message. What does not: the list (`webhooks.py`), retries and
leases (`jobs.py`). Messages about one process wait for each other; a receiver that fails or hangs holds up its own alone, since only a
few of its messages are sent at once. A message that is sent again has the same id: receivers drop what they have.
Source: CloudEvents 1.0.2, JSON event format, structured mode; Standard Webhooks 1.0.0 (`outbound/signing.py`).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from connector import observe
from connector.controlplane.events import Events
from connector.controlplane.jobs import Failed, Pace, Workers
from connector.controlplane.participants import NODE, Participants
from connector.controlplane.secrets import Secrets
from connector.controlplane.webhooks import KIND, PLAN, Webhook, Webhooks, tries_stream, type_of
from connector.errors import BadMessage, KontorError, NotFound, StoreUnavailable
from connector.outbound.client import Answer, OutboundClient, wait_s
from connector.outbound.signing import key_of, signed
from connector.ports.clock import Clock
from connector.ports.feed import Happening
from connector.ports.jobs import Job, NewJob
from connector.ports.journal import Line
from connector.ports.store import Store

PACE: Final = Pace(attempts=14, first_delay_s=1, max_delay_s=3600, timeout_s=60)
"""Some five hours until a message is given up; then it is seen in the jobs, and may be taken up again."""
WATCH_PACE: Final = Pace(attempts=1_000_000_000, first_delay_s=1, max_delay_s=5, timeout_s=None)
"""Of work that watches and never ends."""
PARALLEL: Final = 64
_LANES: Final = 4
"""Messages of one webhook that are sent at once."""
_MOST_WAITING: Final = 10_000
"""Messages of one participant that wait: further ones stay in the feed until then."""
_BATCH: Final = 100
_LOOK_AGAIN: Final = timedelta(seconds=1)
_TIDY_EVERY: Final = timedelta(hours=1)
_TRIES_KEPT: Final = timedelta(days=30)
_MOST_ANSWER_BYTES: Final = 64 << 10
_CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


class Telling:
    """Does both kinds of job."""

    def __init__(
        self,
        webhooks: Webhooks,
        store: Store,
        events: Events,
        participants: Participants,
        secrets: Secrets,
        outbound: OutboundClient,
        clock: Clock,
    ) -> None:
        self._webhooks = webhooks
        self._store = store
        self._events = events
        self._participants = participants
        self._secrets = secrets
        self._outbound = outbound
        self._clock = clock

    def register(self, workers: Workers) -> None:
        """Have `workers` do the jobs."""
        workers.register(PLAN, self.plan, WATCH_PACE)
        workers.register(KIND, self.tell, PACE)

    # --- reading the feed

    async def plan(self, job: Job) -> None:
        """Put a message for everything that happens, for as long as there is a webhook; its lease keeps other nodes from it."""
        positions: dict[Webhook, str] = {}
        tidied_at = self._clock.now()
        with self._events.bell() as bell:
            while hooks := await self._webhooks.all():
                is_more = False
                for hook in hooks:
                    is_more |= await self._plan_for(hook, positions)
                now = self._clock.now()
                if now - tidied_at >= _TIDY_EVERY:
                    tidied_at = now
                    for hook in hooks:
                        await self._tidy(hook, now)
                if not is_more:
                    await self._clock.wait_until(now + _LOOK_AGAIN, bell)

    async def _plan_for(self, hook: Webhook, positions: dict[Webhook, str]) -> bool:
        """Put the next messages of one webhook; whether there may be more at once."""
        try:
            position = positions.get(hook) or await self._position(hook)
            stretch = await self._store.feed.after(hook.participant, position, limit=_BATCH)
        except BadMessage as fault:
            # the store was filled from one of another kind: positions of that mean nothing here
            positions[hook] = await self._store.feed.end()
            observe.warning("webhooks.position_lost", webhook=hook.id, cause=fault, mend="what happened meanwhile is not told")
            return False
        wanted = [found for found in stretch.happenings if hook.wants(found)]
        if wanted:
            waiting = await self._store.jobs.page(hook.participant, kind=KIND, is_given_up=False, limit=1)
            if waiting.total >= _MOST_WAITING:
                observe.warning("webhooks.too_many_wait", webhook=hook.id, waiting=waiting.total)
                return False
            source = (await self._participants.context(hook.participant)).address
            now = self._clock.now()
            await self._store.jobs.put([_job(hook, found, source) for found in wanted], now)
            # only now: what a node that dies here has put is put again, under the same ids
            await self._store.journal.append(NODE, hook.cursor_stream, [Line(at=now, body={"position": stretch.position})])
        positions[hook] = stretch.position
        return len(stretch.happenings) >= _BATCH

    async def _position(self, hook: Webhook) -> str:
        page = await self._store.journal.page(NODE, hook.cursor_stream, since=hook.created_at, limit=1, is_newest_first=True)
        return str(page.items[0].body["position"]) if page.items else hook.begins

    async def _tidy(self, hook: Webhook, now: datetime) -> None:
        page = await self._store.journal.page(NODE, hook.cursor_stream, limit=1, is_newest_first=True)
        if page.items:
            await self._store.journal.trim(NODE, hook.cursor_stream, page.items[0].at)
        await self._store.journal.trim(hook.participant, tries_stream(hook.name), now - _TRIES_KEPT)

    # --- sending

    async def tell(self, job: Job) -> Failed | None:
        """Send one message; what came of it stands in the webhook's stream afterwards."""
        try:
            hook = await self._webhooks.get(job.participant, str(job.body["webhook"]))
        except NotFound:
            return None
        if job.body.get("begins", hook.begins) != hook.begins:
            # it waited for one of this name that was removed meanwhile
            return None
        event: dict[str, Any] = job.body["event"]
        begun = time.perf_counter()
        failed, status = await self._sent(hook, event)
        told = {
            "event": event["id"], "type": event["type"], "pid": event["subject"], "try": job.tries, "status": status,
            "cause": failed.cause if failed is not None else "", "ms": round((time.perf_counter() - begun) * 1000),
        }  # fmt: skip
        observe.count("webhooks_sent", outcome="ok" if failed is None else "failed")
        await self._store.journal.append(hook.participant, tries_stream(hook.name), [Line(at=self._clock.now(), body=told)])
        return failed

    async def _sent(self, hook: Webhook, event: Mapping[str, Any]) -> tuple[Failed | None, int | None]:
        body = orjson.dumps(event)
        now = self._clock.now()
        try:
            key = key_of(await self._secrets.opened(hook.participant, hook.secret), hook.secret)
            headers = signed(key, str(event["id"]), int(now.timestamp()), body, _CONTENT_TYPE)
            answer = await self._outbound.post(hook.url, body, headers, max_bytes=_MOST_ANSWER_BYTES)
        except StoreUnavailable:
            raise
        except KontorError as fault:
            return Failed(cause=str(fault)), None
        if answer.is_success:
            return None, answer.status
        cause = f"answered {answer.status}: {' '.join(answer.body[:300].decode('utf-8', 'replace').split())}".rstrip(": ")
        # 410: "the endpoint is gone" is the one answer that trying again cannot help
        return Failed(cause=cause, is_final=answer.status == 410, not_before=_asked(answer, now)), answer.status


def _asked(answer: Answer, now: datetime) -> datetime | None:
    """When the receiver asks us to come again, an hour at most."""
    asked_s = wait_s(answer.headers)
    return now + timedelta(seconds=min(asked_s, 3600)) if asked_s is not None else None


def _job(hook: Webhook, found: Happening, source: str) -> NewJob:
    lane = zlib.crc32(found.pid.encode()) % _LANES
    return NewJob(
        participant=hook.participant,
        kind=KIND,
        id=f"{hook.name} {found.id}",
        body={"webhook": hook.name, "begins": hook.begins, "event": event_of(found, source)},
        order_key=f"{hook.name} {lane}",
    )


def event_of(found: Happening, source: str) -> dict[str, Any]:
    """What happened, as a CloudEvent; `data` is what the API's events show."""
    record = found.record
    return {
        "specversion": "1.0",
        "id": found.id,
        "source": source,
        "type": f"kontor.{type_of(found)}",
        "subject": found.pid,
        "time": record.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "id": found.id,
            "position": found.position,
            "at": record.at.isoformat().replace("+00:00", "Z"),
            "kind": found.kind.value,
            "pid": found.pid,
            "event": record.event,
            "state": record.state.value if record.state else None,
            "by": record.by.value,
            "note": record.note,
            "role": found.role.value,
            "peer": found.peer,
            "dataset": found.dataset,
            "agreement_id": found.agreement_id,
        },
    }
