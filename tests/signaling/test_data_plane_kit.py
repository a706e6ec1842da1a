"""The 28 cases that the standard's kit has for a data plane: DP_C_PULL 6, DP_P_PULL 5, DP_C_PUSH 6, DP_P_PUSH 6, http-pull C 2 and P 3.

Source: eclipse-dataspacetck/dps-tck, verification/dataplane. The kit plays the control plane; each message of both sides is held against
the official schemas. Where the kit steers by `agreementId`, here a source is not there yet: so it is slow for a reason.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector import jose
from tests.signaling.foreign import Plane, listening
from tests.signaling.kit import CONTENT, Kit, address, composed, properties_of, read_started, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
HTTP_PULL = "https://w3id.org/dspace-sig/profile/http-pull"
NOWHERE = "http://127.0.0.1:1/in"
_KEY = jose.generate("did:web:localhost:theirs#key-1")


class ControlPlane(Plane):
    """Also the web server of the consumer's DID document, and of some data."""

    def __init__(self) -> None:
        super().__init__()
        self.answers["data"] = lambda _: (200, {"some": "data"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kit(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kit]:
    """Our data plane, driven by the kit."""
    async with (
        listening(ControlPlane()) as control,
        running(tmp_path_factory.mktemp("dp"), control, answer_within_s=0.5) as found,
    ):
        yield found


@pytest.fixture(autouse=True)
def _valid(kit: Kit) -> Any:
    kit.said.clear()
    kit.control.heard.clear()
    yield
    # some tests have a data plane of their own
    assert not kit.said or kit.faults() == []


async def _ends(kit: Kit, flow: str, *calls: str) -> None:
    """Each call is taken and leads where it says."""
    leads = {
        "suspend": "SUSPENDED",
        "resume": "STARTED",
        "terminate": "TERMINATED",
        "completed": "COMPLETED",
        "started": "STARTED",
    }
    for call in calls:
        assert (await kit.note(flow, call)).status_code == 200
        await kit.until_state(flow, leads[call])


# --- consumer: prepare, started

STORIES = {
    "01-01": ("started",),
    "01-02": ("started", "terminate"),
    "02-01": ("started", "suspend", "resume"),
    "02-02": ("started", "suspend", "terminate"),
}


@pytest.mark.parametrize("case", STORIES)
async def test_dp_c_pull(kit: Kit, case: str) -> None:
    flow, prepared = await kit.begin("prepare", "http-pull")
    assert "dataAddress" not in prepared
    await _ends(kit, flow, *STORIES[case])


@pytest.mark.parametrize("case", STORIES)
async def test_dp_c_push(kit: Kit, case: str) -> None:
    flow, prepared = await kit.begin("prepare", "http-push")
    assert prepared["dataAddress"]["endpoint"].startswith(kit.app.public_url)
    await _ends(kit, flow, *STORIES[case])


async def test_dp_c_push_03_01_is_told_that_it_is_complete(kit: Kit) -> None:
    flow, _ = await kit.begin("prepare", "http-push")
    await _ends(kit, flow, "started", "completed")


async def test_dp_c_pull_03_01_says_that_it_is_complete(kit: Kit) -> None:
    flow, _ = await kit.begin("prepare", "http-pull")
    await kit.note(flow, "started", dataAddress=address("urn:http", f"{kit.control.url}/data"))
    heard = await kit.until_reported(flow, "completed")
    assert heard.tree["state"] == "COMPLETED"
    assert [one.headers["authorization"] for one in kit.control.of("data")] == ["t"]
    await kit.until_state(flow, "COMPLETED")


@pytest.mark.parametrize("profile", ["http-pull", "http-push"])
async def test_dp_c_04_01_prepares_asynchronously(profile: str, tmp_path: pathlib.Path) -> None:
    # nothing that a consumer needs is ever slow in the product; what says when it is ready is given by the test
    is_ready = asyncio.Event()
    async with listening(Plane()) as control, composed(tmp_path, control, is_ready.wait) as kit:
        tree = kit.order(profile)
        answer = await kit.post("/dataflows/prepare", tree)
        assert (answer.status_code, answer.json()["state"]) == (202, "PREPARING")
        is_ready.set()
        heard = await kit.until_reported(tree["processId"], "prepared")
        assert ("dataAddress" in heard.tree) is (profile == "http-push")
        await kit.until_state(tree["processId"], "PREPARED")
        assert kit.faults() == []


# --- provider: start


@pytest.mark.parametrize(
    "calls",
    [("completed",), ("terminate",), ("suspend", "resume"), ("suspend", "terminate")],
    ids=["01-01", "01-02", "02-01", "02-02"],
)
async def test_dp_p_pull(kit: Kit, calls: tuple[str, ...]) -> None:
    flow, started = await kit.begin("start", "http-pull")
    assert (await read_started(started)).content == CONTENT
    await _ends(kit, flow, *calls)
    # the token that was given dies with the first stop, and does not come back
    assert (await read_started(started)).status_code in (401, 404, 410)


async def test_dp_p_pull_04_01_starts_asynchronously(kit: Kit, tmp_path: pathlib.Path) -> None:
    flow, _ = await kit.begin("start", "http-pull", is_slow=True)
    kit.later(CONTENT)
    heard = await kit.until_reported(flow, "started")
    assert (await read_started(heard.tree)).content == CONTENT
    await kit.until_state(flow, "STARTED")


@pytest.mark.parametrize(
    "calls", [(), ("terminate",), ("suspend", "resume"), ("suspend", "terminate")], ids=["01-01", "01-02", "02-01", "02-02"]
)
async def test_dp_p_push(kit: Kit, calls: tuple[str, ...]) -> None:
    flow, started = await kit.begin("start", "http-push", dataAddress=address("urn:http", NOWHERE))
    assert "dataAddress" not in started
    await kit.until_state(flow, "STARTED")
    await _ends(kit, flow, *calls)


async def test_dp_p_push_03_01_says_that_it_is_complete(kit: Kit) -> None:
    flow, _ = await kit.begin("start", "http-push", dataAddress=address("urn:http", f"{kit.control.url}/inbox"))
    assert (await kit.until_reported(flow, "completed")).tree["state"] == "COMPLETED"
    (arrived,) = kit.control.of("inbox")
    assert (arrived.body, arrived.headers["authorization"]) == (CONTENT, "Bearer t")


async def test_dp_p_push_04_01_starts_asynchronously(kit: Kit) -> None:
    kit.later(None)
    flow, _ = await kit.begin("start", "http-push", is_slow=True, dataAddress=address("urn:http", NOWHERE))
    kit.later(CONTENT)
    assert "dataAddress" not in (await kit.until_reported(flow, "started")).tree
    await kit.until_state(flow, "STARTED")


# --- the standard's own HTTP profile, whose tokens are renewed

RENEWABLE = {
    "authorization": "t",
    "authType": "bearer",
    "refreshToken": "r",
    "expiresIn": "300",
    "refreshEndpoint": "https://provider.example.com/refresh",
}


async def test_dp_c_http_pull_01_01_takes_an_address_that_can_be_renewed(kit: Kit) -> None:
    flow, prepared = await kit.begin("prepare", HTTP_PULL)
    assert "dataAddress" not in prepared
    answer = await kit.note(flow, "started", dataAddress=address(HTTP_PULL, NOWHERE, RENEWABLE))
    assert answer.status_code == 200
    await kit.until_state(flow, "STARTED")


async def test_dp_c_http_pull_02_01_refuses_one_that_cannot(kit: Kit) -> None:
    flow, _ = await kit.begin("prepare", HTTP_PULL)
    assert (await kit.note(flow, "started", dataAddress=address(HTTP_PULL, NOWHERE))).status_code == 400
    assert await kit.state(flow) == "PREPARED"


async def _renewed(kit: Kit, found: Any, refresh: str | None = None, **claims: Any) -> httpx.Response:
    """The answer to a renewal as the kit asks for it."""
    named, now = properties_of(found), int(datetime.now(UTC).timestamp())
    client = kit.client_did
    token = jose.sign(
        jose.SigningKey(id=f"{client}#key-1", numbers=_KEY.numbers),
        {
            "iss": client,
            "sub": client,
            "aud": kit.own_did,
            "iat": now,
            "exp": now + 600,
            "token": named["authorization"],
            **claims,
        },
    )
    form = {"grant_type": "refresh_token", "refresh_token": refresh or named["refreshToken"]}
    return await kit.client.post(named["refreshEndpoint"], data=form, headers={"authorization": f"Bearer {token}"})


@pytest_asyncio.fixture(loop_scope="module")
async def found(kit: Kit) -> Any:
    """The address of a pull under this profile, for a client whose DID document the control plane's host serves."""
    port = kit.control.url.rpartition(":")[2]
    kit.client_did = f"did:web:localhost%3A{port}"
    method = {
        "id": f"{kit.client_did}#key-1",
        "type": "JsonWebKey2020",
        "controller": kit.client_did,
        "publicKeyJwk": _KEY.public.jwk(),
    }
    document = {
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": kit.client_did,
        "verificationMethod": [method],
        "authentication": [method["id"]],
    }
    kit.control.answers["did.json"] = lambda _: (200, document)
    _, started = await kit.begin("start", HTTP_PULL, counterPartyId=kit.client_did)
    return started["dataAddress"]


async def test_dp_p_http_pull_01_01_gives_an_address_that_is_renewed(kit: Kit, found: Any) -> None:
    named = properties_of(found)
    assert (found["endpointType"], named["authType"]) == (HTTP_PULL, "bearer")
    assert named["refreshToken"]
    assert named["expiresIn"].isdigit()
    answer = await _renewed(kit, found)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    fresh = answer.json()["access_token"]
    assert fresh != named["authorization"]
    # the old one lives until the new one is first used
    for token, status in ((named["authorization"], 200), (fresh, 200), (named["authorization"], 401), (fresh, 200)):
        async with httpx.AsyncClient() as client:
            got = await client.get(found["endpoint"], headers={"authorization": f"Bearer {token}"})
        assert got.status_code == status


async def test_dp_p_http_pull_02_01_refuses_a_refresh_token_that_it_has_not_given(kit: Kit, found: Any) -> None:
    assert (await _renewed(kit, found, "invalid-refresh-token")).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "did:web:invalid-audience"},
        {"iss": "did:web:mallory.example"},
        {"sub": "did:web:mallory.example"},
        {"token": "another"},
    ],
    ids=lambda claims: next(iter(claims)),
)
async def test_dp_p_http_pull_02_02_refuses_a_client_that_proves_something_else(
    kit: Kit, found: Any, claims: dict[str, str]
) -> None:
    assert (await _renewed(kit, found, **claims)).status_code == 401
