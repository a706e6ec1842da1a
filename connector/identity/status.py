"""Status lists: the bits that say which of an issuer's credentials hold no longer.

What lives here: `pack` and `unpack` of the bits, `value` (those of one entry), `StatusList`, `read`. Pure: the same bytes always give
the same list, and those that many credentials share are read once (whole members of a space stand in one list).
What does not: whether the list's signature counts (`credentials.py`), and fetching it.
Source: W3C Bitstring Status List 1.0, sections 2.2, 3.2 and 3.3; Status List 2021 for credentials of data model 1.1.
"""

from __future__ import annotations

import base64
import binascii
import functools
import gzip
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connector import strict
from connector.errors import BadMessage, TooLarge, Unproven
from connector.identity import formats, profiles
from connector.jose import PublicKey

LEAST_BITS: Final = 131_072
MOST_BYTES: Final = 4 << 20  # 33 million entries
LIMITS: Final = strict.Limits(max_bytes=4 << 20, max_depth=16)

_MOST_SHARED: Final = 64
_MOST_SHARED_BYTES: Final = 64 << 10

_PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "BitstringStatusListEntry": ("BitstringStatusListCredential", "BitstringStatusList"),
    "StatusList2021Entry": ("StatusList2021Credential", "StatusList2021"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """A list as it was read; nothing of it is proven."""

    credential: formats.Credential
    bits: bytes
    digest: str
    """SHA-256 of the list as it was served, the beginning of it: its version, for the record of decisions."""
    proven_by: list[PublicKey] = field(default_factory=list, compare=False, repr=False)
    """The keys that are known to have signed these very bytes: nothing that changes, only work that was done."""


def read(data: bytes, entry: formats.StatusEntry) -> StatusList:
    """The list that `entry` names: a token, or a JSON object, which has no signature.

    Raises: Unproven when it is another list, has another purpose, is too short, or is no list.
    Source: Bitstring Status List 1.0, section 3.2, steps 4 to 10.
    """
    credential, digest, proven_by = _shared(data) if len(data) <= _MOST_SHARED_BYTES else _whole(data)
    type_, subject = _PAIRS[entry.type]
    if type_ not in credential.types or credential.claims.get("type") != subject:
        raise _refused(f"what stands at `{entry.list_url}` is no {subject}")
    if credential.id is not None and credential.id != entry.list_url:
        raise _refused(f"the list at `{entry.list_url}` says it is {strict.shown(credential.id)}")
    purposes = credential.claims.get("statusPurpose")
    if entry.purpose not in (purposes if isinstance(purposes, list) else [purposes]):
        raise _refused(f"the list is for {strict.shown(purposes)}, the credential's entry for `{entry.purpose}`")
    encoded = credential.claims.get("encodedList")
    if not isinstance(encoded, str):
        raise _refused("the list has no `encodedList`")
    return StatusList(credential=credential, bits=unpack(encoded), digest=digest, proven_by=proven_by)


def value(bits: bytes, index: int, size: int = 1) -> int:
    """What the entry at `index` says; index 0 is the left-most bit.

    Raises: Unproven when the list has no such entry (RANGE_ERROR).
    """
    first = index * size
    if not 0 <= first <= len(bits) * 8 - size:
        raise _refused(f"the list has no entry {index}")
    end = first + size
    window = int.from_bytes(bits[first // 8 : (end + 7) // 8], "big")
    return window >> (-end % 8) & ((1 << size) - 1)


def unpack(encoded: str) -> bytes:
    """The bits in an `encodedList`, with or without the multibase `u`, which only the newer specification asks for.

    Memory is bounded whatever the list claims to hold. Raises: Unproven, also when there are fewer entries than lawful.
    """
    if len(encoded) > LIMITS.max_bytes:
        raise _refused("the list is too long to be read")
    text = encoded.removeprefix("u").rstrip("=")
    try:
        packed = binascii.a2b_base64(text.translate(_TO_PLAIN) + "=" * (-len(text) % 4), strict_mode=True)
        # one stream of gzip and nothing after it; never more than the bound, however little it takes to say more
        unpacking = zlib.decompressobj(wbits=31)
        bits = unpacking.decompress(packed, MOST_BYTES + 1)
    except (binascii.Error, zlib.error, ValueError) as fault:
        raise _refused("the list is not packed as base64url of gzip") from fault
    if len(bits) > MOST_BYTES:
        raise _refused(f"the list holds more than {MOST_BYTES * 8} bits")
    if not unpacking.eof or unpacking.unused_data:
        raise _refused("the list breaks off, or goes on after its end")
    if len(bits) * 8 < LEAST_BITS:
        raise _refused(f"the list has {len(bits) * 8} bits, lists have at least {LEAST_BITS}")
    return bits


def pack(bits: bytes) -> str:
    """The `encodedList` of `bits`: multibase base64url of gzip; the same bits always give the same text."""
    return "u" + base64.urlsafe_b64encode(gzip.compress(bits, mtime=0)).rstrip(b"=").decode()


_TO_PLAIN = str.maketrans("-_", "+/")


@functools.lru_cache(maxsize=_MOST_SHARED)
def _shared(data: bytes) -> tuple[formats.Credential, str, list[PublicKey]]:
    return _whole(data)


def _whole(data: bytes) -> tuple[formats.Credential, str, list[PublicKey]]:
    return _credential(data), hashlib.sha256(data).hexdigest()[:16], []


def _credential(data: bytes) -> formats.Credential:
    text = data.strip()
    if not text.startswith(b"{"):
        try:
            return formats.read_credential(text.decode("ascii"), profiles.STATUS_LIST)
        except UnicodeDecodeError as fault:
            raise _refused("the list is neither a token nor JSON") from fault
    try:
        tree: Any = strict.scan(text, LIMITS)
    except (BadMessage, TooLarge) as fault:
        raise _refused(f"the list is not strict JSON: {fault}") from fault
    enveloped = formats.unwrapped_credential(tree)
    if enveloped is not None:
        return formats.read_credential(enveloped, profiles.STATUS_LIST)
    return formats.read_unsigned(tree)


def _refused(words: str) -> Unproven:
    return Unproven(words, check="status-list")
