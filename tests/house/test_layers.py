"""Imports go strictly down. This table is the house; whoever wants a new room gives it a floor here first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import CONNECTOR, files, imports, module_name, room, shown

# from the ground up; rooms on one floor are sealed from each other, but for the floors in _ORDERED
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "observe", "measures", "tracing"),
    ("strict", "packaged", "settings", "plugins", "jose", "jsonld", "rdf", "outbound"),
    ("odrl",),
    ("dsp",),
    ("dps",),
    ("ports", "api", "describe"),
    ("controlplane", "storage", "identity", "dataplane", "signaling", "federation", "evidence", "metering", "compute"),
    ("web",),
    ("app", "client"),
    ("cli", "testing"),
)
_ORDERED = {1}  # a list: each room may import those to its left
_NARROWED = {"client": {"api", "errors"}}  # rooms that may touch less than their floor lets them

_PLACE = {name: (floor, place) for floor, rooms in enumerate(FLOORS) for place, name in enumerate(rooms)}


def may_import(source: str, target: str) -> bool:
    """Whether the room `source` may import the room `target`. The package itself (`""`) holds the version: all may read it."""
    if target in ("", source):
        return True
    if source == "" or target not in _NARROWED.get(source, {target}):
        return False
    (floor, place), (target_floor, target_place) = _PLACE[source], _PLACE[target]
    return target_floor < floor or (target_floor == floor and floor in _ORDERED and target_place < place)


def upward(folder: Path) -> Iterator[str]:
    """Each import in the package `folder` that does not go down."""
    rooms = {room(module_name(path, folder)) for path in files(folder)}
    for path in files(folder):
        source = room(module_name(path, folder))
        for found in imports(path):
            if found.module.partition(".")[0] != folder.name:
                continue
            target = room(found.whole)
            # `from connector import __version__` takes a name of the package itself
            target = target if target in rooms or target in _PLACE else ""
            if not may_import(source, target):
                yield f"{shown(path, found.line)}: `{source}` imports `{target}`"


def circles(folder: Path) -> Iterator[str]:
    """Each way through the files of the package `folder` that comes back to where it began."""
    names = {module_name(path, folder): path for path in files(folder)}
    edges: dict[str, list[str]] = {}
    for name, path in names.items():
        targets = (found.whole if found.whole in names else found.module for found in imports(path))
        edges[name] = sorted({target for target in targets if target in names})
    finished: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> Iterator[str]:
        if name in way:
            yield " -> ".join((*way[way.index(name) :], name))
        elif name not in finished:
            for target in edges[name]:
                yield from walk(target, (*way, name))
            finished.add(name)

    for name in names:
        yield from walk(name, ())


def test_every_room_has_a_floor() -> None:
    rooms = {room(module_name(path)) for path in files()} - {""}
    assert rooms - set(_PLACE) == set(), "give the new room a floor in this file"


def test_imports_go_strictly_down() -> None:
    assert list(upward(CONNECTOR)) == []


def test_there_are_no_circles_not_even_for_typing() -> None:
    assert list(circles(CONNECTOR)) == []


@pytest.mark.parametrize(
    ("source", "target", "may"),
    [
        ("cli", "app", True),
        ("web", "controlplane", True),
        ("odrl", "outbound", True),
        ("outbound", "settings", True),
        ("settings", "outbound", False),
        ("dsp", "ports", False),
        ("storage", "controlplane", False),
        ("api", "ports", False),
        ("cli", "testing", False),
        ("client", "api", True),
        ("client", "dsp", False),
        ("errors", "observe", False),
        ("storage", "", True),
    ],
)
def test_the_rule_reads_the_table(source: str, target: str, may: bool) -> None:
    assert may_import(source, target) is may


def test_an_import_upward_or_in_a_circle_is_found_wherever_it_hides(tmp_path: Path) -> None:
    house = tmp_path / "connector"
    for name, text in {
        "__init__.py": "__version__ = '1'",
        "errors.py": "from connector import __version__",
        "dsp/__init__.py": "",
        "dsp/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from connector.dsp.b import B",
        "dsp/b.py": "def f():\n    from connector.dsp import a\n    import importlib\n    importlib.import_module('connector.web.x')",
        "web/x.py": "import connector.dsp.a",
    }.items():
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text(text)
    assert [line.partition(": ")[2] for line in upward(house)] == ["`dsp` imports `web`"]
    assert "connector.dsp.a -> connector.dsp.b -> connector.dsp.a" in list(circles(house))
