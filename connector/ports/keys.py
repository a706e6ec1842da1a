"""How processes are named in a store, and what one look at a transfer finds.

What lives here: `Key`, `PeerKey`, `Opening`. What does not: the store itself (`store.py`), and what processes are (`connector.dsp`).
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Kind, Role
from connector.dsp.transfer import Transfer
from connector.dsp.values import Value


class Key(Value, frozen=True, kw_only=True):
    """A process by our own pid."""

    kind: Kind
    participant: str
    pid: str


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A transfer and the agreement that it is under, as one look has found them."""

    transfer: Transfer
    agreement: Agreement | None


class PeerKey(Value, frozen=True, kw_only=True):
    """A process that the peer began, by the peer's pid: how a repeated first message finds what it began.

    Only a process that was inserted through this key is found by it: what we began ourselves is known by our own pid alone,
    whichever pid the peer gives it later.
    """

    kind: Kind
    participant: str
    role: Role
    """Our role."""
    peer: str
    peer_pid: str
