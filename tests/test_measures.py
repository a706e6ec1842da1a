"""Histograms: each value in its bucket, as few series as there are words, those of other processes added, all of it cheap."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from connector import measures
from connector.measures import Histogram

_MOST_LINES = 10_000
"""Of all histograms together, whatever happens: what a scrape may bring at most."""


@pytest.fixture
def sizes() -> Iterator[Histogram]:
    yield Histogram("tests_of_measures", "Sizes.", (1, 10, 100), role=("provider", "consumer"), way=("in", "out"))
    del measures.ALL["tests_of_measures"]


def test_a_value_falls_into_the_first_bucket_that_is_high_enough(sizes: Histogram) -> None:
    for value in (0.5, 1, 1.5, 100, 101, 1e9):
        sizes.add(value, "provider", "in")
    assert sizes.shown() == {("provider", "in"): ((2, 3, 4, 6), 0.5 + 1 + 1.5 + 100 + 101 + 1e9)}


def test_words_that_nobody_expected_make_no_series_of_their_own(sizes: Histogram) -> None:
    for number in range(1000):
        sizes.add(1, f"a peer's word {number}", "in")
        sizes.add(1, "provider", f"another {number}")
    assert set(sizes.shown()) == {("other", "in"), ("provider", "other")}
    assert sizes.shown()["other", "in"][0][-1] == 1000
    assert sizes.most_series == 9


def test_there_is_a_bound_on_what_all_of_them_can_show() -> None:
    assert sum(one.most_series * (len(one.bounds) + 3) for one in measures.ALL.values()) < _MOST_LINES
    for one in measures.ALL.values():
        assert list(one.bounds) == sorted(set(one.bounds)), one.name
        assert one.name.endswith(("_seconds", "_bytes")), one.name
        assert one.help.endswith("."), one.name


def test_what_was_taken_in_one_process_is_added_in_another_and_not_twice(sizes: Histogram) -> None:
    sizes.add(5, "consumer", "out")
    taken = measures.taken()["tests_of_measures"]
    assert "tests_of_measures" not in measures.taken()
    sizes.add(50, "consumer", "out")
    for _ in range(2):
        measures.put({"tests_of_measures": taken})
    assert sizes.shown() == {("consumer", "out"): ((0, 2, 3, 3), 60)}


def test_a_value_costs_less_than_the_line_about_it(sizes: Histogram) -> None:
    def spent() -> float:
        begin = time.process_time()
        for _ in range(1000):
            sizes.add(7, "provider", "out")
        return (time.process_time() - begin) / 1000

    # half a µs; the bound is generous because machines differ
    assert min(spent() for _ in range(5)) < 20e-6
