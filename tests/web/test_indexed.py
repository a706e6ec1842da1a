"""Routes found by the words of an address: the same ones, whatever is asked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from connector.web.indexed import Indexed

PATHS = (
    "/",
    "/catalog/data/{pid}",
    "/{participant}/dsp/2025-1/{rest:path}",
    "/{participant}/data/{pid}",
    "/{participant}/data/{pid}/{path:path}",
    "/{participant}/did.json",
    "/{participant}/{what}.json",
    "/open/{rest:path}",
    "/open/data/never-reached",
    "/{participant}/{a}/x/{b}",
    "/{participant}/{number:int}/x",
)
WORDS = ("", "open", "a.json", "catalog", "data", "dsp", "2025-1", "did.json", "x", "7", "a\n")
Found = tuple[str, dict[str, Any]]
"""The pattern of a route, and what it has found."""


def _noted(at: list[Found], path: str) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        at.append((path, dict(scope["path_params"])))

    class Door:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

    return Door()


@pytest.mark.parametrize(("places", "methods"), [((2,), ["GET"]), ((1, 3), ["GET"]), ((2,), None)])
async def test_every_address_leads_to_the_route_that_the_router_finds(
    places: tuple[int, ...], methods: list[str] | None
) -> None:
    at: list[Found] = []
    routes = [Route(path, _noted(at, path), methods=methods) for path in PATHS]

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        at.append(("nowhere", {}))

    router = Router(routes=routes, redirect_slashes=False, default=nowhere)
    indexed = Indexed(routes, places, router)
    reached = set()
    for length in range(1, 5):
        for words in itertools.product(WORDS if length < 4 else WORDS[1:6:2] + WORDS[4:], repeat=length):
            path = "/" + "/".join(words)
            scope = {"type": "http", "method": "GET", "path": path, "headers": []}
            for app in (router, indexed):
                await app({**scope}, None, None)  # type: ignore[arg-type]
            assert at[-1] == at[-2], path
            reached.add(at[-1][0])
            likely = indexed.likely(path)
            assert all(route in likely for route in routes if route.matches({**scope})[0] is not Match.NONE), path
    assert reached == {*PATHS, "nowhere"} - {"/open/data/never-reached"}


async def test_it_remembers_no_words_that_a_stranger_makes_up() -> None:
    indexed = Indexed([Route("/{participant}/data/{pid}", _noted([], "data"))], (2,), _noted([], "otherwise"))
    for number in range(1000):
        assert indexed.likely(f"/one/{number}/x") == ()
    assert len(indexed._likely) == 1
