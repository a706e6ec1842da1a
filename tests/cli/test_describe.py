"""A file is described once, the description is checked, and what it says stands in the catalogue that a peer reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector import packaged, rdf
from connector.dsp import catalog
from tests.cli.conftest import Run, Space
from tests.describe import corpus

SAMPLE = packaged.sample_file("weather.csv")


def _document(folder: Path, text: str, name: str = "weather.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_draft_of_a_file_is_a_description(run: Run, tmp_path: Path) -> None:
    drawn = run("describe", SAMPLE, "--language", "de")
    assert drawn.code == 0
    assert "title: {de: Weather}" in drawn.out
    checked = run("lint", _document(tmp_path, drawn.out))
    assert (checked.code, checked.out.endswith("nothing to mend\n")) == (0, True)
    tree = run("describe", SAMPLE, "--json").tree
    assert (tree["rows"], len(tree["columns"]), tree["media_type"]) == (26115, 15, "text/csv")


def test_a_draft_is_written_into_a_new_file_only(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "weather.yaml"
    assert run("describe", SAMPLE, "--to", path).code == 0
    assert "rows: 26115" in path.read_text()
    again = run("describe", SAMPLE, "--to", path)
    assert (again.code, "there is such a file already" in again.err) == (1, True)


def test_what_cannot_be_read_is_said_beside_the_draft(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,a\n1,2\n")
    drawn = run("describe", path)
    assert drawn.code == 0
    assert "columns are not listed: the column `a` stands twice at `a.csv:1`" in drawn.err


@pytest.mark.parametrize("profile", ["dcat-ap", "tds", "data-act"])
def test_a_whole_description_has_nothing_to_mend_and_a_draft_has(run: Run, profile: str, tmp_path: Path) -> None:
    whole = _document(tmp_path, corpus.whole_text())
    assert run("lint", whole, "--profile", profile, "--strict").code == 0
    draft = _document(tmp_path, "title: Weather\n", "draft.yaml")
    lacking = run("lint", draft, "--profile", profile)
    assert lacking.code == 1
    assert "write `description: {" in lacking.out


def test_faults_are_told_with_their_place(run: Run, tmp_path: Path) -> None:
    path = _document(tmp_path, "title: <b>Weather</b>\nfrequency: dayly\nlevel: 2\n")
    ran = run("lint", path, "--json")
    assert ran.code == 1
    faults = {fault["where"]: (fault["message"], fault["mend"]) for fault in ran.tree["faults"]}
    assert faults == {
        f"{path}:2:12": ("unknown frequency `dayly`", "did you mean `daily`"),
        f"{path}:1:1": ("a title holds markup", "write plain text without `<tag>`"),
    }


def test_a_word_that_cannot_be_read_is_not_called_missing(run: Run, tmp_path: Path) -> None:
    tree = run("lint", _document(tmp_path, "title: a\nfrequency: dayly\n"), "--profile", "tds", "--json").tree
    assert [fault["message"] for fault in tree["faults"] if "frequency" in fault["message"]] == ["unknown frequency `dayly`"]


def test_warnings_are_errors_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    path = _document(tmp_path, "title: a\ndescription: b\n")
    assert run("lint", path, "--profile", "dcat-ap").code == 0
    assert run("lint", path, "--profile", "dcat-ap", "--strict").code == 1


def test_json_ld_and_turtle_are_checked_as_they_stand(run: Run, tmp_path: Path) -> None:
    tree = corpus.whole()
    assert run("lint", _document(tmp_path, json.dumps(tree), "a.jsonld")).code == 0
    tree[f"{corpus.TDS}productCode"] = corpus.CODE + "*"
    bad = run("lint", _document(tmp_path, json.dumps(tree), "b.jsonld"))
    assert (bad.code, "the check character of" in bad.out) == (1, True)
    turtle = _document(tmp_path, "<urn:a> a <http://www.w3.org/ns/dcat#Dataset> .", "a.ttl")
    assert "error: there is no title at `urn:a`" in run("lint", turtle).out
    nothing = _document(tmp_path, "<urn:a> a <urn:b> .", "b.ttl")
    assert "there is no dataset" in run("lint", nothing).err


def test_a_whole_catalogue_is_checked_dataset_by_dataset(run: Run, tmp_path: Path) -> None:
    service = catalog.ServiceDescription(participant_id="did:web:a.example", endpoint_url="https://a.example/dsp")
    offer = {"@id": "urn:offer", "permission": [{"action": "use"}]}
    tree = catalog.catalog(
        service,
        [
            catalog.DatasetDescription(id=f"urn:example:{title}", title=title, offers=(offer,), formats=("HttpData-PULL",))
            for title in ("good", "<b>")
        ],
    )
    tree["dataset"][1]["@id"] = "urn:example:bad"
    checked = run("lint", _document(tmp_path, json.dumps(tree), "catalog.json"), "--json")
    assert [(fault["rule"], fault["where"]) for fault in checked.tree["faults"]] == [("base#title-markup", "urn:example:bad")]


def _published(run: Run, space: Space, path: Path, *more: str) -> Any:
    return run("publish", SAMPLE, "--description", path, "--policy", "members-only", *more, *space.provider.options)


def test_a_description_is_published_and_read_by_a_peer(run: Run, space: Space, tmp_path: Path) -> None:
    digest = run("describe", SAMPLE, "--json").tree["sha256"]
    path = _document(tmp_path, corpus.whole_text().replace("ab" * 32, digest))
    done = _published(run, space, path, "--id", "urn:example:described", "--keyword", "airport", "--json")
    assert done.code == 0, done.err
    shown = run("catalog", space.provider.address, "--peer", space.provider.id, "--json", *space.consumer.options)
    assert shown.code == 0, shown.err
    found = [tree for tree in _datasets(shown.tree) if tree["@id"] == "urn:example:described"]
    assert len(found) == 1
    for part in found[0]["distribution"]:
        part.pop("format", None)
    graph = rdf.from_json_ld({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], **found[0]}, "catalogue")
    titles = graph.values(rdf.Iri("urn:example:described"), "http://purl.org/dc/terms/title")
    assert {one.language for one in titles if isinstance(one, rdf.Literal)} == {"en", "de", "zh"}
    words = graph.values(rdf.Iri("urn:example:described"), "http://www.w3.org/ns/dcat#keyword")
    assert {getattr(word, "text", "") for word in words} == {"weather", "wind", "Wetter", "airport"}
    assert graph.values(rdf.Iri("urn:example:described"), f"{corpus.TDS}grade") == (rdf.Literal("general"),)
    assert catalog.SPDX in json.dumps(found[0])


def _datasets(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [*tree.get("dataset", []), *(found for part in tree.values() for found in _datasets(part))]
    return [found for part in tree for found in _datasets(part)] if isinstance(tree, list) else []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("level: 1", "level: 9"), "unknown level `9`"),
        (("title: {en: \"Hourly weather, 2013\"", "title: {en: <i>Weather</i>"), "a title holds markup"),
        (("version:", "version:"), "the description was made of other bytes than those of `weather.csv`"),
    ],
)  # fmt: skip
def test_a_description_with_a_fault_is_not_published(
    run: Run, space: Space, change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    path = _document(tmp_path, corpus.whole_text().replace(*change))
    refused = _published(run, space, path, "--id", "urn:example:refused")
    assert refused.code == 1
    assert said in refused.err
    assert f"{path}:" in refused.err


def test_a_participant_is_described_by_its_operator_and_read_by_a_peer(run: Run, space: Space, tmp_path: Path) -> None:
    drawn = run("describe", "participant", *space.provider.options)
    assert f'participant: "{space.provider.id}"' in drawn.out
    path = _document(tmp_path, drawn.out + "contact: data@example.org\ncountry: DEU\n", "participant.yaml")
    assert run("lint", path, "--strict").out.endswith("nothing to mend\n")
    done = run("describe", "participant", "--publish", path, *space.provider.options)
    assert (done.code, "not signed: the participant has no wallet" in done.out) == (0, True), done.err
    shown = run("catalog", space.provider.address, "--peer", space.provider.id, "--json", *space.consumer.options)
    said = shown.tree["https://w3id.org/kontor/ns/selfDescription"]
    assert said["http://purl.org/dc/terms/spatial"]["@id"].endswith("/DEU")
    other = _document(tmp_path, 'participant: "urn:other"\nname: X\n', "other.yaml")
    refused = run("describe", "participant", "--publish", other, *space.provider.options)
    assert (refused.code, "the description is of `urn:other` at" in refused.err, "other.yaml:1" in refused.err) == (
        1,
        True,
        True,
    )
    assert run("lint", other, "--profile", "tds").code != 0


def test_what_the_node_would_not_take_is_said_in_a_line(run: Run, space: Space) -> None:
    for words, said in (
        (("--id", "urn:two words"), "string should match pattern"),
        (("--description", "x" * 20_001), "string should have at most 20000 characters at `description`"),
    ):
        refused = run("publish", SAMPLE, "--policy", "open", *words, *space.provider.options)
        assert (refused.code, said in refused.err, "ValidationError" in refused.err) == (1, True, False), refused.err
