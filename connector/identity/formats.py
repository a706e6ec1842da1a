"""Credentials and presentations, read from both data models into one.

What lives here: `Credential`, `Presentation`, and reading them from tokens. Pure; nothing read here is proven.
What does not: whether they count (`credentials.py`), and the bits of status lists (`status.py`).
Source: VC Data Model 1.1 (JWT, section 6.3.1) and 2.0 with Securing VCs using JOSE and COSE; DCP 1.0, appendix A (profiles
`vc11-sl2021/jwt` and `vc20-bssl/jwt`). JSON-LD is not processed: both models say what the terms mean without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from connector import jose, strict
from connector.errors import Unproven
from connector.identity import profiles

_DATE = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-5][0-9])"
)
_DATA: Final = {
    "data:application/vc+jwt,": "EnvelopedVerifiableCredential",
    "data:application/vp+jwt,": "EnvelopedVerifiablePresentation",
}
_MOST_CREDENTIALS: Final = 32
_MOST_ENTRIES: Final = 4
_MOST_INDEX: Final = 1 << 40


class Model(StrEnum):
    """A version of the data model, by the context that every credential of it has."""

    V1 = "https://www.w3.org/2018/credentials/v1"
    V2 = "https://www.w3.org/ns/credentials/v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEntry:
    """Where a credential's issuer says whether it still holds."""

    type: str
    purpose: str
    index: int
    list_url: str
    size: int = 1
    """Bits per entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A verifiable credential of either model."""

    model: Model
    id: str | None
    types: tuple[str, ...]
    """Without `VerifiableCredential`."""
    issuer: str
    subject: str | None
    claims: Mapping[str, Any]
    """What is said of the subject, without its id."""
    valid_from: datetime | None
    """The latest of the dates that it gives."""
    valid_until: datetime | None
    """The earliest."""
    status: tuple[StatusEntry, ...]
    schemas: tuple[str, ...]
    """Addresses of JSON Schemas that it must fit."""
    tree: Mapping[str, Any]
    """The credential itself, as it was signed."""
    token: jose.Token | None
    """None for one without a signature, which only a status list may be, and only by a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """Credentials as their holder shows them."""

    model: Model
    holder: str
    credentials: tuple[Credential, ...]
    token: jose.Token


def read_presentation(item: object, *, verifier: str, holder: str, now: datetime) -> Presentation:
    """The presentation of `holder` for `verifier` in an element of a PresentationResponseMessage.

    Raises: Unproven when it is none, is not for this verifier alone, is over, or holds something unreadable.
    """
    raw = _unwrapped(item, "data:application/vp+jwt,")
    if raw is None:
        raise _refused("format", f"a presentation must be a token, this is {strict.shown(item)}")
    token = jose.read(raw, max_bytes=profiles.PRESENTATION.profile.max_bytes)
    if "EnvelopedVerifiablePresentation" in _texts(token.claims.get("type")):
        # EDC's wallet 0.15 wraps presentations of data model 2.0 so; the inner one has no `iss`, `aud` or `exp`
        raise _refused("format", "the presentation is inside another token and is bound to no verifier")
    token = profiles.PRESENTATION.open(token, now=now, audience=verifier, issuer=holder)
    claims = token.claims
    tree = claims.get("vp", claims)
    if not isinstance(tree, dict | MappingProxyType) or "VerifiablePresentation" not in _texts(tree.get("type")):
        raise _refused("format", "the token holds no VerifiablePresentation")
    model = Model.V1 if "vp" in claims else Model.V2
    if "vp" in claims and token.type == profiles.PRESENTATION_2_TYPE:
        raise _refused("format", "a presentation of data model 2.0 has no `vp` claim")
    _need_context(tree, model)
    named = tree.get("holder")
    if claims.get("sub", holder) != holder or (_id(named) if named is not None else holder) != holder:
        raise _refused("holder", "`sub` or `holder` of the presentation is another than `iss`")
    items = tree.get("verifiableCredential", [])
    items = items if isinstance(items, list) else [items]
    if len(items) > _MOST_CREDENTIALS:
        raise _refused("size", f"the presentation has {len(items)} credentials, at most {_MOST_CREDENTIALS} are read")
    credentials = tuple(_presented(one, model) for one in items)
    return Presentation(model=model, holder=holder, credentials=credentials, token=token)


def read_credential(raw: str, verifier: jose.TokenVerifier = profiles.CREDENTIAL) -> Credential:
    """The credential in a token. Its dates are read and not judged.

    Raises: Unproven when it is none, or the token's own claims contradict it.
    """
    token = jose.read(raw, max_bytes=verifier.profile.max_bytes)
    verifier.judge_use(token)
    claims = token.claims
    if "vc" not in claims:
        return _credential(claims, Model.V2, token)
    if token.type == profiles.CREDENTIAL_2_TYPE:
        raise _refused("format", "a credential of data model 2.0 has no `vc` claim")
    if not isinstance(claims["vc"], dict):
        raise _refused("format", "the `vc` claim is no object")
    return _credential(claims["vc"], Model.V1, token)


def read_unsigned(tree: Mapping[str, Any]) -> Credential:
    """The credential in a JSON object without a signature.

    Raises: Unproven.
    """
    model = Model.V1 if Model.V1 in _texts(tree.get("@context")) else Model.V2
    return _credential(tree, model, None)


def unwrapped_credential(item: object) -> str | None:
    """The token in a text, or in an EnvelopedVerifiableCredential; None for anything else."""
    return _unwrapped(item, "data:application/vc+jwt,")


def _presented(item: object, model: Model) -> Credential:
    # one model per presentation (DCP 1.0, section 5.4.2): text in 1.1, enveloped in 2.0
    raw = unwrapped_credential(item)
    if raw is None:
        raise _refused("format", f"a credential must be a token, this is {strict.shown(item)}")
    found = read_credential(raw)
    if found.model is not model or isinstance(item, str) is not (model is Model.V1):
        raise _refused("format", "a presentation and its credentials must be of one data model")
    return found


def _credential(tree: Mapping[str, Any], model: Model, token: jose.Token | None) -> Credential:
    _need_context(tree, model)
    types = _texts(tree.get("type"))
    _need_type(tree, types)
    issuer = _id(tree.get("issuer"))
    if not issuer:
        raise _refused("issuer", "the credential names no issuer")
    subjects = tree.get("credentialSubject")
    subjects = subjects if isinstance(subjects, list) else [subjects]
    if len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise _refused("subject", "the credential must have exactly one subject")
    subject = _id(subjects[0].get("id"))
    id_ = _id(tree.get("id"))
    begins = [_date(tree, name) for name in ("issuanceDate", "validFrom")]
    ends = [_date(tree, name) for name in ("expirationDate", "validUntil")]
    if token is not None:
        # not `jti`: it is the credential's `id` in 1.1 and the token's own in 2.0, and issuers in the field draw one in both
        _need_same(token, {"iss": issuer, "sub": subject})
        begins += [_instant(token.claims.get("nbf")), _instant(token.claims.get("iat"))]
        ends.append(token.expires)
    return Credential(
        model=model,
        id=id_,
        types=tuple(one for one in types if one != "VerifiableCredential"),
        issuer=issuer,
        subject=subject,
        claims=MappingProxyType({name: value for name, value in subjects[0].items() if name != "id"}),
        valid_from=max((one for one in begins if one is not None), default=None),
        valid_until=min((one for one in ends if one is not None), default=None),
        status=tuple(_status(tree)),
        schemas=tuple(_schemas(tree)),
        tree=tree,
        token=token,
    )


def _status(tree: Mapping[str, Any]) -> Iterator[StatusEntry]:
    for entry in _objects(tree, "credentialStatus"):
        type_ = entry.get("type")
        if type_ not in ("StatusList2021Entry", "BitstringStatusListEntry"):
            raise _refused("status", f"a status of type {strict.shown(type_)} cannot be judged")
        purpose, url = entry.get("statusPurpose"), entry.get("statusListCredential")
        index, size = _number(entry.get("statusListIndex")), _number(entry.get("statusSize", 1))
        if not isinstance(purpose, str) or not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise _refused("status", "a status entry has no purpose, or no address of a list")
        if index is None or size is None or not 1 <= size <= 8:
            raise _refused("status", f"the index {strict.shown(entry.get('statusListIndex'))} of a status entry is none")
        yield StatusEntry(type=str(type_), purpose=purpose, index=index, list_url=url, size=size)


def _schemas(tree: Mapping[str, Any]) -> Iterator[str]:
    for entry in _objects(tree, "credentialSchema"):
        id_ = entry.get("id")
        if entry.get("type") not in ("JsonSchema", "JsonSchemaValidator2018") or not isinstance(id_, str):
            raise _refused("schema", f"a schema of type {strict.shown(entry.get('type'))} cannot be judged")
        if not id_.startswith(("https://", "http://")):
            raise _refused("schema", f"the schema {strict.shown(id_)} has no address")
        yield id_


def _objects(tree: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = tree.get(name)
    entries = [] if found is None else found if isinstance(found, list) else [found]
    if len(entries) > _MOST_ENTRIES or not all(isinstance(one, dict) for one in entries):
        raise _refused("format", f"`{name}` has too many entries, or one that is no object")
    return entries


def _number(value: object) -> int | None:
    """An index: a text of digits (as the specifications say) or a number (as some write it)."""
    if isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,12}", value):
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST_INDEX else None


def _unwrapped(item: object, prefix: str) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and _DATA[prefix] in _texts(item.get("type")):
        id_ = item.get("id")
        if isinstance(id_, str) and id_.startswith(prefix):
            return id_.removeprefix(prefix)
    return None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _id(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def _need_context(tree: Mapping[str, Any], model: Model) -> None:
    contexts = _texts(tree.get("@context"))
    if model not in contexts or {*Model} & set(contexts) != {model}:
        raise _refused("format", f"`@context` must have `{model.value}` and that of no other data model")


def _need_type(tree: Mapping[str, Any], types: tuple[str, ...]) -> None:
    if "VerifiableCredential" not in types or len(types) > 16:
        raise _refused("format", f"`type` is {strict.shown(tree.get('type'))}, which is not that of a VerifiableCredential")


def _need_same(token: jose.Token, said: Mapping[str, str | None]) -> None:
    """Raises: Unproven when a claim of the token contradicts what the credential says (VC 1.1, 6.3.1)."""
    for name, inner in said.items():
        if token.claims.get(name, inner) != inner:
            words = f"`{name}` is {strict.shown(token.claims[name])}, the credential says {strict.shown(inner)}"
            raise _refused("issuer" if name == "iss" else "contradiction", words)


def _date(tree: Mapping[str, Any], name: str) -> datetime | None:
    value = tree.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
        raise ValueError(name)
    except (ValueError, OverflowError) as fault:
        raise _refused("format", f"`{name}` is {strict.shown(value)}, which is no date with a time zone") from fault


def _instant(value: Any) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
