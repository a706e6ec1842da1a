"""`kontor config`: faults with line and mend, every setting explained from the models themselves."""

from __future__ import annotations

from pathlib import Path

from connector.settings import Settings, read
from tests.cli.conftest import Run


def test_a_good_file_is_called_good_and_what_is_unsafe_is_named(run: Run, tmp_path: Path) -> None:
    run("init", "acme", "--unsafe-local", "--folder", tmp_path)
    checked = run("config", "check", "--config", tmp_path / "kontor.toml")
    assert checked.code == 0
    assert "`acme`" in checked.out
    assert "warning: `outbound.unsafe_allow_http` weakens a check" in checked.err
    tree = run("config", "check", "--config", tmp_path / "kontor.toml", "--json").tree
    assert tree["unsafe"] == ["outbound.unsafe_allow_http", "outbound.unsafe_allow_loopback"]


def test_a_fault_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kontor.toml"
    path.write_text('[node]\npublic_url = "https://a.example"\n\n[outbound]\nconnect_timeout = 5\n')
    checked = run("config", "check", "--config", path)
    assert checked.code == 1
    assert checked.err.startswith("error: line 5: `outbound.connect_timeout`: unknown setting")


def test_files_are_found_beside_the_configuration_and_secrets_are_not_shown(run: Run, tmp_path: Path) -> None:
    run("init", "acme", "--unsafe-local", "--folder", tmp_path)
    path = tmp_path / "kontor.toml"
    (tmp_path / "token").write_text("Bearer word\n")
    peer = '\n[[participants.acme.unsafe_static_tokens]]\nid = "urn:p"\ntheirs = { file = "token" }\n'
    path.write_text('secrets_key = { file = "data/secrets.key" }\n' + path.read_text() + peer)
    settings = read(path)
    assert settings.participants["acme"].unsafe_static_tokens[0].theirs == "Bearer word"
    assert settings.secrets_key is not None
    assert "word" not in repr(settings)
    assert settings.secrets_key not in repr(settings)


def test_every_setting_is_explained(run: Run) -> None:
    rows = run("config", "explain", "--json").tree
    names = [row["setting"] for row in rows]
    assert len(names) == len(set(names))
    assert {name.partition(".")[0].partition("[")[0] for name in names} == set(Settings.model_fields)
    assert all(row["text"] and row["type"] and row["default"] for row in rows)
    assert "participants.NAME.unsafe_static_tokens[].theirs" in names


def test_units_and_defaults_are_told(run: Run) -> None:
    (row,) = run("config", "explain", "outbound.connect_timeout_s", "--json").tree
    assert (row["type"], row["unit"], row["default"]) == ("number", "seconds", "default 5")
    (row,) = run("config", "explain", "data.max_push_bytes", "--json").tree
    assert row["unit"] == "bytes"
    (row,) = run("config", "explain", "node.public_url", "--json").tree
    assert row["default"] == "required"
    shown = run("config", "explain", "delivery")
    assert shown.out.count("delivery.") == len(run("config", "explain", "delivery", "--json").tree)


def test_an_unknown_setting_is_wrong_usage(run: Run) -> None:
    assert run("config", "explain", "no.such").code == 2
    assert run("config", "explain", "out").code == 2
