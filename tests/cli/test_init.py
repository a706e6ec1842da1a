"""`kontor init`: good settings, private keys, nothing overwritten."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

import pytest

from connector.cli.init import did_web
from connector.settings import read
from tests.cli.conftest import Run


def test_it_writes_settings_that_read_back(run: Run, tmp_path: Path) -> None:
    made = run(
        "init", "acme", "--public-url", "https://data.acme.example/", "--title", 'A "C" M\\E', "--folder", tmp_path, "--json"
    )
    assert made.code == 0
    settings = read(tmp_path / "kontor.toml")
    assert settings.node.public_url == "https://data.acme.example"
    assert settings.participants["acme"].id == "did:web:data.acme.example:acme" == made.tree["participant"]["id"]
    assert settings.participants["acme"].title == 'A "C" M\\E'
    assert settings.unsafe() == ()


def test_the_settings_hold_the_digest_of_the_key_and_the_keys_are_private(run: Run, tmp_path: Path) -> None:
    made = run("init", "acme", "--public-url", "https://data.acme.example", "--folder", tmp_path)
    key = (tmp_path / "operator.key").read_text().strip()
    assert read(tmp_path / "kontor.toml").operator.api_keys[0].sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert key not in (tmp_path / "kontor.toml").read_text() + made.out + made.err
    assert len(base64.b64decode((tmp_path / "data" / "secrets.key").read_text())) == 32
    for name in ("operator.key", "data/secrets.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["kontor.toml", "operator.key", "data/secrets.key"])
def test_nothing_is_overwritten(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    failed = run("init", "acme", "--unsafe-local", "--folder", tmp_path)
    assert failed.code == 1
    assert failed.err.startswith(f"error: there is such a file already at `{tmp_path / name}`; ")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_bad_name_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    failed = run("init", "Acme Corp", "--unsafe-local", "--folder", tmp_path)
    assert failed.code == 1
    assert "Acme Corp" in failed.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_unsafe_is_asked_for(run: Run, tmp_path: Path) -> None:
    assert run("init", "acme", "--folder", tmp_path).code == 2
    assert run("init", "acme", "--unsafe-local", "--port", 9001, "--folder", tmp_path).code == 0
    settings = read(tmp_path / "kontor.toml")
    # the participant's did:web is one that its wallet can prove itself with: it has no IP address in it
    assert settings.node.public_url == "http://localhost:9001"
    assert settings.participants["acme"].id == "did:web:localhost%3A9001:acme"
    assert settings.unsafe() == ("outbound.unsafe_allow_http", "outbound.unsafe_allow_loopback")


@pytest.mark.parametrize(
    ("url", "did"),
    [
        ("https://acme.example", "did:web:acme.example:acme"),
        ("https://acme.example:8443", "did:web:acme.example%3A8443:acme"),
        ("https://acme.example/space/one", "did:web:acme.example:space:one:acme"),
    ],
)
def test_the_did_is_the_one_that_the_address_can_serve(url: str, did: str) -> None:
    assert did_web(url, "acme") == did
