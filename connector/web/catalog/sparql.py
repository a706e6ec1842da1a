"""The address of questions in SPARQL: by GET, by a form, or as the body.

Source: SPARQL 1.1 Protocol, sections 2.1.1 to 2.1.3.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.errors import BadMessage, MethodNotAllowed, UnsupportedMediaType
from connector.federation import asking
from connector.federation.ledger import Ledger
from connector.federation.sparql import Sparql
from connector.web import edge
from connector.web.catalog import asked
from connector.web.catalog.viewers import Viewers

_MAX_BODY: Final = 64 << 10


def routes(sparql: Sparql, ledger: Ledger, viewers: Viewers) -> list[BaseRoute]:
    """The address."""
    return [Route("/catalog/sparql", Door(sparql, ledger, viewers))]


class Door:
    """Takes a question of whoever may ask the ledger."""

    def __init__(self, sparql: Sparql, ledger: Ledger, viewers: Viewers) -> None:
        self._sparql = sparql
        self._ledger = ledger
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._ledger.admit(await self._viewers.viewer(scope))
        kind, body = await self._sparql.query(await _query(scope, receive))
        await edge.reply(send, 200, body, ((b"cache-control", b"no-store"), (b"vary", b"authorization")), kind.encode())


async def _query(scope: Scope, receive: Receive) -> str:
    if scope["method"] == "GET":
        return asking.first(asked.fields(scope), "query")
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "POST"))
    kind = (edge.header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    body = await edge.read_body(scope, receive, _MAX_BODY)
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        raise BadMessage("the query is not UTF-8", where="query") from fault
    if kind == "application/sparql-query":
        return text
    if kind == "application/x-www-form-urlencoded":
        return (parse_qs(text).get("query") or [""])[0]
    raise UnsupportedMediaType(f"the content type is `{kind}`", where="Content-Type", mend="send `application/sparql-query`")
