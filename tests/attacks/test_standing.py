"""Attacks by who is no active member (M2), by holders who want more than their own (M4), and by clients (M6), on an authority."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from connector import jose
from connector.api.authority import Approval
from connector.api.spaces import SpaceWish
from connector.client import authority as calls
from connector.identity.oauth2.assertions import TYPE
from connector.testing.dataspace import api_key
from tests.attacks.stage import MEMBER, Party, Stage, opened, written

pytestmark = pytest.mark.asyncio(loop_scope="module")
SPACE = "urn:space:attacked"
DCP = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
IDS = f"urn:kontor:credential:{MEMBER}"


@dataclass
class Governed:
    """The authority on the stage's node, whose space acme has joined; asked from outside and by its operator."""

    stage: Stage

    @property
    def url(self) -> str:
        return f"{self.stage.acme.app.public_url}/authority"

    @property
    def did(self) -> str:
        return "did:web:" + self.url.removeprefix("http://").replace(":", "%3A").replace("/", ":")

    def bearer(self, party: Party, **changes: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {party.token(aud=self.did, **changes)}"}

    async def operate(self, party: Party, act: str, body: dict[str, Any]) -> None:
        path = f"/{quote(party.did, safe='')}/{act}" if act else ""
        url = f"{self.stage.acme.app.operator_url}/api/v1/authority/members{path}"
        answer = await self.stage.http.post(url, json=body, headers={"X-Api-Key": api_key()})
        assert answer.status_code in (200, 201), answer.text

    async def request(
        self, party: Party, *, by: Party | None = None, ids: tuple[str, ...] = (IDS,), **more: Any
    ) -> httpx.Response:
        """A CredentialRequestMessage of `party`, whose token `by` has signed."""
        body = {"@context": [DCP], "type": "CredentialRequestMessage", "holderPid": "h1", **more}
        body["credentials"] = [{"id": one} for one in ids]
        changes = {"by": by.key} if by is not None else {}
        return await self.stage.http.post(f"{self.url}/issuer/credentials", json=body, headers=self.bearer(party, **changes))

    async def delivered(self, party: Party) -> str:
        """The credential that `party` was issued, as its wallet got it."""
        got: list[dict[str, Any]] = []

        def take(_head: str, body: bytes) -> bytes:
            got.append(json.loads(body))
            return b"{}"

        self.stage.host.pages[f"/{party.name}/cs/credentials"] = take
        assert (await self.request(party)).status_code == 201

        async def arrived() -> list[dict[str, Any]]:
            return got

        await self.stage.acme.until(arrived, bool)
        return str(got[0]["credentials"][0]["payload"])

    async def in_state(self, state: str) -> Party:
        """A party that is as far as `state`, with what it can have by then."""
        party = self.stage.party()
        if state in ("SUBMITTED", "VERIFIED"):
            taken = (await self.stage.http.post(f"{self.url}/applications", json={"id": party.did})).json()
            if state == "VERIFIED":
                proven = await self.stage.http.post(taken["proof"], headers=self.bearer(party, nonce=taken["nonce"]))
                assert proven.json()["state"] == "VERIFIED"
            # it has nothing of the authority but the authority's name
            party.shows = lambda p: [p.presentation(p.credential(by=p, tree={"issuer": self.did}, iss=self.did))]
            return party
        await self.operate(party, "", {"id": party.did})
        raw = await self.delivered(party)
        party.shows = lambda p: [p.presentation(raw)]
        await self.stage.takes(party.token())
        await self.operate(party, {"SUSPENDED": "suspend", "REVOKED": "revoke"}[state], {"reason": "test"})
        return party


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def governed() -> AsyncIterator[Governed]:
    kind = {"type": MEMBER, "claims": {"memberOf": SPACE}}
    authority = {"space": SPACE, "credentials": [kind]}
    async with opened(node={"roles": ["connector", "authority"]}, authority=authority, oauth2={}) as stage:
        acme = stage.acme
        await acme.send(acme.calls.join_space(SpaceWish(authority=acme.app.public_url)))
        await acme.send(calls.approve(acme.id, Approval()))

        async def standing() -> str:
            return (await acme.send(acme.calls.spaces())).items[0].state

        assert await acme.until(standing, lambda state: state == "ACTIVE") == "ACTIVE"
        yield Governed(stage)


@pytest.mark.parametrize("state", ["SUBMITTED", "VERIFIED", "SUSPENDED", "REVOKED"])
async def test_m2_who_is_not_active_gets_nothing_anywhere(governed: Governed, state: str) -> None:
    stage, party = governed.stage, await governed.in_state(state)
    # 1. no credential of the authority, whatever it asks for
    answer = await governed.request(party)
    assert (answer.status_code, answer.json()["detail"]) == (403, "no credentials are issued to this holder")
    # 2. no token of its provider
    form = {"grant_type": "client_credentials", "client_id": party.did, "resource": stage.acme.id}
    answer = await stage.http.post(f"{governed.url}/oauth2/token", data=form)
    assert answer.status_code in (400, 401, 404)
    assert "access_token" not in answer.text
    # 3. nothing of a connector: with a live token, and the credential that it had, all of it at once
    await stage.refuses(party.token())
    # 4. nor does it change anything at the authority: a member's record stays what it is
    for path in ("approve", "activate", "reinstate"):
        url = f"{governed.url}/applications/{quote(party.did, safe='')}/{path}"
        assert (await stage.http.post(url, headers=governed.bearer(party))).status_code == 404
    known = await stage.http.get(f"{governed.url}/applications", headers=governed.bearer(party))
    assert known.status_code == 404 if state == "SUBMITTED" else known.json()["state"] == state


async def test_m4_the_subject_is_who_asked_and_a_request_is_its_senders_alone(governed: Governed) -> None:
    stage = governed.stage
    holder, mallory, victim = stage.party(), stage.party(), stage.party()
    for party in (holder, mallory):
        await governed.operate(party, "", {"id": party.did})
    # 1. another's DID as the subject: whatever is written, the subject is who sent it
    got: list[dict[str, Any]] = []
    stage.host.pages[f"/{mallory.name}/cs/credentials"] = lambda _head, body: got.append(json.loads(body)) or b"{}"  # type: ignore[func-returns-value]
    wanted = {"subject": victim.did, "holder": victim.did, "credentialSubject": {"id": victim.did}}
    answer = await governed.request(mallory, **wanted)
    assert answer.status_code in (201, 400)

    async def arrived() -> int:
        return len(got)

    if answer.status_code == 201:
        await stage.acme.until(arrived, lambda count: count == 1)
        token = jose.read(got[0]["credentials"][0]["payload"], max_bytes=1 << 16)
        assert (token.claims["sub"], token.claims["vc"]["credentialSubject"]["id"]) == (mallory.did, mallory.did)
    # 2. in another's name
    assert (await governed.request(holder, by=mallory)).status_code == 401
    assert (await governed.request(victim)).status_code == 403
    # 3. what is not issued, or is asked for twice in another spelling
    for ids in (("urn:kontor:credential:Gold",), (IDS, "urn:x"), (IDS.upper(),), ("*",), ()):
        assert (await governed.request(holder, ids=ids)).status_code == 400
    # 4. another's request is as one that is not there
    stage.host.pages[f"/{holder.name}/cs/credentials"] = b"{}"
    own = (await governed.request(holder)).headers["location"]
    assert own.startswith(f"{governed.url}/issuer/requests/")
    answers = [await stage.http.get(own, headers=governed.bearer(party)) for party in (holder, mallory, victim)]
    nothing = await stage.http.get(f"{governed.url}/issuer/requests/nothing", headers=governed.bearer(mallory))
    assert [one.status_code for one in (*answers, nothing)] == [200, 404, 404, 404]
    assert answers[1].json()["detail"] == nothing.json()["detail"]


async def test_m6_a_client_is_who_signed_its_assertion_once_for_this_provider(governed: Governed) -> None:
    stage, client, victim = governed.stage, governed.stage.party(), governed.stage.party()
    for party in (client, victim):
        await governed.operate(party, "", {"id": party.did})
        await governed.delivered(party)

    def assertion(header: dict[str, Any] | None = None, **changes: Any) -> str:
        return client.token(header, **{"aud": governed.url, "token": ..., **changes})

    async def outcome(raw: str, **changes: str) -> tuple[int, str]:
        form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": raw}
        answer = await stage.http.post(f"{governed.url}/oauth2/token", data={**form, "resource": stage.acme.id, **changes})
        return answer.status_code, answer.json().get("error", "")

    used = assertion()
    assert await outcome(used) == (200, "")
    shared = {"alg": "HS256", "kid": client.key.id}
    secret = json.dumps(client.key.public.jwk()).encode()
    claims = {**client.claims, "aud": governed.url}
    for raw, changes in (
        (used, {}),
        (assertion(aud=[governed.url, "https://other.example"]), {}),
        (assertion(aud="https://other.example/authority"), {}),
        # a message to the authority is no proof to its provider
        (client.token(aud=governed.did), {}),
        (client.token(), {}),
        (assertion(), {"client_id": victim.did}),
        (assertion(iss=victim.did, sub=victim.did), {}),
        (assertion(sub=victim.did), {}),
        (assertion(by=victim.key), {}),
        (assertion(jti=...), {}),
        (written(shared, claims, lambda data: hmac.digest(secret, data, "sha256")), {}),
        *((assertion({name: f"{stage.canary.url}/keys"}), {}) for name in ("jku", "x5u")),
        (assertion({"jwk": client.key.public.jwk()}, by=victim.key), {}),
    ):
        status, error = await outcome(raw, **changes)
        assert (status in (400, 401), error) == (True, "invalid_client"), (raw, changes)
    assert await outcome(assertion(), scope="admin") == (400, "invalid_scope")
    for resource in ("*", "", f"{stage.acme.id} {victim.did}", stage.other.id, stage.canary.url):
        assert await outcome(assertion(), resource=resource) == (400, "invalid_target")
    # nor does what a client was given for one connector prove it to the authority, or to a connector with wallets
    form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": assertion()}
    answer = await stage.http.post(f"{governed.url}/oauth2/token", data={**form, "resource": stage.acme.id})
    await stage.refuses(answer.json()["access_token"])
    asked = await stage.http.get(
        f"{governed.url}/applications", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}
    )
    assert asked.status_code == 401
    assert stage.canary.connections == 0
