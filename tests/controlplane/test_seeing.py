"""Who sees which offers: each caller for itself, now, and a policy that does not ask about the dataset once for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from connector.controlplane.kept import kept
from connector.controlplane.pages import CatalogPage
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY
from connector.dsp import messages as m
from connector.odrl import jsonld
from connector.ports.identity import Caller
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import BOB, EVE, USE, VOCABULARY, Node, before, members_only
from tests.controlplane.test_decision_log import logged

CAROL = Caller(id="urn:carol", claims={"membership": "active"})
ONLY_ONE: dict[str, Any] = {**USE, "target": "urn:d:1"}
COLLECTION: dict[str, Any] = {"permission": [{"action": "use", "target": {"@type": "AssetCollection", "source": "urn:all"}}]}


async def shelved(node: Node, access: dict[str, Any], datasets: int = 3) -> None:
    for number in range(1, datasets + 1):
        body = {"id": f"urn:d:{number}", "source": {"type": "file", "path": "/d"}, "digest": "0" * 64, "byte_size": 1}
        await node.offerings.put("alice", ASSET, f"urn:d:{number}", body)
    await node.offerings.put("alice", POLICY, "use", {"id": "use", "policy": USE})
    await node.offerings.put("alice", POLICY, "see", {"id": "see", "policy": access})
    definition = {"id": "all", "assets": ["*"], "policy": "use", "access_policy": "see"}
    await node.offerings.put("alice", DEFINITION, "all", definition)


async def page(node: Node, caller: Caller) -> tuple[list[str], CatalogPage]:
    found = await node.catalogs.answer("alice", caller, m.CatalogRequestMessage())
    return [one["@id"].removeprefix("urn:d:") for one in orjson.loads(found.body).get("dataset", [])], found


async def test_a_kept_page_is_given_out_for_the_same_outcome_of_the_access_policies_only(node: Node) -> None:
    await shelved(node, members_only())
    (bobs, kept_page), (carols, same), (eves, other) = await page(node, BOB), await page(node, CAROL), await page(node, EVE)
    assert bobs == carols == ["1", "2", "3"]
    assert kept_page is same
    assert (eves, other.etag == same.etag) == ([], False)
    # what is attested of somebody counts from one question to the next
    assert (await page(node, replace(BOB, claims={})))[0] == []
    assert (await page(node, replace(EVE, claims=BOB.claims)))[1] is same


async def test_a_page_falls_with_the_clock_the_policy_the_definition_and_the_asset(node: Node) -> None:
    await shelved(node, before("2026-03-02T00:00:00Z"))
    assert (await page(node, EVE))[0] == ["1", "2", "3"]
    await node.pass_time(days=2)
    assert (await page(node, EVE))[0] == []
    await node.offerings.put("alice", POLICY, "see", {"id": "see", "policy": members_only()})
    assert ((await page(node, BOB))[0], (await page(node, EVE))[0]) == (["1", "2", "3"], [])
    definition = {"id": "all", "assets": ["urn:d:1", "urn:d:3"], "policy": "use", "access_policy": None}
    await node.offerings.put("alice", DEFINITION, "all", definition)
    assert (await page(node, EVE))[0] == ["1", "3"]
    asset = {"id": "urn:d:3", "title": "New", "source": {"type": "file", "path": "/d"}, "digest": "0" * 64, "byte_size": 1}
    await node.offerings.put("alice", ASSET, "urn:d:3", asset)
    assert b'"New"' in (await page(node, EVE))[1].body


async def test_a_policy_about_one_dataset_is_asked_about_each(node: Node) -> None:
    await shelved(node, ONLY_ONE)
    assert (await page(node, BOB))[0] == ["1"]
    assert (await page(node, BOB))[1] is (await page(node, EVE))[1]
    entries = [(e.body["effect"], e.body.get("count", 1), e.body["dataset"]) for e in await logged(node, question="catalog")]
    assert entries[:2] == [("permit", 1, "urn:d:1"), ("deny", 2, "urn:d:2")]
    # whoever sees one dataset is not thereby shown the others
    assert (
        node.judge.seeing.visible((await node.offerings.shelf("alice")).items["urn:d:2"].terms, BOB.id, {}, *await at(node))
        == []
    )


async def at(node: Node) -> tuple[Any, Any]:
    return node.clock.now(), await node.participants.context("alice")


async def test_a_dataset_that_cannot_be_described_is_left_out_of_each_page(node: Node) -> None:
    await shelved(node, members_only())
    body = {"id": "urn:d:2", "source": {"type": "file", "path": "/d"}, "digest": "0" * 64, "byte_size": 1}
    await node.offerings.put("alice", ASSET, "urn:d:2", {**body, "properties": {"@graph": "x"}})
    assert (await page(node, BOB))[0] == (await page(node, CAROL))[0] == ["1", "3"]


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        (USE, False),
        (members_only(), False),
        (before("2026-03-02T00:00:00Z"), False),
        (ONLY_ONE, True),
        (COLLECTION, True),
        ({**USE, "prohibition": [{"action": "use", "target": "urn:d:1"}]}, True),
    ],
)
def test_it_is_known_which_policies_ask_about_the_dataset(policy: dict[str, Any], asks: bool) -> None:
    assert kept(jsonld.read(policy, "policy"), VOCABULARY).asks_target is asks


async def test_what_is_kept_of_pages_and_datasets_is_bounded(new_node: NewNode, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.controlplane import pages

    monkeypatch.setattr(pages, "_MOST_BYTES", 2_000)
    node = await new_node()
    await shelved(node, USE, datasets=8)
    for number in range(8):
        message = m.CatalogRequestMessage(filter=({"@type": "QuerySpec", "offset": number},))
        await node.catalogs.answer("alice", BOB, message)
    kept_pages = node.catalogs._pages
    assert kept_pages._size == sum(len(one.body) for one in kept_pages._pages.values()) <= 2_000
