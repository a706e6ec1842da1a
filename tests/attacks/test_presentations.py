"""Attacks by what is shown (T24 to T32): presentations, credentials and status lists that lie. The sender itself is proven each time.

The facts' table says 403; like every connector known we answer 401, the same for every cause (EDC does too), and 503 where the cause
may pass, so that an honest peer tries again.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.identity.did import Relationship
from tests.attacks.stage import MEMBER, Party, Stage, signed_with, text
from tests.identity.space import V2, bits, packed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Shows = Callable[[Party], list[Any]]


def ago(**shift: float) -> str:
    return text(datetime.now(UTC) - timedelta(**shift))


def at(seconds: float) -> int:
    return int(time.time() + seconds)


def about(party: Party, **subject: Any) -> dict[str, Any]:
    return {"credentialSubject": {"id": party.did, "memberOf": "the space", **subject}}


def of_mallory(party: Party, **changes: Any) -> str:
    """A credential that the holder signed itself, in the issuer's name."""
    return party.credential(by=Party(party.stage, "issuer", party.key), **changes)


def credential_2(party: Party, key: jose.SigningKey, **changes: Any) -> str:
    """A credential of data model 2.0, which has no claims beside itself."""
    tree = {
        "@context": [V2], "type": ["VerifiableCredential", MEMBER], "issuer": party.stage.issuer.did,
        "validFrom": ago(days=1), "validUntil": ago(days=-1), **about(party), **changes,
    }  # fmt: skip
    return signed_with(key, {"alg": "ES256", "kid": key.id, "typ": "vc+jwt", "cty": "vc"}, tree)


def presentation_2(party: Party, credential: str) -> str:
    tree = {
        "@context": [V2], "type": "VerifiablePresentation", "holder": party.did, "iss": party.did, "aud": party.stage.acme.id,
        "iat": at(0), "exp": at(60), "jti": party.stage.new_id(),
        "verifiableCredential": [{"@context": V2, "type": "EnvelopedVerifiableCredential", "id": f"data:application/vc+jwt,{credential}"}],
    }  # fmt: skip
    return signed_with(party.key, {"alg": "ES256", "kid": party.key.id, "typ": "vp+jwt", "cty": "vp"}, tree)


def elsewhere(party: Party, number: int) -> dict[str, Any]:
    """A status entry whose list stands where nobody must go."""
    return party.status(url=f"{party.stage.canary.url}/{number}")


def rewritten(party: Party) -> str:
    """A credential of the issuer under whose signature somebody has put another list."""
    head, _, signature = party.credential().split(".")
    changed = party.credential(tree={"credentialStatus": elsewhere(party, 1)}).split(".")[1]
    return f"{head}.{changed}.{signature}"


def with_(tree: Callable[[Party], dict[str, Any]]) -> Shows:
    """A credential with changes, in an honest presentation."""
    return lambda p: [p.presentation(p.credential(tree=tree(p)))]


def of_types(*types: str) -> Shows:
    return with_(lambda p: {"type": ["VerifiableCredential", *types]})


def at_index(index: Any) -> Shows:
    return with_(lambda p: {"credentialStatus": p.status(index)})


def with_the_issuers_kid(party: Party) -> str:
    """Signed by the holder's key under the name of the issuer's."""
    key = jose.SigningKey(id=party.stage.issuer.key.id, numbers=party.key.numbers)
    return party.credential(by=Party(party.stage, "issuer", key))


def unsigned(party: Party) -> dict[str, Any]:
    return {"@context": [V2], "type": ["VerifiableCredential", MEMBER], "issuer": party.stage.issuer.did, **about(party)}


def empty(party: Party) -> str:
    return party.presentation(vp={"@context": [], "type": ["VerifiablePresentation"], "verifiableCredential": []})


def plain(party: Party) -> dict[str, Any]:
    return {"type": "VerifiablePresentation", "holder": party.did, "verifiableCredential": [party.credential()]}


SHOWN: dict[str, Shows] = {
    # T24
    "T24 of another holder": lambda p: [p.stage.holder.presentation()],
    "T24 of another holder, signed by ours": lambda p: [p.presentation(p.stage.holder.credential())],
    "T24 in our name by another key": lambda p: [p.presentation(by=p.stage.holder.key)],
    "T24 for another verifier": lambda p: [p.presentation(aud=p.stage.other.id)],
    "T24 for us and another": lambda p: [p.presentation(aud=[p.stage.acme.id, p.stage.other.id])],
    "T24 for nobody": lambda p: [p.presentation(aud=...)],
    "T24 over": lambda p: [p.presentation(iat=at(-120), nbf=at(-120), exp=at(-60))],
    "T24 without end": lambda p: [p.presentation(exp=...)],
    "T24 not yet": lambda p: [p.presentation(nbf=at(60))],
    "T24 good for a week": lambda p: [p.presentation(exp=at(7 * 86_400))],
    "T24 nothing": lambda p: [],
    "T24 nothing in it": lambda p: [empty(p)],
    "T24 a bare credential": lambda p: [p.credential()],
    "T24 a self-issued token": lambda p: [p.token(aud=p.stage.acme.id)],
    "T24 a text": lambda p: ["x"],
    "T24 an object without a proof": lambda p: [plain(p)],
    # T25
    "T25 of oneself in the issuer's name": lambda p: [p.presentation(of_mallory(p))],
    "T25 of oneself with the issuer's kid": lambda p: [p.presentation(with_the_issuers_kid(p))],
    "T25 iss differs from the inner issuer": lambda p: [p.presentation(p.credential(iss=p.did))],
    "T25 inner issuer differs from iss": with_(lambda p: {"issuer": p.did}),
    "T25 of a stranger": lambda p: [p.presentation(p.credential(by=p.stage.party()))],
    "T25 of a stranger with a name like the issuer's": lambda p: [p.presentation(p.credential(by=p.stage.party("issuer-2")))],
    "T25 model 2.0, own key, the issuer's name": lambda p: [presentation_2(p, credential_2(p, p.key))],
    "T25 unsigned": lambda p: [p.presentation(unsigned(p))],
    "T25 a signature that is cut": lambda p: [p.presentation(p.credential()[:-8])],
    # T26
    **{f"T26 of type {type_!r}": of_types(type_) for type_ in ("Member", "Credential", MEMBER + "2", "X" + MEMBER, "*", "")},
    "T26 of a type in other letters": of_types(MEMBER.lower()),
    "T26 of no type": with_(lambda p: {"type": ["VerifiableCredential"]}),
    "T26 of a further type that the issuer is not believed for": of_types(MEMBER, "GoldCredential"),
    # T27
    "T27 about two": with_(lambda p: {"credentialSubject": [about(p)["credentialSubject"], {"id": p.stage.holder.did}]}),
    "T27 about nobody": with_(lambda p: {"credentialSubject": {"memberOf": "the space"}}),
    "T27 about another": with_(lambda p: {"credentialSubject": {"id": p.stage.holder.did}}),
    "T27 sub of another": lambda p: [p.presentation(p.credential(sub=p.stage.holder.did))],
    "T27 about a name that begins like ours": with_(lambda p: {"credentialSubject": {"id": p.did + "x"}}),
    # what is dated inside counts as much as what is dated outside
    "over, by its claims": lambda p: [p.presentation(p.credential(exp=at(-60)))],
    "over, by itself": with_(lambda p: {"expirationDate": ago(minutes=1)}),
    "not yet, by its claims": lambda p: [p.presentation(p.credential(nbf=at(60)))],
    "not yet, by itself": with_(lambda p: {"issuanceDate": ago(minutes=-1)}),
    "a date that is none": with_(lambda p: {"expirationDate": "soon"}),
    # T32
    "T32 unknown status": with_(lambda p: {"credentialStatus": {"id": "x", "type": "OtherStatus2030"}}),
    "T32 status without type": with_(lambda p: {"credentialStatus": {"id": "x"}}),
    "T32 known and unknown status": with_(lambda p: {"credentialStatus": [p.status(), {"id": "x", "type": "OtherStatus2030"}]}),
    "T32 unknown schema": with_(lambda p: {"credentialSchema": {"id": f"{p.stage.canary.url}/s", "type": "OtherSchema"}}),
    "T32 schema of an internal host": with_(lambda p: {"credentialSchema": {"id": f"{p.stage.canary.url}/s", "type": "JsonSchema"}}),
    "T32 context of an internal host": with_(lambda p: {"@context": [f"{p.stage.canary.url}/c"]}),
    # S7: a name of an issuer and an address are no reason to go anywhere
    "S7 the list of a credential that nobody signed": lambda p: [
        p.presentation(*(of_mallory(p, tree={"credentialStatus": elsewhere(p, n)}) for n in range(3)))
    ],
    "S7 the list of a true credential with another list": lambda p: [p.presentation(rewritten(p))],
    "S7 the list of a presentation that nobody signed": lambda p: [
        p.presentation(p.credential(tree={"credentialStatus": elsewhere(p, 1)}), by=p.stage.holder.key)
    ],
    # T29: the entry
    **{f"T29 index {index!r}": at_index(index) for index in ("131072", "-1", "x", "1e3", "", " 7", "0x7", "7.0", None, [7])},
    "T29 index of 400 digits": at_index("9" * 400),
    "T29 purpose of another list": with_(lambda p: {"credentialStatus": p.status(statusPurpose="suspension")}),
    "T29 purpose unknown": with_(lambda p: {"credentialStatus": p.status(statusPurpose="whim")}),
    "T29 list that is not there": with_(lambda p: {"credentialStatus": p.status(url=f"{p.stage.host.url}/none")}),
    "T29 list as a file": with_(lambda p: {"credentialStatus": p.status(url="file:///dev/zero")}),
    "T29 list as data": with_(lambda p: {"credentialStatus": p.status(url="data:,x")}),
    "T29 list without scheme": with_(lambda p: {"credentialStatus": p.status(url="//localhost/x")}),
}  # fmt: skip


@pytest.mark.parametrize("shows", SHOWN.values(), ids=SHOWN)
async def test_what_is_shown_and_lies_proves_nothing(stage: Stage, shows: Shows) -> None:
    party = stage.party(shows=shows)
    await stage.refuses(party.token())
    assert party.asked, "the attack was not played"


async def test_what_a_member_shows_is_taken(stage: Stage) -> None:
    stage.host.pages["/status/1"] = stage.list_page()
    for shows in (
        None,
        lambda p: [p.presentation(p.credential(tree={"credentialStatus": p.status()}))],
        lambda p: [presentation_2(p, credential_2(p, p.stage.issuer.key))],
        # one that lies beside one that does not: each is judged on its own
        lambda p: ["x", p.presentation()],
    ):
        await stage.takes(stage.party(shows=shows).token())


async def test_t10_keys_sign_what_they_are_declared_for(stage: Stage) -> None:
    await stage.refuses(stage.party(uses=(Relationship.INVOCATION,), document=_other_relationship).token())
    accused = stage.party(uses=(Relationship.INVOCATION, Relationship.AUTHENTICATION))
    shown = stage.party(shows=lambda p: [p.presentation(p.credential(by=accused))])
    await stage.refuses(shown.token())


def _other_relationship(tree: dict[str, Any]) -> dict[str, Any]:
    """The one key is for messages, and another one for presentations."""
    (one,) = tree["verificationMethod"]
    other = {**one, "id": one["id"].replace("key-1", "key-2"), "publicKeyJwk": jose.generate("x").public.jwk()}
    return {**tree, "verificationMethod": [one, other], "authentication": [other["id"]]}


# --- T29 and T30: the list itself


def _long(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def listed(encoded: bytes) -> dict[str, Any]:
    return {"subject": {"encodedList": "u" + base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()}}


LISTS: dict[str, Callable[[Stage], bytes]] = {
    "T29 unsigned": lambda s: json.dumps(json.loads(_payload(s.list_page()))).encode(),
    "T29 of another issuer": lambda s: s.list_page(by=s.party()),
    "T29 of the holder": lambda s: s.list_page(by=s.holder),
    "T29 signed by another in the issuer's name": lambda s: s.list_page(by=Party(s, "issuer", s.holder.key)),
    "T29 another purpose": lambda s: s.list_page(subject={"statusPurpose": "suspension"}),
    "T29 too short": lambda s: s.list_page(subject={"encodedList": packed(bits(size=16_383))}),
    "T29 over": lambda s: s.list_page(validUntil=ago(minutes=1)),
    "T29 not yet": lambda s: s.list_page(validFrom=ago(minutes=-1)),
    "T29 another list": lambda s: s.list_page(id="https://other.example/status/1"),
    "T29 no list": lambda s: s.list_page(type=["VerifiableCredential"]),
    "T29 revoked": lambda s: s.list_page(7),
    "T29 not packed": lambda s: s.list_page(subject={"encodedList": "uAAAA"}),
    "T29 nothing": lambda s: b"",
    "T29 HTML": lambda s: b"<html></html>",
    "T30 packed twice": lambda s: s.list_page(**listed(_long(_long(bytes(1 << 20))))),
    "T30 more after its end": lambda s: s.list_page(**listed(_long(bytes(16_384)) + _long(bytes(16_384)))),
    "T30 cut": lambda s: s.list_page(**listed(_long(bytes(range(256)) * 64)[:-20])),
    "T30 five megabytes of JSON": lambda s: b'{"x": "' + b"x" * (5 << 20) + b'"}',
    "T30 deep": lambda s: b"[" * 100_000,
}  # fmt: skip


def _payload(raw: bytes) -> bytes:
    part = raw.split(b".")[1]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


@pytest.mark.parametrize("made", LISTS.values(), ids=LISTS)
async def test_a_list_that_cannot_be_relied_upon_withdraws_what_rests_on_it(
    stage: Stage, made: Callable[[Stage], bytes]
) -> None:
    await stage.refuses(_holder_of(stage, made(stage)).token())


def _holder_of(stage: Stage, page: bytes) -> Party:
    """A party whose credential stands in the list that `page` is."""
    stage.host.pages["/status/1"] = page
    return stage.party(shows=lambda p: [p.presentation(p.credential(tree={"credentialStatus": p.status()}))])


async def test_t29_a_list_that_cannot_be_had_at_the_moment_is_a_reason_to_come_again(stage: Stage) -> None:
    party = _holder_of(stage, b"x")
    stage.host.statuses["/status/1"] = 500
    answer = await stage.ask(party.token())
    del stage.host.statuses["/status/1"]
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


async def test_t30_a_bomb_is_refused_in_bounded_memory_and_time(stage: Stage) -> None:
    path = stage.space.folder / "bomb"
    with gzip.open(path, "wb") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
    party = _holder_of(stage, stage.list_page(**listed(path.read_bytes())))
    tracemalloc.start()
    begun = time.perf_counter()
    await stage.refuses(party.token())
    took, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 5
    assert peak < 64 << 20


async def test_t30_a_wallet_that_drips_is_left_within_the_time_limit() -> None:
    from tests.attacks.stage import opened

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    async with opened(outbound={"total_timeout_s": 0.5}) as stage:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        party = stage.party(
            document=lambda tree: {**tree, "service": [{**tree["service"][0], "serviceEndpoint": f"http://localhost:{port}"}]}
        )
        begun = time.perf_counter()
        assert (await stage.ask(party.token())).status_code == 503
        assert time.perf_counter() - begun < 5
        server.close()
