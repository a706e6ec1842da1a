"""A data flow that our data plane serves for a control plane of others, as a value: what is kept of it, and what follows from that.

What lives here: `Flow`, its tree, and the transfer that the built-in data plane takes it for. What does not: what a call does to it
(`table.py`), and moving data (`dataplane/`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from connector.dps import addresses
from connector.dps.flow import Direction, FlowState, direction_of, format_of
from connector.dps.messages import Dialect, Order, Status
from connector.dsp.messages import DataAddress
from connector.dsp.tables import Role, State
from connector.dsp.transfer import Access, Transfer

HOME: Final = "dataplane"
"""The context of what our data plane serves for others, and the first step of its public addresses; no participant has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One flow. Never shown: it holds what opens data."""

    control_plane: str
    flow_id: str
    """As the control plane calls it."""
    dialect: Dialect
    role: Role
    """Whose side our data plane is on."""
    participant_id: str
    counter_party_id: str
    agreement_id: str
    dataset_id: str
    profile: str
    state: FlowState
    message_id: str | None = None
    """Of the order that made it: a repetition gets the same answer."""
    callback: str
    """Where the control plane hears reports."""
    destination: DataAddress | None = field(default=None, repr=False)
    """Provider of a push: where to."""
    address: DataAddress | None = field(default=None, repr=False)
    """Consumer of a pull: where from."""
    made: DataAddress | None = field(default=None, repr=False)
    """The address that we have made, as it was last given away."""
    source: DataAddress | None = field(default=None, repr=False)
    """Older dialect: where the data lies, as the control plane said."""
    access: Access | None = None
    upcoming: Access | None = None
    """What opens the data as well, and alone once it is used."""
    pauses: int = 0
    """How often it was suspended: what began to move before that moves on under no node."""
    refresh_sha256: str | None = None
    """Of the token that gets a new access token."""
    moved_bytes: int = 0
    digest: str | None = None
    reason: str = ""
    mark: str = field(default="", repr=False)
    """As `Transfer.mark`."""
    updated_at: datetime

    @property
    def id(self) -> str:
        """Our own id: where its data is found. It tells nothing of the two that it is made of."""
        return own_id(self.control_plane, self.flow_id)

    @property
    def is_push(self) -> bool:
        return direction_of(self.profile) is Direction.PUSH

    @property
    def is_provider(self) -> bool:
        return self.role is Role.PROVIDER

    @property
    def moves(self) -> bool:
        """True when it is ours to move the data: a push as provider, a pull as consumer that knows where from."""
        return self.is_push if self.is_provider else not self.is_push and self.address is not None

    def status(self, message_id: str | None = None) -> Status:
        """How it stands, as an answer to what makes an address."""
        return Status(state=self.state, message_id=message_id, flow_id=self.flow_id, address=self.made)

    def transfer(self) -> Transfer:
        """What the built-in data plane takes it for."""
        return Transfer(
            participant=HOME,
            pid=self.id,
            role=self.role,
            peer=self.counter_party_id,
            peer_address="",
            agreement_id=self.agreement_id,
            dataset=self.dataset_id,
            format=format_of(self.profile),
            destination=self.destination,
            address=self.address,
            access=self.access,
            mark=self.mark,
            state=State.STARTED,
            created_at=self.updated_at,
            updated_at=self.updated_at,
        )


def own_id(control_plane: str, flow_id: str) -> str:
    """The id under which we keep a control plane's flow."""
    return hashlib.sha256(f"{control_plane}\0{flow_id}".encode()).hexdigest()[:40]


def begun(order: Order, *, control_plane: str, dialect: Dialect, role: Role, callback: str, now: datetime) -> Flow:
    """The flow that an order asks for, before anything was done for it."""
    return Flow(
        control_plane=control_plane,
        flow_id=order.flow_id,
        dialect=dialect,
        role=role,
        participant_id=order.participant_id,
        counter_party_id=order.counter_party_id,
        agreement_id=order.agreement_id,
        dataset_id=order.dataset_id,
        profile=order.profile,
        state=FlowState.INITIALIZED,
        message_id=order.message_id,
        callback=callback,
        destination=order.address if role is Role.PROVIDER else None,
        source=order.source,
        updated_at=now,
    )


_ADDRESSES: Final = ("destination", "address", "made", "source")
_TEXTS: Final = (
    "control_plane", "flow_id", "participant_id", "counter_party_id", "agreement_id", "dataset_id", "profile", "message_id", "callback",
    "refresh_sha256", "moved_bytes", "digest", "reason",
)  # fmt: skip


def tree_of(flow: Flow) -> dict[str, Any]:
    """The flow as it is kept, sealed."""
    tree: dict[str, Any] = {name: getattr(flow, name) for name in _TEXTS}
    for name in _ADDRESSES:
        address = getattr(flow, name)
        tree[name] = addresses.tree_of(address) if address is not None else None
    for name in ("access", "upcoming"):
        access = getattr(flow, name)
        tree[name] = [access.token_sha256, access.expires_at.isoformat()] if access is not None else None
    return {
        **tree,
        "dialect": flow.dialect.value,
        "role": flow.role.value,
        "state": flow.state.value,
        "pauses": flow.pauses,
        "mark": flow.mark,
        "updated_at": flow.updated_at.isoformat(),
    }


def flow_of(tree: Mapping[str, Any]) -> Flow:
    """The flow that `tree_of` wrote."""
    given: dict[str, Any] = {name: tree[name] for name in _TEXTS}
    # what an earlier release has kept has none
    given["pauses"], given["mark"] = tree.get("pauses", 0), tree.get("mark", "")
    given |= {name: addresses.read(tree[name]) for name in _ADDRESSES}
    for name in ("access", "upcoming"):
        if (kept := tree[name]) is not None:
            given[name] = Access(token_sha256=kept[0], expires_at=datetime.fromisoformat(kept[1]))
    return Flow(
        **given,
        dialect=Dialect(tree["dialect"]),
        role=Role(tree["role"]),
        state=FlowState(tree["state"]),
        updated_at=datetime.fromisoformat(tree["updated_at"]),
    )
