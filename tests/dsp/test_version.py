"""The version document is written as the schema has it and read as the field writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.dsp import version
from connector.errors import BadMessage, PeerMessage

ROOT = "https://p.example/p"
OURS = {"version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS"}


def body(*entries: Any) -> bytes:
    return json.dumps({"protocolVersions": list(entries)}).encode()


def test_our_document_is_plain_json() -> None:
    auth = version.Auth(protocol="DCP", version="1.0")
    assert json.loads(version.encode(version.ours("/dsp/2025-1", auth))) == {
        "protocolVersions": [{**OURS, "auth": {"protocol": "DCP", "version": "1.0"}}]
    }
    with pytest.raises(ValueError, match="at least one"):
        version.encode()


@pytest.mark.parametrize(
    ("root", "path", "base"),
    [
        ("https://p.example", "/dsp/2025-1", "https://p.example/dsp/2025-1"),
        ("https://p.example/", "dsp/2025-1/", "https://p.example/dsp/2025-1"),
        ("https://p.example/x", "/", "https://p.example/x"),
        ("https://p.example/x/", "", "https://p.example/x"),
    ],
)
def test_a_base_address_has_no_slash_at_its_end(root: str, path: str, base: str) -> None:
    assert version.base_address(root, body({**OURS, "path": path})) == base


# 5b row 12: auth, serviceId and identifierType may be absent; other versions stand beside ours
@pytest.mark.parametrize(
    "entry",
    [
        OURS,
        {**OURS, "binding": "https"},
        {"version": "2025-1", "path": "/dsp/2025-1"},
        {**OURS, "version": "2025/1"},
        {**OURS, "auth": None, "serviceId": None},
        {**OURS, "auth": "oauth2", "identifierType": 5, "extra": {}},
        {**OURS, "auth": {"protocol": "DCP", "version": "1.0", "profile": "one"}},
    ],
)
def test_an_entry_is_read_as_far_as_it_goes(entry: dict[str, Any]) -> None:
    others = ({"version": "v0.8", "path": "/", "binding": "HTTPS"}, 5, None, {}, {"version": "2025-1"}, {**OURS, "path": 7})
    assert version.base_address(ROOT, body(*others, entry)) == f"{ROOT}/dsp/2025-1"


def test_a_binding_that_we_do_not_know_is_passed_over() -> None:
    assert version.best(version.read(body({**OURS, "binding": "GRPC"}))) is None


def test_the_best_version_is_the_first_we_know_with_the_proof_we_have() -> None:
    dcp = {**OURS, "path": "/b", "auth": {"protocol": "DCP", "version": "1.0"}}
    found = version.read(body({**OURS, "version": "2024-1"}, {**OURS, "path": "/a"}, dcp))
    assert [
        one.path for one in (version.best(found), version.best(found, auth="DCP"), version.best(found, auth="X")) if one
    ] == ["/a", "/b", "/a"]
    best = version.best(found, known=("2026-1", "2024-1", "2025-1"))
    assert best is not None
    assert best.version == "2024-1"


def test_without_a_version_in_common_connectors_do_not_talk() -> None:
    with pytest.raises(PeerMessage, match=r'does not speak version 2025-1 but "v0.8", "2024-1"'):
        version.base_address(ROOT, body({**OURS, "version": "v0.8"}, {**OURS, "version": "2024-1"}))
    with pytest.raises(PeerMessage, match="but none"):
        version.base_address(ROOT, body())


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"protocolVersions":{}}', b"<html>", b'{"protocolVersions":null}'])
def test_what_is_no_version_document_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage):
        version.read(text)
