"""An act of an operator on its way through the API, with what the audit trail is told of it before and after.

What lives here: `Recording`, plain ASGI around one request. What does not: what is kept (`controlplane/audit.py`).
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.controlplane.audit import Act, Audit, Result
from connector.errors import BadMessage, TooLarge
from connector.strict import Limits, scan
from connector.web import edge

_NAMES: Final = ("pid", "name", "id")
"""Members of an answer that name what came into being, the first that is there."""
_LOOKED_AT: Final = Limits(max_bytes=64 << 10)
_MOST_CAUSE: Final = 500


class Recording:
    """One act: told to the trail, done, and told how it ended."""

    def __init__(self, app: ASGIApp, audit: Audit, act: Act) -> None:
        self._app = app
        self._audit = audit
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises: StoreUnavailable when the trail cannot be written; nothing was done then."""
        context = await self._audit.asked(self._act)
        status, made, is_kept = 0, b"", False

        async def watched(message: Message) -> None:
            nonlocal status, made, is_kept
            if message["type"] == "http.response.start":
                status = message["status"]
                is_kept = status in (200, 201)
            elif is_kept and message["type"] == "http.response.body":
                made += message.get("body", b"")
                is_kept = len(made) <= _LOOKED_AT.max_bytes
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            line = edge.noted(scope)
            result = Result(
                status=status or 500,
                object_id=_object(made) if is_kept else "",
                error_id=str(line.get("error_id", "")),
                cause=str(line.get("cause", ""))[:_MOST_CAUSE],
            )
            await self._audit.answered(context, self._act, result)


def _object(body: bytes) -> str:
    """The name of what an answer shows; empty when it shows nothing with a name."""
    if not body:
        return ""
    try:
        tree = scan(body, _LOOKED_AT)
    except (BadMessage, TooLarge):
        return ""
    names = (tree.get(name) for name in _NAMES) if isinstance(tree, dict) else ()
    return next((str(name) for name in names if isinstance(name, str)), "")
