"""The state of the world from a graph: whatever the graph says, it is read or refused by name."""

from __future__ import annotations

import pathlib

from hypothesis import given
from hypothesis import strategies as st

from connector import rdf
from connector.cli.policy_state import DCT, REPORT, state_of
from connector.cli.terms import vocabulary
from connector.errors import KontorError
from connector.odrl.truth import DutyState, Request

_KONTOR = "https://w3id.org/kontor/ns/"
_ODRL = "http://www.w3.org/ns/odrl/2/"
_WORDS = vocabulary()
_NODES = st.sampled_from([rdf.Iri("urn:a"), rdf.Iri("urn:b"), rdf.Blank("c"), rdf.Blank("d")])
_NAMES = st.sampled_from(
    [rdf.TYPE, f"{DCT}issued", f"{DCT}created", f"{_ODRL}partOf", "http://www.w3.org/2004/02/skos/core#broader"]
    + [
        _KONTOR + name
        for name in ("rule", "count", "paid", "amount", "currency", "began", "ended", "becameTrue", "meteredTime")
    ]
    + [REPORT + name for name in ("rule", "deonticState", "performanceState", "ruleReport")]
)
_VALUES = st.one_of(
    _NODES,
    st.sampled_from([rdf.Iri(f"{_KONTOR}Usage"), rdf.Iri(f"{_KONTOR}Event"), rdf.Iri(f"{REPORT}DutyReport")]),
    st.sampled_from(["2027-01-31T12:00:00Z", "5", "-1e30", "PT1H", "P9M", "", "EUR"]).map(rdf.Literal),
)
_TRIPLES = st.lists(st.tuples(_NODES, _NAMES, _VALUES), max_size=25)


@given(_TRIPLES)
def test_a_graph_is_read_or_refused_by_name(triples: list[rdf.Triple]) -> None:
    now = (rdf.Iri("http://example.com/request/currentTime"), f"{DCT}issued", rdf.Literal("2027-01-31T12:00:00Z"))
    said = "state.ttl"
    try:
        state_of(rdf.Graph((now, *triples)), _WORDS, "state.ttl")
    except KontorError as fault:
        said = str(fault)
    assert "state.ttl" in said


def test_membership_goes_all_the_way_up_and_round() -> None:
    text = """@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix dct: <http://purl.org/dc/terms/> .
      <urn:now> dct:issued "2027-01-31T12:00:00Z" . <urn:a> odrl:partOf <urn:b> . <urn:b> odrl:partOf <urn:c> .
      <urn:c> odrl:partOf <urn:a> ."""
    state = state_of(rdf.parse(text, "t"), _WORDS, "t")
    world = state.about([Request(party="urn:nobody", target="urn:a")])
    assert world.memberships["urn:a"] == {"urn:a", "urn:b", "urn:c"}
    assert world.memberships["urn:nobody"] == frozenset()


def test_the_states_of_duties_in_the_public_cases_are_read(official: pathlib.Path) -> None:
    found = {}
    for path in sorted((official / "odrl-tests" / "sotw").glob("duty*.ttl")):
        state = state_of(rdf.parse(path.read_text(encoding="utf-8"), path.name), _WORDS, path.name)
        found[path.stem] = set(state.world.duties.values())
        assert state.reports.keys() == state.world.duties.keys()
    assert found == {"dutyNonset": {DutyState.PENDING}, "dutyViolated": {DutyState.VIOLATED}}
