"""The compiled check and the SHACL shapes are two spellings of one set of rules."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from connector import packaged, rdf
from connector.describe import check, participant, plain, shapes
from tests.describe import corpus, participants

# what SHACL cannot say
_BEYOND = "base#product-code-check"
# SHACL 4.3: a value that cannot be compared breaks the rule; pyshacl compares the letters of a malformed number
_MALFORMED = ("three", "a lot", "' 3 '", "٣", "1e2")
_BOUNDS = frozenset({"base#level-least", "base#level-most", "base#price-least"})
_ALL = ("base", *check.PROFILES)
_EVERY = (*_ALL, participant.PROFILE)
_Verdict = set[tuple[str, str]]
_DATASETS = [("whole", corpus.whole()), *corpus.broken()]
_PARTICIPANTS = [("whole", participants.whole()), *participants.broken()]


def _ours(graph: check.Graph, profile: str) -> _Verdict:
    """Which rules of one file are broken, and by which node, as the compiled check finds."""
    found = check.faults(graph, None if profile == "base" else profile)
    return {(fault.rule, fault.focus) for fault in found if fault.rule.startswith(f"{profile}#") and fault.rule != _BEYOND}


@functools.cache
def _graphs(profile: str) -> list[tuple[str, rdf.Graph]]:
    """The corpus of a profile: whole first, and of what is broken that which its rules look at."""
    if profile in ("base", participant.PROFILE):
        cases = _PARTICIPANTS if profile == participant.PROFILE else _DATASETS
        return [(name, rdf.from_json_ld(tree, name)) for name, tree in cases]
    words = {plain.last_part(step) for rule in check.rules(profile) for way in rule.path for step in way}
    return [
        (name, graph) for name, graph in _graphs("base") if " = " not in name or plain.last_part(name.split(" = ")[0]) in words
    ]


@functools.cache
def _by_shapes(profile: str) -> list[_Verdict]:
    """The same as pyshacl finds, of the whole corpus in one graph: the nodes of each document are named by its number."""
    graphs = [graph for _, graph in _graphs(profile)]
    targets = {rule.id: rule.target for rule in check.rules(profile)}
    triples = [
        (_numbered(subject, place), predicate, _numbered(value, place))
        for place, graph in enumerate(graphs)
        for subject, predicate, value in graph.triples
    ]
    found: list[_Verdict] = [set() for _ in graphs]
    for rule, node in shapes.broken(rdf.Graph(tuple(triples)), profile):
        if isinstance(node, rdf.Literal):
            # a text in the place of a node breaks the rule in each document that has it there
            for place, graph in enumerate(graphs):
                if any(value == node for _, value in graph.pairs(targets[rule])):
                    found[place].add((rule, ""))
            continue
        text = node.label if isinstance(node, rdf.Blank) else node.text
        number, _, name = text.removeprefix("urn:case:").removeprefix("case-").partition("-")
        found[int(number)].add((rule, name if isinstance(node, rdf.Iri) else ""))
    return found


def _numbered(term: Any, place: int) -> Any:
    """A node of the document `place`; names that the rules know, of classes and concepts, stay."""
    if isinstance(term, rdf.Blank):
        return rdf.Blank(f"case-{place}-{term.label}")
    if isinstance(term, rdf.Iri) and not term.text.startswith(("http", "mailto:", "javascript:")):
        return rdf.Iri(f"urn:case:{place}-{term.text}")
    if isinstance(term, rdf.Iri) and "#service" in term.text:
        return rdf.Iri(f"urn:case:{place}-{term.text}")
    return term


@pytest.mark.parametrize("profile", _EVERY)
def test_the_shapes_that_ship_are_those_of_the_rules(profile: str) -> None:
    shipped = packaged.vocab_file(f"shapes/{profile}.ttl").read_text(encoding="utf-8")
    assert shipped == shapes.turtle(profile)


@pytest.mark.parametrize("profile", _EVERY)
def test_both_give_the_same_verdict_on_what_is_whole_and_on_what_is_broken(profile: str) -> None:
    for (name, graph), theirs in zip(_graphs(profile), _by_shapes(profile), strict=True):
        uncertain = _BOUNDS if any(text in name for text in _MALFORMED) else frozenset()
        ours = _ours(graph, profile)
        assert {pair for pair in ours ^ theirs if pair[0] not in uncertain} == set(), name
        assert name != "whole" or ours == set()


def test_every_rule_is_broken_by_the_corpus() -> None:
    found = {rule for profile in _EVERY for _, graph in _graphs(profile) for rule, _ in _ours(graph, profile)}
    assert {rule.id for name in _EVERY for rule in check.rules(name)} - found == set()


def test_plain_json_is_read_as_the_graph_of_it() -> None:
    """Where a catalogue takes in descriptions it does not process JSON-LD: the verdict is the same."""
    for (name, tree), (_, graph) in zip(_DATASETS, _graphs("base"), strict=True):
        ours = plain.Description(tree, "Dataset")
        for profile in _ALL:
            assert _ours(ours, profile) == _ours(graph, profile), name
