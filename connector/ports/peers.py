"""Other connectors, for rooms that ask them something and get the answer at once: catalogues, announcements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from connector.outbound.client import Answer


class Peers(Protocol):
    """Reaches other connectors, and proves to them who asks."""

    async def base(self, address: str) -> str:
        """The base address of the protocol that `address` means.

        Raises: AddressRefused; PeerMessage when the peer speaks no version of ours.
        """
        ...

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        *,
        participant: str,
        peer: str | None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """The answer of `peer` to a request of `participant`; `max_bytes` lowers what is taken of it.

        Raises: PeerAnswer for an answer that is no success (304 is one), Unreachable, PeerMessage for one that is too large,
        AddressRefused, ConfigurationError.
        """
        ...
