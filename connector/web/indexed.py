"""Which route an address has, found by its words and not by trying all routes one after the other.

A framework's router asks each route in turn, which for the operator API is a sixth of a whole answer. `Indexed` looks at the words at
a few places of an address and asks only those routes that can have them there, in their order. What is none of them, and what has
another method, is the router's matter as before. What does not live here: the routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

_ANY = "{"
"""Begins a part of a path that stands for many words."""


class Indexed:
    """An application that finds the routes of `otherwise` sooner than that does itself."""

    def __init__(self, routes: Iterable[BaseRoute], places: Sequence[int], otherwise: ASGIApp) -> None:
        """`places` are those of the words to look at: of `/a/b` they are 1 and 2."""
        self._routes = tuple(routes)
        self._places = tuple(places)
        self._last = self._places[-1]
        self._otherwise = otherwise
        self._known = tuple(frozenset(_word(route, place) for route in self._routes) - {None} for place in self._places)
        """The words that stand at each place of some route."""
        self._likely: dict[tuple[str | None, ...], tuple[BaseRoute, ...]] = {}
        """By the words of an address at the places, None for one that is not known: there are only so many."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            for route in self.likely(scope["path"]):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope["route"] = route
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)

    def likely(self, path: str) -> tuple[BaseRoute, ...]:
        """The routes that can be meant by `path`, in their order."""
        words = path.split("/", self._last + 1)
        count = len(words)
        key = tuple([words[place] if place < count else None for place in self._places])
        found = self._likely.get(key)
        if found is None:
            # what a stranger makes up is not remembered
            key = tuple(word if word in known else None for word, known in zip(key, self._known, strict=True))
            found = self._likely.get(key)
        if found is None:
            found = self._likely[key] = tuple(route for route in self._routes if self._fits(route, key))
        return found

    def _fits(self, route: BaseRoute, key: tuple[str | None, ...]) -> bool:
        return all((own := _word(route, place)) is None or own == word for place, word in zip(self._places, key, strict=True))


def _word(route: BaseRoute, place: int) -> str | None:
    """The word that every path of `route` has at `place`; None where they may have any, or none."""
    words = str(getattr(route, "path", "")).split("/")
    if place >= len(words) or any(":path}" in word for word in words[:place]):
        return None
    return None if _ANY in words[place] else words[place]
