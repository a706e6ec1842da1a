"""The YAML language says exactly what ODRL says, and a bad line is refused with file, line and column."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from connector.errors import PolicyError
from connector.odrl import jsonld, yamlfmt
from connector.odrl.jsonld import Shape
from connector.odrl.model import AnyConstraint, Constraint, Operator
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import folder


def first(text: str, vocabulary: Vocabulary) -> AnyConstraint:
    return yamlfmt.read(f"permit: [{{action: use, when: {text}}}]", vocabulary).permissions[0].constraints[0]


@pytest.mark.parametrize(
    ("line", "left", "operator", "right"),
    [
        ("purpose == research", "purpose", "eq", ["research"]),
        ("purpose==research", "purpose", "eq", ["research"]),
        ("purpose != marketing", "purpose", "neq", ["marketing"]),
        ("dateTime < 2027-01-01T00:00:00Z", "dateTime", "lt", ["2027-01-01T00:00:00Z"]),
        ("count <= 10", "count", "lteq", ["10"]),
        ("dateTime > 2027-01-01", "dateTime", "gt", ["2027-01-01"]),
        ("dateTime >= 2027-01-01", "dateTime", "gteq", ["2027-01-01"]),
        ("'purpose in [research, cx.pcf.base:1]'", "purpose", "isAnyOf", ["research", "cx.pcf.base:1"]),
        ("'role all of [a, b]'", "https://w3id.org/kontor/ns/role", "isAllOf", ["a", "b"]),
        ("'odrl:purpose none of [a, \"b c\"]'", "purpose", "isNoneOf", ["a", "b c"]),
        ("spatial within EU", "spatial", "isPartOf", ["EU"]),
        ("spatial contains DE", "spatial", "hasPart", ["DE"]),
        ("purpose is a research", "purpose", "isA", ["research"]),
        ("claim:level >= 3", "claim:level", "gteq", ["3"]),
        ("membership == active", "https://w3id.org/kontor/ns/membership", "eq", ["active"]),
        (
            "inForceDate <= contractAgreement+30d",
            "https://w3id.org/edc/v0.0.1/ns/inForceDate",
            "lteq",
            ["contractAgreement+30d"],
        ),
        ("purpose == a within b", "purpose", "eq", ["a within b"]),
    ],
)
def test_a_line_is_a_constraint(line: str, left: str, operator: str, right: list[str], vocabulary: Vocabulary) -> None:
    found = first(line, vocabulary)
    assert isinstance(found, Constraint)
    assert (found.left, found.operator, [value.text for value in found.right]) == (left, Operator(operator), right)


def test_a_number_may_carry_a_unit(vocabulary: Vocabulary) -> None:
    found = first("payAmount == 500 EUR", vocabulary)
    assert isinstance(found, Constraint)
    assert found.unit is not None
    assert (found.right[0].text, found.unit.text) == ("500", "EUR")


def test_an_iri_is_written_in_angle_brackets(vocabulary: Vocabulary) -> None:
    found = first("spatial == <http://example.org/EU>", vocabulary)
    assert isinstance(found, Constraint)
    assert found.right[0].is_iri


def test_the_whole_language_maps_one_to_one(vocabulary: Vocabulary) -> None:
    readme = (folder("policies") / "README.md").read_text(encoding="utf-8")
    text = readme.split("```yaml\n")[1].split("```")[0]
    policy = yamlfmt.read(text, vocabulary)
    tree = jsonld.write(policy, Shape.ODRL)
    assert jsonld.read(tree) == policy
    assert tree == {
        "@type": "Offer",
        "@id": "urn:example:policy:wind-7",
        "profile": "https://w3id.org/kontor/profile/base",
        "conflict": "prohibit",
        "target": "urn:asset:wind-7",
        "assigner": "did:web:provider.example",
        "http://purl.org/dc/terms/title": "Wind, for members",
        "permission": [
            {"action": "use"},
            {
                "@id": "urn:example:rule:read",
                "action": {
                    "rdf:value": {"@id": "http://www.w3.org/ns/odrl/2/display"},
                    "refinement": [{"leftOperand": "percentage", "operator": "lteq", "rightOperand": "50"}],
                },
                "assignee": {
                    "@type": "PartyCollection",
                    "source": "urn:group:grid",
                    "refinement": [
                        {"leftOperand": "https://w3id.org/kontor/ns/role", "operator": "isAnyOf", "rightOperand": "operator"}
                    ],
                },
                "constraint": [
                    {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "statistics"]},
                    {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"},
                    {
                        "or": [
                            {"leftOperand": "spatial", "operator": "isPartOf", "rightOperand": "EU"},
                            {"leftOperand": "spatial", "operator": "eq", "rightOperand": "CH"},
                        ]
                    },
                ],
                "duty": [{"action": "attribute"}],
            },
        ],
        "prohibition": [{"action": "distribute", "remedy": [{"action": "delete"}]}],
        "obligation": [
            {"action": "delete", "constraint": [{"leftOperand": "dateTime", "operator": "gteq", "rightOperand": "2031-01-01Z"}]}
        ],
    }


BROKEN = [
    ("", "p.yaml", "empty"),
    ("permit", "p.yaml:1:1", "name: value"),
    ("permit: []", "p.yaml:1:1", "without rules"),
    ("permits: [use]", "p.yaml:1:1", "`permit`"),
    ("permit: [use]\npermit: [read]", "p.yaml:2:1", "twice"),
    ("permit: [uze]", "p.yaml:1:10", "`use`"),
    ("permit:\n  - when: purpose == a", "p.yaml:2:5", "without an action"),
    ("permit:\n  - action: use\n    when: porpose == a", "p.yaml:3:11", "`purpose`"),
    ("permit:\n  - action: use\n    when: purpose", "p.yaml:3:11", "no constraint"),
    ("permit:\n  - action: use\n    when: purpose ==", "p.yaml:3:21", "without a value"),
    ("permit:\n  - action: use\n    when: purpose < 3", "p.yaml:3:21", "does not take `lt`"),
    ("permit:\n  - action: use\n    when: dateTime < tomorrow", "p.yaml:3:22", "no dateTime"),
    ("permit:\n  - action: use\n    when: purpose in [a, b", "p.yaml:3:22", "does not end"),
    ("permit:\n  - action: use\n    when: purpose in []", "p.yaml:3:22", "empty list"),
    ("permit:\n  - action: use\n    when:\n      - any: [purpose == a]", "p.yaml:4:9", "at least two"),
    ("permit:\n  - action: use\n    when:\n      - any: [a, b]\n        all: [c, d]", "p.yaml:4:9", "several kinds"),
    ("permit:\n  - action: use\n    when:\n      - some: [a, b]", "p.yaml:4:9", "`all`"),
    ("type: bargain\npermit: [use]", "p.yaml:1:7", "unknown policy type"),
    ("conflict: permit\npermit: [use]", "p.yaml:1:11", "`perm`"),
    ("permit: [{action: {use: [], read: []}}]", "p.yaml:1:19", "several names"),
    ("permit: [{action: use, assignee: {where: [role == a]}}]", "p.yaml:1:34", "without a name"),
    ("permit: [use", "p.yaml:1:13", "not YAML"),
    ("permit: [{action: use, when: [purpose in [a], b]}]", "p.yaml:1:42", "quote"),
    ("a: &x [use]\npermit: *x", "p.yaml:1:4", "anchor"),
    ("permit: [use]\n\x00", "p.yaml", "not YAML"),
    ("policy: [a]\npermit: [use]", "p.yaml:1:9", "expected a word"),
]


@pytest.mark.parametrize(("text", "where", "says"), BROKEN, ids=[text[:40] for text, _, _ in BROKEN])
def test_a_bad_line_is_refused_where_it_stands(text: str, where: str, says: str, vocabulary: Vocabulary) -> None:
    with pytest.raises(PolicyError) as caught:
        yamlfmt.read(text, vocabulary, "p.yaml")
    assert caught.value.where == where
    assert says in str(caught.value)


def test_size_and_depth_have_bounds(vocabulary: Vocabulary) -> None:
    with pytest.raises(PolicyError, match="nested deeper"):
        yamlfmt.read("permit: " + "[" * 100_000, vocabulary)
    with pytest.raises(PolicyError, match="characters"):
        yamlfmt.read("# " + "x" * 1_000_001, vocabulary)


def test_every_policy_of_the_library_says_what_it_is(vocabulary: Vocabulary) -> None:
    for path in sorted(Path(folder("policies")).glob("*.yaml")):
        if not path.name.endswith(".cases.yaml"):
            policy = yamlfmt.read(path.read_text(encoding="utf-8"), vocabulary, path.name)
            assert policy.uid == f"urn:kontor:policy:{path.stem}"
            assert {name for name, _ in policy.extra} == {
                "http://purl.org/dc/terms/title",
                "http://purl.org/dc/terms/description",
            }
            assert policy.permissions[0].where.startswith(f"{path.name}:")
            assert path.with_suffix("").with_suffix(".cases.yaml").is_file(), dedent(
                f"""
                {path.name} has no case file"""
            )
