"""Traces that go on at the peer: which trace a request belongs to, what was done for it, and the header that carries it on.

What lives here: the trace of the request at hand (`received`, `resumed`), parts of it (`span`), the header for what goes out
(`headers`), and `begin`, which has spans exported over OTLP. Without `begin` no span is made and no library loaded: the trace goes on all
the same, so that the logs of both sides carry one id. What does not: lines and counts (`observe.py`).
Source: W3C Trace Context (level 1), 3.2 `traceparent`; OpenTelemetry, specification 1.x, "Tracing API".
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Final, Literal, NamedTuple, TypeVar

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
KindName = Literal["internal", "server", "client"]
A = TypeVar("A")
R = TypeVar("R")
_tracer: Any = None
"""The tracer of the SDK; None: no spans are made."""


class Place(NamedTuple):
    """Where in a trace we are."""

    trace: str
    """32 hexadecimal digits."""
    parent: str
    """What is done next is a part of this: 16 hexadecimal digits."""
    flags: str
    span: Any = None
    """The SDK's span, when spans are made."""


_here: ContextVar[Place | None] = ContextVar("kontor.trace", default=None)


def _new() -> Place:
    """The beginning of a trace of its own."""
    while True:
        try:
            drawn = _drawn.pop()
        except IndexError:
            # a name and no secret: whoever calls may choose it. Many at once: to draw costs as much as to use
            many = random.randbytes(24 * _MOST_DRAWN).hex()
            _drawn.extend([many[begin : begin + 48] for begin in range(0, len(many), 48)])
        else:
            return Place(drawn[:32], drawn[32:], "00")


_MOST_DRAWN: Final = 64
_drawn: Final[list[str]] = []
if hasattr(os, "register_at_fork"):
    # the generator begins anew in a process that is split off; so does what was drawn from it
    os.register_at_fork(after_in_child=_drawn.clear)


def here() -> Place | None:
    """Where we are; None outside of any trace. What goes on in another task takes it along."""
    return _here.get()


def headers() -> dict[str, str]:
    """What a request to somebody else carries, so that the trace goes on there."""
    place = _here.get()
    return {"traceparent": f"00-{place.trace}-{place.parent}-{place.flags}"} if place is not None else {}


def place_of(traceparent: str) -> Place | None:
    """Where in a trace a header places what follows it; None for one that says nothing."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return Place(found[1], found[2], found[3]) if found is not None else None


class received:
    """A request that came in: its trace, or a new one. `as` gives the trace's id, for the log."""

    __slots__ = ("_mark", "_name", "_place", "_traceparent")

    def __init__(self, name: str, traceparent: str | None) -> None:
        self._name = name
        self._traceparent = traceparent

    def __enter__(self) -> str:
        found = place_of(self._traceparent) if self._traceparent else None
        place = found or _new()
        if _tracer is not None:
            place = _started(self._name, "server", found, {})
        self._place = place
        self._mark: Token[Place | None] = _here.set(place)
        return place.trace

    @property
    def is_kept(self) -> bool:
        """Whether anything that is said of the request is kept."""
        return self._place.span is not None

    def note(self, **attributes: str | int) -> None:
        """Say more about the request."""
        if self._place.span is not None:
            self._place.span.set_attributes(attributes)

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        _here.reset(self._mark)
        _ended(self._place, fault)


class resumed:
    """Work for an earlier request, in another task; None is a trace of its own. `as` gives the trace's id."""

    __slots__ = ("_mark", "_place")

    def __init__(self, place: Place | None) -> None:
        self._place = place or _new()

    def __enter__(self) -> str:
        self._mark: Token[Place | None] = _here.set(self._place)
        return self._place.trace

    def __exit__(self, *_: object) -> None:
        _here.reset(self._mark)


def carried(function: Callable[[A], R]) -> Callable[[A], R]:
    """`function`, so that what it does belongs here, whichever thread calls it."""
    if _tracer is None:
        return function
    place = _here.get()

    def inside(given: A) -> R:
        mark = _here.set(place)
        try:
            return function(given)
        finally:
            _here.reset(mark)

    return inside


def are_made() -> bool:
    """Whether spans are."""
    return _tracer is not None


class span:
    """A part of what is done for the request at hand; nothing outside of one, or where no spans are made."""

    __slots__ = ("_attributes", "_kind", "_mark", "_name", "_place")

    def __init__(self, name: str, kind: KindName = "internal", **attributes: str | int) -> None:
        self._name = name
        self._kind: KindName = kind
        self._attributes = attributes
        self._place: Place | None = None

    def __enter__(self) -> span:
        if _tracer is not None and (above := _here.get()) is not None:
            self._place = _started(self._name, self._kind, above, self._attributes)
            self._mark: Token[Place | None] = _here.set(self._place)
        return self

    def note(self, **attributes: str | int) -> None:
        """Say more about it."""
        if self._place is not None:
            self._place.span.set_attributes(attributes)

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if self._place is not None:
            _here.reset(self._mark)
            _ended(self._place, fault)


def begin(url: str, *, service: str, node: str, sample_ratio: float, headers: Mapping[str, str]) -> Callable[[], None]:
    """Have spans exported to the OTLP collector at `url` from now on; the result ends that, and sends what is left.

    `sample_ratio` of the traces are exported, chosen by their id: both sides choose the same, and no peer decides for us.

    Raises: ModuleNotFoundError when the extra `otel` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", headers=dict(headers), timeout=10)
    return begin_with(BatchSpanProcessor(exporter), service=service, node=node, sample_ratio=sample_ratio)


def begin_with(processor: Any, *, service: str, node: str, sample_ratio: float) -> Callable[[], None]:
    """As `begin`, with a span processor of the SDK; raises as that."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    provider = TracerProvider(
        sampler=TraceIdRatioBased(sample_ratio),
        resource=Resource({"service.name": service, "service.instance.id": node}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    tracer = _tracer = provider.get_tracer("kontor")

    def end() -> None:
        global _tracer
        if _tracer is tracer:
            _tracer = None
        provider.shutdown()

    return end


def _started(name: str, kind: KindName, parent: Place | None, attributes: Mapping[str, str | int]) -> Place:
    from opentelemetry import trace

    context = None
    if parent is not None:
        above = parent.span
        if above is None:
            above = trace.NonRecordingSpan(
                trace.SpanContext(
                    trace_id=int(parent.trace, 16),
                    span_id=int(parent.parent, 16),
                    is_remote=True,
                    trace_flags=trace.TraceFlags(int(parent.flags, 16)),
                )
            )
        context = trace.set_span_in_context(above)
    found = _tracer.start_span(name, context=context, kind=trace.SpanKind[kind.upper()], attributes=attributes)
    said = found.get_span_context()
    return Place(f"{said.trace_id:032x}", f"{said.span_id:016x}", f"{said.trace_flags:02x}", found)


def _ended(place: Place, fault: BaseException | None) -> None:
    if place.span is None:
        return
    if fault is not None:
        from opentelemetry.trace import StatusCode

        place.span.set_status(StatusCode.ERROR, type(fault).__name__)
    place.span.end()
