"""Memory does not grow with the data."""

from __future__ import annotations

from tests.dataplane.measure import measure, measure_objects


def test_flows_of_any_size_need_the_same_memory() -> None:
    figures = measure(small=5_000_000, large=80_000_000)
    grown = {(flow, name): value for flow, found in figures.items() for name, value in found.items() if "growth" in name}
    assert len(grown) == 5
    assert {key: value for key, value in grown.items() if not isinstance(value, float) or value > 32} == {}


def test_objects_of_any_size_need_the_same_memory(s3: str) -> None:
    figures = measure_objects(s3)
    grown = {flow: found["provider_growth_mb"] for flow, found in figures.items()}
    assert len(grown) == 2
    assert {key: value for key, value in grown.items() if not isinstance(value, float) or value > 32} == {}
