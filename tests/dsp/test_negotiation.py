"""The pure steps of a negotiation, rule by rule: proof of delivery, crossings, ends, what a peer's words may weigh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.dsp import messages as m
from connector.dsp import negotiation as steps
from connector.dsp import wire
from connector.dsp.negotiation import Negotiation, Opening
from connector.dsp.process import By, Cause, Step, below
from connector.dsp.tables import Event, Role, State
from connector.dsp.values import replace
from connector.errors import BadMessage, Conflict, IllegalTransition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OFFER: dict[str, Any] = {"@id": "urn:o:1", "@type": "Offer", "target": "urn:d:1", "permission": [{"action": "use"}]}
AGREEMENT: dict[str, Any] = {**OFFER, "@id": "urn:a:1", "@type": "Agreement", "assigner": "urn:p", "assignee": "urn:c"}
US, THEM = "urn:ours", "urn:theirs"


def begun(role: Role = Role.CONSUMER) -> Step[Negotiation]:
    """Our own first message, in flight."""
    opening = Opening(
        participant="p", pid=US, message_id="m1", peer="urn:peer", peer_address="https://peer.example/dsp/",
        callback="https://own.example", dataset="urn:d:1", offer=OFFER,
    )  # fmt: skip
    return steps.begin(opening, role, NOW)


def provider(state: State = State.REQUESTED, **fields: Any) -> Negotiation:
    """A negotiation that a consumer began with us."""
    message = m.ContractRequestMessage(consumer_pid=THEM, callback_address="https://peer.example/dsp", offer=OFFER)
    first = steps.received_first(message, participant="p", pid=US, peer="urn:peer", callback="https://own.example", now=NOW)
    return replace(first.process, state=state, **fields)


def consumer(state: State = State.REQUESTED, **fields: Any) -> Negotiation:
    """A negotiation of ours that the provider knows."""
    acknowledged = steps.settle(begun().process, "m1", known(), new_message_id="x", now=NOW)
    return replace(acknowledged.process, state=state, **fields)


def known() -> m.ContractNegotiation:
    return m.ContractNegotiation(provider_pid=THEM, consumer_pid=US, state=State.REQUESTED)


def act(process: Negotiation, event: Event, message_id: str = "m2", **given: Any) -> Step[Negotiation]:
    cause = given.pop("cause", Cause(by=By.OPERATOR))
    return steps.act(process, event, message_id=message_id, now=NOW, cause=cause, **given)


def ids(process: Negotiation) -> dict[str, Any]:
    return {"provider_pid": process.provider_pid or THEM, "consumer_pid": process.consumer_pid or THEM}


def terminates(process: Negotiation, **members: Any) -> m.ContractNegotiationTerminationMessage:
    return m.ContractNegotiationTerminationMessage(**ids(process), **members)


# --- what an answer teaches


def test_an_answer_that_says_nothing_of_the_peers_process_is_taken_and_told() -> None:
    reached = steps.settle(begun().process, "m1", None, new_message_id="x", now=LATER).process
    assert (reached.state, reached.peer_pid) == (State.REQUESTED, None)
    assert reached.warnings == ("the peer acknowledged our first message without a process id of its own",)
    # an empty answer to a later message is what the field sends
    sent = act(consumer(State.AGREED, agreement=AGREEMENT), Event.VERIFY)
    assert steps.settle(sent.process, "m2", None, new_message_id="x", now=LATER).process.warnings == ()


def test_an_answer_about_another_process_is_believed_in_nothing() -> None:
    lie = m.ContractNegotiation(provider_pid="urn:p:1", consumer_pid="urn:someone-else", state=State.FINALIZED)
    reached = steps.settle(begun().process, "m1", lie, new_message_id="x", now=LATER).process
    assert (reached.state, reached.peer_pid) == (State.REQUESTED, None)
    assert "`urn:someone-else` and not about ours" in reached.warnings[0]


def test_a_peer_that_changes_its_process_id_in_an_answer_keeps_the_one_it_began_with() -> None:
    sent = act(consumer(State.AGREED, agreement=AGREEMENT), Event.VERIFY)
    other = m.ContractNegotiation(provider_pid="urn:changed", consumer_pid=US, state=State.VERIFIED)
    reached = steps.settle(sent.process, "m2", other, new_message_id="x", now=LATER).process
    assert (reached.state, reached.peer_pid) == (State.VERIFIED, THEM)
    assert "`urn:changed` now" in reached.warnings[0]


# --- a state is reached when the message is acknowledged


def test_a_state_is_reached_when_our_message_is_acknowledged_and_not_before() -> None:
    sent = act(provider(), Event.AGREE, agreement=AGREEMENT)
    assert (sent.process.state, sent.process.agreement) == (State.REQUESTED, None)
    reached = steps.settle(sent.process, "m2", None, new_message_id="x", now=LATER)
    assert (reached.process.state, reached.process.agreement_id, reached.process.in_flight) == (State.AGREED, "urn:a:1", None)
    assert reached.entered


def test_an_acknowledgement_of_another_message_changes_nothing() -> None:
    sent = act(provider(), Event.AGREE, agreement=AGREEMENT)
    assert steps.settle(sent.process, "m9", None, new_message_id="x", now=LATER) == Step(process=sent.process)


def test_a_message_that_only_follows_ours_proves_that_ours_arrived() -> None:
    sent = act(provider(), Event.AGREE, agreement=AGREEMENT)
    verified = steps.receive(sent.process, m.ContractAgreementVerificationMessage(**ids(sent.process)), now=LATER)
    assert verified.process.state is State.VERIFIED
    assert verified.process.agreement_id == "urn:a:1"
    assert verified.cancelled == ("m2",)
    assert [record.state for record in verified.records] == [State.AGREED, State.VERIFIED]
    # and the answer that comes late after all is nobody's
    assert steps.settle(verified.process, "m2", None, new_message_id="x", now=LATER) == Step(process=verified.process)


def test_a_first_message_is_proven_by_whatever_the_peer_sends_about_the_process() -> None:
    process = begun().process
    offer = m.ContractOfferMessage(provider_pid=THEM, consumer_pid=US, offer=OFFER)
    offered = steps.receive(process, offer, now=LATER)
    assert (offered.process.state, offered.process.peer_pid, offered.cancelled) == (State.OFFERED, THEM, ("m1",))


def test_a_message_that_would_be_unlawful_even_then_proves_nothing() -> None:
    sent = act(provider(), Event.OFFER)
    with pytest.raises(IllegalTransition):
        steps.receive(sent.process, m.ContractAgreementVerificationMessage(**ids(sent.process)), now=LATER)


@pytest.mark.parametrize("state", [State.FINALIZED, State.TERMINATED])
def test_a_final_state_takes_nothing_more(state: State) -> None:
    process = provider(state)
    with pytest.raises(IllegalTransition, match="nothing is lawful"):
        steps.receive(process, terminates(process), now=LATER)
    with pytest.raises(IllegalTransition):
        act(process, Event.TERMINATE)


def test_a_body_with_pids_of_another_process_is_refused() -> None:
    process = provider(State.AGREED)
    for pids in ({"provider_pid": "urn:x", "consumer_pid": THEM}, {"provider_pid": US, "consumer_pid": "urn:x"}):
        with pytest.raises(BadMessage, match="Pid"):
            steps.receive(process, m.ContractAgreementVerificationMessage(**pids), now=LATER)


def test_a_counter_offer_is_about_the_same_dataset() -> None:
    process = provider(State.OFFERED)
    message = m.ContractRequestMessage(**ids(process), offer={**OFFER, "target": "urn:d:2"})
    with pytest.raises(BadMessage, match="another dataset"):
        steps.receive(process, message, now=LATER)


def test_a_first_message_needs_a_callback() -> None:
    with pytest.raises(BadMessage, match="callbackAddress"):
        steps.received_first(
            m.ContractRequestMessage(consumer_pid=THEM, provider_pid=US, offer=OFFER),
            participant="p", pid=US, peer="urn:peer", callback="https://own.example", now=NOW,
        )  # fmt: skip


# --- one message at a time, and ends that cross


def test_one_message_of_ours_is_on_its_way_at_a_time() -> None:
    sent = act(provider(), Event.OFFER)
    with pytest.raises(Conflict, match="offer"):
        act(sent.process, Event.AGREE, "m3", agreement=AGREEMENT)


def test_a_termination_overtakes_what_is_on_its_way() -> None:
    sent = act(provider(), Event.OFFER)
    ended = act(sent.process, Event.TERMINATE, "m3")
    assert ended.cancelled == ("m2",)
    assert ended.process.in_flight is not None
    assert ended.process.in_flight.event is Event.TERMINATE


def test_a_termination_does_not_overtake_a_message_that_ends_the_process_too() -> None:
    sent = act(provider(State.VERIFIED, agreement=AGREEMENT), Event.FINALIZE)
    with pytest.raises(Conflict):
        act(sent.process, Event.TERMINATE, "m3")


def test_when_two_ends_cross_the_termination_wins() -> None:
    ours = act(consumer(State.AGREED, agreement=AGREEMENT), Event.TERMINATE)
    final = m.ContractNegotiationEventMessage(**ids(ours.process), event_type="FINALIZED")
    verified = replace(ours.process, state=State.VERIFIED)
    with pytest.raises(IllegalTransition, match="termination of ours"):
        steps.receive(verified, final, now=LATER)


def test_when_two_terminations_cross_both_sides_are_terminated_and_nothing_is_left_to_send() -> None:
    ours = act(provider(), Event.TERMINATE, cause=Cause(by=By.OPERATOR, code="a", reasons=("ours",)))
    both = steps.receive(ours.process, terminates(ours.process, code="b", reason=("theirs",)), now=LATER)
    assert (both.process.state, both.process.in_flight, both.cancelled) == (State.TERMINATED, None, ("m2",))
    assert (both.process.code, both.process.reasons) == ("b", ("theirs",))


# --- what is given up


def test_a_message_given_up_terminates_and_the_peer_is_told() -> None:
    sent = act(provider(), Event.OFFER)
    told = steps.give_up(sent.process, "m2", "answered 400", new_message_id="m3", now=LATER)
    assert told.process.error == "answered 400"
    assert told.process.in_flight is not None
    assert told.process.in_flight.event is Event.TERMINATE
    (out,) = told.outgoing
    assert "`offer` could not be delivered" in out.body.decode()


def test_a_first_message_given_up_ends_here_and_nobody_is_told() -> None:
    ended = steps.give_up(begun().process, "m1", "no answer", new_message_id="m3", now=LATER)
    assert (ended.process.state, ended.outgoing, ended.process.code) == (State.TERMINATED, (), "delivery-failed")


def test_a_termination_that_cannot_be_delivered_keeps_its_own_words() -> None:
    sent = act(provider(), Event.TERMINATE, cause=Cause(by=By.OPERATOR, code="enough", reasons=("too dear",)))
    ended = steps.give_up(sent.process, "m2", "no answer", new_message_id="m3", now=LATER)
    assert (ended.process.state, ended.process.error) == (State.TERMINATED, "no answer")
    assert (ended.process.code, ended.process.reasons) == ("enough", ("too dear",))
    assert "no answer" in ended.records[-1].note


def test_a_refused_message_that_crossed_one_of_the_peer_is_dropped() -> None:
    # our counter-offer is refused because the peer's acceptance of the earlier one was on its way
    sent = replace(act(provider(), Event.OFFER).process, state=State.ACCEPTED)
    dropped = steps.give_up(sent, "m2", "answered 400", new_message_id="m3", now=LATER)
    assert (dropped.process.state, dropped.process.in_flight, dropped.outgoing) == (State.ACCEPTED, None, ())
    assert dropped.records[-1].event == "drop offer"


def test_giving_up_what_is_in_flight_no_more_changes_nothing() -> None:
    process = provider()
    assert steps.give_up(process, "m2", "no answer", new_message_id="m3", now=LATER) == Step(process=process)


def test_a_first_message_acknowledged_after_the_end_tells_the_peer_of_the_end() -> None:
    gone = act(begun().process, Event.TERMINATE, cause=Cause(by=By.OPERATOR, code="changed-plans", reasons=("no more",)))
    assert (gone.process.state, gone.outgoing, gone.cancelled) == (State.TERMINATED, (), ())
    told = steps.settle(gone.process, "m1", known(), new_message_id="m3", now=LATER)
    (out,) = told.outgoing
    assert out.is_harmless
    assert out.url == "https://peer.example/dsp/negotiations/urn:theirs/termination"
    message = wire.decode(out.body, m.ContractNegotiationTerminationMessage).message
    assert (message.provider_pid, message.consumer_pid, message.code, message.reason) == (
        THEM,
        US,
        "changed-plans",
        ("no more",),
    )
    # once is enough
    assert steps.settle(told.process, "m1", known(), new_message_id="m4", now=LATER).outgoing == ()


# --- what stands still


def test_what_waits_too_long_is_terminated_and_the_peer_told() -> None:
    cause = Cause(by=By.RULE, code="waited-too-long", reasons=("nothing happened",))
    expired = steps.expire(consumer(), message_id="m3", now=LATER, cause=cause)
    assert expired.process.in_flight is not None
    assert expired.process.in_flight.event is Event.TERMINATE


@pytest.mark.parametrize(
    "process",
    [provider(State.AGREED, agreement=AGREEMENT), consumer(State.ACCEPTED), consumer(State.VERIFIED, agreement=AGREEMENT)],
    ids=["provider in AGREED", "consumer in ACCEPTED", "consumer in VERIFIED"],
)
def test_where_the_diagram_leaves_the_end_to_the_peer_what_waits_too_long_ends_here(process: Negotiation) -> None:
    with pytest.raises(IllegalTransition):
        act(process, Event.TERMINATE)
    expired = steps.expire(process, message_id="m3", now=LATER, cause=Cause(by=By.RULE, code="waited-too-long"))
    assert (expired.process.state, expired.process.in_flight) == (State.TERMINATED, None)
    (out,) = expired.outgoing
    assert out.is_harmless
    assert out.url.endswith("/termination")


def test_what_has_ended_or_is_about_to_does_not_expire() -> None:
    cause = Cause(by=By.RULE)
    with pytest.raises(IllegalTransition):
        steps.expire(provider(State.FINALIZED), message_id="m3", now=LATER, cause=cause)
    sent = act(provider(State.VERIFIED, agreement=AGREEMENT), Event.FINALIZE)
    with pytest.raises(Conflict):
        steps.expire(sent.process, message_id="m3", now=LATER, cause=cause)


# --- what a peer's words may weigh


def test_reasons_and_codes_of_a_peer_are_kept_and_bounded() -> None:
    process = provider()
    reasons: tuple[Any, ...] = ("r" * 100_000, {"why": ["no"]}, *("again" for _ in range(1000)))
    ended = steps.receive(process, terminates(process, code="c" * 5000, reason=reasons), now=LATER)
    assert len(ended.process.code or "") == 200
    assert len(ended.process.reasons) == 20
    assert len(ended.process.reasons[0]) == 2000
    assert ended.process.reasons[1] == '{"why":["no"]}'
    assert len(ended.records[-1].note) < 5000


def test_warnings_are_kept_once_and_not_without_end() -> None:
    process = provider(State.AGREED, warnings=tuple(f"w{n}" for n in range(49)))
    message = m.ContractAgreementVerificationMessage(**ids(process))
    found = steps.receive(process, message, now=LATER, warnings=("w1", "x1", "x2", "x3")).process.warnings
    assert len(found) == 50
    assert found.count("w1") == 1
    assert found[-1] == "x1"


def test_a_message_without_an_id_is_forgotten_when_ours_has_followed_it() -> None:
    process = replace(act(provider(last_received="digest"), Event.OFFER).process)
    assert process.last_received == "digest"
    reached = steps.settle(process, "m2", None, new_message_id="x", now=LATER)
    assert reached.process.last_received is None
    # in a final state nothing lawful can come any more: it is still known as a repetition
    final = act(provider(State.VERIFIED, agreement=AGREEMENT, last_received="digest"), Event.FINALIZE).process
    assert steps.settle(final, "m2", None, new_message_id="x", now=LATER).process.last_received == "digest"


# --- addresses


@pytest.mark.parametrize(
    ("pid", "path"),
    [("a/b", "a%2Fb"), ("100%", "100%25"), ("a%2Fb", "a%252Fb"), ("a b\n", "a%20b%0A"), ("?x#y", "%3Fx%23y"), ("ä", "%C3%A4")],
)  # fmt: skip
def test_a_pid_is_one_segment_of_the_address_whatever_is_in_it(pid: str, path: str) -> None:
    sent = act(provider(peer_pid=pid), Event.OFFER)
    assert sent.outgoing[0].url == f"https://peer.example/dsp/negotiations/{path}/offers"


def test_slashes_never_double() -> None:
    assert below("https://peer.example/dsp//", "a", "b") == "https://peer.example/dsp/a/b"
    assert begun().process.peer_address == "https://peer.example/dsp"


@pytest.mark.parametrize("name", ["target", "odrl:target", "http://www.w3.org/ns/odrl/2/assignee", "uid", "odrl:assigner"])
def test_what_an_agreement_takes_over_of_an_offer_is_its_rules_alone(name: str) -> None:
    assert steps.rules_of({**OFFER, name: "urn:other"}) == {"permission": [{"action": "use"}]}


@pytest.mark.parametrize("role", list(Role))
def test_our_own_first_message_names_where_to_answer(role: Role) -> None:
    (out,) = begun(role).outgoing
    tree = wire.decode(out.body, m.ContractRequestMessage, m.ContractOfferMessage).message
    assert tree.callback_address == "https://own.example"
    assert out.url.endswith("/negotiations/request" if role is Role.CONSUMER else "/negotiations/offers")
    assert begun(role).process.state is None
