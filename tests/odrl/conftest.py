"""The vocabulary that ships with the product, for every test of the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.odrl import vocabulary as words
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import vocab_file

_CATENA: dict[str, Any] = {
    "profiles": ["https://example.org/profile/test"],
    "operands": {
        "https://w3id.org/catenax/2025/9/policy/Membership": {
            "aliases": ["Membership", "cx-policy:Membership"],
            "value": "string",
            "values": ["active"],
            "closed": True,
            "operators": ["eq"],
            "source": ["claim:membership"],
            "stages": ["catalog", "negotiate", "transfer", "request"],
        },
        "https://w3id.org/catenax/2025/9/policy/Warranty": {
            "aliases": ["Warranty"],
            "value": "string",
            "operators": ["eq"],
            "source": ["request"],
            "stages": ["after"],
            "legal_only": True,
        },
        "https://example.org/certifiedUntil": {
            "value": "dateTime",
            "operators": ["eq", "lt", "lteq", "gt", "gteq"],
            "source": ["claim:certifiedUntil"],
            "stages": ["negotiate", "transfer", "request"],
        },
        "https://example.org/flag": {
            "value": "boolean",
            "operators": ["eq", "neq"],
            "source": ["claim:flag"],
            "stages": ["request"],
        },
    },
    "actions": {
        "https://example.org/access": {"in": ["use"]},
        "https://example.org/train": {"in": ["use"], "implies": ["reproduce"]},
    },
}


def _load(*profiles: dict[str, Any]) -> Vocabulary:
    core, base = (json.loads(vocab_file(name).read_text(encoding="utf-8")) for name in ("odrl.json", "profiles/base.json"))
    return words.load(core, base, *profiles)


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """ODRL and the base profile."""
    return _load()


@pytest.fixture(scope="session")
def widened() -> Vocabulary:
    """The same, and a small profile with the kinds of operands and actions that real profiles bring."""
    return _load(_CATENA)
