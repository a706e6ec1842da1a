"""The rules of security, a to g, over the sockets of two nodes: what strangers, other planes and peers cannot have.

a registering   b who may report and call   c keys   d addresses   e callbacks   f the older dialect   g nothing shown
(c and d are tried value by value in `test_entries.py` and `test_callers.py`.)
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector.api.dataplanes import NewDataPlane
from connector.api.sources import AssetSource
from connector.api.transfers import NewTransfer
from connector.client.dataplanes import dataplanes, delete_dataplane, put_dataplane
from connector.dps.flow import HTTP_PULL
from connector.errors import CallerError
from connector.testing.dataspace import PULL, DataSpace, Member, api_key
from tests.dps.schemas import faults
from tests.signaling.foreign import SECRET, DataPlane, Heard, Plane, listening, posted
from tests.signaling.kit import Kit, address, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXPECTED = {"id": "self", "participants": ["provider"], "hosts": ["127.0.0.1"], "secret": "of the expected one"}
READER = {
    "name": "reader",
    "sha256": hashlib.sha256(b"key-of-a-reader").hexdigest(),
    "participants": ["provider"],
    "role": "read",
}
TENANT = {
    "name": "tenant",
    "sha256": hashlib.sha256(b"key-of-a-tenant").hexdigest(),
    "participants": ["provider"],
    "role": "admin",
}
ADMIN = {"name": "all", "sha256": hashlib.sha256(api_key().encode()).hexdigest(), "participants": ["*"], "role": "admin"}
SECTION: dict[str, dict[str, Any]] = {
    "signaling": {"port": 0, "unsafe_allow_http": True, "planes": [EXPECTED], "max_body_bytes": 65_536},
    "operator": {"api_keys": [ADMIN, READER, TENANT]},
}


@dataclass
class Scene:
    """A provider with two data planes, one of which holds a transfer."""

    provider: Member
    consumer: Member
    plane: DataPlane
    order: Heard
    base: str

    @property
    def report(self) -> str:
        return f"{self.base}/transfers/{self.order.tree['processId']}/dataflow/completed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with DataSpace() as space, listening(DataPlane()) as plane:
        assert isinstance(plane, DataPlane)
        provider, consumer = space.join("provider", sections=SECTION), space.join("consumer")
        await space.begin()
        for id_, secret, url in (("dp", SECRET, plane.url), ("other", "of another plane", "http://127.0.0.1:1")):
            wanted = {"endpoint": url, "profiles": [PULL if id_ == "dp" else "Other-PULL"], "authorization": {"secret": secret}}
            await provider.send(put_dataplane("provider", id_, NewDataPlane.model_validate(wanted)))
        agreed = await consumer.negotiate(await provider.publish("weather", source=AssetSource(type="none")))
        assert agreed.agreement_id is not None
        await consumer.send(consumer.calls.begin_transfer(NewTransfer(agreement=agreed.agreement_id, format=PULL)))
        order = await plane.until("start")
        base = f"{provider.app.signaling_url}/provider"
        yield Scene(provider=provider, consumer=consumer, plane=plane, order=order, base=base)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    """Our data plane under two control planes."""
    async with listening(Plane()) as control:
        second = {"id": "second", "endpoint": "http://127.0.0.1:2", "secret": "of the second"}
        legacy = {"id": "edc", "endpoint": control.url, "dialect": "edc-legacy", "secret": "of edc"}
        first = {"id": "tck", "endpoint": f"{control.url}/cp", "secret": SECRET}
        planes = [first, second, legacy]
        # peers of this node are on the public internet
        async with running(tmp_path_factory.mktemp("dp"), control, control_planes=planes) as found:
            yield found


def registration(scene: Scene, id_: str = "self", **changes: Any) -> dict[str, Any]:
    return {"dataplaneId": id_, "endpoint": scene.plane.url, "profiles": [PULL], "authorization": {}, **changes}


# --- a


async def test_a_no_plane_registers_itself_unless_it_is_expected(scene: Scene) -> None:
    url = f"{scene.base}/dataplanes"
    for secret in (None, "guessed", SECRET):
        # an operator's plane is no expected one: its secret registers nothing
        assert (await posted(url, registration(scene), secret, "PUT")).status_code == 401
    assert (await posted(url, registration(scene), EXPECTED["secret"], "PUT")).status_code == 200
    found = {one.id: one for one in (await scene.provider.send(dataplanes("provider"))).items}
    assert (found["self"].owner, found["self"].endpoint, found["dp"].owner) == ("plane", scene.plane.url, "operator")
    # once more replaces it whole, and only it can
    assert (await posted(url, registration(scene, profiles=["Mine-PULL"]), EXPECTED["secret"], "PUT")).status_code == 200
    found = {one.id: one for one in (await scene.provider.send(dataplanes("provider"))).items}
    assert found["self"].profiles == ["Mine-PULL"]


async def test_a_an_id_belongs_to_who_has_registered_it(scene: Scene) -> None:
    url = f"{scene.base}/dataplanes"
    for id_ in ("dp", "other", "new"):
        assert (await posted(url, registration(scene, id_), EXPECTED["secret"], "PUT")).status_code == 409
    assert (await posted(f"{url}/dp", None, EXPECTED["secret"], "DELETE")).status_code in (401, 409)
    assert (await posted(f"{url}/dp", None, SECRET, "DELETE")).status_code == 409
    assert "dp" in {one.id for one in (await scene.provider.send(dataplanes("provider"))).items}


async def test_a_no_plane_takes_the_place_of_what_an_operator_has_written(scene: Scene) -> None:
    # expected or not: an entry is whose it is
    wanted = {"endpoint": "http://127.0.0.1:1", "profiles": ["Kept-PULL"], "authorization": {"secret": "of the operator"}}
    await scene.provider.send(put_dataplane("provider", "self", NewDataPlane.model_validate(wanted)))
    url = f"{scene.base}/dataplanes"
    assert (await posted(url, registration(scene), EXPECTED["secret"], "PUT")).status_code == 409
    found = {one.id: one for one in (await scene.provider.send(dataplanes("provider"))).items}
    assert (found["self"].owner, found["self"].profiles) == ("operator", ["Kept-PULL"])
    await scene.provider.send(delete_dataplane("provider", "self"))


async def test_a_no_control_plane_takes_our_data_plane_by_its_own_word(kit: Kit) -> None:
    wanted = {"controlplaneId": "mallory", "endpoint": "http://127.0.0.1:9", "authorization": {}}
    for secret, status in ((None, 401), ("guessed", 401), (SECRET, 409)):
        assert (await kit.post("/controlplanes", wanted, method="PUT", secret=secret)).status_code == status
    own = {"controlplaneId": "tck", "endpoint": f"{kit.control.url}/cp", "authorization": {}}
    assert (await kit.post("/controlplanes", own, method="PUT")).status_code == 200
    assert (await kit.post("/controlplanes", {**own, "endpoint": "http://evil.example"}, method="PUT")).status_code == 400


async def test_a_who_only_looks_registers_nothing(scene: Scene) -> None:
    url = f"{scene.provider.app.operator_url}/api/v1/participants/provider/dataplanes"
    wanted = {"endpoint": scene.plane.url, "profiles": [PULL], "authorization": {"secret": "s"}}
    async with httpx.AsyncClient(headers={"x-api-key": "key-of-a-reader"}) as client:
        assert (await client.get(url)).status_code == 200
        assert (await client.put(f"{url}/mine", json=wanted)).status_code == 403
        assert (await client.delete(f"{url}/dp")).status_code == 403


# --- b


async def test_b_only_the_plane_that_holds_a_transfer_reports_on_it(scene: Scene) -> None:
    done = {"state": "COMPLETED", "messageId": "m", "dataFlowId": "f"}
    unknown = f"{scene.base}/transfers/urn:uuid:{uuid.uuid4()}/dataflow/completed"
    assert [(await posted(scene.report, done, secret)).status_code for secret in (None, "guessed")] == [401, 401]
    others = [await posted(url, done, "of another plane") for url in (scene.report, unknown)]
    # somebody else's transfer and none at all look the same
    assert [answer.status_code for answer in others] == [404, 404]
    assert len({answer.json()["detail"] for answer in others}) == 1
    assert (await scene.provider.send(scene.provider.calls.transfer(scene.order.tree["processId"]))).state == "STARTED"


async def test_b_the_agreement_goes_to_the_plane_that_holds_the_transfer(scene: Scene) -> None:
    url = f"{scene.base}/transfers/{scene.order.tree['processId']}/agreement"
    assert (await posted(url, None, "of another plane", "GET")).status_code == 404
    answer = await posted(url, None, SECRET, "GET")
    assert (answer.status_code, answer.json()["@id"]) == (200, scene.order.tree["agreementId"])
    assert faults([("agreement", answer.json())]) == []


async def test_b_a_plane_that_moves_something_is_not_forgotten(scene: Scene) -> None:
    with pytest.raises(CallerError, match="moves 1 transfers that have not ended"):
        await scene.provider.send(delete_dataplane("provider", "dp"))
    assert "dp" in {one.id for one in (await scene.provider.send(dataplanes("provider"))).items}


async def test_b_a_report_that_contradicts_itself_changes_nothing(scene: Scene) -> None:
    assert (await posted(scene.report, {"state": "STARTED", "messageId": "m", "dataFlowId": "f"})).status_code == 400
    assert (await posted(scene.report.replace("completed", "prepared"), {"state": "PREPARED"})).status_code == 409


async def test_b_a_flow_is_its_own_control_planes_alone(kit: Kit) -> None:
    flow, _ = await kit.begin("start", "http-pull")
    for secret, status in ((None, 401), ("guessed", 401), ("of the second", 404)):
        assert (await kit.post(f"/dataflows/{flow}/status", method="GET", secret=secret)).status_code == status
        assert (await kit.post(f"/dataflows/{flow}/terminate", {"messageId": "m"}, secret=secret)).status_code == status
    assert await kit.state(flow) == "STARTED"


# --- c


async def test_c_a_plane_without_keys_is_not_registered(scene: Scene) -> None:
    wanted: dict[str, Any] = {"endpoint": scene.plane.url, "profiles": ["Keyless-PULL"]}
    with pytest.raises(CallerError, match="no keys"):
        await scene.provider.send(put_dataplane("provider", "keyless", NewDataPlane.model_validate(wanted)))
    allowed = await scene.provider.send(
        put_dataplane("provider", "keyless", NewDataPlane.model_validate({**wanted, "unverified": True}))
    )
    assert allowed.unverified
    await scene.provider.send(delete_dataplane("provider", "keyless"))


async def test_c_a_plane_behind_a_broker_is_registered_whole_or_not_at_all(scene: Scene) -> None:
    broker = {
        "token_exchange_endpoint": "http://127.0.0.1:1/token",
        "issuer": "https://broker.internal",
        "jwks_uri": "http://127.0.0.1:1/jwks",
        "resource": "urn:us",
        "scope": "flows",
    }
    wanted: dict[str, Any] = {"endpoint": "http://127.0.0.1:1", "profiles": ["Brokered-PULL"], "principal": "urn:them"}
    for name in ("issuer", "jwks_uri", "resource"):
        with pytest.raises(ValueError, match="needs `issuer`, `jwks_uri` and `resource`"):
            NewDataPlane.model_validate({**wanted, "authorization": {**broker, name: None}})
    entry = NewDataPlane.model_validate({**wanted, "authorization": broker})
    # the broker is shown what proves the node: who administers one participant alone does not say which one that is
    at = f"{scene.provider.app.operator_url}/api/v1/participants/provider/dataplanes/brokered"
    async with httpx.AsyncClient(headers={"x-api-key": "key-of-a-tenant"}) as tenant:
        refused = await tenant.put(at, json={**wanted, "authorization": broker})
        assert (refused.status_code, "for the node" in refused.text) == (403, True)
    shown = await scene.provider.send(put_dataplane("provider", "brokered", entry))
    assert shown.principal == "urn:them"
    # what nobody has signed is believed of it no more than of others
    assert (await posted(scene.report, {"state": "COMPLETED"}, "a.b.c")).status_code == 401
    elsewhere = NewDataPlane.model_validate({
        **wanted, "authorization": {**broker, "token_exchange_endpoint": "http://evil.example/token"},
    })  # fmt: skip
    with pytest.raises(CallerError, match="not on the list"):
        await scene.provider.send(put_dataplane("provider", "brokered", elsewhere))
    await scene.provider.send(delete_dataplane("provider", "brokered"))


async def test_c_no_plane_names_the_broker_that_is_shown_what_proves_us(scene: Scene, kit: Kit) -> None:
    """Whoever has that token is us to the broker, and so to every other plane."""
    broker = {
        "type": "oauth2_token_exchange",
        "tokenExchangeEndpoint": "http://127.0.0.1:1/token",
        "issuer": "https://broker.internal",
        "jwksUri": "http://127.0.0.1:1/jwks",
        "resource": "urn:us",
    }
    url = f"{scene.base}/dataplanes"
    refused = await posted(url, registration(scene, authorization=broker), EXPECTED["secret"], "PUT")
    assert (refused.status_code, "broker" in refused.text) == (400, True)
    own = {"controlplaneId": "tck", "endpoint": f"{kit.control.url}/cp", "authorization": broker}
    assert (await kit.post("/controlplanes", own, method="PUT")).status_code == 400


# --- d


async def test_d_a_plane_names_no_host_that_is_not_on_its_list(scene: Scene) -> None:
    url = f"{scene.base}/dataplanes"
    tokens = {
        "type": "oauth2_client_credentials",
        "tokenEndpoint": "http://evil.example/t",
        "clientId": "a",
        "clientSecret": "b",
    }
    for changes in (
        {"endpoint": "http://evil.example"},
        {"endpoint": "http://169.254.169.254/latest"},
        {"authorization": tokens},
        {"authorization": {"type": "oauth2_client_credentials", "jwksUri": "http://evil.example/jwks"}},
    ):
        assert (await posted(url, registration(scene, **changes), EXPECTED["secret"], "PUT")).status_code == 400


async def test_d_an_address_that_a_peer_names_is_vetted(kit: Kit) -> None:
    flow, _ = await kit.begin("prepare", "http-pull")
    for endpoint in (
        "http://169.254.169.254/latest",
        "ftp://a.example/data",
        "http://user:pass@a.example/",
        "http://[fe80::1]/",
    ):
        assert (await kit.note(flow, "started", dataAddress=address("urn:http", endpoint))).status_code == 400
        pushed = kit.order("http-push", dataAddress=address("urn:http", endpoint))
        assert (await kit.post("/dataflows/start", pushed)).status_code == 400
    assert await kit.state(flow) == "PREPARED"


async def test_d_a_body_has_the_bound_of_its_listener(scene: Scene) -> None:
    large = {"state": "COMPLETED", "error": "x" * 70_000}
    assert (await posted(scene.report, large)).status_code == 413


# --- e


async def test_e_a_callback_lies_below_the_registered_endpoint(kit: Kit) -> None:
    for callback in ("http://evil.example/cp", f"{kit.control.url}/elsewhere", f"{kit.control.url}/cp/../x"):
        answer = await kit.post("/dataflows/start", kit.order("http-pull", callbackAddress=callback))
        assert (answer.status_code, answer.json()["where"]) == (400, "callbackAddress")
    lawful = kit.order("http-pull", callbackAddress=f"{kit.control.url}/cp/acme")
    assert (await kit.post("/dataflows/start", lawful)).status_code == 200


# --- f


async def test_f_the_older_dialect_needs_a_login_as_well_and_reads_from_listed_hosts_alone(kit: Kit) -> None:
    source = {"@type": "dspace:DataAddress", "dspace:endpointType": "HttpData", "dspace:endpointProperties": [
        {"dspace:name": "https://w3id.org/edc/v0.0.1/ns/baseUrl", "dspace:value": "http://10.0.0.1/secret"},
    ]}  # fmt: skip
    start = {
        "@context": {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "dspace": "https://w3id.org/dspace/v0.8/"},
        "@type": "DataFlowStartMessage",
        "processId": "p",
        "participantId": "consumer",
        "transferTypeDestination": "HttpData",
        "flowType": "PULL",
        "sourceDataAddress": source,
    }
    assert (await kit.post("/dataflows/start", start, secret=None)).status_code == 401
    # a control plane of the standard does not slip into it
    assert (await kit.post("/dataflows/start", start)).status_code == 400
    refused = await kit.post("/dataflows/start", start, secret="of edc")
    assert (refused.status_code, refused.json()["where"]) == (400, "sourceDataAddress")
    # what EDC asks once a minute tells nothing
    assert (await kit.post("/dataflows/check", method="GET", secret=None)).status_code == 204


async def test_f_signaling_is_not_on_the_public_listener_and_off_by_default(scene: Scene) -> None:
    assert scene.consumer.app.signaling_url == ""
    async with httpx.AsyncClient() as client:
        for path in ("/v1/dataflows/check", "/provider/dataplanes", "/provider/transfers/p/agreement"):
            assert (await client.get(f"{scene.provider.app.public_url}{path}")).status_code == 404


# --- g


async def test_g_what_opens_data_is_in_no_answer_and_no_log(scene: Scene, kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "kontor")
    flow, started = await kit.begin("start", "http-pull")
    token = next(p["value"] for p in started["dataAddress"]["endpointProperties"] if p["name"] == "authorization")
    renewable, found = await kit.begin("start", HTTP_PULL)
    refresh = next(p["value"] for p in found["dataAddress"]["endpointProperties"] if p["name"] == "refreshToken")
    pushed = address("urn:http", f"{kit.control.url}/in", {"authorization": "push-t0k3n"})
    push, _ = await kit.begin("start", "http-push", dataAddress=pushed)
    await kit.until_reported(push, "completed")
    for one in (flow, renewable):
        await kit.note(one, "suspend")
        await kit.note(one, "resume")
    async with httpx.AsyncClient(headers={"x-api-key": "key-for-*"}) as client:
        assert kit.app is not None
        flows = (await client.get(f"{kit.app.operator_url}/api/v1/dataflows")).text
        planes = (await client.get(f"{scene.provider.app.operator_url}/api/v1/participants/provider/dataplanes")).text
        answered = (await kit.post(f"/dataflows/{flow}/status", method="GET")).text
    assert flow in flows
    assert '"dp"' in planes
    # a line is its event and its fields
    lines = "\n".join(f"{record.getMessage()} {record.__dict__.get('fields')}" for record in caplog.records)
    assert "signaling.reports" in lines
    assert push in lines
    for text in (flows, planes, answered, lines):
        for secret in (token, refresh, "push-t0k3n", SECRET, "of another plane"):
            assert secret not in text


async def test_a_push_that_our_plane_was_not_asked_for_is_not_taken(kit: Kit) -> None:
    assert kit.app is not None
    _, prepared = await kit.begin("prepare", "http-push")
    url = prepared["dataAddress"]["endpoint"]
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, content=b"x", headers={"authorization": "Bearer guessed"})).status_code == 401
        assert (await client.post(url.rpartition("/")[0] + "/" + "0" * 40, content=b"x")).status_code == 401
