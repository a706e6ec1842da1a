"""A data flow: its states, what moves it from one to the next, and what the name of a transfer profile says.

What lives here: the table and the one pure function that follows it. What does not: messages (`messages.py`), moving data.
The table is that of a data plane. `errored` is missing on purpose: it reports a fault and moves nothing.
Source: Data Plane Signaling v1.0-RC3, "Data Flow State Machine".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from connector.errors import BadMessage, IllegalTransition


class FlowState(StrEnum):
    """Where a data flow is."""

    INITIALIZED = "INITIALIZED"
    PREPARING = "PREPARING"
    PREPARED = "PREPARED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"

    @property
    def is_over(self) -> bool:
        return self in (FlowState.COMPLETED, FlowState.TERMINATED)

    @property
    def is_underway(self) -> bool:
        """True while the data plane is getting there; its callback says when it has."""
        return self in (FlowState.PREPARING, FlowState.STARTING)


class Call(StrEnum):
    """What a control plane tells a data plane: the last step of the address it posts to."""

    PREPARE = "prepare"
    START = "start"
    STARTED = "started"
    SUSPEND = "suspend"
    RESUME = "resume"
    COMPLETED = "completed"
    TERMINATE = "terminate"


class Report(StrEnum):
    """What a data plane tells its control plane by itself: the last step of the address it posts to."""

    PREPARED = "prepared"
    STARTED = "started"
    COMPLETED = "completed"
    ERRORED = "errored"


S = FlowState
TABLE: Final[Mapping[FlowState, Mapping[Call, FlowState]]] = MappingProxyType({
    S.INITIALIZED: {Call.PREPARE: S.PREPARED, Call.START: S.STARTED},
    S.PREPARING: {Call.TERMINATE: S.TERMINATED},
    S.PREPARED: {Call.STARTED: S.STARTED, Call.TERMINATE: S.TERMINATED},
    S.STARTING: {Call.TERMINATE: S.TERMINATED},
    # a repeated call for a state that is reached is no error: answers get lost
    S.STARTED: {
        Call.STARTED: S.STARTED,
        Call.RESUME: S.STARTED,
        Call.SUSPEND: S.SUSPENDED,
        Call.COMPLETED: S.COMPLETED,
        Call.TERMINATE: S.TERMINATED,
    },
    S.SUSPENDED: {Call.SUSPEND: S.SUSPENDED, Call.RESUME: S.STARTED, Call.TERMINATE: S.TERMINATED},
    S.COMPLETED: {Call.COMPLETED: S.COMPLETED},
    S.TERMINATED: {Call.TERMINATE: S.TERMINATED},
})  # fmt: skip
"""From each state, the calls that are lawful and where they lead when the data plane needs no time for them."""

UNDERWAY: Final[Mapping[Call, FlowState]] = MappingProxyType({Call.PREPARE: S.PREPARING, Call.START: S.STARTING})
"""Where the two calls lead that may take their time."""
ARRIVED: Final[Mapping[FlowState, FlowState]] = MappingProxyType({S.PREPARING: S.PREPARED, S.STARTING: S.STARTED})
"""Where a flow is when what was under way is done."""
REPORTED: Final[Mapping[Report, FlowState]] = MappingProxyType({
    Report.PREPARED: S.PREPARED, Report.STARTED: S.STARTED, Report.COMPLETED: S.COMPLETED,
})  # fmt: skip
"""The state that a report speaks of; `errored` may come in any."""


def follow(state: FlowState, call: Call, *, is_ready: bool = True) -> FlowState:
    """The state that `call` leads to; with `is_ready` False that of a flow for which prepare or start take their time.

    Raises: IllegalTransition, listing what would have been lawful. The flow is unchanged; answer 400.
    """
    to = TABLE[state].get(call)
    if to is None:
        lawful = ", ".join(TABLE[state]) or "nothing"
        raise IllegalTransition(f"a data flow in {state} takes no `{call}`", where="state", mend=f"it takes: {lawful}")
    return to if is_ready else UNDERWAY.get(call, to)


class Direction(StrEnum):
    """Who begins to move the data: the provider pushes, the consumer pulls."""

    PUSH = "PUSH"
    PULL = "PULL"


HTTP_PULL: Final = "https://w3id.org/dspace-sig/profile/http-pull"
HTTP_PUSH: Final = "https://w3id.org/dspace-sig/profile/http-push"
_PLAIN: Final = {"http-pull": "HttpData-PULL", "httpdata-pull": "HttpData-PULL"} | {
    "http-push": "HttpData-PUSH",
    "httpdata-push": "HttpData-PUSH",
}


def direction_of(profile: str) -> Direction:
    """Which way data flows under a transfer profile: what stands behind its last `-`, in any case.

    Raises: BadMessage when it says neither.
    """
    word = profile.rpartition("-")[2].upper()
    if word not in Direction.__members__:
        raise BadMessage(
            "the transfer profile does not say which way", where="profile", mend="let it end in `-push` or `-pull`"
        )
    return Direction(word)


def format_of(profile: str) -> str:
    """The transfer format that our own data plane calls what `profile` names; another one is itself.

    `HttpData-PULL`, `http-pull` and the profile's address are one way of moving data.
    """
    return _PLAIN.get(profile.rpartition("/")[2].lower(), profile)
