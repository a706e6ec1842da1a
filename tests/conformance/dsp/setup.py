"""What the connector under test is told over its operator API before the kit starts: datasets, agreements, rules.

Each thing is spelled in one function, by the models of `connector/api/`. What the tests need stands in `cases.py`.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.dsp.cases import CASES, CATALOGUED, FORMAT, KIT_PARTICIPANT, PARTICIPANT_ID, Case, Step, offer_id
from tests.conformance.nodes import Node

# the kit reads our answer to its message before it is ready for the next one: 100 to 200 ms, so half a second leaves room
DELAY_S = 0.5
_POLICY = "use"
_OPEN_STATES = {
    "negotiation": ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"),
    "transfer": ("REQUESTED", "STARTED", "SUSPENDED"),
}
_AGREED_AT = "2025-01-01T00:00:00Z"


def prepare(node: Node) -> None:
    """Everything the kit expects to find is there afterwards."""
    node.ask("POST", "/policies", {"id": _POLICY, "policy": permission()})
    datasets = [case.subject for case in CASES if case.process == "negotiation" and case.role == "provider"]
    for dataset in (*CATALOGUED, *datasets, *(case.subject for case in CASES if case.process == "transfer")):
        node.ask("POST", "/assets", asset(dataset))
    for dataset in (*CATALOGUED, *datasets):
        node.ask("POST", "/contract-definitions", definition(dataset))
    for case in CASES:
        if case.process == "transfer":
            node.ask("POST", "/agreements", agreement(case))
    node.ask("PUT", "/rules", [*(rule(case, step) for case in CASES for step in case.steps), *holds()])


def permission() -> dict[str, Any]:
    """The policy of every offer here: use, without any constraint."""
    return {"permission": [{"action": "use"}]}


def asset(dataset: str) -> dict[str, Any]:
    """A dataset that is described and has no data: only the control plane is under test."""
    return {"id": dataset, "title": f"conformance {dataset}", "source": {"type": "none"}, "formats": [FORMAT]}


def definition(dataset: str) -> dict[str, Any]:
    """The one offer of a dataset, under the id that the kit asks for."""
    return {"id": dataset, "assets": [dataset], "policy": _POLICY, "offer_id": offer_id(dataset)}


def agreement(case: Case) -> dict[str, Any]:
    """The agreement that a transfer test starts from; the provider is its assigner."""
    parties = (PARTICIPANT_ID, KIT_PARTICIPANT) if case.role == "provider" else (KIT_PARTICIPANT, PARTICIPANT_ID)
    agreed = {"@id": case.subject, "@type": "Agreement", "target": case.subject, "timestamp": _AGREED_AT}
    agreed |= {"assigner": parties[0], "assignee": parties[1]}
    return {"role": case.role, "peer": KIT_PARTICIPANT, "agreement": agreed | permission()}


def rule(case: Case, step: Step) -> dict[str, Any]:
    """The automation rule for one step of one test."""
    subject = "dataset" if case.process == "negotiation" else "agreement"
    when: dict[str, Any] = {"kind": case.process, "role": case.role, subject: case.subject, "on": step.state}
    if step.nth is not None:
        when["nth"] = step.nth
    return when | {"do": step.act, "delay_s": DELAY_S}


def holds() -> list[dict[str, Any]]:
    """The last rules: what no other rule names waits for the kit."""
    return [{"kind": kind, "on": state, "do": "hold"} for kind, states in _OPEN_STATES.items() for state in states]


def negotiation(asked: dict[str, Any]) -> dict[str, Any]:
    """The operator API's request for a negotiation, from the kit's words for it."""
    return {
        "address": asked["connectorAddress"],
        "peer": asked["providerId"],
        "dataset": asked["datasetId"],
        "offer_id": asked["offerId"],
        # there is no catalogue at the kit to look the offer up in
        "offer": {"@id": asked["offerId"], "@type": "Offer", "target": asked["datasetId"]} | permission(),
    }


def transfer(asked: dict[str, Any]) -> dict[str, Any]:
    """The operator API's request for a transfer, from the kit's words for it."""
    return {
        "agreement": asked["agreementId"],
        "format": asked["format"],
        "address": asked["connectorAddress"],
    }
