"""The digital contract of the trusted data space and ODRL: there and back without loss, careless documents understood, doubt refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.errors import PolicyError
from connector.odrl import cases, jsonld, tds, yamlfmt
from connector.odrl.canonical import OFFER_TO_AGREEMENT, canonical
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.tds import Dictionary, values
from connector.odrl.tds.decisions import DecisionCode
from connector.odrl.truth import DutyState, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import vocab_file
from tests.examples import examples

CONTRACT = {
    "contractId": "C1234567890123456",
    "contractName": "Wind data",
    "contractStatus": "0301",
    "createTime": "20260601120000",
    "signMode": "01",
    "signatories": [{"signatoryEntityId": "91110000000000000X", "signatorytype": "01"}],
    "expansionItem": {"version": 2},
    "contractPolicies": {
        "permissionPolicies": [
            {
                "strategyId": "S1",
                "subjectInfo": {"dataProductId": "6P", "dataProductName": "Wind", "dataProductEntityId": "91110000000000000X"},
                "executionNodeInfo": {"providerNodeId": "5A", "providerNodeName": "a", "consumerNodeId": "5B"},
                "actions": ["read", "process"],
                "constraints": [
                    {"constraintName": "time", "constraintOperator": "10", "constraintValue": "20270101000000"},
                    {"constraintName": "count", "constraintOperator": "11", "constraintValue": "10000"},
                    {"constraintName": "frequency", "constraintOperator": "11", "constraintValue": "100"},
                    {"constraintName": "timeWindow", "constraintOperator": "01", "constraintValue": "P1D"},
                    {"constraintName": "timeWindow", "constraintOperator": "11", "constraintValue": "P365D"},
                    {"constraintName": "dataField", "constraintOperator": "07", "constraintValue": "[speed,direction]"},
                    {"constraintName": "executionEnv", "constraintOperator": "07", "constraintValue": "[02,05]"},
                    {"constraintName": "payAmount", "constraintOperator": "03", "constraintValue": "100.00 CNY"},
                ],
                "policyExpansion": '{"preDuty":[{"actions":["logRecordSend"],"breachLiability":[{"actions":["compensate"]}]}]}',
                "expansionItem": {"purpose": [{"operator": "07", "value": ["research"]}], "note": "x"},
            }
        ],
        "prohibitionPolicies": [
            {
                "subjectInfo": {"dataProductId": "6P"},
                "executionNodeInfo": {"providerNodeId": "5A", "consumerNodeId": "5B"},
                "actions": ["distribute", "sell"],
                "policyExpansion": '{"remedy":[{"actions":["delete"]}]}',
            }
        ],
        "obligationPolicies": [
            {
                "subjectInfo": {"dataProductId": "6P"},
                "executionNodeInfo": {"providerNodeId": "5A"},
                "actions": ["delete"],
                "policyExpansion": "see annex 3",
            }
        ],
    },
}


@pytest.fixture(scope="module")
def dictionary(everything: Vocabulary) -> Dictionary:
    return tds.load(json.loads(vocab_file("profiles/tds.json").read_text(encoding="utf-8")), everything)


# --- there and back


def _lists(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(texts, min_size=1, max_size=3).map(values.join)


_WORD = st.one_of(
    st.sampled_from(["a", "数据", "x y", "a,b", "[z]", '"q"', "10", "a；b"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5).filter(str.strip),
)
_LISTED = st.sampled_from(["06", "07", "08"])
_ORDER = st.sampled_from(["01", "02", "03", "10", "11", "12"])
_SINGLE = st.sampled_from(["01", "02", "03", "04", "05", "09", "10", "11", "12"])


def _row(name: str, operators: st.SearchStrategy[str], text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({"constraintName": st.just(name), "constraintOperator": operators, "constraintValue": text})


def _either(name: str, text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    alone = text.map(lambda one: values.join([one]) if values.split(one) is not None else one)
    return st.one_of(_row(name, _SINGLE, alone), _row(name, _LISTED, _lists(text)))


_STAMPS = st.datetimes().filter(lambda d: d.year > 1970).map(lambda d: d.strftime("%Y%m%d%H%M%S"))
_PLAIN = (
    *("region", "networkAddress", "physicalAddress", "dataField", "valueExpression", "application", "algorithm"),
    "machineLearningModels",
)
_CONSTRAINTS = st.one_of(
    *(_either(name, _WORD) for name in _PLAIN),
    *(_either(name, st.sampled_from(["01", "02", "03"])) for name in ("executionEnv", "encryptMode", "deliveryMethod")),
    *(_row(name, _ORDER, st.integers(0, 10**15).map(str)) for name in ("count", "frequency", "dataSize", "dataRecord")),
    _row("time", _ORDER, _STAMPS),
    _row("timeWindow", st.sampled_from(["01", "02", "10", "11"]), st.sampled_from(["P1D", "PT1H", "P365D", "P1M"])),
    _row("payAmount", _ORDER, st.sampled_from(["100.00 CNY", "5 EUR"])),
)
_ACTIONS = st.lists(
    st.sampled_from(list(json.loads(vocab_file("profiles/tds.json").read_text(encoding="utf-8"))["contract"]["actions"])),
    min_size=1,
    max_size=3,
)
_SOME = st.lists(_CONSTRAINTS, min_size=1, max_size=4)


def _duties(**inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    optional = {"constraints": _SOME, "strategyId": st.just("d"), **inner}
    return st.lists(st.fixed_dictionaries({"actions": _ACTIONS}, optional=optional), min_size=1, max_size=2)


def _policy(expansion: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    text = expansion.map(lambda tree: json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    operators, values_ = st.sampled_from(["01", "07", "08"]), st.lists(_WORD, min_size=1, max_size=2)
    purpose = st.lists(st.fixed_dictionaries({"operator": operators, "value": values_}), min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {
            "subjectInfo": st.fixed_dictionaries(
                {"dataProductId": st.sampled_from(["6P", "6Q"])}, optional={"dataProductName": _WORD}
            ),
            "executionNodeInfo": st.fixed_dictionaries(
                {"providerNodeId": st.just("5A")},
                optional={"consumerNodeId": st.just("5B"), "providerNodeName": _WORD, "consumerNodeName": _WORD},
            ),
            "actions": _ACTIONS,
        },
        optional={
            "strategyId": st.just("s"),
            "constraints": _SOME,
            "policyExpansion": st.one_of(text, st.just("see annex 3")),
            "expansionItem": st.one_of(st.just({"note": [1, {"a": None}]}), purpose.map(lambda found: {"purpose": found})),
        },
    )


def _named(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda duties: {name: duties}


_CONTRACTS = st.fixed_dictionaries(
    {
        "contractId": st.text("0123456789ABC", min_size=1, max_size=47),
        "contractName": _WORD,
        "contractStatus": st.sampled_from(["01", "02", "03", "0301", "0302", "05", "06"]),
        "signMode": st.sampled_from(["01", "02"]),
        "contractPolicies": st.fixed_dictionaries(
            {"permissionPolicies": st.lists(_policy(_duties(breachLiability=_duties()).map(_named("preDuty"))), min_size=1, max_size=2)},
            optional={
                "prohibitionPolicies": st.lists(_policy(_duties().map(_named("remedy"))), min_size=1, max_size=1),
                "obligationPolicies": st.lists(_policy(_duties().map(_named("breachLiability"))), min_size=1, max_size=1),
            },
        ),
    },
    optional={"contractAbstract": _WORD, "createTime": _STAMPS, "indate": _STAMPS, "expansionItem": st.just({"version": 1})},
)  # fmt: skip


@given(contract=_CONTRACTS)
@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
def test_a_contract_to_odrl_and_back_is_the_same_contract(contract: dict[str, Any], dictionary: Dictionary) -> None:
    policy = tds.read(contract, dictionary)
    assert tds.write(policy, dictionary) == contract
    # and so it is after the policy has been stored or sent as ODRL
    assert tds.write(jsonld.read(jsonld.write(policy, jsonld.Shape.ODRL)), dictionary) == contract
    # a policy of somebody who knows no contract, without what a contract keeps beside its rules: it comes back with its meaning
    plain = replace(policy, extra=(), uid="urn:example:p")
    there = replace(tds.read(tds.write(plain, dictionary), dictionary), extra=())
    assert canonical(there, OFFER_TO_AGREEMENT) == canonical(plain, OFFER_TO_AGREEMENT)


def test_the_example_is_a_contract_and_comes_back(dictionary: Dictionary) -> None:
    policy = tds.read(CONTRACT, dictionary)
    assert tds.write(policy, dictionary) == CONTRACT
    assert policy.type == "Agreement"
    first = policy.permissions[0]
    assert [action.name for action in first.actions] == ["read", "derive"]
    lines = {
        (c.left.rpartition("/")[2], c.operator.value, tuple(v.text for v in c.right), c.unit.text if c.unit else "")
        for c in first.constraints
    }
    assert lines == {
        ("dateTime", "lt", ("2027-01-01T00:00:00+08:00",), ""),
        ("count", "lteq", ("10000",), ""),
        ("frequency", "lteq", ("100",), "P1D"),
        ("elapsedTime", "lteq", ("P365D",), ""),
        ("field", "isAnyOf", ("speed", "direction"), ""),
        ("executionEnvironment", "isAnyOf", ("02", "05"), ""),
        ("payAmount", "gteq", ("100.00",), "CNY"),
        ("purpose", "isAnyOf", ("research",), ""),
    }
    assert [len(tds.notes(policy)), tds.notes(policy)[0].split("; ")[1]] == [1, "it is carried in `expansionItem`"]
    assert first.duties[0].consequences[0].actions[0].name == "compensate"


def test_a_contract_permits_nothing_once_its_validity_is_over(dictionary: Dictionary, everything: Vocabulary) -> None:
    contract = {**CONTRACT, "indate": "20261231235959"}
    policy = tds.read(contract, dictionary)
    assert all(
        ("dateTime", "lteq", "2026-12-31T23:59:59+08:00")
        in [(c.left, c.operator.value, c.right[0].text) for c in rule.constraints]
        for rule in policy.permissions
    )
    assert tds.write(policy, dictionary) == contract
    # without what a contract keeps beside its rules the validity is written all the same
    assert tds.write(replace(policy, extra=(), uid="urn:example:p"), dictionary)["indate"] == "20261231235959"


@pytest.mark.parametrize(
    ("status", "kind"),
    [("02", "Offer"), ("03", "Offer"), ("0301", "Agreement"), ("0302", "Offer"), ("05", "Agreement"), ("06", "Offer")],
)
def test_only_a_signed_contract_that_is_not_terminated_is_an_agreement(status: str, kind: str, dictionary: Dictionary) -> None:
    assert tds.read({**CONTRACT, "contractStatus": status}, dictionary).type == kind


# --- careless documents


def wrapped(**policy: Any) -> dict[str, Any]:
    strategy = {
        "subjectInfo": {"dataProductId": "6P"},
        "executionNodeInfo": {"providerNodeId": "5A"},
        "actions": ["read"],
        **policy,
    }
    return {"contractId": "C", "contractName": "n", "contractStatus": "01", "signMode": "01", "strategy": strategy}


def row(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"constraintName": name, "constraintOperator": operator, "constraintValue": value}


@pytest.mark.parametrize(
    ("given", "strict"),
    [
        (row("count", "lteq", "10000 次/天"), [row("frequency", "11", "10000"), row("timeWindow", "01", "P1D")]),
        (row("count", "11", "10000 times/day"), [row("frequency", "11", "10000"), row("timeWindow", "01", "P1D")]),
        (row("count", "11", "1000 次"), [row("count", "11", "1000")]),
        (row("count", "11", 1000), [row("count", "11", "1000")]),
        (row("dataField", "isA", "[字段1，字段2]"), [row("dataField", "07", "[字段1,字段2]")]),
        (row("dataField", "5", ["a", "b"]), [row("dataField", "07", "[a,b]")]),
        (row("networkAddress", "isA", "10.0.0.1"), [row("networkAddress", "05", "10.0.0.1")]),
        (row("executionEnv", "isA", "02：数据沙箱"), [row("executionEnv", "05", "02")]),
        (row("deliveryMethod", "eq", "01：如文件传输"), [row("deliveryMethod", "01", "01")]),
        (row("payAmount", "eq", "100.00CNY"), [row("payAmount", "01", "100.00 CNY")]),
        (row("time", "10", "2027-01-01T00:00:00Z"), [row("time", "10", "20270101080000")]),
        (row("dateRecord", "11", "5条"), [row("dataRecord", "11", "5")]),
        (
            row("timeWindow", "isA", "2024-03-20 23:59:59 -- 2025-03-20 23:59:59"),
            [row("time", "03", "20240320235959"), row("time", "11", "20250320235959")],
        ),
    ],
)  # fmt: skip
def test_what_documents_write_is_understood_and_written_as_it_should_be(
    given: Any, strict: Any, dictionary: Dictionary
) -> None:
    found = tds.normal(wrapped(constraints=[given]), dictionary)
    assert found["contractPolicies"]["permissionPolicies"][0]["constraints"] == strict
    assert tds.normal(found, dictionary) == found


def test_misspelt_names_are_understood(dictionary: Dictionary) -> None:
    tree = wrapped(actions=["plicyTransmit", "exportResult"], kind="prohibition")
    tree["strategy"]["executionNodeInfo"] = {"assignerId": "5A", "assigneeId": "5B"}
    tree["strategy"]["subjectInfo"] = {"dataProductId": "6P", "dataProductAbstrac t": "x"}
    found = tds.normal(tree, dictionary)
    (policy,) = found["contractPolicies"]["prohibitionPolicies"]
    assert policy["actions"] == ["policyTransmit", "exportResult"]
    assert policy["executionNodeInfo"] == {"providerNodeId": "5A", "consumerNodeId": "5B"}
    assert policy["subjectInfo"]["dataProductAbstract"] == "x"


# --- what means nothing


@pytest.mark.parametrize(
    ("tree", "where", "says"),
    [
        ([], "contract", "an array"),
        ({**wrapped(), "contractStatus": "04"}, "contract.contractStatus", "unknown code `04`"),
        ({**wrapped(), "contractId": "9" * 48}, "contract.contractId", "at most 47"),
        ({**wrapped(), "contractIdd": "x"}, "contract.contractIdd", "did you mean `contractId`"),
        ({**wrapped(), "createTime": "June"}, "contract.createTime", "no moment"),
        (wrapped(actions=[]), "contract.strategy.actions", "without actions"),
        (wrapped(actions=["reed"]), "contract.strategy.actions[0]", "did you mean `read`"),
        (wrapped(kind="wish"), "contract.strategy.kind", "unknown kind"),
        (wrapped(constraints=[row("cuont", "01", "1")]), "contract.strategy.constraints[0].constraintName", "did you mean `count`"),
        (wrapped(constraints=[row("count", "13", "1")]), "contract.strategy.constraints[0].constraintOperator", "unknown operator"),
        (wrapped(constraints=[row("count", "11", "many")]), "contract.strategy.constraints[0].constraintValue", "whole number"),
        (wrapped(constraints=[row("time", "11", "tomorrow")]), "contract.strategy.constraints[0].constraintValue", "YYYYMMDDHHMMSS"),
        (
            # outside of the span was read as within it
            wrapped(constraints=[row("time", "neq", "2024-03-20 23:59:59 -- 2025-03-20 23:59:59")]),
            "contract.strategy.constraints[0].constraintValue",
            "operator `neq`",
        ),
        (wrapped(constraints=[row("time", "11", "9999-12-31T23:59:59Z")]), "contract.strategy.constraints[0].constraintValue", "calendar"),
        (wrapped(constraints=[row("encryptMode", "01", "plain")]), "contract.strategy.constraints[0].constraintValue", "two digits"),
        (wrapped(constraints=[row("payAmount", "01", "much")]), "contract.strategy.constraints[0].constraintValue", "currency"),
        (wrapped(constraints=[{**row("count", "11", "1"), "unit": "x"}]), "contract.strategy.constraints[0].unit", "unknown field"),
        (wrapped(policyExpansion='{"preDuty": ['), "contract.strategy.policyExpansion", "not JSON"),
        (wrapped(policyExpansion={"remedy": []}), "contract.strategy.policyExpansion.remedy", "`preDuty`"),
        (wrapped(expansionItem={"purpose": [{"operator": "07"}]}), "contract.strategy.expansionItem.purpose[0]", "without value"),
        (wrapped(subjectInfo={}), "contract.strategy.subjectInfo", "no `dataProductId`"),
    ],
)  # fmt: skip
def test_a_contract_that_means_nothing_is_refused_with_path_and_mend(
    tree: Any, where: str, says: str, dictionary: Dictionary
) -> None:
    with pytest.raises(PolicyError) as caught:
        tds.read(tree, dictionary)
    assert caught.value.where == where
    assert says in str(caught.value)


_HOLDER = "policy: urn:x\ntarget: 6P\nassigner: 5A\nassignee: 5B\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("permit: [play]", "action `play`"),
        ("permit: [{action: read, when: membership == active}]", "constraint `https://w3id.org/kontor/ns/membership`"),
        ("permit: [{action: read, when: [any: [count <= 1, count <= 2]]}]", "`or` of conditions"),
        ("permit: [{action: {read: percentage <= 5}}]", "refined actions"),
        ("permit: [{action: read, assignee: {members_of: urn:g}}]", "collections"),
        ("permit: [{action: read, target: [6P, 6Q]}]", "2 targets"),
        ("conflict: perm\npermit: [read]", "conflict strategy `perm`"),
        ("permit: [{action: read, when: dateTime == 2027-01-01}]", "no moment of whole seconds"),
        ("permit: [{action: read, when: count <= 1.5}]", "no whole number"),
        ("permit: [{action: read, when: payAmount == 5}]", "currency code"),
        ("inherits: urn:y\npermit: [read]", "inheritance"),
        ("permit: [{action: read, also: {urn:n: 1}}]", "property `urn:n`"),
    ],
)
def test_what_has_no_place_in_a_contract_is_refused(
    text: str, says: str, everything: Vocabulary, dictionary: Dictionary
) -> None:
    with pytest.raises(PolicyError) as caught:
        tds.write(yamlfmt.read(_HOLDER + text, everything), dictionary)
    assert says in str(caught.value)


def test_a_whole_day_becomes_the_moment_that_means_the_same(everything: Vocabulary, dictionary: Dictionary) -> None:
    policy = yamlfmt.read(_HOLDER + "permit: [{action: read, when: dateTime <= 2026-12-31+08:00}]", everything)
    (rule,) = tds.write(policy, dictionary)["contractPolicies"]["permissionPolicies"]
    assert rule["constraints"] == [row("time", "10", "20270101000000")]


# --- decisions


@pytest.mark.parametrize(
    ("claims", "duties", "action", "code"),
    [
        ("active", {"urn:d": DutyState.FULFILLED}, "read", DecisionCode.ALLOWED),
        ("active", {}, "read", DecisionCode.CONDITIONAL),
        ("revoked", {}, "read", DecisionCode.DENIED),
        ("active", {}, "distribute", DecisionCode.DENIED),
        ("active", {}, "sell", DecisionCode.DEFAULT_DENIED),
    ],
)
def test_a_decision_has_the_code_of_usage_control(
    claims: str, duties: Any, action: str, code: DecisionCode, everything: Vocabulary
) -> None:
    rule = "{action: use, when: membership == active, duty: {id: 'urn:d', action: inform}}"
    text = f"conflict: prohibit\npermit: [{rule}]\nforbid: [distribute]"
    policy: Policy = yamlfmt.read(text, everything)
    world = World(now=cases.NOON, claims={"membership": claims}, duties=duties)
    found = decide(compile(policy, everything), Request(action=action), world, stage=Stage.REQUEST, trace=True)
    assert tds.decision_code(found) is code
