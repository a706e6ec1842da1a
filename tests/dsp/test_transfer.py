"""The pure steps of a transfer, rule by rule: suspensions and resumes that cross, fresh addresses, what may flow when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.dsp import messages as m
from connector.dsp import transfer as steps
from connector.dsp import transfer_opening as opening_steps
from connector.dsp import wire
from connector.dsp.process import By, Cause, Step, dump, load
from connector.dsp.tables import Event, Role, State
from connector.dsp.transfer import Access, Transfer
from connector.dsp.transfer_opening import TransferOpening
from connector.dsp.values import replace
from connector.errors import BadMessage, Conflict, IllegalTransition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
US, THEM = "urn:ours", "urn:theirs"
OLD, NEW = (Access(token_sha256=digit * 64, expires_at=LATER) for digit in "12")


def address(token: str) -> m.DataAddress:
    properties = (m.EndpointProperty(name="authorization", value=token),)
    return m.DataAddress(endpoint_type="urn:http", endpoint="https://p.example/data", endpoint_properties=properties)


def provider(state: State = State.STARTED, **fields: Any) -> Transfer:
    """A transfer that a consumer asked of us."""
    message = m.TransferRequestMessage(
        consumer_pid=THEM, agreement_id="urn:a:1", format="HttpData-PULL", callback_address="https://peer.example/dsp"
    )
    first = opening_steps.received_first(
        message, participant="p", pid=US, peer="urn:peer", dataset="urn:d:1", callback="https://own.example", now=NOW
    )
    return replace(first.process, state=state, access=OLD, **fields)


def asked() -> Step[Transfer]:
    """Our request, in flight."""
    opening = TransferOpening(
        participant="p", pid=US, message_id="m1", peer="urn:peer", peer_address="https://peer.example/dsp",
        callback="https://own.example", agreement_id="urn:a:1", dataset="urn:d:1", format="HttpData-PULL",
    )  # fmt: skip
    return opening_steps.begin(opening, NOW)


def consumer(state: State = State.STARTED, **fields: Any) -> Transfer:
    """A transfer of ours that the provider knows."""
    answer = m.TransferProcess(provider_pid=THEM, consumer_pid=US, state=State.REQUESTED)
    known = steps.settle(asked().process, "m1", answer, new_message_id="x", now=NOW).process
    return replace(known, state=state, address=address("old"), **fields)


def act(process: Transfer, event: Event, message_id: str = "m2", **given: Any) -> Step[Transfer]:
    return steps.act(process, event, message_id=message_id, now=NOW, cause=given.pop("cause", Cause(by=By.OPERATOR)), **given)


def ids(process: Transfer) -> dict[str, Any]:
    return {"provider_pid": process.provider_pid or THEM, "consumer_pid": process.consumer_pid or THEM}


def suspends(process: Transfer, **members: Any) -> m.TransferSuspensionMessage:
    return m.TransferSuspensionMessage(**ids(process), **members)


def starts(process: Transfer, token: str | None = None) -> m.TransferStartMessage:
    return m.TransferStartMessage(**ids(process), data_address=address(token) if token else None)


def acknowledged(process: Transfer, message_id: str = "m2") -> Transfer:
    return steps.settle(process, message_id, None, new_message_id="x", now=LATER).process


# --- messages that cross


@pytest.mark.parametrize("make", [provider, consumer])
def test_two_suspensions_that_cross_are_one(make: Any) -> None:
    ours = act(make(), Event.SUSPEND).process
    both = steps.receive(ours, suspends(ours), now=LATER)
    assert both.process.state is State.SUSPENDED
    # ours is still on its way; the peer refuses it, since it is suspended: that is no failure
    dropped = steps.give_up(both.process, "m2", "answered 400", new_message_id="m3", now=LATER)
    assert (dropped.process.state, dropped.process.in_flight, dropped.outgoing) == (State.SUSPENDED, None, ())


@pytest.mark.parametrize("make", [provider, consumer])
def test_a_resume_after_crossed_suspensions_is_put_off_until_ours_is_settled(make: Any) -> None:
    ours = act(make(), Event.SUSPEND).process
    both = steps.receive(ours, suspends(ours), now=LATER).process
    # whether it resumes after our suspension or before it we cannot tell yet
    with pytest.raises(Conflict, match="suspend"):
        steps.receive(both, starts(both), now=LATER)
    settled = acknowledged(both)
    assert (settled.state, settled.in_flight) == (State.SUSPENDED, None)
    assert steps.receive(settled, starts(settled), now=LATER).process.state is State.STARTED


def test_a_termination_is_never_put_off() -> None:
    ours = act(provider(), Event.SUSPEND).process
    both = steps.receive(ours, suspends(ours), now=LATER).process
    ended = steps.receive(both, m.TransferTerminationMessage(**ids(both)), now=LATER)
    assert (ended.process.state, ended.cancelled) == (State.TERMINATED, ("m2",))


def test_of_two_ends_that_cross_the_termination_wins_on_both_sides() -> None:
    # here a termination is on its way, there a completion
    ours = act(provider(), Event.TERMINATE).process
    with pytest.raises(IllegalTransition, match="termination of ours"):
        steps.receive(ours, m.TransferCompletionMessage(**ids(ours)), now=LATER)
    theirs = act(consumer(), Event.COMPLETE).process
    ended = steps.receive(theirs, m.TransferTerminationMessage(**ids(theirs)), now=LATER)
    assert (ended.process.state, ended.process.in_flight, ended.cancelled) == (State.TERMINATED, None, ("m2",))


def test_two_completions_that_cross_are_one() -> None:
    ours = act(provider(), Event.COMPLETE).process
    both = steps.receive(ours, m.TransferCompletionMessage(**ids(ours)), now=LATER)
    assert (both.process.state, both.process.in_flight, both.cancelled) == (State.COMPLETED, None, ("m2",))


def test_a_suspension_proves_that_our_start_arrived() -> None:
    sent = act(provider(State.REQUESTED), Event.START, address=address("new"), access=NEW).process
    suspended = steps.receive(sent, suspends(sent), now=LATER)
    assert (suspended.process.state, suspended.cancelled) == (State.SUSPENDED, ("m2",))
    assert suspended.process.entries["STARTED"] == 1


# --- resume, and the address that comes back


def test_a_provider_follows_a_consumers_resume_with_a_start_of_its_own() -> None:
    resumed = steps.receive(provider(State.SUSPENDED), starts(provider()), now=LATER).process
    assert resumed.state is State.STARTED
    fresh = steps.renew(resumed, address("new"), NEW, message_id="m5", now=LATER)
    (out,) = fresh.outgoing
    assert out.is_harmless
    assert wire.decode(out.body, m.TransferStartMessage).message.data_address == address("new")
    assert (fresh.process.state, fresh.process.in_flight, fresh.process.access) == (State.STARTED, None, NEW)
    # until the consumer has it, what it has goes on being good
    assert fresh.process.former == OLD
    assert acknowledged(fresh.process, "m5").former is None


def test_a_consumer_that_refuses_the_fresh_address_keeps_the_one_it_has() -> None:
    resumed = steps.receive(provider(State.SUSPENDED), starts(provider()), now=LATER).process
    fresh = steps.renew(resumed, address("new"), NEW, message_id="m5", now=LATER).process
    refused = steps.give_up(fresh, "m5", "answered 400", new_message_id="m6", now=LATER)
    assert (refused.process.state, refused.process.access, refused.process.former) == (State.STARTED, OLD, None)
    assert (refused.outgoing, refused.process.error) == ((), None)


@pytest.mark.parametrize("who", ["we", "the consumer"])
def test_a_fresh_address_is_not_sent_any_more_when_the_transfer_has_moved_on(who: str) -> None:
    # a consumer that is suspended again would take it for a resume
    resumed = steps.receive(provider(State.SUSPENDED), starts(provider()), now=LATER).process
    fresh = steps.renew(resumed, address("new"), NEW, message_id="m5", now=LATER).process
    step = act(fresh, Event.SUSPEND) if who == "we" else steps.receive(fresh, suspends(fresh), now=LATER)
    assert step.cancelled == ("m5",)
    assert step.process.renewal is None
    # the next one leaves the consumer what it surely has
    again = steps.renew(step.process, address("third"), NEW, message_id="m6", now=LATER).process
    assert again.former == OLD


def test_a_consumer_takes_the_fresh_address_after_its_own_resume_once() -> None:
    sent = act(consumer(State.SUSPENDED), Event.START).process
    resumed = acknowledged(sent)
    assert (resumed.state, resumed.has_resumed) == (State.STARTED, True)
    fresh = steps.receive(resumed, starts(resumed, "new"), now=LATER)
    assert (fresh.process.state, fresh.process.address, fresh.entered) == (State.STARTED, address("new"), False)
    with pytest.raises(IllegalTransition):
        steps.receive(fresh.process, starts(fresh.process, "third"), now=LATER)


def test_the_fresh_address_may_come_before_our_resume_is_acknowledged() -> None:
    sent = act(consumer(State.SUSPENDED), Event.START).process
    fresh = steps.receive(sent, starts(sent, "new"), now=LATER)
    assert (fresh.process.state, fresh.process.address, fresh.cancelled) == (State.STARTED, address("new"), ("m2",))
    assert fresh.entered
    assert fresh.process.entries["STARTED"] == 1


@pytest.mark.parametrize("token", [None, "new"])
def test_a_start_in_started_that_nobody_asked_for_is_unlawful(token: str | None) -> None:
    process = consumer()
    with pytest.raises(IllegalTransition):
        steps.receive(process, starts(process, token), now=LATER)


def test_a_consumers_start_carries_no_address() -> None:
    process = provider(State.SUSPENDED)
    with pytest.raises(BadMessage, match="no data address"):
        steps.receive(process, starts(process, "theirs"), now=LATER)


def test_a_completion_out_of_suspended_is_unlawful() -> None:
    process = provider(State.SUSPENDED)
    with pytest.raises(IllegalTransition):
        steps.receive(process, m.TransferCompletionMessage(**ids(process)), now=LATER)


# --- what may flow


def test_data_may_flow_while_started_and_no_stop_of_ours_is_on_its_way() -> None:
    assert provider().is_open
    for event in (Event.SUSPEND, Event.COMPLETE, Event.TERMINATE):
        assert not act(provider(), event).process.is_open
    for state in (State.REQUESTED, State.SUSPENDED, State.COMPLETED, State.TERMINATED):
        assert not provider(state).is_open


def test_a_start_of_the_provider_opens_as_it_leaves_and_one_of_the_consumer_does_not() -> None:
    sent = act(provider(State.REQUESTED), Event.START, address=address("new"), access=NEW).process
    assert sent.is_open
    assert sent.access == NEW
    assert not act(consumer(State.SUSPENDED), Event.START).process.is_open


def test_a_start_wipes_out_why_it_was_suspended() -> None:
    stopped = steps.receive(provider(), suspends(provider(), code="night", reason=("sleep",)), now=LATER).process
    assert (stopped.code, stopped.reasons) == ("night", ("sleep",))
    sent = act(stopped, Event.START, address=address("new"), access=NEW).process
    started = acknowledged(sent)
    assert (started.state, started.code, started.reasons) == (State.STARTED, None, ())


# --- ends


def test_a_request_acknowledged_after_the_end_tells_the_provider_of_the_end() -> None:
    gone = act(asked().process, Event.TERMINATE, cause=Cause(by=By.OPERATOR, code="changed-plans")).process
    assert gone.state is State.TERMINATED
    answer = m.TransferProcess(provider_pid=THEM, consumer_pid=US, state=State.REQUESTED)
    (out,) = steps.settle(gone, "m1", answer, new_message_id="m3", now=LATER).outgoing
    assert (out.event, out.is_harmless, out.url) == (
        Event.TERMINATE,
        True,
        "https://peer.example/dsp/transfers/urn:theirs/termination",
    )


def test_a_start_that_cannot_be_delivered_terminates_and_the_consumer_is_told() -> None:
    sent = act(provider(State.REQUESTED), Event.START, address=address("new"), access=NEW).process
    told = steps.give_up(sent, "m2", "no answer", new_message_id="m3", now=LATER)
    assert [out.event for out in told.outgoing] == [Event.TERMINATE]
    assert not told.process.is_open


def test_an_acknowledgement_without_a_body_is_one() -> None:
    reached = steps.settle(asked().process, "m1", None, new_message_id="x", now=LATER).process
    assert (reached.state, reached.peer_pid) == (State.REQUESTED, None)
    # and the provider's pid is learned from its next message
    started = steps.receive(reached, m.TransferStartMessage(provider_pid=THEM, consumer_pid=US), now=LATER).process
    assert started.peer_pid == THEM


def test_what_the_data_plane_moved_is_kept_with_the_transfer() -> None:
    found = steps.moved(steps.moved(provider(), 10, "d" * 64, LATER), 12, None, LATER)
    assert (found.moved_bytes, found.digest) == (12, "d" * 64)


@pytest.mark.parametrize("make", [provider, consumer])
def test_a_transfer_is_the_same_after_a_restart(make: Any) -> None:
    process = act(make(former=NEW, renewal="m9"), Event.SUSPEND).process
    assert load(Transfer, dump(process)) == process


@pytest.mark.parametrize(("role", "ours"), [(Role.PROVIDER, US), (Role.CONSUMER, THEM)])
def test_the_pids_of_an_answer_are_where_the_roles_say(role: Role, ours: str) -> None:
    process = provider() if role is Role.PROVIDER else consumer()
    assert process.provider_pid == ours
    assert {process.provider_pid, process.consumer_pid} == {US, THEM}
