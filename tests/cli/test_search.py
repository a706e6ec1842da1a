"""`kontor search`, `subscriptions`, `demands` and `kontor catalog report`, against a real ledger over two members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from connector.testing.dataspace import Member, api_key
from tests.cli.conftest import Ran, Run
from tests.scenarios.ledgers import LedgerSpace

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Reader:
    """A member that asks by command."""

    def __init__(self, member: Member, run: Run, folder: Path) -> None:
        self.member = member
        self._run = run
        self._key = folder / "key"
        self._key.write_text(api_key())
        self.other = self
        """Another member, who offers something."""

    async def runs(self, *words: str) -> Ran:
        url = ("--url", self.member.app.operator_url, "--api-key-file", str(self._key), "--participant", self.member.name)
        return await asyncio.to_thread(self._run, *words, *url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(run: Run, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reader]:
    folder = tmp_path_factory.mktemp("keys")
    async with LedgerSpace() as space:
        space.gather("ledger", ["north", "reader"])
        north, member = space.join("north"), space.join("reader")
        await north.publish("weather", policy={"permission": [{"action": "use"}]})
        found = Reader(member, run, folder)
        found.other = Reader(north, run, folder)

        async def shown() -> str:
            return (await found.runs("search", "weather")).out

        await member.until(shown, lambda out: "urn:north:weather" in out)
        yield found


async def test_what_is_found_is_listed_with_what_narrows_it(reader: Reader) -> None:
    found = await reader.runs(
        "search", "weather", "--count", "publisher", "--only", "format=text/plain", "--purpose", "research"
    )
    assert found.code == 0
    assert "urn:north:weather" in found.out
    assert "publisher: north (1)" in found.err
    tree = (await reader.runs("search", "--json", "--sort", "added")).tree
    assert "urn:north:weather" in [one["id"] for one in tree["items"]]
    assert "nothing fits" in (await reader.runs("search", "sausages")).err


async def test_a_wrong_choice_is_said(reader: Reader) -> None:
    for words, said in (
        (("search", "--only", "theme"), "write FACET=VALUE"),
        (("search", "--only", "colour=red"), "unknown field `colour`"),
        (("search", "--sort", "wrong"), "unknown order `wrong`"),
        (("catalog", "report"), "kontor catalog report MEMBER"),
        (("catalog", "report", "urn:nobody"), "there is no such member"),
    ):
        refused = await reader.runs(*words)
        assert refused.code == 1, words
        assert said in refused.err, (words, refused.err)


async def test_a_report_says_how_the_last_look_went(reader: Reader) -> None:
    found = await reader.runs("catalog", "report", "urn:member:north")
    assert found.code == 0
    for word in ("urn:member:north (listed)", "datasets, last confirmed", "good"):
        assert word in found.out, word


async def test_words_are_suggested_choices_narrow_and_members_are_listed(reader: Reader) -> None:
    assert (await reader.runs("search", "wea", "--suggest")).out.split() == ["weather"]
    assert "urn:north:weather" in (await reader.runs("search", "--modified", "2020-01-01")).out
    assert (
        "nothing fits" in (await reader.runs("search", "--price-at-most", "10", "--currency", "eur", "--sort", "cheapest")).err
    )
    refused = (await reader.runs("search", "--price-at-most", "10")).err
    # in the words of the ledger, and not its JSON
    assert "prices without a currency cannot be compared" in refused
    assert "choose one, such as `currency=EUR`" in refused
    assert "{" not in refused
    # and how its members stand
    every = (await reader.runs("catalog", "members")).out
    assert ("urn:member:north" in every, "good" in every) == (True, True)
    assert "the last look at every member was good" in (await reader.runs("catalog", "members", "--failing")).err
    page = await reader.runs("catalog", "members", "--limit", "1", "--json")
    assert (len(page.tree["items"]), page.tree["next"]) == (1, page.tree["items"][0]["id"])
    assert (await reader.runs("catalog", "--failing")).code == 1


async def test_whoever_subscribes_reads_what_is_new_and_has_a_program_told(reader: Reader) -> None:
    made = await reader.runs("search", "whales", "--subscribe")
    id_ = made.out.strip()
    assert (await reader.runs("subscriptions")).out.count(id_) == 1
    assert "nothing new" in (await reader.runs("subscriptions", "news", id_)).err
    await reader.other.member.publish("whales")

    async def told() -> str:
        return (await reader.runs("subscriptions", "news", id_)).out

    await reader.member.until(told, lambda out: "urn:north:whales" in out)
    hooked = (await reader.runs("search", "--subscribe", "--webhook", f"{reader.member.app.public_url}/hook", "--json")).tree
    assert hooked["key"].startswith("whsec_")
    assert "key" not in (await reader.runs("subscriptions", "--json")).tree["items"][0]
    for one in (id_, hooked["id"]):
        assert (await reader.runs("subscriptions", "remove", one)).code == 0
    assert (await reader.runs("subscriptions", "--json")).tree == {"items": []}
    assert (await reader.runs("search", "--webhook", "http://x.example")).code == 2


async def test_a_demand_is_read_by_whoever_has_it(reader: Reader) -> None:
    wanted = (await reader.runs("demands", "add", "Weather of tomorrow", "--text", "Ask anna@example.org")).out.strip()
    assert (await reader.runs("demands", "add", "Pollen of the Baltic")).code == 0
    seen = (await reader.other.runs("demands")).out
    assert ("Weather of tomorrow" in seen, "ours fits" in seen, "Pollen" in seen) == (True, True, False)
    refused = await reader.other.runs("demands", "remove", wanted)
    assert (refused.code, "there is no such thing of yours" in refused.err) == (1, True)
    assert (await reader.runs("demands", "remove", wanted)).code == 0
    assert "nobody looks for anything" in (await reader.other.runs("demands")).err
    assert (await reader.runs("demands", "add", "x" * 301)).code == 2
