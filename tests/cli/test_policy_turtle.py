"""A policy goes to Turtle and comes back as it was, and what the standard's own examples say stays said."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from connector import rdf
from connector.cli.policy_files import policy_in, policy_of
from connector.cli.policy_turtle import triples, turtle
from connector.errors import PolicyError
from connector.odrl import canonical, jsonld
from connector.odrl.jsonld import Shape
from connector.odrl.model import ODRL, XSD, Policy, PolicyType, Value
from tests.examples import examples
from tests.odrl import whole

_EXTRA = (
    ("https://d.example/p", '"a \\"quoted\\" text"'),
    ("https://d.example/q", '{"@id":"urn:x","https://d.example/r":[true,5,-7.5,1e+30,{"@type":"http://www.w3.org/2001/XMLSchema#integer","@value":"05"}]}'),
    ("https://d.example/s", '[{"@language":"de-CH","@value":"x"},{"https://d.example/r":{"@list":[2,2.5,1]}}]'),
)  # fmt: skip
_PARTS = ("uid", "source", "inherit_from", "profiles", "replaced_by", "right_references", "part_of")


def apart(part: Any, names: Iterator[int]) -> Any:
    """The same policy with a name of its own for each thing that has one: a graph makes one thing of two with one name."""
    if isinstance(part, tuple):
        return tuple(apart(one, names) for one in part)
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return part
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in ("where", "warnings"):
            continue
        if field.name in _PARTS and value:
            value = tuple(f"urn:n:{next(names)}" for _ in value) if isinstance(value, tuple) else f"urn:n:{next(names)}"
        elif field.name == "extra":
            # JSON has lists in lists and objects without a context; a graph has not
            value = _EXTRA if value else ()
        elif (
            field.name in ("name", "left", "text")
            and isinstance(value, str)
            and not (":" not in value or value.startswith("http"))
        ):
            value = value if isinstance(part, Value) and not part.is_iri else f"urn:n:{next(names)}"
        elif field.name == "text" and isinstance(part, Value) and part.is_iri and " " in value:
            value = "urn:plain"
        changes[field.name] = apart(value, names)
    return dataclasses.replace(part, **changes)


def is_found_in_a_graph(policy: Policy) -> bool:
    """A request is not taken for a policy; a class of a profile shows to be one by its rules only."""
    return policy.type != PolicyType.REQUEST and (policy.has_rules or policy.type in list(PolicyType))


@settings(max_examples=examples(3), phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(policy=whole.policies().filter(is_found_in_a_graph))
def test_what_is_written_as_turtle_is_read_as_it_was(policy: Policy) -> None:
    told = apart(policy, itertools.count())
    found = policy_of(turtle(told), "policy").policy
    assert canonical.canonical(found) == canonical.canonical(told)
    # and JSON-LD loses nothing of it either, whether it is read as it stands or by a JSON-LD processor
    tree = jsonld.write(found, Shape.ODRL)
    assert jsonld.read(tree) == found
    tree["@context"] = ["http://www.w3.org/ns/odrl.jsonld", {"d": "https://d.example/"}]
    assert canonical.digest(policy_of(json.dumps(tree), "policy").policy) == canonical.digest(told)


def test_the_order_of_a_sequence_survives() -> None:
    steps = [{"leftOperand": "purpose", "operator": "eq", "rightOperand": f"step {n}"} for n in (3, 1, 2)]
    policy = jsonld.read({"@id": "urn:p", "permission": [{"action": "use", "constraint": [{"andSequence": steps}]}]})
    assert policy_of(turtle(policy), "policy").policy == policy
    tree = {"@context": "http://www.w3.org/ns/odrl.jsonld", **jsonld.write(policy, Shape.ODRL)}
    assert policy_of(rdf.turtle(rdf.from_json_ld(tree, "policy").triples, {}), "policy").policy == policy


def test_a_name_for_two_things_is_refused_instead_of_making_them_one() -> None:
    constraint = {"@id": "urn:c", "leftOperand": "purpose", "operator": "eq"}
    rules = [{"action": "use", "constraint": [{**constraint, "rightOperand": value}]} for value in ("a", "b")]
    with pytest.raises(PolicyError, match="`urn:c` names two things that differ"):
        turtle(jsonld.read({"permission": rules}))


def test_a_relative_name_is_refused() -> None:
    with pytest.raises(PolicyError, match="`wind` is a relative name"):
        turtle(jsonld.read({"permission": [{"action": "use", "target": "wind"}]}))


_IMPLIED = {
    rdf.Iri(ODRL + name)
    for name in ("Permission", "Prohibition", "Duty", "Constraint", "LogicalConstraint", "Asset", "Party", "Policy")
}


def said(graph: rdf.Graph) -> rdf.Graph:
    """A graph without what goes without saying: the classes that properties imply, and the name of a node that has one."""
    return rdf.Graph(
        tuple(
            (node, name, value)
            for node, name, value in graph.triples
            if not (name == rdf.TYPE and value in _IMPLIED) and name != f"{ODRL}uid"
        )
    )


def test_each_official_policy_says_the_same_after_reading_and_writing(official: Path) -> None:
    paths = sorted((official / "odrl-tests" / "policies").glob("*.ttl"))
    assert len(paths) == 21
    for path in paths:
        before = said(rdf.parse(path.read_text(), path.name))
        policy = policy_in(path).policy
        assert rdf.form(said(rdf.Graph(triples(policy)))) == rdf.form(before), path.name
        # and through JSON-LD with the standard's own context
        tree = {"@context": "http://www.w3.org/ns/odrl.jsonld", **jsonld.write(policy, Shape.ODRL)}
        assert rdf.form(said(rdf.from_json_ld(tree, path.name))) == rdf.form(before), path.name


def test_values_keep_their_types_and_languages() -> None:
    rights: list[Any] = [
        "plain",
        {"@value": "1.50", "@type": f"{XSD}decimal"},
        {"@value": "Zürich", "@language": "de"},
        {"@id": "urn:place"},
        5,
        True,
        {"@value": "2026-01-01", "@type": f"{XSD}date"},
    ]
    constraint = {
        "leftOperand": "spatial",
        "operator": "isAnyOf",
        "rightOperand": rights,
        "unit": {"@id": "urn:unit"},
        "status": 3,
    }
    policy = jsonld.read({"@id": "urn:p", "permission": [{"action": "use", "constraint": [constraint]}]})
    found = policy_of(turtle(policy), "policy").policy
    assert set(found.permissions[0].constraints[0].right) == set(policy.permissions[0].constraints[0].right)  # type: ignore[union-attr]
    assert canonical.canonical(found) == canonical.canonical(policy)


@pytest.mark.parametrize(
    ("written", "kind"),
    [("010", "integer"), ("+5", "integer"), ("-0", "integer"), ("1.50", "decimal"), (".5", "decimal"), ("1e3", "double")],
)  # fmt: skip
def test_a_value_has_one_digest_in_turtle_with_and_without_quotes_and_in_json_ld(written: str, kind: str) -> None:
    limit = {"leftOperand": "count", "operator": "lteq", "rightOperand": {"@value": written, "@type": f"{XSD}{kind}"}}
    policy = jsonld.read({"@id": "urn:p", "permission": [{"action": "use", "constraint": [limit]}]})
    bare = (
        f"@prefix odrl: <{ODRL}> . <urn:p> odrl:permission [ odrl:action odrl:use ; odrl:constraint "
        f"[ odrl:leftOperand odrl:count ; odrl:operator odrl:lteq ; odrl:rightOperand {written} ] ] ."
    )
    for text in (bare, bare.replace(written, f'"{written}"^^<{XSD}{kind}>'), turtle(policy)):
        found = policy_of(text, "policy").policy
        assert found.permissions[0].constraints[0].right == (Value(text=written, datatype=f"{XSD}{kind}"),)  # type: ignore[union-attr]
        assert canonical.digest(found) == canonical.digest(policy)


def test_a_number_of_json_is_the_same_to_either_reader() -> None:
    policy = {"@id": "urn:p", "permission": [{"action": "use"}]}
    for number in (5, 5.0, 5.5, 1e30, -0.25):
        limit = {"leftOperand": "count", "operator": "lteq", "rightOperand": number}
        tree = {**policy, "permission": [{"action": "use", "constraint": [limit]}]}
        processed = {"@context": ["http://www.w3.org/ns/odrl.jsonld", {"ex": "urn:ex:"}], **tree}
        assert policy_of(json.dumps(processed), "policy").policy == policy_of(json.dumps(tree), "policy").policy


def test_the_moment_of_an_agreement_survives_a_json_ld_processor() -> None:
    policy = jsonld.read(
        {"@id": "urn:p", "@type": "Agreement", "timestamp": "2026-11-22T12:00:00Z", "permission": [{"action": "use"}]}
    )
    tree = {"@context": "http://www.w3.org/ns/odrl.jsonld", **jsonld.write(policy, Shape.ODRL)}
    assert policy_of(rdf.turtle(rdf.from_json_ld(tree, "policy").triples, {}), "policy").policy.timestamp == policy.timestamp
