"""The ledger's pages and its JSON: everything is found by its links, nothing of a member's is more than text, members only means that."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from connector.controlplane.clock import SystemClock
from connector.federation.answers import Audience
from connector.federation.reading import entry_of
from connector.ports.catalog import Report, Snapshot
from tests.web.catalog.stand import SCRIPT, stand


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with stand(tmp_path) as found:
        transport = httpx.ASGITransport(app=found.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger.example/catalog") as client:
            yield client


class Document(HTMLParser):
    """What is in a page, as far as tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


EVERY = [
    "/",
    "/?q=prices",
    "/?q=Hostile",
    "/statistics",
    "/wanted",
    "/products/1",
    "/participants/did:web:evil",
    "/participants/did:web:m1.crowd.example",
    "/reports/did:web:evil",
]


async def hostile(pages: httpx.AsyncClient) -> str:
    found = (await pages.get("/api/search", params={"q": "Hostile"})).json()["items"][0]
    return f"/products/{found['number']}"


async def test_every_page_is_whole_and_has_one_heading_landmarks_and_labels(pages: httpx.AsyncClient) -> None:
    for path in [*EVERY, await hostile(pages), "/products/999999", "/?sort=wrong"]:
        answer = await pages.get(path)
        document = Document(answer.text)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert len(document.all("h1")) == 1, path
        assert document.all("html")[0]["lang"] == "en"
        assert [len(document.all(tag)) for tag in ("main", "header", "nav", "footer")] == [1, 1, 1, 1], path
        named = {label["for"] for label in document.all("label")}
        fields = [f for tag in ("input", "select") for f in document.all(tag) if f.get("type") != "hidden"]
        assert all(field["id"] in named for field in fields), path
        ids = [attrs["id"] for _, attrs in document.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), path
        assert all(chart.get("aria-label") or chart.get("aria-hidden") for chart in document.all("svg")), path


async def test_nothing_of_a_member_becomes_markup_or_a_link_that_runs(pages: httpx.AsyncClient) -> None:
    for path in [
        *EVERY,
        await hostile(pages),
        f"/?q={quote(SCRIPT)}",
        f"/participants/{quote(SCRIPT)}",
        f"/?theme={quote(SCRIPT)}",
    ]:
        answer = await pages.get(path)
        document = Document(answer.text)
        assert not document.all("script"), path
        assert not document.all("img"), path
        assert not [attrs for _, attrs in document.tags if any(name.startswith("on") or name == "style" for name in attrs)], (
            path
        )
        for _, attrs in document.tags:
            for name in ("href", "src", "action"):
                assert (attrs.get(name) or "/catalog").startswith(("/catalog", "#")), (path, attrs)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';"), path
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def _shine(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = colour if len(colour) == 6 else "".join(2 * sign for sign in colour)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_colours_can_be_told_apart_by_day_and_by_night(pages: httpx.AsyncClient) -> None:
    schemes = re.findall(r":root { ([^}]+)}", (await pages.get("/style.css")).text)
    assert len(schemes) == 2
    for scheme in schemes:
        shine = {name: _shine(value) for name, value in re.findall(r"--(\w+): #([0-9a-f]+);", scheme)}

        def contrast(one: str, other: str, shine: dict[str, float] = shine) -> float:
            low, high = sorted((shine[one], shine[other]))
            return (high + 0.05) / (low + 0.05)

        grounds = ("paper", "ground", "tint")
        texts = [(ink, ground) for ink in ("ink", "soft", "blue") for ground in grounds] + [
            ("good", "paper"),
            ("bad", "ground"),
        ]
        assert [pair for pair in texts if contrast(*pair) < 4.5] == []
        # what is no text but has to be seen: the edges of fields, bars of charts
        assert [pair for pair in (("edge", "paper"), ("blue", "paper"), ("blue", "ground")) if contrast(*pair) < 3] == []


async def test_who_offers_something_is_named_as_the_list_of_members_names_it(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        tree = {"@id": "urn:bare", "dct:title": "Bare", "hasPolicy": [{"@id": "o", "permission": [{"action": "use"}]}]}
        now = SystemClock().now()
        for origin in ("did:web:evil", "did:web:far"):
            entry = entry_of(tree, origin=origin, endpoint="https://x.example/dsp")
            report = Report(at=now, is_good=True)
            await it.records.swap([Snapshot(member="did:web:evil", entries=(entry,), report=report, next_at=now)], now)
            while await it.indexer.catch_up():
                pass
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=it.app), base_url="http://l.example/catalog"
            ) as client:
                (found,) = (await client.get("/api/search?q=Bare")).json()["items"]
                page = (await client.get(f"/products/{found['number']}")).text
            # known through another member only, it has no name here
            assert found["publisher"] == (f"Evil {SCRIPT}" if origin == "did:web:evil" else None)
            assert ("Evil &lt;script&gt;" if origin == "did:web:evil" else "did:web:far</a>") in page


async def test_texts_say_in_which_language_they_are(pages: httpx.AsyncClient) -> None:
    languages = {language for _, language in re.findall(r'<h3><a href="([^"]+)" lang="([^"]+)"', (await pages.get("/")).text)}
    assert languages & {"en", "de", "fr", "zh"}
    document = Document((await pages.get(await hostile(pages))).text)
    # what a member calls a language and is none is not passed on
    assert {attrs["lang"] for _, attrs in document.tags if "lang" in attrs} == {"en"}


async def test_facets_lead_to_what_they_count(pages: httpx.AsyncClient) -> None:
    text = (await pages.get("/")).text
    links = re.findall(r'<a href="([^"]+)"[^>]*><span>[^<]+</span> <span class="n">([\d,]+)<', text)
    assert len(links) > 20
    for href, count in links:
        found = (await pages.get(href.replace("&amp;", "&").removeprefix("/catalog"))).text
        total = re.search(r'role="status">([\d,]+) product', found)
        assert total is not None, href
        assert total[1] == count, href


async def test_pages_lead_through_everything(pages: httpx.AsyncClient) -> None:
    seen: list[str] = []
    href: str | None = "/?sort=added"
    while href is not None:
        text = (await pages.get(href)).text
        seen += re.findall(r'<h3><a href="(/catalog/products/\d+)"', text)
        following = re.search(r'<link rel="next" href="([^"]+)"', text)
        href = following[1].replace("&amp;", "&").removeprefix("/catalog") if following else None
    assert len(seen) == len(set(seen)) == 121
    product = (await pages.get(seen[0].removeprefix("/catalog"))).text
    assert "You may use it" in product or "You may" in product
    assert "Read from did:web:" in product


async def test_programs_get_the_same_as_json(pages: httpx.AsyncClient) -> None:
    found = (await pages.get("/api/search?q=air+prices+water+Preise&facets=theme,action,purpose&size=5&language=de")).json()
    assert found["total"] >= len(found["items"]) > 0
    assert {one["value"] for one in found["facets"]["action"]} >= {"use"}
    one = (await pages.get(f"/api/products/{found['items'][0]['number']}")).json()
    assert one["dataset"]["@id"] == one["id"]
    participant = (await pages.get(f"/api/participants/{one['origin']}")).json()
    assert one["id"] in [item["id"] for item in participant["items"]]
    assert (await pages.get("/api/suggest?q=wa")).json()["suggestions"]
    numbers = (await pages.get("/api/statistics")).json()
    assert (numbers["products"], numbers["participants"], numbers["members"]) == (121, 31, {"listed": 31})
    report = (await pages.get("/api/reports/did:web:evil")).json()
    assert report["report"]["leftOut"] == [f"left out {SCRIPT}"]
    feed = (await pages.get("/feed?limit=100")).json()
    assert (len(feed["changes"]), len(feed["participants"]), feed["hasMore"]) == (99, 1, True)
    rest = (await pages.get(f"/feed?after={feed['sequence']}")).json()
    assert (len(rest["changes"]), rest["hasMore"]) == (22, False)


NO_SENSE = (
    ("/api/search?colour=red", 400, "unknown field"),
    ("/api/search?facets=colour", 400, "unknown facet"),
    ("/api/search?cursor=x", 400, "cursor"),
    ("/api/search?cursor=" + "A" * 900, 400, "cursor"),
    ("/api/search?modified=yesterday", 400, "no day"),
    ("/api/search?price_at_most=-1", 400, "no price"),
    ("/api/search?size=many", 400, "no count"),
    ("/api/search?q=%ff", 400, "query"),
    ("/api/search?price_at_most=10", 400, "cannot be compared"),
    ("/api/search?sort=cheapest&currency=EUR&currency=CNY", 400, "cannot be compared"),
    ("/api/search?currency=euro", 400, "no currency"),
    ("/api/members?failing=perhaps", 400, "neither true nor false"),
    ("/api/products/7777777", 404, "no such product"),
    (f"/api/products/{10**30}", 404, "no such product"),
    ("/feed?after=7777777", 410, "no such change"),
    ("/api/participants/did:web:nobody", 404, "no such participant"),
    ("/api/reports/did:web:nobody", 404, "no such member"),
)


async def test_what_makes_no_sense_is_said_with_what_would(pages: httpx.AsyncClient) -> None:
    for path, status, word in NO_SENSE:
        answer = await pages.get(path)
        body: Any = answer.json()
        assert (answer.status_code, word in body["detail"]) == (status, True), body
        assert body["mend"] or status == 404


async def test_a_cursor_is_one_of_its_search_only(pages: httpx.AsyncClient) -> None:
    cursor = (await pages.get("/api/search?size=2&sort=added")).json()["next"]
    assert (await pages.get(f"/api/search?size=2&sort=added&cursor={cursor}")).status_code == 200
    assert (await pages.get(f"/api/search?size=2&sort=modified&cursor={cursor}")).status_code == 400


def _forged(cursor: str, **parts: Any) -> str:
    """A cursor with other parts than it has: its key, value, number, hits before and way."""
    tree = dict(zip(("key", "value", "number", "skip", "way"), json.loads(_unpadded(cursor)), strict=True)) | parts
    return base64.urlsafe_b64encode(json.dumps(list(tree.values())).encode()).decode().rstrip("=")


def _unpadded(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


async def test_a_cursor_says_nothing_of_scores_and_one_that_somebody_made_up_is_refused_or_leads_somewhere(
    pages: httpx.AsyncClient,
) -> None:
    for question in ("size=2&sort=added", "size=2&q=prices"):
        cursor = (await pages.get(f"/api/search?{question}")).json()["next"]
        # a score is made of how many products have a word, those among them that others see
        assert ("sort" in question, [type(one) for one in json.loads(_unpadded(cursor))[1:]]) == (
            bool(json.loads(_unpadded(cursor))[1]), [int] * 4,
        )  # fmt: skip
        for name in ("value", "number", "skip", "way"):
            for value in (-1, 10**30, 1 << 62, (1 << 64) - 1, 1e300, "1e999", "nan", None, True, [], {}):
                forged = _forged(cursor, **{name: value})
                answer = await pages.get(f"/api/search?{question}&cursor={forged}")
                assert answer.status_code in (200, 400), (name, value, answer.text)


async def test_a_page_compares_no_prices_of_different_currencies_and_says_what_to_choose(pages: httpx.AsyncClient) -> None:
    for question, is_told in (
        ("sort=cheapest", True),
        ("price_at_most=5", True),
        ("sort=cheapest&currency=EUR", False),
        ("", False),
    ):
        text = (await pages.get(f"/?{question}")).text
        assert ("Choose one currency" in text) == is_told, question
        # the choice of a currency leads on to what was asked for
        assert question != "sort=cheapest" or "sort=cheapest&amp;currency=EUR" in text
        assert ('name="price_at_most"' in text) == ("currency" in question)
    found = (await pages.get("/api/search?sort=cheapest&currency=EUR&size=50")).json()["items"]
    shown = [one["price"] for one in found]
    assert shown == sorted(shown)
    assert {one["currency"] for one in found} <= {"EUR", None}


async def test_members_are_listed_with_how_they_stand(pages: httpx.AsyncClient) -> None:
    every: list[str] = []
    after: str | None = ""
    while after is not None:
        answer = (await pages.get("/api/members", params={"size": 20, "after": after})).json()
        every += [one["id"] for one in answer["items"]]
        after = answer["next"]
    assert (len(every), every) == (31, sorted(every))
    assert (await pages.get("/api/members?failing=true")).json() == {"items": [], "next": None}


async def test_nothing_of_a_member_turns_round_or_hides_what_stands_beside_it_and_nobody_takes_another_s_name(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path, members=2) as it:
        tree = {
            "@id": "urn:odd",
            "dct:title": "Odd \u202egnidaer\u2066\u0007\x1b[2J\u200b",
            "dct:publisher": {"@id": "x", "foaf:name": "Member 0"},
            "hasPolicy": [{"@id": "o", "permission": [{"action": "use"}]}],
        }
        now = SystemClock().now()
        entry = entry_of(tree, origin="did:web:zoo", endpoint="https://x.example/dsp", via=("did:web:evil",))
        changed = Snapshot(
            member="did:web:evil", entries=(entry,), report=Report(at=now, is_good=True), next_at=now, is_partial=True
        )
        await it.records.swap([changed], now)
        while await it.indexer.catch_up():
            pass
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=it.app), base_url="http://l.example/catalog") as client:
            (found,) = (await client.get("/api/search?q=Odd")).json()["items"]
            one = (await client.get(f"/api/products/{found['number']}")).json()
            for path in ("/?q=Odd", f"/products/{found['number']}"):
                page = (await client.get(path)).text
                assert not set("\u202e\u2066\u0007\x1b\u200b") & set(page)
                assert ">did:web:zoo</a>" in page, path
                assert "publisher Member 0" in page
            assert "is as did:web:evil tells it; did:web:zoo has not signed it" in page
            assert (found["endpointProof"], one["signedEndpoints"]) == ("unproven", [])
            assert (found["offeredBy"], found["publisher"]) == ("did:web:zoo", "Member 0")


async def test_the_ledger_is_a_catalogue_of_the_protocol_in_pages(pages: httpx.AsyncClient) -> None:
    body = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage", "filter": []}
    answer = await pages.post("/dsp/2025-1/catalog/request", json=body)
    tree = answer.json()
    assert len(tree["catalog"]) == 31
    assert tree["https://w3id.org/kontor/ns/feed"] == {"@id": "http://ledger.example/catalog/feed"}
    again = await pages.get("/dsp/2025-1/catalog/request", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await pages.get("/.well-known/dspace-version")).json()["protocolVersions"]
    dataset = (await pages.get("/dsp/2025-1/catalog/datasets/urn:crowd:1:0")).json()
    assert dataset["@id"] == "urn:crowd:1:0"
    refused = await pages.post("/dsp/2025-1/catalog/request", json={**body, "filter": [{"x": 1}]})
    assert (refused.status_code, refused.json()["@type"]) == (400, "CatalogError")


async def test_who_gives_a_dataset_the_id_of_another_is_not_asked_in_its_place(tmp_path: Path) -> None:
    async with stand(tmp_path, members=2) as it:
        now, url = SystemClock().now(), "/dsp/2025-1/catalog/datasets/urn:crowd:1:0"
        tree = {"@id": "urn:crowd:1:0", "dct:title": "Mine", "hasPolicy": [{"@id": "o", "permission": [{"action": "use"}]}]}
        entry = entry_of(tree, origin="did:web:evil", endpoint="https://evil.example/dsp")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=it.app), base_url="http://l.example/catalog") as client:
            assert (await client.get(url)).status_code == 200
            report = Report(at=now, is_good=True)
            await it.records.swap([Snapshot(member="did:web:evil", entries=(entry,), report=report, next_at=now)], now)
            refused = await client.get(url)
        assert (refused.status_code, "several participants" in refused.text) == (404, True)


async def test_where_members_only_may_look_a_stranger_sees_nothing_of_it(tmp_path: Path) -> None:
    async with stand(tmp_path, Audience.MEMBERS, members=3) as found:
        transport = httpx.ASGITransport(app=found.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger.example/catalog") as client:
            for path in ["/", "/statistics", "/wanted", "/products/1", "/api/search", "/feed", "/dsp/2025-1/catalog/request"]:
                refused = await client.get(path)
                assert refused.status_code == 401, path
                assert "crowd" not in refused.text
                assert (await client.get(path, headers={"authorization": "member"})).status_code == 200, path
            assert (await client.get("/", headers={"authorization": "wrong"})).status_code == 401
            # why a look came to nothing is read by whoever cannot prove itself, too; what was left out, and how much there is, is not
            for path in ("/reports/did:web:evil", "/api/reports/did:web:evil"):
                told, whole = [(await client.get(path, headers=h)).text for h in ({}, {"authorization": "member"})]
                assert ("left out" in whole, "left out &lt;" in told, "left out <" in told) == (True, False, False), path
            assert (await client.get("/api/reports/did:web:evil")).json()["entries"] is None


async def test_a_participant_is_shown_as_it_describes_itself_with_who_attests_what(pages: httpx.AsyncClient) -> None:
    page = (await pages.get("/participants/did:web:m1.crowd.example")).text
    said = ("Member One Ltd", "DEU", "energy", "labelling", "the signature was verified")
    served = ("https://w3id.org/dspace/2025/1/", "HttpData-PULL", "https://w3id.org/kontor/profile/tds")
    for text in (*said, *served, "MembershipCredential", "did:web:authority"):
        assert text in page, text
    tree = (await pages.get("/api/participants/did:web:m1.crowd.example")).json()
    assert tree["self"]["isSigned"] is True
    assert tree["self"]["attestations"][0]["issuer"] == "did:web:authority"
    assert (await pages.get("/api/participants/did:web:m2.crowd.example")).json()["self"] is None


async def test_agreements_are_counted_where_members_report_them(pages: httpx.AsyncClient) -> None:
    found = (await pages.get("/api/statistics")).json()
    assert (found["agreementsReported"], found["membersReporting"]) == (1_234, 1)
    assert "1,234" in (await pages.get("/statistics")).text
    refused = await pages.post("/agreements", json={"concluded": 5})
    # to whom may not do it the address is not there
    assert refused.status_code == 404
    for wrong in (-1, "5", None, 1.5, True):
        answer = await pages.post("/agreements", json={"concluded": wrong}, headers={"authorization": "member"})
        assert answer.status_code == 400, wrong
    # somebody proven who is no member of this ledger
    assert (await pages.post("/agreements", json={"concluded": 5}, headers={"authorization": "member"})).status_code == 404


async def test_a_ranking_ends_with_how_to_go_on_and_other_orders_do_not_end(
    pages: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("connector.federation.ledger", "connector.federation.query", "connector.federation.tantivy_index"):
        monkeypatch.setattr(f"{module}.MAX_DEPTH", 10)
    for sort, most in (("relevance", 10), ("added", 1_000)):
        seen, cursor, fields = 0, "", {"q": "Member", "size": "4", "sort": sort}
        while cursor is not None:
            answer = await pages.get("/api/search", params={**fields, **({"cursor": cursor} if cursor else {})})
            if answer.status_code != 200:
                break
            tree = answer.json()
            seen, cursor = seen + len(tree["items"]), tree["next"]
        if sort == "relevance":
            assert answer.status_code == 400
            assert "sort=added" in answer.text
            assert seen >= most
        else:
            assert (answer.status_code, seen) == (200, tree["total"])


async def test_purposes_are_counted_also_where_there_are_more_terms_than_an_index_counts(
    pages: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"params": {"facets": "purpose,action"}}
    before = (await pages.get("/api/search", **asked)).json()["facets"]
    monkeypatch.setattr("connector.federation.ledger.MOST_TERMS", 1)
    after = (await pages.get("/api/search", **asked)).json()["facets"]
    by_value = [{name: sorted(rows, key=lambda row: row["value"]) for name, rows in one.items()} for one in (before, after)]
    assert by_value[0] == by_value[1]
    assert before["purpose"]
    # what one member alone has made up comes last, and not at all where nothing of it was found
    words = [row["value"] for row in before["purpose"]]
    assert (words.index(SCRIPT), len(words) > 3) == (len(words) - 1, True)
    monkeypatch.undo()
    found = (await pages.get("/api/search", params={"facets": "purpose", "q": "prices"})).json()
    assert found["facets"]["purpose"]
    assert SCRIPT not in [row["value"] for row in found["facets"]["purpose"]]
