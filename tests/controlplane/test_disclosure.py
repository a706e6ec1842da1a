"""What a peer is told of a refusal at the level that nobody has changed: that it is one, and which condition it is about.

A peer tries every door it has, and everything that reaches it is searched for what is ours alone: who else may see an offer, how
our policies are built and named, and what is on record.
"""

from __future__ import annotations

import pytest

from connector.dsp import messages as m
from connector.errors import BadMessage, KontorError, NotFound
from tests.controlplane.scene import BOB, EVE, Node, transfer_request
from tests.controlplane.test_usage import pull, pulled, pulling, use_when

INNER = (
    "inner-circle",
    "clearance",
    "see-internal",
    "fraud",
    "4711",
    "permission[",
    "constraint[",
    "and is ",
    "rule ",
    "sha256",
)


def assert_nothing_inner(node: Node, *told: object) -> None:
    heard = [str(one) for one in told] + [sent.body.decode() for sent in node.host.sent]
    assert heard
    for text in heard:
        assert [word for word in INNER if word in text] == [], text


async def hidden(node: Node) -> None:
    """One offer that only an inner circle sees."""
    access = use_when("claim:clearance", "eq", "inner-circle")
    await node.offerings.put("alice", "policy", "see-internal", {"id": "see-internal", "policy": access})
    await node.publish(access_policy="see-internal")


async def test_an_offer_that_is_not_shown_tells_nothing_of_its_access_policy(node: Node) -> None:
    await hidden(node)
    with pytest.raises(BadMessage) as asked:
        await node.requested()
    with pytest.raises(NotFound) as looked:
        await node.catalogs.dataset("alice", BOB, "urn:d:1")
    page = await node.catalogs.answer("alice", EVE, m.CatalogRequestMessage())
    assert_nothing_inner(node, asked.value, looked.value, page.body.decode())


async def test_a_use_too_many_and_a_transfer_too_many_tell_no_number_and_no_place(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "1"))
    await pulled(node, transfer)
    with pytest.raises(KontorError, match="count") as refused:
        await pull(node, transfer)
    answer = await node.tell(transfer_request(transfer.agreement_id, consumer_pid="urn:t:9"))
    ended = await node.transfer(answer.provider_pid)
    assert ended.reasons == ("a condition is not met: count",)
    assert_nothing_inner(node, refused.value, *ended.reasons)
    # our own people see it all
    assert any("and is 2" in record.note for record in (await node.timeline(ended.pid)).records)


async def test_wider_terms_are_answered_by_ours_and_by_no_analysis(node: Node) -> None:
    await node.publish(use_when("count", "lteq", "5"))
    pid = await node.requested(terms=use_when("count", "lteq", "50"))
    process = await node.negotiation(pid)
    (countered,) = node.host.of("ContractOfferMessage")
    assert countered.tree["offer"]["permission"][0]["constraint"][0]["rightOperand"] == "5"
    assert_nothing_inner(node, *process.reasons)
