"""Descriptions of participants for the checks: one that keeps every rule, and ways to break each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connector.describe import members, participant

WHOLE = """\
participant: "did:web:weather.example"
name: {en: Example Weather, de: Beispielwetter, zh: 天气}
legal_name: Example Weather GmbH
description: {en: "Temperature < 50, from three airports."}
identifiers: ["LEI 529900EXAMPLE00000000", "did:web:registry.example:1"]
country: DEU
contact: data@weather.example
homepage: https://weather.example/
sectors: [environment, "https://example.org/concepts/air"]
capabilities: [anonymisation]
attestations: [MembershipCredential]
"""
SERVICE = participant.Service(
    address="https://weather.example/w/dsp/2025-1", title="Weather", conforms_to=("https://w3id.org/dspace/2025/1/",),
    formats=("HttpData-PULL", "HttpData-PUSH"), profiles=("https://w3id.org/kontor/profile/tds",),
    capabilities=("usage-control",), software="kontor 1",
)  # fmt: skip


def whole() -> dict[str, Any]:
    """The description, with its service."""
    return {**participant.members(participant.read(WHOLE)), participant.SERVICE: [participant.service(SERVICE)]}


def broken() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way to break it: its name and the document."""
    dct, dcat, foaf, schema, kontor = (members.PREFIXES[name] for name in ("dct", "dcat", "foaf", "schema", "kontor"))
    for name in [name for name in whole() if not name.startswith("@")]:
        tree = whole()
        del tree[name]
        yield f"without {name}", tree
    changes: dict[str, list[Any]] = {
        f"{foaf}name": [
            "x" * 301,
            "<script>alert(1)</script>",
            {"@id": "urn:a"},
            [_en("a"), _en("b")],
            "1 < 2",
            7,
            [True, "a"],
        ],
        f"{schema}legalName": ["<b>x</b>", ["a", "b"], {"@id": "urn:a"}, "x" * 301, 1.5],
        f"{dct}description": [5, "x" * 20_001, "see <b>here</b>", {"@id": "urn:a"}],
        f"{dct}identifier": ["x" * 201, {"@id": "urn:a"}, 42],
        f"{dct}spatial": ["DEU"],
        f"{dcat}contactPoint": ["Anna"],
        f"{foaf}homepage": [{"@id": "javascript:alert(1)"}, "nowhere", "https://weather.example/"],
        f"{dcat}theme": ["weather"],
        f"{kontor}capability": ["Two Words", {"@id": "urn:a"}],
    }
    for name, values in changes.items():
        for value in values:
            yield f"{name} = {str(value)[:60]}", {**whole(), name: value}
    good = participant.service(SERVICE)
    for name, values in {
        f"{schema}url": [None, "ftp://x", {"@id": "urn:a"}],
        f"{dct}conformsTo": [None, "DSP"],
        f"{kontor}transferFormat": ["two words", "x" * 101],
        f"{kontor}policyProfile": ["tds"],
    }.items():
        for value in values:
            changed = {key: part for key, part in {**good, name: value}.items() if part is not None}
            yield f"service {name} = {str(value)[:60]}", {**whole(), participant.SERVICE: [changed]}


def _en(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "en"}
