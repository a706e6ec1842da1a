"""What a holder shows: choosing among its credentials, and putting them into presentations for one verifier.

What lives here: `choose`, `present`. Pure: the current time and new ids are arguments.
What does not: where credentials are kept, and who may ask (`tokens.granted`).
Source: DCP 1.0, section 5.4.2 (presentations of one data model each), appendix A; Securing VCs using JOSE and COSE, section 3.1.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from connector import jose
from connector.identity import profiles
from connector.identity.formats import Credential, Model
from connector.identity.scopes import Scope
from connector.jose import SigningKey

LIFE: Final = timedelta(minutes=1)


def choose(held: Iterable[Credential], scopes: Collection[Scope], now: datetime) -> tuple[Credential, ...]:
    """Those that a scope means, that are good now, and that say something: one with a bare subject makes EDC refuse the whole."""
    return tuple(
        one
        for one in held
        if one.token is not None
        and one.claims
        and any(scope.matches(one.types, one.id) for scope in scopes)
        and (one.valid_from is None or one.valid_from <= now)
        and (one.valid_until is None or one.valid_until > now)
    )


def present(
    chosen: Sequence[Credential],
    key: SigningKey,
    *,
    holder: str,
    verifier: str,
    now: datetime,
    ids: Iterator[str],
    models: Sequence[Model] = (Model.V1, Model.V2),
    life: timedelta = LIFE,
) -> tuple[str, ...]:
    """The presentations of `chosen` for `verifier` alone, one for each data model that occurs.

    A type that is held in several of `models` is shown in the first only: connectors of the Eclipse family refuse a whole
    answer in which data model 2.0 occurs, so show them 1.1 alone.
    """
    shown: set[str] = set()
    found: list[str] = []
    for model in models:
        raws = [one.token.raw for one in chosen if one.model is model and one.token is not None and not shown & {*one.types}]
        shown |= {type_ for one in chosen if one.model is model for type_ in one.types}
        if raws:
            at = int(now.timestamp())
            times = {"iat": at, "nbf": at, "exp": at + int(life.total_seconds())}
            claims = {"iss": holder, "aud": verifier, "jti": next(ids), **times}
            found.append(_version_1(key, claims, raws) if model is Model.V1 else _version_2(key, claims, raws))
    return tuple(found)


def _version_1(key: SigningKey, claims: dict[str, Any], raws: list[str]) -> str:
    presentation = {"@context": [Model.V1], "type": ["VerifiablePresentation"], "verifiableCredential": raws}
    return jose.sign(key, {**claims, "sub": claims["iss"], "vp": presentation}, type_="JWT")


def _version_2(key: SigningKey, claims: dict[str, Any], raws: list[str]) -> str:
    presentation = {
        "@context": [Model.V2],
        "type": ["VerifiablePresentation"],
        "holder": claims["iss"],
        "verifiableCredential": [
            {"@context": [Model.V2], "type": "EnvelopedVerifiableCredential", "id": f"data:application/vc+jwt,{raw}"}
            for raw in raws
        ],
    }
    return jose.sign(key, {**claims, **presentation}, type_=profiles.PRESENTATION_2_TYPE, cty="vp")
