"""`kontor policy contains | diff | check`: answers with a request that shows them, in words and as JSON."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run

_TERMS = "policy: urn:p\npermit:\n  - action: read\n    when: {}\n"


def test_the_library_is_compared(run: Run) -> None:
    assert run("policy", "contains", "open", "members-only").out.startswith("yes: ")
    told = run("policy", "contains", "members-only", "open")
    assert told.code == 0
    assert told.out.startswith("no: ")
    assert "shown by: " in told.out
    tree = run("policy", "contains", "members-only", "open", "--json").tree
    assert tree["answer"] == "no"
    assert tree["witness"]["stage"] == "request"


def test_a_change_is_told(run: Run, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(_TERMS.format("spatial in [DE]"))
    new.write_text(_TERMS.format("spatial in [DE, FR]"))
    assert run("policy", "diff", old, new).out.strip() == "gains: everything with spatial FR"
    assert run("policy", "diff", old, old).out.strip() == "nothing changes"
    assert run("policy", "diff", new, old, "--json").tree["loses"] == "everything with spatial FR"


def test_flaws_fail_the_check(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(_TERMS.format("spatial in [DE]") + "forbid:\n  - action: use\n")
    found = run("policy", "check", path)
    assert found.code == 1
    assert "conflict: " in found.out
    assert run("policy", "check", path, "--json").tree["findings"][0]["is_harmful"]
    assert "nothing found" in run("policy", "check", "members-only").out


def test_a_policy_is_held_against_a_profile(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(_TERMS.format("UsagePurpose in [cx.pcf.base:1]").replace("read", "use"))
    found = run("policy", "check", path, "--against", "catena-x")
    assert found.code == 1
    assert f"{path}:3:5: error too-few: 1 constraints in a permission; name at least 2" in found.out
    assert f"{path}:4:11: warning legal-only: " in found.out
    said = run("policy", "check", path, "--against", "tds", "--json").tree["said"]
    assert {one["code"] for one in said} == {"not-in-profile", "legal-only"}
    assert "`base`, `catena-x`, `dsp`, `tds`" in run("policy", "check", path, "--against", "elsewhere").err


def test_a_line_that_means_nothing_is_told_with_place_code_and_hint(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("permit:\n  - action: use\n    when: porpose == research\n")
    told = run("policy", "check", path)
    assert told.code == 1
    assert told.out.strip() == f"{path}:3:11: error operand-unknown: unknown left operand `porpose`; did you mean `purpose`"
    assert run("policy", "check", path, "--json").tree["said"][0]["code"] == "operand-unknown"


def test_a_policy_is_compared_with_what_it_inherits(run: Run, tmp_path: Path) -> None:
    child = '{"@id": "urn:child", "@type": "Set", "inheritFrom": "urn:parent"}'
    parent = '{"@id": "urn:parent", "@type": "Set", "permission": [{"action": "read"}]}'
    graph = '{"@context": ["http://www.w3.org/ns/odrl.jsonld", {"x": "urn:x"}], "@graph": [%s]}'
    whole, alone, own = (tmp_path / f"{name}.json" for name in ("whole", "alone", "own"))
    whole.write_text(graph % f"{child}, {parent}")
    alone.write_text(child)
    own.write_text(parent)
    assert run("policy", "contains", whole, own).out.startswith("yes")
    assert run("policy", "contains", own, whole).out.startswith("yes")
    assert run("policy", "contains", own, alone).out.startswith("unknown")
    assert run("policy", "diff", own, whole).out.strip() == "nothing changes"


def test_a_limit_of_use_is_shown_by_a_record(run: Run, tmp_path: Path) -> None:
    five, six = tmp_path / "five.yaml", tmp_path / "six.yaml"
    five.write_text(_TERMS.format("count <= 5"))
    six.write_text(_TERMS.format("count <= 6"))
    told = run("policy", "contains", five, six).out
    assert told.startswith("no: everything with count above 5 at most 6")
    assert "used count=6" in told


def test_what_is_needed_is_told_and_what_would_have_to_be_other(run: Run, tmp_path: Path) -> None:
    told = run("policy", "needs", "--policy", "research-attribution").out
    assert told.startswith("unknown: it depends on what is not known yet\n  either\n")
    assert ": state `purpose`\n" in told
    told = run("policy", "needs", "--policy", "research-attribution", "--purpose", "marketing").out
    assert told.startswith("no: ")
    assert ": state `purpose` (it is marketing)" in told
    path = tmp_path / "p.yaml"
    path.write_text(_TERMS.format("membership == active"))
    asked = ("policy", "needs", "--policy", path, "--action", "read", "--claim")
    assert run(*asked, "membership=active", "--json").tree == {
        "answer": "yes",
        "reasons": ["permitted as things stand"],
        "ways": [],
    }
    (need,) = run(*asked, "membership=none", "--json").tree["ways"][0]
    assert (need["how"], need["now"]) == ("present a MembershipCredential", "none")


def test_what_reads_otherwise_than_it_is_judged_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("permit:\n  - action: use\n    when: role != competitor\n")
    told = run("policy", "check", path)
    assert told.code == 0
    assert f"{path}:3:11: warning not-only: " in told.out
