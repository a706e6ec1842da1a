"""Both sides of a process end in the same state, whatever is lost, repeated, crossed or restarted on the way.

Two sides run the pure steps; a network keeps a queue of requests in each direction, may lose them, may lose answers, and lets the
sender try again with the same message. In the end everything pending is delivered, and both sides must agree.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connector.dsp import messages as m
from connector.dsp import negotiation, transfer, wire
from connector.dsp import transfer_opening as opening_steps
from connector.dsp.negotiation import Negotiation, Opening
from connector.dsp.process import By, Cause, Outgoing, Process, Step, dump, load
from connector.dsp.tables import TABLES, Event, Kind, Role, lawful
from connector.dsp.transfer import Transfer
from connector.dsp.transfer_opening import TransferOpening
from connector.errors import Conflict, IllegalTransition, NotFound
from tests.examples import examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "urn:data:1", "permission": [{"action": "use"}]}
AGREEMENT = {
    "@id": "urn:agreement:1",
    "@type": "Agreement",
    "target": "urn:data:1",
    "assigner": "urn:provider",
    "assignee": "urn:consumer",
    "timestamp": "2026-01-01T00:00:00Z",
    "permission": [{"action": "use"}],
}
NEGOTIATION_MESSAGES = (
    m.ContractRequestMessage,
    m.ContractOfferMessage,
    m.ContractAgreementMessage,
    m.ContractAgreementVerificationMessage,
    m.ContractNegotiationEventMessage,
    m.ContractNegotiationTerminationMessage,
)
TRANSFER_MESSAGES = (
    m.TransferRequestMessage,
    m.TransferStartMessage,
    m.TransferSuspensionMessage,
    m.TransferCompletionMessage,
    m.TransferTerminationMessage,
)


@dataclass
class Answer:
    """What came back for one attempt."""

    status: int
    body: Any = None


@dataclass(repr=False)
class Side:
    """One connector: its process, its outbox, and the answers it gave."""

    role: Role
    process: Any = None
    outbox: list[Outgoing] = field(default_factory=list)
    given: dict[str, Answer] = field(default_factory=dict)
    inbound: deque[Outgoing] = field(default_factory=deque)
    """Requests on their way to this side, in order."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """Answers to this side's attempts that have not been read yet, by message id."""

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        flight = self.process.in_flight if self.process else None
        printer.text(f"<{self.role} {self.process and self.process.state} {flight and flight.event}>")


class Network(RuleBasedStateMachine):
    """Shared by both kinds of process; subclasses say how each is begun, received and moved."""

    kind: Kind

    def __init__(self) -> None:
        super().__init__()
        self.consumer, self.provider = Side(Role.CONSUMER), Side(Role.PROVIDER)
        self.ids = 0
        self.now = NOW

    def other(self, side: Side) -> Side:
        return self.provider if side is self.consumer else self.consumer

    def new_id(self) -> str:
        self.ids += 1
        return f"urn:message:{self.ids}"

    def tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def take(self, side: Side, step: Step[Any]) -> None:
        side.process = step.process
        side.outbox += step.outgoing
        side.outbox = [o for o in side.outbox if o.message_id not in step.cancelled]

    # --- what a subclass knows

    def first(self, side: Side, message: Any) -> Step[Any]:
        raise AssertionError

    def later(self, process: Process, message: Any) -> Step[Any]:
        raise AssertionError

    def move(self, process: Process, event: Event) -> Step[Any]:
        raise AssertionError

    def settle(self, process: Process, message_id: str, answer: Any) -> Step[Any]:
        raise AssertionError

    def give_up(self, process: Process, message_id: str) -> Step[Any]:
        raise AssertionError

    def acknowledgement(self, process: Process) -> Any:
        raise AssertionError

    messages: tuple[type[Any], ...]

    # --- what can happen

    def sides(self) -> list[Side]:
        return [self.consumer, self.provider]

    @rule(data=st.data())
    def a_side_acts(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from([s for s in self.sides() if s.process is not None]))
        lawful_now = lawful(TABLES[self.kind], side.process.state, side.role, sending=True)
        moves = [x.event for x in lawful_now if x.event not in (Event.TERMINATE, Event.COMPLETE) and side.process.state]
        ends = data.draw(st.integers(0, 9)) == 0
        event = data.draw(st.sampled_from([Event.TERMINATE, Event.COMPLETE] if ends or not moves else moves))
        try:
            self.take(side, self.move(side.process, event))
        except (Conflict, IllegalTransition):
            return

    @rule(data=st.data(), copies=st.integers(1, 2))
    def a_message_is_tried(self, data: st.DataObject, copies: int) -> None:
        waiting = [(s, o) for s in self.sides() for o in s.outbox]
        if waiting:
            side, outgoing = data.draw(st.sampled_from(waiting))
            # an attempt that is still unanswered has timed out: its answer, if it comes, is nobody's
            side.answers.pop(outgoing.message_id, None)
            for _ in range(copies):
                self.other(side).inbound.append(outgoing)

    @rule(data=st.data())
    def a_message_is_lost(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from(self.sides()))
        if side.inbound:
            side.inbound.popleft()

    @rule(data=st.data(), is_lost=st.booleans())
    def a_message_arrives(self, data: st.DataObject, is_lost: bool) -> None:
        side = data.draw(st.sampled_from(self.sides()))
        if side.inbound:
            self.deliver(side, is_lost)

    def deliver(self, side: Side, is_lost: bool = False) -> None:
        outgoing = side.inbound.popleft()
        message = wire.decode(outgoing.body, *self.messages).message
        answer = self.answer(side, outgoing.message_id, message)
        last = outgoing.message_id not in {o.message_id for o in side.inbound}
        if not is_lost and last:
            self.other(side).answers[outgoing.message_id] = answer

    def answer(self, side: Side, message_id: str, message: Any) -> Answer:
        if message_id in side.given:
            return side.given[message_id]
        try:
            if side.process is None:
                step = self.first(side, message)
            elif type(message) in (m.TransferRequestMessage,) or getattr(message, "callback_address", None):
                return Answer(200, self.acknowledgement(side.process))
            else:
                step = self.later(side.process, message)
        except IllegalTransition:
            return Answer(400)
        except Conflict:
            return Answer(409)
        except NotFound:
            return Answer(404)
        self.take(side, step)
        side.given[message_id] = Answer(200, self.acknowledgement(step.process))
        return side.given[message_id]

    @rule(data=st.data())
    def an_answer_is_read(self, data: st.DataObject) -> None:
        ready = [(s, i) for s in self.sides() for i in s.answers]
        if ready:
            self.read(*data.draw(st.sampled_from(ready)))

    def read(self, side: Side, message_id: str) -> None:
        answer = side.answers.pop(message_id)
        outgoing = next((o for o in side.outbox if o.message_id == message_id), None)
        if outgoing is None or answer.status in (404, 409):
            if outgoing is None or not (answer.status == 404 and outgoing.event is Event.TERMINATE):
                return
            answer = Answer(200)
        side.outbox.remove(outgoing)
        if answer.status == 200:
            self.take(side, self.settle(side.process, message_id, answer.body))
        elif not outgoing.is_harmless:
            self.take(side, self.give_up(side.process, message_id))

    @rule(data=st.data())
    def a_side_restarts(self, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from(self.sides()))
        if side.process is not None:
            side.process = load(type(side.process), dump(side.process))
            side.answers.clear()

    @invariant()
    def a_final_state_stays(self) -> None:
        for side in self.sides():
            before, ended = getattr(side, "_ended", None), side.process is not None and side.process.is_ended
            if before is not None:
                assert side.process.state is before
            if ended:
                side._ended = side.process.state  # type: ignore[attr-defined]

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        self.come_to_rest()

    def teardown(self) -> None:
        self.come_to_rest()
        if self.consumer.process is not None and self.provider.process is not None:
            assert self.consumer.process.state == self.provider.process.state
            assert self.consumer.process.in_flight is None
            assert self.provider.process.in_flight is None

    def come_to_rest(self) -> None:
        for _ in range(60):
            if not any(s.inbound or s.outbox or s.answers for s in self.sides()):
                return
            for side in self.sides():
                while side.inbound:
                    self.deliver(side)
                for message_id in list(side.answers):
                    self.read(side, message_id)
            for side in self.sides():
                for outgoing in list(side.outbox):
                    if outgoing in side.outbox:
                        self.other(side).inbound.append(outgoing)
                        self.deliver(self.other(side))
                        if outgoing.message_id in side.answers:
                            self.read(side, outgoing.message_id)
        raise AssertionError("the two sides never come to rest")


class NegotiationNetwork(Network):
    kind = Kind.NEGOTIATION
    messages = NEGOTIATION_MESSAGES

    @initialize(role=st.sampled_from(list(Role)))
    def begin(self, role: Role) -> None:
        side = self.consumer if role is Role.CONSUMER else self.provider
        opening = Opening(
            participant="p",
            pid=f"urn:{role}:pid",
            message_id=self.new_id(),
            peer=f"urn:{role.other}",
            peer_address="https://peer.example/dsp",
            callback="https://own.example/dsp",
            dataset="urn:data:1",
            offer=OFFER,
        )
        self.take(side, negotiation.begin(opening, role, self.tick()))

    def first(self, side: Side, message: Any) -> Step[Any]:
        if getattr(message, "callback_address", None) is None:
            raise NotFound("no such negotiation")
        return negotiation.received_first(
            message,
            participant="p",
            pid=f"urn:{side.role}:pid",
            peer=f"urn:{side.role.other}",
            callback="https://own.example/dsp",
            now=self.tick(),
        )

    def later(self, process: Process, message: Any) -> Step[Any]:
        assert isinstance(process, Negotiation)
        return negotiation.receive(process, message, now=self.tick())

    def move(self, process: Process, event: Event) -> Step[Any]:
        assert isinstance(process, Negotiation)
        return negotiation.act(
            process,
            event,
            message_id=self.new_id(),
            now=self.tick(),
            cause=Cause(by=By.OPERATOR),
            offer=OFFER,
            agreement=AGREEMENT,
        )

    def settle(self, process: Process, message_id: str, answer: Any) -> Step[Any]:
        assert isinstance(process, Negotiation)
        return negotiation.settle(process, message_id, answer, new_message_id=self.new_id(), now=self.tick())

    def give_up(self, process: Process, message_id: str) -> Step[Any]:
        assert isinstance(process, Negotiation)
        return negotiation.give_up(process, message_id, "refused", new_message_id=self.new_id(), now=self.tick())

    def acknowledgement(self, process: Process) -> Any:
        assert process.state is not None or process.in_flight is not None
        state = process.state or process.in_flight.to  # type: ignore[union-attr]
        return m.ContractNegotiation(
            provider_pid=process.provider_pid or "", consumer_pid=process.consumer_pid or "", state=state
        )


class TransferNetwork(Network):
    kind = Kind.TRANSFER
    messages = TRANSFER_MESSAGES

    @initialize(is_warm=st.booleans())
    def begin(self, is_warm: bool) -> None:
        self.ask()
        if is_warm:
            self.come_to_rest()
            self.take(self.provider, self.move(self.provider.process, Event.START))
            self.come_to_rest()

    def ask(self) -> None:
        opening = TransferOpening(
            participant="p",
            pid="urn:consumer:pid",
            message_id=self.new_id(),
            peer="urn:provider",
            peer_address="https://peer.example/dsp",
            callback="https://own.example/dsp",
            agreement_id="urn:agreement:1",
            dataset="urn:data:1",
            format="HttpData-PULL",
        )
        self.take(self.consumer, opening_steps.begin(opening, self.tick()))

    def first(self, side: Side, message: Any) -> Step[Any]:
        if not isinstance(message, m.TransferRequestMessage):
            raise NotFound("no such transfer")
        return opening_steps.received_first(
            message,
            participant="p",
            pid="urn:provider:pid",
            peer="urn:consumer",
            dataset="urn:data:1",
            callback="https://own.example/dsp",
            now=self.tick(),
        )

    def later(self, process: Process, message: Any) -> Step[Any]:
        assert isinstance(process, Transfer)
        return transfer.receive(process, message, now=self.tick())

    def move(self, process: Process, event: Event) -> Step[Any]:
        assert isinstance(process, Transfer)
        return transfer.act(process, event, message_id=self.new_id(), now=self.tick(), cause=Cause(by=By.OPERATOR))

    def settle(self, process: Process, message_id: str, answer: Any) -> Step[Any]:
        assert isinstance(process, Transfer)
        return transfer.settle(process, message_id, answer, new_message_id=self.new_id(), now=self.tick())

    def give_up(self, process: Process, message_id: str) -> Step[Any]:
        assert isinstance(process, Transfer)
        return transfer.give_up(process, message_id, "refused", new_message_id=self.new_id(), now=self.tick())

    def acknowledgement(self, process: Process) -> Any:
        assert process.state is not None or process.in_flight is not None
        state = process.state or process.in_flight.to  # type: ignore[union-attr]
        return m.TransferProcess(provider_pid=process.provider_pid or "", consumer_pid=process.consumer_pid or "", state=state)


TestNegotiationsConverge = NegotiationNetwork.TestCase
TestTransfersConverge = TransferNetwork.TestCase
TestNegotiationsConverge.settings = TestTransfersConverge.settings = settings(
    max_examples=examples(40), stateful_step_count=50, deadline=None
)
