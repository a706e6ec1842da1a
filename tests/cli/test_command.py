"""Every command: an example in its help, JSON where it prints, one line for an error, exit codes that tell."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from connector import __version__
from connector.cli.command import guarded
from connector.cli.commands import roof
from connector.cli.output import Output
from connector.errors import BadMessage, PeerError
from tests.cli.conftest import Run

ROOT = typer.main.get_command(roof())
EXPECTED = {
    "init", "serve", "publish", "catalog", "negotiate", "get", "approve", "counter", "terminate", "suspend", "resume",
    "agreements list", "agreements usage", "agreements record", "decisions",
    "transfers", "negotiations", "show", "config check", "config explain", "migrate", "policy evaluate",
    "policy explain", "demo", "protocol diagram",
}  # fmt: skip


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if inner_commands := getattr(command, "commands", None):
        for word, inner in inner_commands.items():
            yield from leaves(inner, f"{name} {word}".strip())
    else:
        yield name, command


COMMANDS = dict(leaves(ROOT))


def test_all_commands_are_there() -> None:
    assert set(COMMANDS) >= EXPECTED


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_has_an_example_of_it(run: Run, name: str) -> None:
    shown = run(*name.split(), "--help")
    assert shown.code == 0
    lines = [line.strip() for line in shown.out.partition("Example:")[2].splitlines()]
    assert any(line == f"kontor {name}" or line.startswith(f"kontor {name} ") for line in lines)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_has_debug_and_json_where_it_prints_a_result(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert "--debug" in options
    assert ("--json" in options) is (name != "serve")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_says_what_it_is_for(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_the_example_of_a_command_parses(run: Run) -> None:
    for name, command in COMMANDS.items():
        for example in (command.help or "").partition("Example:")[2].strip().splitlines():
            words = shlex.split(example)
            assert words[: 1 + len(name.split())] == ["kontor", *name.split()], name
            with command.make_context("kontor", words[1 + len(name.split()) :], resilient_parsing=False):
                pass


def test_the_version_comes_at_once() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "connector.cli", "--version"], capture_output=True, text=True
    )
    assert shown.stdout == f"kontor {__version__}\n"
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert not loaded & {"pydantic", "httpx", "fastapi", "uvicorn", "msgspec", "rich.console", "yaml", "connector.settings"}


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    shown = run()
    assert "Usage: kontor" in shown.out + shown.err


def test_wrong_usage_has_exit_code_2(run: Run) -> None:
    assert run("init").code == 2
    assert run("no-such-command").code == 2
    assert run("protocol", "diagram", "--kind", "dance").code == 2


def test_an_error_is_one_line_on_stderr(run: Run, tmp_path: Path) -> None:
    failed = run("catalog", "--config", tmp_path / "kontor.toml")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err == (
        f"error: there is no configuration file at `{tmp_path}/kontor.toml`; make one with `kontor init`, or name it with `--config`\n"
    )


def test_debug_tells_the_rest(run: Run, tmp_path: Path) -> None:
    failed = run("catalog", "--config", tmp_path / "kontor.toml", "--debug")
    assert failed.code == 1
    assert "Traceback" in failed.err
    assert failed.err.rstrip().splitlines()[-1].startswith("error: there is no configuration file")


def test_what_nobody_foresaw_is_one_line_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise RuntimeError("two\nlines")

    with pytest.raises(typer.Exit) as ended:
        guarded(work, debug=False)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith("error: RuntimeError: two lines; run it again with `--debug`")
    with pytest.raises(RuntimeError):
        guarded(work, debug=True)


def test_an_error_on_several_lines_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise BadMessage("it is wrong", where="offer", mend="write it right")

    with pytest.raises(typer.Exit):
        guarded(work, debug=False)
    assert capsys.readouterr().err == "error: it is wrong at `offer`; write it right\n"


def test_ctrl_c_is_no_error_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        guarded(work, debug=False)
    assert ended.value.exit_code == 130


@pytest.mark.parametrize("word", ["serve", "migrate"])
def test_what_starts_a_node_loads_its_own_subject_alone(word: str) -> None:
    alone = typer.main.get_command(roof(word))
    assert isinstance(alone, typer.core.TyperGroup)
    assert sorted(alone.commands) == ["migrate", "serve"]


def test_what_a_peer_has_written_commands_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = "no data \x1b]0;owned\x07\x1b[2J\x9b1m\r\u202egone"
    Output().lines({}, f"reasons: {said}", "and on")
    with pytest.raises(typer.Exit):
        guarded(_raises(PeerError(said)), debug=False)
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1] == "and on"
    Output(as_json=True).lines({"reasons": said}, said)
    as_json = capsys.readouterr().out
    for text in (shown.out, shown.err, as_json):
        assert all(sign.isprintable() or sign == "\n" for sign in text)
    assert json.loads(as_json) == {"reasons": said}


def _raises(fault: Exception) -> Callable[[], None]:
    def work() -> None:
        raise fault

    return work
