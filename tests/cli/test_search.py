"""`kontor search` and `kontor catalog report`, against a real ledger over two members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.testing.dataspace import Member, api_key
from tests.cli.conftest import Ran, Run
from tests.scenarios.ledgers import LedgerSpace


class Reader:
    """A member that asks by command."""

    def __init__(self, member: Member, run: Run, folder: Path) -> None:
        self.member = member
        self._run = run
        self._key = folder / "key"
        self._key.write_text(api_key())

    async def runs(self, *words: str) -> Ran:
        url = ("--url", self.member.app.operator_url, "--api-key-file", str(self._key), "--participant", self.member.name)
        return await asyncio.to_thread(self._run, *words, *url)


@pytest.fixture
async def reader(run: Run, tmp_path: Path) -> AsyncIterator[Reader]:
    async with LedgerSpace() as space:
        space.gather("ledger", ["north", "reader"])
        north, member = space.join("north"), space.join("reader")
        await north.publish("weather", policy={"permission": [{"action": "use"}]})
        found = Reader(member, run, tmp_path)

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
    assert [one["id"] for one in tree["items"]] == ["urn:north:weather"]
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
    for word in ("urn:member:north (listed)", "1 datasets", "good"):
        assert word in found.out, word
