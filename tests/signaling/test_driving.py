"""Our control plane over data planes that fail, hang, forget, take their time or speak the older dialect."""

from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector.api.dataplanes import NewDataPlane
from connector.api.sources import AssetSource
from connector.api.transfers import NewTransfer, Transfer
from connector.client.dataplanes import dataplanes, put_dataplane
from connector.testing.clock import MovedClock
from connector.testing.dataspace import PULL, DataSpace, Member
from tests.signaling.foreign import SECRET, DataPlane, Heard, listening, posted

pytestmark = pytest.mark.asyncio(loop_scope="module")
OLDER_SECRET = "between us and the older one"
RECORDED = {"id": "edc-dp", "participants": ["provider"], "hosts": ["localhost"], "secret": "of the recorded one"}
OLDER = {"id": "edc", "participants": ["provider"], "hosts": ["127.0.0.1"], "secret": OLDER_SECRET}
SECTION = {"signaling": {"port": 0, "unsafe_allow_http": True, "patience_s": 20, "planes": [RECORDED, OLDER]}}
EDC = {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "dspace": "https://w3id.org/dspace/v0.8/"}


@dataclass
class Scene:
    """A provider with an external data plane of each dialect, and agreements about data that only these serve."""

    clock: MovedClock
    provider: Member
    consumer: Member
    plane: DataPlane
    agreement: str
    format: str

    async def begin(self) -> Transfer:
        wanted = NewTransfer(agreement=self.agreement, format=self.format)
        return await self.consumer.send(self.consumer.calls.begin_transfer(wanted))

    async def ours(self, order: Heard) -> Transfer:
        return await self.provider.send(self.provider.calls.transfer(order.tree["processId"]))

    async def meanwhile(self, work: Awaitable[Any]) -> Any:
        """What comes of `work` while time passes quickly."""
        going = asyncio.ensure_future(work)
        while not going.done():
            self.clock.move(seconds=0.5)
            await asyncio.wait([going], timeout=0.02)
        return await going


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[tuple[Scene, Scene]]:
    clock = MovedClock(datetime(2026, 3, 1, tzinfo=UTC))
    async with DataSpace(clock=clock) as space, listening(DataPlane()) as plane, listening(DataPlane()) as older:
        assert isinstance(plane, DataPlane)
        assert isinstance(older, DataPlane)
        provider, consumer = space.join("provider", sections=SECTION), space.join("consumer")
        await space.begin()
        wanted = {"endpoint": plane.url, "profiles": [PULL], "authorization": {"secret": SECRET}}
        await provider.send(put_dataplane("provider", "dp", NewDataPlane.model_validate(wanted)))
        await _registered(provider, older)
        found = []
        upstream = AssetSource(type="http", url=f"{older.url}/upstream")
        for name, source, its, format_ in (("a", AssetSource(type="none"), plane, PULL), ("b", upstream, older, "Proxy-PULL")):
            agreed = await consumer.negotiate(await provider.publish(name, source=source))
            assert agreed.agreement_id is not None
            found.append(
                Scene(
                    clock=clock, provider=provider, consumer=consumer, plane=its, agreement=agreed.agreement_id, format=format_
                )
            )
        yield found[0], found[1]


async def _registered(provider: Member, older: DataPlane) -> None:
    """The plane of the older dialect registers itself."""
    tree = {
        "@context": EDC,
        "@id": "edc",
        "@type": "DataPlaneInstance",
        "url": f"{older.url}/dataflows",
        "allowedSourceTypes": "HttpData",
        "allowedTransferTypes": "Proxy-PULL",
    }
    answer = await posted(f"{provider.app.signaling_url}/provider/v1/dataplanes", tree, OLDER_SECRET)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def scene(both: tuple[Scene, Scene]) -> Scene:
    """With a plane that behaves, and has heard nothing."""
    return _fresh(both[0])


@pytest.fixture
def older(both: tuple[Scene, Scene]) -> Scene:
    """With a plane of the older dialect."""
    found = _fresh(both[1])
    _legacy(found.plane)
    return found


def _fresh(scene: Scene) -> Scene:
    scene.plane.forget()
    return scene


async def test_a_plane_that_fails_for_a_while_is_told_again_with_the_same_message(scene: Scene) -> None:
    plane, start = scene.plane, scene.plane.answers["start"]
    plane.answers["start"] = lambda heard: start(heard) if plane.of("start") else (503, None)
    mine = await scene.begin()
    await scene.meanwhile(scene.consumer.until_transfer(mine.pid, "STARTED"))
    first, again = plane.of("start")
    assert first.body == again.body


async def test_an_answer_that_was_lost_is_found_out_and_the_address_made_anew(scene: Scene) -> None:
    plane = scene.plane
    # it took the first one, and nobody heard so: a repetition is refused as a second start
    plane.answers["start"] = lambda _: (409 if plane.of("start") else 503, None)
    plane.answers["status"] = lambda _: (200, {"state": "STARTED", "dataFlowId": "f"})
    mine = await scene.begin()
    await scene.meanwhile(scene.consumer.until_transfer(mine.pid, "STARTED"))
    assert [one.step for one in plane.heard] == ["start", "start", "status", "suspend", "resume"]
    found = await scene.consumer.send(scene.consumer.calls.data_address(mine.pid))
    assert found.properties["authorization"] == "token-1"


async def test_a_plane_that_refuses_ends_the_transfer_and_the_peer_hears_no_more_than_that(scene: Scene) -> None:
    scene.plane.answers["start"] = lambda _: (400, {"detail": "the tape robot is on fire"})
    mine = await scene.begin()
    ended = await scene.consumer.until_transfer(mine.pid, "TERMINATED")
    assert ended.reasons == ["the data plane failed"]
    order = scene.plane.of("start")[0]
    await scene.plane.until("terminate")
    assert (await scene.ours(order)).state == "TERMINATED"


async def test_errored_is_for_the_operator_and_completed_for_both(scene: Scene) -> None:
    mine = await scene.begin()
    order = await scene.plane.until("start")
    await scene.consumer.until_transfer(mine.pid, "STARTED")
    report = {"state": "STARTED", "error": "the wire broke"}
    assert (await scene.plane.report(order, "errored", **report)).status_code == 200
    held = await scene.ours(order)
    assert (held.state, held.hold) == ("STARTED", "the data plane reports: the wire broke")
    assert (await scene.consumer.send(scene.consumer.calls.transfer(mine.pid))).state == "STARTED"
    for _ in range(2):
        assert (await scene.plane.report(order, "completed")).status_code == 200
    await scene.consumer.until_transfer(mine.pid, "COMPLETED")
    # it was not told what it has said itself
    assert scene.plane.of("completed") == []


async def test_a_report_may_overtake_the_answer_to_its_own_call(scene: Scene) -> None:
    plane, told = scene.plane, asyncio.Event()
    reported: list[int] = []

    async def early(order: Heard) -> None:
        reported.append((await plane.report(order, "started", dataAddress=plane.address())).status_code)
        told.set()

    plane.before["start"] = early
    mine = await scene.begin()
    await scene.consumer.until_transfer(mine.pid, "STARTED")
    await told.wait()
    assert reported == [200]
    found = await scene.consumer.send(scene.consumer.calls.data_address(mine.pid))
    assert found.properties["authorization"] == "token-1"
    assert len(plane.of("start")) == 1


async def test_a_lost_report_is_found_out_by_asking_and_patience_ends(scene: Scene) -> None:
    plane = scene.plane
    plane.is_slow = True
    first, second = await scene.begin(), await scene.begin()
    await plane.until("start", 2)
    stuck = await scene.provider.theirs(second)
    plane.answers["status"] = lambda one: (200, {"state": "STARTING" if stuck in one.path else "STARTED"})
    await scene.meanwhile(scene.consumer.until_transfer(first.pid, "STARTED"))
    # a question for the state tells no address: it is made anew
    assert {"suspend", "resume"} <= {one.step for one in plane.heard}
    ended = await scene.meanwhile(scene.consumer.until_transfer(second.pid, "TERMINATED"))
    assert ended.reasons == ["the data plane failed"]


# --- the older dialect, from end to end


def _legacy(plane: DataPlane) -> None:
    address = {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "dspace:endpointProperties": [
            {"dspace:name": f"{EDC['@vocab']}endpoint", "dspace:value": "https://data.example"},
            {"dspace:name": "authorization", "dspace:value": "legacy-token"},
        ],
    }

    def started(heard: Heard) -> tuple[int, Any]:
        made = {"dataAddress": address} if heard.tree["flowType"] == "PULL" else {}
        return 200, {"@context": EDC, "@type": "DataFlowResponseMessage", "provisioning": False, **made}

    plane.answers = {"start": started, "suspend": lambda _: (204, None), "terminate": lambda _: (204, None)}


@pytest.mark.parametrize("word", ["complete", "fail"])
async def test_a_plane_of_the_older_dialect_serves_what_ours_does_not(older: Scene, word: str) -> None:
    provider, consumer, plane = older.provider, older.consumer, older.plane
    mine = await older.begin()
    await consumer.until_transfer(mine.pid, "STARTED")
    start = await plane.until("start")
    assert (start.tree["participantId"], start.tree["sourceDataAddress"]["dspace:endpointType"]) == (consumer.id, "HttpData")
    found = await consumer.send(consumer.calls.data_address(mine.pid))
    assert found.properties["authorization"] == "legacy-token"

    base = f"{start.tree['callbackAddress']}/transferprocess/{start.tree['processId']}"
    assert (await posted(f"{base}/{word}", None, secret=None)).status_code == 401
    tree = {"errorMessage": "the upstream is gone"} if word == "fail" else None
    assert (await posted(f"{base}/{word}", tree, OLDER_SECRET)).status_code == 204
    await consumer.until_transfer(mine.pid, "COMPLETED" if word == "complete" else "TERMINATED")
    # late ones are refused, and a plane that has failed is told that it is over
    assert (await posted(f"{base}/fail", {"errorMessage": "again"}, OLDER_SECRET)).status_code == 409
    if word == "fail":
        await plane.until("terminate")
    await provider.until_transfer(start.tree["processId"], "COMPLETED" if word == "complete" else "TERMINATED")


async def test_a_plane_that_provisions_is_told_to_start_once_more(older: Scene) -> None:
    provider, consumer, plane = older.provider, older.consumer, older.plane
    started = plane.answers["start"]
    waits = {"@context": EDC, "@type": "DataFlowResponseMessage", "provisioning": True}
    plane.answers["start"] = lambda heard: started(heard) if plane.of("start") else (200, waits)
    mine = await older.begin()
    start = await plane.until("start")
    await provider.until_transfer(start.tree["processId"], lambda t: t.flow_state == "STARTING")
    url = f"{start.tree['callbackAddress']}/transferprocess/{start.tree['processId']}/provisioned"
    assert (await posted(url, {"properties": {}}, OLDER_SECRET)).status_code == 204
    await consumer.until_transfer(mine.pid, "STARTED")
    assert len(plane.of("start")) == 2


async def test_a_plane_that_leaves_and_comes_back_is_told_what_it_has_missed(older: Scene) -> None:
    mine = await older.begin()
    await older.consumer.until_transfer(mine.pid, "STARTED")
    ours = (await older.plane.until("start")).tree["processId"]
    at = f"{older.provider.app.signaling_url}/provider/v1/dataplanes/edc"
    assert (await posted(at, None, OLDER_SECRET, "DELETE")).status_code == 204
    await older.provider.steer(ours, "suspend")
    await older.consumer.until_transfer(mine.pid, "SUSPENDED")
    await older.meanwhile(asyncio.sleep(0.1))
    assert older.plane.of("suspend") == []
    await _registered(older.provider, older.plane)
    await older.meanwhile(older.plane.until("suspend"))
    assert (await older.provider.send(older.provider.calls.transfer(ours))).state == "SUSPENDED"
    await older.consumer.steer(mine.pid, "terminate")
    await older.meanwhile(older.plane.until("terminate"))


# --- what a data plane of EDC was recorded to send


async def test_a_recorded_data_plane_registers_and_leaves(older: Scene, official: pathlib.Path) -> None:
    recorded = _recorded(official, 8)
    base = f"{older.provider.app.signaling_url}/provider{recorded['path'].removeprefix('/control')}"
    for _ in range(2):
        answer = await posted(base, recorded["request"], str(RECORDED["secret"]))
        assert (answer.status_code, answer.json()["@id"], answer.json()["@type"]) == (200, "edc-dp", "IdResponse")
    found = {one.id: one for one in (await older.provider.send(dataplanes("provider"))).items}["edc-dp"]
    assert (found.dialect, found.endpoint, found.owner) == ("edc-legacy", "http://localhost:39292/control/v1", "plane")
    assert (found.profiles, found.source_types) == (["HttpData-PULL", "HttpData-PUSH"], ["HttpData"])
    assert (await posted(f"{base}/edc-dp/unregister", None, str(RECORDED["secret"]), "PUT")).status_code == 204
    assert "edc-dp" not in {one.id for one in (await older.provider.send(dataplanes("provider"))).items}


@pytest.mark.parametrize(("number", "state"), [(9, "COMPLETED"), (10, "TERMINATED")])
async def test_what_a_recorded_data_plane_reports_is_heard(
    older: Scene, official: pathlib.Path, number: int, state: str
) -> None:
    recorded = _recorded(official, number)
    mine = await older.begin()
    await older.consumer.until_transfer(mine.pid, "STARTED")
    start = await older.plane.until("start")
    url = f"{start.tree['callbackAddress']}/transferprocess/{start.tree['processId']}/{recorded['path'].rpartition('/')[2]}"
    async with httpx.AsyncClient() as client:
        headers = {"authorization": f"Bearer {OLDER_SECRET}", **recorded["request_headers"]}
        body = json.dumps(recorded["request"]).encode() if recorded["request"] is not None else b""
        answer = await client.post(url, content=body, headers=headers)
    assert answer.status_code == recorded["status"]
    ended = await older.consumer.until_transfer(mine.pid, state)
    # what failed where is the operator's to know
    assert "ConnectException" not in str(ended.reasons)


def _recorded(official: pathlib.Path, number: int) -> Any:
    return json.loads(next((official / "dps/recorded").glob(f"{number:02d}-*.json")).read_text())
