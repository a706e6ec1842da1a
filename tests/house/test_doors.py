"""What comes from outside comes in through one door: addresses by `outbound/`, tokens by `jose`, JSON by `strict`, XML by none.

Endpoints that the operator configures (database, object store, the operator's own node) are the listed exceptions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import CONNECTOR, ROOT, files, imports, nodes, shown

# --- addresses

# libraries and modules that open connections
_NETWORK = frozenset({
    "socket", "http.client", "urllib.request", "ftplib", "smtplib", "telnetlib", "xmlrpc", "socketserver",
    "httpx", "aiohttp", "requests", "urllib3", "asyncpg", "obstore", "nats", "hvac",
})  # fmt: skip
_NETWORK_CALLS = frozenset({
    "open_connection", "create_connection", "open_unix_connection", "create_unix_connection", "getaddrinfo", "urlopen", "urlretrieve",
})  # fmt: skip

NETWORK_DOORS: dict[str, str] = {
    "outbound/": "the one way out: every address that a peer names is vetted there",
    "client/client": "the operator's client, to the operator's own node",
    "storage/postgres/": "the operator's database",
    "dataplane/jetstream": "the operator's event servers, and at judged addresses those of peers that an allow list names",
    "dataplane/objects": "the operator's object stores, and those of peers that `data.allowed_object_endpoints` lists",
    "identity/vault": "the operator's Vault",
    "app/listening": "our own listening sockets",
    "dataplane/channel": "sockets without a name, between processes of one node",
    "cli/probe": "the health check of a container, to its own node",
}

# --- tokens

_TOKENS = frozenset({"jwt", "joserfc", "jose", "jwcrypto", "authlib.jose"})
TOKEN_DOORS: dict[str, str] = {"jose": "the one judge of tokens"}

# --- JSON

_JSON_CALLS = frozenset({"loads", "load", "raw_decode", "model_validate_json", "validate_json"})
_DECODERS = ("msgspec.json.decode", "msgspec.json.Decoder")

JSON_DOORS: dict[str, str] = {
    "strict": "the one strict scan",
    "app/parts": "vocabularies that ship with the product",
    "describe/check": "rules that ship with the product",
    "jsonld": "contexts that ship with the product",
    "rdf/reading": "policy and description files of the operator",
    "cli/texts": "files of the operator",
    "describe/table": "data files of the operator",
    "odrl/wire": "texts that the decoder itself wrote",
    "odrl/yamlwrite": "texts that the decoder itself wrote",
    "odrl/tds/writing": "texts that the decoder itself wrote",
    "odrl/yamlline": "one quoted text in a line of the operator's file",
    "odrl/yamltree": "one word of the operator's file",
    "dsp/process": "states that this product wrote",
    "storage/archive": "archives of the operator, whose digest is checked first",
    "storage/codec": "rows that this product wrote",
    "storage/postgres/reads": "rows that this product wrote",
    "storage/sqlite/reads": "rows that this product wrote",
    "storage/catalog/rows": "rows that this product wrote",
    "federation/reading": "descriptions that this product wrote into its record",
    "federation/tantivy_index": "a file that this product wrote",
    "federation/sparql_child": "lines of the process that started it",
    "dataplane/manifests": "files that this product wrote",
    "dataplane/inbox": "files that this product wrote",
    "client/client": "answers of the operator's own node",
    "client/calls": "answers of the operator's own node",
}

# --- XML

_XML = frozenset({"xml", "lxml", "defusedxml", "xmltodict", "expat", "bs4", "html5lib", "pyexpat", "xmlrpc"})
# what libraries that read more than one notation call this one, and those that are made of it or guess
_XML_NOTATIONS = frozenset(
    {"xml", "application/rdf+xml", "trix", "application/trix", "rdfa", "html", "RDF_XML", "guess_format"}
)


def _name(path: Path) -> str:
    return path.relative_to(CONNECTOR).with_suffix("").as_posix() if path.is_relative_to(CONNECTOR) else path.stem


def _is_door(path: Path, doors: dict[str, str]) -> bool:
    name = _name(path)
    return any(name == door or (door.endswith("/") and name.startswith(door)) for door in doors)


def _begins(module: str, names: frozenset[str]) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:length]) in names for length in range(1, len(parts) + 1))


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=inner, attr=name):
            return f"{_dotted(inner)}.{name}"
    return ""


def network(path: Path) -> Iterator[str]:
    """Each line of a file that could open a connection."""
    for found in imports(path):
        if _begins(found.whole, _NETWORK):
            yield f"{shown(path, found.line)}: imports `{found.whole}`"
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _NETWORK_CALLS:
            yield f"{shown(path, node.lineno)}: calls `{node.func.attr}`"


def tokens(path: Path) -> Iterator[str]:
    """Each line of a file that could read a token by itself."""
    for found in imports(path):
        if _begins(found.whole, _TOKENS):
            yield f"{shown(path, found.line)}: imports `{found.whole}`"


def json(path: Path) -> Iterator[str]:
    """Each line of a file that reads JSON without the strict scan."""
    for node in nodes(path):
        if isinstance(node, ast.Attribute):
            whole = _dotted(node)
            library, _, last = whole.rpartition(".")
            if whole in _DECODERS or (last in _JSON_CALLS and (library in ("json", "orjson") or last.endswith("_json"))):
                yield f"{shown(path, node.lineno)}: reads JSON with `{whole}`"
    for found in imports(path):
        if found.module in ("json", "orjson") and found.name in _JSON_CALLS:
            yield f"{shown(path, found.line)}: imports `{found.whole}`"


def xml(path: Path) -> Iterator[str]:
    """Each line of a file that imports a parser of XML, or has a library read it."""
    for found in imports(path):
        if _begins(found.whole, _XML):
            yield f"{shown(path, found.line)}: imports `{found.whole}`"
    for node in nodes(path):
        named = (
            node.arg == "format" and isinstance(node.value, ast.Constant) and node.value.value
            if isinstance(node, ast.keyword)
            else None
        )
        named = node.attr if isinstance(node, ast.Attribute) else named
        if named in _XML_NOTATIONS:
            yield f"{shown(path, node.value.lineno)}: reads `{named}`"


def test_every_address_goes_out_through_one_door() -> None:
    assert [line for path in files() if not _is_door(path, NETWORK_DOORS) for line in network(path)] == []


def test_tokens_are_read_in_one_place() -> None:
    assert [line for path in files() if not _is_door(path, TOKEN_DOORS) for line in tokens(path)] == []


def test_json_from_outside_passes_one_scan() -> None:
    assert [line for path in files() if not _is_door(path, JSON_DOORS) for line in json(path)] == []


def test_nothing_here_parses_xml() -> None:
    # the official kits write their reports as JUnit does
    reports = ROOT / "tests" / "conformance"
    looked = [path for folder in (CONNECTOR, ROOT / "tests") for path in files(folder) if not path.is_relative_to(reports)]
    assert [line for path in looked for line in xml(path)] == []


def undescribed(path: Path) -> Iterator[str]:
    """Each line of a file that gives the operator API an address which its description lacks."""
    for node in nodes(path):
        if isinstance(node, ast.keyword) and node.arg == "include_in_schema":
            yield f"{shown(path, node.value.lineno)}: leaves an address out of the description"
        if isinstance(node, ast.Attribute) and node.attr in (
            "mount",
            "add_route",
            "add_api_route",
            "websocket",
            "add_api_websocket_route",
        ):
            yield f"{shown(path, node.lineno)}: calls `{node.attr}`"


def test_no_address_of_the_operators_is_left_undescribed() -> None:
    # who looks whether one participant reaches another finds the addresses there
    assert [line for path in files(CONNECTOR / "web" / "operator") for line in undescribed(path)] == []


@pytest.mark.parametrize(
    ("doors", "look"), [(NETWORK_DOORS, network), (TOKEN_DOORS, tokens), (JSON_DOORS, json)], ids=["network", "tokens", "json"]
)
def test_each_listed_door_is_one(doors: dict[str, str], look: object) -> None:
    assert callable(look)
    for door, reason in doors.items():
        here = [path for path in files() if _is_door(path, {door: reason})]
        assert any(list(look(path)) for path in here), f"`{door}` is no door any more; take it off the list"


@pytest.mark.parametrize(
    ("look", "text"),
    [
        (network, "import urllib.request"),
        (network, "def f():\n    import aiohttp"),
        (network, "async def f(loop):\n    await loop.create_connection(None, 'x', 1)"),
        (tokens, "import jwt"),
        (tokens, "from authlib.jose import jwt"),
        (json, "import json\nx = json.loads('1')"),
        (json, "from orjson import loads"),
        (json, "import msgspec\nd = msgspec.json.Decoder(int)"),
        (json, "from x import M\nM.model_validate_json(b'')"),
        (xml, "import xml.etree.ElementTree as E"),
        (xml, "from lxml import etree"),
        (xml, "import importlib\nE = importlib.import_module('xml.sax')"),
        (undescribed, "router.get('/x', include_in_schema=False)"),
        (undescribed, "router.mount('/x', app)"),
        (xml, "g.parse(data=x, format='xml')"),
        (xml, "from pyoxigraph import RdfFormat\ns.load(x, RdfFormat.RDF_XML)"),
    ],
)
def test_a_second_door_is_found(look: object, text: str, tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text(text)
    assert callable(look)
    assert len(list(look(path))) == 1
