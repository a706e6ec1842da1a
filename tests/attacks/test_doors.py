"""Attacks on the doors themselves (J3, J4, H4, M3, M5, M7, M9, M10, X): bodies, heads, deliveries nobody asked for, guessed secrets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from connector import jose, jsonld
from connector.testing.dataspace import Member, api_key
from tests.attacks.stage import CATALOG, SCOPE, Stage, opened, reason

pytestmark = pytest.mark.asyncio(loop_scope="module")
DSP = "https://w3id.org/dspace/2025/1/context.jsonld"
DCP = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
SECRET = "correct horse battery staple"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    client = {"id": "program", "sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "scopes": [SCOPE]}
    async with opened(clients=[client]) as found:
        yield found


# --- bodies


def wrapped(inner: str) -> bytes:
    return f'{{"@context": ["{DSP}"], "@type": "CatalogRequestMessage", "filter": {inner}}}'.encode()


BODIES: dict[str, bytes] = {
    **{f"J3 {depth} lists": wrapped("[" * depth + "]" * depth) for depth in (1_000, 10_000, 500_000)},
    **{f"J3 {depth} objects": wrapped('{"a":' * depth + "1" + "}" * depth) for depth in (1_000, 10_000, 100_000)},
    "J3 lists without end": wrapped("[" * 500_000),
    "J3 100,000 members and one twice": wrapped("{" + ",".join(f'"k{n}":1' for n in range(80_000)) + ',"k0":1}'),
    "J3 too large": wrapped('"' + "x" * (2 << 20) + '"'),
    "J3 a graph": json.dumps({"@context": DSP, "@graph": [{"@id": f"_:{n}", "x": {"@id": f"_:{n * 7}"}} for n in range(999)]}).encode(),
    "J3 included": json.dumps({"@context": [DSP], "@included": [{"@included": [{}] * 999}] * 99}).encode(),
    "J3 a number beyond all numbers": wrapped('[{"a": 1e999}]'),
    "J3 half a character": wrapped('["\\ud800"]'),
    "J3 no UTF-8": wrapped('["x"]').replace(b"x", b"\xff"),
    "J3 a byte order mark": b"\xef\xbb\xbf" + CATALOG,
    "J3 UTF-16": CATALOG.decode().encode("utf-16"),
    "J3 two documents": CATALOG + CATALOG,
    "J3 a member twice": CATALOG[:-1] + b', "@type": "ContractRequestMessage"}',
    "J3 a member twice, once escaped": CATALOG[:-1] + b', "\\u0040type": "ContractRequestMessage"}',
    "J3 NaN": wrapped("[NaN]"),
    "J3 nothing": b"",
    "J3 a list": b"[]",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_made_to_hurt_is_refused_at_once(stage: Stage, body: bytes) -> None:
    begun = time.perf_counter()
    answer = await stage.ask(stage.holder.token(), body=body)
    assert answer.status_code in (400, 413), answer.text
    assert time.perf_counter() - begun < 3
    assert stage.canary.connections == 0


@pytest.mark.parametrize("body", list(BODIES.values())[:6], ids=list(BODIES)[:6])
async def test_a_stranger_cannot_even_have_a_body_read(stage: Stage, body: bytes) -> None:
    assert (await stage.ask("x", body=body)).status_code == 401


async def test_j4_one_message_in_several_forms_is_one_message(stage: Stage) -> None:
    plain = json.loads(CATALOG)
    (expanded,) = jsonld.expand(plain)
    answers = []
    for tree in (plain, {**plain, "@context": DSP}, expanded):
        answer = await stage.ask(stage.holder.token(), body=json.dumps(tree).encode())
        assert answer.status_code == 200, (tree, answer.text)
        answers.append({name: value for name, value in answer.json().items() if name != "@id"})
    assert all(one == answers[0] for one in answers)
    # a sender's own names for our terms are not read as if they were ours
    aliased = {"@context": [DSP, {"t": "@type"}], "t": "CatalogRequestMessage"}
    assert (await stage.ask(stage.holder.token(), body=json.dumps(aliased).encode())).status_code == 400


# --- heads


SMUGGLED: dict[str, str] = {
    "H4 length and chunks": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "H4 two lengths": "Content-Length: 4\r\nContent-Length: 0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "H4 a length of two": "Content-Length: 0, 4\r\n\r\n",
    "H4 a length with a sign": "Content-Length: +4\r\n\r\nabcd",
    "H4 a negative length": "Content-Length: -1\r\n\r\n",
    "H4 a coding that is none": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "H4 chunks, twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "H4 a chunk of a size that is none": "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
    "H4 a folded header": "X: 1\r\n Content-Length: 4\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
    "H4 a name with a blank": "Content-Length : 4\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED)
async def test_h4_a_request_inside_a_request_is_never_answered(stage: Stage, rest: str) -> None:
    place = urlsplit(stage.acme.address)
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"POST {place.path}/catalog/request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{rest}".encode())
    await writer.drain()
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    statuses = [line.split()[1] for line in answer.decode(errors="replace").splitlines() if line.startswith("HTTP/1.1 ")]
    assert b"/evil" not in answer
    # one answer, and none of it a success; the inner request would have been a second one, 404
    assert len(statuses) <= 1, answer
    assert all(status in ("400", "401", "411", "413") for status in statuses), answer


# --- X: a language that nothing here reads


XML = {
    "X a document": '<?xml version="1.0"?><x/>',
    "X an entity of another host": '<!DOCTYPE x [<!ENTITY e SYSTEM "{canary}/e">]><x>&e;</x>',
    "X an entity of a file": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x>&e;</x>',
    "X a DTD of another host": '<!DOCTYPE x SYSTEM "{canary}/d"><x/>',
    "X a billion laughs": '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><x>&c;</x>',
    "X an inclusion": '<x xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{canary}/i" parse="text"/></x>',
    "X RDF": '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" r:about="{canary}/r"/>',
    "X a stylesheet": '<?xml-stylesheet href="{canary}/s"?><x/>',
}  # fmt: skip
READING = (
    "dsp/2025-1/catalog/request", "dsp/2025-1/negotiations/request", "dsp/2025-1/transfers/request", "dcp/presentations/query",
    "dcp/credentials", "dcp/offers", "trust/notices", "sts/token",
)  # fmt: skip


@pytest.mark.parametrize("text", XML.values(), ids=XML)
async def test_x_xml_is_read_at_no_door(stage: Stage, text: str) -> None:
    body = text.replace("{canary}", stage.canary.url).encode()
    operator = f"{stage.acme.app.operator_url}/api/v1/participants/acme/assets"
    for type_ in ("application/xml", "application/rdf+xml", "application/json"):
        for url in (*(f"{stage.acme.app.public_url}/acme/{path}" for path in READING), operator):
            proof = {"X-Api-Key": api_key()} if url == operator else {"Authorization": f"Bearer {stage.holder.token()}"}
            answer = await stage.http.post(url, content=body, headers={**proof, "Content-Type": type_})
            assert answer.status_code in (400, 401, 415), (url, answer.text)
    assert stage.canary.connections == 0


# --- keys of one door at another


async def test_m3_what_opens_one_door_opens_no_other(stage: Stage) -> None:
    public, operator = stage.acme.app.public_url, stage.acme.app.operator_url
    key = {"Authorization": f"Bearer {api_key()}"}
    for url in (
        f"{public}/acme/data/x",
        f"{public}/acme/dcp/presentations/query",
        f"{public}/acme/dsp/2025-1/catalog/request",
        f"{public}/acme/dcp/credentials",
    ):
        answer = await stage.http.post(url, content=CATALOG, headers={**key, "Content-Type": "application/json"})
        assert answer.status_code in (400, 401, 403, 404, 405), (url, answer.text)
    assert (
        await stage.http.get(f"{operator}/api/v1/participants", headers={"Authorization": f"Bearer {stage.holder.token()}"})
    ).status_code == 401
    # nothing of the operators' listener answers on the public one
    for path in ("/api/v1/participants", "/metrics", "/ready", "/api/v1/openapi.json"):
        assert (await stage.http.get(f"{public}{path}", headers=key)).status_code in (404, 405)


# --- M5: credentials that nobody asked for


async def delivered(stage: Stage, token: str, **changes: Any) -> int:
    body: dict[str, Any] = {
        "@context": [DCP], "type": "CredentialMessage", "issuerPid": "1", "holderPid": "2", "status": "ISSUED",
        "credentials": [{"credentialType": "MembershipCredential", "payload": credential_for(stage, stage.acme), "format": "jwt"}],
    }  # fmt: skip
    url = f"{stage.acme.app.public_url}/acme/dcp/credentials"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return (await stage.http.post(url, content=json.dumps({**body, **changes}).encode(), headers=headers)).status_code


def credential_for(stage: Stage, holder: Member, by: Any = None) -> str:
    return str(stage.holder.credential(by=by, tree={"credentialSubject": {"id": holder.id, "x": 1}}, sub=holder.id))


async def test_m5_credentials_that_nobody_asked_for_are_not_kept(stage: Stage) -> None:
    mallory = stage.party()
    for token in (
        mallory.token(),
        stage.issuer.token(),
        stage.issuer.token(by=mallory.key),
        mallory.token({"kid": stage.issuer.key.id}),
        "x",
    ):
        assert 400 <= await delivered(stage, token) < 500
    forged = [
        {"credentialType": "MembershipCredential", "payload": credential_for(stage, stage.acme, mallory), "format": "jwt"}
    ]
    foreign = [{"credentialType": "MembershipCredential", "payload": credential_for(stage, stage.other), "format": "jwt"}]
    for credentials in (forged, foreign, [], [{"payload": "x"}], None):
        assert 400 <= await delivered(stage, stage.issuer.token(), credentials=credentials) < 500
    assert (await stage.acme.send(stage.acme.calls.credentials())).items == []


# --- M7 and M10: guessing


async def token_request(stage: Stage, **changes: Any) -> Any:
    plain = {
        "grant_type": "client_credentials",
        "client_id": "program",
        "client_secret": SECRET,
        "audience": stage.holder.did,
        "bearer_access_scope": SCOPE,
    }
    form = {name: value for name, value in {**plain, **changes}.items() if value is not None}
    return await stage.http.post(f"{stage.acme.app.public_url}/acme/sts/token", data=form)


async def granted(stage: Stage) -> str:
    """An access token of acme's wallet to the holder."""
    raw = (await token_request(stage)).json()["access_token"]
    return str(jose.read(raw, max_bytes=1 << 16).claims["token"])


async def shown(stage: Stage, token: str, *scopes: str) -> tuple[int, Any]:
    """What acme's wallet answers to a query."""
    body = {"@context": [DCP], "type": "PresentationQueryMessage", "scope": [*scopes]}
    url = f"{stage.acme.app.public_url}/acme/dcp/presentations/query"
    answer = await stage.http.post(url, json=body, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("presentation")


async def test_t22_and_t23_an_access_token_opens_the_wallet_once_for_its_receiver_and_no_wider(stage: Stage) -> None:
    mallory, access, asked_before = stage.party(), await granted(stage), len(stage.holder.asked)
    # another verifier, the token by itself, or carried to a neighbour on the same node
    assert (await shown(stage, mallory.token(token=access), SCOPE))[0] == 401
    assert (await shown(stage, access, SCOPE))[0] == 401
    assert (await shown(stage, stage.holder.token(token=access, aud=stage.other.id), SCOPE))[0] == 401
    assert (await shown(stage, stage.holder.token(token=stage.holder.token()), SCOPE))[0] == 401
    # its receiver, once; what was not granted is left out
    assert await shown(stage, stage.holder.token(token=access), SCOPE, "org.eclipse.dspace.dcp.vc.type:Other") == (200, [])
    assert (await shown(stage, stage.holder.token(token=access), SCOPE))[0] == 401
    await stage.refuses(stage.holder.token(aud=stage.other.id, token=access))
    assert (stage.canary.connections, len(stage.holder.asked)) == (0, asked_before)


# --- M9: tokens of keys that are no longer


async def wallet_of_a_revoked_key(stage: Stage) -> int:
    access = await granted(stage)
    send, calls = stage.acme.send, stage.acme.calls
    for key in (await send(calls.keys())).items:
        if key.purpose == "access":
            await send(calls.revoke_key(key.name))
    fresh = await granted(stage)
    assert (await shown(stage, stage.holder.token(token=fresh), SCOPE))[0] == 200
    return (await shown(stage, stage.holder.token(token=access), SCOPE))[0]


def peer_with_a_new_key(fragment: str) -> Callable[[Stage], Awaitable[int]]:
    async def attempt(stage: Stage) -> int:
        party = stage.party()
        before = party.token()
        now = stage.party(party.name, key=jose.generate(f"{party.did}#{fragment}"))
        await stage.takes(now.token())
        return (await stage.ask(before)).status_code

    return attempt


ROTATED = {
    "M9 of the wallet": wallet_of_a_revoked_key,
    "M9 of a peer, under another id": peer_with_a_new_key("key-2"),
    "M9 of a peer, under the same id": peer_with_a_new_key("key-1"),
}


@pytest.mark.parametrize("attempt", ROTATED.values(), ids=ROTATED)
async def test_m9_what_a_key_has_signed_counts_no_more_after_its_rotation(
    stage: Stage, attempt: Callable[[Stage], Awaitable[int]]
) -> None:
    assert await attempt(stage) == 401
    assert stage.canary.connections == 0


@pytest.mark.parametrize(
    "changes",
    [{"audience": "https://peer.example"}, {"audience": "x"}, {"audience": None}, {"audience": ""},
     {"bearer_access_scope": "org.eclipse.dspace.dcp.vc.type:Other"}, {"grant_type": "password"}],
)  # fmt: skip
async def test_m7_a_program_gets_no_token_beyond_what_it_may_have(stage: Stage, changes: dict[str, Any]) -> None:
    answer = await token_request(stage, **changes)
    assert (answer.status_code, "access_token" in answer.text) == (400, False), answer.text


async def test_m7_a_token_to_oneself_is_none(stage: Stage) -> None:
    assert (await token_request(stage, audience=stage.acme.id)).status_code == 400


async def test_m7_guessing_a_secret_is_slowed_down_and_tells_nothing() -> None:
    client = {"id": "program", "sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "scopes": [SCOPE]}
    async with opened(clients=[client]) as stage:
        wrong = await token_request(stage, client_secret="guess")
        unknown = await token_request(stage, client_id="nobody")
        assert (
            (wrong.status_code, wrong.json()["error"])
            == (unknown.status_code, unknown.json()["error"])
            == (401, "invalid_client")
        )
        statuses = [(await token_request(stage, client_secret=f"guess {n}")).status_code for n in range(20)]
        assert statuses[-1] == 429
        # not even the right one, until the minute is over
        assert (await token_request(stage)).status_code == 429


async def test_m10_a_bad_token_reads_the_same_for_every_participant(stage: Stage) -> None:
    answers = [await stage.ask("x", to=member) for member in (stage.acme, stage.other)]
    assert len({(one.status_code, str(reason(one))) for one in answers}) == 1
    # which participants a node serves is no secret: each has a public document; what they have agreed with whom is one
    known = await stage.http.get(f"{stage.acme.address}/negotiations/urn:uuid:00000000-0000-0000-0000-000000000001")
    assert known.status_code == 401
