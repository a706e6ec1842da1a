"""Turtle and JSON-LD as plain triples: nothing is lost, nothing is fetched, nothing is renamed."""

from __future__ import annotations

import pathlib

import pytest

from connector import rdf
from connector.errors import BadMessage
from connector.odrl import jsonld
from connector.odrl.wire import Shape, write
from connector.rdf import Blank, Graph, Iri, Literal

ODRL = "http://www.w3.org/ns/odrl/2/"
TURTLE = """
@prefix ex: <urn:ex:> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
ex:a a ex:Thing ; ex:at "2024-02-12T11:20:10.9Z"^^xsd:dateTime ; ex:n 1.50 ; ex:said "hi"@en ; ex:in [ ex:list (ex:b "c") ] .
"""
JSON = {
    "@context": {"ex": "urn:ex:", "xsd": "http://www.w3.org/2001/XMLSchema#"},
    "@id": "ex:a",
    "@type": "ex:Thing",
    "ex:at": {"@value": "2024-02-12T11:20:10.9Z", "@type": "xsd:dateTime"},
    "ex:n": {"@value": "1.50", "@type": "xsd:decimal"},
    "ex:said": {"@value": "hi", "@language": "en"},
    "ex:in": {"ex:list": {"@list": [{"@id": "ex:b"}, "c"]}},
}


def test_turtle_and_json_ld_say_the_same() -> None:
    assert rdf.form(rdf.parse(TURTLE, "t")) == rdf.form(rdf.from_json_ld(JSON, "j"))


def test_a_value_stays_as_it_was_written() -> None:
    graph = rdf.parse(TURTLE, "t")
    assert graph.one(Iri("urn:ex:a"), "urn:ex:at") == Literal("2024-02-12T11:20:10.9Z", f"{rdf.XSD}dateTime")
    assert graph.one(Iri("urn:ex:a"), "urn:ex:n") == Literal("1.50", f"{rdf.XSD}decimal")
    assert "1.50" in rdf.turtle(graph.triples, {"ex": "urn:ex:"})


FORMS = (
    *('"010"^^xsd:integer', "010", "-0", "+5", ".5", "0.00000001", "1e3", "1.0E3", '"1"^^xsd:boolean', '"TRUE"^^xsd:boolean'),
    *('" 5 "^^xsd:integer', '"5"^^xsd:decimal', '"1.5"^^xsd:double', '"inf"^^xsd:double', '"NaN"^^xsd:float', '"x"@de'),
    *('"P0Y1M"^^xsd:duration', '"1 # 2"', '"""3 "4" \'5\'\n"""', "'''a'b 01'''", r'"\\"', r'"\u0000\t\u007F\""'),
    *("ex:1.50", r"ex:a\,010"),
)


def test_each_form_of_a_value_survives_reading_and_writing() -> None:
    head = TURTLE[: TURTLE.index("ex:a a")]
    read = rdf.parse(f"{head} ex:a ex:p {' , '.join(FORMS)} . # 010\nex:b ex:p (010 -1.50.5).", "t")
    said = {term.text for term in read.values(Iri("urn:ex:a"), "urn:ex:p") if isinstance(term, Literal)}
    assert {"010", "-0", "+5", ".5", "0.00000001", "1e3", "1.0E3", "1", "TRUE", " 5 ", "5", "1.5", "inf", "NaN"} < said
    assert {"1 # 2", "3 \"4\" '5'\n", "a'b 01", "\\", '\0\t\x7f"'} < said
    assert Iri("urn:ex:1.50") in read.values(Iri("urn:ex:a"), "urn:ex:p")
    assert [item["@value"] for item in rdf.tree(read, Iri("urn:ex:b"))["urn:ex:p"][0]["@list"]] == ["010", "-1.50", ".5"]
    written = rdf.turtle(read.triples, {"ex": "urn:ex:", "xsd": rdf.XSD})
    assert rdf.form(rdf.parse(written, "t")) == rdf.form(read)
    about = Graph(tuple(triple for triple in read.triples if triple[0] == Iri("urn:ex:a")))
    assert rdf.form(rdf.from_json_ld(rdf.tree(read, Iri("urn:ex:a")), "j")) == rdf.form(about)


def test_what_is_written_reads_as_the_same_graph() -> None:
    graph = rdf.parse(TURTLE, "t")
    assert rdf.form(rdf.parse(rdf.turtle(graph.triples, {"ex": "urn:ex:"}), "t")) == rdf.form(graph)
    tree = rdf.tree(graph, Iri("urn:ex:a"))
    assert tree["urn:ex:in"][0]["urn:ex:list"] == [{"@list": [{"@id": "urn:ex:b"}, {"@value": "c"}]}]
    assert rdf.form(rdf.from_json_ld(tree, "j")) == rdf.form(graph)


def test_a_node_inside_itself_is_only_named() -> None:
    graph = rdf.parse("<urn:a> <urn:p> <urn:b> . <urn:b> <urn:p> <urn:a> .", "t")
    assert rdf.tree(graph, Iri("urn:a")) == {
        "@id": "urn:a",
        "urn:p": [{"@id": "urn:b", "urn:p": [{"@id": "urn:a"}]}],
    }


def test_a_node_written_in_too_many_places_is_refused() -> None:
    # each level names the one below twice: the graph is small, the tree is not
    rows = "\n".join(f"<urn:{n}> <urn:p> <urn:{n + 1}> ; <urn:q> <urn:{n + 1}> ." for n in range(40))
    with pytest.raises(BadMessage, match="nodes"):
        rdf.tree(rdf.parse(rows, "t"), Iri("urn:0"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@prefix : <x", "line 1"),
        ("\n\na b c .", "no Turtle"),
        ("<a> <urn:b> <urn:c> .", "`a` is a relative name"),
        ('{"@id": "a", "urn:p": 1}', "relative name"),
        ("{", "no JSON"),
        ('{"@context": "https://example.org/context", "p": 1}', "unknown context"),
        ("[ " * 5_000, "no Turtle"),
    ],
)
def test_what_is_no_graph_is_named(text: str, said: str) -> None:
    with pytest.raises(BadMessage, match=said):
        rdf.parse(text, "file")


def test_turtle_may_begin_with_a_bracket() -> None:
    ((subject, name, value),) = rdf.parse("[] <urn:p> <urn:v> .", "t").triples
    assert isinstance(subject, Blank)
    assert (name, value) == ("urn:p", Iri("urn:v"))


def test_graphs_differ_by_what_they_say_and_not_by_names_of_nodes_that_do_not_count() -> None:
    one, same, other = (
        rdf.parse(f"<urn:{name}> <urn:p> <urn:{name}1> . <urn:{name}1> <urn:q> '{value}' .", "t")
        for name, value in (("a", "x"), ("b", "x"), ("c", "y"))
    )

    def told(graph: Graph) -> tuple[object, ...]:
        return rdf.form(graph, graph.rows)

    assert told(one) == told(same) != told(other)
    assert rdf.form(one) != rdf.form(same)


def test_an_unnamed_node_inside_itself_has_no_form() -> None:
    with pytest.raises(BadMessage, match="inside itself"):
        rdf.form(rdf.parse("<urn:a> <urn:p> _:x . _:x <urn:p> _:x .", "t"))


def test_every_public_policy_becomes_a_tree_without_loss(official: pathlib.Path) -> None:
    for path in sorted((official / "odrl-tests" / "policies").glob("*.ttl")):
        graph = rdf.parse(path.read_text(encoding="utf-8"), path.name)
        (root,) = graph.typed(f"{ODRL}Set")
        tree = rdf.tree(graph, root)
        assert rdf.form(rdf.from_json_ld(tree, path.name)) == rdf.form(graph)
        del tree[f"{ODRL}uid"]
        policy = jsonld.read(tree)
        assert jsonld.read(write(policy, Shape.ODRL)) == policy


def test_a_member_that_stands_twice_in_json_is_refused() -> None:
    with pytest.raises(BadMessage, match="stands twice"):
        rdf.parse('{"@id": "urn:a", "urn:b": 1, "urn:b": 2}', "state.json")
