"""The ledger for programs: JSON below `/catalog/api`, the change feed, and announcements of members."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector import strict
from connector.errors import BadMessage, Forbidden, MethodNotAllowed
from connector.federation import asking, origins, reading
from connector.federation.answers import Standing
from connector.federation.crawl import Crawler
from connector.federation.feed import PAGE
from connector.federation.ledger import Ledger
from connector.federation.query import MOST_PER_PAGE
from connector.ports.catalog import Product
from connector.web import edge
from connector.web.catalog import asked
from connector.web.catalog.cards import Cards, short
from connector.web.catalog.viewers import Viewers

Tree = dict[str, Any]
_MAX_BODY: Final = 64 << 10
_MOST_AGREEMENTS: Final = 1_000_000_000
_FILL_NUMBER: Final = 1 << 62


def routes(ledger: Ledger, viewers: Viewers, crawler: Crawler, address: str) -> list[BaseRoute]:
    """The addresses; `address` is the ledger's own, such as `https://ledger.example.org/catalog`."""
    api = Api(ledger, viewers, crawler, address)
    return [
        Route("/catalog/api/search", Reading(api.search)),
        Route("/catalog/api/suggest", Reading(api.suggest)),
        Route("/catalog/api/products/{number:int}", Reading(api.product)),
        Route("/catalog/api/participants/{id:path}", Reading(api.participant)),
        Route("/catalog/api/statistics", Reading(api.statistics)),
        Route("/catalog/api/members", Reading(api.members)),
        Route("/catalog/api/reports/{id:path}", Reading(api.report)),
        Route("/catalog/feed", Reading(api.feed)),
        Route("/catalog/announcements", Announcements(viewers, crawler)),
        Route("/catalog/agreements", AgreementReports(viewers, ledger)),
    ]


class Reading:
    """An address that is read and gives a body in JSON."""

    def __init__(self, read: Callable[[Scope], Awaitable[bytes]]) -> None:
        self._read = read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "HEAD"))
        await edge.reply_at_once(
            scope, send, 200, await self._read(scope), {"cache-control": "no-store", "vary": "authorization"}
        )


class Api:
    """What can be asked."""

    def __init__(self, ledger: Ledger, viewers: Viewers, crawler: Crawler, address: str) -> None:
        self._ledger = ledger
        self._viewers = viewers
        self._crawler = crawler
        self._address = address
        self._cards = Cards(address)

    async def search(self, scope: Scope) -> bytes:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        answer = await self._ledger.search(asking.query(found), viewer)
        language = asking.first(found, "language")[:2].lower()
        titles = await self._ledger.titles(answer.products)
        return orjson.dumps(
            {
                "total": answer.total,
                "isRelaxed": answer.is_relaxed,
                "items": [self._cards.card(one, language, titles[one.entry.origin]) for one in answer.products],
                "facets": facet_tree(answer.facets),
                "next": answer.cursor,
            }
        )

    async def suggest(self, scope: Scope) -> bytes:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        words = await self._ledger.suggest(asking.first(found, "q"), asking.count(found, "size", 10, 20), viewer)
        return orjson.dumps({"suggestions": words})

    async def product(self, scope: Scope) -> bytes:
        viewer = await self._viewers.viewer(scope)
        product = await self._ledger.product(scope["path_params"]["number"], viewer)
        actions, purposes = await self._ledger.allowed(product, viewer)
        tree = short(product, self._address, "", (await self._ledger.titles([product]))[product.entry.origin])
        return orjson.dumps(
            {
                **tree,
                "signedEndpoints": await self._ledger.places(product),
                "allowedActions": actions,
                "allowedPurposes": purposes,
                "dataset": reading.tree_of(product),
            }
        )

    async def participant(self, scope: Scope) -> bytes:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        after, limit = asking.count(found, "after", 0, _FILL_NUMBER), asking.count(found, "size", 50, MOST_PER_PAGE)
        id_ = scope["path_params"]["id"]
        it = await self._ledger.participant(id_, after, max(1, limit), viewer)
        return orjson.dumps(
            {
                "id": id_,
                "name": it.name,
                "member": member_tree(it.standing) if it.standing else None,
                "self": said_tree(it.said, it.at) if it.said else None,
                "items": [short(one, self._address, asking.first(found, "language")) for one in it.products],
                "next": it.after,
            }
        )

    async def statistics(self, scope: Scope) -> bytes:
        found = await self._ledger.statistics(await self._viewers.viewer(scope))
        totals = found.totals
        return orjson.dumps(
            {
                "products": totals.products,
                "participants": totals.participants,
                "members": dict(totals.members),
                "membersFailing": totals.failing,
                "sequence": totals.sequence,
                "agreementsReported": totals.agreements,
                "membersReporting": totals.reporting,
                "growth": [{"day": day, "added": count} for day, count in totals.growth],
                "facets": facet_tree(found.facets),
            }
        )

    async def members(self, scope: Scope) -> bytes:
        found = asked.fields(scope)
        failing = asking.first(found, "failing", "false")
        if failing not in ("true", "false"):
            raise BadMessage(f"`{failing[:20]}` is neither true nor false", where="failing", mend="send `failing=true`")
        size = max(1, asking.count(found, "size", 50, MOST_PER_PAGE))
        viewer = await self._viewers.viewer(scope)
        after = asking.first(found, "after") or None
        rows = await self._ledger.standings(after, size, viewer, failing=failing == "true")
        following = rows[-1].member.id if len(rows) == size else None
        return orjson.dumps({"items": [member_tree(one) for one in rows], "next": following})

    async def report(self, scope: Scope) -> bytes:
        viewer = await self._viewers.somebody(scope)
        return orjson.dumps(member_tree(await self._ledger.report(scope["path_params"]["id"], viewer)))

    async def feed(self, scope: Scope) -> bytes:
        found = asked.fields(scope)
        viewer = await self._viewers.viewer(scope)
        after, limit = asking.count(found, "after", 0, _FILL_NUMBER), asking.count(found, "limit", PAGE, PAGE)
        return await self._ledger.feed(after, limit, viewer)


def facet_tree(facets: Any) -> Tree:
    return {name: [{"value": value, "count": count} for value, count in rows] for name, rows in facets.items()}


def said_tree(product: Product, now: datetime) -> Tree:
    """What a participant says of itself, how that is proven, and by which way it came."""
    said, entry = origins.read(product.entry, now), product.entry
    return {
        "state": said.state,
        "reason": said.reason or None,
        "isSigned": said.state == "verified",
        "description": said.description,
        "attestations": said.attestations,
        "via": entry.via,
        "member": product.member,
        "seenAt": (entry.origin_seen_at or product.seen_at).isoformat(),
    }


def member_tree(standing: Standing) -> Tree:
    """A member and how the last look at it went."""
    row = standing.member
    report = row.report
    return {
        "id": row.id,
        "title": row.title,
        "kind": row.kind,
        "state": row.state,
        "address": row.address,
        "entries": standing.entries,
        "crawledAt": row.crawled_at.isoformat() if row.crawled_at else None,
        "failures": row.failures,
        "agreements": row.agreements,
        "agreementsAt": row.agreements_at.isoformat() if row.agreements_at else None,
        "nextAt": row.next_at.isoformat() if row.next_at else None,
        "report": {
            "at": report.at.isoformat(),
            "isGood": report.is_good,
            "cause": report.cause or None,
            "leftOut": report.left_out,
            "notes": report.notes,
        }
        if report
        else None,
    }


def report_address(address: str, member: str) -> str:
    """Where everybody can read how the last look at a member went."""
    return f"{address}/reports/{quote(member, safe='')}"


class Announcements:
    """Members say here that something has changed: `{"changed": [ID, ...]}`, or `{}` for everything."""

    def __init__(self, viewers: Viewers, crawler: Crawler) -> None:
        self._viewers = viewers
        self._crawler = crawler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("POST",))
        viewer = await self._viewers.viewer(scope)
        if viewer is None:
            raise Forbidden("only members announce changes", where="Authorization")
        tree = strict.scan(await edge.read_body(scope, receive, _MAX_BODY))
        changed = tree.get("changed", []) if isinstance(tree, dict) else None
        if not isinstance(changed, list) or not all(isinstance(one, str) and one for one in changed):
            raise BadMessage("`changed` is no list of ids", where="changed", mend='send {"changed": ["..."]}')
        if not await self._crawler.announced(viewer.id, tuple(changed)):
            raise Forbidden("only members announce changes", where="Authorization")
        await edge.reply(send, 202, b"{}")


class AgreementReports:
    """Members say here how many agreements they have concluded as providers: `{"concluded": 12}`. Nobody has to."""

    def __init__(self, viewers: Viewers, ledger: Ledger) -> None:
        self._viewers = viewers
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("POST",))
        viewer = await self._viewers.viewer(scope)
        tree = strict.scan(await edge.read_body(scope, receive, _MAX_BODY))
        count = tree.get("concluded") if isinstance(tree, dict) else None
        if type(count) is not int or not 0 <= count < _MOST_AGREEMENTS:
            raise BadMessage("`concluded` is no count", where="concluded", mend='send {"concluded": 12}')
        if viewer is None or not await self._ledger.report_agreements(viewer.id, count):
            raise Forbidden("only members report agreements", where="Authorization")
        await edge.reply(send, 202, b"{}")
