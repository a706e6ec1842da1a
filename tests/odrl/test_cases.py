"""Every case written from the text of the standard is decided as it says; those of the library are in `test_library`."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.cli import policy_cases
from connector.odrl import cases as case_files

_FOLDER = policy_cases.open_folder(Path(__file__).parent / "cases")


@pytest.mark.parametrize("path", _FOLDER.files, ids=lambda path: path.stem)
def test_a_case_of_the_standard_is_decided_as_it_says(path: Path) -> None:
    case = policy_cases.case_in(path, _FOLDER.vocabulary)
    assert case.section, "a case cites the section that it is written from"
    assert case_files.differences(case, case_files.compiled(case, _FOLDER.vocabulary)) == ()
