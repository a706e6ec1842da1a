"""How a client proves itself with its key: one token a request, written and judged. Pure.

Source: RFC 7523, sections 2.2 and 3; RFC 7521, section 4.2.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connector import jose, strict
from connector.errors import Unproven
from connector.identity import profiles
from connector.jose import SigningKey, Token

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE: Final = timedelta(seconds=60)


def written(key: SigningKey, *, client: str, issuer: str, now: datetime, jti: str) -> str:
    """What proves `client` to the provider `issuer`, once."""
    at = int(now.timestamp())
    end = at + int(LIFE.total_seconds())
    claims = {"iss": client, "sub": client, "aud": issuer, "iat": at, "nbf": at, "exp": end, "jti": jti}
    return jose.sign(key, claims)


def opened(raw: str, *, client: str | None, audiences: tuple[str, ...], now: datetime) -> Token:
    """The assertion, lawful in everything that needs no key. Look up nothing for one that does not open.

    `client` is what the request names besides it, which must be the same; `audiences` are the names of this provider.

    Raises: Unproven.
    """
    token = profiles.ASSERTION.open(raw, now=now)
    if token.claims["aud"] not in (*audiences, *([one] for one in audiences)):
        raise _refused("audience", f"`aud` is {strict.shown(token.claims['aud'])}, which is not this provider alone")
    if token.claims["sub"] != token.claims["iss"]:
        raise _refused("subject", "`sub` and `iss` of a client assertion are the same")
    if client is not None and client != token.issuer:
        raise _refused("client", f"the request is of {strict.shown(client)}, the assertion of {strict.shown(token.issuer)}")
    return token


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
