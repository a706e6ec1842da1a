"""The decision log: every decision, what it was made from, and that it can be made again."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.controlplane import decision_log
from connector.controlplane.cases import Case
from connector.controlplane.terms import TransferWish
from connector.dsp import messages as m
from connector.errors import NotFound, StoreUnavailable
from connector.odrl import cases, jsonld
from connector.odrl.truth import Effect, Stage
from connector.ports.decisions import STREAM, KeptInputs
from connector.ports.identity import GROUNDS
from connector.ports.journal import Entry, canonical, verify
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import (
    BOB,
    EVE,
    USE,
    VOCABULARY,
    Node,
    agreement_tree,
    imported,
    members_only,
    pids,
    request,
    transfer_request,
)
from tests.controlplane.test_usage import pull, pulled, pulling, use_when

COUNT_1 = use_when("count", "lteq", "1")
LISTED = replace(
    BOB, claims={**BOB.claims, GROUNDS: ["anchor joined urn:space:x", "participants of urn:space:x number 7 sha256 0"]}
)
"""Bob, and what let him in."""


async def logged(node: Node, **wanted: str) -> list[Entry]:
    """Oldest first."""
    return list(reversed((await node.log.found("alice", wanted)).items))


async def used_up(node: Node) -> str:
    transfer = await pulling(node, COUNT_1)
    await pulled(node, transfer)
    with pytest.raises(Exception, match="count"):
        await pull(node, transfer)
    return transfer.agreement_id


async def test_every_decision_is_an_entry_with_its_reasons(node: Node) -> None:
    agreement = await used_up(node)
    entries = await logged(node)
    assert [(e.body["question"], e.body["effect"]) for e in entries] == [
        ("negotiate", "permit"),
        ("transfer", "permit"),
        ("ongoing", "permit"),
        ("request", "permit"),
        ("ongoing", "permit"),
        ("request", "deny"),
    ]
    last = entries[-1].body
    assert (last["about"], last["peer"], last["role"]) == (agreement, "urn:bob", "provider")
    assert last["because"] == [{"code": "unsatisfied", "where": "agreement.permission[0].constraint[0]", "operand": "count"}]
    assert last["policy"].startswith("sha256:")
    assert len(last["inputs"]) == 64
    assert last["micros"] >= 0
    assert entries[0].body["deferred"] == [{"code": "stage-deferred", "operand": "count", "until": "transfer"}]
    assert (await verify(node.store.journal, "alice", STREAM)).is_whole


async def test_a_logged_decision_can_be_made_again_and_asked_of_another_policy(node: Node) -> None:
    await used_up(node)
    denied = (await logged(node, effect="deny"))[-1].body["case"]
    assert denied["given"]["ledger"]["total"]["count"] == 2
    for limit, effect in ((1, "deny"), (2, "permit")):
        policy = jsonld.read({"@type": "Agreement", **use_when("count", "lteq", str(limit))}, "agreement")
        case = cases.read(denied, "entry", policy=policy)
        assert cases.answer(case, cases.compiled(case, VOCABULARY)).effect.value == effect


async def test_the_same_inputs_have_the_same_hash(node: Node) -> None:
    transfer = await pulling(node, members_only())
    for _ in range(2):
        (await pull(node, transfer)).end(0)
    first, second = await logged(node, question="request")
    assert first.body["inputs"] == second.body["inputs"]
    await node.pass_time(seconds=1)
    (await pull(node, transfer)).end(0)
    assert (await logged(node, question="request"))[-1].body["inputs"] != first.body["inputs"]


@pytest.mark.parametrize("kept", ["all", "none"])
async def test_a_request_that_comes_again_is_written_as_if_it_were_the_first(new_node: NewNode, kept: str) -> None:
    node = await new_node(alice={"decision_inputs": kept})
    transfer = await pulling(node, members_only())
    moments = []
    for seconds in (0, 1, 2.5, 3600):
        await node.pass_time(seconds=seconds)
        moments.append(node.clock.now().isoformat().replace("+00:00", "Z"))
        (await pull(node, transfer)).end(0)
    entries = [dict(entry.body) for entry in await logged(node, question="request")]
    shown = [entry.pop("case", None) for entry in entries]
    hashes = [entry.pop("inputs") for entry in entries]
    assert all(entry.pop("micros") >= 0 for entry in entries)
    assert entries == [entries[0]] * 4
    if kept == "all":
        assert [case["given"].pop("now") for case in shown] == moments
        assert shown == [shown[0]] * 4
        for case, moment, found in zip(shown, moments, hashes, strict=True):
            inputs = {**case, "given": {**case["given"], "now": moment}}
            assert inputs.pop("expect") == "permit"
            assert found == hashlib.sha256(canonical(inputs)).hexdigest()
    else:
        assert (shown, len(set(hashes))) == ([None] * 4, 4)


async def test_what_has_changed_about_the_peer_is_in_the_next_entry(node: Node) -> None:
    transfer = await pulling(node, members_only())
    agreement = await node.store.agreement("alice", transfer.agreement_id)
    assert agreement is not None
    case = Case(context=await node.participants.context("alice"), agreement=agreement, claims=BOB.claims)
    for claims in (BOB.claims, BOB.claims, LISTED.claims, BOB.claims):
        node.judge.transfer(transfer, replace(case, claims=claims), node.clock.now(), Stage.REQUEST)
    entries = await logged(node, question="request")
    assert [entry.body["case"]["given"]["claims"] for entry in entries] == [BOB.claims, BOB.claims, LISTED.claims, BOB.claims]
    assert [entry.body.get("grounds") for entry in entries] == [None, None, LISTED.claims[GROUNDS], None]
    assert len({entry.body["inputs"] for entry in entries}) == 2


@pytest.mark.parametrize(("kept", "effects"), [("none", set()), ("refusals", {"deny"}), ("all", {"permit", "deny"})])
async def test_a_participant_says_how_much_of_the_inputs_is_kept(new_node: NewNode, kept: str, effects: set[str]) -> None:
    node = await new_node(alice={"decision_inputs": KeptInputs(kept).value})
    await used_up(node)
    assert {e.body["effect"] for e in await logged(node) if "case" in e.body} == effects
    assert all("inputs" in e.body for e in await logged(node))


async def test_one_request_for_the_catalogue_is_one_entry_for_each_policy_and_effect(new_node: NewNode) -> None:
    for wanted, counts in ((True, [3, 3, 1, 1, 1]), (False, [])):
        node = await new_node(f"node-{wanted}", alice={"log_catalog_decisions": wanted})
        before = len(await logged(node))
        await node.offerings.put("alice", "policy", "see", {"id": "see", "policy": members_only()})
        for number in range(3):
            await node.publish(id_=f"urn:d:{number}", name=f"for-members-{number}", access_policy="see")
        await node.publish(name="for-all")
        for caller in (BOB, EVE):
            await node.catalogs.answer("alice", caller, m.CatalogRequestMessage())
        for caller in (BOB, EVE):
            with suppress(NotFound):
                await node.catalogs.dataset("alice", caller, "urn:d:1")
        await node.requested(dataset="urn:d:2", offer_id="for-members-2:urn:d:2", terms=USE)
        entries = [e for e in (await logged(node))[before:] if e.body["question"] == "catalog"]
        assert [e.body.get("count", 1) for e in entries] == counts
        for entry, peer, effect in zip(entries, (BOB, EVE, BOB, EVE, BOB), ("permit", "deny") * 2 + ("permit",), strict=False):
            assert (entry.body["peer"], entry.body["effect"]) == (peer.id, effect)
        if wanted:
            assert entries[1].body["offers"] == [f"for-members-{number}:urn:d:{number}" for number in range(3)]
            case = cases.read(entries[1].body["case"], "entry", policy=jsonld.read(members_only(), "policy"))
            assert cases.answer(case, cases.compiled(case, VOCABULARY)).effect is Effect.DENY


async def test_what_a_provider_makes_of_other_terms_is_an_entry(node: Node) -> None:
    await node.publish(use_when("count", "lteq", "10"))
    for number, limit in enumerate(("5", "20")):
        await node.tell(request(f"urn:c:{number}", terms=use_when("count", "lteq", limit)), caller=LISTED)
    within, near = [entry.body for entry in await logged(node, question="terms")]
    assert (within["effect"], near["effect"]) == ("permit", "deny")
    assert within["because"] == []
    assert near["because"][0]["code"] == "near"
    assert near["because"][0]["text"]
    assert within["policy"] == near["policy"] != near["against"]
    assert within["inputs"] != near["inputs"]
    assert within["grounds"] == near["grounds"] == LISTED.claims[GROUNDS]


async def test_a_consumer_logs_what_it_makes_of_offers_and_agreements(node: Node) -> None:
    for number, (terms, effect) in enumerate(((USE, "permit"), (COUNT_1, "deny"))):
        ours = await node.begin(offer_id=f"urn:o:{number}", offer={"@id": "urn:o:1", **USE})
        offer = {"@id": "urn:o:1", "@type": "Offer", "target": ours.dataset, **USE}
        await node.tell(m.ContractOfferMessage(**pids(ours), offer=offer), ours.pid, caller=LISTED)
        agreement = agreement_tree(ours, terms, id_=f"urn:a:{number}")
        await node.tell(m.ContractAgreementMessage(**pids(ours), agreement=agreement), ours.pid, caller=LISTED)
        offered, entry = [e.body for e in await logged(node, process=ours.pid)]
        assert (offered["question"], offered["effect"], entry["question"]) == ("offer", "permit", "agree")
        assert (entry["effect"], entry["role"], entry["process"]) == (effect, "consumer", ours.pid)
        assert (entry["policy"] == entry["against"]) == (effect == "permit")
        assert offered["grounds"] == entry["grounds"] == LISTED.claims[GROUNDS]
        assert entry["because"] == [
            {"code": "differs", "text": "the rules of the agreement are not those of the offer"} for _ in range(number)
        ]


async def test_what_is_refused_for_the_end_of_its_agreement_is_an_entry(node: Node) -> None:
    transfer = await pulling(node, USE)
    agreement = await node.agreements.end("alice", transfer.agreement_id, "breach of contract")
    case = Case(context=await node.participants.context("alice"), agreement=agreement, claims=LISTED.claims)
    answer = node.judge.transfer(transfer, case, node.clock.now(), Stage.REQUEST)
    assert not answer.judgement.is_acceptable
    last = (await logged(node, question="request"))[-1].body
    assert last["grounds"] == LISTED.claims[GROUNDS]
    assert last["because"][0]["code"] == "ended"
    assert "breach of contract" in last["because"][0]["text"]


async def test_a_journal_that_is_away_loses_nothing_that_still_has_room(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer = await pulling(node, members_only())
    whole = node.store.journal.append

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(node.store.journal, "append", away)
    monkeypatch.setattr(decision_log, "_MOST", 6)
    for _ in range(9):
        (await pull(node, transfer)).end(0)
    with pytest.raises(StoreUnavailable):
        await node.log.flush()
    monkeypatch.setattr(node.store.journal, "append", whole)
    entries = await logged(node)
    assert len([e for e in entries if "effect" in e.body]) == 6
    assert [e.body["lost"] for e in entries if "lost" in e.body] == [6]


async def test_what_was_written_although_the_answer_was_lost_is_not_written_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = await pulling(node, members_only())
    await node.log.flush()
    append = node.store.journal.append

    async def unheard(*of: Any, **how: Any) -> Any:
        monkeypatch.setattr(node.store.journal, "append", append)
        await append(*of, **how)
        raise StoreUnavailable("the connection broke")

    for _ in range(2):
        monkeypatch.setattr(node.store.journal, "append", unheard)
        (await pull(node, transfer)).end(0)
        with pytest.raises(StoreUnavailable):
            await node.log.flush()
        # what comes meanwhile is no part of what is in doubt
        (await pull(node, transfer)).end(0)
        await node.log.flush()
    assert len(await logged(node, question="request")) == 4


async def test_what_is_being_written_when_its_writer_is_stopped_is_written_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = await pulling(node, members_only())
    (await pull(node, transfer)).end(0)
    append, writes, goes_on = node.store.journal.append, asyncio.Event(), asyncio.Event()

    async def slow(*of: Any, **how: Any) -> Any:
        done = await append(*of, **how)
        writes.set()
        await goes_on.wait()
        return done

    monkeypatch.setattr(node.store.journal, "append", slow)
    writing = asyncio.create_task(node.log.flush())
    await writes.wait()
    writing.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert len(await logged(node, question="request")) == 1


async def test_a_consumer_judges_its_own_use_by_its_own_book(node: Node) -> None:
    agreement = await imported(node, **use_when("count", "lteq", "1"))
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    use = await node.access.may_collect("alice", transfer)
    await use.begin()
    use.end(5)
    await node.usages.work()
    with pytest.raises(Exception, match="count has to be at most 1"):
        await node.access.may_collect("alice", transfer)
    assert [e.body["role"] for e in await logged(node, question="collect")] == ["consumer", "consumer"]


async def test_no_claim_about_itself_keeps_a_consumer_from_its_data(node: Node) -> None:
    agreement = await imported(node, **members_only())
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    (await node.access.may_collect("alice", transfer)).end(0)
    assert (await logged(node, question="collect"))[0].body["deferred"][0]["code"] == "left-to-peer"


async def test_a_transfer_of_nobodys_agreement_is_no_decision(node: Node) -> None:
    with pytest.raises(Exception, match="no such agreement"):
        await node.tell(transfer_request("urn:nothing"))
    assert await logged(node) == []


END = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("terms", "is_steady"), [(members_only(), True), (use_when("dateTime", "lt", END.isoformat()), True), (COUNT_1, False)]
)
async def test_what_is_asked_again_is_worked_out_again_when_the_answer_may_be_another(
    node: Node, terms: dict[str, Any], is_steady: bool
) -> None:
    transfer = await pulling(node, terms)
    agreement = await node.store.agreement("alice", transfer.agreement_id)
    assert agreement is not None
    case = Case(context=await node.participants.context("alice"), agreement=agreement, claims=BOB.claims)

    def asked(moment: datetime) -> bool:
        return node.judge.transfer(transfer, case, moment, Stage.REQUEST).judgement.is_acceptable

    now, micro = node.clock.now(), timedelta(microseconds=1)
    # again, at the very end, from the end on, and by a clock that was put back
    moments = (now, now, END - micro, END, now - micro)
    is_over = "dateTime" in str(terms)
    assert [asked(moment) for moment in moments] == [not (is_over and moment >= END) for moment in moments]
    found = await logged(node, question="request")
    assert [entry.at for entry in found] == list(moments)
    # what was not worked out took the engine no time
    assert not is_steady or found[1].body["micros"] == found[2].body["micros"] == 0
    assert (case.recalled.asked is not None and case.recalled.asked.steady is not None) is is_steady
