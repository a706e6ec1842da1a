"""Parts of others: found when the settings name them, and never trusted to be there, to be one, or to work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connector import plugins
from connector.app.parts import known_vocabulary
from connector.controlplane.kept import kept
from connector.errors import ConfigurationError
from connector.odrl import yamlfmt
from connector.odrl.cases import NOON
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.truth import Request, Stage, World
from tests.cli.conftest import Run, run

__all__ = ["run"]

_PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme-policy"
version = "1.0"
[project.entry-points."connector.operands"]
acmeRisk = "acme_policy:risk"
acmeBroken = "acme_policy:broken"
acmeNothing = "acme_policy:NOTHING"
acmeGone = "acme_policy:gone"
[tool.hatch.build.targets.wheel]
include = ["acme_policy.py"]
"""
# the three lines that an integrator writes
_CODE = """
def risk(request, world):
    ratings = {"did:web:good.example": 1, "did:web:bad.example": 9}
    return ratings.get(request.party)


def broken(request, world):
    raise RuntimeError("out of order")


NOTHING = None
"""
_PROFILE = """{
  "profile": "https://acme.example/profile", "profiles": ["https://acme.example/profile"], "name": "acme",
  "actions": {"https://acme.example/train": {"label": "train", "aliases": ["acme:train"], "in": ["use"]}},
  "operands": {
    "https://acme.example/risk": {
      "label": "Risk", "aliases": ["risk"], "value": "decimal", "operators": ["lt", "lteq", "gt", "gteq"], "range": ["0", "10"],
      "source": ["computed:NAME"], "stages": ["negotiate", "transfer", "ongoing", "request"],
      "text": {"en": "how risky it is to deal with the party, from 0 to 10"}
    }
  }
}"""
_POLICY = "profile: https://acme.example/profile\npermit: [{action: acme:train, when: risk <= 3}]\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a package of somebody else has been installed."""
    source, site = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(_PYPROJECT)
    (source / "acme_policy.py").write_text(_CODE)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(source)], check=True)
    return site


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "acme.json"
    path.write_text(_PROFILE.replace("NAME", "acmeRisk"))
    return path


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("party", "effect", "code"),
    [
        ("did:web:good.example", "permit", ""),
        ("did:web:bad.example", "deny", "unsatisfied"),
        ("did:web:new.example", "deny", "value-missing"),
    ],
)
def test_a_named_function_computes_the_value_of_an_operand(party: str, effect: str, code: str, profile: Path) -> None:
    words = known_vocabulary((profile,), ("acmeRisk",))
    policy = compile(yamlfmt.read(_POLICY, words), words)
    found = decide(policy, Request(action="acme:train", party=party), World(now=NOON), stage=Stage.REQUEST, trace=True)
    assert found.effect == effect
    assert not code or code in {reason.code for reason in found.reasons}


@pytest.mark.usefixtures("installed")
def test_what_a_request_says_of_itself_does_not_count_for_a_computed_value(profile: Path) -> None:
    words = known_vocabulary((profile,), ("acmeRisk",))
    policy = compile(yamlfmt.read(_POLICY, words), words)
    request = Request(action="acme:train", party="did:web:bad.example", params={"risk": 0, "https://acme.example/risk": 0})
    assert not decide(policy, request, World(now=NOON, claims={"risk": 0}), stage=Stage.REQUEST).is_permitted


@pytest.mark.usefixtures("installed")
def test_a_computed_value_may_differ_from_dataset_to_dataset(profile: Path) -> None:
    words = known_vocabulary((profile,), ("acmeRisk",))
    assert kept(yamlfmt.read(_POLICY, words), words).asks_target


@pytest.mark.usefixtures("installed")
def test_a_function_that_fails_is_a_value_that_nobody_knows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "acme.json"
    path.write_text(_PROFILE.replace("NAME", "acmeBroken"))
    words = known_vocabulary((path,), ("acmeBroken",))
    policy = compile(yamlfmt.read(_POLICY, words), words)
    found = decide(policy, Request(action="acme:train", party="did:web:good.example"), World(now=NOON), stage=Stage.REQUEST)
    assert not found.is_permitted
    assert "value-missing" in {reason.code for reason in found.reasons}


@pytest.mark.usefixtures("installed")
def test_being_installed_is_not_consent(profile: Path) -> None:
    assert plugins.load(()) == {plugins.OPERANDS: {}}
    with pytest.raises(
        ConfigurationError, match="nobody computes `acmeRisk`: install its entry point and name it in `plugins`"
    ):
        known_vocabulary((profile,))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("acmeRisc", "no entry point `acmeRisc` is installed"),
        ("acmeNothing", "`acmeNothing` is no function"),
        ("acmeGone", "`acmeGone` cannot be imported: AttributeError"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        plugins.load((name,))
    assert caught.value.where == "plugins"


@pytest.mark.usefixtures("installed")
def test_a_name_that_two_packages_claim_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (other / "entry_points.txt").write_text("[connector.operands]\nacmeRisk = other:risk\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match="installed twice: acme_policy:risk, other:risk"):
        plugins.load(("acmeRisk",))


def test_a_profile_that_is_none_is_refused_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    for text in (None, "{", '{"operands": {"x": {}}}'):
        if text is not None:
            path.write_text(text)
        with pytest.raises(ConfigurationError):
            known_vocabulary((path,))


@pytest.mark.usefixtures("installed")
def test_the_command_takes_profiles_and_functions_from_a_configuration(run: Run, profile: Path, tmp_path: Path) -> None:
    config, policy = tmp_path / "kontor.toml", tmp_path / "p.yaml"
    config.write_text(f'plugins = ["acmeRisk"]\nprofiles = ["{profile.name}"]\n[node]\npublic_url = "https://a.example"\n')
    policy.write_text(_POLICY)
    asked: Any = ("evaluate", "--policy", policy, "--action", "acme:train", "--party", "did:web:good.example")
    told = run("policy", "--config", config, *asked)
    assert told.out.startswith("permit")
    assert "unknown action `acme:train`" in run("policy", *asked).err
    assert run("policy", "--config", config, "check", policy, "--against", profile).code == 0
