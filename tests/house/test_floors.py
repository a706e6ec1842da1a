"""The oldest releases of the libraries that judge tokens, keys and foreign documents: none with a known hole is let in.

What each floor guards against stands beside it; `pyproject.toml` and the lock file must both keep it.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.tree import ROOT

FLOORS: dict[str, tuple[tuple[int, ...], str]] = {
    "pyjwt": (
        (2, 15, 1),
        "CVE-2022-29217, GHSA-75c5-xw7c-p5pm, GHSA-752w-5fwx-jx9f, CVE-2026-48522 to 48526, GHSA-ffc3-869f-jxw9,"
        " CVE-2026-102267, GHSA-8wjv-2p76-3863",
    ),
    "authlib": (
        (1, 9),
        "CVE-2024-37568, CVE-2025-59420, CVE-2025-61920, CVE-2025-62706, CVE-2026-27962, CVE-2026-28498, CVE-2026-41479,"
        " PYSEC-2026-25, PYSEC-2026-188, PYSEC-2026-4354",
    ),
    "joserfc": ((1, 8), "CVE-2026-48990, CVE-2026-49852, key-like octets"),
    "cryptography": ((46, 0, 7), "binary curves, CVE-2026-34073, CVE-2026-39892"),
}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@pytest.mark.parametrize("name", FLOORS)
def test_no_release_with_a_known_hole_may_be_installed(name: str) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    floors = [line.partition(">=")[2] for line in wanted if re.fullmatch(rf"{name}>=[\d.]+", line)]
    assert len(floors) == 1, f"`{name}` needs one floor"
    assert _number(floors[0]) >= FLOORS[name][0], FLOORS[name][1]


@pytest.mark.parametrize("name", FLOORS)
def test_the_lock_keeps_the_floors(name: str) -> None:
    found = re.findall(rf"^{name}==(\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1
    assert _number(found[0]) >= FLOORS[name][0], FLOORS[name][1]


@pytest.mark.parametrize("name", ["jwcrypto", "python-jose", "pyjwkest"])
def test_libraries_that_choose_the_algorithm_by_the_token_are_not_used(name: str) -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(rf"^{name}==", lock, re.MULTILINE) is None
