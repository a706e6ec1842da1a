"""Who calls, and how we prove who we are: what stands behind the ports `Verifier` and `TokenSource`, opened for every role."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.app.assembly.ground import Ground, Role

if TYPE_CHECKING:
    from connector.ports.identity import TokenSource, Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The open parts of the subject that others use."""

    verifier: Verifier
    tokens: TokenSource
    role: Role


async def opened_identity(ground: Ground, stack: AsyncExitStack) -> Identity:
    """The identity of the node's participants.

    Raises: ConfigurationError.
    """
    from connector.identity.static import StaticTokens

    tokens = StaticTokens(ground.settings.participants)
    return Identity(verifier=tokens, tokens=tokens, role=Role())
