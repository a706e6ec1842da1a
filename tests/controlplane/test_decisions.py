"""Decisions are data: which rule matches, who decides first, what the gate lets through, and what waits for a human."""

from __future__ import annotations

from typing import Any

import pytest

from connector.controlplane.decisions import (
    MAX_ROUNDS,
    WAIT,
    Choice,
    Gate,
    Judgement,
    act_named,
    choose,
    matches,
    negotiation_gate,
)
from connector.dsp import messages as m
from connector.dsp.negotiation import Negotiation
from connector.dsp.process import Process
from connector.dsp.tables import TABLES, Event, Kind, Move, Role, State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import CallerError
from connector.settings import Rule
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import (
    EVE,
    NOW,
    USE,
    Node,
    agreement_tree,
    counter,
    members_only,
    only_for,
    pids,
    request,
    transfer_request,
)

COMMON: dict[str, Any] = {
    "participant": "alice", "pid": "urn:p", "role": Role.PROVIDER, "peer": "urn:bob", "peer_address": "https://bob.example",
    "state": State.REQUESTED, "entries": {"REQUESTED": 2}, "dataset": "urn:d:1", "created_at": NOW, "updated_at": NOW,
}  # fmt: skip
NEGOTIATION = Negotiation(**COMMON, offer={})
TRANSFER = Transfer(**COMMON, agreement_id="urn:a:1", format="HttpData-PULL")


def rule(on: str = "REQUESTED", do: str = "terminate", **given: Any) -> Rule:
    return Rule.model_validate({"on": on, "do": do, **given})


@pytest.mark.parametrize("move", [move for moves in TABLES[Kind.NEGOTIATION].values() for move in moves], ids=str)
def test_a_message_of_ours_leads_to_no_state_in_which_terms_are_judged(move: Move) -> None:
    # INVARIANT: a message of ours leads to no state in which terms are judged: what is known of the peer is not looked up for it
    def judge(_: Negotiation) -> Judgement:
        raise AssertionError("terms were judged")

    assert isinstance(negotiation_gate(replace(NEGOTIATION, role=move.sender, state=move.to), judge), Gate)


# --- a rule matches role, party, dataset, agreement, format, state, n-th entry


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"on": "OFFERED"}, False),
        ({"kind": "transfer"}, False),
        ({"role": "provider"}, True),
        ({"role": "consumer"}, False),
        ({"party": "urn:bob"}, True),
        ({"party": "urn:eve"}, False),
        ({"dataset": "urn:d:1"}, True),
        ({"dataset": "urn:d:2"}, False),
        ({"nth": 2}, True),
        ({"nth": 1}, False),
        ({"agreement": "urn:a:1"}, False),
        ({"format": "HttpData-PULL"}, False),
        ({"role": "provider", "party": "urn:bob", "dataset": "urn:d:1", "nth": 2}, True),
        ({"role": "provider", "party": "urn:bob", "dataset": "urn:d:1", "nth": 3}, False),
    ],
)
def test_each_field_of_a_rule_narrows_which_negotiation_it_is_for(given: dict[str, Any], expected: bool) -> None:
    assert matches(rule(**given), NEGOTIATION, Kind.NEGOTIATION) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"kind": "negotiation"}, False),
        ({"agreement": "urn:a:1"}, True),
        ({"agreement": "urn:a:2"}, False),
        ({"format": "HttpData-PULL"}, True),
        ({"format": "HttpData-PUSH"}, False),
        ({"dataset": "urn:d:2"}, False),
        ({"nth": 2, "agreement": "urn:a:1", "format": "HttpData-PULL", "party": "urn:bob"}, True),
    ],
)
def test_each_field_of_a_rule_narrows_which_transfer_it_is_for(given: dict[str, Any], expected: bool) -> None:
    assert matches(rule(**{"kind": "transfer", **given}), TRANSFER, Kind.TRANSFER) is expected


def test_before_its_first_state_nothing_matches() -> None:
    assert not matches(rule(), replace(NEGOTIATION, state=None), Kind.NEGOTIATION)


# --- the first decider with an opinion


USUAL = Choice(act=Event.AGREE)


def chosen(
    *participant: Rule,
    definition: tuple[Rule, ...] = (),
    gate: Gate | None = None,
    process: Process = NEGOTIATION,
    manual: bool = False,
) -> Choice:
    return choose(
        process,
        Kind.NEGOTIATION,
        participant_rules=participant,
        definition_rules=definition,
        gate=gate or Gate(usual=USUAL),
        needs_approval=manual,
    )


def test_without_a_rule_the_usual_course_is_taken() -> None:
    assert chosen() is USUAL
    assert chosen(rule(on="VERIFIED")) is USUAL


def test_the_first_matching_rule_wins_and_the_participants_come_before_the_definitions() -> None:
    assert chosen(rule(do="offer"), rule(do="terminate")).act is Event.OFFER
    assert chosen(rule(do="offer"), definition=(rule(do="terminate"),)).act is Event.OFFER
    assert chosen(definition=(rule(do="terminate"),)).act is Event.TERMINATE


def test_rules_of_a_definition_are_the_providers() -> None:
    ours = replace(NEGOTIATION, role=Role.CONSUMER, state=State.OFFERED, entries={"OFFERED": 1})
    assert chosen(definition=(rule(on="OFFERED", do="terminate"),), process=ours) is USUAL


def test_a_rule_that_says_what_the_gate_refuses_is_passed_over() -> None:
    gate = Gate(refused={Event.AGREE: ("no",)}, usual=Choice(hold="no"))
    assert chosen(rule(do="agree"), gate=gate).hold == "no"
    assert chosen(rule(do="agree"), rule(do="offer"), gate=gate).act is Event.OFFER


def test_a_rule_that_says_what_the_machine_forbids_is_passed_over() -> None:
    assert chosen(rule(do="finalize")) is USUAL
    assert chosen(rule(do="accept")) is USUAL


def test_hold_beats_everything_behind_it() -> None:
    held = chosen(rule(do="hold", reason="four eyes"), rule(do="agree"), manual=True)
    assert (held.act, held.hold) == (None, "four eyes")


def test_a_rule_beats_the_approval_inbox_and_that_beats_the_usual_course() -> None:
    assert chosen(rule(do="agree"), manual=True).act is Event.AGREE
    assert chosen(manual=True).hold == "waits for approval"
    # what commits us to nothing needs no approval
    ending = Gate(usual=Choice(act=Event.TERMINATE))
    assert chosen(gate=ending, manual=True).act is Event.TERMINATE
    assert chosen(gate=Gate(usual=WAIT), manual=True) is WAIT


def test_a_choice_of_a_rule_carries_its_delay_and_reason() -> None:
    found = chosen(rule(do="terminate", delay_s=60, reason="closed on mondays"))
    assert (found.delay_s, found.cause.reasons, found.cause.by) == (60, ("closed on mondays",), "rule")


def test_a_counter_is_an_offer_of_the_provider_and_a_request_of_the_consumer() -> None:
    assert act_named("counter", Role.PROVIDER) is Event.OFFER
    assert act_named("counter", Role.CONSUMER) is Event.REQUEST
    with pytest.raises(CallerError, match="no act `dance`"):
        act_named("dance", Role.PROVIDER)


def test_rules_that_lead_in_a_circle_wait_for_a_human_at_last() -> None:
    late = replace(NEGOTIATION, entries={"REQUESTED": MAX_ROUNDS + 1})
    assert chosen(rule(do="offer"), process=late).hold is not None
    # a rule for exactly this entry was meant
    assert chosen(rule(do="offer", nth=MAX_ROUNDS + 1), process=late).act is Event.OFFER
    assert chosen(rule(do="terminate"), process=late).act is Event.TERMINATE


# --- the gate, on whole use cases


async def test_terms_within_ours_are_agreed_to(node: Node) -> None:
    await node.publish()
    pid = await node.requested(terms=only_for("research"), purpose="research")
    process = await node.negotiation(pid)
    assert process.state is State.AGREED
    assert process.agreement is not None
    # to what was asked for, which is less than we would grant
    assert process.agreement["permission"] == only_for("research")["permission"]


async def test_terms_that_ask_for_too_much_are_countered_with_the_reason(node: Node) -> None:
    await node.publish(only_for("research"))
    pid = await node.requested(purpose="research")
    process = await node.negotiation(pid)
    assert (process.state, process.hold) == (State.OFFERED, None)
    (sent,) = node.host.of("ContractOfferMessage")
    assert sent.tree["offer"]["permission"] == only_for("research")["permission"]
    assert sent.tree["offer"]["target"] == "urn:d:1"
    assert any(record.event == "send offer" and record.note for record in (await node.timeline(pid)).records)
    # and when it accepts that, it gets that
    await node.tell(m.ContractNegotiationEventMessage(**pids(process), event_type="ACCEPTED"), pid)
    process = await node.negotiation(pid)
    assert process.agreement is not None
    assert process.agreement["permission"] == only_for("research")["permission"]


async def test_counter_rounds_are_bounded(node: Node) -> None:
    await node.publish(only_for("research"))
    pid = await node.requested(purpose="research")
    for _ in range(MAX_ROUNDS + 5):
        process = await node.negotiation(pid)
        if process.is_ended:
            break
        await node.tell(counter(process), pid)
    process = await node.negotiation(pid)
    assert (process.state, process.code) == (State.TERMINATED, "no-agreement")
    assert len(node.host.of("ContractOfferMessage")) == MAX_ROUNDS


async def test_who_may_never_is_refused_with_the_reason(node: Node) -> None:
    await node.publish(members_only())
    found = await node.tell(request(terms=members_only()), caller=EVE)
    process = await node.negotiation(found.provider_pid)
    assert (process.state, process.code) == (State.TERMINATED, "not-acceptable")
    assert "membership" in " ".join(process.reasons)
    with_claim = await node.requested("urn:c:2", terms=members_only())
    assert (await node.negotiation(with_claim)).state is State.AGREED


async def test_no_rule_opens_what_the_gate_refuses(new_node: NewNode) -> None:
    node = await new_node(alice={"rules": [{"on": "REQUESTED", "do": "agree"}]})
    await node.publish(members_only())
    found = await node.tell(request(terms=members_only()), caller=EVE)
    assert (await node.negotiation(found.provider_pid)).state is State.TERMINATED


async def test_terms_that_nobody_here_can_judge_wait_for_a_human(node: Node) -> None:
    await node.publish()
    pid = await node.requested(terms={**USE, "https://acme.example/clause": "seven"})
    process = await node.negotiation(pid)
    assert process.state is State.REQUESTED
    assert "clause" in (process.hold or "")
    await node.negotiations.act("alice", pid, "approve")
    await node.rest()
    assert (await node.negotiation(pid)).state is State.AGREED


# --- the human


@pytest.mark.parametrize("where", ["participant", "definition"])
async def test_approval_is_a_setting_of_the_participant_or_of_the_definition(new_node: NewNode, where: str) -> None:
    node = await new_node(alice={"approval": "manual" if where == "participant" else "auto"})
    await node.publish(approval="manual" if where == "definition" else "auto")
    pid = await node.requested()
    process = await node.negotiation(pid)
    assert (process.state, process.hold) == (State.REQUESTED, "waits for approval")
    assert (await node.negotiations.act("alice", pid, "approve")).hold is None
    await node.rest()
    assert (await node.negotiation(pid)).state is State.AGREED


async def test_a_consumer_decides_by_rules_and_approval_too(new_node: NewNode) -> None:
    node = await new_node(
        alice={"approval": "manual", "rules": [{"on": "AGREED", "role": "consumer", "do": "hold", "reason": "four eyes"}]}
    )
    process = await node.begin()
    offer = m.ContractOfferMessage(**pids(process), offer={"@id": "urn:o:1", "@type": "Offer", "target": "urn:d:1", **USE})
    await node.tell(offer, process.pid)
    assert (await node.negotiation(process.pid)).hold == "waits for approval"
    await node.negotiations.act("alice", process.pid, "approve")
    await node.rest()
    assert (await node.negotiation(process.pid)).state is State.ACCEPTED
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement_tree(process)), process.pid)
    found = await node.negotiation(process.pid)
    assert (found.state, found.hold) == (State.AGREED, "four eyes")
    await node.negotiations.act("alice", process.pid, "approve")
    await node.rest()
    assert (await node.negotiation(process.pid)).state is State.VERIFIED


async def test_a_consumer_accepts_what_it_asked_for_and_holds_what_is_less(node: Node) -> None:
    for terms, state in ((USE, State.ACCEPTED), (only_for("teaching"), State.OFFERED)):
        process = await node.begin()
        offer = {"@id": "urn:o:9", "@type": "Offer", "target": "urn:d:1", **terms}
        await node.tell(m.ContractOfferMessage(**pids(process), offer=offer), process.pid)
        found = await node.negotiation(process.pid)
        assert found.state is state
        assert (found.hold is not None) is (state is State.OFFERED)


async def test_rules_set_at_run_time_hold_from_the_next_state_on(node: Node) -> None:
    await node.publish()
    before = await node.requested("urn:c:1")
    await node.participants.set_rules("alice", (rule(do="terminate", reason="closed"),))
    after = await node.requested("urn:c:2")
    assert (await node.negotiation(before)).state is State.AGREED
    process = await node.negotiation(after)
    assert (process.state, process.reasons) == (State.TERMINATED, ("closed",))
    await node.participants.set_rules("alice", ())
    assert (await node.negotiation(await node.requested("urn:c:3"))).state is State.AGREED


async def test_rules_of_a_transfer_play_both_roles_by_the_nth_entry(new_node: NewNode) -> None:
    rules = [
        {"kind": "transfer", "on": "STARTED", "do": "suspend", "nth": 1, "reason": "a break"},
        {"kind": "transfer", "on": "SUSPENDED", "do": "start", "nth": 1},
        {"kind": "transfer", "on": "STARTED", "do": "complete", "nth": 2},
    ]
    node = await new_node(alice={"rules": rules})
    await node.publish()
    found = await node.tell(transfer_request(await node.agreed()))
    process = await node.transfer(found.provider_pid)
    assert (process.state, process.entries) == (State.COMPLETED, {"REQUESTED": 1, "STARTED": 2, "SUSPENDED": 1, "COMPLETED": 1})
    kinds = [sent.tree["@type"] for sent in node.host.sent if sent.tree["@type"].startswith("Transfer")]
    assert kinds == ["TransferStartMessage", "TransferSuspensionMessage", "TransferStartMessage", "TransferCompletionMessage"]
