"""A policy goes to Turtle and comes back as it was, and what the standard's own examples say stays said."""

from __future__ import annotations

import dataclasses
import itertools
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
from tests.odrl import whole

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
            # JSON has lists in lists and numbers of many kinds; a graph has not
            value = (
                (("https://d.example/p", '"a \\"quoted\\" text"'), ("https://d.example/q", '{"@id":"urn:x"}')) if value else ()
            )
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


@settings(max_examples=15, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(policy=whole.policies().filter(is_found_in_a_graph))
def test_what_is_written_as_turtle_is_read_as_it_was(policy: Policy) -> None:
    told = apart(policy, itertools.count())
    found = policy_of(turtle(told), "policy").policy
    assert canonical.canonical(found) == canonical.canonical(told)
    # and JSON-LD loses nothing of it either
    assert jsonld.read(jsonld.write(found, Shape.ODRL)) == found


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
