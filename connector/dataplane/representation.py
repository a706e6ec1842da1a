"""What HTTP says about a representation: byte ranges, conditions, digests, names. Pure.

What does not live here: reading and sending bytes.
Source: RFC 9110 (HTTP Semantics), sections 8.8, 13 and 14; RFC 9530 (Digest Fields); RFC 6266 (Content-Disposition).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from connector import strict
from connector.errors import BadMessage, TooLarge

Headers = Mapping[str, str]
"""Names in lower case."""

MOST_OF_A_REASON: Final = 2000
"""Bytes of a refusal that are worth reading."""

_RANGE = re.compile(r"(?i:bytes)=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")
_CONTENT_RANGE = re.compile(r"(?i:bytes) +([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes `first` to `last` of a representation, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What tells one state of a representation from another."""

    etag: str
    """Strong, in quotes."""
    modified: datetime


# --- ranges


def wanted_span(header: str | None, size: int) -> Span | None:
    """The part of `size` bytes that a `Range` header asks for; None for the whole.

    What is no single byte range is ignored, as the standard allows: the whole is never wrong.

    Raises: ValueError when no byte of the range exists; answer 416.
    Source: RFC 9110, sections 14.1.2 and 14.2.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise ValueError("nothing to send")
        return Span(first=max(0, size - int(suffix)), last=size - 1)
    if last and int(last) < int(first):
        return None  # not a valid range: ignored
    if int(first) >= size:
        raise ValueError("behind the end")
    return Span(first=int(first), last=min(int(last), size - 1) if last else size - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where the content of a message belongs in the whole."""

    span: Span
    total: int | None
    """None: not known yet."""


def content_range(header: str) -> Placed:
    """What a `Content-Range` header says.

    Raises: BadMessage when it is none of bytes.
    Source: RFC 9110, section 14.4.
    """
    found = _CONTENT_RANGE.fullmatch(header.strip())
    total = int(found.group(3)) if found and found.group(3) else None
    if found is None or int(found.group(2)) < int(found.group(1)) or (total is not None and int(found.group(2)) >= total):
        raise BadMessage("this is no range of bytes", where="Content-Range", mend="write it as `bytes 0-99/1000`")
    return Placed(span=Span(first=int(found.group(1)), last=int(found.group(2))), total=total)


# --- conditions


def precondition(method: str, headers: Headers, validators: Validators) -> int | None:
    """The status that the conditions of a request lead to, 304 or 412; None to go on.

    Source: RFC 9110, section 13.2.2, steps 1 to 4.
    """
    match, unmodified = headers.get("if-match"), _date(headers.get("if-unmodified-since"))
    if match is not None:
        if not _is_listed(match, validators.etag, weak=False):
            return 412
    elif unmodified is not None and validators.modified > unmodified:
        return 412
    none_match, since = headers.get("if-none-match"), _date(headers.get("if-modified-since"))
    if none_match is not None:
        if _is_listed(none_match, validators.etag, weak=True):
            return 304 if method in ("GET", "HEAD") else 412
    elif since is not None and method in ("GET", "HEAD") and validators.modified <= since:
        return 304
    return None


def range_holds(headers: Headers, validators: Validators) -> bool:
    """Whether the range asked for is one of this state: without `If-Range` it always is.

    Source: RFC 9110, section 13.1.5.
    """
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.strip().startswith(('"', "W/")):
        return condition.strip() == validators.etag
    # a date is no strong validator within the second in which it was made; ours are of files, whose ETag is finer
    return _date(condition) == validators.modified


def http_date(moment: datetime) -> str:
    """`moment` as HTTP writes dates, to the second."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _is_listed(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    entries = (entry.strip() for entry in header.split(","))
    return any(entry == etag or (weak and entry.removeprefix("W/") == etag) for entry in entries)


def _date(header: str | None) -> datetime | None:
    if not header:
        return None
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# --- digests and names


def digest_field(digest: str) -> str:
    """A SHA-256 in hexadecimal as a `Repr-Digest` writes it.

    Source: RFC 9530, sections 3 and 5.
    """
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def digest_of(headers: Headers, *, is_whole: bool) -> str | None:
    """The SHA-256 of the whole, hexadecimal, that a message announces; None when it announces none.

    `Content-Digest` is that of the whole only when the content `is_whole`. Other algorithms are not looked at.

    Raises: BadMessage when it cannot be read: a digest that is ignored protects nobody.
    Source: RFC 9530, sections 2 and 3.
    """
    for name in ("repr-digest", "content-digest") if is_whole else ("repr-digest",):
        found = digest_in(headers, name, "sha-256", 32)
        if found is not None:
            return found.hex()
    return None


def digest_in(headers: Headers, name: str, algorithm: str, length: int) -> bytes | None:
    """The digest by `algorithm`, of `length` bytes, in the field `name`; None when there is none; raises as `digest_of`."""
    found: bytes | None = None
    for member in headers.get(name, "").split(","):
        key, _, value = member.partition("=")
        if key.strip(" \t") != algorithm:
            continue
        text = value.partition(";")[0].strip(" \t")
        try:
            raw = base64.b64decode(text[1:-1], validate=True) if len(text) > 2 and text[0] == text[-1] == ":" else b""
        except binascii.Error:
            raw = b""
        if len(raw) != length:
            raise BadMessage(f"this is no digest by {algorithm}", where=name, mend=f"write it as `{algorithm}=:BASE64:`")
        # of a member that comes twice the last one counts (RFC 9651, section 3.2)
        found = raw
    return found


def disposition(name: str) -> str:
    """A `Content-Disposition` that suggests `name` to the receiver.

    Source: RFC 6266, section 4.
    """
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def reason_in(body: bytes) -> str:
    """What a refusal says, after a colon, in one line; empty when it says nothing. Of problem details, the detail.

    Source: RFC 9457, section 3.1.4.
    """
    text = body.decode("utf-8", "replace")
    try:
        tree = strict.scan(body)
    except (BadMessage, TooLarge):
        tree = None
    if isinstance(tree, dict) and isinstance(tree.get("detail"), str):
        text = tree["detail"]
    words = " ".join(text.split())[:300]
    return f": {words}" if words else ""
