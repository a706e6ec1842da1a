"""Ledgers tell each other what origins say of themselves, and each of them judges it; a feed that goes wrong harms nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from connector.describe import participant
from connector.federation import feed
from connector.ports.catalog import ITSELF
from tests.describe import participants
from tests.federation.foreign import Scene, answer, catalog, dataset, scene
from tests.federation.test_crawl import speaks
from tests.federation.test_judging import Signatures, enveloped

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ORIGIN = "did:web:o"
SIGNED = enveloped(f"{ORIGIN}|{participant.CREDENTIAL_TYPE}")
GOLD = enveloped("did:web:authority|Gold")


def said(origin: str = ORIGIN, by: Any = SIGNED, *, via: tuple[str, ...] = ("town",), **more: Any) -> dict[str, Any]:
    """What a feed tells of an origin."""
    return {"origin": origin, "via": via, "seenAt": NOW.isoformat(), "selfDescription": by, "attestations": [GOLD], **more}


def page(*themselves: Any, changes: tuple[Any, ...] = (), sequence: int = 9, more: bool = False, **members: Any) -> bytes:
    tree = {"participantId": "region", "sequence": sequence, "hasMore": more, "changes": changes, "participants": themselves}
    return answer({**tree, **members})


def tells(here: Scene, *replies: bytes, name: str = "region", after: int = 0) -> None:
    here.foreign.tell(f"/{name}/feed?after={after}&limit=500", *replies)


async def test_what_an_origin_says_of_itself_is_judged_here_and_passed_on_as_it_came(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        plain = {**participants.whole(), "@id": "did:web:plain"}
        forged = enveloped("did:web:forged|forged")
        tells(here, page(said(), said("did:web:plain", plain), said("did:web:forged", forged), said("did:web:other")))
        await here.list(region="catalog")
        report = (await here.report("region")).report
        shown = {origin: await here.said(origin) for origin in (ORIGIN, "did:web:plain", "did:web:forged", "did:web:other")}
        assert [one.state for one in shown.values()] == ["verified", "unsigned", "refused", "refused"]
        assert [one["types"] for one in shown[ORIGIN].attestations] == [("Gold",)] or shown[ORIGIN].attestations[0][
            "types"
        ] == ["Gold"]
        assert "proves nothing" in shown["did:web:forged"].reason
        assert "signed by somebody else" in shown["did:web:other"].reason
        assert report is not None
        assert len(report.left_out) == 2
        # the next ledger gets it as the origin wrote it, with the way that it came
        passed = orjson.loads(feed.page("nation", "e", await here.records.changes(0, 9), 9, 0))
        (one, two, three, four) = passed["participants"]
        assert (one["selfDescription"], one["attestations"], one["via"]) == (SIGNED, [GOLD], ["town", "region"])
        assert (one["seenAt"], two["selfDescription"]) == (NOW.isoformat(), plain)
        assert [{name: row[name] for name in ("origin", "gone")} for row in (three, four)] == [
            {"origin": "did:web:forged", "gone": True}, {"origin": "did:web:other", "gone": True},
        ]  # fmt: skip
        assert passed["changes"] == []


async def test_a_reader_that_knows_no_descriptions_reads_the_products_of_a_feed_all_the_same(tmp_path: Path) -> None:
    """As an older release reads: `changes` up to `sequence`, and nothing else."""
    async with scene(tmp_path, prover=Signatures()) as here:
        speaks(
            here,
            "a",
            answer(catalog("a", dataset("urn:x"), **{participant.PROPERTY: enveloped(f"a|{participant.CREDENTIAL_TYPE}")})),
        )
        await here.list("a")
        await here.report("a")
        written = orjson.loads(feed.page("nation", "e", await here.records.changes(0, 9), 500, 0))
        assert [(row["id"], "dataset" in row) for row in written["changes"]] == [("urn:x", True)]
        assert (written["sequence"], written["hasMore"]) == (2, False)


async def test_who_has_read_a_feed_as_an_older_release_reads_it_begins_anew(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        tells(here, page(said()))
        await here.list(region="catalog")
        row = await here.report("region")
        assert row.validators == {"sequence": 9, "epoch": ""}
        older = await here.following.look(replace(row, validators={"sequence": 9}), NOW)
        assert older is not None
        assert (older.is_partial, [entry.id for entry in older.entries]) == (False, [ITSELF])


async def test_withdrawn_at_the_origin_it_is_gone_and_what_went_through_us_does_not_come_back(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        tells(here, page(said(), said("did:web:p", enveloped("did:web:p|" + participant.CREDENTIAL_TYPE), via=("ledger",))))
        tells(here, page({"origin": ORIGIN, "gone": True}, sequence=10), after=9)
        await here.list(region="catalog")
        await here.report("region")
        assert (await here.said(ORIGIN)).state == "verified"
        assert await here.records.product("did:web:p", ITSELF) is None
        await here.look_again("region")
        assert await here.records.product(ORIGIN, ITSELF) is None


async def test_a_record_that_was_made_anew_is_read_anew_and_nothing_of_the_old_one_stays(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        way = {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": []}
        old, new = ({**way, "id": one, "dataset": dataset(one)} for one in ("urn:old", "urn:new"))
        tells(here, page(changes=(old,), epoch="one"), page(changes=(new,), epoch="two", sequence=99))
        tells(here, page(sequence=99, epoch="two"), after=9)
        await here.list(region="catalog")
        await here.report("region")
        row = await here.look_again("region")
        # its numbers had gone past the one that was asked for: only the name of the record tells
        assert await here.shown() == {"urn:new": ORIGIN}
        assert row.validators == {"sequence": 99, "epoch": "two"}
        # and where they had not, it answers that there is no such change
        tells(here, answer({}, 410), after=99)
        tells(here, page(changes=(old,), epoch="three", sequence=1))
        await here.look_again("region")
        assert await here.shown() == {"urn:old": ORIGIN}
        # a feed that never gets beyond its beginning is left after some tries
        tells(here, page(sequence=1, epoch="never"), after=1)
        tells(here, page(sequence=1, epoch="three", more=True))
        row = await here.look_again("region")
        assert row.report is not None
        assert "again and again" in row.report.cause


async def test_a_feed_too_long_for_one_look_is_read_anew_in_parts(tmp_path: Path) -> None:
    async with scene(tmp_path, at_once=1) as here:

        def row(name: str) -> dict[str, Any]:
            return {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": [], "id": name, "dataset": dataset(name)}

        first = page(changes=(row("urn:1"), row("urn:2")), epoch="one")
        tells(here, first, page(changes=(row("urn:3"),), sequence=1, epoch="two", more=True))
        tells(here, answer({}, 410), after=9)
        may_end = asyncio.Event()

        async def last(writer: asyncio.StreamWriter) -> None:
            await may_end.wait()
            writer.write(page(changes=(row("urn:4"),), sequence=2, epoch="two"))
            await writer.drain()

        here.foreign.tell("/region/feed?after=1&limit=500", last)
        await here.list(region="catalog")
        await here.report("region")
        row_ = await here.look_again("region")
        # nothing is missing before all of it was read
        assert sorted(await here.shown()) == ["urn:1", "urn:2", "urn:3"]
        assert "reading" in row_.validators
        # and what is left of it is asked for at once
        may_end.set()
        row_ = await here.report("region", after=row_.generation + row_.failures)
        assert sorted(await here.shown()) == ["urn:3", "urn:4"]
        assert row_.validators == {"sequence": 2, "epoch": "two"}


async def test_rows_that_make_no_sense_are_told_and_the_others_taken(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        odd = ["no object", {"origin": 7}, {"origin": ""}, said(via="x"), said(by="text"), said(by={"x": "y" * 200_000})]  # type: ignore[arg-type]
        changes = ({"origin": ORIGIN, "id": ""}, {"origin": ORIGIN, "id": "urn:x", "via": [], "endpoint": "x"})
        tells(here, page(*odd, said("did:web:p", enveloped("did:web:p|" + participant.CREDENTIAL_TYPE)), changes=changes))
        await here.list(region="catalog")
        report = (await here.report("region")).report
        assert report is not None
        assert len(report.left_out) == len(odd) + len(changes)
        assert (await here.said("did:web:p")).state == "verified"


async def test_a_feed_that_never_ends_stops_at_a_bound_and_what_was_shown_stays(tmp_path: Path) -> None:
    async with scene(tmp_path, most=3) as here:

        def many(first: int) -> tuple[Any, ...]:
            way = {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": []}
            return tuple({**way, "id": f"urn:{n}", "dataset": dataset(f"urn:{n}")} for n in range(first, first + 2))

        tells(here, page(changes=many(0), sequence=1))
        tells(here, page(changes=many(2), sequence=2, more=True), after=1)
        await here.list(region="catalog")
        await here.report("region")
        row = await here.look_again("region")
        assert row.report is not None
        assert "more than 3 entries" in row.report.cause
        assert sorted(await here.shown()) == ["urn:0", "urn:1"]


async def test_a_page_ends_before_it_is_larger_than_its_reader_takes(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        large = [dataset(f"urn:{n}", **{"dct:description": ["x" * 19_000] * 11}) for n in range(45)]
        way = {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": []}
        tells(here, page(changes=tuple({**way, "id": one["@id"], "dataset": one} for one in large)))
        await here.list(region="catalog")
        await here.report("region")
        changes = await here.records.changes(0, 500)
        written = feed.page("nation", "e", changes, 500, 0)
        tree = orjson.loads(written)
        assert len(changes) == 45
        assert len(written) < 9 << 20
        assert (tree["hasMore"], tree["sequence"]) == (True, tree["changes"][-1]["sequence"])


async def test_a_feed_that_lies_about_times_addresses_and_ways_harms_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        row = {"origin": ORIGIN, "endpoint": "https://o.example/dsp", "via": ["town"], "seenAt": NOW.isoformat()}
        lies: dict[str, dict[str, Any]] = {
            "urn:late": {"seenAt": "9999-12-31T23:59:59-14:00"},
            "urn:tomorrow": {"seenAt": "2999-01-01T00:00:00Z"},
            "urn:file": {"endpoint": "file:///etc/passwd"},
            "urn:odd": {"endpoint": "http://["},
            "urn:long": {"via": ["x" * 3_000]},
            "urn:hidden": {"origin": "did:web:\u202eo"},
            "urn:good": {},
        }
        changes = tuple({**row, "id": id_, "dataset": dataset(id_), **lie} for id_, lie in lies.items())
        tells(here, page(changes=changes))
        await here.list(region="catalog")
        report = (await here.report("region")).report
        assert report is not None
        assert len(report.left_out) == 4
        assert await here.shown() == dict.fromkeys(("urn:late", "urn:tomorrow", "urn:good"), ORIGIN)
        seen = {c.key[1]: c.product.entry.origin_seen_at for c in await here.records.changes(0, 99) if c.product is not None}
        assert (seen["urn:late"], seen["urn:good"]) == (None, NOW)
        assert seen["urn:tomorrow"] is not None
        assert seen["urn:tomorrow"].year < 2999


async def test_where_a_product_is_fetched_is_as_its_origin_has_signed_or_not_proven(tmp_path: Path) -> None:
    prover = Signatures()
    prover.places = {"did:web:d": ("https://d.example",)}
    async with scene(tmp_path, prover=prover) as here:
        at = "https://o.example/dsp"
        named = {"distribution": [{"format": "F", "accessService": {"endpointURL": at}}]}
        told: dict[str, tuple[str, str, dict[str, Any], bool]] = {
            "urn:bare": (ORIGIN, at, {}, False),
            "urn:signed": (ORIGIN, at, {"proof": ORIGIN}, False),
            "urn:named": (ORIGIN, f"{at}/2025-1", {"proof": ORIGIN, **named}, True),
            "urn:moved": (ORIGIN, "https://evil.example/dsp", {"proof": ORIGIN, **named}, False),
            "urn:above": (ORIGIN, "https://o.example/dsp/../evil", {"proof": ORIGIN, **named}, False),
            "urn:claimed": (ORIGIN, at, named, False),
            "urn:document": ("did:web:d", "https://d.example/dsp", {"proof": "did:web:d"}, True),
            "urn:publisher": (ORIGIN, at, {"proof": "did:web:p", "dct:publisher": {"@id": "did:web:p"}, **named}, False),
        }
        rows = tuple(
            {"origin": origin, "id": id_, "endpoint": endpoint, "via": [], "dataset": dataset(id_, **more)}
            for id_, (origin, endpoint, more, _) in told.items()
        )
        tells(here, page(changes=rows))
        await here.list(region="catalog")
        await here.report("region")
        shown = {c.key[1]: c.product.entry.is_placed for c in await here.records.changes(0, 99) if c.product is not None}
        assert shown == {id_: is_placed for id_, (_, _, _, is_placed) in told.items()}
        # its signed word about its services is held against all that is told of it, whenever it comes
        prover.places = {ORIGIN: ("https://o.example",)}
        tells(here, page(said(via=()), sequence=10), after=9)
        await here.look_again("region")
        shown = {
            c.key[1]: c.product.entry.is_placed for c in await here.records.changes(0, 99) if c.product and not c.is_itself
        }
        assert [id_ for id_, is_placed in shown.items() if not is_placed] == ["urn:moved", "urn:above"]
