"""`kontor demo`: everything in it comes true, its exit code says so, and nothing of it stays behind."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.cli import demo
from connector.cli.nodes import Running, stop
from connector.errors import ConfigurationError
from connector.settings import read
from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_kept_running_its_hints_work_and_ctrl_c_ends_it_all(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); from connector.cli import main; main()"]
    # a shell that starts the tests in the background has them ignore Ctrl-C, and what they start would inherit it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen([*command, "demo", "--keep"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stdout is not None
        try:
            told = list(_until(process.stdout, "Ctrl-C stops everything"))
            ports = [read(path).operator.port for path in tmp_path.glob("kontor-demo/*/kontor.toml")]
            assert [listens(port) for port in ports] == [True] * 4
            hints = [line.partition(" -m connector.cli ")[2] for line in told if " -m connector.cli " in line]
            assert len(hints) == 6
            for hint in hints:
                done = subprocess.run([*command, *shlex.split(hint)], cwd=tmp_path, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{hint}: {done.stderr}"
                assert done.stdout
            assert (tmp_path / "again.csv").stat().st_size == 2_294_215
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(20)
            finally:
                process.kill()
    assert code == 0
    assert [listens(port) for port in ports] == [False] * 4
    assert [line for line in told if "FAILED" in line] == []


def _until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        yield line
        if end in line:
            return


def test_a_file_of_ones_own_and_an_expectation_that_is_not_met(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # under terms that permit everybody the guest gets an agreement: the demo must say that this was not expected
    monkeypatch.setattr(demo, "_TERMS", {"permission": [{"action": "use"}]})
    file = tmp_path / "my own.bin"
    file.write_bytes(b"0123456789")
    told = run("demo", "--data", file, "--json")
    assert told.code == 1
    steps = told.tree["steps"]
    assert [step["is_met"] for step in steps] == [True] * 8 + [False], steps
    assert "the guest" not in steps[-1]["outcome"]
    assert "FINALIZED" in steps[-1]["outcome"]
    assert told.tree["is_met"] is False
    ports = [int(port) for port in re.findall(r"http://localhost:(\d+)", steps[0]["outcome"])]
    assert len(ports) == 4
    assert [listens(port) for port in ports] == [False] * 4


def test_a_file_that_is_not_there_is_said_at_once(run: Run, tmp_path: Path) -> None:
    failed = run("demo", "--data", tmp_path / "none.csv")
    assert (failed.code, failed.err.partition(" at ")[0]) == (1, "error: there is no such file")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kontor-demo").mkdir()
    with pytest.raises(ConfigurationError, match="not of a demo"), demo._folder(True):
        raise AssertionError("it was taken")


def test_a_folder_of_a_running_demo_is_left_alone_and_an_old_one_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with demo._folder(True) as folder:
        (folder / "left").touch()
        with pytest.raises(ConfigurationError, match="a demo runs there already"), demo._folder(True):
            raise AssertionError("it was taken")
    with demo._folder(True) as folder:
        assert not (folder / "left").exists()


def test_a_node_that_will_not_end_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(flush=True)\ntime.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", stubborn], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    stop([Running(folder=tmp_path, process=process, client=None)], within_s=0.1)  # type: ignore[arg-type]
    assert process.returncode == -signal.SIGKILL
    process.stdout.close()
