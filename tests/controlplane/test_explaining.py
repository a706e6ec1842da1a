"""What the engine says of a process, for its operator: the same as it would decide, and nothing is noted of it."""

from __future__ import annotations

import pytest

from connector.controlplane.explaining import Explained, Explaining
from connector.controlplane.terms import TransferWish
from connector.odrl.enforce import Enforcement
from connector.odrl.phrases import Language
from connector.odrl.truth import Code, Effect
from tests.controlplane.scene import Node, imported, members_only, only_for
from tests.controlplane.test_usage import pulled, pulling, use_when


async def explained(node: Node, pid: str, language: Language = Language.EN) -> Explained:
    key = await node.store.find("alice", pid)
    assert key is not None
    process = await node.store.process(key)
    assert process is not None
    tokens = node.transfers._tokens
    return await Explaining(node.store, node.participants, node.offerings, node.judge, node.usages, tokens, node.clock).process(
        process, language
    )


async def test_a_running_transfer_is_explained_by_its_agreement_and_its_book(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "2"))
    await pulled(node, transfer)
    await node.log.flush()
    before = (await node.log.found("alice", {})).total
    said = await explained(node, transfer.pid)
    assert said.decision is not None
    assert said.decision.effect is Effect.PERMIT
    assert [clause.enforced for clause in said.clauses] == [(Enforcement.TRANSFER, Enforcement.RUNNING)]
    assert (await explained(node, transfer.pid, Language.DE)).sentence.startswith("erlaubt")
    assert (await node.log.found("alice", {})).total == before


async def test_a_negotiation_of_ours_as_provider_is_explained_by_what_is_offered(node: Node) -> None:
    await node.publish(only_for("research"))
    said = await explained(node, await node.requested(terms=only_for("research")))
    assert said.decision is not None
    assert said.decision.effect is Effect.DENY
    assert "purpose" in said.sentence
    assert said.clauses[0].operand == "purpose"


async def test_a_consumer_is_told_what_the_other_side_judges(node: Node) -> None:
    agreement = await imported(node, **members_only())
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    said = await explained(node, transfer.pid)
    assert said.named(Code.LEFT_TO_PEER) == ["membership"]
    assert said.named(Code.LEGAL_ONLY) == []
    assert said.sentence == "permitted; judged by the other side: membership"


@pytest.mark.parametrize("language", list(Language))
async def test_where_there_is_nothing_to_decide_the_terms_are_told_all_the_same(node: Node, language: Language) -> None:
    process = await node.begin(offer={"@id": "urn:o:1", **members_only()})
    said = await explained(node, process.pid, language)
    assert (said.decision, said.sentence) == (None, "")
    assert said.clauses[0].operand == "membership"
