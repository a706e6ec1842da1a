"""A self-issued token proves its sender once, to one receiver; an access token is worth something to one verifier only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import Unproven
from connector.identity import did, tokens
from connector.identity.did import Relationship
from tests.identity.space import AT, HOLDER, NOW, STRANGER, VERIFIER, Party, changed, party, presentation_1, presentation_2

DCP = "org.eclipse.dspace.dcp.vc.type"
DOCUMENT = HOLDER.document(Relationship.INVOCATION)
ACCESS = tokens.access(HOLDER.key, holder=HOLDER.did, verifier=VERIFIER, scopes=[f"{DCP}:A", f"{DCP}:B:read"], now=NOW, jti="a")


def claims(**changes: Any) -> dict[str, Any]:
    plain = {"iss": HOLDER.did, "sub": HOLDER.did, "aud": VERIFIER, "iat": AT, "exp": AT + 300, "jti": "1", "token": "opaque"}
    return changed(plain, changes)


def made(by: Party = HOLDER, **changes: Any) -> str:
    return jose.sign(by.key, claims(**changes))


def accepted(raw: str, document: did.Document = DOCUMENT, *, needs_token: bool = True) -> jose.Token:
    token = tokens.open_self_issued(raw, receiver=VERIFIER, now=NOW, needs_token=needs_token)
    tokens.prove_self_issued(token, document)
    return token


def test_what_we_issue_is_what_wallets_of_the_field_issue_and_we_accept() -> None:
    raw = tokens.self_issued(HOLDER.key, sender=HOLDER.did, receiver=VERIFIER, now=NOW, jti="1", token=ACCESS)
    token = accepted(raw)
    assert token.claims == claims(token=ACCESS, nbf=AT)
    assert (token.type, token.key_id) == (None, HOLDER.key.id)


def test_the_access_token_inside_may_be_left_out_where_nothing_will_be_asked() -> None:
    assert accepted(tokens.self_issued(HOLDER.key, sender=HOLDER.did, receiver=VERIFIER, now=NOW, jti="1"), needs_token=False)
    offered = tokens.self_issued(HOLDER.key, sender=HOLDER.did, receiver=VERIFIER, now=NOW, jti="1", code="c")
    assert accepted(offered, needs_token=False).claims["pre-authorized_code"] == "c"


CHEATS: dict[str, tuple[Callable[[], str], str]] = {
    "T6 the own key for another": (lambda: made(STRANGER), "issuer"),
    "T6 a key id that is a pattern for it": (lambda: made(iss="did:web:hol.er.example", sub="did:web:hol.er.example"), "issuer"),
    "T6 a key id that begins alike": (lambda: made(replace_id(f"{HOLDER.did}.evil#key-1")), "issuer"),
    "T6 a bare key id": (lambda: made(replace_id("key-1")), "issuer"),
    "T6 iss and sub": (lambda: made(sub=STRANGER.did), "subject"),
    "T6 sub and iss": (lambda: made(iss=STRANGER.did), "subject"),
    "another's signature": (lambda: made(Party(HOLDER.did, jose.generate(HOLDER.key.id))), "signature"),
    "T12 an unknown key": (lambda: made(replace_id(f"{HOLDER.did}#key-2")), "key-id"),
    "T13 no access token": (lambda: made(token=...), "token"),
    "an empty access token": (lambda: made(token=" "), "token"),
    "an access token that is none": (lambda: made(token={"a": 1}), "token"),
    "T15 another receiver": (lambda: made(aud="did:web:other.example"), "audience"),
    "T20 an access token": (lambda: ACCESS, "type"),
    "T20 an access token of the field": (lambda: made(iss=HOLDER.did, aud=HOLDER.did, sub=VERIFIER, scope="x"), "type"),
    "T20 a presentation": (lambda: presentation_1(), "type"),
    "T20 a presentation of 2.0": (lambda: presentation_2(), "type"),
    "T20 a presentation of 2.0 without its type": (lambda: presentation_2(type_=None, sub=HOLDER.did), "type"),
    "T21 sent on by its receiver": (lambda: made(aud=party("third").did), "audience"),
    **{
        f"T8 {name!r}": ((lambda name=name: made(iss=name, sub=name)), check)
        for name, check in {
            "did:web:.*": "issuer", "did:web:holder.example/../x": "issuer", "did:web:a\0": "form", "did:web:a\r\nb": "iss",
            "did:web:a#b": "issuer", "did:web:a?b": "issuer", "did:web:x@a": "issuer", "did:web:a b": "issuer", "": "iss",
        }.items()
    },
}  # fmt: skip


def replace_id(id_: str) -> Party:
    return Party(HOLDER.did, replace(HOLDER.key, id=id_))


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fails_at_its_own_check(name: str) -> None:
    make, check = CHEATS[name]
    with pytest.raises(Unproven) as caught:
        accepted(make())
    assert caught.value.check == check, caught.value.words


@pytest.mark.parametrize(
    "name", ["did:web:.*", "did:web:a/../b", "did:web:a#b", "did:web:a?b", "did:web:x@a.example", "did:web:a b"]
)
def test_an_odd_sender_without_a_key_id_is_no_identifier(name: str) -> None:
    # T8: without `kid` the token opens; the identifier itself is refused before anything is fetched
    signed = jose.sign(replace(HOLDER.key, id="x"), claims(iss=name, sub=name)).split(".")
    raw = ".".join((jose._encoded(b'{"alg":"ES256"}'), *signed[1:]))
    sender = tokens.open_self_issued(raw, receiver=VERIFIER, now=NOW).issuer
    with pytest.raises(Unproven) as caught:
        did.url_of(sender)
    assert caught.value.check == "did"


@pytest.mark.parametrize("use", [Relationship.AUTHENTICATION, Relationship.ASSERTION])
def test_a_key_for_something_else_does_not_count(use: Relationship) -> None:
    # T10
    with pytest.raises(Unproven) as caught:
        accepted(made(), HOLDER.document(use))
    assert caught.value.check == "relationship"
    assert accepted(made(), HOLDER.document())


def test_a_document_of_another_does_not_count() -> None:
    with pytest.raises(Unproven) as caught:
        accepted(made(), replace(DOCUMENT, id=STRANGER.did))
    assert caught.value.check == "did-document"


def grant(raw: Any = ACCESS, verifier: str = VERIFIER, holder: Party = HOLDER, **shift: float) -> list[str]:
    now = NOW + timedelta(**shift)
    return [
        one.value
        for one in tokens.granted(raw, key=lambda _: holder.key.public, holder=holder.did, verifier=verifier, now=now)[1]
    ]


def test_an_access_token_grants_its_scopes_to_its_verifier() -> None:
    assert grant() == ["A", "B"]


@pytest.mark.parametrize(
    ("made", "check"),
    [
        (lambda: grant(verifier=STRANGER.did), "subject"),  # T22
        (lambda: grant(minutes=6), "expired"),  # T23
        (lambda: grant(holder=STRANGER), "issuer"),
        (lambda: grant(holder=Party(HOLDER.did, STRANGER.key)), "algorithm"),
        (lambda: grant(holder=Party(HOLDER.did, jose.generate("x"))), "signature"),
        (lambda: grant(None), "token"),
        (lambda: grant("opaque"), "form"),
        (lambda: grant(made_access(type_=None)), "type"),  # T20
        (lambda: grant(made_access(type_="JWT")), "type"),
        (lambda: grant(made_access(scope=...)), "scope"),
        (lambda: grant(made_access(scope="")), "scope"),
        (lambda: grant(made_access(scope=7)), "scope"),
        (lambda: grant(made_access(aud=VERIFIER)), "audience"),
    ],
)
def test_an_access_token_is_worth_nothing_else(made: Callable[[], Any], check: str) -> None:
    with pytest.raises(Unproven) as caught:
        made()
    assert caught.value.check == check


def made_access(type_: str | None = "dcp-at+jwt", **changes: Any) -> str:
    plain = {"iss": HOLDER.did, "sub": VERIFIER, "aud": HOLDER.did, "iat": AT, "exp": AT + 60, "jti": "a", "scope": f"{DCP}:A"}
    return jose.sign(HOLDER.key, changed(plain, changes), type_=type_)


@pytest.mark.parametrize("value", ["Bearer x.y.z", "bearer x.y.z", "BEARER x.y.z"])
def test_a_token_stands_behind_its_scheme(value: str) -> None:
    assert tokens.bearer(value) == "x.y.z"


@pytest.mark.parametrize("value", [None, "", "x.y.z", "Bearer", "Bearer ", "Basic x", "Bearerx.y.z", " Bearer x"])
def test_anything_else_is_no_token(value: str | None) -> None:
    with pytest.raises(Unproven) as caught:
        tokens.bearer(value)
    assert caught.value.check == "header"
