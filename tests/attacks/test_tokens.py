"""Attacks by tokens (T1 to T23): each is refused with the one answer that says nothing, and makes the node fetch nothing it should not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connector import jose
from connector.identity.did import Relationship
from tests.attacks.stage import Party, Stage, changed, reason, signed_with, written
from tests.identity.hosts import host

pytestmark = pytest.mark.asyncio(loop_scope="module")
Attack = Callable[[Party], str]
NOTHING = b""


def _hmac(key: bytes, name: str = "sha256") -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(key, data, name).digest()


def _public(holder: Party, form: str) -> bytes:
    numbers = holder.key.public.numbers
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    match form:
        case "PEM":
            return numbers.public_bytes(serialization.Encoding.PEM, info)
        case "PEM stripped":
            return numbers.public_bytes(serialization.Encoding.PEM, info).strip()
        case "DER":
            return numbers.public_bytes(serialization.Encoding.DER, info)
        case "JWK":
            return json.dumps(holder.key.public.jwk()).encode()
    return json.dumps(holder.key.public.jwk(), sort_keys=True, separators=(",", ":")).encode()


def symmetric(form: str, alg: str = "HS256") -> Attack:
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
    return lambda holder: written({"alg": alg, "kid": holder.key.id}, holder.claims, _hmac(_public(holder, form), digest))


def unsigned(alg: Any) -> Attack:
    return lambda holder: written({"alg": alg, "kid": holder.key.id}, holder.claims, NOTHING)


def of_another(holder: Party) -> str:
    """Signed by somebody with a document of their own, in the holder's name."""
    mallory = holder.stage.party()
    return holder.token({"kid": mallory.key.id}, by=mallory.key)


def access_token(holder: Party) -> str:
    """What only a wallet makes for itself."""
    head = {"alg": "ES256", "kid": holder.key.id, "typ": "dcp-at+jwt"}
    return signed_with(holder.key, head, {**holder.claims, "scope": "x"})


def headed(**header: Any) -> Attack:
    return lambda holder: holder.token(header)


def claiming(**changes: Any) -> Attack:
    return lambda holder: holder.token(**changes)


def in_time(**shift: float) -> Attack:
    """Times as shifts from now, in seconds."""
    return lambda holder: holder.token(**{name: int(time.time() + by) for name, by in shift.items()})


def raw_claims(change: Callable[[str], str]) -> Attack:
    """Claims whose text is changed before they are signed."""

    def made(holder: Party) -> str:
        body = change(json.dumps(holder.claims)).encode()
        return signed_with(holder.key, {"alg": "ES256", "kid": holder.key.id}, body)

    return made


def _own_key(holder: Party) -> dict[str, Any]:
    mallory = jose.generate("x")
    return {"by": mallory, "jwk": mallory.public.jwk()}


def with_own_key(name: str) -> Attack:
    def made(holder: Party) -> str:
        mallory = jose.generate(holder.key.id)
        place = f"{holder.stage.canary.url}/keys"
        value: Any = {"jwk": mallory.public.jwk(), "jku": place, "x5u": place, "x5c": ["MIIB"]}[name]
        return holder.token({name: value}, by=mallory)

    return made


TOKENS: dict[str, Attack] = {
    # T1
    **{f"T1 alg {alg!r}": unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "", None, 0, ["ES256"])},
    "T1 alg none with a signature": lambda holder: written({"alg": "none", "kid": holder.key.id}, holder.claims, b"x" * 64),
    "T1 no alg": lambda holder: written({"kid": holder.key.id}, holder.claims, b"x" * 64),
    "T1 empty signature": lambda holder: written({"alg": "ES256", "kid": holder.key.id}, holder.claims, NOTHING),
    "T1 zero signature": lambda holder: written({"alg": "ES256", "kid": holder.key.id}, holder.claims, bytes(64)),
    "T1 two parts": lambda holder: holder.token().rpartition(".")[0],
    "T1 four parts": lambda holder: holder.token() + ".x",
    "T1 padding": lambda holder: holder.token() + "==",
    "T1 other bits at the end": lambda holder: holder.token()[:-1] + ("B" if holder.token()[-1] != "B" else "C"),
    # T2
    **{f"T2 HMAC with the {form}": symmetric(form) for form in ("PEM", "PEM stripped", "DER", "JWK", "JWK canonical")},
    "T2 HS384 with the PEM": symmetric("PEM", "HS384"),
    "T2 HS512 with the PEM": symmetric("PEM", "HS512"),
    "T2 HMAC with an empty key": lambda holder: written({"alg": "HS256", "kid": holder.key.id}, holder.claims, _hmac(b"")),
    # T3
    **{f"T3 {alg} with an EC key": headed(alg=alg) for alg in ("RS256", "PS256", "ES384", "ES512", "EdDSA", "Ed25519", "ES256K")},
    # T4
    **{f"T4 {name} of the attacker": with_own_key(name) for name in ("jwk", "jku", "x5u", "x5c")},
    # T5
    "T5 crit unknown": headed(crit=["x"], x=1),
    "T5 crit b64": headed(crit=["b64"], b64=False),
    "T5 crit empty": headed(crit=[]),
    "T5 crit of exp": headed(crit=["exp"]),
    "T5 b64 without crit": headed(b64=False),
    "T5 zip": headed(zip="DEF"),
    "T5 enc": headed(enc="A256GCM"),
    # T6
    "T6 key of another identity": lambda holder: holder.token({"kid": holder.stage.party().key.id}),
    "T6 own key, own kid, the victim's name": lambda holder: of_another(holder),
    "T6 kid that begins like the victim": lambda holder: holder.token({"kid": f"{holder.did}x#key-1"}),
    "T6 kid that ends like the victim": lambda holder: holder.token({"kid": f"x{holder.did}#key-1"}),
    "T6 kid that fits the victim as a pattern": lambda holder: holder.token({"kid": holder.did.replace("h", ".") + "#key-1"}),
    "T6 relative kid": lambda holder: holder.token({"kid": "#key-1"}),
    "T6 bare kid": lambda holder: holder.token({"kid": "key-1"}),
    "T6 kid as a path": lambda holder: holder.token({"kid": "../../../../dev/null"}),
    "T6 kid as a number": headed(kid=1),
    "T6 two fragments": lambda holder: holder.token({"kid": f"{holder.key.id}#key-1"}),
    "T6 a victim's signature under another's name": lambda holder: holder.token(iss=holder.stage.party().did),
    # T13
    **{f"T13 no {name}": claiming(**{name: ...}) for name in ("exp", "iat", "jti", "aud", "iss", "sub", "token")},
    **{f"T13 empty {name}": claiming(**{name: ""}) for name in ("jti", "aud", "iss", "sub", "token")},
    **{f"T13 null {name}": claiming(**{name: None}) for name in ("exp", "iat", "jti", "aud", "iss", "sub", "token")},
    "T13 jti as a number": claiming(jti=1),
    "T13 jti of a novel": claiming(jti="x" * 10_000),
    # T14
    **{f"T14 exp {value!r}": claiming(exp=value) for value in ("9999999999", 9999999999.5, -1, 0, True, [9999999999])},
    "T14 exp of 400 digits": raw_claims(lambda text: text.replace('"exp": ', f'"exp": {10**400}, "x": ')),
    "T14 exp NaN": raw_claims(lambda text: text.replace('"exp": ', '"exp": NaN, "x": ')),
    "T14 exp Infinity": raw_claims(lambda text: text.replace('"exp": ', '"exp": Infinity, "x": ')),
    "T14 exp 1e400": raw_claims(lambda text: text.replace('"exp": ', '"exp": 1e400, "x": ')),
    "T14 iat in the future": in_time(iat=60, exp=120),
    "T14 iat of yesterday": in_time(iat=-86_400, nbf=-86_400),
    "T14 nbf in the future": in_time(nbf=60),
    "T14 over": in_time(iat=-400, nbf=-400, exp=-60),
    "T14 good for too long": in_time(exp=7200),
    "T14 ends before it begins": in_time(iat=4, nbf=4, exp=2),
    "T14 two ends": raw_claims(lambda text: text.replace('"exp": ', '"exp": 9999999999, "exp": ')),
    "T14 two names": raw_claims(lambda text: text.replace('"iss": ', '"iss": "did:web:x", "iss": ')),
    "T14 two names, one escaped": raw_claims(lambda text: text.replace('"iss": ', '"i\\u0073s": "did:web:x", "iss": ')),
    # T15
    "T15 us and another": lambda holder: holder.token(aud=[holder.stage.acme.id, holder.did]),
    "T15 us twice": lambda holder: holder.token(aud=[holder.stage.acme.id] * 2),
    "T15 a beginning of us": lambda holder: holder.token(aud=holder.stage.acme.id[:-1]),
    "T15 more than us": lambda holder: holder.token(aud=holder.stage.acme.id + ":x"),
    "T15 our key": lambda holder: holder.token(aud=holder.stage.acme.id + "#key-1"),
    "T15 our address": lambda holder: holder.token(aud=holder.stage.acme.address),
    "T15 nobody": claiming(aud=[]),
    "T15 everybody": claiming(aud="*"),
    "T15 another spelling of us": lambda holder: holder.token(aud=holder.stage.acme.id.replace("%3A", "%3a")),
    # T20
    "T20 a presentation": lambda holder: holder.presentation(),
    "T20 a credential": lambda holder: holder.credential(),
    "T20 an access token": lambda holder: access_token(holder),
    "T20 an access token without its type": claiming(scope="x"),
    "T20 an OAuth2 access token": headed(typ="at+jwt"),
    "T20 a credential of the issuer, sent by its holder": lambda holder: holder.credential(sub=holder.stage.issuer.did),
    "T20 a key of its own in the claims": lambda holder: holder.token(by=jose.generate("x"), sub_jwk=_own_key(holder)["jwk"]),
    # T21
    "T21 for another participant of the same node": lambda holder: holder.token(aud=holder.stage.other.id),
    "subject of another": lambda holder: holder.token(sub=holder.stage.issuer.did),
    "a large token": claiming(x="x" * 40_000),
    "a deep token": raw_claims(lambda text: text[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}"),
    "a header that is a list": lambda holder: written(b"[]", holder.claims, bytes(64)),
    "claims that are a text": lambda holder: signed_with(holder.key, {"alg": "ES256", "kid": holder.key.id}, b'"x"'),
    "U+0000": claiming(jti="a\0b"),
}  # fmt: skip


@pytest.mark.parametrize("attack", TOKENS.values(), ids=TOKENS)
async def test_a_token_that_lies_is_refused(stage: Stage, attack: Attack) -> None:
    asked = len(stage.holder.asked)
    await stage.refuses(attack(stage.holder))
    assert len(stage.holder.asked) == asked, "nobody's wallet is asked for a sender that is not proven"


async def test_an_honest_token_is_taken(stage: Stage) -> None:
    await stage.takes(stage.holder.token())


NAMES = [
    "did:web:.*", "did:web:localhost%3A{port}.*", "did:web:localhost%3A{port}:../holder", "did:web:localhost%3A{port}:..%2Fholder",
    "did:web:localhost%3A{port}:holder\0", "did:web:localhost%3A{port}:holder\r\nX: 1", "did:web:localhost%3A{port}:holder#x",
    "did:web:localhost%3A{port}:holder?x=1", "did:web:user@localhost%3A{port}:holder", "did:web:user%40localhost%3A{port}:holder",
    "did:web:localhost%3A{port}: holder", "did:web:localhost%3A{port}:holder ", " did:web:localhost%3A{port}:holder",
    "did:web:localhost%2F%3A{port}", "did:web:localhost%3A{port}:ho\u200blder", "DID:WEB:localhost%3A{port}:holder",
    "did:key:z6Mkf", "did:web:", "did:web", "", "holder", "https://localhost:{port}/holder", "did:web:localhost%3A{port}:%2e%2e:x",
    "did:web:localhost%3A{port}::holder", "did:web:localhost%3A{port}:holder:", "did:web:localhost%3A{port}:holder%23x",
    "did:web:localhost%253A{port}:holder",
    "did:web:localhost%3A99999999", "did:web:[::1]%3A{port}:holder", "did:web:localhost%3A{port}:" + "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_t8_a_name_that_is_more_than_a_name_makes_us_fetch_nothing(stage: Stage, name: str) -> None:
    # the canary answers whatever it is asked: it would prove these names
    name = name.replace("{port}", str(stage.canary.port))
    raw = signed_with(
        stage.holder.key, {"alg": "ES256", "kid": f"{name}#key-1"}, {**stage.holder.claims, "iss": name, "sub": name}
    )
    await stage.refuses(raw)


# --- T10 to T12: what the document says


DOCUMENTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "T11 of another": lambda tree: {**tree, "id": "did:web:other.example"},
    "T11 of another spelling": lambda tree: {**tree, "id": tree["id"].replace("%3A", "%3a")},
    "T11 without a name": lambda tree: {k: v for k, v in tree.items() if k != "id"},
    "T11 another controls the key": lambda tree: _method(tree, controller="did:web:other.example"),
    "T11 the same method twice": lambda tree: {**tree, "verificationMethod": tree["verificationMethod"] * 2},
    "T11 a private key": lambda tree: _method(tree, publicKeyJwk={**tree["verificationMethod"][0]["publicKeyJwk"], "d": "AAAA"}),
    "T11 a symmetric key": lambda tree: _method(tree, publicKeyJwk={"kty": "oct", "k": "AAAA"}),
    "T11 a point that is on no curve": lambda tree: _method(tree, publicKeyJwk={"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
    "T11 a key of another document": lambda tree: _method(tree, id="did:web:other.example#key-1"),
    "T11 no method": lambda tree: {**tree, "verificationMethod": []},
    "T10 a relationship with a method that is not there": lambda tree: {**tree, "capabilityInvocation": ["#other"]},
}  # fmt: skip


def _method(tree: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**tree, "verificationMethod": [{**tree["verificationMethod"][0], **changes}]}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_that_lies_proves_nobody(stage: Stage, document: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    await stage.refuses(stage.party(document=document).token())


@pytest.mark.parametrize("use", [Relationship.AUTHENTICATION, Relationship.ASSERTION])
async def test_t10_a_key_for_something_else_signs_no_messages(stage: Stage, use: Relationship) -> None:
    await stage.refuses(stage.party(uses=(use,)).token())


async def test_t3_a_key_that_is_too_weak_or_of_another_type_proves_nobody(stage: Stage) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    jwk = {"kty": "RSA", "n": _b64(weak.public_key().public_numbers().n), "e": "AQAB"}
    party = stage.party(document=lambda tree: _method(tree, publicKeyJwk=jwk))
    await stage.refuses(party.token())
    other = stage.party(key=jose.generate(f"{stage.host.did}:p384#key-1", "P-384"), name="p384")
    await stage.refuses(signed_with(other.key, {"alg": "ES256", "kid": other.key.id}, other.claims))
    await stage.refuses(signed_with(other.key, {"alg": "ES512", "kid": other.key.id}, other.claims))


def _b64(number: int) -> str:
    import base64

    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_t12_without_a_name_a_key_counts_only_when_it_is_the_only_one(stage: Stage) -> None:
    def nameless(party: Party) -> str:
        return signed_with(party.key, {"alg": "ES256"}, party.claims)

    await stage.takes(nameless(stage.party()))
    second = jose.generate("x").public.jwk()

    def two(tree: dict[str, Any]) -> dict[str, Any]:
        (one,) = tree["verificationMethod"]
        other = {**one, "id": one["id"].replace("key-1", "key-2"), "publicKeyJwk": second}
        return {**tree, "verificationMethod": [one, other], "capabilityInvocation": [one["id"], other["id"]]}

    await stage.refuses(nameless(stage.party(document=two)))


# --- T16 and T17: used once


async def test_t16_a_token_counts_once(stage: Stage) -> None:
    raw = stage.holder.token()
    await stage.takes(raw)
    await stage.refuses(raw)
    # another signature over the same claims is the same token
    claims = stage.holder.claims
    head = {"alg": "ES256", "kid": stage.holder.key.id}
    await stage.takes(signed_with(stage.holder.key, head, claims))
    await stage.refuses(signed_with(stage.holder.key, {**head, "typ": "JWT"}, changed(claims, {"exp": claims["exp"] + 1})))


async def test_t16_of_fifty_copies_at_once_one_is_accepted(stage: Stage) -> None:
    raw = stage.holder.token()
    answers = await asyncio.gather(*(stage.ask(raw) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49


async def test_t16_a_refused_token_uses_up_nobodys_name(stage: Stage) -> None:
    jti = stage.new_id()
    await stage.refuses(stage.holder.token(by=jose.generate("x"), jti=jti))
    await stage.takes(stage.holder.token(jti=jti))


async def test_t17_one_issuers_names_say_nothing_of_anothers(stage: Stage) -> None:
    jti = stage.new_id()
    await stage.takes(stage.holder.token(jti=jti))
    await stage.takes(stage.party().token(jti=jti))
    # and a token for another participant of the node is another token
    assert (await stage.ask(stage.holder.token(jti=jti, aud=stage.other.id), to=stage.other)).status_code == 200


async def test_t16_a_token_counts_once_across_a_restart() -> None:
    from tests.attacks.stage import opened

    async with opened(store="sqlite:///kontor.db") as stage:
        raw = stage.holder.token()
        await stage.takes(raw)
        await stage.space.stop(stage.acme)
        await stage.space.start(stage.acme)
        await stage.refuses(raw)
        await stage.takes(stage.holder.token())


# --- T20, T22, T23: at the other doors


async def test_t20_a_token_to_a_connector_opens_no_operator_api(stage: Stage) -> None:
    for raw in (stage.holder.token(), stage.holder.presentation(), stage.holder.credential()):
        answer = await stage.http.get(
            f"{stage.acme.app.operator_url}/api/v1/participants", headers={"Authorization": f"Bearer {raw}"}
        )
        assert answer.status_code == 401


async def granted(stage: Stage) -> str:
    """An access token that our participant gave to the holder, by sending it a message."""
    from connector.api.catalog import CatalogRequest
    from connector.errors import KontorError

    heads: list[str] = []

    def caught(head: str, body: bytes) -> bytes:
        heads.append(head)
        return b"{}"

    async with host() as peer:
        peer.pages["/catalog/request"] = caught
        with pytest.raises(KontorError):
            await stage.acme.send(stage.acme.calls.catalog_of(CatalogRequest(address=peer.url, peer=stage.holder.did)))
    (line,) = (line for line in heads[0].split("\r\n") if line.lower().startswith("authorization: "))
    return str(jose.read(line.split(" ")[2], max_bytes=1 << 16).claims["token"])


async def query(stage: Stage, raw: str, scope: Any = "org.eclipse.dspace.dcp.vc.type:MembershipCredential") -> int:
    from connector.identity import messages

    body = json.dumps(messages.query([scope])).encode()
    url = f"{stage.acme.app.public_url}/acme/dcp/presentations/query"
    headers = {"Authorization": f"Bearer {raw}", "Content-Type": "application/json"}
    return (await stage.http.post(url, content=body, headers=headers)).status_code


async def test_t22_and_t23_an_access_token_is_its_receivers_alone_and_for_what_it_says(stage: Stage) -> None:
    mallory, access = stage.party(), await granted(stage)
    # stolen: another shows it
    assert await query(stage, mallory.token(token=access)) == 401
    # by itself it opens nothing
    assert await query(stage, access) == 401
    # what the holder makes up itself
    forged = signed_with(
        stage.holder.key,
        {"alg": "ES256", "kid": stage.holder.key.id, "typ": "dcp-at+jwt"},
        {**stage.holder.claims, "scope": "x"},
    )
    for made_up in (forged, stage.holder.token(), access[:-4] + "AAAA", "x"):
        assert await query(stage, stage.holder.token(token=made_up)) == 401
    # its receiver gets an answer, and it is used up by then or good for no more than it says
    assert await query(stage, stage.holder.token(token=access)) == 200
    assert await query(stage, stage.holder.token(token=access), "org.eclipse.dspace.dcp.vc.type:SensitiveDataCredential") in (
        200,
        401,
        403,
    )


async def test_every_refusal_reads_the_same_and_says_nothing_of_the_cause(stage: Stage) -> None:
    found = {
        str(reason(await stage.ask(raw)))
        for raw in (None, "x", stage.holder.token(exp=...), stage.holder.token(by=jose.generate("x")))
    }
    assert len(found) == 1


async def test_the_failed_check_is_in_the_log(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "kontor"):
        await stage.refuses(stage.holder.token(aud="did:web:other.example"))
    refused = [record for record in caplog.records if record.getMessage() == "identity.refused"]
    assert len(refused) == 1
    fields = str(refused[0].__dict__)
    assert "audience" in fields
    assert hashlib.sha256(b"").hexdigest() not in fields
