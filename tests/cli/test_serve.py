"""`kontor serve` and `kontor migrate`: a node from its configuration, gone with whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from connector.app.listening import free_ports
from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]


def test_a_node_serves_until_whoever_started_it_is_gone(run: Run, tmp_path: Path) -> None:
    port, operator_port = free_ports(2)
    made = run("init", "acme", "--unsafe-local", "--port", port, "--operator-port", operator_port, "--folder", tmp_path)
    assert made.code == 0
    command = [sys.executable, "-m", "connector.cli", "serve", "--until-stdin-ends", "--config", str(tmp_path / "kontor.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready = next(line for line in process.stdout if line.startswith("ready: "))
            assert f"http://127.0.0.1:{operator_port}" in ready
            assert run("catalog", "--config", tmp_path / "kontor.toml").err.startswith("nothing is offered yet")
            again = [word for word in command if word != "--until-stdin-ends"]
            taken = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False)
            assert taken.returncode == 1
            assert taken.stderr.splitlines()[-1].startswith(f"error: cannot listen on 127.0.0.1 port {port}: ")
        finally:
            process.stdin.close()
            process.wait(20)
    assert process.returncode == 0


def test_a_bad_configuration_stops_the_start_with_line_and_mend(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kontor.toml"
    path.write_text('[node]\npublic_url = "data.example.org"\n')
    failed = run("serve", "--config", path)
    assert failed.code == 1
    assert failed.err.startswith("error: line 2: `node.public_url`: ")


def test_migrating_tells_the_versions(run: Run, tmp_path: Path) -> None:
    run("init", "acme", "--unsafe-local", "--folder", tmp_path)
    first = run("migrate", "--config", tmp_path / "kontor.toml", "--json").tree
    assert first["before"] == 0 < first["after"]
    again = run("migrate", "--config", tmp_path / "kontor.toml")
    assert again.out == f"the store is at version {first['after']} already\n"
