"""The policy library: each policy says what it is, travels, fits its profile, and has cases that notice every change to it."""

from __future__ import annotations

import json

import pytest

from connector.odrl import cases, jsonld, profile, trial, wire, yamlfmt, yamlwrite
from connector.odrl.analyse.conflict import check
from connector.odrl.cases import Case
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import folder, policy_file, policy_names, vocab_file
from tests.odrl.casefile import cases as trees

NAMES = policy_names()
# they pick assets or parties by their properties, or give one rule a target: the protocol's schema has no place for that
AT_HOME = {"cross-border", "graded-data", "members-in-eu", "released-data", "share-under-terms"}


def policy_of(name: str, words: Vocabulary) -> Policy:
    path = policy_file(name)
    return yamlfmt.read(path.read_text(encoding="utf-8"), words, path.name)


def cases_of(name: str, policy: Policy) -> list[Case]:
    path = policy_file(f"{name}.cases.yaml")
    return [cases.read(tree, f"{path.name} case {n}", policy=policy) for n, tree in enumerate(trees(path), start=1)]


def test_the_library_is_large_enough_to_start_from() -> None:
    assert len(NAMES) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_the_library_does_what_it_says(name: str, everything: Vocabulary) -> None:
    policy = policy_of(name, everything)
    tried = cases_of(name, policy)
    assert {case.name: cases.differences(case, cases.compiled(case, everything)) for case in tried} == {
        case.name: () for case in tried
    }
    assert trial.coverage(policy, tried, everything).gaps == ()
    survivors = [one for one in trial.mutants(policy, everything) if trial.survives(one, tried, everything)]
    assert [(one.where, one.change) for one in survivors] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_the_library_is_in_order(name: str, everything: Vocabulary) -> None:
    policy = policy_of(name, everything)
    assert policy.uid == f"urn:kontor:policy:{name}"
    assert {iri.rpartition("/")[2] for iri, _ in policy.extra} == {"title", "description"}
    assert [found.what for found in check(policy, everything) if found.is_harmful] == []
    assert yamlfmt.read(yamlwrite.write(policy, everything), everything) == policy
    cannot = [found for found in wire.cannot_travel(policy) if found.severity == "error"]
    assert bool(cannot) is (name in AT_HOME)
    if not cannot:
        assert jsonld.read(jsonld.write(policy)) == policy


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("catena-x")])
def test_a_policy_for_catena_x_fits_its_profile(name: str, everything: Vocabulary) -> None:
    against = profile.load(json.loads(vocab_file("profiles/catena-x.json").read_text(encoding="utf-8")), everything)
    found = profile.check(policy_of(name, everything), against, everything)
    assert [one for one in found if one.severity == "error"] == []


def test_the_readme_of_the_library_names_every_policy() -> None:
    readme = (folder("policies") / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| `{name}` |" not in readme] == []
