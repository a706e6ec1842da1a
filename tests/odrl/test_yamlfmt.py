"""The YAML language says exactly what ODRL says, and a bad line is refused with file, line and column."""

from __future__ import annotations

import pytest
import yaml

from connector.errors import PolicyError
from connector.odrl import cases, jsonld, yamlfmt, yamlwrite
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


EXAMPLES = [
    part.split("```")[0] for part in (folder("policies") / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
]


@pytest.mark.parametrize("text", EXAMPLES[:-1], ids=["shortest", "conditions", "rules", "everything"])
def test_an_example_of_the_tutorial_means_one_policy(text: str, vocabulary: Vocabulary) -> None:
    policy = yamlfmt.read(text, vocabulary)
    assert jsonld.read(jsonld.write(policy, Shape.ODRL)) == policy
    assert yamlfmt.read(yamlwrite.write(policy, vocabulary), vocabulary) == policy


def test_the_last_example_of_the_tutorial_is_a_case(vocabulary: Vocabulary) -> None:
    (tree,) = yaml.safe_load(EXAMPLES[-1])
    assert cases.read(tree, "README", policy=yamlfmt.read(EXAMPLES[0], vocabulary)).expected.effect == "permit"


def test_the_whole_language_maps_one_to_one(vocabulary: Vocabulary) -> None:
    """The example with everything, as ODRL."""
    tree = jsonld.write(yamlfmt.read(EXAMPLES[3], vocabulary), Shape.ODRL)
    read, train = tree["permission"][1:]
    assert {key: value for key, value in tree.items() if key not in ("permission", "target")} == {
        "@type": "Offer",
        "@id": "urn:example:policy:wind-7",
        "profile": "https://w3id.org/kontor/profile/base",
        "inheritFrom": ["urn:example:policy:parent"],
        "conflict": "prohibit",
        "https://w3id.org/dspace/2025/1/timestamp": "2026-11-22T12:00:00Z",
        "assigner": "did:web:provider.example",
        "http://purl.org/dc/terms/title": "Wind, for members",
        "http://purl.org/dc/terms/description": "Members may show half of it.",
        "https://example.org/note": {"seen": True},
        "prohibition": [{"action": "distribute", "remedy": [{"action": "delete"}]}],
        "obligation": [
            {
                "action": "delete",
                "constraint": [{"leftOperand": "dateTime", "operator": "gteq", "rightOperand": "2031-01-01Z"}],
                "consequence": [{"action": "inform"}],
            }
        ],
    }
    assert tree["target"][1]["refinement"][0]["rightOperand"] == "released"
    assert tree["permission"][0] == {"action": "use"}
    assert read["action"] == {
        "rdf:value": {"@id": "http://www.w3.org/ns/odrl/2/display"},
        "refinement": [{"leftOperand": "percentage", "operator": "lteq", "rightOperand": "50"}],
    }
    assert read["assignee"]["source"] == "urn:group:grid"
    assert read["constraint"] == [
        {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["research", "market research"]},
        {
            "@id": "urn:example:limit",
            "leftOperand": "count",
            "operator": "lteq",
            "rightOperand": "10",
            "dataType": "http://www.w3.org/2001/XMLSchema#integer",
            "status": "3",
        },
        {
            "leftOperand": "payAmount",
            "operator": "gteq",
            "rightOperand": {"@value": "500.00", "@type": "http://www.w3.org/2001/XMLSchema#decimal"},
            "unit": "EUR",
        },
        {"leftOperand": "language", "operator": "eq", "rightOperand": {"@value": "de", "@language": "en"}},
        {"leftOperand": "spatial", "operator": "eq", "rightOperand": {"@id": "https://example.org/places/oslo"}},
        {"leftOperand": "version", "operator": "eq", "rightOperandReference": "https://example.org/versions/latest"},
        # members in their order: in JSON-LD that is a list (Information Model 2.2, section 2.5.2)
        {
            "andSequence": {
                "@list": [
                    {"leftOperand": "event", "operator": "gt", "rightOperand": {"@id": "urn:example:opening"}},
                    {
                        "xone": [
                            {"leftOperand": "product", "operator": "eq", "rightOperand": {"@id": name}}
                            for name in ("urn:a", "urn:b")
                        ]
                    },
                ]
            }
        },
    ]
    assert read["duty"][0]["compensatedParty"] == ["did:web:provider.example"]
    assert read["duty"][1]["action"]["@id"] == "urn:example:act"
    assert (train["action"], train["output"], train["duty"]) == ("urn:acme:train", ["urn:asset:model"], read["duty"][:1])


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
