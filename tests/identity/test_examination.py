"""A participant is looked at from outside: each thing that is not well is one finding that says how to mend it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import pytest_asyncio

from connector import jose
from connector.api.doctor import Finding
from connector.dsp import version
from connector.identity import did as dids
from connector.identity.did import Relationship
from connector.identity.examination import Examiner, _clock
from connector.outbound.client import Answer, OutboundClient
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALL = [Relationship.INVOCATION, Relationship.AUTHENTICATION]


@dataclass
class Scene:
    """A participant on a real host, and whoever looks at it."""

    at: Host
    examiner: Examiner

    def publish(self, *uses: Relationship, **changes: Any) -> None:
        did = f"{self.at.did}:acme"
        key = jose.generate(f"{did}#key-1")
        services = {
            "CredentialService": f"{self.at.url}/acme/dcp",
            "DataService": f"{self.at.url}/acme/.well-known/dspace-version",
        }
        tree = {**dids.write(did, [(key.id, key.public, list(uses))], services), **changes}
        self.at.pages |= {
            "/acme/did.json": json.dumps(tree).encode(),
            "/acme/.well-known/dspace-version": version.encode(version.ours("/dsp/2025-1")),
            "/acme/dsp/2025-1/catalog/request": b"{}",
            "/acme/dcp/presentations/query": b"{}",
            "/acme/dcp/metadata": b"{}",
        }
        self.at.statuses |= {"/acme/dsp/2025-1/catalog/request": 401, "/acme/dcp/presentations/query": 401}

    async def look(self, did: str | None = None, address: str | None = None) -> list[Finding]:
        return list(await self.examiner.examine(did or f"{self.at.did}:acme", address))

    async def errors(self) -> dict[str, str]:
        return {one.check: f"{one.what}; {one.mend}" for one in await self.look() if one.state == "error"}


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as at, OutboundClient(PATIENT) as outbound:
        found = Scene(at, Examiner(outbound=outbound, clock=MovedClock(NOW), unsafe_http=True, unsafe_local=True))
        found.publish(*ALL)
        yield found


async def test_all_is_well(scene: Scene) -> None:
    found = await scene.look()
    assert [one for one in found if one.state == "error"] == []
    assert {"did", "keys", "endpoint", "version", "callback", "certificate"} <= {one.check for one in found}
    # plain http is for one machine
    assert [one.state for one in found if one.check == "certificate"] == ["warning"]


async def test_an_authority_need_not_hold_anything(scene: Scene) -> None:
    for types, state in ((["IssuerService"], "ok"), (["DataService"], "warning")):
        services = [{"id": f"#{one}", "type": one, "serviceEndpoint": f"{scene.at.url}/acme/dcp"} for one in types]
        scene.publish(*ALL, service=services)
        found = [one.state for one in await scene.look() if "CredentialService" in one.what]
        assert (found or ["ok"]) == [state]


async def test_a_document_that_is_not_there_or_is_anothers_is_said(scene: Scene) -> None:
    scene.publish(*ALL, id="did:web:other.example")
    assert "did" in await scene.errors()
    del scene.at.pages["/acme/did.json"]
    assert "404" in (await scene.errors())["did"]


async def test_an_identifier_that_nobody_here_resolves_is_not_well(scene: Scene) -> None:
    (found,) = await scene.look("did:key:z6MkAnna")
    assert (found.check, found.state) == ("did", "error")
    # a name that is no DID is known by other means
    assert await scene.look("acme") == []


async def test_keys_that_may_not_sign_what_they_must_are_said(scene: Scene) -> None:
    scene.publish(Relationship.AUTHENTICATION)
    assert "sign messages" in (await scene.errors())["keys"]
    scene.publish(Relationship.INVOCATION)
    assert "show credentials" in (await scene.errors())["keys"]


@pytest.mark.parametrize(("type_", "path"), [("CredentialService", "presentations/query"), ("IssuerService", "metadata")])
async def test_services_that_do_not_answer_are_said(scene: Scene, type_: str, path: str) -> None:
    def of(url: str) -> None:
        scene.publish(*ALL, service=[{"id": "x", "type": type_, "serviceEndpoint": url}])

    of(f"{scene.at.url}/acme/dcp")
    scene.at.statuses[f"/acme/dcp/{path}"] = 500
    assert f"`{type_}` answers 500" in (await scene.errors())["endpoint"]
    # an address that leads to something else is no service
    of(f"{scene.at.url}/acme/other")
    assert f"`{type_}` is not there: 404" in (await scene.errors())["endpoint"]
    of("http://localhost:1/")
    assert "does not answer" in (await scene.errors())["endpoint"]
    # whatever is wrong, it is said how to mend it
    assert all(one.mend for one in await scene.look() if one.state != "ok")


async def test_a_protocol_that_cannot_be_reached_is_said(scene: Scene) -> None:
    scene.at.statuses["/acme/dsp/2025-1/catalog/request"] = 405
    assert "405" in (await scene.errors())["callback"]
    scene.at.pages["/acme/.well-known/dspace-version"] = (
        b'{"protocolVersions": [{"version": "2024-1", "path": "/", "binding": "HTTPS"}]}'
    )
    assert "2024-1" in (await scene.errors())["version"]
    del scene.at.pages["/acme/.well-known/dspace-version"]
    assert "node.public_url" in (await scene.errors())["version"]


async def test_every_error_says_how_to_mend_it(scene: Scene) -> None:
    scene.publish()
    scene.at.pages = {path: page for path, page in scene.at.pages.items() if path == "/acme/did.json"}
    errors = [one for one in await scene.look() if one.state == "error"]
    assert errors
    assert [one for one in errors if not one.mend] == []


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (1, "ok"), (4, "warning"), (-4, "warning"), (20, "error"), (-3600, "error")]
)
def test_a_clock_that_differs_is_said(seconds: int, state: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    (found,) = _clock(Answer(status=200, headers={"date": date}, body=b""), NOW, NOW, "https://a.example")
    assert found.state == state


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}, {"date": f"Mon, 01 Jan {9**30} 00:00:00 GMT"}])
def test_a_host_that_does_not_tell_its_time_is_not_judged_by_it(headers: dict[str, str]) -> None:
    assert _clock(Answer(status=200, headers=headers, body=b""), NOW, NOW, "https://a.example") == []
