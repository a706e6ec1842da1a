"""Members of every kind are looked at: what is good of them is shown, what is bad is told, and none of them harms another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connector.controlplane.clock import SystemClock
from connector.errors import Unproven
from connector.federation.following import Indexer
from connector.federation.looking import Bounds
from connector.ports.catalog import Listed
from connector.ports.index import Wanted
from connector.storage.catalog.fulltext import FullText
from tests.federation.foreign import CONTEXT, Scene, answer, catalog, dataset, scene

REQUEST = "dsp/catalog/request"
_VERSIONS = {"protocolVersions": [{"version": "2025-1", "path": "/dsp", "binding": "HTTPS"}]}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Scene]:
    bounds = Bounds(page_bytes=200_000, whole_bytes=1_000_000, pages=20, datasets=500, nested=20, depth=3)
    async with scene(tmp_path, bounds=bounds, within_s=3) as found:
        yield found


def speaks(here: Scene, name: str, *replies: Any, path: str = REQUEST) -> None:
    here.foreign.tell(f"/{name}/.well-known/dspace-version", answer(_VERSIONS))
    here.foreign.tell(f"/{name}/{path}", *replies)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"[" * 65_536)
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


BROKEN: dict[str, tuple[Any, str]] = {
    "announces ten gigabytes": (b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{", "larger than"),
    "never ends": (endless, "answer in smaller pages"),
    "hangs": (silent, "answer in time at `http://127.0.0.1"),
    "drips": (dripping, "in time"),
    "is no JSON": (answer(b"<html>"), "not JSON"),
    "nests without end": (answer(b"[" * 100_000), "cannot be read"),
    "is no catalogue": (answer({"@context": [CONTEXT], "@id": "x", "@type": "Dataset"}), "@type"),
    "has wrong types": (answer({"@context": [CONTEXT], "@id": 5, "@type": "Catalog"}), "@id"),
    "uses a foreign context": (answer({"@context": ["https://evil.example/c.jsonld"], "@id": "x", "@type": "Catalog"}), "context"),
    "refuses us": (answer({}, 403), "your connector answered 403: {} at `http://127.0.0.1"),
    "does not know us": (answer({}, 401), "let your connector take the token of the participant that runs this ledger"),
    "sends us elsewhere": (answer(b"", 302, location="http://169.254.169.254/"), "302"),
    "has a member twice": (answer(b'{"@id":"a","@id":"b"}'), "twice"),
}  # fmt: skip


async def test_broken_members_are_told_why_and_harm_nobody(here: Scene) -> None:
    names = {what: f"m{number}" for number, what in enumerate(BROKEN)}
    for what, (reply, _) in BROKEN.items():
        speaks(here, names[what], reply)
    speaks(here, "good", answer(catalog("good", dataset("urn:g"))))
    await here.list("good", *names.values())
    for what, (_, word) in BROKEN.items():
        row = await here.report(names[what])
        assert row.report is not None
        assert not row.report.is_good, what
        assert word in row.report.cause, (what, row.report.cause)
        assert row.next_at is not None
    assert (await here.report("good")).entries == 1
    assert await here.shown() == {"urn:g": "good"}


async def test_a_member_that_asks_to_be_left_alone_is_left_alone(here: Scene) -> None:
    speaks(here, "busy", answer({}, 429, **{"retry-after": "7200"}))
    speaks(here, "rude", answer({}, 503, **{"retry-after": "999999999999"}))
    await here.list("busy", "rude")
    waits = []
    for name in ("busy", "rude"):
        row = await here.report(name)
        assert row.report is not None
        assert row.next_at is not None
        waits.append(round((row.next_at - row.report.at).total_seconds() / 60))
    assert waits == [120, 24 * 60]


async def test_who_has_just_come_and_is_not_ready_is_looked_at_again_in_a_moment(here: Scene) -> None:
    speaks(here, "new", answer({}, 401), answer(catalog("new", dataset("urn:new"))), answer({}, 500))
    await here.list("new")

    async def is_shown() -> bool:
        return await here.shown() == {"urn:new": "new"}

    await here.until(is_shown)
    # one that is known has longer
    row = await here.look_again("new")
    assert row.report is not None
    assert row.next_at is not None
    assert (row.next_at - row.report.at).total_seconds() > 20


async def test_of_a_catalogue_the_good_part_is_taken_and_the_rest_is_named(here: Scene) -> None:
    odd = [
        {"@id": "urn:untyped", "@type": 7, "hasPolicy": []},
        "no object",
        dataset("urn:free", hasPolicy=[]),
        dataset("urn:long", **{"dct:description": "x" * 30_000}),
        dataset("urn:local", distribution=[{"format": "F", "accessService": {"endpointURL": "file:///etc/passwd"}}]),
        dataset("urn:good"),
        dataset("urn:good"),
        dataset("urn:script", **{"dct:title": "<script>alert(1)</script>"}),
        dataset("urn:typed", **{"dct:title": {"@id": "urn:no-text"}}),
        dataset("urn:untitled", **{"dct:title": None}),
    ]
    speaks(here, "a", answer(catalog("a", *odd)))
    await here.list("a")
    row = await here.report("a")
    assert sorted(await here.shown()) == ["urn:good", "urn:untitled"]
    assert row.report is not None
    told = "\n".join(row.report.left_out)
    for word in (
        "dataset[0]",
        "dataset[1]",
        "dataset[2]",
        "urn:long",
        "urn:local",
        "`urn:good` stands twice",
        "a title holds markup",
        "urn:typed",
    ):
        assert word in told, word
    assert any("`urn:untitled`: there is no title" in note for note in row.report.notes)


async def test_pages_are_followed_at_their_host_and_not_in_circles(here: Scene) -> None:
    first = answer(catalog("a", dataset("urn:1")), link='<request?p=2>; rel="next"')
    second = answer(catalog("a", dataset("urn:2")), link='<request?p=2>; rel="next"')
    speaks(here, "a", first)
    here.foreign.tell(f"/a/{REQUEST}?p=2", second)
    speaks(here, "b", answer(catalog("b", dataset("urn:3")), link='<http://10.0.0.1/x>; rel="next"'))
    await here.list("a", "b")
    a, b = await here.report("a"), await here.report("b")
    assert a.report is not None
    assert b.report is not None
    assert sorted(await here.shown()) == ["urn:1", "urn:2", "urn:3"]
    assert "circle" in a.report.notes[0]
    assert "another host" in b.report.left_out[0]


async def test_nothing_is_asked_for_again_that_has_not_changed(here: Scene) -> None:
    page = answer(catalog("a", dataset("urn:1")), etag='"1"')
    speaks(here, "a", page, answer(b"", 304), answer(b"", 304), answer(catalog("a", dataset("urn:2")), etag='"2"'))
    await here.list("a")
    first = await here.report("a")
    await here.crawler.announced("a", ())

    async def confirmed() -> bool:
        row = await here.records.member("a")
        return (
            row is not None
            and row.crawled_at is not None
            and first.crawled_at is not None
            and row.crawled_at > first.crawled_at
        )

    await here.until(confirmed)
    row = await here.records.member("a")
    assert row is not None
    assert row.generation == 1
    assert await here.shown() == {"urn:1": "a"}
    assert here.foreign.asked.count(f"POST /a/{REQUEST}") == 1
    assert here.foreign.asked.count("GET /a/.well-known/dspace-version") == 1


async def test_what_a_member_names_as_changed_is_asked_for_alone(here: Scene) -> None:
    speaks(here, "a", answer(catalog("a", dataset("urn:1"), dataset("urn:2"))))
    here.foreign.tell("/a/dsp/catalog/datasets/urn:3", answer({"@context": [CONTEXT], **dataset("urn:3")}))
    await here.list("a")
    await here.report("a")
    assert await here.crawler.announced("a", ("urn:2", "urn:3"))
    await here.report("a", after=1)
    assert sorted(await here.shown()) == ["urn:1", "urn:3"]
    assert not await here.crawler.announced("nobody", ())


async def test_why_a_look_came_to_nothing_names_no_dataset(here: Scene) -> None:
    """Everybody reads it, and a dataset may be offered to few."""
    speaks(here, "a", answer(catalog("a", dataset("urn:1"))))
    here.foreign.tell("/a/dsp/catalog/datasets/urn:hidden", answer({"@context": [CONTEXT], **dataset("urn:hidden-too")}))
    await here.list("a")
    await here.report("a")
    assert await here.crawler.announced("a", ("urn:hidden",))
    while not (report := (await here.records.member("a")).report) or report.is_good:  # type: ignore[union-attr]  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert report.cause == f"the member answered with another dataset at `{here.foreign.address('a')}/dsp`"


async def test_who_has_just_joined_is_looked_at_when_it_announces_itself(here: Scene) -> None:
    speaks(here, "new", answer(catalog("new", dataset("urn:new"))))
    await here.list("old")
    here.roster.joining = (Listed(id="new", address=here.foreign.address("new")),)
    assert not await here.crawler.announced("nobody", ())
    assert await here.crawler.announced("new", ())
    assert (await here.report("new")).entries == 1
    assert await here.shown() == {"urn:new": "new"}


async def test_a_connector_speaks_for_itself_and_a_catalogue_for_others(here: Scene) -> None:
    inner = catalog("c", dataset("urn:c"))
    del inner["@context"]
    speaks(here, "a", answer(catalog("a", dataset("urn:a"), catalog=[inner])))
    speaks(here, "b", answer(catalog("someone-else", dataset("urn:b"))))
    speaks(here, "region", answer(catalog("region", catalog=[inner])))
    await here.list("a", "b", region="catalog")
    a, b, _ = await here.report("a"), await here.report("b"), await here.report("region")
    assert await here.shown() == {"urn:a": "a", "urn:c": "c"}
    (product,) = await here.records.named("urn:c")
    assert (product.member, product.entry.via, product.entry.endpoint) == ("region", ("region",), "https://c.example/dsp")
    assert a.report is not None
    assert b.report is not None
    assert "speaks for `c`" in a.report.left_out[0]
    assert "speaks for `someone-else`" in b.report.left_out[0]


async def test_linked_catalogues_are_followed_once_each_and_not_too_deep(here: Scene) -> None:
    def linked(name: str, *to: str, **members: Any) -> bytes:
        inner = [
            {"@id": f"urn:l:{one}", "@type": "Catalog", "participantId": "region",
             "service": [{"@id": one, "@type": "DataService", "endpointURL": f"{here.foreign.address('region')}/{one}"}]}
            for one in to
        ]  # fmt: skip
        return answer(catalog("region", dataset(f"urn:{name}"), catalog=inner, **members))

    speaks(here, "region", linked("0", "1", "dead"))
    for name, to in {"1": ("2", "1"), "2": ("3", "1"), "3": ("4",), "4": ()}.items():
        here.foreign.tell(f"/region/{name}/catalog/request", linked(name, *to))
    await here.list(region="catalog")
    row = await here.report("region")
    assert sorted(await here.shown()) == ["urn:0", "urn:1", "urn:2", "urn:3"]
    assert row.report is not None
    assert sum("circle" in note for note in row.report.notes) == 2
    assert any("too deeply" in text for text in row.report.left_out)
    assert any("cannot be read" in text and "dead" in text for text in row.report.left_out)


async def test_a_member_that_breaks_off_keeps_what_it_had_and_one_that_leaves_loses_it(here: Scene) -> None:
    speaks(here, "a", answer(catalog("a", dataset("urn:1"))), answer({}, 500))
    speaks(here, "b", answer(catalog("b", dataset("urn:2"))))
    await here.list("a", "b")
    await here.report("a")
    await here.report("b")
    row = await here.look_again("a")
    assert row.report is not None
    assert (row.report.is_good, row.failures, row.entries) == (False, 1, 1)
    assert await here.shown() == {"urn:1": "a", "urn:2": "b"}
    await here.list("a")
    assert await here.shown() == {"urn:1": "a"}


async def test_what_is_too_much_is_refused_as_a_whole(here: Scene) -> None:
    speaks(here, "many", answer(catalog("many", *(dataset(f"urn:{n}") for n in range(501)))))
    await here.list("many")
    row = await here.report("many")
    assert row.report is not None
    assert "more than 500 datasets" in row.report.cause
    assert await here.shown() == {}


async def test_what_is_announced_while_a_look_is_under_way_is_not_lost(here: Scene) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        reached.set()
        await go.wait()
        writer.write(answer(catalog("a", dataset("urn:old"))))
        await writer.drain()

    speaks(here, "a", late, answer(catalog("a", dataset("urn:new"))))
    await here.list("a")
    await reached.wait()
    assert await here.crawler.announced("a", ())
    go.set()
    await here.report("a", after=1)
    assert await here.shown() == {"urn:new": "a"}


@pytest.mark.parametrize("check", ["expired", "rollback", "signature"])
async def test_a_list_that_cannot_be_believed_takes_nobody_out_and_lets_nobody_in(
    here: Scene, check: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What makes a list stale, rolled back or forged is proven in `tests/identity/test_trustlists.py`; here is what comes of it."""
    speaks(here, "a", answer(catalog("a", dataset("urn:a"))))
    await here.list("a")
    await here.report("a")
    here.roster.fault = Unproven("the list is not what it should be", check=check)
    here.roster.now = ()
    here.crawler.list_anew()

    async def is_told() -> bool:
        return "catalog.list_refused" in caplog.text

    await here.until(is_told)
    assert await here.shown() == {"urn:a": "a"}
    here.roster.fault = None
    here.crawler.list_anew()

    async def is_empty() -> bool:
        return await here.shown() == {}

    await here.until(is_empty)


async def test_the_record_waits_for_an_index_that_is_behind(here: Scene, tmp_path: Path) -> None:
    index = FullText(tmp_path / "index")
    indexer = Indexer(here.records, index, SystemClock(), space="x", most_behind=1)
    await indexer.open()
    here.crawler.room = indexer.near
    speaks(here, "first", answer(catalog("first", *(dataset(f"urn:first:{n}") for n in range(3)))))
    await here.list("first")
    await here.report("first")
    # three are recorded and none is found: the next member has to wait
    speaks(here, "second", answer(catalog("second", dataset("urn:second"))))
    await here.list("first", "second")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(here.report("second"))
        await here.until(lambda: asyncio.sleep(0, any("/second/dsp" in one for one in here.foreign.asked)))
        assert (len(await here.shown()), waiting.done()) == (3, False)
        while await indexer.catch_up():
            pass
    assert (index.search(Wanted(text="")).total, len(await here.shown())) == (3, 4)
    await indexer.close()
