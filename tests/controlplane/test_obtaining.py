"""A contract is got where there is one, joined where one is under way, and negotiated otherwise."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from connector.controlplane.events import Events
from connector.controlplane.obtaining import Obtained, Obtaining
from connector.controlplane.terms import NegotiationWish, TransferWish
from connector.dsp import messages as m
from connector.dsp.negotiation import Agreement
from connector.dsp.process import Process
from connector.dsp.tables import Kind, State
from connector.errors import NotFound
from connector.ports.store import Filter, Page
from tests.controlplane.scene import BASE, BOB, DATASET, USE, Node, agreement_tree, answer, before, imported, pids

OFFER = {"@id": "urn:o:1", "@type": "Offer", "target": DATASET, **USE}
NOW_OR_NEVER = timedelta(0)


def obtaining_of(node: Node) -> Obtaining:
    events = Events(node.store.feed, node.clock)
    return Obtaining(
        node.store, node.participants, node.catalogs, node.negotiations, node.judge, node.usages, events, node.clock
    )


async def obtained(
    node: Node, wait: timedelta = NOW_OR_NEVER, *, obtaining: Obtaining | None = None, **wish: object
) -> Obtained:
    given: dict[str, object] = {"peer": BOB.id, "address": BASE, "dataset": "urn:d:9", "offer": OFFER, **wish}
    return await (obtaining or obtaining_of(node)).obtain("alice", NegotiationWish(**given), wait=wait)  # type: ignore[arg-type]


async def test_a_live_agreement_on_the_same_terms_for_the_same_purpose_is_got(node: Node) -> None:
    known = await imported(node)
    found = await obtained(node)
    assert found.negotiation is None
    assert found.agreement is not None
    assert found.agreement.id == known
    for other in ({"purpose": "research"}, {"offer": {**OFFER, **before("2030-01-01T00:00:00Z")}}):
        begun = await obtained(node, **other)
        assert begun.agreement is None
        assert begun.negotiation is not None


async def test_one_that_has_ended_or_whose_own_terms_are_over_is_not_got(node: Node) -> None:
    await imported(node, **before("2020-01-01T00:00:00Z"))
    await imported(node, **{"@id": "urn:a:8"})
    found = await obtained(node)
    assert found.agreement is not None
    assert found.agreement.id == "urn:a:8"
    await node.agreements.end("alice", "urn:a:8", "over")
    assert (await obtained(node)).agreement is None


async def test_one_that_its_provider_has_ended_is_not_got_again(node: Node) -> None:
    agreement = await imported(node)
    begun = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    await node.rest()
    transfer = await node.transfer(begun.pid)
    assert (found := (await obtained(node)).agreement) is not None
    assert found.id == agreement
    await node.tell(m.TransferTerminationMessage(**pids(transfer), code="agreement-ended", reason=("over",)), begun.pid)
    assert (await node.transfer(begun.pid)).state is State.TERMINATED
    anew = await obtained(node)
    assert anew.agreement is None
    assert anew.negotiation is not None


async def test_a_negotiation_under_way_is_joined_and_its_end_is_waited_for(node: Node) -> None:
    first = await obtained(node, dataset=DATASET)
    assert first.negotiation is not None
    await node.rest()
    waiting = asyncio.create_task(obtained(node, timedelta(seconds=30), dataset=DATASET))
    await node.rest()
    await finalized(node, first.negotiation.pid)
    node.clock.move(seconds=2)
    second = await waiting
    assert second.negotiation is not None
    assert (second.negotiation.pid, second.negotiation.state) == (first.negotiation.pid, State.FINALIZED)
    assert second.agreement is not None
    assert (await obtained(node, dataset=DATASET)).agreement == second.agreement


async def finalized(node: Node, pid: str) -> None:
    process = await node.negotiation(pid)
    await node.tell(m.ContractAgreementMessage(**pids(process), agreement=agreement_tree(process)), pid)
    await node.tell(m.ContractNegotiationEventMessage(**pids(process), event_type="FINALIZED"), pid)


async def test_of_many_that_ask_at_once_one_begins_and_the_others_join_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = node.store.processes

    async def answered_later(*asked: Any, **more: Any) -> Page[Process]:
        """As stores on a disk do."""
        page = await processes(*asked, **more)
        await asyncio.sleep(0)
        return page

    monkeypatch.setattr(node.store, "processes", answered_later)
    obtaining = obtaining_of(node)
    found = await asyncio.gather(*(obtained(node, obtaining=obtaining) for _ in range(5)))
    assert len({one.negotiation.pid for one in found if one.negotiation is not None}) == 1
    assert (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 1


async def test_one_that_ends_between_two_looks_is_found_as_its_agreement(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (await obtained(node, dataset=DATASET)).negotiation
    assert first is not None
    await node.rest()
    agreements = node.store.agreements

    async def ends_meanwhile(*asked: Any, **more: Any) -> Page[Agreement]:
        page = await agreements(*asked, **more)
        monkeypatch.setattr(node.store, "agreements", agreements)
        await finalized(node, first.pid)
        return page

    monkeypatch.setattr(node.store, "agreements", ends_meanwhile)
    second = await obtained(node, dataset=DATASET)
    assert second.agreement is not None
    assert second.negotiation is None
    assert (await node.store.processes(Kind.NEGOTIATION, "alice", Filter())).total == 1


async def test_without_terms_the_one_offer_of_the_peers_dataset_is_asked_for(node: Node) -> None:
    offer = {"@id": "urn:o:7", "@type": "Offer", **before("2030-01-01T00:00:00Z")}
    tree = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@id": "urn:d:9", "@type": "Dataset"}
    distribution = {"@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s"}
    body = {**tree, "hasPolicy": [offer], "distribution": [distribution]}
    url = f"{BASE}/catalog/datasets/urn:d:9"

    node.host.documents[url] = answer(200, orjson.dumps(body))
    begun = (await obtained(node, offer=None)).negotiation
    assert begun is not None
    assert begun.offer["@id"] == "urn:o:7"
    assert begun.offer["permission"] == offer["permission"]
    with pytest.raises(NotFound, match="0 offers that fit"):
        await obtained(node, offer=None, offer_id="urn:o:8", purpose="other")
