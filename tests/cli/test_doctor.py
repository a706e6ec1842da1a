"""`kontor doctor`: what is not well, with how to mend it, on paper and as JSON; the exit code tells whether something is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from connector.app.listening import free_ports
from tests.cli.conftest import Nodes, Run, Space


def test_a_node_that_is_well_is_said_to_be(run: Run, space: Space) -> None:
    found = run("doctor", "--json", *space.provider.options)
    assert found.code == 0, found.out
    tree = found.tree
    assert tree["errors"] == 0
    checks = {one["check"] for one in tree["findings"]}
    assert {"settings", "store", "disk", "unsafe", "version", "callback", "clock"} <= checks
    unsafe = {one["where"] for one in tree["findings"] if one["check"] == "unsafe"}
    assert "outbound.unsafe_allow_http" in unsafe
    shown = run("doctor", *space.provider.options).out.splitlines()
    assert any(line.startswith("warning  unsafe") for line in shown)
    assert any("mend: take it out" in line for line in shown)


def test_a_peer_is_looked_at_too(run: Run, space: Space) -> None:
    found = run("doctor", "--json", "--peer", space.consumer.address, *space.provider.options).tree
    assert any(one["check"] == "version" and "/consumer/" in one["where"] for one in found["findings"])
    nobody = run("doctor", "--json", "--peer", "http://127.0.0.1:1/x/dsp/2025-1", *space.provider.options)
    assert nobody.code == 1
    assert {one["check"] for one in nobody.tree["findings"] if one["state"] == "error"} == {"version", "callback"}


def test_a_node_that_does_not_run_is_said_with_what_to_do(run: Run, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    run("init", "acme", "--unsafe-local", "--operator-port", port, "--folder", tmp_path)
    found = run("doctor", "--json", "--config", tmp_path / "kontor.toml")
    assert found.code == 1
    (error,) = (one for one in found.tree["findings"] if one["state"] == "error")
    assert (error["check"], "kontor serve" in error["mend"]) == ("node", True)
    assert [one["what"] for one in found.tree["findings"] if one["check"] == "store"] == [
        "it is made when the node first starts"
    ]
    # why it cannot start is said, too
    run("migrate", "--config", tmp_path / "kontor.toml")
    for version, what in (
        (1, "it has schema 1, this release needs"),
        (99, "the state store has schema 99, this release knows"),
    ):
        with closing(sqlite3.connect(tmp_path / "data" / "kontor.db")) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        found = run("doctor", "--json", "--config", tmp_path / "kontor.toml")
        (store,) = (one for one in found.tree["findings"] if one["check"] == "store")
        assert (store["state"], what in store["what"], bool(store["mend"])) == ("error", True, True)


def test_a_wallet_without_credentials_is_said_with_what_to_do(run: Run, nodes: Nodes, tmp_path: Path) -> None:
    port, operator_port = free_ports(2)
    run(
        "init",
        "acme",
        "--unsafe-local",
        "--port",
        port,
        "--operator-port",
        operator_port,
        "--folder",
        tmp_path,
        "--public-url",
        f"http://localhost:{port}",
    )
    config = tmp_path / "kontor.toml"
    nodes.start(config)
    tree = run("doctor", "--json", "--config", config).tree
    states = {(one["check"], one["state"]) for one in tree["findings"]}
    assert {("did", "ok"), ("keys", "ok"), ("credentials", "warning")} <= states
