"""The life of a member: a table, and nothing beside it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from connector.errors import IllegalTransition
from connector.identity.authority.members import TABLE, Event, Member, State, follow, from_body, stepped, to_body

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MEMBER = Member(did="did:web:anna.example", application="a1", state=State.SUBMITTED, nonce="n", nonce_until=NOW)

WHOLE = """
- apply SUBMITTED
- enrol APPROVED
SUBMITTED prove VERIFIED
SUBMITTED reject REVOKED
SUBMITTED revoke REVOKED
VERIFIED approve APPROVED
VERIFIED reject REVOKED
VERIFIED revoke REVOKED
APPROVED activate ACTIVE
APPROVED revoke REVOKED
ACTIVE suspend SUSPENDED
ACTIVE revoke REVOKED
SUSPENDED reinstate ACTIVE
SUSPENDED revoke REVOKED
"""


@pytest.mark.parametrize(("state", "event"), [*itertools.product((None, *State), Event)])
def test_what_the_table_does_not_name_is_refused_with_what_would_be_lawful(state: State | None, event: Event) -> None:
    rows = dict(line.rsplit(" ", 1) for line in WHOLE.strip().splitlines())
    leads_to = rows.get(f"{state or '-'} {event}")
    if leads_to is not None:
        assert follow(state, event) is State(leads_to)
        return
    with pytest.raises(IllegalTransition) as refused:
        follow(state, event)
    for lawful in TABLE[state]:
        assert f"`{lawful}`" in str(refused.value)


def test_nobody_becomes_active_without_the_operator() -> None:
    seen: set[State | None] = {None}
    for _ in State:
        seen |= {
            target
            for state in list(seen)
            for event, target in TABLE[state].items()
            if event not in (Event.ENROL, Event.APPROVE)
        }
    assert seen == {None, State.SUBMITTED, State.VERIFIED, State.REVOKED}


def test_every_step_is_kept_with_who_and_why() -> None:
    member = stepped(MEMBER, Event.PROVE, now=NOW, by=MEMBER.did)
    member = stepped(member, Event.APPROVE, now=NOW, by="olga", reason="papers seen")
    assert member.since is None
    member = stepped(member, Event.ACTIVATE, now=NOW, by="authority")
    assert member.is_active
    assert member.since == NOW
    assert [(step.event, step.by, step.reason) for step in member.steps][1] == ("approve", "olga", "papers seen")
    assert from_body(member.did, to_body(member), 0) == member
