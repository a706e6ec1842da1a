"""The ledger as a catalogue of the Dataspace Protocol: any connector can browse it.

Its entries are the members' own catalogues, linked and not copied: an offer is asked for where it is made. A dataset can be asked for
by its id and comes as its origin wrote it, with the origin's endpoint in it.
Source: Dataspace Protocol 2025-1, Catalog Protocol; DCAT 3 (a catalogue in a catalogue).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any, Final
from urllib.parse import parse_qs, quote

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.controlplane.limits import Limiter
from connector.dsp import messages as m
from connector.dsp import version
from connector.dsp.plain import DSP_CONTEXT
from connector.errors import BadMessage, NotFound, UnsupportedFilter
from connector.federation.feed import FEED_PROPERTY
from connector.federation.ledger import Ledger
from connector.federation.reading import tree_of
from connector.ports.catalog import MemberRow
from connector.strict import Limits
from connector.web import edge
from connector.web.catalog.viewers import Viewers, known
from connector.web.errors import Family
from connector.web.protocol.exchange import Address, Answer, Asked, Exchange, Post

_BASE: Final = f"/dsp/{version.OURS}"
_PAGE: Final = 1_000


def routes(ledger: Ledger, viewers: Viewers, address: str, limits: Limits, limiter: Limiter) -> list[BaseRoute]:
    """The protocol's addresses below the ledger's own `address`."""
    door = _Door(ledger, Exchange(callers=viewers, limits=limits, limiter=limiter), viewers.participant, address)
    return [
        Route(f"/catalog{_BASE}/{{rest:path}}", door),
        Route("/catalog/.well-known/dspace-version", _versions),
    ]


async def _versions(request: Any) -> Any:
    from starlette.responses import Response

    return Response(version.encode(version.ours(_BASE)), media_type="application/json")


class _Door:
    def __init__(self, ledger: Ledger, exchange: Exchange, participant: str, address: str) -> None:
        self._ledger = ledger
        self._exchange = exchange
        self._participant = participant
        self._address = address
        self._base = f"{address}{_BASE}"
        self._request = Address(
            family=Family.CATALOG, post=Post(message=m.CatalogRequestMessage, serve=self._first), get=self._follow_up
        )
        self._dataset = Address(family=Family.CATALOG, get=self._one)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rest = scope["path_params"]["rest"]
        id_ = rest.removeprefix("catalog/datasets/")
        if rest == "catalog/request":
            await self._exchange.run(self._request, self._participant, "", scope, receive, send)
        elif id_ != rest and id_:
            await self._exchange.run(self._dataset, self._participant, id_, scope, receive, send)
        else:
            raise NotFound("there is no such address", where=scope["path"], mend="negotiate with the origin of an offer")

    async def _first(self, asked: Asked, received: Any) -> Answer:
        if any(received.message.filter):
            raise UnsupportedFilter("this catalogue knows no filter language", where="filter", mend="use its search")
        return await self._page(asked)

    async def _follow_up(self, asked: Asked) -> Answer:
        return await self._page(asked)

    async def _page(self, asked: Asked) -> Answer:
        self._ledger.admit(known(asked.caller))
        rows = await self._ledger.members(_after(asked.scope), _PAGE + 1)
        shown = rows[:_PAGE]
        body = orjson.dumps(self._catalog(shown))
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers: list[tuple[bytes, bytes]] = [(b"etag", tag.encode())]
        if len(rows) > _PAGE:
            cursor = base64.urlsafe_b64encode(shown[-1].id.encode()).decode().rstrip("=")
            headers.append((b"link", f'<{self._base}/catalog/request?cursor={quote(cursor)}>; rel="next"'.encode()))
        if asked.scope["method"] == "GET" and tag in (edge.header(asked.scope, b"if-none-match") or ""):
            return Answer(status=304, body=b"", headers=tuple(headers))
        return Answer(body=body, headers=tuple(headers))

    def _catalog(self, rows: Any) -> dict[str, Any]:
        tree: dict[str, Any] = {
            "@context": [DSP_CONTEXT],
            "@id": f"{self._base}/catalog",
            "@type": "Catalog",
            "participantId": self._ledger.own_id,
            "service": [_service(self._base)],
            FEED_PROPERTY: {"@id": f"{self._address}/feed"},
        }
        if rows:
            tree["catalog"] = [_linked(row) for row in rows]
        return tree

    async def _one(self, asked: Asked) -> Answer:
        found = await self._ledger.named(asked.id, known(asked.caller))
        if not found:
            raise NotFound("there is no such dataset", where=asked.id, mend="search for it")
        # anybody can give a dataset the id of another: nobody gets that of somebody else for it
        if len({one.entry.origin for one in found}) > 1:
            mend = "search for it, and ask the one that you mean"
            raise NotFound("several participants offer a dataset of this id", where=asked.id, mend=mend)
        return Answer(body=orjson.dumps({"@context": [DSP_CONTEXT], **tree_of(found[0])}))


def _service(base: str) -> dict[str, Any]:
    return {"@id": base, "@type": "DataService", "endpointURL": base}


def _linked(row: MemberRow) -> dict[str, Any]:
    """A member's catalogue as an entry of ours: where it is, and whose."""
    base = str(row.validators.get("base") or row.address)
    tree: dict[str, Any] = {"@id": f"{base}/catalog", "@type": "Catalog", "participantId": row.id}
    if row.title:
        tree["dct:title"] = row.title
    tree["distribution"] = [{"@type": "Distribution", "format": "Catalog", "accessService": _service(base)}]
    tree["service"] = [_service(base)]
    return tree


def _after(scope: Scope) -> str | None:
    sent: bytes = scope["query_string"]
    found = parse_qs(sent.decode("ascii", "replace")).get("cursor")
    if not found:
        return None
    try:
        return base64.b64decode(found[0] + "=" * (-len(found[0]) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadMessage("this cursor is none of ours", where="cursor", mend="follow the `Link` of a page") from None
