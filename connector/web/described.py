"""Where everybody reads what a participant says of itself: as a credential where it is signed, else as JSON-LD."""

from __future__ import annotations

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.controlplane.describing import Describing
from connector.errors import KontorError, MethodNotAllowed, NotFound
from connector.web import edge, errors


def routes(describing: Describing) -> list[BaseRoute]:
    """`/{participant}/self-description`."""
    return [Route("/{participant}/self-description", _Door(describing))]


class _Door:
    def __init__(self, describing: Describing) -> None:
        self._describing = describing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "HEAD"))
            found = await self._describing.published(scope["path_params"]["participant"])
            if found is None:
                raise NotFound("this participant does not describe itself")
        except KontorError as fault:
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            await errors.send_problem(send, verdict)
            return
        tag = f'"{found.digest[:32]}"'
        headers = ((b"etag", tag.encode()), (b"vary", b"accept"))
        if tag in (edge.header(scope, b"if-none-match") or ""):
            await edge.reply(send, 304, b"", headers)
        elif found.credential is not None and "application/ld+json" not in (edge.header(scope, b"accept") or ""):
            await edge.reply(send, 200, found.credential.encode(), headers, b"application/vc+jwt")
        else:
            await edge.reply(send, 200, orjson.dumps(dict(found.tree)), headers, b"application/ld+json")
