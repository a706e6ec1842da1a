"""`kontor policy evaluate` and `conformance` on Turtle and JSON-LD: what a policy, a request and a state of the world may look like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connector import rdf
from connector.cli.policy_conformance import Level
from connector.cli.policy_conformance import run as run_cases
from connector.cli.policy_files import policy_in
from connector.cli.terms import vocabulary
from connector.odrl.cases import NOON
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.truth import Code, Effect, Request, World
from tests.cli.conftest import Ran, Run

PREFIXES = """
@prefix odrl: <http://www.w3.org/ns/odrl/2/> .
@prefix ex: <http://example.org/> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix report: <https://w3id.org/force/compliance-report#> .
@prefix kontor: <https://w3id.org/kontor/ns/> .
"""
POLICY = """
ex:policy a odrl:Set ; odrl:uid ex:policy ; odrl:permission ex:rule .
ex:rule odrl:action odrl:use ; odrl:target ex:group ; odrl:constraint ex:limit ; odrl:duty ex:duty .
ex:limit odrl:leftOperand odrl:count ; odrl:operator odrl:lteq ; odrl:rightOperand 10 .
ex:duty a odrl:Duty ; odrl:action odrl:attribute .
ex:group a odrl:AssetCollection .
"""
REQUEST = "ex:ask a odrl:Request ; odrl:permission ex:asked . ex:asked odrl:assignee ex:bob ; odrl:action odrl:read ; odrl:target ex:x ."
STATE = """
ex:clock dct:issued "2027-01-31T12:00:00Z"^^xsd:dateTime .
ex:x odrl:partOf ex:inner . ex:inner odrl:partOf ex:group .
[] a kontor:Usage ; kontor:rule ex:rule ; kontor:count 9 .
ex:told a report:DutyReport ; report:rule ex:duty ; report:deonticState report:Fulfilled .
"""


class Files:
    """Three files of a question, to be changed at will."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self.run = run
        for name, text in (("policy", POLICY), ("request", REQUEST), ("state", STATE)):
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.ttl").write_text(PREFIXES + text)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.ttl"

    def ask(self, *more: str) -> Ran:
        files = (f"--{name}={self.path(name)}" for name in ("policy", "request", "state"))
        return self.run("policy", "evaluate", *files, *more)


@pytest.fixture
def files(tmp_path: Path, run: Run) -> Files:
    return Files(tmp_path, run)


def test_turtle_in_and_a_decision_out(files: Files) -> None:
    assert files.ask().out.startswith("permit: permitted")
    assert files.ask("--format", "json").tree["effect"] == "permit"
    files.write("state", STATE.replace("count 9", "count 11"))
    assert "count has to be at most 10, and is 11" in files.ask().out


def test_turtle_in_and_exactly_one_report_out(files: Files) -> None:
    graph = rdf.parse(files.ask("--format", "turtle").out, "out")
    report = "https://w3id.org/force/compliance-report#"
    (whole,) = graph.typed(f"{report}PolicyReport")
    (rule,) = graph.values(whole, f"{report}ruleReport")
    assert graph.values(whole, "http://purl.org/dc/terms/created") == (
        rdf.Literal("2027-01-31T12:00:00Z", f"{rdf.XSD}dateTime"),
    )
    assert graph.values(rule, f"{report}activationState") == (rdf.Iri(f"{report}Active"),)
    assert graph.values(rule, f"{report}conditionReport") == (rdf.Iri("http://example.org/told"),)
    assert len(graph.values(rule, f"{report}premiseReport")) == 3


def test_the_sentence_comes_in_other_languages(run: Run) -> None:
    asked = ("policy", "evaluate", "--policy", "members-only", "--language")
    assert run(*asked, "de").out.startswith("deny: abgelehnt: „der Stand der Mitgliedschaft im Datenraum“")
    assert run(*asked, "zh", "--json").tree["sentence"].startswith("拒绝：“该方在数据空间中的成员状态”")
    assert run(*asked, "tlh").code == 2


def test_a_duty_blocks_as_the_mode_says(files: Files) -> None:
    files.write("state", STATE.replace("report:Fulfilled", "report:NonSet"))
    assert files.ask().out.startswith("deny")
    assert files.ask("--duty-mode", "unless-violated").out.startswith("permit")
    files.write("state", STATE.replace("report:Fulfilled", "report:Violated"))
    assert files.ask("--duty-mode", "unless-violated").out.startswith("deny")


def test_the_latest_report_on_a_duty_counts(files: Files) -> None:
    later = 'ex:all a report:PolicyReport ; dct:created "2027-01-01T00:00:00Z"^^xsd:dateTime ; report:ruleReport ex:broken .'
    files.write(
        "state", STATE + later + "ex:broken a report:DutyReport ; report:rule ex:duty ; report:deonticState report:Violated ."
    )
    assert files.ask("--duty-mode", "unless-violated").out.startswith("deny")


def test_who_is_in_no_collection_of_the_state_is_in_none(files: Files) -> None:
    files.write("state", STATE.replace("ex:x odrl:partOf ex:inner .", ""))
    assert "the target is not in the collection" in files.ask().out


def test_without_a_record_of_use_a_count_is_not_guessed(files: Files) -> None:
    files.write("state", STATE.replace("kontor:Usage", "ex:Nothing"))
    told = files.ask().out
    assert "nobody keeps count of `count`" in told
    assert "missing" in told


def test_a_request_says_of_itself_what_is_so(files: Files) -> None:
    files.write(
        "policy", POLICY.replace("odrl:count", "odrl:purpose").replace("odrl:lteq", "odrl:eq").replace("10", "'research'")
    )
    says = "[ odrl:leftOperand odrl:purpose ; odrl:operator odrl:{} ; odrl:rightOperand '{}' ]"
    why = REQUEST.replace("odrl:target ex:x", f"odrl:target ex:x ; odrl:constraint {says}")
    files.write("request", why.format("eq", "research"))
    assert files.ask().out.startswith("permit")
    files.write("request", why.format("eq", "sport"))
    assert files.ask().out.startswith("deny")
    files.write("request", why.format("neq", "sport"))
    assert "not exact" in files.ask().err


def test_a_parent_may_stand_in_the_same_file(files: Files) -> None:
    files.write("policy", POLICY + "ex:child a odrl:Agreement ; odrl:inheritFrom ex:policy .")
    assert files.ask().out.startswith("permit")
    files.write("policy", POLICY + "ex:child a odrl:Agreement ; odrl:uid ex:child ; odrl:inheritFrom ex:policy .")
    assert files.ask().out.startswith("permit")
    files.write("policy", "ex:child a odrl:Agreement ; odrl:inheritFrom ex:policy .")
    assert "the parent policy `http://example.org/policy` is not known" in files.ask().out


def test_an_asset_that_has_the_policy_is_its_target(files: Files) -> None:
    files.write("policy", "ex:x odrl:hasPolicy ex:p . ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ] .")
    assert files.ask().out.startswith("permit")
    files.write("policy", "ex:y odrl:hasPolicy ex:p . ex:p a odrl:Set ; odrl:permission [ odrl:action odrl:use ] .")
    assert files.ask().out.startswith("deny")


def test_events_payments_and_properties_are_read(files: Files) -> None:
    rule = """ex:policy odrl:permission ex:rule . ex:rule odrl:action odrl:use ; odrl:constraint
      [ odrl:leftOperand odrl:event ; odrl:operator odrl:gt ; odrl:rightOperand ex:games ],
      [ odrl:leftOperand odrl:payAmount ; odrl:operator odrl:gteq ; odrl:rightOperand 5.0 ; odrl:unit "EUR" ],
      [ odrl:leftOperand kontor:membership ; odrl:operator odrl:eq ; odrl:rightOperand "active" ],
      [ odrl:leftOperand odrl:meteredTime ; odrl:operator odrl:lteq ; odrl:rightOperand "PT1H"^^xsd:duration ] ."""
    files.write("policy", rule)
    state = """ex:clock dct:issued "2027-01-31T12:00:00Z"^^xsd:dateTime .
      ex:games kontor:began "2027-01-01T00:00:00Z"^^xsd:dateTime ; kontor:ended "2027-01-02T00:00:00Z"^^xsd:dateTime .
      [] a kontor:Usage ; kontor:meteredTime "PT59M"^^xsd:duration ; kontor:paid [ kontor:amount 2 ; kontor:currency "EUR" ],
        [ kontor:amount 3 ; kontor:currency <http://dbpedia.org/resource/Euro> ] .
      ex:bob kontor:membership "active" ."""
    files.write("state", state)
    assert files.ask().out.startswith("permit")
    for name, other in (("ended", "noted"), ("amount 3", "amount 2"), ('"active"', '"gone"'), ("PT59M", "PT61M")):
        files.write("state", state.replace(name, other))
        assert files.ask().out.startswith("deny"), name


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("policy", "ex:p a odrl:Set . ex:q a odrl:Set .", "2 where one policy belongs"),
        ("policy", "ex:p a ex:Thing .", "no policy"),
        ("policy", "ex:p a odrl:Set ; odrl:uid ex:q .", "2 identifiers"),
        ("request", "ex:p a odrl:Set .", "a request without a permission"),
        ("state", "ex:p dct:issued '2026-01-01' . ex:q dct:issued '2027-01-01' .", "2 present times"),
        ("state", "ex:p dct:issued 'yesterday' .", "`yesterday` is no moment"),
        ("state", STATE.replace("count 9", "count 'many'"), "`many` is no amount"),
        ("state", "ex:p dct:issued", "no Turtle"),
    ],
)
def test_a_fault_in_a_graph_is_named_with_its_file(name: str, text: str, said: str, files: Files) -> None:
    files.write(name, text)
    failed = files.ask()
    assert failed.code == 1
    assert said in failed.err
    assert f"{name}.ttl" in failed.err or said == "a request without a permission"


def test_wrong_words_are_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("policy", "evaluate", "--policy", "open", "--format", "xml").code == 2
    assert run("policy", "evaluate", "--policy", "open", "--duty-mode", "never").code == 2
    assert run("policy", "conformance", tmp_path, "--duty-mode", "never").code == 2


def test_a_report_without_a_state_is_about_now(run: Run) -> None:
    told = run("policy", "evaluate", "--policy", "open", "--at", "2027-01-01T00:00:00Z", "--format", "turtle").out
    assert '"2027-01-01T00:00:00Z"^^xsd:dateTime' in told
    assert "report:activationState report:Active" in told


# --- folders of cases


def folder_of(tmp_path: Path, run: Run, *, active: bool, caveat: str = "") -> Path:
    files = Files(tmp_path, run)
    told = files.ask("--format", "turtle").out
    (tmp_path / "expected.ttl").write_text(told if active else told.replace("report:Active", "report:Inactive"))
    names = {name: f"{name}.ttl" for name in ("policy", "request", "state", "expected")}
    case = {"number": 1, "title": "a case", "caveat": caveat, "duty_mode": "require-fulfilled", **names}
    (tmp_path / "index.json").write_text(json.dumps({"cases": [case]}))
    return tmp_path


def test_a_case_that_agrees_is_passed_at_every_level(tmp_path: Path, run: Run) -> None:
    told = run("policy", "conformance", folder_of(tmp_path, run, active=True))
    assert told.out.splitlines() == [f"{level}: 1 passed, 0 failed" for level in ("activation", "states", "graph")]
    assert told.code == 0


def test_a_case_that_differs_is_told_with_its_difference(tmp_path: Path, run: Run) -> None:
    told = run("policy", "conformance", folder_of(tmp_path, run, active=False))
    assert told.code == 1
    assert "activation: 0 passed, 1 failed" in told.out
    assert "expected: PermissionReport" in told.out
    assert "activationState Inactive" in told.out


def test_a_case_with_a_caveat_does_not_fail_the_run(tmp_path: Path, run: Run) -> None:
    told = run("policy", "conformance", folder_of(tmp_path, run, active=False, caveat="its title lies"))
    assert told.code == 0
    assert "caveat of the case: its title lies" in told.out


def test_a_case_that_cannot_be_read_fails_alone(tmp_path: Path, run: Run) -> None:
    folder = folder_of(tmp_path, run, active=True)
    index = json.loads((folder / "index.json").read_text())
    index["cases"] += [{"number": 2}, {**index["cases"][0], "number": 3, "policy": "none.ttl"}]
    (folder / "index.json").write_text(json.dumps(index))
    told = run("policy", "conformance", folder, "--json")
    assert told.code == 1
    assert told.tree["levels"]["activation"] == {"passed": 1, "failed": 2}
    assert "'policy'" in json.dumps(told.tree["failures"]) or "request" in json.dumps(told.tree["failures"])


def test_a_folder_without_an_index_is_named(tmp_path: Path, run: Run) -> None:
    assert "index.json" in run("policy", "conformance", tmp_path).err
    (tmp_path / "index.json").write_text("{}")
    assert "no `cases`" in run("policy", "conformance", tmp_path).err


def test_the_public_cases_agree_but_for_what_their_caveats_say(official: Path) -> None:
    results = run_cases(official / "odrl-tests", "unless-violated")
    assert len(results) == 45
    failed = {level: {result.number for result in results if level in result.failures} for level in Level}
    assert failed == {Level.ACTIVATION: set(), Level.STATES: set(), Level.GRAPH: {"65", "68"}}
    strict = run_cases(official / "odrl-tests", "require-fulfilled")
    assert {result.number for result in strict if Level.ACTIVATION in result.failures} == {"59", "65"}


def test_the_public_policies_are_the_same_as_json_ld(official: Path, tmp_path: Path) -> None:
    for path in sorted((official / "odrl-tests" / "policies").glob("*.ttl")):
        graph = rdf.parse(path.read_text(encoding="utf-8"), path.name)
        (root,) = graph.typed("http://www.w3.org/ns/odrl/2/Set")
        copy = tmp_path / "copy.jsonld"
        copy.write_text(json.dumps([rdf.tree(graph, root)]))
        assert policy_in(copy).policy == policy_in(path).policy


def test_a_key_that_no_context_defines_is_not_left_out_in_silence(run: Run, tmp_path: Path) -> None:
    limit = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}
    context = ["http://www.w3.org/ns/odrl.jsonld", {"ex": "http://example.org/"}]
    rule = {"action": "use", "target": "ex:x"}
    policy = tmp_path / "p.json"
    policy.write_text(
        json.dumps({"@context": context, "@type": "Set", "uid": "ex:p", "permission": [rule | {"constraints": [limit]}]})
    )
    failed = run("policy", "evaluate", "--policy", policy)
    assert failed.code == 1
    assert "did you mean `constraint`" in failed.err
    policy.write_text(json.dumps({"@context": context, "@type": "Set", "uid": "ex:p", "permission": [rule | {"title": "x"}]}))
    assert run("policy", "evaluate", "--policy", policy).code == 0


def test_only_the_state_of_the_world_says_who_belongs_to_what(files: Files) -> None:
    assert files.ask().out.startswith("permit")
    belongs = "ex:x odrl:partOf ex:inner . ex:inner odrl:partOf ex:group ."
    assert belongs in STATE
    files.write("state", STATE.replace(belongs, ""))
    files.write("policy", POLICY + belongs)
    said = files.ask()
    assert said.out.startswith("deny"), said.out


def test_an_offer_is_asked_as_if_it_were_agreed(files: Files) -> None:
    files.write("policy", POLICY.replace("ex:policy a odrl:Set", "ex:policy a odrl:Offer"))
    assert files.ask().out.startswith("permit")
    offer = policy_in(files.path("policy")).policy
    # by itself it grants nothing
    said = decide(compile(offer, vocabulary(), has_ledger=True), Request(action="read", target="ex:x"), World(now=NOON))
    assert (said.effect, said.reasons[0].code) == (Effect.DENY, Code.GRANTS_NOTHING)
