"""The official schemas and contexts of the Dataspace Protocol, as its own readme says they are to be used."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from connector import jsonld

Json = dict[str, Any]


@functools.cache
def _schemas(folder: pathlib.Path) -> dict[str, Json]:
    # fault 1 of the readme: references without the slash
    texts = {path.stem.removesuffix("-schema"): path.read_text() for path in sorted((folder / "dsp/schema").glob("*.json"))}
    return {name: json.loads(text.replace("#definitions/", "#/definitions/")) for name, text in texts.items()}


@functools.cache
def _validator(folder: pathlib.Path, name: str) -> Any:
    schemas = _schemas(folder)
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in schemas.values()])
    return jsonschema_rs.validator_for(schemas[name], registry=registry)


@functools.cache
def _contexts(folder: pathlib.Path) -> dict[str, Json]:
    files = {
        jsonld.DSP_CONTEXT: "dsp/context/context.jsonld",
        jsonld.DSP_ODRL_CONTEXT: "dsp/context/odrl-profile.jsonld",
        jsonld.ODRL_CONTEXT: "odrl/odrl.jsonld",
    }
    contexts = {url: json.loads((folder / name).read_text()) for url, name in files.items()}
    # the processor merges importing contexts into the one imported, for good: so the imports are resolved here
    for term in contexts[jsonld.DSP_CONTEXT]["@context"].values():
        if isinstance(term, dict) and "@import" in term.get("@context", {}):
            url = term["@context"].pop("@import")
            term["@context"] = {**contexts[url]["@context"], **term["@context"]}
    return contexts


@pytest.fixture
def schema_errors(official: pathlib.Path) -> Callable[[str, Any], list[str]]:
    """What the official schema `name` (such as `catalog`) finds wrong with a document."""
    return lambda name, document: [error.message for error in _validator(official, name).iter_errors(document)]


@pytest.fixture
def official_contexts(official: pathlib.Path) -> dict[str, Json]:
    """The official contexts, by URL."""
    return _contexts(official)


@pytest.fixture
def examples(official: pathlib.Path) -> dict[str, bytes]:
    """Every official example, by name."""
    return {path.stem: path.read_bytes() for path in sorted((official / "dsp/example").glob("*.json"))}


@pytest.fixture
def recordings(official: pathlib.Path) -> dict[str, Json]:
    """Every recorded exchange with a real EDC over the protocol, by folder and name."""
    folders = ("edc-0.15.1-push", "edc-0.14.0-pull")
    paths = [path for name in folders for path in sorted((official / "edc-wire" / name).glob("*.json"))]
    return {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in paths}
