"""What a node has measured of one contract and its data, as Prometheus and OpenMetrics readers understand it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from connector.testing.dataspace import PUSH, DataSpace, Member

Read = Callable[[str], Iterable[Metric]]
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


async def told(member: Member, accept: str, read: Read) -> dict[str, Metric]:
    """The metrics of a member's node by name."""
    async with httpx.AsyncClient(base_url=member.app.operator_url, trust_env=False) as http:
        answer = await http.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(accept.partition(";")[0])
    return {metric.name: metric for metric in read(answer.text)}


def count(found: dict[str, Metric], name: str, **labels: str) -> float:
    """How many values a histogram has under `labels`."""
    wanted = labels.items()
    return sum(
        sample.value for sample in found[name].samples if sample.name == f"{name}_count" and wanted <= sample.labels.items()
    )


async def test_a_contract_and_its_data_are_measured_from_the_first_message_to_the_last_byte(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", content=b"rain")
    before = await told(provider, "text/plain", text_string_to_metric_families)
    agreed = await consumer.negotiate(offer)
    assert await consumer.get(agreed) == b"rain"
    pushed = await consumer.transfer(agreed, format=PUSH)
    await consumer.until_transfer(pushed.pid, "COMPLETED")
    after = await told(provider, "text/plain", text_string_to_metric_families)

    def more(name: str, **labels: str) -> float:
        return count(after, name, **labels) - count(before, name, **labels)

    # both nodes are this process
    for role in ("provider", "consumer"):
        assert more("kontor_negotiation_seconds", role=role, state="FINALIZED") == 1
        assert more("kontor_transfer_seconds", role=role, format="HttpData-PUSH", state="COMPLETED") == 1
        assert more("kontor_transfer_bytes", role=role, format="HttpData-PUSH") == 1
    for route in ("negotiations", "transfers", "pull", "push", "api"):
        assert more("kontor_http_request_seconds", route=route, status="2xx") >= 1, route
    for event in ("request", "agree", "verify", "finalize", "start", "complete"):
        assert more("kontor_message_send_seconds", event=event, outcome="ok") >= 1, event
    assert more("kontor_outbox_wait_seconds", kind="negotiation") == 4
    assert more("kontor_pull_seconds", role="provider") == more("kontor_pull_bytes", role="provider") == 1
    assert more("kontor_policy_decision_seconds", stage="negotiate", effect="permit") >= 1
    assert count(after, "kontor_http_request_seconds", route="other") == 0
    # readers of either format see the same
    again = await told(provider, OPENMETRICS, openmetrics.text_string_to_metric_families)
    assert count(again, "kontor_negotiation_seconds") == count(after, "kontor_negotiation_seconds")
    for metric in (*after.values(), *again.values()):
        if metric.type == "histogram":
            are_whole(metric)


def are_whole(metric: Metric) -> None:
    """Each series of a histogram rises from bucket to bucket, and ends with all there is."""
    series: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for sample in metric.samples:
        labels = dict(sample.labels)
        if sample.name.endswith("_bucket"):
            bound = float(labels.pop("le"))
            series.setdefault(frozenset(labels.items()), []).append((bound, sample.value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets), metric.name
        assert [value for _, value in buckets] == sorted(value for _, value in buckets), metric.name
        assert buckets[-1][0] == math.inf
        (whole,) = [
            one.value for one in metric.samples if one.name.endswith("_count") and frozenset(one.labels.items()) == labels
        ]
        assert whole == buckets[-1][1]
