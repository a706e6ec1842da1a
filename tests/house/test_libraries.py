"""Each third-party library has its rooms. A second door needs a reason in the docstring of the module that opens it, and a line here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import CONNECTOR, files, imports, module_name, room, shown

_ANY = ("*",)

# import name -> the rooms that may import it; `room/file` opens a door for one file only
ROOMS: dict[str, tuple[str, ...]] = {
    # frameworks
    "fastapi": ("web", "app"),  # the composition root names the type of a router
    "starlette": ("web", "app"),
    "uvicorn": ("app",),
    "uvloop": ("app",),
    "pydantic": ("api", "settings", "client", "controlplane/shelving", "cli/config"),  # who reads or shows the models
    "msgspec": ("dsp", "storage"),
    "jinja2": ("web",),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli",),
    # the network: outbound is the one door; the operator's client talks to the operator's own node
    "httpx": ("outbound", "client"),
    "httptools": ("outbound",),
    "certifi": ("outbound",),
    # tokens and keys
    # secrets are sealed, our own files of TLS read, documents proven that are no tokens
    "cryptography": ("jose", "controlplane/secrets", "outbound/certificates", "identity/proofs", "dataplane/nkeys"),
    "jwt": ("jose",),
    "joserfc": ("jose",),
    "authlib": ("identity",),
    "hvac": ("identity",),
    "requests": ("identity/vault",),  # what hvac raises
    # meaning
    "pyld": ("jsonld",),
    "rdflib": ("rdf",),
    "pyshacl": ("rdf",),
    "pyoxigraph": ("rdf", "federation/sparql", "federation/sparql_child"),
    "jsonschema_rs": ("federation", "identity/schemas"),
    "yaml": ("odrl", "describe", "cli", "identity/framework_file"),  # trust frameworks are no policies, and need lines
    "pyarrow": ("describe",),
    # data and state
    "sqlite3": ("storage",),
    "asyncpg": ("storage",),
    "obstore": ("dataplane",),
    "nats": ("dataplane",),
    "tantivy": ("federation",),
    "orjson": _ANY,
    # watching
    "prometheus_client": ("observe", "web"),
    "opentelemetry": ("tracing",),
    # the test kit for integrators
    "pytest": ("testing",),
    "hypothesis": ("testing",),
}


def strangers(folder: Path) -> Iterator[str]:
    """Each import in the package `folder` of a library that does not belong in the room, or in no room at all."""
    for path in files(folder):
        here = room(module_name(path, folder))
        for found in imports(path):
            library = found.module.partition(".")[0]
            if library == folder.name or library == "__future__":
                continue
            rooms = ROOMS.get(library, _ANY if library in sys.stdlib_module_names else ())
            if rooms != _ANY and not {here, f"{here}/{path.stem}"} & set(rooms):
                yield f"{shown(path, found.line)}: `{library}` belongs in {', '.join(rooms) or 'no room; give it one in this file'}"


def test_each_library_stays_in_its_rooms() -> None:
    assert list(strangers(CONNECTOR)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import httpx", ["`httpx` belongs in outbound, client"]),
        ("def f():\n    from sqlite3 import connect", ["`sqlite3` belongs in storage"]),
        ("import unheard_of", ["`unheard_of` belongs in no room; give it one in this file"]),
        ("import json, orjson", []),
    ],
)
def test_a_library_in_the_wrong_room_is_found(text: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "connector" / "web").mkdir(parents=True)
    (tmp_path / "connector" / "web" / "a.py").write_text(text)
    assert [line.partition(": ")[2] for line in strangers(tmp_path / "connector")] == found
