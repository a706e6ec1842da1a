"""`kontor policy simulate`: what another policy would have decided, asked what was asked before.

What was asked is in the decision log: the one of a node, through its operator API, or a file of entries, one a line or as
`kontor decisions --json` prints them. Entries say what a decision was made from (`connector.ports.decisions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.texts import json_objects, read

if TYPE_CHECKING:
    from connector.cli.terms import Loaded
    from connector.odrl.vocabulary import Vocabulary

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A decision that would have come out otherwise."""

    entry: dict[str, Any]
    before: str
    after: str
    why: str


@dataclass(slots=True)
class _Found:
    """What came of asking again. An entry of the catalogue stands for as many decisions as it counts."""

    changes: list[Change] = field(default_factory=list)
    changed: int = 0
    asked: int = 0
    compared: int = 0
    unknown: int = 0
    lost: int = 0
    others: int = 0

    def total(self) -> str:
        """In one line."""
        said = f"{self.changed:,} of {self.asked:,} decisions change"
        more = (
            (self.compared, "compared two policies and asked neither"),
            (self.unknown, "were logged without what they were made from"),
            (self.lost, "were never logged"),
            (self.others, "entries are no decisions"),
        )
        return "; ".join([said, *(f"{count:,} {words}" for count, words in more if count)])


def register(group: typer.Typer) -> None:
    """Add the command to those of `kontor policy`."""
    example = (
        "kontor policy simulate new-terms.yaml --about AGREEMENT\nkontor policy simulate new-terms.yaml --log decisions.jsonl"
    )
    command(group, "simulate", simulate, example=example)


def simulate(
    access: Access,
    out: Output,
    policy: Annotated[str, typer.Argument(help="What would have been asked instead: a policy of the library, or a file.")],
    log: Annotated[
        Path | None,
        typer.Option(
            help="A file of decisions, one a line, or what `kontor decisions --json` prints; else the node's own log."
        ),
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="ID", help="Only decisions about this offer or agreement; else about any.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Of the node's log: not before this moment, such as 2026-11-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Of the node's log: before this moment.")] = None,
) -> None:
    """Ask a policy what was asked before, and list the decisions that would have been others. Nothing is changed."""
    from connector.cli.terms import load, vocabulary

    if log is not None and (since or until):
        raise typer.BadParameter("`--since` and `--until` narrow the log of a node; a file is read whole")
    entries = _in_file(log) if log is not None else _of_node(access, about=about, since=since, until=until)
    found = _asked_again(entries, load(policy), vocabulary(), about)
    told = ("at", "question", "about", "peer", "dataset", "count")
    rows = [
        {
            **{name: one.entry[name] for name in told if one.entry.get(name)},
            "before": one.before,
            "after": one.after,
            "why": one.why,
        }
        for one in found.changes
    ]
    lines = [
        f"{row.get('at', '')} {row.get('peer', '')} {row.get('dataset', '')}: {row['before']} -> {row['after']}: {row['why']}".strip()
        for row in rows
    ]
    tree = {
        "asked": found.asked,
        "comparisons": found.compared,
        "without_inputs": found.unknown,
        "lost": found.lost,
        "no_decisions": found.others,
        "changes": rows,
    }
    out.lines(tree, found.total(), *lines)


def _asked_again(entries: Iterator[tuple[dict[str, Any], str]], loaded: Loaded, words: Vocabulary, about: str | None) -> _Found:
    from connector.odrl import cases, explain
    from connector.odrl.model import PolicyType
    from connector.ports.decisions import COMPARING

    judged, found = replace(loaded.policy, type=PolicyType.AGREEMENT), _Found()
    for entry, where in entries:
        count = entry.get("count", 1)
        many = count if type(count) is int and count > 0 else 1
        if "effect" not in entry:
            # the log says itself how many decisions it could not keep
            lost = entry.get("lost")
            found.lost, found.others = (
                (found.lost + lost, found.others) if type(lost) is int else (found.lost, found.others + 1)
            )
        elif about is not None and entry.get("about") != about and about not in entry.get("offers", ()):
            continue
        elif entry.get("question") in COMPARING:
            found.compared += 1
        elif "case" not in entry:
            found.unknown += many
        else:
            case = cases.read(entry["case"], f"{where}.case", policy=judged, parents=loaded.parents)
            decision = cases.answer(case, cases.compiled(case, words))
            before, after = str(entry["effect"]), decision.effect.value
            found.asked += many
            if after != before:
                found.changed += many
                found.changes.append(Change(entry=entry, before=before, after=after, why=explain.sentence(decision)))
    return found


def _in_file(log: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries in a file with their places.

    Raises: BadMessage, naming the place that is no JSON object.
    """
    for tree, where in json_objects(read(log), log):
        body = tree.get("body")
        entry = {**body, "at": tree.get("at")} if isinstance(body, dict) else tree
        # the operator API lists what an entry does not have as null
        yield {name: value for name, value in entry.items() if value is not None}, where


def _of_node(
    access: Access, *, about: str | None, since: str | None, until: str | None
) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries of the node's decision log, newest first."""
    from connector.client import records

    cursor: str | None = None
    with access.open() as (node, me):
        while True:
            # an offer of a catalogue is named within an entry that is about many: what is narrowed to it is looked for here
            call = records.decisions(me.participant, since=since, until=until, limit=_PAGE, cursor=cursor)
            page = node.send(call)
            for one in page.items:
                yield one.model_dump(mode="json", exclude_none=True), f"decision {one.number}"
            cursor = page.next_cursor
            if cursor is None:
                return
