"""What a peer says of a process leads nowhere that its own messages could not; what cannot be told any more is ended on both sides."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.dsp import messages as m
from connector.dsp import transfer as transfers
from connector.dsp import wire
from connector.dsp.comparing import DIFFERS, UNKNOWN_THERE, Finding, Verdict, compared, concluded
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import InFlight, Process, Step
from connector.dsp.tables import TABLES, Event, Kind, Role, State, lawful
from connector.dsp.transfer import Transfer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
C, P, S = Role.CONSUMER, Role.PROVIDER, State
AGREED = {"@id": "urn:a:1", "@type": "Agreement", "target": "urn:d:1", "assigner": "urn:us", "assignee": "urn:bob"}
_COMMON: dict[str, Any] = {
    "participant": "alice",
    "pid": "urn:ours",
    "peer": "urn:bob",
    "peer_pid": "urn:theirs",
    "peer_address": "https://bob.example/dsp",
    "created_at": NOW,
    "updated_at": NOW,
}


def negotiation(role: Role, state: State | None, **more: Any) -> Negotiation:
    return Negotiation(**_COMMON, role=role, state=state, dataset="urn:d:1", offer={"@id": "urn:o:1"}, agreement=AGREED, **more)


def transfer(role: Role, state: State | None, format_: str = "HttpData-PULL", **more: Any) -> Transfer:
    return Transfer(
        **_COMMON,
        role=role,
        state=state,
        agreement_id="urn:a:1",
        dataset="urn:d:1",
        format=format_,
        callback="https://us.example",
        **more,
    )


def flight(event: Event, to: State) -> InFlight:
    return InFlight(message_id="urn:m:1", event=event, to=to)


def judged(process: Process, theirs: State | None, *, is_last: bool = False) -> Verdict:
    kind = Kind.TRANSFER if isinstance(process, Transfer) else Kind.NEGOTIATION
    return compared(process, kind, theirs, is_last=is_last)


def done(process: Any, theirs: State | None, *, is_last: bool = False) -> Step[Any]:
    return concluded(process, judged(process, theirs, is_last=is_last), message_id="urn:m:2", now=NOW)


@pytest.mark.parametrize("is_doubted", [False, True])
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", Kind)
def test_the_peers_word_does_no_more_than_its_messages(kind: Kind, role: Role, is_doubted: bool) -> None:
    make: Any = transfer if kind is Kind.TRANSFER else negotiation
    states = [state for state in TABLES[kind] if state is not None]
    for ours, theirs, is_last in itertools.product(states, states, (False, True)):
        process = make(role, ours, is_doubted=is_doubted)
        step = done(process, theirs, is_last=is_last)
        after, where = step.process.state, (ours, theirs, is_last)
        # 1. what has ended stays as it is
        assert after is ours or not ours.is_terminal, where
        # 2. each state that was entered is one to which the peer alone leads, one after another; or the end of it all
        reached = ours
        for record in step.records:
            if record.state is None or record.event.startswith(("send ", "compare")):
                continue
            by_peer = {move.to for move in lawful(TABLES[kind], reached, role.other)}
            assert record.state in by_peer or record.state is State.TERMINATED, where
            reached = record.state
        assert after is reached, where
        # 3. at the last look nothing is left as it was, but what needs a person, what is being ended, and what is alike
        is_settled = after in (theirs, State.TERMINATED) or ours.is_terminal or judged(process, theirs).is_ours_too
        assert is_settled or not is_last or step.process.in_flight.event is Event.TERMINATE, where


def test_a_verified_agreement_is_final_when_its_provider_says_so_and_only_then() -> None:
    step = done(negotiation(C, S.VERIFIED, is_doubted=True), S.FINALIZED)
    assert (step.process.state, step.process.is_doubted, step.entered) == (S.FINALIZED, False, True)
    # of one that was not verified here no agreement comes, whatever the provider says
    held = negotiation(C, S.AGREED, hold="a person decides")
    verdict = judged(held, S.FINALIZED)
    assert (verdict.finding, verdict.needs_person, verdict.is_told) == (Finding.ENDED, True, False)
    assert done(held, S.FINALIZED).process.state is S.TERMINATED
    assert done(negotiation(C, S.REQUESTED), S.FINALIZED).process.state is S.TERMINATED


def test_a_message_in_flight_that_the_peers_state_proves_has_arrived() -> None:
    verifying = negotiation(C, S.AGREED, in_flight=flight(Event.VERIFY, S.VERIFIED))
    landed = done(verifying, S.VERIFIED)
    assert (landed.process.state, landed.process.in_flight, landed.cancelled) == (S.VERIFIED, None, ("urn:m:1",))
    assert done(verifying, S.FINALIZED).process.state is S.FINALIZED
    assert judged(verifying, S.AGREED).finding is Finding.UNDERWAY
    ending = negotiation(C, S.VERIFIED, in_flight=flight(Event.TERMINATE, S.TERMINATED))
    # our own end is not taken back by anything the peer says
    assert judged(ending, S.FINALIZED).finding is Finding.UNDERWAY
    assert done(ending, S.TERMINATED).process.state is S.TERMINATED


def test_a_provider_whose_agreement_the_consumer_holds_final_verifies_and_finalises_it_by_its_own_text() -> None:
    verdict = judged(negotiation(P, S.AGREED), S.FINALIZED)
    assert (verdict.finding, verdict.events, verdict.is_ours_too) == (Finding.FOLLOWED, (Event.VERIFY,), True)
    sent = negotiation(P, S.REQUESTED, in_flight=flight(Event.AGREE, S.AGREED))
    assert judged(sent, S.FINALIZED).is_landed
    # without an agreement of ours there is none
    assert judged(negotiation(P, S.REQUESTED), S.FINALIZED).finding is Finding.ENDED


def test_what_the_peer_does_not_know_ends_here_alone() -> None:
    sending = negotiation(P, S.REQUESTED, in_flight=flight(Event.AGREE, S.AGREED), is_doubted=True)
    step = done(sending, None)
    assert (step.process.state, step.process.code, step.outgoing) == (S.TERMINATED, UNKNOWN_THERE, ())
    assert step.cancelled == ("urn:m:1",)
    assert judged(transfer(C, S.COMPLETED), None).finding is Finding.SAME
    assert judged(negotiation(C, S.FINALIZED), None).needs_person


def test_sides_that_came_apart_are_ended_and_the_peer_is_told() -> None:
    step = done(negotiation(C, S.REQUESTED), S.AGREED)
    (out,) = step.outgoing
    assert out.url == "https://bob.example/dsp/negotiations/urn:theirs/termination"
    told = wire.decode(out.body, m.ContractNegotiationTerminationMessage).message
    assert (told.code, "AGREED at the peer" in told.reason[0]) == (DIFFERS, True)
    # where the diagram leaves the end to the other side, it ends here at once, and the peer is told
    accepted = done(negotiation(C, S.ACCEPTED), S.AGREED)
    assert (accepted.process.state, accepted.outgoing[0].is_harmless) == (S.TERMINATED, True)


def test_an_agreement_whose_negotiation_the_peer_terminated_is_good_for_nothing() -> None:
    assert judged(negotiation(P, S.FINALIZED), S.TERMINATED).finding is Finding.REVOKED
    assert judged(negotiation(P, S.TERMINATED), S.FINALIZED).needs_person


def test_a_transfer_that_is_no_more_or_rests_at_the_peer_does_so_here() -> None:
    for theirs in (S.SUSPENDED, S.COMPLETED, S.TERMINATED):
        step = done(transfer(P, S.STARTED, is_doubted=True), theirs)
        assert (step.process.state, step.process.is_open) == (theirs, False)
    # whatever was lost on the way to an end does not matter
    assert done(transfer(C, S.REQUESTED), S.COMPLETED).process.state is S.COMPLETED
    # a consumer's word starts nothing that was not started by us
    assert done(transfer(P, S.REQUESTED), S.STARTED).process.in_flight.event is Event.TERMINATE


def test_a_start_that_was_lost_is_asked_for_again_and_a_suspension_told_again() -> None:
    lost = done(transfer(C, S.REQUESTED), S.STARTED)
    assert (lost.process.state, lost.outgoing[0].is_harmless) == (S.REQUESTED, True)
    asked = wire.decode(lost.outgoing[0].body, m.TransferRequestMessage).message
    assert (asked.consumer_pid, asked.agreement_id) == ("urn:ours", "urn:a:1")
    assert judged(transfer(C, S.SUSPENDED, is_doubted=True), S.STARTED).finding is Finding.ASKED
    # what we remember to have suspended is not started by a peer that has forgotten it
    for ours in (transfer(C, S.SUSPENDED), transfer(P, S.SUSPENDED), transfer(P, S.SUSPENDED, is_doubted=True)):
        (out,) = done(ours, S.STARTED).outgoing
        assert out.url == "https://bob.example/dsp/transfers/urn:theirs/suspension"
    # the start of a push says all of it
    assert done(transfer(C, S.REQUESTED, "HttpData-PUSH"), S.STARTED).process.state is S.STARTED


def test_ends_that_the_peer_missed_are_told_again() -> None:
    for process, theirs, part in (
        (transfer(P, S.TERMINATED), S.STARTED, "termination"),
        (transfer(P, S.COMPLETED), S.STARTED, "completion"),
        (transfer(P, S.COMPLETED), S.SUSPENDED, "termination"),
        (negotiation(P, S.TERMINATED), S.REQUESTED, "termination"),
        (negotiation(P, S.FINALIZED), S.VERIFIED, "events"),
    ):
        (out,) = done(process, theirs).outgoing
        assert out.url.endswith(f"/{part}")
        assert out.is_harmless
    assert judged(negotiation(C, S.FINALIZED), S.AGREED).needs_person


def test_a_restored_consumer_asks_for_a_fresh_address_and_takes_it() -> None:
    step = done(transfer(C, S.STARTED, is_doubted=True), S.STARTED)
    (out,) = step.outgoing
    assert out.url == "https://bob.example/dsp/transfers/request"
    address = m.DataAddress(endpoint_type="urn:http", endpoint="https://bob.example/fresh")
    message = m.TransferStartMessage(provider_pid="urn:theirs", consumer_pid="urn:ours", data_address=address)
    assert transfers.receive(step.process, message, now=NOW).process.address == address
    for other in (
        transfer(C, S.STARTED),
        transfer(C, S.STARTED, "HttpData-PUSH", is_doubted=True),
        transfer(P, S.STARTED, is_doubted=True),
    ):
        assert done(other, S.STARTED).outgoing == ()


def test_nothing_is_given_out_in_doubt() -> None:
    assert transfer(P, S.STARTED).is_open
    doubted = transfer(P, S.STARTED, is_doubted=True)
    assert not doubted.is_open
    assert done(doubted, S.STARTED).process.is_open
