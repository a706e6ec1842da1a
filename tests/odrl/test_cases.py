"""Every case of the library's policies, and every case written from the text of the standard, is decided as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.cli import policy_cases
from connector.odrl import cases as case_files
from connector.odrl import jsonld, yamlfmt
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import policy_file, policy_names
from tests.odrl.casefile import cases, check

_FOLDER = policy_cases.open_folder(Path(__file__).parent / "cases")
_LIBRARY = [(name, case) for name in policy_names() for case in cases(policy_file(f"{name}.cases.yaml"))]


@pytest.mark.parametrize("path", _FOLDER.files, ids=lambda path: path.stem)
def test_a_case_of_the_standard_is_decided_as_it_says(path: Path) -> None:
    case = policy_cases.case_in(path, _FOLDER.vocabulary)
    assert case.section, "a case cites the section that it is written from"
    assert case_files.differences(case, case_files.compiled(case, _FOLDER.vocabulary)) == ()


@pytest.mark.parametrize(("name", "case"), _LIBRARY, ids=lambda part: part if isinstance(part, str) else part["name"])
def test_a_case_of_the_policy_library_is_decided_as_it_says(name: str, case: dict[str, object], vocabulary: Vocabulary) -> None:
    path = policy_file(name)
    check(case, vocabulary, yamlfmt.read(path.read_text(encoding="utf-8"), vocabulary, path.name))


def test_every_policy_of_the_library_can_travel_over_dsp(vocabulary: Vocabulary) -> None:
    for name in policy_names():
        policy = yamlfmt.read(policy_file(name).read_text(encoding="utf-8"), vocabulary, name)
        assert jsonld.read(jsonld.write(policy)) == policy
