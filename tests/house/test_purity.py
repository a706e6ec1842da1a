"""The pure rooms decide and do nothing else: no waiting, network, files, clock, randomness, logging."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import CONNECTOR, files, imports, nodes, shown

PURE = (
    "odrl",
    "dsp",
    "dps",
    *(
        f"identity/{name}.py"
        for name in (
            "credentials",
            "formats",
            "status",
            "scopes",
            "did",
            "profiles",
            "tokens",
            "presenting",
            "messages",
            "trustlists",
        )
    ),
    *(f"identity/authority/{name}.py" for name in ("members", "kinds", "issuing", "messages", "applications", "space")),
)

# modules whose only use is what a pure room must not do; the rooms of ours that do it stand here too
_BANNED = frozenset({
    "asyncio", "anyio", "concurrent", "threading", "multiprocessing", "subprocess", "signal", "select", "selectors",
    "socket", "ssl", "http", "urllib.request", "httpx", "aiohttp", "requests",
    "io", "os", "pathlib", "shutil", "tempfile", "glob", "fileinput", "sqlite3", "mmap",
    "time", "sched", "random", "uuid", "secrets",
    "logging", "warnings", "prometheus_client", "opentelemetry", "rich",
    "connector.observe", "connector.packaged", "connector.settings", "connector.plugins", "connector.outbound",
})  # fmt: skip
_CLOCK = frozenset({"now", "utcnow", "today"})
_CALLS = frozenset({"open", "print", "input", "breakpoint"})


def impure(path: Path) -> Iterator[str]:
    """Each line of a file that a pure room must not have, with the reason."""
    for found in imports(path):
        parts = found.whole.split(".")
        if any(".".join(parts[:length]) in _BANNED for length in range(1, len(parts) + 1)):
            yield f"{shown(path, found.line)}: imports `{found.whole}`"
    for node in nodes(path):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{shown(path, node.lineno)}: waits"
            case ast.Attribute(value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"), attr=name) if (
                name in _CLOCK
            ):
                yield f"{shown(path, node.lineno)}: reads the clock with `{name}`"
            case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
                yield f"{shown(path, node.lineno)}: calls `{name}`"


def pure_files() -> list[Path]:
    """The files of the pure rooms that exist."""
    places = [CONNECTOR / name for name in PURE]
    return [path for place in places for path in (files(place) if place.is_dir() else [place] if place.is_file() else [])]


def test_the_pure_rooms_only_decide() -> None:
    assert [line for path in pure_files() for line in impure(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "def f():\n    from uuid import uuid4",
        "import urllib.request",
        "from urllib import request",
        "from connector import observe",
        "import datetime\nNOW = datetime.datetime.now()",
        "from datetime import date\nTODAY = date.today",
        "async def f() -> None: ...",
        "open('file')",
    ],
)
def test_what_a_pure_room_must_not_have_is_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text(text)
    assert len(list(impure(path))) == 1


def test_what_a_pure_room_may_have_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text("from datetime import datetime, time\nfrom urllib.parse import urlsplit\nfrom connector import jsonld\n")
    assert list(impure(path)) == []
