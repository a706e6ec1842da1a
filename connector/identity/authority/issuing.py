"""Writing what an authority signs: credentials of both data models, and the lists that say which of them hold no longer.

What lives here: `credential`, `status_list`. Pure: keys, ids and the current time are arguments.
What does not: reading them back (`formats.py`, `status.py`, which the tests hold against this), and deciding who gets one.
Source: VC Data Model 1.1 (section 6.3.1) with StatusList2021; VC Data Model 2.0 with Securing VCs using JOSE and COSE and Bitstring
Status List 1.0; DCP 1.0, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connector import jose, strict
from connector.identity import status
from connector.identity.authority.kinds import CredentialType
from connector.identity.formats import Model
from connector.jose import SigningKey

LIST_LIFE: Final = timedelta(hours=24)
_ENTRY: Final = {Model.V1: "StatusList2021Entry", Model.V2: "BitstringStatusListEntry"}
_LIST: Final = {Model.V1: "StatusList2021", Model.V2: "BitstringStatusList"}
_LIST_CONTEXT: Final = "https://w3id.org/vc/status-list/2021/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A place in a status list that belongs to one credential."""

    list: str
    """The list's name, the last part of its address."""
    url: str
    purpose: str
    index: int


def credential(
    kind: CredentialType,
    claims: Mapping[str, Any],
    *,
    key: SigningKey,
    issuer: str,
    subject: str,
    entries: Sequence[Entry],
    id_: str,
    now: datetime,
) -> str:
    """The signed credential of `kind` that says `claims` of `subject`, and stands on the status lists of `entries`."""
    begins = now.replace(microsecond=0)
    ends = begins + kind.life
    tree: dict[str, Any] = {
        "@context": [kind.model.value, *([_LIST_CONTEXT] if kind.model is Model.V1 and entries else [])],
        "id": id_,
        "type": ["VerifiableCredential", kind.type],
        "issuer": issuer,
        "credentialSubject": {"id": subject, **claims},
    }
    if entries:
        shown = [_entry(kind.model, entry) for entry in entries]
        tree["credentialStatus"] = shown[0] if len(shown) == 1 else shown
    if kind.model is Model.V1:
        tree |= {"issuanceDate": _date(begins), "expirationDate": _date(ends)}
        times = {"nbf": _second(begins), "iat": _second(begins), "exp": _second(ends)}
        return jose.sign(key, {"iss": issuer, "sub": subject, "jti": id_, **times, "vc": tree}, type_="JWT")
    tree |= {"validFrom": _date(begins), "validUntil": _date(ends)}
    # `iat` and `exp` are those of the signature, and must not say otherwise than the credential
    tree |= {"iss": issuer, "sub": subject, "iat": _second(begins), "exp": _second(ends)}
    return jose.sign(key, tree, type_="vc+jwt", cty="vc")


def status_list(
    model: Model,
    purpose: str,
    bits: bytes,
    *,
    key: SigningKey,
    issuer: str,
    url: str,
    now: datetime,
    life: timedelta = LIST_LIFE,
) -> str:
    """The signed status list that stands at `url`."""
    tree = plain_status_list(model, purpose, bits, issuer=issuer, url=url, now=now, life=life)
    begins = now.replace(microsecond=0)
    times = {"iat": _second(begins), "exp": _second(begins + life)}
    if model is Model.V1:
        claims = {"iss": issuer, "sub": f"{url}#list", "jti": url, "nbf": _second(begins), **times, "vc": tree}
        return jose.sign(key, claims, type_="JWT")
    return jose.sign(key, {**tree, "iss": issuer, **times}, type_="vc+jwt", cty="vc")


def plain_status_list(
    model: Model, purpose: str, bits: bytes, *, issuer: str, url: str, now: datetime, life: timedelta = LIST_LIFE
) -> dict[str, Any]:
    """The status list without a signature: all that connectors of the Eclipse family can read."""
    begins = now.replace(microsecond=0)
    packed = status.pack(bits)
    if model is Model.V1:
        # only the newer specification writes the multibase prefix
        dates = {"issuanceDate": _date(begins), "expirationDate": _date(begins + life)}
        packed = packed.removeprefix("u")
    else:
        dates = {"validFrom": _date(begins), "validUntil": _date(begins + life)}
    return {
        "@context": [model.value, *([_LIST_CONTEXT] if model is Model.V1 else [])],
        "id": url,
        "type": ["VerifiableCredential", f"{_LIST[model]}Credential"],
        "issuer": issuer,
        **dates,
        "credentialSubject": {"id": f"{url}#list", "type": _LIST[model], "statusPurpose": purpose, "encodedList": packed},
    }


def with_bit(bits: bytes, index: int, *, is_set: bool) -> bytes:
    """`bits` with one entry changed; index 0 is the left-most bit."""
    if not 0 <= index < len(bits) * 8:
        raise IndexError(f"a list of {len(bits) * 8} entries has no entry {strict.shown(index)}")
    found = bytearray(bits)
    mask = 0x80 >> index % 8
    found[index // 8] = found[index // 8] | mask if is_set else found[index // 8] & ~mask
    return bytes(found)


def _entry(model: Model, entry: Entry) -> dict[str, Any]:
    return {
        "id": f"{entry.url}#{entry.index}",
        "type": _ENTRY[model],
        "statusPurpose": entry.purpose,
        # a text in both specifications
        "statusListIndex": str(entry.index),
        "statusListCredential": entry.url,
    }


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _second(moment: datetime) -> int:
    return int(moment.timestamp())
