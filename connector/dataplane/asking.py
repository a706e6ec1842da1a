"""What a consumer's request becomes when it is passed on to an upstream: its address, its headers. Pure.

What lives here: `address_of`, which keeps every request at or below the address that the operator published, and `headers_of`.
What does not: sending it (`upstream.py`), and who may ask at all (the port Authorizer).
Source: RFC 3986, sections 3.3, 5.2.4 and 6.2.2; RFC 9110, section 7.6.1.

INVARIANT: nothing that a consumer sends leads out of the published address. A path is refused when it has an empty step, `.`, `..`
or a backslash in any reading: as it is, and decoded again as often as it can be, because an upstream may decode once more. So is one
that was no UTF-8: what is left of it is not what was asked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from connector.dataplane.manifests import is_plain
from connector.errors import BadMessage, MethodNotAllowed, NotFound, TooLarge, UnsupportedMediaType
from connector.ports.dataplane import DataRequest, Passing, Source

ASKED: Final = (
    "accept", "accept-language", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    "last-event-id", "range", "want-content-digest", "want-repr-digest",
)  # fmt: skip
"""What passes from a consumer that reads."""
POSTED: Final = ("accept", "accept-language", "content-language", "content-length", "content-type")
"""What passes from a consumer that posts."""
_READ: Final = frozenset(ASKED)
_MOST_DECODINGS: Final = 4
_MOST_PARAMETERS: Final = 200
_PARAMETERS: Final = re.compile(";[^/]*")
"""Of a step (RFC 3986, section 3.3)."""
_LOST: Final = "\ufffd"
"""What stands in a decoded text for bytes that are no UTF-8."""


def check_method(passing: Passing, request: DataRequest) -> None:
    """Nothing, when the upstream may be asked so.

    Raises: MethodNotAllowed.
    """
    if request.method in ("GET", "HEAD") and "GET" in passing.methods:
        return
    allowed = ("GET", "HEAD", *(method for method in passing.methods if method != "GET"))
    if "GET" not in passing.methods:
        allowed = passing.methods
    if request.method not in allowed:
        raise MethodNotAllowed(f"this data is read by {' and '.join(allowed)}", allowed=allowed)


def address_of(source: Source, request: DataRequest) -> str:
    """The address of the upstream that `request` asks for.

    Raises: NotFound when paths do not pass, BadMessage for a path or query that is refused.
    """
    if not request.path and not request.query:
        return _without_fragment(source.url or "")
    parts = urlsplit(source.url or "")
    path = parts.path
    if request.path:
        if not source.passing.path:
            raise NotFound("there is no such data", mend="ask for the address of the data itself")
        check_path(request.path)
        path = f"{path.rstrip('/')}/{quote(request.path, safe='/')}"
    query = parts.query
    if request.query:
        passed = passed_query(source, request.query)
        query = "&".join(part for part in (query, passed) if part)
    return urlunsplit(parts._replace(path=path, query=query, fragment=""))


@lru_cache(maxsize=1024)
def _without_fragment(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(fragment=""))


def check_path(path: str) -> None:
    """Nothing, when `path` leads down only, however often it is decoded.

    Raises: BadMessage.
    """
    reading = path
    for _ in range(_MOST_DECODINGS):
        # a folder may be asked for with its slash
        if not is_plain(reading.removesuffix("/")) or "\\" in reading or _LOST in reading or not reading.isprintable():
            break
        # some servers take what follows a semicolon off a step before they look at it
        if not is_plain(_PARAMETERS.sub("", reading.removesuffix("/"))):
            break
        decoded = unquote(reading)
        if decoded == reading:
            return
        reading = decoded
    raise BadMessage(
        "this path is not served", where="path", mend="name a path below the data, without `.`, `..` or empty steps"
    )


def passed_query(source: Source, query: str) -> str:
    """The parameters of a consumer that reach the upstream, written anew.

    Raises: BadMessage for a parameter that does not pass: dropping it would answer another question than was asked.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as fault:
        raise BadMessage("this query cannot be read", where="query", mend="write it as `name=value&name=value`") from fault
    # names by any case: some upstreams tell none from another
    fixed = {name.casefold() for name, _ in parse_qsl(urlsplit(source.url or "").query, keep_blank_values=True)}
    allowed = source.passing.query
    for name, _ in pairs:
        if name.casefold() in fixed or not ("*" in allowed or name in allowed):
            known = ", ".join(f"`{one}`" for one in allowed if one.casefold() not in fixed and one != "*")
            mend = f"known here: {known}" if known else "leave it out"
            raise BadMessage(f"the parameter `{name[:100]}` is not served", where="query", mend=mend)
    return urlencode(pairs)


def headers_of(request: DataRequest, max_body_bytes: int) -> dict[str, str]:
    """The headers of `request` that pass.

    Raises: TooLarge, BadMessage, UnsupportedMediaType for the body of a POST.
    """
    if request.method != "POST":
        if _READ.isdisjoint(request.headers):
            return {}
        return {name: request.headers[name] for name in ASKED if name in request.headers}
    if "content-encoding" in request.headers:
        raise UnsupportedMediaType("this body is encoded", where="Content-Encoding", mend="send it as it is")
    length = request.headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 19):
        raise BadMessage("this is no length", where="Content-Length")
    if length is not None and int(length) > max_body_bytes:
        raise TooLarge(f"the body has {length} bytes", mend=f"send at most {max_body_bytes} bytes")
    return {name: request.headers[name] for name in POSTED if name in request.headers}
