"""What every test can ask for. Fixtures of one room stand in that room's own conftest."""

from __future__ import annotations

import os
import pathlib

import hypothesis
import pytest

_NOT_GIVEN = "official files not given"

# a slow machine is no fault of the property
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture
def official() -> pathlib.Path:
    """The folder with the standards' own files that `KONTOR_OFFICIAL` names; without it the check is not run and is counted."""
    folder = os.environ.get("KONTOR_OFFICIAL")
    if not folder:
        pytest.skip(_NOT_GIVEN)
    path = pathlib.Path(folder)
    assert path.is_dir(), f"KONTOR_OFFICIAL names {folder}, which is not a folder"
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints one line for all checks that were not run."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if _NOT_GIVEN in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{_NOT_GIVEN}: {len(skipped)} checks not run")
