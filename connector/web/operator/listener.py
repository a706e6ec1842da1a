"""The operator listener: health and metrics at once, the API from its first request on.

The framework of the API and its 40 routes are a third of a node's start and a sixth of its memory; a node whose operators are
silent does without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.controlplane.audit import Audit
from connector.controlplane.operators import Operators
from connector.errors import NotFound
from connector.ports.store import Store
from connector.settings import Operator
from connector.web.edge import Bounded, Observed
from connector.web.operator import health
from connector.web.operator.gate import PREFIX, Gate

if TYPE_CHECKING:
    from fastapi import APIRouter

Rooms = Callable[[], "Iterable[APIRouter]"]
"""Makes routers of the operator API; called when somebody first asks the API something."""


def operator_app(
    settings: Operator,
    operators: Operators,
    audit: Audit,
    store: Store,
    faults: Callable[[], tuple[str, ...]],
    hung: Callable[[], tuple[str, ...]],
    rooms: Iterable[Rooms],
) -> ASGIApp:
    """The application of the operator listener; `faults` tells what of the node does not work at the moment, `hung` what of it hangs."""
    # health and metrics are told however much is asked
    api = Bounded(Gate(_WhenAsked(tuple(rooms)), settings, operators, audit), settings.requests_at_once)

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotFound("there is no such address", where=scope["path"], mend=f"the API is below `{PREFIX}`")

    signs = Router(routes=health.routes(store, faults, hung), redirect_slashes=False, default=nowhere)

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (api if scope["path"].startswith(f"{PREFIX}/") else signs)(scope, receive, send)

    return Observed(either, "operator")


class _WhenAsked:
    """The API, built in a thread when somebody first asks it something."""

    def __init__(self, rooms: tuple[Rooms, ...]) -> None:
        self._rooms = rooms
        self._app: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app or await self._first()
        await app(scope, receive, send)

    async def _first(self) -> ASGIApp:
        async with self._building:
            if self._app is None:
                self._app = await asyncio.to_thread(self._built)
            return self._app

    def _built(self) -> ASGIApp:
        from connector.web.operator.api import api_app

        return api_app(router for rooms in self._rooms for router in rooms())
