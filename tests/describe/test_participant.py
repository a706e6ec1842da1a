"""A participant describes itself in YAML; every fault has its line, and what comes out means the same under each context."""

from __future__ import annotations

import pytest

from connector import rdf
from connector.describe import check, participant, plain
from connector.dsp.plain import DSP_CONTEXT
from tests.describe import participants


def test_the_draft_is_read_back_and_holds_nothing_that_nobody_said() -> None:
    text = participant.draft("did:web:a.example", 'A "quoted" & Co: x', ("MembershipCredential",), "de")
    found = participant.read(text)
    assert (found.participant, found.name) == ("did:web:a.example", (("de", 'A "quoted" & Co: x'),))
    assert participant.is_one(text)
    assert not participant.is_one("title: {en: participants}")
    # what is commented out reads well, too
    offered = text.partition("what you can say.\n")[2]
    whole = participant.read("\n".join(line.removeprefix("# ") for line in offered.splitlines()))
    assert whole.sectors
    assert whole.attestations == ("MembershipCredential",)


def test_what_is_written_is_what_is_told() -> None:
    tree = participants.whole()
    assert tree["@id"] == "did:web:weather.example"
    assert tree["http://purl.org/dc/terms/spatial"]["@id"].endswith("/country/DEU")
    assert tree["http://www.w3.org/ns/dcat#contactPoint"] == {"@id": "mailto:data@weather.example"}
    assert tree["https://www.w3.org/ns/activitystreams#alsoKnownAs"] == [{"@id": "did:web:registry.example:1"}]
    with_context = rdf.from_json_ld({"@context": [DSP_CONTEXT], **tree}, "with")
    assert rdf.form(with_context) == rdf.form(rdf.from_json_ld(tree, "without"))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("nmae: x", "unknown word `nmae`"),
        ("country: Germany", "is no IRI"),
        ("sectors: [weather forecasts]", "unknown sector"),
        ("capabilities: [Two Words]", "is no capability"),
        ("attestations: ['a b']", "is no type of credential"),
        ("homepage: nowhere", "is no web address"),
        ("homepage: 'javascript:alert(1)'", "is no web address"),
        ("contact: Anna", "is no contact"),
        ("name: 2013", "is a number, and a text is expected"),
    ],
)
def test_a_fault_is_told_with_its_place(line: str, word: str) -> None:
    _, (fault,) = participant.parsed(f"participant: urn:a\n{line}\n", "p.yaml")
    assert word in fault.what
    assert fault.where.startswith("p.yaml:2")


def test_the_plain_reading_gives_the_verdict_of_the_graph() -> None:
    for name, tree in [("whole", participants.whole()), *participants.broken()]:
        graph = rdf.from_json_ld(tree, name)
        ours = plain.Description(tree, participant.ORGANISATION)
        by_graph, by_tree = ({(f.rule, f.focus) for f in check.faults(one, participant.PROFILE)} for one in (graph, ours))
        assert by_tree == by_graph, name
