"""Questions in SPARQL are answered from what the ledger shows to everybody, and none takes the ledger down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.app.parts import known_vocabulary
from connector.controlplane.clock import SystemClock
from connector.errors import BadMessage, CallerError, NotSupported
from connector.federation import asking
from connector.federation.permitted import Permitted
from connector.federation.reading import entry_of
from connector.federation.sparql import Limits, Sparql
from connector.federation.triples import triples_of
from connector.ports.catalog import Product, Report, Snapshot
from connector.web.catalog import sparql as doors
from connector.web.public import public_app
from tests.web.catalog.stand import HOSTILE, Stand, stand

DCT = "PREFIX dct: <http://purl.org/dc/terms/> PREFIX odrl: <http://www.w3.org/ns/odrl/2/> "
ENDLESS = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"


def opened(there: Stand, folder: Path, within_s: float = 2, **limits: Any) -> Sparql:
    given = Limits(within=timedelta(seconds=within_s), answer_bytes=100_000, **limits)
    return Sparql(there.records, Permitted(known_vocabulary()), SystemClock(), folder / "triples", given)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path, members=5) as found:
        yield found


@pytest.fixture
async def sparql(there: Stand, tmp_path: Path) -> AsyncIterator[Sparql]:
    found = opened(there, tmp_path)
    await found.open()
    while await found.catch_up():
        pass
    yield found
    await found.close()


async def rows(sparql: Sparql, query: str) -> list[dict[str, str]]:
    kind, body = await sparql.query(DCT + query)
    assert kind == "application/sparql-results+json"
    found = json.loads(body)["results"]["bindings"]
    return [{name: term["value"] for name, term in row.items()} for row in found]


async def test_descriptions_and_offers_are_asked_together(sparql: Sparql) -> None:
    offered = "?d dct:title ?t ; odrl:hasPolicy/odrl:permission/odrl:action odrl:use FILTER(isIRI(?d))"
    found = await rows(sparql, f"SELECT DISTINCT ?d WHERE {{ {offered} }}")
    assert {row["d"].split(":")[1] for row in found} == {"crowd"}
    assert len(found) > 10
    every = "?d a <http://www.w3.org/ns/dcat#Dataset>"
    assert await rows(sparql, f"SELECT (COUNT(DISTINCT ?d) AS ?n) WHERE {{ {every} }}") == [{"n": "21"}]
    assert b"true" in (await sparql.query("ASK { ?s ?p ?o }"))[1]
    assert (await sparql.query("CONSTRUCT WHERE { ?s ?p ?o } LIMIT 1"))[0] == "application/n-triples"


async def test_the_question_about_prices_that_is_written_down_finds_what_a_search_finds(sparql: Sparql, there: Stand) -> None:
    text = (Path(__file__).parents[2] / "deploy" / "README.md").read_text(encoding="utf-8")
    found = await rows(sparql, text.partition("```sparql")[2].partition("```")[0])
    searched = await there.ledger.search(asking.query({"currency": ["EUR"], "price_at_most": ["10.50"], "size": ["100"]}), None)
    assert {row["product"] for row in found} == {one.entry.id for one in searched.products} != set()


async def test_what_changes_and_goes_is_followed_and_what_is_for_one_alone_is_not_told(sparql: Sparql, there: Stand) -> None:
    now = SystemClock().now()
    report = Report(at=now, is_good=True)

    async def offers(*trees: dict[str, Any]) -> list[dict[str, str]]:
        entries = tuple(entry_of(tree, origin="did:web:evil", endpoint="https://e.example/dsp") for tree in trees)
        await there.records.swap([Snapshot(member="did:web:evil", entries=entries, report=report, next_at=now)], now)
        while await sparql.catch_up():
            pass
        return await rows(sparql, 'SELECT ?d WHERE { ?d dct:title ?t FILTER(CONTAINS(STR(?t), "platypus")) }')

    policy = {"@id": "o", "@type": "Offer", "permission": [{"action": "use"}]}
    tree = {"@id": "urn:p", "@type": "Dataset", "dct:title": "platypus", "hasPolicy": [policy]}
    assert await offers(tree) == [{"d": "urn:p"}]
    assert await offers({**tree, "hasPolicy": [{**policy, "assignee": "did:web:anna"}]}) == []
    assert await offers(tree) == [{"d": "urn:p"}]
    assert await offers() == []


async def test_a_question_without_end_is_ended_and_the_next_one_answered(sparql: Sparql) -> None:
    with pytest.raises(CallerError, match="longer than 2 s"):
        await sparql.query(ENDLESS)
    assert b"true" in (await sparql.query("ASK { ?s ?p ?o }"))[1]


async def test_a_question_that_takes_too_much_memory_is_ended_and_the_next_one_answered(there: Stand, tmp_path: Path) -> None:
    sparql = opened(there, tmp_path, within_s=60, memory_bytes=256 << 20)
    await sparql.open()
    doubled = " ".join(f"BIND(CONCAT(?x{n}, ?x{n}) AS ?x{n + 1})" for n in range(30))
    with pytest.raises(CallerError, match="more memory than it may"):
        await sparql.query(f'SELECT (STRLEN(?x30) AS ?n) {{ BIND("a" AS ?x0) {doubled} }}')
    assert b"false" in (await sparql.query("ASK { ?s ?p ?o }"))[1]
    await sparql.close()


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("SELECT", BadMessage),
        ("", BadMessage),
        ("x" * 30_000, BadMessage),
        ("DELETE WHERE { ?s ?p ?o }", BadMessage),
        ("LOAD <http://127.0.0.1/>", BadMessage),
        ("SELECT * { SERVICE <http://169.254.169.254/> { ?s ?p ?o } }", NotSupported),
        ("SELECT * { sErViCe ?x { ?s ?p ?o } }", NotSupported),
        (r"SELECT * { S\u0045RVICE ?x { ?s ?p ?o } }", BadMessage),
        ("SELECT * WHERE { ?a ?b ?c . ?d ?e ?f } LIMIT 5000", CallerError),
    ],
)
async def test_what_is_no_question_or_asks_too_much_is_refused(sparql: Sparql, query: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await sparql.query(query)


async def test_triples_are_there_after_a_restart(sparql: Sparql, there: Stand, tmp_path: Path) -> None:
    await sparql.close()
    again = opened(there, tmp_path)
    await again.open()
    assert not await again.catch_up()
    assert b"true" in (await again.query("ASK { ?s ?p ?o }"))[1]
    await again.close()


def test_nothing_that_a_member_writes_breaks_out_of_its_term() -> None:
    now = SystemClock().now()
    text = 'a"\\\n\r> .\n<urn:x> <urn:y> <urn:z> .'
    odd = {**HOSTILE, "a b": "x", "http://x.example/>": "y", "dct:issued": text, "dct:n": [1, 1.5, True]}
    entry = entry_of(odd, origin="not an iri", endpoint="https://e.example/dsp")
    text = triples_of(Product(number=1, entry=entry, member="m", added_at=now, changed_at=now, seen_at=now))
    import pyoxigraph

    found = list(pyoxigraph.parse(text, format=pyoxigraph.RdfFormat.N_TRIPLES))
    assert len(found) == len(text.splitlines())
    assert not [one for one in found if str(one.subject) == "<urn:x>"]


async def test_the_address_takes_a_question_in_three_ways(sparql: Sparql, there: Stand) -> None:
    app = public_app(doors.routes(sparql, there.ledger, there.viewers), most=1000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://l.example/catalog") as client:
        ask = "ASK { ?s ?p ?o }"
        answers = [
            await client.get("/sparql", params={"query": ask}),
            await client.post("/sparql", data={"query": ask}),
            await client.post("/sparql", content=ask, headers={"content-type": "application/sparql-query"}),
        ]
        assert [(one.status_code, one.json()["boolean"]) for one in answers] == [(200, True)] * 3
        assert (await client.post("/sparql", content=ask, headers={"content-type": "text/plain"})).status_code == 415
        assert (await client.put("/sparql", content=ask)).status_code == 405
