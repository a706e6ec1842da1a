"""`kontor policy conformance`: a folder of test cases against the engine, at three levels from weak to strong.

    activation   attempt and activation of each rule report, with its rule and the request's rule
    states       also the type, constraint and satisfaction of every premise report, wherever in the report it hangs
    graph        the reports are the same graph but for the names of their own nodes

The folder holds an `index.json` with `cases[]`: number, title, policy, request, state, expected (files of the folder), and
perhaps `caveat` (what is wrong with the case itself) and `duty_mode`. A failure fails the run, unless the case carries a caveat
or the failure is at the level `graph` only. A folder with `index.yaml` instead holds case files of our own form (`policy_cases`):
they pass or fail as a whole, and the run also fails where a lawful cell of the folder's matrix has no case.

Of the 45 public cases all pass at `activation` and `states`. What their caveats come to:
- Rules without action and target are read leniently: what a rule leaves out, it does not restrict.
- The cases of duties read "allowed unless violated", which is the default of this command; the engine's own default, as the
  formal semantics have it, is that a condition must be fulfilled first. Case 59 tells the two apart.
- Case 36 is the same question as case 38 under another title; both are answered alike.
- Case 65 differs at `graph`: five links of its expected report point to nothing, and it hangs the report on a duty of another
  policy under this one's rule. Case 68 differs there for the second reason. We report on the rule's own duty: nothing is known.
Source: README of the public ODRL test cases (SolidLabResearch/ODRL-Test-Suite); Compliance Report Model.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli import policy_cases, policy_matrix
from connector.cli.output import Output
from connector.cli.policy_files import Family, policy_in
from connector.cli.policy_request import Asking, request_in
from connector.cli.policy_state import REPORT, State, state_in
from connector.cli.terms import vocabulary
from connector.cli.texts import json_object, read
from connector.errors import ConfigurationError, KontorError

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.compile import Compiled
    from connector.odrl.vocabulary import Vocabulary

_MOST_LINES = 12
_RULE_REPORTS = ("PermissionReport", "ProhibitionReport", "ObligationReport")
_PREMISES = ("ActionReport", "PartyReport", "TargetReport", "ConstraintReport")


class Level(StrEnum):
    """How closely two reports are compared."""

    ACTIVATION = "activation"
    STATES = "states"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one case came out: for each level that failed, what differs."""

    number: str
    title: str
    caveat: str
    failures: Mapping[Level, tuple[str, ...]]

    @property
    def is_lost(self) -> bool:
        """True when the run fails by this case."""
        return not self.caveat and any(level is not Level.GRAPH for level in self.failures)


def conformance(
    out: Output,
    folder: Annotated[Path, typer.Argument(help="A folder with `index.json` and the files that it names.")],
    duty_mode: Annotated[
        str, typer.Option(help="How duties block where a case does not say: require-fulfilled or unless-violated.")
    ] = "unless-violated",
) -> None:
    """Run public test cases of ODRL evaluation and say how many agree, and where the others differ."""
    from connector.odrl.truth import DutyMode

    if duty_mode not in list(DutyMode):
        raise typer.BadParameter(f"one of {', '.join(DutyMode)}", param_hint="--duty-mode")
    if not (folder / "index.json").exists() and (folder / policy_cases.INDEX).exists():
        _own(out, folder)
        return
    results = run(folder, DutyMode(duty_mode))
    counts = {level: sum(level in result.failures for result in results) for level in Level}
    lines = [f"{level}: {len(results) - failed} passed, {failed} failed" for level, failed in counts.items()]
    for result in results:
        for level, differences in result.failures.items():
            lines.append(f"case {result.number} at {level}: {result.title}")
            lines += [f"  {line}" for line in differences[:_MOST_LINES]]
            lines += [f"  and {len(differences) - _MOST_LINES} more"] if len(differences) > _MOST_LINES else []
            lines += [f"  caveat of the case: {result.caveat}"] if result.caveat else []
    out.lines(_tree(results, counts), *lines)
    if any(result.is_lost for result in results):
        raise typer.Exit(1)


def _own(out: Output, folder: Path) -> None:
    """Run a folder of our own cases and tell what they cover."""
    opened = policy_cases.open_folder(folder)
    ran = policy_cases.run(opened)
    failed = [one for one in ran if one.differences]
    lines = [f"cases: {len(ran) - len(failed)} passed, {len(failed)} failed"]
    for one in failed:
        lines += [f"case {one.file}", *(f"  {line}" for line in one.differences[:_MOST_LINES])]
    tables = policy_matrix.tables(ran, opened.vocabulary, opened.matrix) if opened.matrix is not None else []
    lines += policy_matrix.lines(tables) if tables else []
    gaps = [f"{one.rows} x {one.columns}: {row} x {column}" for one in tables for row, column in (*one.empty, *one.astray)]
    failures = [{"case": one.file, "differences": list(one.differences)} for one in failed]
    out.lines({"passed": len(ran) - len(failed), "failures": failures, "gaps": gaps}, *lines)
    if failed or gaps:
        raise typer.Exit(1)


def _tree(results: list[Result], counts: Mapping[Level, int]) -> dict[str, Any]:
    levels = {level.value: {"passed": len(results) - failed, "failed": failed} for level, failed in counts.items()}
    failures = [
        {"case": result.number, "level": level.value, "differences": list(lines), "caveat": result.caveat}
        for result in results
        for level, lines in result.failures.items()
    ]
    return {"levels": levels, "failures": failures}


def run(folder: Path, duty_mode: str) -> list[Result]:
    """The results of all cases of a folder, in the order of its index.

    Raises: ConfigurationError when there is no index that can be read. What is wrong with a case is that case's failure.
    """
    path = folder / "index.json"
    index = json_object(read(path), path)
    cases = index.get("cases")
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise ConfigurationError("the index has no `cases`", where=str(path), mend="list them as objects")
    bench = _Bench(folder, str(index.get("duty_mode", duty_mode)))
    return [bench.case(case) for case in cases]


class _Bench:
    """Runs the cases of one folder; files that several cases share are read once."""

    def __init__(self, folder: Path, duty_mode: str) -> None:
        self.folder = folder
        self.duty_mode = duty_mode
        words = vocabulary()
        self.words: Vocabulary = words
        self.family = functools.cache(lambda name: policy_in(folder / name))
        self.plain = functools.cache(lambda name: _compiled(self.family(name), words))
        self.request = functools.cache(lambda name: request_in(folder / name))
        self.state = functools.cache(lambda name: state_in(folder / name, words))

    def case(self, case: Mapping[str, Any]) -> Result:
        from connector import rdf

        failures: dict[Level, tuple[str, ...]] = {}
        try:
            got = self.answer(case)
            path = self.folder / str(case["expected"])
            expected = _only_report(rdf.parse(read(path), str(path)))
            for level in Level:
                if differences := _differences(level, expected, got):
                    failures[level] = differences
        except (KontorError, KeyError, ValueError) as fault:
            what = f"the case has no {fault}" if isinstance(fault, KeyError) else str(fault)
            failures = dict.fromkeys(Level, (what,))
        return Result(
            number=str(case.get("number", case.get("id", "?"))),
            title=str(case.get("title", "")),
            caveat=str(case.get("caveat", "")),
            failures=failures,
        )

    def answer(self, case: Mapping[str, Any]) -> rdf.Graph:
        """Our report on a case."""
        from connector.cli.policy_report import graph
        from connector.odrl.compliance import comply
        from connector.odrl.truth import DutyMode

        asking: Asking = self.request(case["request"])
        state: State = self.state(case["state"])
        world = state.about(one.request for one in asking.rules)
        asked = tuple(replace(one, request=state.asked(one.request)) for one in asking.rules)
        mode = DutyMode(case.get("duty_mode", self.duty_mode))
        return graph(comply(self.compiled(case["policy"], state), asking.uid, asked, world, duty_mode=mode), state)

    def compiled(self, name: str, state: State) -> Compiled:
        """A policy ready to be asked; one that a state of the world adds nothing to is compiled once for all cases."""
        from connector.odrl.compile import compile

        family = self.family(name)
        told = state.told(family.policy)
        if told == family.policy:
            return self.plain(name)
        return compile(told, self.words, parents=family.parents, has_ledger=True)


def _compiled(family: Family, words: Vocabulary) -> Compiled:
    from connector.odrl.compile import compile

    return compile(family.policy, words, parents=family.parents, has_ledger=True)


# --- what a report says, at each level


def _only_report(graph: rdf.Graph) -> rdf.Graph:
    """A file of an expected report without the description of the case."""
    from connector import rdf

    kinds = {rdf.Iri(REPORT + kind) for kind in ("PolicyReport", "DutyReport", *_RULE_REPORTS, *_PREMISES)}
    inside = {node for node, row in graph.rows.items() if not kinds.isdisjoint(row.get(rdf.TYPE, ()))}
    return rdf.Graph(tuple(triple for triple in graph.triples if triple[0] in inside))


def _activation(graph: rdf.Graph) -> Counter[str]:
    parts = ("rule", "ruleRequest", "attemptState", "activationState")
    return _told(graph, _RULE_REPORTS, parts)


def _states(graph: rdf.Graph) -> Counter[str]:
    return _activation(graph) + _told(graph, _PREMISES, ("constraint", "satisfactionState"))


def _told(graph: rdf.Graph, kinds: tuple[str, ...], parts: tuple[str, ...]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind in kinds:
        for node in graph.typed(REPORT + kind):
            said = [f"{part} {_short(value)}" for part in parts for value in graph.values(node, REPORT + part)]
            found[f"{kind}: {', '.join(said)}"] += 1
    return found


def _short(term: rdf.Term) -> str:
    from connector import rdf

    # what has no name in the policy has none to compare
    return "(unnamed)" if isinstance(term, rdf.Blank) else term.text.removeprefix(REPORT)


def _graph(graph: rdf.Graph) -> Counter[str]:
    """Every triple, with the report's own nodes told by their class."""
    from connector import rdf

    def name(term: rdf.Term) -> str:
        if isinstance(term, rdf.Literal):
            return f'"{term.text}"'
        kinds = graph.values(term, rdf.TYPE)
        return _short(kinds[0]) if kinds else _short(term)

    return Counter(f"{name(node)} {link.removeprefix(REPORT)} {name(value)}" for node, link, value in graph.triples)


def _differences(level: Level, expected: rdf.Graph, got: rdf.Graph) -> tuple[str, ...]:
    from connector import rdf

    told = {Level.ACTIVATION: _activation, Level.STATES: _states, Level.GRAPH: _graph}[level]
    there, here = told(expected), told(got)
    lines = [f"expected: {line}" for line in (there - here).elements()]
    lines += [f"     got: {line}" for line in (here - there).elements()]
    if level is Level.GRAPH and not lines and rdf.form(expected, expected.rows) != rdf.form(got, got.rows):
        return ("the same statements hang together in another way",)
    return tuple(lines)
