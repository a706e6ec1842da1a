"""A trace goes on at the peer, whether or not spans are made; spans belong to it wherever the work is done."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from connector import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
exporters = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")


@pytest.fixture
def spans() -> Iterator[exporters.InMemorySpanExporter]:
    """The spans that are made from now on."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    found = exporters.InMemorySpanExporter()
    end = tracing.begin_with(SimpleSpanProcessor(found), service="kontor", node="n", sample_ratio=1.0)
    yield found
    end()


def test_a_trace_is_taken_from_the_caller_and_handed_on() -> None:
    assert tracing.headers() == {}
    with tracing.received("GET", PARENT) as trace:
        assert trace == TRACE
        assert tracing.headers() == {"traceparent": PARENT}
        place = tracing.here()
    assert tracing.here() is None
    with tracing.resumed(place) as trace:
        assert trace == TRACE


@pytest.mark.parametrize(
    "sent", [None, "", "garbage", f"00-{TRACE}", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01"]
)
def test_without_a_good_one_a_trace_begins_here(sent: str | None) -> None:
    with tracing.received("GET", sent) as trace:
        assert len(trace) == 32
        assert trace not in (TRACE, "0" * 32)
        assert tracing.headers()["traceparent"].startswith(f"00-{trace}-")


def _fails(sent: list[str]) -> None:
    with tracing.span("send", "client"):
        sent.append(tracing.headers()["traceparent"])
        raise ValueError("broken")


def test_spans_are_parts_of_the_request_in_another_thread_too(spans: exporters.InMemorySpanExporter) -> None:
    def decide(word: str) -> None:
        with tracing.span("decide", "internal", word=word):
            pass

    with tracing.span("outside of any request"):
        pass
    with tracing.received("POST", PARENT) as trace:
        assert trace == TRACE
        with tracing.span("commit") as commit:
            commit.note(count=1)
            thread = threading.Thread(target=tracing.carried(decide), args=("yes",))
            thread.start()
            thread.join()
        sent: list[str] = []
        with pytest.raises(ValueError, match="broken"):
            _fails(sent)
    found = {span.name: span for span in spans.get_finished_spans()}
    assert set(found) == {"POST", "commit", "decide", "send"}
    assert {f"{span.context.trace_id:032x}" for span in found.values()} == {TRACE}
    assert found["decide"].parent.span_id == found["commit"].context.span_id
    assert found["commit"].parent.span_id == found["POST"].context.span_id
    assert sent[0] == f"00-{TRACE}-{found['send'].context.span_id:016x}-01"
    assert (found["send"].status.is_ok, found["commit"].status.is_ok) == (False, True)
    assert dict(found["commit"].attributes) == {"count": 1}


def test_what_is_carried_nowhere_costs_nothing() -> None:
    assert tracing.carried(len) is len
