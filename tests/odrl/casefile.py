"""Case files in the suite: read as the commands read them, and asserted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from connector.odrl import cases as case_files
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary

NOON = case_files.NOON


def cases(path: Path) -> list[dict[str, Any]]:
    """The cases of one file; one case or a list of them."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found if isinstance(found, list) else [found]


def check(tree: object, vocabulary: Vocabulary, policy: Policy | None = None) -> None:
    """Assert that the engine's decision is the one that a case expects."""
    case = case_files.read(tree, "case", policy=policy)
    assert case_files.differences(case, case_files.compiled(case, vocabulary)) == ()
