"""What must not stand in a committed file: hosts of registries, paths of somebody's machine, loose notes, marks of a merge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, committed

_LARGEST = 1_000_000  # bytes; larger files are data
# put together here, so that this file does not hold what it looks for
_HOSTS = (
    "pypi" + ".org", "pythonhosted" + ".org", "repo1" + ".maven", "repo" + ".maven", "registry" + ".npmjs", "crates" + ".io",
    "proxy" + ".golang", "deb" + ".debian", "security" + ".debian", "archive" + ".ubuntu", "conda" + ".anaconda",
)  # fmt: skip
_NOTES = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
_PATTERNS = {
    "names the host of a package registry": re.compile("|".join(map(re.escape, _HOSTS)), re.IGNORECASE),
    "names a mirror of a package registry": re.compile(r"://[^/\s\"']*(?:mirror|artifactory|nexus|index-url)", re.IGNORECASE),
    "names a folder of one machine": re.compile(r"(?<![\w.$}{/~-])/(?:work|root|home|Users)/[\w.]"),
    "has a note without a number, as in (#12)": re.compile(rf"\b(?:{'|'.join(_NOTES)})\b(?!\s*\(#\d+\))"),
    "has a mark of a merge that nobody finished": re.compile(rf"^(?:{'<' * 7}|{'>' * 7}|[|]{{7}}) \S"),
}


def faults(text: str) -> Iterator[str]:
    """Each fault in a text, with its line."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield from (f"{number}: {what}" for what, pattern in _PATTERNS.items() if pattern.search(line))


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_committed_files_name_no_registry_no_machine_and_no_loose_end() -> None:
    found = [f"{path.relative_to(ROOT)}:{fault}" for path in committed() for fault in faults(_text(path))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://" + _HOSTS[0] + "/simple",
        "https:" + "//my-mirror.example/simple",
        "see /" + "home/anna/data",
        "# " + _NOTES[0] + ": later",
        "<" * 7 + " HEAD",
        ">" * 7 + " 2170ce5 (a commit)",
    ],
)
def test_a_fault_is_found(text: str) -> None:
    assert next(faults(f"first\n{text}")).startswith("2: ")


@pytest.mark.parametrize(
    "text", ["https://example.org/home/page", "a/root/b", f"# {_NOTES[0]} (#12): later", "the PyPI package"]
)
def test_what_is_no_fault_is_left_alone(text: str) -> None:
    assert list(faults(text)) == []


def test_the_lock_file_has_hashes_and_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    named = [line for line in lines if re.match(r"[a-z0-9]", line)]
    assert len(named) > 40
    assert all(re.fullmatch(r"[a-z0-9._-]+==\S+( ; .+)? \\", line) for line in named)
    assert [line for line in lines if "://" in line or line.startswith("-")] == []
    starts = [number for number, line in enumerate(lines) if line in named]
    assert all("--hash=sha256:" in lines[number + 1] for number in starts)
