"""The product works from a wheel, from an editable install and from a checkout, and carries its files each time."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from connector import __version__
from tests.house.tree import CONNECTOR, ROOT, files

_ASK = "from connector import packaged; print(packaged.sample_file('weather.csv'), packaged.folder('vocab'))"


def run(*arguments: str, folder: Path = ROOT, path: Path | None = None) -> str:
    """What a fresh Python prints; `path` is the only place beside its own libraries where it finds modules."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("built")
    run("-m", "hatchling", "build", "--target", "wheel", "--target", "sdist", "--directory", str(folder))
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The wheel as an installer lays it out."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(built / "site-packages")
    return built / "site-packages"


def names(folder: Path) -> set[str]:
    """The files below a folder that belong to the project."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", ".mypy_cache"} & set(path.parts)
    }


def test_the_wheel_holds_the_package_and_what_ships_with_it(unpacked: Path) -> None:
    for inside, outside in {
        "connector": CONNECTOR,
        "connector/_packaged/vocab": ROOT / "vocab",
        "connector/_packaged/policies": ROOT / "policies",
        "connector/_packaged/sample": ROOT / "deploy" / "sample",
    }.items():
        assert names(outside) - names(unpacked / inside) == set(), inside
    assert (unpacked / "connector" / "py.typed").is_file()


def test_the_wheel_holds_nothing_else(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {"connector", f"kontor_connector-{__version__}.dist-info"}
    assert {path.suffix for path in (unpacked / "connector").rglob("*")} & {".pyc", ".sqlite", ".log"} == set()


def test_the_wheel_names_command_and_licence(unpacked: Path) -> None:
    described = unpacked / f"kontor_connector-{__version__}.dist-info"
    assert "kontor = connector.cli:main" in (described / "entry_points.txt").read_text()
    assert "License-Expression: Apache-2.0" in (described / "METADATA").read_text()
    assert (described / "licenses" / "LICENSE").is_file()


def test_an_installed_wheel_finds_its_files(unpacked: Path, tmp_path: Path) -> None:
    sample, vocab = run("-c", _ASK, folder=tmp_path, path=unpacked).split()
    inside = unpacked / "connector" / "_packaged"
    assert (Path(sample), Path(vocab)) == (inside / "sample" / "weather.csv", inside / "vocab")


def test_a_checkout_finds_its_files(tmp_path: Path) -> None:
    sample, vocab = run("-c", _ASK, folder=tmp_path, path=ROOT).split()
    assert (Path(sample), Path(vocab)) == (ROOT / "deploy" / "sample" / "weather.csv", ROOT / "vocab")


def test_an_editable_install_is_one_line_that_names_the_checkout(tmp_path: Path) -> None:
    name = run("-c", f"import hatchling.build; print(hatchling.build.build_editable({str(tmp_path)!r}))")
    with zipfile.ZipFile(tmp_path / name) as wheel:
        found = [item for item in wheel.namelist() if ".dist-info/" not in item]
        assert [wheel.read(item).decode().strip() for item in found] == [str(ROOT)]


def test_the_source_archive_can_build_and_test_itself(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "README.md", "Makefile", "requirements.lock", "LICENSE", "tests/conftest.py"}
    wanted |= {path.relative_to(ROOT).as_posix() for path in files(CONNECTOR)}
    assert wanted - found == set()
