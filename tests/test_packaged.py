"""The files that ship with the product are found by name, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector import packaged
from connector.errors import ConfigurationError


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with nothing inside and nothing beside it; tests add what they need."""
    package = tmp_path / "root" / "connector"
    package.mkdir(parents=True)
    monkeypatch.setattr(packaged, "_PACKAGE", package)
    monkeypatch.setattr(packaged, "_SHIPPED", package / "_packaged")
    return package


def place(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_wheel_carries_its_files_inside_the_package(installation: Path) -> None:
    inside = place(installation / "_packaged" / "vocab" / "dsp" / "context.jsonld")
    assert packaged.vocab_file("dsp/context.jsonld") == inside


def test_a_checkout_has_them_beside_the_package(installation: Path) -> None:
    files = [place(installation.parent / name) for name in ("deploy/sample/weather.csv", "vocab/a.ttl", "policies/open.yaml")]
    assert [packaged.sample_file("weather.csv"), packaged.vocab_file("a.ttl"), packaged.policy_file("open.yaml")] == files


def test_a_wheel_never_looks_at_what_lies_beside_it(installation: Path) -> None:
    place(installation / "_packaged" / "vocab" / "a.ttl")
    place(installation.parent / "vocab" / "b.ttl")
    with pytest.raises(ConfigurationError, match=r"no shipped file `b.ttl` at `vocab`; known here: `a.ttl`"):
        packaged.vocab_file("b.ttl")


def test_a_policy_is_found_by_its_name_and_its_cases_are_no_policy(installation: Path) -> None:
    root = installation.parent / "policies"
    policy = place(root / "members-only.yaml")
    for other in ("members-only.cases.yaml", "cases/members-only.yaml", "trust/league.yaml", "README.md"):
        place(root / other)
    assert packaged.policy_names() == ("members-only",)
    assert packaged.policy_file("members-only") == policy == packaged.policy_file("members-only.yaml")


@pytest.mark.parametrize(
    "name", ["../secret", "a/../../secret", "/etc/passwd", "", ".", "a//b", ".hidden", "a\\..\\b", "a\x00b", "a/", "ä"]
)
def test_a_name_never_leads_out_of_the_folder(installation: Path, name: str) -> None:
    place(installation.parent / "vocab" / "a" / "b")
    place(installation.parent / "secret")
    with pytest.raises(ConfigurationError, match="is not the name of a shipped file"):
        packaged.vocab_file(name)


def test_a_link_that_leads_out_of_the_folder_is_no_shipped_file(installation: Path) -> None:
    secret = place(installation.parent / "secret")
    place(installation.parent / "vocab" / "a.ttl")
    (installation.parent / "vocab" / "link").symlink_to(secret)
    with pytest.raises(ConfigurationError, match="no shipped file `link`"):
        packaged.vocab_file("link")


def test_an_unknown_name_is_refused_with_the_known_ones(installation: Path) -> None:
    for number in range(10):
        place(installation.parent / "policies" / f"p{number}.yaml")
    with pytest.raises(ConfigurationError, match=r"`p0.yaml`, .* \(2 more\)"):
        packaged.policy_file("nobody")


def test_an_installation_without_files_says_how_to_mend_it(installation: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"this installation has no `policies` files .*; install the wheel again"):
        packaged.policy_names()


def test_this_installation_has_its_files() -> None:
    assert packaged.sample_file("weather.csv").stat().st_size > 2_000_000
