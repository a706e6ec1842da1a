"""Tokens: what is lawful passes, each known attack fails with its own check, and the outside hears the same words for all."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st

from connector import jose
from connector.errors import ConfigurationError, Unproven

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
WE, THEY = "did:web:us.example", "did:web:them.example"
KEY = jose.generate(f"{THEY}#key-1")
PEM = KEY.public.numbers.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DER = KEY.public.numbers.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
VERIFIER = jose.TokenVerifier(
    profile=jose.Profile(name="self-issued token", types=frozenset({None, "jwt"}), forbidden=("vp", "vc", "sub_jwk"))
)
RSA = jose.SigningKey(id=KEY.id, numbers=rsa.generate_private_key(65537, 2048))
WEAK = jose.SigningKey(id=KEY.id, numbers=rsa.generate_private_key(65537, 1024))


def claims(**changes: Any) -> dict[str, Any]:
    plain = {"iss": THEY, "sub": THEY, "aud": WE, "iat": AT, "exp": AT + 300, "jti": "1", "token": "opaque"}
    return {name: value for name, value in {**plain, **changes}.items() if value is not ...}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(payload: str | dict[str, Any] = "", header: str | dict[str, Any] = "", key: jose.SigningKey = KEY) -> str:
    """A token whose texts are taken as they are, properly signed with ES256."""
    head = header if isinstance(header, str) and header else json.dumps({"alg": "ES256", "kid": KEY.id, **(header or {})})  # type: ignore[dict-item]
    body = payload if isinstance(payload, str) and payload else json.dumps(payload or claims())
    signed = f"{encoded(head.encode())}.{encoded(body.encode())}"
    return (
        f"{signed}.{encoded(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(signed.encode(), key.numbers))}"  # type: ignore[arg-type]
    )


def hmac(secret: bytes) -> str:
    signed = f"{encoded(json.dumps({'alg': 'HS256', 'kid': KEY.id}).encode())}.{encoded(json.dumps(claims()).encode())}"
    return (
        f"{signed}.{encoded(jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed.encode(), secret))}"
    )


def verify(raw: str, key: jose.PublicKey = KEY.public, at: datetime = NOW) -> jose.Token:
    return VERIFIER.verify(raw, key, now=at, audience=WE, issuer=THEY)


def text(name: str, value: str) -> str:
    """The claims as JSON with one of them spelled as given."""
    return json.dumps(claims(**{name: "@"})).replace('"@"', value)


GOOD = token()
JWK = json.dumps(KEY.public.jwk())

ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "T1 none": (lambda: token(header={"alg": "none"}), "algorithm"),
    "T1 None": (lambda: token(header={"alg": "None"}), "algorithm"),
    "T1 no alg": (lambda: token(header='{"kid":"k"}'), "algorithm"),
    "T1 alg is a list": (lambda: token(header={"alg": ["ES256"]}), "algorithm"),
    "T1 alg in lower case": (lambda: token(header={"alg": "es256"}), "algorithm"),
    "T1 empty signature": (lambda: GOOD.rpartition(".")[0] + ".", "form"),
    "T1 no signature": (lambda: GOOD.rpartition(".")[0], "form"),
    "T1 zero signature": (lambda: GOOD.rpartition(".")[0] + "." + encoded(bytes(64)), "signature"),
    "T1 short signature": (lambda: GOOD.rpartition(".")[0] + "." + encoded(bytes(8)), "signature"),
    "T2 PEM": (lambda: hmac(PEM), "algorithm"),
    "T2 DER": (lambda: hmac(DER), "algorithm"),
    "T2 JWK": (lambda: hmac(JWK.encode()), "algorithm"),
    "T2 canonical JWK": (lambda: hmac(json.dumps(KEY.public.jwk(), sort_keys=True, separators=(",", ":")).encode()), "algorithm"),
    "T3 RS256 with an EC key": (lambda: token(header={"alg": "RS256"}), "algorithm"),
    "T3 ES384 with a P-256 key": (lambda: token(header={"alg": "ES384"}), "algorithm"),
    "T3 ES512": (lambda: token(header={"alg": "ES512"}), "algorithm"),
    "T4 jwk": (lambda: token(header={"jwk": KEY.public.jwk()}), "header"),
    "T4 jku": (lambda: token(header={"jku": "http://127.0.0.1/keys"}), "header"),
    "T4 x5u": (lambda: token(header={"x5u": "http://127.0.0.1/keys"}), "header"),
    "T4 x5c": (lambda: token(header={"x5c": ["MIIB"]}), "header"),
    "T5 crit unknown": (lambda: token(header={"crit": ["unheard"], "unheard": 1}), "header"),
    "T5 crit empty": (lambda: token(header={"crit": []}), "header"),
    "T5 b64 false": (lambda: token(header={"crit": ["b64"], "b64": False}), "header"),
    "T5 b64 without crit": (lambda: token(header={"b64": False}), "header"),
    "compressed": (lambda: token(header={"zip": "DEF"}), "header"),
    "T6 another issuer": (lambda: token(claims(iss="did:web:victim.example")), "issuer"),
    **{f"T13 no {name}": ((lambda name=name: token(claims(**{name: ...}))), name) for name in ("exp", "iat", "jti", "aud", "sub")},
    "T13 no iss": (lambda: token(claims(iss=...)), "iss"),
    "T13 empty jti": (lambda: token(claims(jti="")), "jti"),
    "T13 null aud": (lambda: token(claims(aud=None)), "aud"),
    "T14 exp is text": (lambda: token(text("exp", f'"{AT + 300}"')), "exp"),
    "T14 exp is a fraction": (lambda: token(text("exp", f"{AT + 300}.5")), "exp"),
    "T14 exp is NaN": (lambda: token(text("exp", "NaN")), "form"),
    "T14 exp is 1e400": (lambda: token(text("exp", "1e400")), "form"),
    "T14 exp is 10^400": (lambda: token(text("exp", "1" + "0" * 400)), "form"),
    "T14 exp is 10^20": (lambda: token(text("exp", "1" + "0" * 20)), "exp"),
    "T14 exp is true": (lambda: token(text("exp", "true")), "exp"),
    "T14 exp is negative": (lambda: token(text("exp", "-1")), "exp"),
    "T14 exp is over": (lambda: token(claims(exp=AT - 6, iat=AT - 60)), "expired"),
    "T14 iat in a minute": (lambda: token(claims(iat=AT + 60)), "issued-at"),
    "T14 iat yesterday": (lambda: token(claims(iat=AT - 86_400)), "life"),
    "T14 nbf in a minute": (lambda: token(claims(nbf=AT + 60)), "not-before"),
    "T14 too long a life": (lambda: token(claims(exp=AT + 3_601)), "life"),
    "T14 ends before it begins": (lambda: token(claims(iat=AT + 4, exp=AT + 2)), "life"),
    "T15 aud with another": (lambda: token(claims(aud=[WE, "did:web:other.example"])), "audience"),
    "T15 aud is empty": (lambda: token(claims(aud=[])), "aud"),
    "T15 aud begins alike": (lambda: token(claims(aud=WE[:-1])), "audience"),
    "T15 aud goes on": (lambda: token(claims(aud=WE + ".evil")), "audience"),
    "T15 aud is our URL": (lambda: token(claims(aud="https://us.example")), "audience"),
    "T20 a presentation": (lambda: token(claims(vp={})), "type"),
    "T20 a credential": (lambda: token(claims(vc={})), "type"),
    "T20 another typ": (lambda: token(header={"typ": "vp+jwt"}), "type"),
    "T20 an OAuth2 access token": (lambda: token(header={"typ": "application/at+jwt"}), "type"),
    "the draft's own key": (lambda: token(claims(sub_jwk=KEY.public.jwk())), "type"),
    "members twice": (lambda: token(json.dumps(claims())[:-1] + ', "iss": "did:web:victim.example"}'), "form"),
    "header twice": (lambda: token(header='{"alg":"ES256","alg":"none"}'), "form"),
    "padding": (lambda: GOOD + "==", "form"),
    "padding inside": (lambda: GOOD.replace(".", "=.", 1), "form"),
    "a bit left over": (lambda: GOOD[:-1] + chr(ord(GOOD[-1]) + 1), "form"),
    "white space": (lambda: GOOD + "\n", "form"),
    "four parts": (lambda: GOOD + ".x", "form"),
    "no token": (lambda: "garbage", "form"),
    "the JSON form": (lambda: json.dumps({"payload": "x"}), "form"),
    "large": (lambda: token(claims(token="x" * 40_000)), "size"),
    "deep": (lambda: token("[" * 10_000 + "]" * 10_000), "form"),
    "deep header": (lambda: token(header='{"alg":"ES256","a":' + "[" * 5_000 + "]" * 5_000 + "}"), "form"),
    "no object": (lambda: token('["iss"]'), "form"),
    "not UTF-8": (lambda: f"{GOOD.split('.')[0]}.{encoded(bytes([0x7B, 0xFF, 0x7D]))}.AAAA", "form"),
    "kid is a number": (lambda: token(header={"kid": 1}), "kid"),
    "kid with a line break": (lambda: token(header={"kid": "a\r\nb"}), "kid"),
    "changed claims": (lambda: GOOD.split(".")[0] + "." + token(claims(jti="2")).split(".")[1] + "." + GOOD.split(".")[2], "signature"),
    "of another key": (lambda: token(key=jose.generate(KEY.id)), "signature"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails_at_its_own_check(name: str) -> None:
    make, check = ATTACKS[name]
    with pytest.raises(Unproven) as caught:
        verify(make())
    assert caught.value.check == check, caught.value.words
    # the outside hears one sentence, whatever the check
    assert str(caught.value) == "no valid token"
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "raw",
    [
        GOOD,
        token(header={"typ": "JWT"}),
        token(header={"typ": "application/jwt"}),
        token(claims(aud=[WE])),
        token(claims(nbf=AT + 5)),
        token(claims(iat=AT + 5)),
        token(claims(exp=AT - 4, iat=AT - 60)),
        token(claims(unheard={"of": [1, 2]})),
    ],
)
def test_a_lawful_token_passes(raw: str) -> None:
    found = verify(raw)
    assert found.issuer == THEY
    assert found.expires == datetime.fromtimestamp(found.claims["exp"], UTC)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
def test_each_type_of_key_signs_and_is_read_from_its_jwk(kind: str) -> None:
    key = jose.generate(KEY.id, kind)
    raw = jose.sign(key, claims(), type_="JWT")
    assert verify(raw, jose.from_jwk(key.public.jwk())).type == "jwt"
    with pytest.raises(Unproven) as caught:
        verify(raw, RSA.public)
    assert caught.value.check == "algorithm"


def test_ed25519_has_two_names() -> None:
    key = jose.generate(KEY.id, "Ed25519")
    for name in ("EdDSA", "Ed25519"):
        signed = f"{encoded(json.dumps({'alg': name}).encode())}.{encoded(json.dumps(claims()).encode())}"
        assert verify(f"{signed}.{encoded(key.numbers.sign(signed.encode()))}", key.public)  # type: ignore[call-arg,arg-type]


@pytest.mark.parametrize("name", ["RS256", "PS256"])
def test_rsa_is_read_in_both_forms(name: str) -> None:
    assert verify(jwt.encode(claims(), RSA.numbers, algorithm=name), jose.from_jwk(RSA.public.jwk()))


def test_other_libraries_read_what_we_sign() -> None:
    raw = jose.sign(KEY, claims())
    assert (
        jwt.decode(
            raw, KEY.public.numbers, algorithms=["ES256"], audience=WE, options={"verify_exp": False, "verify_iat": False}
        )
        == claims()
    )
    assert jwt.get_unverified_header(raw) == {"alg": "ES256", "kid": KEY.id}


def test_the_clock_may_differ_by_the_leeway_and_no_more() -> None:
    assert verify(GOOD, at=NOW + timedelta(seconds=304))
    with pytest.raises(Unproven):
        verify(GOOD, at=NOW + timedelta(seconds=305))
    assert verify(GOOD, at=NOW - timedelta(seconds=5))
    with pytest.raises(Unproven):
        verify(GOOD, at=NOW - timedelta(seconds=6))


PUBLIC = KEY.public.jwk()


def big(bits: int) -> dict[str, str]:
    return {"kty": "RSA", "n": encoded((1 << (bits - 1) | 1).to_bytes(bits // 8, "big")), "e": "AQAB"}


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        [],
        {},
        {**PUBLIC, "d": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {**PUBLIC, "crv": "P-384"},
        {**PUBLIC, "crv": "secp256k1"},
        {**PUBLIC, "crv": "P-521"},
        {**PUBLIC, "crv": 256},
        {**PUBLIC, "x": PUBLIC["y"]},
        {**PUBLIC, "x": PUBLIC["x"] + "AA"},
        {**PUBLIC, "x": ""},
        {**PUBLIC, "x": None},
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "key_ops": ["sign"]},
        {**PUBLIC, "key_ops": 1},
        {**PUBLIC, "alg": "ES384"},
        {**PUBLIC, "alg": ["ES256"]},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        WEAK.numbers.public_key() and jwt.algorithms.RSAAlgorithm.to_jwk(WEAK.numbers.public_key(), as_dict=True),  # type: ignore[arg-type]
        big(16_384),
    ],
)
def test_a_key_that_must_not_count_is_refused(jwk: object) -> None:
    with pytest.raises(Unproven) as caught:
        jose.from_jwk(jwk)
    assert caught.value.check == "key"


def test_a_member_that_is_null_is_not_there() -> None:
    assert jose.from_jwk({**PUBLIC, "d": None, "use": None, "alg": None, "kid": None}).jwk() == PUBLIC


def test_a_key_is_kept_encrypted_and_never_shown() -> None:
    pem = KEY.to_pem(b"passphrase")
    assert b"ENCRYPTED" in pem
    again = jose.from_pem(KEY.id, pem, b"passphrase")
    assert again.public.jwk() == KEY.public.jwk()
    assert repr(KEY) == f"SigningKey(id='{KEY.id}')"
    for fault in (lambda: KEY.to_pem(b""), lambda: jose.from_pem("k", pem, b"wrong"), lambda: jose.from_pem("k", b"no", b"x")):
        with pytest.raises(ConfigurationError):
            fault()


@pytest.mark.parametrize("numbers", [ed448.Ed448PrivateKey.generate(), ec.generate_private_key(ec.SECP521R1()), WEAK.numbers])
def test_a_key_of_another_type_is_not_opened(numbers: Any) -> None:
    encryption = serialization.BestAvailableEncryption(b"x")
    pem = numbers.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    with pytest.raises(ConfigurationError):
        jose.from_pem("k", pem, b"x")


def test_other_types_of_keys_are_not_made() -> None:
    with pytest.raises(ConfigurationError):
        jose.generate("k", "RSA")


@given(st.text(alphabet="abcXYZ019-_.=+/ \n", max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_no_text_does_more_than_be_refused(raw: str) -> None:
    with pytest.raises(Unproven):
        verify(raw)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABCz019-_."))
def test_no_single_change_passes(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(Unproven):
            verify(changed)
