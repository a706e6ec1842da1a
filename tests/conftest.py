"""What every test can ask for. Fixtures of one room stand in that room's own conftest."""

from __future__ import annotations

import os
import pathlib

import pytest

_not_run = 0


@pytest.fixture
def official() -> pathlib.Path:
    """The folder with the standards' own files that `KONTOR_OFFICIAL` names; without it the check is not run and is counted."""
    global _not_run
    folder = os.environ.get("KONTOR_OFFICIAL")
    if folder:
        path = pathlib.Path(folder)
        assert path.is_dir(), f"KONTOR_OFFICIAL names {folder}, which is not a folder"
        return path
    _not_run += 1
    return pytest.skip("official files not given")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "official files not given" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_line(f"official files not given: {len(skipped)} checks not run")
