"""Which route an address has, found by its words and not by trying all routes one after the other.

A framework's router asks each route in turn, which for the operator API is a sixth of a whole answer. `Indexed` looks at the words at
a few places of an address and asks only those routes that can have them there, in their order. What is none of them, and what has
another method, is the router's matter as before. What does not live here: the routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

_ANY = "{"
"""Begins a part of a path that stands for many words."""
_WORD: Final = re.compile(r"\{\w+\}")
_REST: Final = re.compile(r"\{(\w+):path\}")


class Indexed:
    """An application that finds the routes of `otherwise` sooner than that does itself."""

    def __init__(self, routes: Iterable[BaseRoute], places: Sequence[int], otherwise: ASGIApp) -> None:
        """`places` are those of the words to look at: of `/a/b` they are 1 and 2."""
        self._routes = tuple(routes)
        self._places = tuple(places)
        self._last = self._places[-1]
        self._otherwise = otherwise
        self._plain = {id(route): found for route in self._routes if (found := _plain(route)) is not None}
        self._known = tuple(frozenset(_word(route, place) for route in self._routes) - {None} for place in self._places)
        """The words that stand at each place of some route."""
        self._likely: dict[tuple[str | None, ...], tuple[BaseRoute, ...]] = {}
        """By the words of an address at the places, None for one that is not known: there are only so many."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            for route in self.likely(scope["path"]):
                plain = self._plain.get(id(route))
                if plain is not None and scope["path"].isprintable():
                    params = plain.params(scope["path"])
                    if params is not None:
                        scope["route"], scope["endpoint"], scope["path_params"] = route, plain.app, params
                        await plain.app(scope, receive, send)
                        return
                    continue
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope["route"] = route
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)

    def plain(self, path: str) -> Place | None:
        """The route of all methods that `path` means; None where it means none, or that takes a closer look."""
        for route in self.likely(path) if path.isprintable() else ():
            plain = self._plain.get(id(route))
            if plain is None:
                return None
            params = plain.params(path)
            if params is not None:
                return Place(route, plain.app, params)
        return None

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


class Place(NamedTuple):
    """What an address means."""

    route: BaseRoute
    app: ASGIApp
    params: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """A route for all methods whose words are each a given one or any one; the last may stand for all that follow."""

    app: ASGIApp
    given: tuple[tuple[int, str], ...]
    any: tuple[tuple[int, str], ...]
    count: int
    rest: str | None

    def params(self, path: str) -> dict[str, str] | None:
        """What the route finds in `path`, as the router's pattern does; None where it is not meant."""
        words = path.split("/", self.count)
        if self.rest is None:
            if len(words) != self.count:
                return None
        elif len(words) < self.count:
            return None
        for place, word in self.given:
            if words[place] != word:
                return None
        found = {}
        for place, name in self.any:
            if not words[place]:
                return None
            found[name] = words[place]
        if self.rest is not None:
            found[self.rest] = "/".join(words[self.count - 1 :])
        return found


def _plain(route: BaseRoute) -> _Plain | None:
    """`route` as a plain one, if it is."""
    if not isinstance(route, Route) or route.methods is not None:
        return None
    words = route.path.split("/")
    last = _REST.fullmatch(words[-1])
    own = words[:-1] if last else words
    if not all(_WORD.fullmatch(word) or _ANY not in word for word in own):
        return None
    return _Plain(
        app=route.app,
        given=tuple((place, word) for place, word in enumerate(own) if _ANY not in word),
        any=tuple((place, word[1:-1]) for place, word in enumerate(own) if _ANY in word),
        count=len(words),
        rest=last[1] if last else None,
    )


def _word(route: BaseRoute, place: int) -> str | None:
    """The word that every path of `route` has at `place`; None where they may have any, or none."""
    words = str(getattr(route, "path", "")).split("/")
    if place >= len(words) or any(":path}" in word for word in words[:place]):
        return None
    return None if _ANY in words[place] else words[place]
