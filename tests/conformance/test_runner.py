"""The runner of the conformance kit speaks the product's language and counts honestly; no Java is needed to know it."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ET

import pytest

from connector import api, settings
from connector.api import agreements, negotiations, offerings, participants, transfers
from connector.identity import formats
from tests.conformance import kit
from tests.conformance.dcp import excused
from tests.conformance.dcp.roles import ROLES, Role
from tests.conformance.dsp import cases, setup
from tests.conformance.nodes import Ports

_REPORT = """
<testsuite>
 <testcase name="cn_01_01()"><system-out>display-name: CN:01-01: Verify something</system-out></testcase>
 <testcase name="tp_01_02()"><failure message="no start came">trace</failure><system-out>display-name: TP:01-02: Verify more
 </system-out></testcase>
 <testcase name="tp_02_04()"><skipped/><system-out>display-name: TP:02-04: Switched off</system-out></testcase>
 <testcase name="odd()"><error type="x">thrown
 at line</error></testcase>
</testsuite>
"""


def test_every_test_of_the_kit_is_known_by_name() -> None:
    assert len(set(cases.EXPECTED)) == 65
    assert len({case.subject for case in cases.CASES}) == len(cases.CASES)


def test_the_tables_of_steps_are_read_whole() -> None:
    steps = {case.key: case.steps for case in cases.CASES}
    assert [(step.state, step.act, step.nth) for step in steps["CN_01_02"]] == [
        ("REQUESTED", "offer", 1),
        ("REQUESTED", "terminate", 2),
    ]
    assert sum(len(found) for found in steps.values()) == 58


def test_the_node_understands_its_settings(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "kontor.toml"
    file.write_text(cases.settings_file(Ports(public=1, operator=2, key_sha256="0" * 64)))
    read = settings.read(file)
    assert read.participants[cases.PARTICIPANT].id == cases.PARTICIPANT_ID


def test_the_operator_api_understands_what_it_is_asked() -> None:
    assert api.__doc__
    offerings.Policy.model_validate({"id": "use", "policy": setup.permission()})
    offerings.Asset.model_validate(setup.asset("CAT0101"))
    definition = offerings.ContractDefinition.model_validate(setup.definition("CAT0101"))
    assert definition.offer_id == "CD123:CAT0101:456"
    rules = [setup.rule(case, step) for case in cases.CASES for step in case.steps]
    assert len(participants.Rules.model_validate([*rules, *setup.holds()]).root) == 58 + 8
    for case in cases.CASES:
        if case.process == "transfer":
            agreements.ImportedAgreement.model_validate(setup.agreement(case))
    asked = {"providerId": "p", "connectorAddress": "http://127.0.0.1:1", "datasetId": "d", "offerId": "offerd"}
    assert (negotiations.NewNegotiation.model_validate(setup.negotiation(asked)).offer or {})["@id"] == "offerd"
    transfers.NewTransfer.model_validate(setup.transfer(asked | {"agreementId": "a", "format": "f"}))


def test_a_report_is_read_as_the_kit_means_it() -> None:
    found = kit.verdicts(ET.fromstring(_REPORT))
    assert [(verdict.key, verdict.passed, verdict.reason) for verdict in found] == [
        ("CN_01_01", True, ""),
        ("TP_01_02", False, "no start came"),
        ("odd", False, "thrown"),
    ]


def test_a_test_that_did_not_run_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    found = [verdict for verdict in kit.verdicts(ET.fromstring(_REPORT)) if verdict.passed]
    missing = kit.missing(found, ("CN_01_01", "TP_02_01"))
    assert kit.tell(found, missing, "the log") == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "FAILED  TP_02_01", "        did not run", "the node's log ends so:", "the log", "1 passed, 1 failed",
    ]  # fmt: skip


def test_nothing_run_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.tell([], [], "") == 1
    assert capsys.readouterr().out == "0 passed, 0 failed\n"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_nodes_of_the_second_kit_understand_their_settings(role: Role, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "kontor.toml"
    file.write_text(role.settings(Ports(public=8123, operator=2, key_sha256="0" * 64), 8083))
    read = settings.read(file)
    dids = [one.id for one in read.participants.values()] or ["did:web:localhost%3A8123:authority"]
    assert dids == [role.did(8123)]


def test_what_is_left_out_for_the_second_kit_is_named_and_is_a_check_of_the_product() -> None:
    assert len(excused.names()) == 3
    for check, stand_in in excused.LEFT_OUT.values():
        assert getattr(formats, check) is not stand_in, "this process judges as the product does"
