"""Calls to our data plane as they come in the field: with more and with less than the schema has, wrong, repeated, late; and what is cut.

The standard's own cases are in `test_data_plane_kit.py`.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from connector.dataplane.plane import BuiltInDataPlane
from connector.dps.flow import FlowState
from connector.errors import AddressRefused
from connector.ports.dataplane import DataRequest
from connector.signaling.flows import HOME, own_id
from connector.signaling.serving import REPORT, Serving
from connector.signaling.shelf import Flows
from tests.dps.schemas import faults
from tests.signaling.foreign import SECRET, Plane, listening
from tests.signaling.kit import CONTENT, Kit, address, composed, properties_of, read_started, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOWHERE = "http://127.0.0.1:1/in"
ADDRESS = address("urn:http", NOWHERE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    """Our data plane, driven by the kit."""
    async with listening(Plane()) as control, running(tmp_path_factory.mktemp("dp"), control) as found:
        yield found


@pytest.mark.parametrize(
    "members",
    [
        # messages are open for more, JSON-LD's members among it
        {
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "DataFlowStartMessage",
            "x-flavour": {"a": [1]},
        },
        # what EDC leaves unset it writes as null
        {"callbackAddress": None, "labels": None, "metadata": None, "dataAddress": None, "claims": None, "messageId": None},
        # RC4 has one name for the flow, RC2 another for the profile
        {"processId": None, "dataFlowId": "urn:uuid:of-rc4"},
        {"profile": None, "transferType": "HttpData-PULL"},
    ],
    ids=["more", "null", "rc4", "rc2"],
)
async def test_an_order_is_understood_with_more_and_with_less_than_the_schema_has(kit: Kit, members: dict[str, Any]) -> None:
    tree = kit.order("http-pull") | members
    answer = await kit.post("/dataflows/start", tree)
    assert (answer.status_code, answer.json()["state"]) == (200, "STARTED"), answer.text
    assert answer.json()["dataFlowId"] == (tree["processId"] or "urn:uuid:of-rc4")
    assert faults([("report", answer.json())]) == []


@pytest.mark.parametrize(
    ("call", "members", "where"),
    [
        ("start", {"participantId": None}, "participantId"),
        ("start", {"processId": 7}, "processId"),
        ("start", {"processId": "x" * 3000}, "processId"),
        ("start", {"labels": "eu"}, "labels"),
        ("start", {"labels": [1]}, "labels"),
        ("start", {"claims": []}, "claims"),
        ("start", {"metadata": "x"}, "metadata"),
        ("start", {"profile": "http"}, "profile"),
        ("start", {"profile": "mqtt-pull"}, "profile"),
        ("start", {"datasetId": "urn:unknown"}, "datasetId"),
        ("start", {"dataAddress": ADDRESS}, "dataAddress"),
        ("start", {"profile": "http-push"}, "dataAddress"),
        ("start", {"profile": "http-push", "dataAddress": {"endpoint": NOWHERE}}, "dataAddress.endpointType"),
        ("start", {"profile": "http-push", "dataAddress": [ADDRESS]}, "dataAddress"),
        ("prepare", {"profile": "http-push", "dataAddress": ADDRESS}, "dataAddress"),
    ],
)
async def test_an_order_that_is_wrong_is_refused_with_its_place_and_leaves_nothing(
    kit: Kit, call: str, members: dict[str, Any], where: str
) -> None:
    tree = kit.order("http-pull") | members
    answer = await kit.post(f"/dataflows/{call}", tree)
    assert (answer.status_code, answer.json()["where"]) == (400, where)
    flow = str(tree["processId"])[:100]
    assert (await kit.post(f"/dataflows/{flow}/status", method="GET")).status_code == 404


async def test_what_is_no_json_is_refused(kit: Kit) -> None:
    headers = {"authorization": f"Bearer {SECRET}"}
    for body in (b"", b"{", b"[]", b'{"processId": 1, "processId": 2}', b"\xff", b"[" * 5000):
        for path in ("start", "prepare"):
            assert (await kit.client.post(f"{kit.url}/dataflows/{path}", content=body, headers=headers)).status_code == 400


async def test_a_flow_is_begun_once_and_ends_for_good(kit: Kit) -> None:
    tree = kit.order("http-pull")
    first = await kit.post("/dataflows/start", tree)
    # the same message again is the same, a new one is another
    assert (await kit.post("/dataflows/start", tree)).json() == first.json()
    assert (await kit.post("/dataflows/start", tree | {"messageId": "another"})).status_code == 409
    assert (await kit.post("/dataflows/prepare", tree)).status_code == 409
    assert (await read_started(first.json())).content == CONTENT

    flow = tree["processId"]
    for call in ("prepared", "errored", "state/x"):
        assert (await kit.post(f"/dataflows/{flow}/{call}", {"messageId": "m"})).status_code == 404
    # only a consumer's data plane is told so
    assert (await kit.note(flow, "started")).status_code == 400
    assert (await kit.note(flow, "resume", dataAddress=ADDRESS)).status_code == 400
    for _ in range(2):
        assert (await kit.note(flow, "terminate")).status_code == 200
    for call in ("resume", "suspend", "completed", "started"):
        assert (await kit.note(flow, call)).status_code == 400
    assert (await kit.post("/dataflows/start", tree)).status_code == 409
    assert await kit.state(flow) == "TERMINATED"
    for call in ("started", "suspend", "resume", "completed", "terminate"):
        assert (await kit.note("urn:uuid:unknown", call)).status_code == 404


async def test_nothing_comes_in_while_a_flow_is_suspended(kit: Kit) -> None:
    flow, prepared = await kit.begin("prepare", "http-push")
    found = prepared["dataAddress"]

    async def pushed() -> int:
        headers = {"authorization": f"Bearer {properties_of(found)['authorization']}"}
        return (await kit.client.post(found["endpoint"], content=CONTENT, headers=headers)).status_code

    assert (await kit.note(flow, "started")).status_code == 200
    assert (await kit.note(flow, "suspend")).status_code == 200
    assert await pushed() == 403
    assert (await kit.note(flow, "resume")).status_code == 200
    # the provider may not have heard of the new address yet
    assert await pushed() == 200
    assert (await kit.note(flow, "completed")).status_code == 200
    assert await pushed() == 401


@asynccontextmanager
async def pushing(tmp_path: pathlib.Path) -> AsyncIterator[tuple[Kit, BuiltInDataPlane, Flows, Serving, str]]:
    """A push that is under way to a sink that takes its time, and our id of it."""
    released = asyncio.Event()

    async def hang(_: object) -> None:
        await released.wait()

    async with listening(Plane()) as control, composed(tmp_path, control, lambda: asyncio.sleep(0)) as kit:
        assert kit.parts is not None
        control.before["sink"] = hang
        kit.later(CONTENT)
        flow, _ = await kit.begin("start", "http-push", dataAddress=address("urn:http", f"{control.url}/sink"))
        async with asyncio.timeout(10):
            while (HOME, own_id("tck", flow)) not in kit.parts[0].running():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        try:
            yield kit, *kit.parts, own_id("tck", flow)
        finally:
            released.set()


@pytest.mark.parametrize(
    "stopped",
    [
        {"state": FlowState.TERMINATED},
        {"state": FlowState.SUSPENDED, "pauses": 1},
        # and resumed, before anybody has looked
        {"pauses": 1},
    ],
    ids=["terminated", "suspended", "resumed"],
)
async def test_what_another_node_has_stopped_is_cut_here(tmp_path: pathlib.Path, stopped: dict[str, Any]) -> None:
    async with pushing(tmp_path) as (_, plane, flows, serving, id_):
        await serving.look()
        assert (HOME, id_) in plane.running()
        # as a node on the same store does, that was told so
        await flows.change(id_, lambda found: replace(found, **stopped))
        await serving.look()
        assert (HOME, id_) not in plane.running()


async def test_what_begins_after_a_pause_is_not_taken_for_what_began_before(tmp_path: pathlib.Path) -> None:
    async with listening(Plane()) as control, composed(tmp_path, control, lambda: asyncio.sleep(0)) as kit:
        assert kit.parts is not None
        plane, _, serving = kit.parts
        kit.later(CONTENT)
        flow, status = await kit.begin("start", "http-pull")
        for _ in range(2):
            token = f"Bearer {properties_of(status['dataAddress'])['authorization']}"
            async with plane.pull(HOME, own_id("tck", flow), DataRequest(headers={"authorization": token})) as served:
                await serving.look()
                assert (served.status, plane.running()) == (200, ((HOME, own_id("tck", flow)),))
            await kit.note(flow, "suspend")
            status = (await kit.note(flow, "resume")).json()


async def test_a_push_that_was_cut_without_a_word_is_taken_up_again(tmp_path: pathlib.Path) -> None:
    async with pushing(tmp_path) as (kit, plane, _, _, id_):
        # as it is when the store cannot be asked for as long as a lease
        await plane.stop(HOME, id_)
        kit.control.before.clear()
        await kit.control.until("completed")
        assert kit.control.of("sink")[-1].body == CONTENT


async def test_a_report_goes_nowhere_that_is_not_on_the_list_any_more(tmp_path: pathlib.Path) -> None:
    async with pushing(tmp_path) as (kit, _, flows, serving, id_):
        # as it is kept from a time when the settings allowed that host
        await flows.change(id_, lambda found: replace(found, callback=kit.control.url.replace("127.0.0.1", "localhost")))
        await serving.failed(HOME, id_, "why")
        job = (await serving._store.jobs.page(HOME, kind=REPORT)).items[0]
        with pytest.raises(AddressRefused, match="not on the list"):
            await serving.report(job)
        assert kit.control.of("errored") == []
