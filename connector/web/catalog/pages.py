"""The ledger for people: pages without scripts, made on the server, that read well and work for everybody.

What lives here: which page shows what. What does not: the templates (`templates/`, where every text is escaped) and how they are filled
(`rendering.py`), facets and links (`choices.py`), and sentences about policies (`words.py`).

Everything that comes from members is text. The answer's policy lets a browser load nothing but our own style sheet, so that even a
mistake here would run nothing.
Source: WCAG 2.2 (landmarks, labels, contrast, focus).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from connector.federation import asking, reading
from connector.federation.answers import Standing
from connector.federation.ledger import Ledger
from connector.federation.notices import Notices
from connector.federation.reading import Members
from connector.ports.catalog import Product
from connector.ports.index import FACETS, MOST_VALUES, Sort
from connector.web.catalog import about, asked, choices, facts, words
from connector.web.catalog.rendering import Page
from connector.web.catalog.viewers import Viewers

Values = dict[str, Any]
_COUNTED: Final = (
    "purpose", "theme", "publisher", "space", "region", "format", "license", "grade", "price", "currency", "freshness",
    "language", "form", "action",
)  # fmt: skip
_SORTS: Final = {
    Sort.RELEVANCE: "best first", Sort.MODIFIED: "latest data first", Sort.ADDED: "latest products first", Sort.CHEAPEST: "cheapest first",
}  # fmt: skip
_CHARTED: Final = ("theme", "region", "publisher", "format", "freshness", "license", "price", "language")
_CHART_WIDTH: Final = 1_000
_CHART_HEIGHT: Final = 140
_FILL_NUMBER: Final = 1 << 62
_LANGUAGE: Final = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def routes(ledger: Ledger, viewers: Viewers, notices: Notices, space: str) -> list[BaseRoute]:
    """The addresses of the pages."""
    pages = Pages(ledger, viewers, notices)
    return [
        Route("/catalog", Page(pages.search, space)),
        Route("/catalog/", Page(pages.search, space)),
        Route("/catalog/products/{number:int}", Page(pages.product, space)),
        Route("/catalog/participants/{id:path}", Page(pages.participant, space)),
        Route("/catalog/reports/{id:path}", Page(pages.report, space)),
        Route("/catalog/statistics", Page(pages.statistics, space)),
        Route("/catalog/wanted", Page(pages.wanted, space)),
        Route("/catalog/style.css", _style),
    ]


async def _style(request: Any) -> Any:
    from starlette.responses import Response

    text = (resources.files(__package__) / "templates" / "style.css").read_bytes()
    return Response(text, media_type="text/css", headers={"cache-control": "max-age=3600", "x-content-type-options": "nosniff"})


class Pages:
    """What each page shows."""

    def __init__(self, ledger: Ledger, viewers: Viewers, notices: Notices) -> None:
        self._ledger = ledger
        self._viewers = viewers
        self._notices = notices

    async def search(self, scope: Scope) -> tuple[str, Values]:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        found.pop("facets", None)
        compared, is_compared = choices.comparable(found)
        query = asking.query(compared, facets=_COUNTED)
        answer = await self._ledger.search(query, viewer)
        plain = {name: values for name, values in found.items() if name != "cursor"}
        picked = [(name, value) for name in FACETS for value in found.get(name, ())]
        purposes = sorted(
            {*(value for value, _ in answer.facets.get("purpose", ())), *([query.purpose] if query.purpose else [])}
        )
        language, titles = asking.first(found, "language"), await self._ledger.titles(answer.products)
        return "search.html", {
            "title": query.text or "Search",
            "here": "search",
            "q": query.text,
            "purpose": query.purpose or "",
            "purposes": [{"value": one, "name": words.facet_value("purpose", one)} for one in purposes],
            "sort": asking.first(found, "sort"),
            "currency": code if [code := asking.first(found, "currency")] == found.get("currency") else "",
            "price_at_most": asking.first(found, "price_at_most"),
            "is_compared": is_compared,
            "sorts": [{"value": one.value, "name": name} for one, name in _SORTS.items()],
            "suggestions": (await self._ledger.suggest(query.text, 8, viewer)) if query.text else (),
            "kept": [{"name": name, "value": value} for name, value in picked],
            "total": f"{answer.total:,}",
            "is_relaxed": answer.is_relaxed,
            "facets": [
                facet for name in _COUNTED if (facet := choices.facet(name, answer.facets.get(name, ()), plain))["options"]
            ],
            "chosen": [
                {"name": words.facet_value(n, v), "href": choices.href(choices.without(plain, n, v))} for n, v in picked
            ],
            "items": [_item(one, language, titles[one.entry.origin]) for one in answer.products],
            "next": choices.href({**plain, "cursor": [answer.cursor]}) if answer.cursor else None,
        }

    async def product(self, scope: Scope) -> tuple[str, Values]:
        viewer = await self._viewers.viewer(scope)
        product = await self._ledger.product(scope["path_params"]["number"], viewer)
        actions, purposes = await self._ledger.allowed(product, viewer)
        members = reading.by_name(reading.tree_of(product))
        titles, entry = reading.texts(members, "title"), product.entry
        lang, name = reading.best(titles, "")
        title = (await self._ledger.titles([product]))[entry.origin]
        keywords = list(dict.fromkeys(reading.texts(members, "keyword")))[:40]
        return "product.html", {
            "title": name or entry.id,
            "name": name or entry.id,
            "lang": _lang(lang),
            "others": [_told(one) for one in titles if one[1] != name][:10],
            "texts": [_told(one) for one in reading.texts(members, "description")[:10]],
            "offered_by": title or entry.origin,
            "publisher": _publisher(members, title or entry.origin),
            "participant": choices.participant(entry.origin),
            "themes": [words.facet_value("theme", one) for one in reading.themes(members)][:8],
            "offers": [list(words.sentences(offer)) for offer in self._ledger.offers(product, viewer)],
            "actions": ", ".join(words.facet_value("action", one) for one in actions),
            "purposes": ", ".join(words.facet_value("purpose", one) for one in purposes[:20]),
            "json": f"/catalog/api/products/{product.number}",
            "columns": list(facts.columns(members)),
            "keywords": [{**_told(one), "href": choices.href({"q": [one[1]]})} for one in keywords],
            "facts": facts.rows(product, members),
            "way": _way(product),
            "doubt": _doubt(product, await self._ledger.places(product)),
            "command": facts.command(product, purposes, needs_purpose=not actions),
        }

    async def participant(self, scope: Scope) -> tuple[str, Values]:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        id_, after = scope["path_params"]["id"], asking.count(found, "after", 0, _FILL_NUMBER)
        it = await self._ledger.participant(id_, after, 50, viewer)
        return "participant.html", {
            "title": it.name,
            "name": it.name,
            "id": id_,
            "member": _standing(it.standing) if it.standing else None,
            "about": about.shown(it.said, it.at) if it.said else None,
            "report": f"/catalog/reports/{quote(id_, safe='')}",
            "items": [_item(one, asking.first(found, "language"), it.name) for one in it.products],
            "next": f"{choices.participant(id_)}?after={it.after}" if it.after is not None else None,
        }

    async def report(self, scope: Scope) -> tuple[str, Values]:
        standing = await self._ledger.report(scope["path_params"]["id"], await self._viewers.somebody(scope))
        member, report = standing.member, standing.member.report
        return "report.html", {
            "title": f"Report for {member.title or member.id}",
            "name": member.title or member.id,
            "facts": _standing(standing),
            "cause": report.cause if report else "nobody has looked yet",
            "left_out": report.left_out if report else (),
            "notes": report.notes if report else (),
        }

    async def wanted(self, scope: Scope) -> tuple[str, Values]:
        found = await self._notices.demands(await self._viewers.viewer(scope))
        items = [
            {
                "title": one.title,
                "text": one.text,
                "owner": one.owner,
                "participant": choices.participant(one.owner),
                "day": one.created_at.date().isoformat(),
                "fits": one.fits,
                "search": choices.href({"q": [one.title]}),
            }
            for one in found
        ]
        return "wanted.html", {"title": "Wanted", "here": "wanted", "items": items}

    async def statistics(self, scope: Scope) -> tuple[str, Values]:
        found = await self._ledger.statistics(await self._viewers.viewer(scope))
        totals = found.totals
        numbers = [
            {"name": "Products", "value": f"{totals.products:,}"},
            {"name": "Participants who offer", "value": f"{totals.participants:,}"},
            {"name": "Members", "value": f"{totals.members.get('listed', 0):,}"},
            *([{"name": "Members not reached", "value": f"{totals.failing:,}"}] if totals.failing else []),
            {"name": "Sectors", "value": _several(found.facets.get("theme", ()))},
            {"name": "Regions", "value": _several(found.facets.get("region", ()))},
            {"name": "Agreements reported", "value": f"{totals.agreements:,}" if totals.reporting else "none"},
        ]
        charts = [chart for name in _CHARTED if (chart := _chart(name, found.facets.get(name, ())))["rows"]]
        return "statistics.html", {
            "title": "Statistics",
            "here": "statistics",
            "numbers": numbers,
            "reporting": f"{totals.reporting:,}" if totals.reporting else "",
            "growth": _growth(totals.growth),
            "charts": charts,
        }


def _publisher(members: Members, offered_by: str) -> str:
    """The publisher that a description names, when it is another than who offers it: anybody can name anybody."""
    named = reading.publisher_of(members)
    return named if named != offered_by else ""


def _lang(said: str) -> str:
    """The language for a browser, where what a member writes is one."""
    return said if _LANGUAGE.fullmatch(said) else ""


def _told(one: tuple[str, str]) -> Values:
    return {"lang": _lang(one[0]), "text": one[1]}


def _item(product: Product, language: str, of: str) -> Values:
    members = reading.by_name(reading.tree_of(product))
    entry = product.entry
    title = reading.best(reading.texts(members, "title"), language)
    lang, text = reading.best(reading.texts(members, "description"), language)
    modified = reading.moment(members.get("modified"))
    seen = entry.origin_seen_at or product.seen_at
    price = facts.price(members)
    return {
        "href": f"/catalog/products/{product.number}",
        "title": _told(title if title[1] else ("", entry.id)),
        "offered_by": of or entry.origin,
        "publisher": _publisher(members, of or entry.origin),
        "participant": choices.participant(entry.origin),
        "description": _told((lang, text[:280] + ("..." if len(text) > 280 else ""))),
        "themes": [words.facet_value("theme", one) for one in reading.themes(members)][:4],
        "types": list(dict.fromkeys(reading.media_types(members)))[:3],
        "modified": modified.date().isoformat() if modified else "",
        "price": f"Price: {price[:200]}" if price else "",
        "seen": seen.strftime("%Y-%m-%d %H:%M UTC"),
        "via": ", ".join(entry.via),
    }


def _way(product: Product) -> list[str]:
    entry, seen = product.entry, product.seen_at.strftime("%Y-%m-%d %H:%M UTC")
    if not entry.via:
        return [f"Read from {entry.origin} itself, last confirmed {seen}"]
    first = entry.origin_seen_at.strftime("%Y-%m-%d %H:%M UTC") if entry.origin_seen_at else "at an unknown time"
    steps = [f"{entry.via[0]} read it from {entry.origin}, {first}"]
    steps += [f"{to} had it from {before}" for before, to in zip(entry.via, entry.via[1:], strict=False)]
    return [*steps, f"We had it from {product.member}, last confirmed {seen}"]


def _doubt(product: Product, places: Sequence[str]) -> str:
    """What is to be said of the address where it is asked for, when nothing proves that its origin answers there."""
    entry = product.entry
    if not entry.via or entry.is_placed:
        return ""
    said = (
        f"{entry.origin} has signed that it answers at {', '.join(places[:3])}"
        if places
        else f"{entry.origin} has not signed it"
    )
    return f"The address {entry.endpoint} is as {product.member} tells it; {said}."


def _standing(it: Standing) -> list[Values]:
    member = it.member
    confirmed = member.crawled_at.strftime("%Y-%m-%d %H:%M UTC") if member.crawled_at else "never"
    facts = {"State": member.state, "Kind": member.kind, "Last confirmed": confirmed}
    if it.entries is not None:
        facts["Products shown"] = f"{it.entries:,}"
    if member.agreements is not None:
        facts["Agreements reported"] = f"{member.agreements:,}"
    return [{"name": name, "value": value} for name, value in facts.items()]


def _chart(name: str, counts: Sequence[tuple[str, int]]) -> Values:
    most = max((count for _, count in counts), default=1)
    rows = [
        {
            "name": words.facet_value(name, value),
            "count": f"{count:,}",
            "width": round(100 * count / most, 2),
            "href": choices.href({name: [value]}),
        }
        for value, count in counts[:10]
    ]
    return {"name": words.FACET_NAMES[name], "rows": rows}


def _several(rows: Sequence[object]) -> str:
    """How many values there are, as far as an index tells them."""
    return f"{len(rows)}" if len(rows) < MOST_VALUES else f"{MOST_VALUES} or more"


def _growth(days: Sequence[tuple[str, int]]) -> Values | None:
    if not days:
        return None
    most = max(count for _, count in days)
    step = _CHART_WIDTH / max(len(days), 30)
    bars = [
        {
            "x": round(place * step, 1),
            "y": round(160 - _CHART_HEIGHT * count / most, 1),
            "width": round(step * 0.8, 1),
            "height": round(_CHART_HEIGHT * count / most, 1),
            "day": day,
            "count": f"{count:,}",
        }
        for place, (day, count) in enumerate(days)
    ]
    total = sum(count for _, count in days)
    said = f"{total:,} products were added from {days[0][0]} to {days[-1][0]}, at most {most:,} in a day"
    return {"width": _CHART_WIDTH, "bars": bars, "first": days[0][0], "last": days[-1][0], "most": f"{most:,}", "said": said}
