"""Is it alive, is it ready, what has it done: for whoever watches the node. Without a key; nothing here is about data or peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connector import __version__, measures, observe
from connector.errors import KontorError
from connector.ports.clock import MOST_AHEAD, how_far
from connector.ports.store import Store

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

_ANSWERS_WITHIN_S: Final = 2.0
_GOOD_FOR_S: Final = 1.0
_WHAT: Final = {
    "http_requests": "Requests answered, by listener and class of status.",
    "messages_received": "Protocol messages received, by kind and outcome.",
    "messages_sent": "Protocol messages sent, by event and outcome.",
    "requests_refused": "Protocol requests refused because a bound was reached, by the error's code.",
    "streams_refused": "Streams of data refused because a bound was reached, by the error's code.",
    "data_sent_bytes": "Bytes of data sent to receivers by this node.",
    "data_received_bytes": "Bytes of data received from senders by this node.",
    "jobs": "Background work that ended, came again, was put off or given up, by kind and outcome.",
    "reconciled": "Processes compared with what their peers hold them for, by finding.",
    "webhooks_sent": "Messages to webhooks, by outcome.",
    "worker_at_work_seconds": "How long a worker has been at what it does now; 0 while it rests, -1 while it is down.",
    "deliveries_waiting": "Protocol messages that this node has taken and not posted yet.",
    "requests_under_way": "Protocol requests that are being answered.",
    "streams_running": "Transfers of which something flows at this node.",
    "event_followers": "Programs that follow the events of this node.",
    "catalog_looks": "Looks at members of the ledger that ended at this node, by outcome.",
    "catalog_members": "Members of the ledger: all that are listed, those at which the last look failed, and those never looked at.",
    "catalog_changes_found": "Changes of products that the search index of this node has taken over.",
}
"""What each count and gauge tells; a test sees to it that none is missing. Histograms say it themselves (`measures.py`)."""


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
        if found:
            return _json(503, {"status": "not ready", "faults": found})
        return _json(200, {"status": "ready", "warnings": looked.warnings} if looked.warnings else {"status": "ready"})

    async def metrics(request: Request) -> Response:
        body, media_type = _exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    return [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]


def _json(status: int, tree: object) -> Response:
    return Response(orjson.dumps(tree), status_code=status, media_type="application/json")


class _Looked:
    """What is wrong with the store, found out by writing to it: at most once a second, however often somebody asks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._at = -_GOOD_FOR_S
        self._found: list[str] = []
        self.warnings: list[str] = []
        """What it can go on with for a while, and somebody should see to."""
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
                self._compare(await self._store.pulse(datetime.now(UTC)))
        except TimeoutError:
            return ["the store does not take a write in time"]
        except KontorError as fault:
            return [fault.what]
        return []

    def _compare(self, ahead: timedelta) -> None:
        differs = abs(ahead) > MOST_AHEAD
        if differs and not self.warnings:
            observe.warning(
                "store.clock_differs", seconds=round(ahead.total_seconds(), 1), mend="let both follow a time server"
            )
        self.warnings = [f"the clock of this node {how_far(ahead)} that of the store's server"] if differs else []


class _Counts:
    """What this node has counted and measured, read when somebody asks."""

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, moments in observe.gauges().items():
            shown = GaugeMetricFamily(f"kontor_{name}", _WHAT[name], labels=_labels(moments))
            for key, now in moments.items():
                shown.add_metric([value for _, value in key], now)
            yield shown
        for one in measures.ALL.values():
            measured = HistogramMetricFamily(f"kontor_{one.name}", one.help, labels=one.labels)
            bounds = (*map(str, map(float, one.bounds)), "+Inf")
            for values, (counts, whole) in one.shown().items():
                measured.add_metric(values, list(zip(bounds, counts, strict=True)), sum_value=whole)
            yield measured
        # a copy: other threads may count meanwhile
        for name, series in {name: dict(series) for name, series in observe.counts().items()}.items():
            labels = sorted({label for key in series for label, _ in key})
            family = CounterMetricFamily(f"kontor_{name}", _WHAT.get(name, name), labels=labels)
            for key, value in series.items():
                given = dict(key)
                family.add_metric([given.get(label, "") for label in labels], value)
            yield family


def _labels(series: Mapping[observe.Series, object]) -> list[str]:
    """The names of the labels; all of one name have the same."""
    return [name for name, _ in next(iter(series), ())]


_registry: CollectorRegistry | None = None


def _exposition(accepted: str) -> tuple[bytes, str]:
    """Everything that is counted, with what the operating system says of this process, and its media type: in the Prometheus text
    format, or in that of OpenMetrics where it is accepted."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import choose_encoder

    global _registry
    if _registry is None:
        _registry = CollectorRegistry()
        ProcessCollector(registry=_registry)
        _registry.register(_Counts())
    written, media_type = choose_encoder(accepted)
    return written(_registry), media_type
