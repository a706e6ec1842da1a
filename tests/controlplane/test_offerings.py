"""What we offer: documents with their checks, shelves that survive bad ones, catalogues per viewer, secrets, participants."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from connector.controlplane import participants as contexts
from connector.controlplane.pages import CatalogPage
from connector.controlplane.secrets import Secrets
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY
from connector.dsp import messages as m
from connector.dsp.tables import State
from connector.errors import BadMessage, CallerError, ConfigurationError, Conflict, NotFound, PolicyError, UnsupportedFilter
from connector.ports.documents import Changes
from connector.ports.identity import Caller
from connector.ports.store import Document
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import BOB, EVE, NOW, USE, Node, members_only


def asset(id_: str, **members: Any) -> dict[str, Any]:
    return {"id": id_, "title": id_, "source": {"type": "file", "path": "/d"}, "digest": "0" * 64, "byte_size": 1, **members}


async def seen(node: Node, caller: Caller = BOB, cursor: str | None = None, **query: Any) -> tuple[list[str], CatalogPage]:
    message = m.CatalogRequestMessage(filter=({"@type": "QuerySpec", **query},) if query else ())
    page = await node.catalogs.answer("alice", caller, message, cursor=cursor)
    return [dataset["@id"] for dataset in orjson.loads(page.body).get("dataset", [])], page


async def many(node: Node, count: int) -> None:
    for number in range(count):
        await node.offerings.put("alice", ASSET, f"urn:{number}", asset(f"urn:{number}"))
    await node.offerings.put("alice", POLICY, "use", {"id": "use", "policy": USE})
    await node.offerings.put("alice", DEFINITION, "all", {"id": "all", "assets": ["*"], "policy": "use"})


# --- documents


@pytest.mark.parametrize(
    ("kind", "body", "fault"),
    [
        (ASSET, {"id": "other"}, CallerError),
        (ASSET, {"id": "x", "source": {"type": "file"}}, CallerError),
        (ASSET, {"id": "x", "media_type": "text/csv\nx: y"}, CallerError),
        (ASSET, {"id": "x", "media_type": "text/\u0101"}, CallerError),
        (POLICY, {"id": "x", "policy": {"permission": "yes"}}, PolicyError),
        (DEFINITION, {"id": "x", "assets": ["*"], "policy": "none"}, Conflict),
        (DEFINITION, {"id": "x", "assets": ["none"], "policy": "def-terms"}, Conflict),
        (DEFINITION, {"id": "x", "assets": ["*"], "policy": "def-terms", "access_policy": "none"}, Conflict),
        (DEFINITION, {"id": "x", "assets": [], "policy": "def-terms"}, CallerError),
    ],
)
async def test_a_document_that_says_nothing_useful_is_refused(node: Node, kind: str, body: Any, fault: type[Exception]) -> None:
    await node.publish()
    with pytest.raises(fault):
        await node.offerings.put("alice", kind, "x", body)
    with pytest.raises(NotFound):
        await node.offerings.get("alice", kind, "x")


async def test_what_a_definition_uses_stays(node: Node) -> None:
    await node.publish(access_policy="def-terms")
    for kind, id_ in ((ASSET, "urn:d:1"), (POLICY, "def-terms")):
        with pytest.raises(Conflict, match="`def` uses it"):
            await node.offerings.delete("alice", kind, id_)
    await node.offerings.delete("alice", DEFINITION, "def")
    await node.offerings.delete("alice", ASSET, "urn:d:1")
    with pytest.raises(NotFound):
        await node.offerings.delete("alice", ASSET, "urn:d:1")


async def test_nobody_overwrites_what_changed_meanwhile(node: Node) -> None:
    await node.publish()
    await node.offerings.put("alice", ASSET, "urn:d:1", asset("urn:d:1"), expect=1)
    with pytest.raises(Conflict, match="version 2"):
        await node.offerings.put("alice", ASSET, "urn:d:1", asset("urn:d:1"), expect=1)


@pytest.mark.parametrize(
    ("kind", "id_", "body"),
    [
        (ASSET, "urn:bad", {"title": 7}),
        (ASSET, "urn:bad", {}),
        (POLICY, "bad", {"policy": {"permission": 3}}),
        (POLICY, "bad", {"nothing": 1}),
        (DEFINITION, "bad", {"assets": "all"}),
        (DEFINITION, "bad", {"id": "bad", "assets": ["*"], "policy": "gone"}),
    ],
)
async def test_a_bad_document_leaves_out_itself_alone_with_a_fault(
    node: Node, kind: str, id_: str, body: dict[str, Any]
) -> None:
    await node.publish()
    # written by an older release, or by hand
    await node.store.put_document(Document(participant="alice", kind=kind, id=id_, body=body, created_at=NOW, updated_at=NOW))
    node.clock.move(seconds=2)
    shelf = await node.offerings.shelf("alice")
    assert list(shelf.items) == ["urn:d:1"]
    assert [id_ in fault for fault in shelf.faults] == [True]
    assert (await seen(node))[0] == ["urn:d:1"]


async def test_an_asset_that_no_data_plane_serves_is_not_offered(node: Node) -> None:
    await node.publish()
    await node.offerings.put("alice", ASSET, "urn:d:1", asset("urn:d:1", formats=["Pigeon-PULL"]))
    shelf = await node.offerings.shelf("alice")
    assert list(shelf.items) == []
    assert "no data plane" in shelf.faults[0]


async def test_an_offer_id_stands_for_one_offer_of_a_dataset(node: Node) -> None:
    await node.publish(offer_id="the-offer")
    await node.publish(members_only(), name="other", offer_id="the-offer")
    shelf = await node.offerings.shelf("alice")
    assert len(shelf.items["urn:d:1"].terms) == 1
    assert "has an offer `the-offer` already" in shelf.faults[0]


async def test_an_asset_named_twice_is_offered_once(node: Node) -> None:
    await node.publish(assets=["urn:d:1", "urn:d:1"])
    shelf = await node.offerings.shelf("alice")
    assert (len(shelf.items["urn:d:1"].terms), shelf.faults) == (1, ())


async def test_keywords_narrow_what_a_definition_offers(node: Node) -> None:
    await node.publish(assets=["*"], keywords=["open"])
    assert (await seen(node))[0] == []
    await node.offerings.put("alice", ASSET, "urn:d:1", asset("urn:d:1", keywords=["open", "wet"]))
    assert (await seen(node))[0] == ["urn:d:1"]


async def test_those_who_ask_at_once_wait_for_one_shelf_and_what_did_not_change_is_not_read_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many(node, 3)
    before = await node.offerings.shelf("alice")
    looks, since = [], node.store.documents_since

    async def slowly(participant: str, revision: int, **more: Any) -> Changes | None:
        looks.append(revision)
        await asyncio.sleep(0)
        return await since(participant, revision, **more)

    # INVARIANT: a change of a few documents costs those: the others are not listed, however many there are
    monkeypatch.setattr(node.store, "documents", None)
    monkeypatch.setattr(node.store, "documents_since", slowly)
    await node.offerings.put("alice", ASSET, "urn:1", asset("urn:1", title="new"))
    asking = [asyncio.ensure_future(node.offerings.shelf("alice")) for _ in range(50)]
    await asyncio.sleep(0)
    # written while they wait: whoever asks from now on sees it, whatever is being made
    await node.offerings.put("alice", ASSET, "urn:2", asset("urn:2", title="newer"))
    later = await node.offerings.shelf("alice")
    assert {shelf.assets["urn:1"].title for shelf in await asyncio.gather(*asking)} == {"new"}
    assert later.assets["urn:2"].title == "newer"
    assert len(looks) <= 2
    assert later.assets["urn:0"] is before.assets["urn:0"]


async def test_the_data_of_an_asset_is_found_without_making_a_shelf(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await many(node, 2)
    before = await node.offerings.source("alice", "urn:1")
    monkeypatch.setattr(node.store, "documents", None)
    await node.offerings.put("alice", ASSET, "urn:1", asset("urn:1", source={"type": "file", "path": "/new"}))
    assert before.path != "/new"
    found = await node.offerings.source("alice", "urn:1")
    assert found.path == "/new"
    await node.pass_time(seconds=60)
    assert await node.offerings.source("alice", "urn:1") is found, "nothing was written: it need not be read again"
    # another node does this, and within a second everybody knows
    await node.store.delete_document("alice", ASSET, "urn:1")
    await node.pass_time(seconds=1)
    with pytest.raises(NotFound):
        await node.offerings.source("alice", "urn:1")


# --- catalogues


async def test_each_caller_sees_what_the_access_policy_lets_them_see(node: Node) -> None:
    await node.publish()
    await node.publish(id_="urn:d:2", name="two")
    await node.offerings.put("alice", POLICY, "members", {"id": "members", "policy": members_only()})
    body = {"id": "two", "assets": ["urn:d:2"], "policy": "two-terms", "access_policy": "members"}
    await node.offerings.put("alice", DEFINITION, "two", body)
    assert (await seen(node, BOB))[0] == ["urn:d:1", "urn:d:2"]
    assert (await seen(node, EVE))[0] == ["urn:d:1"]
    assert b"urn:d:2" in await node.catalogs.dataset("alice", BOB, "urn:d:2")
    with pytest.raises(NotFound):
        await node.catalogs.dataset("alice", EVE, "urn:d:2")
    # and what is not seen cannot be asked for
    from tests.controlplane.scene import request

    asked = request(dataset="urn:d:2", offer_id="two:urn:d:2")
    with pytest.raises(BadMessage, match="no such offer"):
        await node.tell(asked, caller=EVE)
    found = await node.tell(asked)
    assert (await node.negotiation(found.provider_pid)).state is State.AGREED
    assert [d["@id"] for d in (await node.catalogs.own("alice"))["dataset"]] == ["urn:d:1", "urn:d:2"]


async def test_an_access_policy_is_asked_about_the_action_that_it_speaks_of(node: Node) -> None:
    access = members_only()
    access["permission"] = [{**access["permission"][0], "action": "https://w3id.org/catenax/2025/9/policy/access"}]
    await node.publish()
    await node.offerings.put("alice", POLICY, "members", {"id": "members", "policy": access})
    body = {"id": "def", "assets": ["*"], "policy": "def-terms", "access_policy": "members"}
    await node.offerings.put("alice", DEFINITION, "def", body)
    assert (await seen(node, BOB))[0] == ["urn:d:1"]
    assert (await seen(node, EVE))[0] == []


async def test_pages_go_both_ways_and_stay_what_they_are(new_node: NewNode) -> None:
    node = await new_node(alice={"page_size": 2})
    await many(node, 5)
    first, page = await seen(node)
    second, page = await seen(node, cursor=page.next)
    third, last = await seen(node, cursor=page.next)
    assert (first, second, third, last.next) == (["urn:0", "urn:1"], ["urn:2", "urn:3"], ["urn:4"], None)
    assert (await seen(node, cursor=last.previous))[0] == second
    # a page begins at a dataset: one that went before it moves nothing
    cursor = page.next
    await node.offerings.delete("alice", ASSET, "urn:0")
    assert (await seen(node, cursor=cursor))[0] == ["urn:4"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"offset": 0, "limit": 10, "sortOrder": "ASC", "filterExpression": []}, ["urn:0", "urn:1", "urn:2"]),
        ({"offset": 1, "limit": 1}, ["urn:1"]),
        ({"limit": 0}, ["urn:0", "urn:1", "urn:2"]),
        ({"offset": 10**30}, []),
        ({"offset": -1, "limit": -5}, ["urn:0", "urn:1", "urn:2"]),
        ({"offset": True, "limit": "2"}, ["urn:0", "urn:1", "urn:2"]),
        ({"filterExpression": None}, ["urn:0", "urn:1", "urn:2"]),
    ],
)
async def test_offset_and_limit_of_a_query_spec_are_understood(node: Node, query: dict[str, Any], expected: list[str]) -> None:
    await many(node, 3)
    assert (await seen(node, **query))[0] == expected


@pytest.mark.parametrize(
    "entry", ["title=x", 7, {"q": "x"}, {"filterExpression": [{"operandLeft": "id"}]}, {"sortField": "id"}]
)
async def test_any_other_filter_is_unsupported(node: Node, entry: Any) -> None:
    with pytest.raises(UnsupportedFilter, match="filter language") as refused:
        await node.catalogs.answer("alice", BOB, m.CatalogRequestMessage(filter=(entry,)))
    assert (refused.value.status, refused.value.where) == (400, "filter[0]")


@pytest.mark.parametrize("cursor", ["%", "é", "====", "_w"])
async def test_a_cursor_that_is_none_of_ours_is_told(node: Node, cursor: str) -> None:
    with pytest.raises(BadMessage, match="none of ours"):
        await seen(node, cursor=cursor)


async def test_pages_are_kept_and_not_without_end(node: Node) -> None:
    await many(node, 3)
    first, again = (await seen(node))[1], (await seen(node))[1]
    assert first is again
    for number in range(200):
        await seen(node, offset=number)
    assert len(node.catalogs._pages._pages) <= 64
    await node.offerings.delete("alice", ASSET, "urn:0")
    assert (await seen(node))[0] == ["urn:1", "urn:2"]


# --- secrets


async def test_a_secret_is_sealed_bound_to_its_place_and_given_to_nobody(node: Node) -> None:
    await node.secrets.put("alice", "key", "hush")
    assert await node.secrets.names("alice") == ("key",)
    assert await node.secrets.opened("alice", "key") == "hush"
    kept = await node.store.document("alice", "secret", "key")
    assert kept is not None
    assert "hush" not in str(kept.body)
    moved = Document(participant="alice", kind="secret", id="copy", body=kept.body, created_at=NOW, updated_at=NOW)
    await node.store.put_document(moved)
    with pytest.raises(ConfigurationError, match="does not open"):
        await node.secrets.opened("alice", "copy")
    with pytest.raises(ConfigurationError, match="does not open"):
        await Secrets(node.store, b"x" * 32, node.clock).opened("alice", "key")
    await node.secrets.delete("alice", "key")
    for call in (node.secrets.delete, node.secrets.opened):
        with pytest.raises(NotFound):
            await call("alice", "key")


@pytest.mark.parametrize("sealed", ["", "AAAA", "no base64!", 7, None])
async def test_a_sealed_text_of_any_shape_says_that_it_does_not_open(node: Node, sealed: Any) -> None:
    body = {"sealed": sealed}
    await node.store.put_document(
        Document(participant="alice", kind="secret", id="key", body=body, created_at=NOW, updated_at=NOW)
    )
    with pytest.raises(ConfigurationError, match="does not open"):
        await node.secrets.opened("alice", "key")


def test_a_key_of_another_length_seals_nothing(node: Node) -> None:
    with pytest.raises(ConfigurationError, match="31 bytes"):
        Secrets(node.store, b"k" * 31, node.clock)


# --- participants


async def test_a_participant_added_at_run_time_is_served_at_once_and_by_the_next_process(new_node: NewNode) -> None:
    node = await new_node()
    added = await node.participants.add("carol", "urn:carol", "Carol")
    assert added.address == "https://own.example/carol/dsp/2025-1"
    assert [context.name for context in await (await new_node()).participants.all()] == ["alice", "carol"]
    for name, id_ in (("carol", "urn:other"), ("other", "urn:carol"), ("alice", "urn:x"), ("other", "urn:alice")):
        with pytest.raises(Conflict):
            await node.participants.add(name, id_, "")
    for name in ("Upper", "api", "a/b", "", "../x"):
        with pytest.raises(CallerError, match="no local name"):
            await node.participants.add(name, "urn:new", "")
    with pytest.raises(NotFound):
        await node.participants.context("nobody")


async def test_a_name_and_an_id_stand_for_one_participant_whichever_node_added_it(new_node: NewNode) -> None:
    here, there = await new_node("here"), await new_node("there")
    await here.participants.add("bob", "urn:bob:2", "")
    await there.participants.add("carol", "urn:carol", "")
    for node in (here, there):
        for name, id_ in (("bob", "urn:x"), ("x", "urn:bob:2"), ("x", "urn:carol"), ("alice", "urn:x"), ("x", "urn:alice")):
            with pytest.raises(Conflict, match="exists"):
                await node.participants.add(name, id_, "")
    await there.participants.remove("carol")
    await here.participants.add("dora", "urn:carol", "")
    with pytest.raises(Conflict, match="participant `dora` with id `urn:carol` exists"):
        await there.participants.add("x", "urn:carol", "")


@pytest.mark.parametrize(
    ("first", "second"), [(("carol", "urn:x"), ("dora", "urn:x")), (("carol", "urn:x"), ("carol", "urn:y"))], ids=["id", "name"]
)
async def test_of_two_that_are_added_at_once_with_one_id_or_name_one_is_added(
    new_node: NewNode, monkeypatch: pytest.MonkeyPatch, first: tuple[str, str], second: tuple[str, str]
) -> None:
    here, there = await new_node("here"), await new_node("there")
    put = there.store.put_document

    async def put_later(document: Document, *, expect: int | None = None) -> Document:
        monkeypatch.setattr(there.store, "put_document", put)
        await here.participants.add(*first, "")
        return await put(document, expect=expect)

    monkeypatch.setattr(there.store, "put_document", put_later)
    with pytest.raises(Conflict):
        await there.participants.add(*second, "")
    for node in (here, there):
        assert [context.name for context in await node.participants.all()] == ["alice", "carol"]
    # what was refused has left nothing in the way
    await there.participants.add("dora", "urn:y", "")


async def test_an_id_that_was_taken_when_adding_was_broken_off_is_added_under_that_name(new_node: NewNode) -> None:
    node = await new_node()
    claim = Document(
        participant="@node", kind="participant-id", id="urn:x", body={"name": "carol"}, created_at=NOW, updated_at=NOW
    )
    await node.store.put_document(claim)
    with pytest.raises(Conflict, match="add it again under that name"):
        await node.participants.add("dora", "urn:x", "")
    await node.participants.add("carol", "urn:x", "")
    await node.participants.remove("carol")
    await node.participants.add("dora", "urn:x", "")


async def test_who_calls_participants_that_do_not_exist_fills_no_memory(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "_MOST_REVISIONS", 10)
    for number in range(100):
        with pytest.raises(NotFound):
            await node.participants.context(f"nobody-{number}")
    assert len(node.participants._revisions._known) <= 10
    assert (await node.participants.context("alice")).id == "urn:alice"


async def test_what_another_node_wrote_is_seen_within_a_second(new_node: NewNode) -> None:
    here, there = await new_node("here"), await new_node("there")
    assert (await seen(there))[0] == []
    await here.publish()
    assert (await seen(here))[0] == ["urn:d:1"]
    there.clock.move(seconds=1)
    assert (await seen(there))[0] == ["urn:d:1"]


async def test_what_is_written_while_somebody_looks_is_seen_by_the_next(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions, look = contexts.Revisions(node.store, node.clock), node.store.revision
    looks, goes_on = asyncio.Event(), asyncio.Event()

    async def far_away(participant: str) -> int:
        found = await look(participant)
        looks.set()
        await goes_on.wait()
        return found

    monkeypatch.setattr(node.store, "revision", far_away)
    looking = asyncio.create_task(revisions.of("alice"))
    await looks.wait()
    document = Document(participant="alice", kind=ASSET, id="new", body={}, created_at=NOW, updated_at=NOW)
    await node.store.put_document(document)
    revisions.forget("alice")
    goes_on.set()
    before = await looking
    assert await revisions.of("alice") == await look("alice") == before + 1


async def test_a_hundred_who_ask_at_once_cost_the_store_one_look(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions, look, looks = contexts.Revisions(node.store, node.clock), node.store.revision, list[str]()

    async def counted(participant: str) -> int:
        looks.append(participant)
        await asyncio.sleep(0)
        return await look(participant)

    monkeypatch.setattr(node.store, "revision", counted)
    assert set(await asyncio.gather(*(revisions.of("alice") for _ in range(100)))) == {await look("alice")}
    assert looks == ["alice"]
