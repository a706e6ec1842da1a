"""What an address is for, in a few words: the label `route` of the requests that are measured.

The pattern of a route tells, and there are only so many; paths never become labels, for their callers make them up.
What does not live here: the words (`measures.ROUTES`), measuring (`edge.py`).
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

_PROCESSES: Final = frozenset({"catalog", "negotiations", "transfers"})
_known: dict[str, str] = {}
"""By pattern."""


def purpose_of(scope: Scope, listener: str) -> str:
    """What the address of a request at `listener` is for, once its route was found; `none` where there is no route."""
    route = scope.get("route")
    if route is None:
        return "none"
    if listener == "signaling":
        return "planes"
    found = of_pattern(route.path)
    if found == "dsp":
        word: str = scope["path_params"]["rest"].partition("/")[0]
        return word if word in _PROCESSES else "none"
    return found


def of_pattern(pattern: str) -> str:
    """What the addresses of a route are for, by the words of its pattern; `dsp` where the rest of the address tells."""
    found = _known.get(pattern)
    if found is None:
        found = _known[pattern] = _purpose([word for word in pattern.split("/") if word and "{" not in word])
    return found


def _purpose(words: list[str]) -> str:
    match words:
        case ["api", *rest]:
            return "events" if "stream" in rest else "api"
        case ["health" | "ready" | "metrics"]:
            return "watch"
        case ["authority", *_]:
            return "authority"
        case ["catalog", *_]:
            return "ledger"
        case ["dsp", *_]:
            return "dsp"
        case [*_, "data", "pull" | "push" | "renew" as way]:
            return way
        case [".well-known", "dspace-version"]:
            return "version"
        case ["self-description"]:
            return "catalog"
        case _:
            # documents of keys, wallets, tokens
            return "identity"
