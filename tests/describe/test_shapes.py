"""The compiled check and the SHACL shapes are two spellings of one set of rules."""

from __future__ import annotations

from typing import Any

import pytest

from connector import packaged, rdf
from connector.describe import check, shapes
from tests.describe import corpus

# what SHACL cannot say
_BEYOND = "base#product-code-check"
# SHACL 4.3: a value that cannot be compared breaks the rule; pyshacl compares the letters of a malformed number
_MALFORMED = ("three", "a lot")
_BOUNDS = frozenset({"base#level-least", "base#level-most", "base#price-least"})
_ALL = ("base", *check.PROFILES)


def _verdict(graph: rdf.Graph, profile: str) -> set[tuple[str, str]]:
    """Which rules of one file are broken, and by which node, as the compiled check finds."""
    found = check.faults(graph, None if profile == "base" else profile)
    return {(fault.rule, fault.focus) for fault in found if fault.rule.startswith(f"{profile}#") and fault.rule != _BEYOND}


def _by_shapes(graph: rdf.Graph, profile: str) -> set[tuple[str, str]]:
    return {(rule, node.text if isinstance(node, rdf.Iri) else "") for rule, node in shapes.broken(graph, profile)}


@pytest.mark.parametrize("profile", _ALL)
def test_the_shapes_that_ship_are_those_of_the_rules(profile: str) -> None:
    shipped = packaged.vocab_file(f"shapes/{profile}.ttl").read_text(encoding="utf-8")
    assert shipped == shapes.turtle(profile)


@pytest.mark.parametrize("profile", _ALL)
def test_both_find_nothing_in_a_whole_description(profile: str) -> None:
    graph = rdf.from_json_ld(corpus.whole(), "whole")
    assert _verdict(graph, profile) == _by_shapes(graph, profile) == set()


@pytest.mark.parametrize(("name", "tree"), [pytest.param(*case, id=case[0]) for case in corpus.broken()])
def test_both_give_the_same_verdict(name: str, tree: dict[str, Any]) -> None:
    graph = rdf.from_json_ld(tree, name)
    uncertain = _BOUNDS if any(text in name for text in _MALFORMED) else frozenset()
    for profile in _ALL:
        ours, theirs = _verdict(graph, profile), _by_shapes(graph, profile)
        assert {pair for pair in ours ^ theirs if pair[0] not in uncertain} == set(), profile


def test_every_rule_is_broken_by_the_corpus() -> None:
    graphs = [rdf.from_json_ld(tree, name) for name, tree in corpus.broken()]
    found = {fault.rule for graph in graphs for profile in check.PROFILES for fault in check.faults(graph, profile)}
    assert {rule.id for name in _ALL for rule in check.rules(name)} - found == set()
