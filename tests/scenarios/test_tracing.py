"""One trace from the operator's request over both connectors and back: one id in all spans and in both logs."""

from __future__ import annotations

import httpx
import pytest

from connector import tracing
from connector.testing.dataspace import DataSpace, api_key

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_negotiation_is_one_trace_on_both_sides(space: DataSpace) -> None:
    exporters = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather")
    spans = exporters.InMemorySpanExporter()
    end = tracing.begin_with(SimpleSpanProcessor(spans), service="kontor", node="n", sample_ratio=1.0)
    try:
        async with httpx.AsyncClient(base_url=consumer.app.operator_url, trust_env=False) as http:
            headers = {"X-Api-Key": api_key(), "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            wanted = {"address": provider.address, "peer": provider.id, "dataset": offer.dataset, "offer": offer.terms()}
            begun = await http.post("/api/v1/participants/consumer/negotiations", json=wanted, headers=headers)
        assert begun.status_code == 201
        done = await consumer.until_negotiation(begun.json()["pid"], "FINALIZED")
        await provider.until_negotiation(await provider.theirs(done), "FINALIZED")
        mine = [span for span in spans.get_finished_spans() if f"{span.context.trace_id:032x}" == TRACE]
    finally:
        end()
    names = [span.name for span in mine]
    assert {"send request", "send agree", "send verify", "send finalize", "commit", "decide"} <= set(names)
    assert names.count("POST public") >= 4
    by_id = {span.context.span_id: span for span in mine}
    received = [span for span in mine if span.name == "POST public"]
    assert all(by_id[span.parent.span_id].name.startswith("send ") for span in received)
