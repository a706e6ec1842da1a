"""The README is true: its commands run, in order and as they stand, its diagrams are those of the tables, its links lead somewhere."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from connector.app.listening import free_ports
from connector.dsp.tables import Kind, diagram
from connector.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORTS = ("8070", "8071", "8080", "8081", "8090", "8091")


def blocks(language: str, text: str = TEXT) -> list[str]:
    """The fenced blocks in one language."""
    return [body for named, body in _FENCED.findall(text) if named == language]


def _run(language: str, body: str) -> str:
    """A block as the shell of the tour runs it."""
    return body if language == "sh" else f'PYTHONPATH="{ROOT}" "{sys.executable}" - <<\'PYTHON\'\n{body}PYTHON\n'


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    (first, *_) = blocks("sh")
    named = [line.split()[1] for line in first.splitlines()]
    assert named == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}: ", makefile, re.MULTILINE) for target in named)


def test_the_settings_it_shows_are_settings() -> None:
    for block in blocks("toml"):
        tree = tomllib.loads(block)
        assert Settings.model_validate({"node": {"public_url": "https://data.example.org"}, **tree})


def test_every_command_of_the_tour_does_what_it_says(tmp_path: Path) -> None:
    _, *tour = [_run(language, body) for language, body in _FENCED.findall(TEXT) if language in ("sh", "python")]
    ports = dict(zip(_PORTS, map(str, free_ports(len(_PORTS))), strict=True))
    script = "\n".join(re.sub("|".join(_PORTS), lambda found: ports[found[0]], block) for block in tour)
    kontor = tmp_path / "bin" / "kontor"
    kontor.parent.mkdir()
    kontor.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom connector.cli import main\nmain()\n"
    )
    kontor.chmod(0o755)
    folder = tmp_path / "tour"
    folder.mkdir()
    process = subprocess.Popen(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{kontor.parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=90)
    finally:
        # nodes of a tour that broke off before its last command are in the group of its shell
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told
    assert (folder / "consumer" / "weather.csv").read_bytes() == (folder / "provider" / "weather.csv").read_bytes()
    assert not (folder / "consumer" / "no.csv").exists()
    for words in (
        "deny: refused: purpose",
        "digest as in the catalogue",
        "refused, as it should be",
        "somebody has to approve it",
        "EWR,2,39.02\n\n",
        "suspended, as it should be",
        "in force",
        "COMPLETED",
        "FINALIZED",
    ):
        assert words in told, told


def test_the_diagrams_are_those_of_the_tables() -> None:
    assert [body.strip() for body in blocks("mermaid")] == [diagram(Kind.NEGOTIATION), diagram(Kind.TRANSFER)]


def test_every_link_into_the_project_leads_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_room_stands_on_the_map() -> None:
    mapped = set(re.findall(r"`(\w+)/?`", TEXT.partition("## The house")[2].partition("## The protocol")[0]))
    rooms = {path.stem for path in (ROOT / "connector").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} - mapped == set()
