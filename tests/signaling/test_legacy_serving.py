"""Our data plane under a control plane of the older dialect: EDC's own words, answered as EDC needs them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector.dps import legacy
from connector.dps.flow import Call
from tests.signaling.foreign import SECRET, Plane, listening
from tests.signaling.kit import Kit, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
EDC = "https://w3id.org/edc/v0.0.1/ns/"
CONTEXT = {"@vocab": EDC, "dspace": "https://w3id.org/dspace/v0.8/", "odrl": "http://www.w3.org/ns/odrl/2/"}


class Upstream(Plane):
    """EDC's control plane, and the upstream that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.answers |= {"data": lambda heard: (200, {"asked": heard.headers.get("x-api-key")}), "sink": lambda _: (200, None)}
        for word in ("complete", "fail", "provisioned"):
            self.answers[word] = lambda _: (204, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    async with listening(Upstream()) as control:
        edc = {"id": "edc", "endpoint": control.url, "dialect": "edc-legacy", "secret": SECRET}
        folder = tmp_path_factory.mktemp("dp")
        async with running(folder, control, control_planes=[edc], source_hosts=["127.0.0.1"], answer_within_s=1) as found:
            yield found


def address(**properties: str) -> dict[str, Any]:
    entries = [
        {"@type": "dspace:EndpointProperty", "dspace:name": f"{EDC}{k}", "dspace:value": v} for k, v in properties.items()
    ]
    # a list of one comes as the one
    return {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": "HttpData",
        "dspace:endpointProperties": entries if len(entries) > 1 else entries[0],
    }


def start(kit: Kit, process: str, flow_type: str = "PULL", **changes: Any) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "@type": "DataFlowStartMessage",
        "processId": process,
        "datasetId": "d",
        "agreementId": "a",
        "participantId": "consumer",
        "transferTypeDestination": "HttpData",
        "flowType": flow_type,
        "callbackAddress": kit.control.url,
        "sourceDataAddress": address(baseUrl=f"{kit.control.url}/data", authKey="X-Api-Key", authCode="SOURCESECRET"),
        **changes,
    }


async def read(answer: httpx.Response) -> httpx.Response:
    found = legacy.read_response(answer.content, Call.START).address
    assert found is not None
    async with httpx.AsyncClient() as client:
        return await client.get(found.endpoint_url() or "", headers={"authorization": found.property("authorization") or ""})


async def test_a_pull_is_served_from_the_source_that_edc_names(kit: Kit) -> None:
    answer = await kit.post("/dataflows/start", start(kit, "p1"))
    assert answer.status_code == 200
    assert (await read(answer)).json() == {"asked": "SOURCESECRET"}
    # a repetition is told by its process alone, and is harmless
    again = await kit.post("/dataflows", start(kit, "p1"))
    assert (again.status_code, again.json()) == (200, answer.json())

    suspend = {"@context": CONTEXT, "@type": "DataFlowSuspendMessage"}
    assert [(await kit.post("/dataflows/p1/suspend", suspend)).status_code for _ in range(2)] == [204, 204]
    assert (await read(answer)).status_code == 401
    assert (await kit.post("/dataflows/p1/state", method="GET")).json()["state"] == "SUSPENDED"
    # the same start once more resumes, with another token
    resumed = await kit.post("/dataflows/start", start(kit, "p1"))
    assert (resumed.status_code, (await read(resumed)).status_code) == (200, 200)
    assert resumed.json() != answer.json()

    terminate = {"@context": CONTEXT, "@type": "DataFlowTerminateMessage"}
    assert [(await kit.post("/dataflows/p1/terminate", terminate)).status_code for _ in range(2)] == [204, 204]
    assert (await read(resumed)).status_code == 401
    assert (await kit.post("/dataflows/p1/state", method="GET")).json()["state"] == "TERMINATED"


async def test_a_push_is_moved_and_reported(kit: Kit) -> None:
    order = start(kit, "p2", "PUSH", destinationDataAddress=address(baseUrl=f"{kit.control.url}/sink"))
    answer = await kit.post("/dataflows/start", order)
    assert (answer.status_code, answer.json()["provisioning"], "dataAddress" in answer.json()) == (200, False, False)
    done = await kit.control.until("complete")
    assert (done.path, done.body) == ("/transferprocess/p2/complete", b"")
    assert "content-type" not in done.headers
    assert json.loads(kit.control.of("sink")[0].body) == {"asked": "SOURCESECRET"}
    # EDC terminates what is complete: that changes nothing
    assert (
        await kit.post("/dataflows/p2/terminate", {"@context": CONTEXT, "@type": "DataFlowTerminateMessage"})
    ).status_code == 204
    assert (await kit.post("/dataflows/p2/state", method="GET")).json()["state"] == "COMPLETED"


async def test_what_is_not_there_yet_is_provisioned_and_never_202(kit: Kit) -> None:
    served = kit.control.answers["data"]
    kit.control.answers["data"] = lambda _: (503, None)
    order = start(kit, "p3")
    answer = await kit.post("/dataflows/start", order)
    assert (answer.status_code, answer.json()["provisioning"]) == (200, True)
    kit.control.answers["data"] = served
    heard = await kit.control.until("provisioned")
    assert heard.path == "/transferprocess/p3/provisioned"
    # whereupon EDC sends its start again
    again = await kit.post("/dataflows/start", order)
    assert (again.json()["provisioning"], (await read(again)).status_code) == (False, 200)


async def test_what_edc_was_recorded_to_send_is_answered_as_it_needs(kit: Kit, official: pathlib.Path) -> None:
    for number in range(1, 8):
        path = next((official / "dps/recorded").glob(f"{number:02d}-*.json"))
        text = path.read_text()
        # its own control plane, source and sink are this test's; what it terminates is what it has started
        for place, here in (
            ("localhost:39192", ""), ("localhost:49192", ""), ("localhost:9999/data", "/data"), ("localhost:9997/", "/sink"),
        ):  # fmt: skip
            text = text.replace(f"http://{place}", f"{kit.control.url}{here}")
        recorded = json.loads(text.replace("7d9ee9cf-2f71-4603-ab57-b395f9cd239e", "9e969d58-b1ee-48eb-b0f1-6b8672c8a3eb"))
        step = recorded["path"].partition("/dataflows")[2]
        answer = await kit.post(f"/dataflows{step}", recorded["request"], method=recorded["method"])
        assert answer.status_code == recorded["status"], (path.name, answer.text)
        if (wanted := recorded["response"]) is None:
            assert answer.content == b""
            continue
        found = answer.json()
        assert {name: found["@context"][name] for name in wanted["@context"]} == wanted["@context"]
        # who asks us to prepare a destination gets one of ours
        made = {"dataAddress"} if number == 7 else set()
        assert (found["@type"], found["provisioning"], found.keys()) == (wanted["@type"], False, wanted.keys() | made)
        if "dataAddress" in wanted:
            assert _shape(found["dataAddress"]) == _shape(wanted["dataAddress"])
            assert (await read(answer)).json() == {"asked": "SOURCESECRET"}
    done = await kit.control.until("complete", len(kit.control.of("complete")) + 1)
    assert done.path.startswith("/control/transferprocess/")


def _shape(found: dict[str, Any]) -> tuple[Any, ...]:
    """How an address is written, and the names in it that EDC itself looks for."""
    entries = found["dspace:endpointProperties"]
    names = {entry["dspace:name"] for entry in entries} & {f"{EDC}endpoint", f"{EDC}endpointType", f"{EDC}authorization"}
    return found["@type"], found.keys(), names, {tuple(sorted(entry)) for entry in entries}
