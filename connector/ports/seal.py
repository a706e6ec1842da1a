"""Sealing what the store must not hold in the clear: the seam between rooms that keep secrets and the node's key."""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Seals texts under the node's key, each bound to its place."""

    def seal(self, participant: str, name: str, text: str) -> str:
        """`text` as it may be stored under `name` of `participant`."""
        ...

    def unseal(self, participant: str, name: str, sealed: str) -> str:
        """The text that was sealed for this place.

        Raises: ConfigurationError when the node's key is not the one it was sealed with, or it was moved here from elsewhere.
        """
        ...
