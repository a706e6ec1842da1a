"""What people record, and what the clock does to duties: data flows when it is on record, and stops when it is not any more."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from connector.controlplane.records import Account, Record
from connector.controlplane.reviews import Noticing
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import CallerError, Forbidden, StoreUnavailable
from connector.odrl.duties import Phase
from connector.odrl.truth import DutyState
from connector.ports.identity import Caller, MessageKind
from connector.ports.ledger import PostingKind
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import BOB, Node, transfer_request
from tests.controlplane.test_usage import pull, pulled, pulling, use_when


def with_duty(action: str, **members: Any) -> dict[str, Any]:
    return {"permission": [{"action": "use", "duty": [{"action": action, **members}]}]}


def until(moment: str, operator: str = "lteq") -> list[dict[str, Any]]:
    right = {"@value": moment, "@type": "xsd:dateTime"}
    return [{"leftOperand": "dateTime", "operator": operator, "rightOperand": right}]


async def agreed(node: Node, policy: Mapping[str, Any]) -> str:
    await node.publish(policy)
    return await node.agreed(terms=policy)


async def asked(node: Node, agreement: str, consumer_pid: str = "urn:t:1") -> Transfer:
    acknowledged = await node.tell(transfer_request(agreement, consumer_pid=consumer_pid))
    return await node.transfer(acknowledged.provider_pid)


async def recorded(node: Node, agreement: str, record: Record) -> Account:
    account = await node.records.record("alice", agreement, record)
    await node.rest()
    return account


def payment(amount: str, key: str | None = None, currency: str = "EUR") -> Record:
    return Record(kind=PostingKind.PAYMENT, amount=Decimal(amount), currency=currency, key=key)


async def test_data_flows_once_it_is_paid_for(node: Node) -> None:
    policy = use_when("payAmount", "gteq", "500", unit="http://dbpedia.org/resource/Euro")
    agreement = await agreed(node, policy)
    refused = await asked(node, agreement)
    assert refused.state is State.TERMINATED
    for key in ("invoice-1", "invoice-1", "invoice-2"):
        account = await recorded(node, agreement, payment("250", key))
    assert account.book.total.paid == {"EUR": Decimal(500)}
    assert (await asked(node, agreement, "urn:t:2")).state is State.STARTED


async def test_an_open_duty_blocks_until_somebody_says_that_it_is_done(node: Node) -> None:
    agreement = await agreed(node, with_duty("attribute"))
    refused = await asked(node, agreement)
    assert (refused.state, refused.code) == (State.TERMINATED, "not-permitted")
    account = await recorded(node, agreement, Record(kind=PostingKind.DUTY, duty="attribute"))
    assert [one.phase for one in account.duties] == [Phase.FULFILLED]
    transfer = await asked(node, agreement, "urn:t:2")
    assert transfer.state is State.STARTED
    # and what runs is ended at once when it turns out not to be so
    violated = Record(kind=PostingKind.DUTY, duty="attribute", state=DutyState.VIOLATED, note="no name on the page")
    await recorded(node, agreement, violated)
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


async def test_a_participant_may_let_data_flow_until_a_duty_is_violated(new_node: NewNode) -> None:
    node = await new_node(alice={"duty_mode": "unless-violated"})
    agreement = await agreed(node, with_duty("attribute"))
    transfer = await asked(node, agreement)
    assert transfer.state is State.STARTED
    await recorded(node, agreement, Record(kind=PostingKind.DUTY, duty="attribute", state=DutyState.VIOLATED))
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


async def test_a_consent_that_is_withdrawn_ends_what_runs(node: Node) -> None:
    agreement = await agreed(node, with_duty("obtainConsent"))
    await recorded(node, agreement, Record(kind=PostingKind.CONSENT, by="the patient"))
    transfer = await asked(node, agreement)
    assert transfer.state is State.STARTED
    await recorded(node, agreement, Record(kind=PostingKind.CONSENT, by="the patient", is_withdrawn=True))
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


async def test_an_event_that_begins_ends_what_was_allowed_before_it(node: Node) -> None:
    transfer = await pulling(node, use_when("event", "lt", "urn:event:release"))
    # nobody keeps a record of it yet: that is no permission
    assert transfer.state is State.TERMINATED
    agreement = transfer.agreement_id
    over = Record(kind=PostingKind.EVENT, event="urn:event:release")
    await recorded(node, agreement, over)
    assert (await asked(node, agreement, "urn:t:2")).state is State.TERMINATED


async def test_an_event_permits_while_it_goes_on(node: Node) -> None:
    agreement = await agreed(node, use_when("event", "eq", "urn:event:fair"))
    await recorded(node, agreement, Record(kind=PostingKind.EVENT, event="urn:event:fair"))
    transfer = await asked(node, agreement)
    assert transfer.state is State.STARTED
    await recorded(node, agreement, Record(kind=PostingKind.EVENT, event="urn:event:fair", is_over=True))
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


OBLIGED = {
    "permission": [{"action": "use"}],
    "obligation": [
        {
            "action": "delete",
            "constraint": until("2026-03-31T00:00:00Z"),
            "consequence": [{"action": "compensate"}],
        }
    ],
}


async def test_a_duty_that_is_not_done_in_time_is_violated_at_that_moment_and_its_consequence_is_due(node: Node) -> None:
    agreement = await agreed(node, OBLIGED)
    account = await node.records.account("alice", agreement)
    assert [(one.actions, one.phase) for one in account.duties] == [(("delete",), Phase.DUE)]
    deadline = account.duties[0].deadline
    assert deadline is not None
    assert await node.store.ledger.next_moment() == deadline
    node.clock.set(deadline)
    await node.records.work()
    account = await node.records.account("alice", agreement)
    assert [(one.actions, one.phase) for one in account.duties] == [
        (("delete",), Phase.VIOLATED),
        (("compensate",), Phase.DUE),
    ]
    book = await node.store.ledger.book("alice", agreement)
    assert book is not None
    assert [entry.state for entry in book.duties.values()].count(DutyState.VIOLATED) == 1
    assert await node.store.ledger.next_moment() is None


async def test_a_duty_that_is_done_in_time_is_not_violated_later(node: Node) -> None:
    agreement = await agreed(node, OBLIGED)
    await recorded(node, agreement, Record(kind=PostingKind.DUTY, duty="delete"))
    node.clock.move(days=400)
    await node.records.work()
    account = await node.records.account("alice", agreement)
    assert [one.phase for one in account.duties] == [Phase.FULFILLED]


async def test_a_duty_counts_from_first_use(node: Node) -> None:
    elapsed = [{"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D"}]
    transfer = await pulling(
        node, {"permission": [{"action": "use"}], "obligation": [{"action": "delete", "constraint": elapsed}]}
    )
    account = await node.records.account("alice", transfer.agreement_id)
    assert account.duties[0].deadline is None
    await node.pass_time(days=3)
    await pulled(node, transfer)
    account = await node.records.account("alice", transfer.agreement_id)
    assert account.duties[0].deadline is not None
    assert (account.duties[0].deadline - node.clock.now()).days == 30


async def test_the_book_of_an_agreement_with_duties_is_opened_again_after_a_crash(new_node: NewNode) -> None:
    here = await new_node("here")
    here.agreements.tell(nobody)
    agreement = await agreed(here, OBLIGED)
    assert await here.store.ledger.book("alice", agreement) is None
    there = await new_node("there")
    await there.records.take_up()
    assert await there.store.ledger.next_moment() is not None


async def test_the_book_of_an_agreement_is_opened_when_the_store_is_back(node: Node) -> None:
    real, faults = node.store.ledger.post, [StoreUnavailable("the primary has moved")]

    async def fails(*values: Any) -> Any:
        if faults:
            raise faults.pop()
        return await real(*values)

    node.store.ledger.post = fails  # type: ignore[method-assign]
    # the consumer has its answer all the same: the agreement is kept
    agreement = await agreed(node, OBLIGED)
    assert faults == []
    assert await node.store.ledger.book("alice", agreement) is None
    await node.records.work()
    assert await node.store.ledger.next_moment() is not None


async def nobody(agreement: object) -> None:
    """Killed before the book was opened."""


async def test_what_the_terms_do_not_have_cannot_be_recorded(node: Node) -> None:
    agreement = await agreed(node, with_duty("attribute"))
    with pytest.raises(CallerError, match="no duty `delete`"):
        await recorded(node, agreement, Record(kind=PostingKind.DUTY, duty="delete"))
    with pytest.raises(CallerError, match="no rule `x`"):
        await recorded(node, agreement, Record(kind=PostingKind.PAYMENT, rule="x", currency="EUR"))


async def test_a_sweep_finds_what_nobody_told_of(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "9"))
    assert transfer.state is State.STARTED
    kept = await node.store.agreement("alice", transfer.agreement_id)
    assert kept is not None
    await node.store.put_agreement(replace(kept, ended_at=node.clock.now(), end_reason="elsewhere"), is_new=False)
    await node.reviews.sweep()
    await node.rest()
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


async def test_a_peer_of_whom_something_else_is_known_is_looked_at_again(node: Node) -> None:
    transfer = await pulling(node, use_when("claim:membership", "eq", "active"))
    assert transfer.state is State.STARTED
    assert await node.reviews.peer("alice", "urn:bob") == 1
    assert await node.reviews.peer("alice", "urn:eve") == 0
    assert (await node.transfer(transfer.pid)).state is State.STARTED


async def test_what_is_not_attested_any_more_is_decided_about_again_with_the_next_message_of_the_peer(node: Node) -> None:
    transfer = await pulling(node, use_when("claim:membership", "eq", "active"))
    known = dict(BOB.claims)

    class Space:
        """Whoever attests: what it says of a peer changes."""

        async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
            return Caller(id=BOB.id, claims=dict(known))

    noticing = Noticing(Space(), node.reviews)
    for _ in range(2):
        await noticing.verify("alice", None, MessageKind.TRANSFER)
    await node.rest()
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    known["membership"] = "suspended"
    looked: list[str] = []
    node.reviews.connect(Looking(looked))
    await noticing.verify("alice", None, MessageKind.TRANSFER)
    assert looked == [transfer.pid]


class Looking:
    """Notes who is decided about again."""

    def __init__(self, looked: list[str]) -> None:
        self.looked = looked

    async def review(self, participant: str, pid: str) -> None:
        self.looked.append(pid)


async def test_a_refusal_says_why(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "1"))
    await pulled(node, transfer)
    with pytest.raises(Forbidden, match="a condition is not met: count"):
        await pull(node, transfer)
