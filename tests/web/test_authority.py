"""An authority's addresses, over a real socket: what stands there, for whom, and how often it must be fetched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from connector.testing.dataspace import DataSpace, Member, api_key

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 2}}}


class Authority:
    """The node of an authority, asked from outside and by its operator."""

    def __init__(self, member: Member) -> None:
        self.url = f"{member.app.public_url}/authority"
        self.did = f"did:web:{self.url.removeprefix('http://').replace(':', '%3A').replace('/', ':')}"
        self._operator = f"{member.app.operator_url}/api/v1/authority"
        self.http = httpx.AsyncClient()

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"{self.url}{path}", headers={name.replace("_", "-"): one for name, one in headers.items()})

    async def operate(self, method: str, path: str, body: Any = None, key: str = api_key()) -> httpx.Response:
        return await self.http.request(method, f"{self._operator}{path}", json=body, headers={"X-Api-Key": key})


@pytest.fixture
async def authority(tmp_path: Any) -> AsyncIterator[Authority]:
    path = tmp_path / "membership.json"
    path.write_text(json.dumps(SCHEMA))
    sections: dict[str, dict[str, Any]] = {
        "node": {"roles": ["connector", "authority"]},
        "authority": {
            "space": "urn:space:test",
            "credentials": [
                {"type": "MembershipCredential", "claims": {"memberOf": "urn:space:test"}, "schema_file": path},
                {
                    "type": "SensitiveDataCredential",
                    "id": "sensitive",
                    "model": "2.0",
                    "format": "VC1_0_JWT",
                    "status": ["revocation"],
                },
            ],
        },
    }
    async with DataSpace(has_wallets=True) as space:
        member = space.join("authority-owner", sections=sections)
        await space.begin()
        found = Authority(member)
        yield found
        await found.http.aclose()


async def test_everybody_can_read_who_it_is_and_what_it_issues(authority: Authority) -> None:
    about = (await authority.get("")).json()
    assert (about["authority"], about["space"]) == (authority.did, "urn:space:test")
    document = (await authority.get("/did.json")).json()
    assert document["id"] == authority.did
    assert [(one["type"], one["serviceEndpoint"]) for one in document["service"]] == [
        ("IssuerService", f"{authority.url}/issuer")
    ]
    metadata = (await authority.get("/issuer/metadata")).json()
    assert [(one["id"], one["profile"]) for one in metadata["credentialsSupported"]] == [
        ("urn:kontor:credential:MembershipCredential", "vc11-sl2021/jwt"),
        ("sensitive", "vc20-bssl/jwt"),
    ]
    assert (await authority.http.get(metadata["credentialsSupported"][0]["credentialSchema"])).json() == SCHEMA


async def test_lists_have_a_tag_and_are_not_sent_twice(authority: Authority) -> None:
    for path in ("/participants", "/issuers"):
        first = await authority.get(path)
        assert (first.status_code, first.headers["content-type"]) == (200, "application/jwt")
        again = await authority.get(path, if_none_match=first.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
        assert "max-age" in again.headers["cache-control"]


REFUSED = (
    ("GET", "/status/2021-revocation-1", 404),
    ("GET", "/status/..%2f..%2fdid.json", 404),
    ("GET", "/schemas/Other", 404),
    ("GET", "/applications", 401),
    ("GET", "/issuer/requests/1", 401),
    ("POST", "/issuer/credentials", 401),
    ("POST", "/applications", 400),
    ("POST", "/applications/1", 404),
    ("POST", "/applications/leave", 401),
    ("DELETE", "/participants", 405),
    ("GET", "/applications/1", 405),
    ("GET", "/nowhere", 404),
)


async def test_who_proves_nothing_gets_nothing(authority: Authority) -> None:
    for method, path, status in REFUSED:
        answer = await authority.http.request(method, f"{authority.url}{path}")
        assert (path, answer.status_code) == (path, status)
        assert answer.headers["content-type"] == "application/problem+json"
        if status == 401:
            assert answer.json()["detail"] == "no valid token"


async def test_operators_take_in_and_turn_away_and_only_administrators_of_the_node_do(authority: Authority) -> None:
    did = "did:web:anna.example"
    wanted = {"id": did, "attributes": {"name": "Anna"}}
    assert (await authority.operate("POST", "/members", wanted, key=api_key("authority-owner"))).status_code == 403
    assert (await authority.operate("GET", "/members", key="wrong")).status_code == 401
    too_short = await authority.operate("POST", "/members", {**wanted, "attributes": {"name": "A"}})
    assert (too_short.status_code, "does not fit its schema" in too_short.json()["detail"]) == (409, True)
    made = await authority.operate("POST", "/members", wanted)
    assert (made.status_code, made.json()["state"], made.json()["steps"][0]["by"]) == (201, "APPROVED", "for-all")
    path = f"/members/{quote(did, safe='')}"
    assert (await authority.operate("GET", path)).json()["credentials"] == []
    wrong = await authority.operate("POST", f"{path}/suspend", {"reason": "x"})
    assert (wrong.status_code, wrong.json()["mend"]) == (400, "lawful now: `activate`, `revoke`")
    assert (await authority.operate("POST", f"{path}/revoke", {})).status_code == 400
    assert (await authority.operate("POST", f"{path}/revoke", {"reason": "left"})).json()["state"] == "REVOKED"
    assert [one["id"] for one in (await authority.operate("GET", "/members?state=REVOKED")).json()["items"]] == [did]
    assert (await authority.operate("GET", "/applications")).json()["total"] == 0
    assert (await authority.operate("POST", "/members/did%3Aweb%3Anobody/revoke", {"reason": "x"})).status_code == 404
