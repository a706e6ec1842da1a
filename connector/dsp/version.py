"""The version document: which versions of the protocol a connector speaks, and where.

What lives here: building ours, reading a peer's, and choosing. What does not: asking for it (`controlplane/peers.py`).
The document is plain JSON without context and type; `auth`, `serviceId` and `identifierType` may be absent in the field.
Source: Dataspace Protocol 2025-1, "Exposure of Versions"; `protocol-version-schema.json`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from connector import strict
from connector.dsp.shape import kind_of
from connector.errors import BadMessage, PeerMessage

OURS: Final = "2025-1"
"""The version that we speak."""


class Auth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How callers prove who they are."""

    protocol: str
    version: str
    profile: tuple[str, ...] = ()


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One version, and its base below the root that the document was found at."""

    version: str
    path: str
    binding: str
    identifier_type: str | None = None
    service_id: str | None = None
    auth: Auth | None = None

    def base(self, root: str) -> str:
        """The base address, without a slash at its end, when the document was found below `root`."""
        path = self.path.strip("/")
        return f"{root.rstrip('/')}/{path}" if path else root.rstrip("/")


class VersionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The document."""

    protocol_versions: tuple[Version, ...]


def encode(*versions: Version) -> bytes:
    """The document that lists `versions`, of which there is at least one."""
    if not versions:
        raise ValueError("a version document lists at least one version")
    return msgspec.json.encode(VersionResponse(protocol_versions=versions))


def ours(path: str, auth: Auth | None = None) -> Version:
    """The version that we speak, with its base at `path` below the root."""
    return Version(version=OURS, path=path, binding="HTTPS", auth=auth)


def read(body: bytes, limits: strict.Limits = strict.DEFAULT) -> tuple[Version, ...]:
    """The versions that a peer's document lists; entries that cannot be read are passed over.

    Raises: BadMessage when it is no version document, TooLarge.
    """
    tree = strict.scan(body, limits)
    if not isinstance(tree, dict) or "protocolVersions" not in tree:
        raise BadMessage("no version document", where="protocolVersions", mend="list the versions there")
    entries = tree["protocolVersions"]
    if not isinstance(entries, list):
        raise BadMessage(
            f"expected an array, found {kind_of(entries)}", where="protocolVersions", mend="list the versions there"
        )
    return tuple(found for entry in entries if (found := _entry(entry)) is not None)


def best(versions: tuple[Version, ...], *, auth: str | None = None, known: tuple[str, ...] = (OURS,)) -> Version | None:
    """The entry to use: of the first of our `known` versions that is there, the one with the `auth` protocol if there is one.

    None when there is nothing in common: do not talk then.
    """
    for wanted in known:
        fitting = [entry for entry in versions if _normal(entry.version) == wanted and entry.binding.upper() == "HTTPS"]
        if fitting:
            return next((entry for entry in fitting if auth and entry.auth and entry.auth.protocol == auth), fitting[0])
    return None


def base_address(root: str, body: bytes, *, auth: str | None = None) -> str:
    """The base address of our version, by the version document `body` that was found below `root`.

    Raises: BadMessage when it is no version document; PeerMessage when the peer does not speak our version.
    Source: Dataspace Protocol 2025-1, "Exposure of Versions": without a version in common connectors do not talk.
    """
    versions = read(body)
    found = best(versions, auth=auth)
    if found is None:
        theirs = ", ".join(strict.shown(entry.version) for entry in versions[:8]) or "none"
        raise PeerMessage(
            f"the peer does not speak version {OURS} but {theirs}", where=root, mend="ask its operator for an address"
        )
    return found.base(root)


def _normal(version: str) -> str:
    # one connector in the field writes 2024/1 for 2024-1
    return version.strip().replace("/", "-")


def _entry(entry: Any) -> Version | None:
    if not isinstance(entry, dict):
        return None
    try:
        return msgspec.convert({"binding": "HTTPS", **_without_nulls(entry)}, Version)
    except msgspec.ValidationError:
        # what it must say is enough: the rest may have any shape
        bare = {name: entry.get(name) for name in ("version", "path", "binding")}
        try:
            return msgspec.convert({"binding": "HTTPS", **_without_nulls(bare)}, Version)
        except msgspec.ValidationError:
            return None


def _without_nulls(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value is not None}
