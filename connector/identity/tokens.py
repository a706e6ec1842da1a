"""Self-issued tokens and access tokens: written, read, and bound to who sends them to whom.

What lives here: `self_issued` and `access` (ours), `open_self_issued` and `prove_self_issued` (a sender's), `granted` (our own access
tokens when they come back), `bearer`. Pure: the current time and new ids are arguments.
What does not: looking up documents (`resolver.py`), remembering which `jti` was used (`ports/replay.py`).
Source: DCP 1.0, sections 4.3 (self-issued ID tokens) and 5.3 (access token, proof of possession).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from connector import jose, strict
from connector.errors import BadMessage, Unproven
from connector.identity import profiles
from connector.identity.did import Document, Relationship
from connector.identity.scopes import ALIASES, By, Scope, parse_all
from connector.jose import SigningKey, Token

LIFE: Final = timedelta(minutes=5)
_MOST_TOKEN: Final = 16 << 10


def self_issued(
    key: SigningKey,
    *,
    sender: str,
    receiver: str,
    now: datetime,
    jti: str,
    token: str | None = None,
    code: str | None = None,
    nonce: str | None = None,
    life: timedelta = LIFE,
) -> str:
    """The token with which `sender` proves itself to `receiver` once.

    `token` is what the receiver may ask the sender's credential service with, or, in a question to a credential service, what
    the other side gave; `code` is a pre-authorized code of an offer, `nonce` what an authority wants named.
    """
    claims = {**_claims(sender, sender, receiver, now, jti, life)}
    if token is not None:
        claims["token"] = token
    if code is not None:
        claims["pre-authorized_code"] = code
    if nonce is not None:
        claims["nonce"] = nonce
    # no `typ`: as all known wallets write it
    return jose.sign(key, claims)


def access(
    key: SigningKey, *, holder: str, verifier: str, scopes: Sequence[str], now: datetime, jti: str, life: timedelta = LIFE
) -> str:
    """The token that lets `verifier` alone ask `holder` for what `scopes` mean."""
    claims = {**_claims(holder, verifier, holder, now, jti, life), "scope": " ".join(scopes)}
    return jose.sign(key, claims, type_=profiles.ACCESS_TYPE)


def open_self_issued(raw: str, *, receiver: str, now: datetime, needs_token: bool = False) -> Token:
    """The token of a sender, lawful in everything that can be judged before its document is looked up.

    The sender is `token.issuer`. Look up nothing for a token that does not open; then `prove_self_issued`, then use up its `jti`.

    Raises: Unproven.
    Source: DCP 1.0, section 4.3.3, steps 1, 2, 6 and 7.
    """
    token = profiles.SELF_ISSUED.open(raw, now=now, audience=receiver)
    sender = token.claims["iss"]
    if token.claims["sub"] != sender:
        raise _refused("subject", f"`sub` is {strict.shown(token.claims['sub'])}, `iss` is {strict.shown(sender)}")
    # INVARIANT: the key is the sender's: equal as text, never as a pattern or a beginning
    if token.key_id is not None and token.key_id.partition("#")[0] != sender:
        raise _refused("issuer", f"{strict.shown(sender)} names the key {strict.shown(token.key_id)}")
    inner = token.claims.get("token")
    if inner is None and needs_token:
        raise _refused("token", "the token holds no access token for the sender's credential service")
    if "token" in token.claims and (not isinstance(inner, str) or not inner.strip() or len(inner) > _MOST_TOKEN):
        raise _refused("token", "the access token inside is no text, or too long")
    return token


def prove_self_issued(token: Token, document: Document, *, must_declare: bool = False) -> None:
    """Returns when the sender's document lets the key be used, and that key signed the token.

    Raises: Unproven; with the checks `key-id` and `signature` the document may have changed: look it up anew, once.
    Source: DCP 1.0, section 4.3.3, steps 3 to 5.
    """
    if document.id != token.claims["sub"]:
        raise _refused("did-document", "the document is another's")
    key = document.key(token.key_id, Relationship.INVOCATION, must_declare=must_declare)
    profiles.SELF_ISSUED.prove(token, key)


def granted(
    raw: object,
    *,
    key: Callable[[str | None], jose.PublicKey],
    holder: str,
    verifier: str,
    now: datetime,
    aliases: Mapping[str, By] = ALIASES,
) -> tuple[Token, tuple[Scope, ...]]:
    """Our access token as it came back, and what it lets `verifier`, the proven sender, ask for.

    `key` gives our key by the `kid` that the token names.

    Raises: Unproven when it is not ours, is over, or was given to another.
    Source: DCP 1.0, section 5.3.1 (proof of possession: the `sub` of both tokens is the same).
    """
    if not isinstance(raw, str):
        raise _refused("token", "there is no access token")
    token = profiles.ACCESS.open(raw, now=now, audience=holder, issuer=holder)
    profiles.ACCESS.prove(token, key(token.key_id))
    if token.claims["sub"] != verifier:
        raise _refused("subject", f"the access token was given to {strict.shown(token.claims['sub'])}")
    try:
        return token, parse_all(token.claims["scope"], aliases)
    except BadMessage as fault:
        raise _refused("scope", str(fault)) from fault


def bearer(authorization: str | None) -> str:
    """The token in the value of an `Authorization` header.

    Raises: Unproven when there is none, or another scheme.
    Source: RFC 6750, section 2.1; the scheme's name is case-insensitive (RFC 9110, section 11.1).
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _refused("header", "there is no `Authorization: Bearer` header")
    return token


def _claims(issuer: str, subject: str, audience: str, now: datetime, jti: str, life: timedelta) -> dict[str, Any]:
    at = int(now.timestamp())
    end = at + int(life.total_seconds())
    return {"iss": issuer, "sub": subject, "aud": audience, "iat": at, "nbf": at, "exp": end, "jti": jti}


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
