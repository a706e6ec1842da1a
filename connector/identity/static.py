"""Peers proven by a fixed text alone: for closed networks and development.

What lives here: `StaticTokens`, both ports over `participants.NAME.unsafe_static_tokens`. The whole value of the `Authorization`
header counts, verbatim, with or without a scheme: the standard leaves the header's meaning to the data space.
What does not: tokens that say something of themselves (signed claims), which belong to other files of this room.
Source: Dataspace Protocol 2025-1, HTTPS bindings, "Authorization".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from connector.errors import CallerError, ConfigurationError, Unauthenticated
from connector.ports.identity import Caller, MessageKind
from connector.settings import Participant, StaticPeer

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_MOST_CHARACTERS: Final = 16_384


class StaticTokens:
    """Verifier and TokenSource over texts that both sides were given."""

    def __init__(self, participants: Mapping[str, Participant]) -> None:
        self._callers: dict[str, tuple[tuple[bytes, Caller], ...]] = {}
        self._peers: dict[str, dict[str, StaticPeer]] = {}
        for name, participant in participants.items():
            known = participant.unsafe_static_tokens
            for peer in known:
                _check(name, peer)
            _check_distinct(name, known)
            self._peers[name] = {peer.id: peer for peer in known}
            self._callers[name] = tuple(
                (_digest(peer.theirs), Caller(id=peer.id, claims=MappingProxyType(dict(peer.claims))))
                for peer in known
                if peer.theirs is not None
            )

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The peer whose text `authorization` is.

        Raises: Unauthenticated, with the same words whatever the reason.
        """
        found = self.caller(participant, authorization)
        if found is None:
            raise Unauthenticated("no valid token", where="Authorization", mend="send the token agreed with this participant")
        return found

    def knows(self, participant: str, peer: str) -> bool:
        """Whether the settings of `participant` name `peer`."""
        return peer in self._peers.get(participant, {})

    def caller(self, participant: str, authorization: str | None) -> Caller | None:
        """The peer whose text `authorization` is; None when it is nobody's."""
        shown = _digest(authorization) if authorization and len(authorization) <= _MOST_CHARACTERS else b""
        found: Caller | None = None
        # every entry is compared, and compared in constant time: how long it takes says nothing about which one fits
        for digest, caller in self._callers.get(participant, ()):
            if hmac.compare_digest(digest, shown):
                found = caller
        return found

    async def authorization(self, participant: str, peer: str, address: str) -> str | None:
        """Our text for `peer`, or None when it was given none.

        Raises: ConfigurationError when the peer is not one that `participant` knows; CallerError when none is named.
        """
        if not peer:
            raise CallerError("whose address this is decides which token we show", where="peer", mend="name the peer's id")
        known = self._peers.get(participant, {}).get(peer)
        if known is None:
            raise ConfigurationError(
                f"participant `{participant}` has no token for peer `{peer}`",
                where=f"participants.{participant}.unsafe_static_tokens",
                mend=f'add `{{ id = "{peer}", ours = ..., theirs = ... }}` there',
            )
        return known.ours

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What the settings attest about `peer`; nothing about one that is not known."""
        known = self._peers.get(participant, {}).get(peer)
        return known.claims if known is not None else _NOTHING


def _check(name: str, peer: StaticPeer) -> None:
    """Raises: ConfigurationError for a text that no header can carry, or an empty one, which would prove nothing."""
    for member, text in (("theirs", peer.theirs), ("ours", peer.ours)):
        if text is None:
            continue
        if not text or text != text.strip() or not text.isprintable() or len(text) > _MOST_CHARACTERS:
            raise ConfigurationError(
                f"`{member}` of peer `{peer.id}` cannot be the value of a header",
                where=f"participants.{name}.unsafe_static_tokens",
                mend="one line without blanks around it, not empty",
            )


def _check_distinct(name: str, known: tuple[StaticPeer, ...]) -> None:
    """Raises: ConfigurationError when an id stands twice, or two peers have one text: it would prove neither."""
    texts = [peer.theirs for peer in known if peer.theirs is not None]
    for what, found in (("id", [peer.id for peer in known]), ("`theirs`", texts)):
        if len(set(found)) < len(found):
            raise ConfigurationError(
                f"two peers have the same {what}",
                where=f"participants.{name}.unsafe_static_tokens",
                mend="one entry for each peer, each with a text of its own",
            )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
