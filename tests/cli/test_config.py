"""`kontor config`: faults with line and mend, every setting explained from the models themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.app.listening import free_ports
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


@pytest.mark.parametrize("command", ["config check", "serve"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "urn:acme"', 'id = ""', "line {line}: `participants.acme.id`: an id has"),
        ('id = "urn:acme"', 'id = "urn:a b"', "line {line}: `participants.acme.id`: an id has"),
        ("[public]", '[store]\nurl = "mysql://x"\n[public]', "kind of store at `{path}: line {line1}: store.url`"),
        (
            "[public]",
            '[public]\ntls_certificate = "a.pem"\ntls_key = "b.pem"',
            "at `{path}: line {line1}: public.tls_certificate",
        ),
        (
            "unsafe_allow_http = true",
            "",
            "plain http: everybody on the way could read and change what peers send at `{path}: line ",
        ),
    ],
)
def test_what_keeps_a_node_from_starting_is_found_before_with_file_line_and_mend(
    run: Run, tmp_path: Path, command: str, old: str, new: str, said: str
) -> None:
    port, operator_port = free_ports(2)
    words = ("--id", "urn:acme", "--unsafe-local", "--port", port, "--operator-port", operator_port)
    run("init", "acme", *words, "--folder", tmp_path)
    path = tmp_path / "kontor.toml"
    text = path.read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    path.write_text(text.replace(old, new, 1))
    failed = run(*command.split(), "--config", path)
    assert failed.code == 1
    (told,) = [row for row in failed.err.splitlines() if row.startswith("error: ")]
    assert said.format(path=path, line=line, line1=line + 1) in told
    assert "; " in told


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
