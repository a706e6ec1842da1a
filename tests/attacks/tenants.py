"""Two participants on one node with everything that a node can play, and all that the second one has: what the first must not reach."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from starlette.routing import Route

from connector.api.access import NewKey
from connector.api.authority import Approval
from connector.api.dataplanes import NewDataPlane
from connector.api.identity import NewIdentityKey
from connector.api.spaces import SpaceWish
from connector.api.webhooks import NewWebhook
from connector.client import authority, create_api_key, operating
from connector.client.dataplanes import put_dataplane
from connector.testing.dataspace import Offer, api_key
from tests.attacks.stage import MEMBER, Party, Stage, opened
from tests.scenarios.wire import message

SPACE = "urn:space:tenants"
MARK = "of-the-other"
"""Stands in the names of the other one's things."""
SECRETS = {"acme": "the plane of acme", "other": "the plane of the other"}
PLANES = {"acme": "plane-of-acme", "other": f"plane-{MARK}"}
DRIVERS = {"cp-acme": "drives for acme", "cp-other": "drives for the other"}
AGREEMENT = "the agreement"
_HELD = f"held-{MARK}"


@dataclass
class Tenants:
    """`acme` attacks; what `other` has is known by id."""

    stage: Stage
    peer: Party
    """Who has agreed with the other one, and transfers from it."""
    things: dict[str, str] = field(default_factory=dict)
    """Ids of what the other one has, by the name of the address that they stand below."""
    token: str = ""
    """What opens the other one's data."""
    described: list[tuple[str, str, list[dict[str, Any]]]] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    """All that an operator sees of the other one before anything is tried."""
    flow: str = ""
    """What the other one's control plane has our data plane do."""

    @property
    def operator(self) -> str:
        return f"{self.stage.acme.app.operator_url}/api/v1"

    @property
    def public(self) -> str:
        return self.stage.acme.app.public_url

    @property
    def signaling(self) -> str:
        return self.stage.acme.app.signaling_url

    async def operations(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Every operation of the operator API: path, method, parameters."""
        if not self.described:
            tree = (await self.stage.http.get(f"{self.operator}/openapi.json")).json()
            self.described = [
                (path.removeprefix("/api/v1"), method, operation.get("parameters", []))
                for path, methods in tree["paths"].items()
                for method, operation in methods.items()
            ]
        return self.described

    def addresses(self, listener: str) -> Iterator[str]:
        """Every address of a listener, as its pattern; those of the protocol one by one."""
        from connector.web.protocol import routes

        table = routes.table(None, None, None, None)  # type: ignore[arg-type]
        for route in self.stage.acme.app.routes[listener]:
            assert isinstance(route, Route), "an address that is no `Route` escapes these attacks"
            pattern = re.sub(r":(path|file|int)}", "}", route.path)
            known = table if pattern.startswith("/{participant}/") else [one for one in table if one.startswith("catalog/")]
            yield from (pattern.replace("{rest}", one) for one in known) if "{rest}" in pattern else (pattern,)

    async def ask(self, method: str, url: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"X-Api-Key": api_key(key)} if key else {}
        async with self.stage.http.stream(method, url, headers={**headers, **more.pop("headers", {})}, **more) as answer:
            # a stream of events has a status, and no end
            if "event-stream" not in answer.headers.get("content-type", ""):
                await answer.aread()
            return answer

    async def shown(self) -> dict[str, str]:
        """All that an operator sees of what the other one has and agreed, by address; refusals and acts are another matter."""
        found = {}
        for path, method, _ in await self.operations():
            address = self.filled(path, "other")
            is_quiet = not any(one in path for one in ("/events", "/audit", "/decisions", "/jobs", "/data", "/processes"))
            if method == "get" and "{participant}" in path and is_quiet and "{" not in address:
                answer = await self.ask("GET", f"{self.operator}{address}", key="*")
                found[path] = answer.text if answer.is_success else str(answer.status_code)
        return found

    def filled(self, path: str, participant: str) -> str:
        """An address of the operator API with ids of the other one's things in the context of `participant`."""
        subject = path.removeprefix("/participants/{participant}").strip("/").partition("/")[0]
        address = path.replace("{participant}", participant).replace("{act}", "terminate").replace("{kind}", "push")
        for name in ("{id}", "{pid}", "{name}", "{plane}"):
            if subject in self.things:
                address = address.replace(name, quote(self.things[subject], safe=""))
        return address


@asynccontextmanager
async def opened_tenants() -> AsyncIterator[Tenants]:
    """The node, and the other one with one of each thing."""
    kind = {"type": MEMBER, "claims": {"memberOf": SPACE}}
    drivers = [{"id": id_, "endpoint": "http://127.0.0.1:1", "secret": secret} for id_, secret in DRIVERS.items()]
    sections: dict[str, Any] = {
        "node": {"roles": ["connector", "authority", "catalog", "dataplane"]},
        "authority": {"space": SPACE, "credentials": [kind]},
        "oauth2": {},
        "signaling": {"port": 0, "unsafe_allow_http": True},
        "dataplane": {"control_planes": drivers, "datasets": {"urn:d": {"type": "file", "path": __file__}}},
        "catalog": {"participant": "acme", "index": "fts5"},
    }
    async with opened(**sections) as stage:
        found = Tenants(stage, stage.holder)
        await _furnish(found)
        found.before = await found.shown()
        assert sum(MARK in one for one in found.before.values()) >= 12, "there is too little to reach"
        yield found


async def _furnish(found: Tenants) -> None:
    other, send = found.stage.other, found.stage.other.send
    offer = await other.publish(f"data-{MARK}", content=MARK.encode())
    held = await other.publish(_HELD, approval="manual")
    await send(other.calls.put_secret(f"secret-{MARK}", MARK))
    hook = NewWebhook(name=f"hook-{MARK}", url="http://127.0.0.1:9/hook", events=("transfer.suspend",))
    await send(operating.add_webhook("other", hook))
    await send(create_api_key(NewKey(name=f"key-{MARK}", role="read", participants=("other",))))
    for name, secret in SECRETS.items():
        plane = {"endpoint": "http://127.0.0.1:1", "profiles": ["Other-PULL"], "authorization": {"secret": secret}}
        await send(put_dataplane(name, PLANES[name], NewDataPlane.model_validate(plane)))
    key = await send(other.calls.rotate_key(NewIdentityKey(purpose="token")))
    await send(other.calls.join_space(SpaceWish(authority=found.public)))
    await send(authority.approve(other.id, Approval()))

    async def standing() -> str:
        return (await send(other.calls.spaces())).items[0].state

    await other.until(standing, lambda state: state == "ACTIVE")
    (credential,) = (await send(other.calls.credentials())).items
    request = (await send(other.calls.credential_requests())).items[0]
    negotiation, agreement, transfer = await _agreed(found, offer)
    waiting = await _request(found, held)
    found.things |= {
        "assets": offer.dataset, "policies": f"data-{MARK}-terms", "contract-definitions": f"data-{MARK}", "secrets": f"secret-{MARK}",
        "webhooks": f"hook-{MARK}", "dataplanes": PLANES["other"], "keys": key.name, "credentials": credential.id,
        "credential-requests": request.id, "negotiations": negotiation, "agreements": agreement, "transfers": transfer,
        "processes": transfer, "approvals": waiting, "jobs": transfer,
    }  # fmt: skip
    order = {
        "messageId": str(uuid.uuid4()), "participantId": "p", "counterPartyId": "c", "dataspaceContext": "x", "agreementId": "a",
        "processId": uuid.uuid4().urn, "datasetId": "urn:d", "profile": "HttpData-PULL", "claims": {},
    }  # fmt: skip
    answer = await found.ask("POST", f"{found.signaling}/v1/dataflows/start", json=order, headers=bearer(DRIVERS["cp-other"]))
    assert answer.status_code == 200, answer.text
    found.flow = str(order["processId"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _request(found: Tenants, offer: Offer, **pages: Any) -> str:
    """The provider's pid of a negotiation that the peer has asked for."""
    tree = message(
        "ContractRequestMessage", consumerPid=uuid.uuid4().urn, callbackAddress=_callback(found), offer=offer.terms()
    )
    return str((await _sent(found, "negotiations/request", tree))["providerPid"])


async def _agreed(found: Tenants, offer: Offer) -> tuple[str, str, str]:
    """The other one's ids of a negotiation, an agreement and a pull that is STARTED, told over the wire."""
    host, calls, send = found.stage.host, found.stage.other.calls, found.stage.other.send
    heard: dict[str, dict[str, Any]] = {}
    ours = uuid.uuid4().urn
    for path in (f"negotiations/{ours}/agreement", f"negotiations/{ours}/events", f"transfers/{ours}/start"):
        host.pages[f"/dsp/{path}"] = lambda _head, body, path=path: heard.update({path: json.loads(body)}) or b""  # type: ignore[func-returns-value, misc]
    tree = message("ContractRequestMessage", consumerPid=ours, callbackAddress=_callback(found), offer=offer.terms())
    pid = str((await _sent(found, "negotiations/request", tree))["providerPid"])
    await found.stage.other.until_negotiation(pid, "AGREED")
    pids = {"consumerPid": ours, "providerPid": pid}
    await _sent(found, f"negotiations/{pid}/agreement/verification", message("ContractAgreementVerificationMessage", **pids))
    done = await found.stage.other.until_negotiation(pid, "FINALIZED")
    asked = message(
        "TransferRequestMessage", consumerPid=ours, agreementId=done.agreement_id, format="HttpData-PULL", callbackAddress=_callback(found)
    )  # fmt: skip
    transfer = str((await _sent(found, "transfers/request", asked))["providerPid"])
    await found.stage.other.until_transfer(transfer, "STARTED")

    async def address() -> dict[str, Any] | None:
        return heard.get(f"transfers/{ours}/start")

    start = await found.stage.other.until(address, bool)
    assert start is not None
    properties = {one["name"]: one["value"] for one in start["dataAddress"]["endpointProperties"]}
    found.token = str(properties["authorization"])
    assert (await send(calls.transfer(transfer))).is_open
    return pid, str(done.agreement_id), transfer


def _callback(found: Tenants) -> str:
    return f"{found.stage.host.url}/dsp"


async def _sent(found: Tenants, path: str, tree: dict[str, Any]) -> dict[str, Any]:
    token = found.peer.token(aud=found.stage.other.id)
    answer = await found.ask("POST", f"{found.stage.other.address}/{path}", json=tree, headers=bearer(token))
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json() if answer.content else {}
    return body


def unlike(seen: Iterable[tuple[str, httpx.Response]], *statuses: int) -> list[str]:
    """What was not answered with one of `statuses`, or speaks of the other one's things."""
    return [
        f"{what}: {one.status_code} {one.text[:120]}"
        for what, one in seen
        if one.status_code not in statuses or (one.is_success and MARK in one.text)
    ]
