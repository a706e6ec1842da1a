"""The public listener: what peers reach. The protocol, the version document, and the data plane's addresses."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.errors import NotFound
from connector.web.edge import Bounded, Observed
from connector.web.indexed import Indexed


def public_app(routes: Iterable[BaseRoute], *, most: int) -> ASGIApp:
    """The application of the public listener over the routes of its rooms; `most` requests may wait for their answer at once."""
    every = list(routes)
    router = Router(routes=every, redirect_slashes=False, default=_nowhere)
    # `/{participant}/dsp/...`, `/{participant}/data/...`: the second word tells them apart
    return Observed(Bounded(Indexed(every, (2,), router), most), "public")


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is no such address", where=scope["path"], mend="see the node's version document")
