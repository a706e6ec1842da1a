"""The vocabulary that ships with the product, for every test of the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.odrl import vocabulary as words
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import folder, vocab_file


def _load(*profiles: dict[str, Any]) -> Vocabulary:
    core, base = (json.loads(vocab_file(name).read_text(encoding="utf-8")) for name in ("odrl.json", "profiles/base.json"))
    return words.load(core, base, *profiles)


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """ODRL and the base profile."""
    return _load()


@pytest.fixture(scope="session")
def everything() -> Vocabulary:
    """ODRL and all profiles that ship with the product, as a node and the command know them."""
    paths = sorted((folder("vocab") / "profiles").glob("*.json"))
    return words.load(*(json.loads(path.read_text(encoding="utf-8")) for path in (vocab_file("odrl.json"), *paths)))


@pytest.fixture(scope="session")
def widened() -> Vocabulary:
    """The same, and a small profile with the kinds of operands and actions that real profiles bring."""
    return _load(json.loads((Path(__file__).parent / "cases" / "profile.json").read_text(encoding="utf-8")))
