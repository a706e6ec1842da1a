"""The life of a member, as one literal table and one pure function, and the record that is kept of it.

What lives here: `TABLE`, `follow`, `Member` and its form in the store. Pure: the current time is an argument.
What does not: who may set off which event (`registry.py`), and what follows from a state outside (`issuer.py`, `notices.py`).

A member is known by its DID. Nothing that is not ACTIVE may do anything in the space; APPROVED is the one state that can become
ACTIVE, and does so in the moment in which its first credential is signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from connector.errors import IllegalTransition


class State(StrEnum):
    """Where a member is in its life."""

    SUBMITTED = "SUBMITTED"
    """It applied; nothing is proven."""
    VERIFIED = "VERIFIED"
    """It has shown that it controls its DID."""
    APPROVED = "APPROVED"
    """The operator took it in; it may ask for its credentials."""
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    """It may do nothing, and that may end."""
    REVOKED = "REVOKED"
    """It may do nothing for ever: withdrawn, or never taken in."""


class Event(StrEnum):
    """What happens to a member."""

    APPLY = "apply"
    ENROL = "enrol"
    """The operator takes in someone whose control of the DID was shown otherwise."""
    PROVE = "prove"
    APPROVE = "approve"
    REJECT = "reject"
    ACTIVATE = "activate"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    REVOKE = "revoke"


Table = Mapping[State | None, Mapping[Event, State]]

TABLE: Final[Table] = MappingProxyType(
    {
        None: {Event.APPLY: State.SUBMITTED, Event.ENROL: State.APPROVED},
        State.SUBMITTED: {Event.PROVE: State.VERIFIED, Event.REJECT: State.REVOKED, Event.REVOKE: State.REVOKED},
        State.VERIFIED: {Event.APPROVE: State.APPROVED, Event.REJECT: State.REVOKED, Event.REVOKE: State.REVOKED},
        State.APPROVED: {Event.ACTIVATE: State.ACTIVE, Event.REVOKE: State.REVOKED},
        State.ACTIVE: {Event.SUSPEND: State.SUSPENDED, Event.REVOKE: State.REVOKED},
        State.SUSPENDED: {Event.REINSTATE: State.ACTIVE, Event.REVOKE: State.REVOKED},
        State.REVOKED: {},
    }
)


def follow(state: State | None, event: Event, table: Table = TABLE) -> State:
    """The state that `event` leads to; `state` is None before there is a member. The table is total.

    Raises: IllegalTransition, listing what would be lawful; the state is unchanged.
    """
    found = table[state].get(event)
    if found is None:
        lawful = ", ".join(f"`{one}`" for one in table[state]) or "nothing"
        raise IllegalTransition(
            f"a member that is {state or 'not known'} cannot {event}", mend=f"lawful now: {lawful}", where="state"
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of a member's state."""

    at: datetime
    event: Event
    state: State
    """The one that it led to."""
    by: str
    """Who set it off: an operator's name, the member's DID, or the authority."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the space, or one who wants to be."""

    did: str
    application: str
    """Id of its application; addresses of its application are made of it."""
    state: State
    nonce: str
    """What its proof must name; another for each application."""
    nonce_until: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What is said of it: by itself when it applied, confirmed or corrected by the operator who took it in."""
    address: str = ""
    """Where its connector answers, such as `https://data.example.org/anna`; what catalogues crawl."""
    notices: str = ""
    """Where it takes notices; empty for none."""
    steps: tuple[Step, ...] = ()
    """Everything that happened to it, oldest first."""
    version: int = 0
    """Of the stored record."""

    @property
    def is_active(self) -> bool:
        """Whether it may do anything."""
        return self.state is State.ACTIVE

    @property
    def since(self) -> datetime | None:
        """When it became a member; None when it never did."""
        return next((one.at for one in self.steps if one.state is State.ACTIVE), None)


def stepped(member: Member, event: Event, *, now: datetime, by: str, reason: str = "") -> Member:
    """`member` after `event`, with the step in its history. Raises: IllegalTransition."""
    state = follow(member.state, event)
    return replace(member, state=state, steps=(*member.steps, Step(at=now, event=event, state=state, by=by, reason=reason)))


def to_body(member: Member) -> dict[str, Any]:
    """The record as it is stored; `from_body` reads it."""
    return {
        "application": member.application,
        "state": member.state.value,
        "nonce": member.nonce,
        "nonce_until": member.nonce_until.isoformat(),
        "attributes": dict(member.attributes),
        "address": member.address,
        "notices": member.notices,
        "steps": [
            {"at": one.at.isoformat(), "event": one.event.value, "state": one.state.value, "by": one.by, "reason": one.reason}
            for one in member.steps
        ],
    }


def from_body(did: str, body: Mapping[str, Any], version: int) -> Member:
    """The member whose stored record is `body`."""
    return Member(
        did=did,
        application=body["application"],
        state=State(body["state"]),
        nonce=body["nonce"],
        nonce_until=datetime.fromisoformat(body["nonce_until"]),
        attributes=body["attributes"],
        address=body["address"],
        notices=body["notices"],
        steps=tuple(
            Step(
                at=datetime.fromisoformat(one["at"]),
                event=Event(one["event"]),
                state=State(one["state"]),
                by=one["by"],
                reason=one["reason"],
            )
            for one in body["steps"]
        ),
        version=version,
    )
