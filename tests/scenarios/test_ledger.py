"""The alliance's ledger of data products: what members offer is found within moments, by those who may see it, and by nobody else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from connector.api.catalog import CatalogRequest, DatasetRequest, LedgerReport, LedgerSearch
from connector.errors import CallerError, PeerError
from connector.testing.dataspace import Member
from tests.scenarios.ledgers import LedgerSpace

RESEARCH = {
    "permission": [{"action": "use", "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}]}]
}
BANKS_ONLY = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "https://w3id.org/kontor/ns/membership", "operator": "eq", "rightOperand": "active"}
            ],
        }
    ]
}


class Alliance:
    """Two providers, a reader, and the ledger that gathers all."""

    def __init__(self, space: LedgerSpace) -> None:
        self.space = space
        self.ledger = space.gather("ledger", ["north", "south", "reader"])
        self.north, self.south, self.reader = space.join("north"), space.join("south"), space.join("reader")
        self.stranger = space.stranger()

    async def found(self, by: Member, text: str = "", **wanted: Any) -> list[str]:
        answer = await by.send(by.calls.search(LedgerSearch(text=text, **wanted)))
        return [one["title"] for one in answer["items"]]

    async def until_found(self, text: str, titles: list[str]) -> float:
        """Seconds until a search finds exactly these."""
        begun = time.monotonic()
        await self.reader.until(lambda: self.found(self.reader, text), lambda found: sorted(found) == sorted(titles))
        return time.monotonic() - begun

    def address(self, path: str) -> str:
        return f"{self.ledger.app.public_url}/catalog{path}"


@pytest.fixture
async def alliance() -> AsyncIterator[Alliance]:
    async with LedgerSpace() as space:
        yield Alliance(space)


async def test_a_product_is_found_within_two_seconds_of_its_publication_and_gone_when_it_is_withdrawn(
    alliance: Alliance,
) -> None:
    await alliance.north.publish("weather")
    await alliance.until_found("weather", ["weather"])
    await alliance.south.publish("whales")
    assert await alliance.until_found("whale", ["whales"]) < 2
    kept = await alliance.south.send(alliance.south.calls.asset("urn:south:whales"))
    await alliance.south.send(alliance.south.calls.put_asset(kept.model_copy(update={"title": "humpbacks"})))
    assert await alliance.until_found("humpback", ["humpbacks"]) < 2
    await alliance.north.send(alliance.north.calls.delete_definition("weather"))
    assert await alliance.until_found("weather", []) < 2


async def test_members_ask_and_strangers_do_not(alliance: Alliance) -> None:
    await alliance.north.publish("weather")
    await alliance.until_found("weather", ["weather"])
    with pytest.raises(PeerError, match="answered 401"):
        await alliance.found(alliance.stranger, catalog=alliance.address(""), peer=alliance.ledger.id)
    async with httpx.AsyncClient() as client:
        for path in (
            "/api/search",
            "/api/statistics",
            "/feed",
            "/api/products/1",
            "/api/suggest?q=w",
            "/api/participants/urn:x",
        ):
            answer = await client.get(alliance.address(path))
            assert answer.status_code == 401, path
            assert "weather" not in answer.text
        page = await client.get(alliance.address("/"))
        assert (page.status_code, "Members only" in page.text, "weather" in page.text) == (401, True, False)
        assert (await client.post(alliance.address("/announcements"), json={})).status_code == 401
    with pytest.raises(CallerError, match="belongs to no catalogue"):
        await alliance.found(alliance.stranger)


async def test_what_a_source_hides_from_the_ledger_is_not_in_it(alliance: Alliance) -> None:
    await alliance.north.publish("accounts", access_policy=BANKS_ONLY)
    await alliance.north.publish("weather")
    await alliance.until_found("", ["weather"])


async def test_what_may_i_use_for_a_purpose_is_answered_by_the_policies(alliance: Alliance) -> None:
    await alliance.north.publish("weather", policy=RESEARCH)
    await alliance.south.publish("whales", policy=BANKS_ONLY)
    await alliance.south.publish("waves")
    await alliance.until_found("", ["weather", "whales", "waves"])
    assert sorted(await alliance.found(alliance.reader, purpose="research")) == ["waves", "weather"]
    assert await alliance.found(alliance.reader, purpose="marketing") == ["waves"]
    answer = await alliance.reader.send(alliance.reader.calls.search(LedgerSearch(facets=("purpose", "action", "publisher"))))
    assert answer["facets"]["purpose"] == [{"value": "research", "count": 2}]
    assert answer["facets"]["publisher"] == [{"value": "south", "count": 2}, {"value": "north", "count": 1}]
    # with no purpose said nothing that asks for one is allowed
    assert answer["facets"]["action"] == [{"value": "use", "count": 1}]


async def test_any_connector_browses_the_ledger_and_finds_the_members(alliance: Alliance) -> None:
    await alliance.north.publish("weather")
    await alliance.until_found("weather", ["weather"])
    reader, address = alliance.reader, alliance.address("")
    found = await reader.send(reader.calls.catalog_of(CatalogRequest(address=address, peer=alliance.ledger.id)))
    linked = {one["participantId"]: one["service"][0]["endpointURL"] for one in found.catalog["catalog"]}
    assert linked["urn:member:north"] == alliance.north.address
    dataset = DatasetRequest(address=address, peer=alliance.ledger.id, dataset="urn:north:weather")
    tree = (await reader.send(reader.calls.dataset_of(dataset))).dataset
    assert tree["distribution"][0]["accessService"]["endpointURL"] == alliance.north.address


async def test_a_member_that_is_down_keeps_what_was_shown_and_reads_why(alliance: Alliance) -> None:
    await alliance.north.publish("weather")
    await alliance.until_found("weather", ["weather"])
    await alliance.space.stop(alliance.north)
    await alliance.reader.until(lambda: alliance.found(alliance.reader, "weather"), lambda found: found == ["weather"])
    report = await alliance.reader.send(alliance.reader.calls.report(LedgerReport(member="urn:member:north")))
    assert (report["state"], report["entries"], report["report"]["isGood"]) == ("listed", 1, True)
    with pytest.raises(PeerError, match="no such member"):
        await alliance.reader.send(alliance.reader.calls.report(LedgerReport(member="urn:member:nobody")))


async def test_ledgers_follow_ledgers_without_loops_and_keep_whose_it_is() -> None:
    # nobody asks another ledger by itself: what is found in time was told
    async with LedgerSpace(settings={"catalog": {"follow_s": 3600}}) as space:
        region = space.gather("region", ["north", "nation"])
        nation = space.gather("nation", ["region", "south"])
        north, south, reader = space.join("north"), space.join("south"), space.join("reader")

        async def items(ledger: Member) -> list[dict[str, Any]]:
            wanted = LedgerSearch(catalog=f"{ledger.app.public_url}/catalog", peer=ledger.id)
            answer: dict[str, Any] = await reader.send(reader.calls.search(wanted))
            return sorted(answer["items"], key=lambda one: str(one["title"]))

        await north.publish("weather")
        await south.publish("whales")
        both = ["weather", "whales"]
        at_nation = await reader.until(lambda: items(nation), lambda found: [one["title"] for one in found] == both)
        at_region = await reader.until(lambda: items(region), lambda found: [one["title"] for one in found] == both)
        assert [(one["origin"], one["via"]) for one in at_nation] == [
            ("urn:member:north", [region.id]),
            ("urn:member:south", []),
        ]
        assert [(one["origin"], one["via"]) for one in at_region] == [
            ("urn:member:north", []),
            ("urn:member:south", [nation.id]),
        ]
        assert at_nation[0]["endpoint"] == north.address
        # two levels up, and gone again
        for change in (north.publish("waves"), north.send(north.calls.delete_definition("waves"))):
            await change
            both = ["waves", *both] if "waves" not in both else both[1:]
            await reader.until(lambda: items(nation), lambda found, all_=both: [one["title"] for one in found] == all_)
