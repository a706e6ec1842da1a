"""Saved searches and notices of what is wanted, as members leave and read them: JSON below `/catalog/api`.

POST /catalog/api/searches {"fields": {"q": ["wind"], "theme": ["energy"]}, "webhook": "https://..."}
GET  /catalog/api/searches/ID/news?after=N
POST /catalog/api/demands {"title": "...", "text": "...", "readers": "matching"}

The answer to a new search with a webhook, and no other, has the `key` that its messages are signed with (Standard Webhooks).
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector import strict
from connector.errors import BadMessage, Forbidden, MethodNotAllowed
from connector.federation import asking
from connector.federation.notices import DEMANDS, SEARCHES, Demand, Notices, Readers, Saved
from connector.ports.identity import Caller
from connector.web import edge
from connector.web.catalog import asked
from connector.web.catalog.cards import short
from connector.web.catalog.viewers import Viewers

_MAX_BODY: Final = 16 << 10
_FILL_NUMBER: Final = 1 << 62
_PRIVATE: Final = ((b"cache-control", b"no-store"), (b"vary", b"authorization"))
"""A news item, and the key of a webhook, is its owner's alone."""


def routes(notices: Notices, viewers: Viewers, address: str) -> list[BaseRoute]:
    """The addresses below the ledger's own `address`."""
    return [
        Route("/catalog/api/searches", Door(notices, viewers, address, SEARCHES)),
        Route("/catalog/api/searches/{id}", Door(notices, viewers, address, SEARCHES)),
        Route("/catalog/api/searches/{id}/news", News(notices, viewers, address)),
        Route("/catalog/api/demands", Door(notices, viewers, address, DEMANDS)),
        Route("/catalog/api/demands/{id}", Door(notices, viewers, address, DEMANDS)),
    ]


async def _member(viewers: Viewers, scope: Scope) -> Caller:
    """The member who asks.

    Raises: Unauthenticated, Forbidden.
    """
    viewer = await viewers.viewer(scope)
    if viewer is None:
        raise Forbidden("only members leave something here", where="Authorization")
    return viewer


class Door:
    """What members leave: all of it, or one."""

    def __init__(self, notices: Notices, viewers: Viewers, address: str, kind: str) -> None:
        self._notices = notices
        self._viewers = viewers
        self._address = address
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id_ = scope["path_params"].get("id")
        match scope["method"], id_:
            case "GET", None:
                await edge.reply(send, 200, orjson.dumps({"items": await self._listed(scope)}), _PRIVATE)
            case "POST", None:
                member = await _member(self._viewers, scope)
                tree = strict.scan(await edge.read_body(scope, receive, _MAX_BODY))
                if not isinstance(tree, dict):
                    raise BadMessage("the body is no object", mend="send a JSON object")
                await edge.reply(send, 201, orjson.dumps(await self._left(member, tree)), _PRIVATE)
            case "DELETE", str():
                member = await _member(self._viewers, scope)
                await self._notices.drop(member.id, self._kind, id_)
                await edge.reply(send, 204, b"")
            case method, _:
                allowed = ("DELETE",) if id_ else ("GET", "POST")
                raise MethodNotAllowed(f"{method} is not for this address", allowed=allowed)

    async def _listed(self, scope: Scope) -> list[dict[str, Any]]:
        if self._kind == DEMANDS:
            return [_demand(one) for one in await self._notices.demands(await self._viewers.viewer(scope))]
        member = await _member(self._viewers, scope)
        return [self._saved(one) for one in await self._notices.saved(member.id)]

    async def _left(self, member: Caller, tree: dict[str, Any]) -> dict[str, Any]:
        if self._kind == DEMANDS:
            title, text, readers = tree.get("title"), tree.get("text", ""), tree.get("readers", Readers.MATCHING.value)
            if not isinstance(title, str) or not isinstance(text, str):
                raise BadMessage("`title` and `text` are texts", where="title", mend='send {"title": "...", "text": "..."}')
            if readers not in tuple(Readers):
                raise BadMessage("nobody is meant by `readers`", where="readers", mend=f"send one of {', '.join(Readers)}")
            return _demand(await self._notices.want(member, title, text, Readers(readers)))
        fields, webhook = tree.get("fields"), tree.get("webhook")
        is_map = isinstance(fields, dict) and all(
            isinstance(values, list) and values and all(isinstance(one, str) for one in values) for values in fields.values()
        )
        if not isinstance(fields, dict) or not is_map or not isinstance(webhook, str | None):
            mend = 'send {"fields": {"q": ["wind"]}, "webhook": "https://..."}'
            raise BadMessage("`fields` are lists of texts by name, `webhook` an address", where="fields", mend=mend)
        found, key = await self._notices.save(member, fields, webhook)
        return {**self._saved(found), **({"key": key} if key else {})}

    def _saved(self, one: Saved) -> dict[str, Any]:
        news = f"{self._address}/api/searches/{one.id}/news?after={one.after}"
        return {"id": one.id, "fields": one.fields, "webhook": one.webhook, "createdAt": one.created_at, "news": news}


def _demand(one: Demand) -> dict[str, Any]:
    tree = {"id": one.id, "owner": one.owner, "title": one.title, "text": one.text, "readers": one.readers}
    return {**tree, "createdAt": one.created_at, "fits": one.fits}


class News:
    """What is new for a saved search."""

    def __init__(self, notices: Notices, viewers: Viewers, address: str) -> None:
        self._notices = notices
        self._viewers = viewers
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET",))
        member = await _member(self._viewers, scope)
        found = asked.fields(scope)
        after = asking.count(found, "after", 0, _FILL_NUMBER)
        products, last, has_more = await self._notices.news(member, scope["path_params"]["id"], after)
        items = [short(one, self._address, "") for one in products]
        await edge.reply(send, 200, orjson.dumps({"items": items, "sequence": last, "hasMore": has_more}), _PRIVATE)
