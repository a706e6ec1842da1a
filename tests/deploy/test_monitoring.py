"""Alert rules and the dashboard name metrics that a node has, labels that these have, and words that the labels have."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator, Mapping

import pytest
import yaml

from connector import measures
from connector.web.operator import health
from tests.deploy.conftest import DEPLOY
from tests.house.tree import files

FOLDER = DEPLOY / "monitoring"
GIVEN = frozenset({"instance", "le"})
"""Labels that no node says: Prometheus gives one, buckets have the other."""
_WAYS = ("observe.count", "observe.counted", "observe.gauge")
_USED = re.compile(r"\b((?:kontor|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_BY = re.compile(r"\bby \(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


@functools.cache
def counted() -> Mapping[str, frozenset[str]]:
    """The names of plain counts and gauges, as they are shown, and their labels, where those stand beside the name."""
    found: dict[str, frozenset[str]] = {"kontor_worker_at_work_seconds": frozenset({"worker"})}
    for path in files():
        text = path.read_text(encoding="utf-8")
        if "observe.count" not in text and "observe.gauge(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            name, way = node.args[0], ast.unparse(node.func)
            if not isinstance(name, ast.Constant) or way not in _WAYS:
                continue
            labels = frozenset(word.arg for word in node.keywords if word.arg not in (None, "by"))
            shown = f"kontor_{name.value}" + ("" if way == "observe.gauge" else "_total")
            found[shown] = found.get(shown, frozenset()) | labels  # type: ignore[operator]
    return found


def measured() -> Mapping[str, measures.Histogram]:
    """The histograms by the names of what they show."""
    parts = ("bucket", "count", "sum")
    return {f"kontor_{name}_{part}": one for name, one in measures.ALL.items() for part in parts}


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression of both files, with the text beside it that names labels."""
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert set(rule["annotations"]) == {"summary", "action"}
            yield rule["expr"], " ".join(rule["annotations"].values())
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


ALL = list(expressions())


@pytest.mark.parametrize(("expression", "text"), ALL, ids=range(len(ALL)))
def test_each_expression_speaks_of_what_there_is(expression: str, text: str) -> None:
    plain, histograms = counted(), measured()
    names = _USED.findall(expression)
    assert names
    assert expression.count("(") == expression.count(")")
    labels: set[str] = set()
    for name, selector in names:
        if name.startswith("process_"):
            continue
        assert name in plain or name in histograms, name
        own = frozenset(histograms[name].labels) if name in histograms else plain[name]
        labels |= own
        assert not name.endswith("_bucket") or "histogram_quantile(" in expression
        for label, _, value in _MATCHER.findall(selector):
            assert label in own | GIVEN, (name, label)
            if name in histograms and label not in GIVEN:
                one = histograms[name]
                words = one._words[one.labels.index(label)]
                assert set(value.split("|")) <= words, (name, label, value)
    for group in _BY.findall(expression):
        assert {word.strip() for word in group.split(",")} <= labels | GIVEN, group
    # what a text shows is what the expression leaves
    left = {word.strip() for group in _BY.findall(expression) for word in group.split(",")} if "by (" in expression else labels
    assert set(_SHOWN.findall(text)) <= left | GIVEN, text


def test_every_histogram_is_on_the_dashboard_and_every_count_has_words() -> None:
    shown = {name for expression, _ in ALL for name, _ in _USED.findall(expression)}
    assert {name for name in measures.ALL if not {f"kontor_{name}_{part}" for part in ("bucket", "count")} & shown} == set()
    assert {name.removeprefix("kontor_").removesuffix("_total") for name in counted()} <= set(health._WHAT)


def test_workers_that_look_through_everything_may_be_at_it_for_long() -> None:
    (long,) = {one for expression, _ in ALL for one in re.findall(r'worker!~"([^"]*)"', expression)}
    found = {
        word
        for path in files()
        for given in re.findall(r"sweeps=frozenset\(\{([^}]*)\}\)", path.read_text(encoding="utf-8"))
        for word in re.findall(r'"([^"]+)"', given)
    }
    assert len(found) > 5
    assert {word for word in found if not re.fullmatch(long, word)} == set()


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}
