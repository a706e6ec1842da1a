"""`kontor policy test` and `list`: case files beside policies, how well they test them, and the library in one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.texts import read
from connector.errors import ConfigurationError, PolicyError

if TYPE_CHECKING:
    from connector.odrl.cases import Case
    from connector.odrl.trial import Coverage
    from connector.odrl.vocabulary import Vocabulary

Names = Annotated[
    list[str] | None, typer.Argument(help="Policies of the library by name, or files with a case file beside them; all when left out.")
]  # fmt: skip
_TITLE = "http://purl.org/dc/terms/title"
_DESCRIPTION = "http://purl.org/dc/terms/description"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One policy, what its cases came to, and how well they test it."""

    name: str
    results: tuple[tuple[str, tuple[str, ...]], ...]
    # each case, and where the answer differs
    coverage: Coverage
    survivors: tuple[str, ...] = ()
    mutants: int = 0

    @property
    def failed(self) -> int:
        return sum(bool(found) for _, found in self.results)


def register(group: typer.Typer) -> None:
    """Add the commands to those of `kontor policy`."""
    command(group, "list", list_, example="kontor policy list")
    command(group, "test", run_cases, example="kontor policy test my-terms.yaml --mutate")


def list_(out: Output) -> None:
    """List the policies of the library, one line each."""
    from connector.cli.terms import load
    from connector.packaged import policy_names

    rows = []
    for name in policy_names():
        about = load(name).tree
        rows.append({"name": name, "title": about.get(_TITLE, ""), "description": about.get(_DESCRIPTION, "")})
    out.rows(rows, ("policy", "what it says"), [(row["name"], row["description"]) for row in rows], empty="no policies")


def run_cases(
    out: Output,
    names: Names = None,
    cases: Annotated[Path | None, typer.Option(help="The case file, when it does not stand beside the policy.")] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Change one thing of the policy after the other; each change must fail a case.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the results into this file, as JUnit XML.")] = None,
) -> None:
    """Run the cases of policies and say what they do not try; exit code 1 when a case fails, or a change survives."""
    from connector.cli.terms import vocabulary
    from connector.packaged import policy_names

    if cases is not None and len(names or ()) != 1:
        raise typer.BadParameter("name the one policy that the cases are of", param_hint="--cases")
    words = vocabulary()
    found = [_tried(name, cases, words, mutate=mutate) for name in names or policy_names()]
    if junit is not None:
        try:
            junit.write_text("\n".join(_junit(found)) + "\n", encoding="utf-8")
        except OSError as fault:
            raise ConfigurationError(
                f"cannot be written: {fault.strerror}", where=str(junit), mend="name another file"
            ) from fault
    lines = [line for one in found for line in _lines(one)]
    run, failed = sum(len(one.results) for one in found), sum(one.failed for one in found)
    survivors = sum(len(one.survivors) for one in found)
    total = f"{run - failed} passed, {failed} failed"
    if mutate:
        changes = sum(one.mutants for one in found)
        total += f"; {changes - survivors} of {changes} changes noticed"
    out.lines({"passed": run - failed, "failed": failed, "policies": [_tree(one) for one in found]}, *lines, total)
    if failed or survivors:
        raise typer.Exit(1)


def _tried(name: str, path: Path | None, words: Vocabulary, *, mutate: bool) -> Tried:
    from connector.cli.terms import is_file, load
    from connector.odrl import cases as case_files
    from connector.odrl import trial
    from connector.packaged import policy_file

    loaded = load(name)
    place = path or (Path(name) if is_file(name) else policy_file(name)).with_suffix(".cases.yaml")
    cases: list[Case] = [
        case_files.read(tree, f"{place} case {number}", policy=loaded.policy, parents=loaded.parents)
        for number, tree in enumerate(_trees(place), start=1)
    ]
    results = [(case.name, case_files.differences(case, case_files.compiled(case, words))) for case in cases]
    survivors: list[str] = []
    count = 0
    # a mutant tells something only of cases that the policy itself passes
    for mutant in trial.mutants(loaded.policy, words) if mutate and not any(found for _, found in results) else ():
        count += 1
        if trial.survives(mutant, cases, words):
            survivors.append(f"{mutant.where}: {mutant.change}")
    return Tried(
        name=name,
        results=tuple(results),
        coverage=trial.coverage(loaded.policy, cases, words),
        survivors=tuple(survivors),
        mutants=count,
    )


def _trees(path: Path) -> Sequence[Any]:
    import yaml

    try:
        found = yaml.safe_load(read(path))
    except yaml.YAMLError as fault:
        raise PolicyError(
            f"not YAML: {' '.join(str(fault).split())}", where=str(path), mend="see policies/README.md"
        ) from fault
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not found:
        raise PolicyError("no cases", where=str(path), mend="write a list of cases, see policies/README.md")
    return found


def _lines(one: Tried) -> Iterator[str]:
    told = one.coverage
    yield (
        f"{one.name}: {len(one.results) - one.failed} of {len(one.results)} cases pass; rules {told.rules_tried}/{told.rules}, "
        f"conditions {told.conditions_tried}/{told.conditions}"
    )
    for name, differences in one.results:
        for text in differences:
            yield f"  failed: {name}: {text}"
    for gap in told.gaps:
        yield f"  not tried: {gap}"
    for survivor in one.survivors:
        yield f"  not noticed: {survivor}"


def _tree(one: Tried) -> dict[str, Any]:
    told = one.coverage
    return {
        "policy": one.name,
        "cases": [{"name": name, "differences": list(differences)} for name, differences in one.results],
        "coverage": {
            "rules": told.rules,
            "rules_tried": told.rules_tried,
            "conditions": told.conditions,
            "conditions_tried": told.conditions_tried,
            "gaps": list(told.gaps),
        },
        "mutants": one.mutants,
        "survivors": list(one.survivors),
    }


def _junit(found: Sequence[Tried]) -> Iterator[str]:
    """The results as JUnit XML: a suite for each policy, a test for each case, and one for each change that nobody noticed."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield "<testsuites>"
    for one in found:
        tests, failures = len(one.results) + len(one.survivors), one.failed + len(one.survivors)
        yield f'  <testsuite name="{_xml(one.name)}" tests="{tests}" failures="{failures}">'
        rows = [*one.results, *((f"change: {survivor}", ("no case notices it",)) for survivor in one.survivors)]
        for name, differences in rows:
            head = f'    <testcase classname="{_xml(one.name)}" name="{_xml(name)}"'
            if differences:
                yield f'{head}><failure message="{_xml("; ".join(differences))}"/></testcase>'
            else:
                yield f"{head}/>"
        yield "  </testsuite>"
    yield "</testsuites>"


def _xml(text: str) -> str:
    """A text inside an attribute; signs that XML 1.0 does not know are left out."""
    return escape("".join(sign for sign in text if sign >= " " or sign in "\t\n"), quote=True)
