"""Applications for membership, as they are received.

What lives here: `Application`, `read`. Pure. What does not: what becomes of one (`registry.py`).

    {"id": DID, "address": URL, "notices": URL, "attributes": {"name": TEXT, ...}}

`address` is where the applicant's connector answers, `notices` where it takes the authority's notices; both may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connector import strict
from connector.errors import BadMessage, Unproven
from connector.identity import did as dids

LIMITS: Final = strict.Limits(max_bytes=32 << 10, max_depth=4)
_KNOWN: Final = ("id", "address", "notices", "attributes")
_MOST_ATTRIBUTES: Final = 32
_MOST_CHARACTERS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Somebody who wants to take part."""

    did: str
    address: str = ""
    notices: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read(data: bytes) -> Application:
    """The application in `data`. Raises: BadMessage or TooLarge."""
    tree = strict.scan(data, LIMITS)
    if not isinstance(tree, dict):
        raise BadMessage("the body is no JSON object", mend="send an application")
    for name in tree:
        if name not in _KNOWN:
            raise BadMessage(
                f"{strict.shown(name)} is no part of an application", where=name, mend=f"known: {', '.join(_KNOWN)}"
            )
    return written(
        tree.get("id"), address=tree.get("address", ""), notices=tree.get("notices", ""), attributes=tree.get("attributes", {})
    )


def written(did: object, *, address: object = "", notices: object = "", attributes: object = None) -> Application:
    """The application of these parts, when all of them are lawful. Raises: BadMessage."""
    if not isinstance(did, str):
        raise BadMessage(f"`id` is {strict.shown(did)}", where="id", mend="send your DID")
    try:
        # whether its host may be reached is judged when it is
        dids.url_of(did, unsafe_local=True)
    except Unproven as fault:
        raise BadMessage(fault.words, where="id", mend="send a did:web identifier") from fault
    said = {} if attributes is None else attributes
    if not isinstance(said, Mapping) or len(said) > _MOST_ATTRIBUTES:
        raise BadMessage("`attributes` is no object of at most 32 members", where="attributes")
    for name, value in said.items():
        if not 0 < len(name) <= 64 or not _is_plain(value):
            where = strict.path(("attributes", name[:64]))
            raise BadMessage("an attribute is a text, number or boolean", where=where, mend="at most 512 characters")
    return Application(did=did, address=_url(address, "address"), notices=_url(notices, "notices"), attributes=dict(said))


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= _MOST_CHARACTERS)


def _url(value: object, name: str) -> str:
    if value in (None, ""):
        return ""
    if (
        not isinstance(value, str)
        or not value.startswith(("https://", "http://"))
        or len(value) > 2048
        or len(value.split()) != 1
    ):
        raise BadMessage(f"`{name}` is {strict.shown(value)}, which is no address", where=name, mend="send an https address")
    return value.rstrip("/")
