"""Is it alive, is it ready, what has it done: for whoever watches the node. Without a key; nothing here is about data or peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connector import __version__, observe
from connector.errors import KontorError
from connector.ports.store import Store

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily

_ANSWERS_WITHIN_S: Final = 2.0
_GOOD_FOR_S: Final = 1.0
_WHAT: Final = {
    "http_requests": "Requests answered, by listener and class of status.",
    "messages_received": "Protocol messages received, by kind and outcome.",
    "messages_sent": "Protocol messages sent, by event and outcome.",
}


def routes(store: Store, faults: Callable[[], tuple[str, ...]], hung: Callable[[], tuple[str, ...]]) -> list[BaseRoute]:
    """`/health`, `/ready`, `/metrics`.

    `/health` is red when only a new start helps, `/ready` as well when something else is in the way.
    """

    async def health(request: Request) -> Response:
        if found := hung():
            return _json(503, {"status": "hung", "version": __version__, "faults": list(found)})
        return _json(200, {"status": "alive", "version": __version__})

    looked = _Looked(store)

    async def ready(request: Request) -> Response:
        found = [*faults(), *await looked.faults()]
        return _json(503, {"status": "not ready", "faults": found}) if found else _json(200, {"status": "ready"})

    async def metrics(request: Request) -> Response:
        return Response(_exposition(), media_type="text/plain; version=1.0.0; charset=utf-8")

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]


def _json(status: int, tree: object) -> Response:
    return Response(orjson.dumps(tree), status_code=status, media_type="application/json")


class _Looked:
    """What is wrong with the store, found out by writing to it: at most once a second, however often somebody asks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._at = -_GOOD_FOR_S
        self._found: list[str] = []
        self._lock = asyncio.Lock()

    async def faults(self) -> list[str]:
        async with self._lock:
            if time.monotonic() - self._at >= _GOOD_FOR_S:
                self._found = await self._look()
                self._at = time.monotonic()
            return self._found

    async def _look(self) -> list[str]:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await self._store.pulse(datetime.now(UTC))
        except TimeoutError:
            return ["the store does not take a write in time"]
        except KontorError as fault:
            return [fault.what]
        return []


class _Counts:
    """The counts of this process, read when somebody asks."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        from prometheus_client.core import CounterMetricFamily

        # a copy: other threads may count meanwhile
        for name, series in {name: dict(series) for name, series in observe.counts().items()}.items():
            labels = sorted({label for key in series for label, _ in key})
            family = CounterMetricFamily(f"kontor_{name}", _WHAT.get(name, name), labels=labels)
            for key, value in series.items():
                given = dict(key)
                family.add_metric([given.get(label, "") for label in labels], value)
            yield family


_registry: CollectorRegistry | None = None


def _exposition() -> bytes:
    """Everything that is counted, with what the operating system says of this process, in the Prometheus text format."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    global _registry
    if _registry is None:
        _registry = CollectorRegistry()
        ProcessCollector(registry=_registry)
        _registry.register(_Counts())
    return generate_latest(_registry)
