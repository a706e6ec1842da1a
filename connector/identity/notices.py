"""Notices: what an authority tells the connectors of its space when somebody's standing has changed. Written and read.

What lives here: `Notice`, `write`, `open_`, `prove`. Pure.
What does not: sending them (`authority/announcing.py`), and what a connector does about one (`spaces.py`).

A notice is a compact JWS: `typ` is `kontor-notice+jwt`; `iss` the governance DID, `aud` the DID of the one who gets it, `sub` the id of
the space, `jti`, `iat`, `exp` (five minutes), `about` the DID whose standing has changed, `state` its standing, `seq` the number of the
list of participants that says so. A notice only makes a connector look: what counts is the signed list, and the status lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import jose, strict
from connector.errors import Unproven
from connector.identity.did import Document, Relationship
from connector.identity.trustlists import Standing
from connector.jose import Profile, SigningKey, Token, TokenVerifier

TYPE: Final = "kontor-notice+jwt"
LIFE: Final = timedelta(minutes=5)
VERIFIER: Final = TokenVerifier(
    profile=Profile(
        name="notice",
        types=frozenset({TYPE}),
        required=("iss", "sub", "aud", "exp", "iat", "jti", "about", "state", "seq"),
        forbidden=("vc", "vp", "token", "scope"),
        max_life=timedelta(minutes=15),
        max_bytes=8 << 10,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Somebody's standing has changed."""

    governance: str
    space: str
    about: str
    state: Standing
    seq: int
    token: Token


def write(
    key: SigningKey,
    *,
    governance: str,
    space: str,
    receiver: str,
    about: str,
    state: Standing,
    seq: int,
    now: datetime,
    jti: str,
) -> str:
    """The notice for `receiver` alone."""
    at = int(now.timestamp())
    claims = {"iss": governance, "sub": space, "aud": receiver, "iat": at, "exp": at + int(LIFE.total_seconds()), "jti": jti}
    return jose.sign(key, {**claims, "about": about, "state": state.value, "seq": seq}, type_=TYPE)


def open_(raw: str, *, receiver: str, now: datetime) -> Notice:
    """The notice in `raw`, lawful in everything that needs no key. Raises: Unproven."""
    token = VERIFIER.open(raw, now=now, audience=receiver)
    claims = token.claims
    if token.key_id is None or token.key_id.partition("#")[0] != token.issuer:
        raise Unproven(f"the notice names the key {strict.shown(token.key_id)}", check="issuer")
    if claims["state"] not in [*Standing] or not isinstance(claims["about"], str) or type(claims["seq"]) is not int:
        raise Unproven("the notice says nothing that can be read", check="format")
    return Notice(
        governance=token.issuer,
        space=str(claims["sub"]),
        about=claims["about"],
        state=Standing(claims["state"]),
        seq=claims["seq"],
        token=token,
    )


def prove(notice: Notice, document: Document) -> None:
    """Returns when a key of the governance's document, for assertions, signed the notice. Raises: Unproven."""
    VERIFIER.prove(notice.token, document.key(notice.token.key_id, Relationship.ASSERTION, must_declare=True))
