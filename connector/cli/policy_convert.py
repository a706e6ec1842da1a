"""`kontor policy convert`: a policy in another language, and what that language cannot say.

The languages are in `odrl.export`, `odrl.tds`, `odrl.yamlwrite`, `odrl.wire` and `policy_turtle`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.command import command
from connector.cli.output import Output, note
from connector.cli.texts import moment

if TYPE_CHECKING:
    from connector.cli.terms import Loaded
    from connector.odrl.model import Diagnostic
    from connector.odrl.vocabulary import Vocabulary

ODRL_CONTEXT = "http://www.w3.org/ns/odrl.jsonld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a language asks for besides the policy."""

    columns: dict[str, str]
    request: Path | None


_Converted = tuple[str, tuple[str, ...]]
"""The text in the other language, and what is not in it."""


def register(group: typer.Typer) -> None:
    """Add the command to those of `kontor policy`."""
    command(group, "convert", convert, example="kontor policy convert members-only --to cedar")


def convert(
    out: Output,
    policy: Annotated[
        str, typer.Argument(help="A policy of the library by name, or a file (YAML, JSON, Turtle, digital contract).")
    ],
    to: Annotated[str, typer.Option(help="yaml, json-ld, turtle, tds, rego, cedar, sql or dcql.")],
    allow_loss: Annotated[
        bool,
        typer.Option("--allow-loss", help="Exit with 0 although something could not be carried; it is named all the same."),
    ] = False,
    request: Annotated[
        Path | None,
        typer.Option(
            help="For sql: who asks, as JSON: action, party, params{}, claims{}, now, agreed_at; options go before it."
        ),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="OPERAND=COLUMN", help="For sql: the column of an operand; may be repeated.")
    ] = None,
) -> None:
    """Write a policy in another language. What that language cannot hold is named and makes it stricter, never laxer; exit
    code 1 when there is any."""
    from connector.cli.terms import load, vocabulary

    if to not in _LANGUAGES:
        raise typer.BadParameter(f"one of {', '.join(_LANGUAGES)}", param_hint="--to")
    given = Given(columns=dict(_pairs(column or [])), request=request)
    text, lost = _LANGUAGES[to](load(policy), vocabulary(), given)
    out.show({"text": text, "lost": list(lost)}, lambda: print(text, end="" if text.endswith("\n") else "\n"))
    for line in lost:
        note(f"not carried: {line}")
    if lost and not allow_loss:
        raise typer.Exit(1)


def _pairs(given: list[str]) -> Iterator[tuple[str, str]]:
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"`{one}` is not OPERAND=COLUMN", param_hint="--column")
        yield name, value


def _told(found: tuple[Diagnostic, ...]) -> tuple[str, ...]:
    return tuple(f"{one.where}: {one.what}{f'; {one.mend}' if one.mend else ''}" for one in found)


# --- the languages


def _yaml(loaded: Loaded, words: Vocabulary, _: Given) -> _Converted:
    from connector.odrl import yamlwrite

    return yamlwrite.write(loaded.policy, words), _parents(loaded)


def _json_ld(loaded: Loaded, _words: Vocabulary, _: Given) -> _Converted:
    from connector.odrl.wire import Shape, write

    tree = {"@context": ODRL_CONTEXT, **write(loaded.policy, Shape.ODRL)}
    return json.dumps(tree, indent=2, ensure_ascii=False), _parents(loaded)


def _turtle(loaded: Loaded, _words: Vocabulary, _: Given) -> _Converted:
    from connector.cli.policy_turtle import turtle

    return turtle(loaded.policy), _parents(loaded)


def _parents(loaded: Loaded) -> tuple[str, ...]:
    return tuple(f"{uid}: the policy beside it in its file; convert it by itself" for uid in loaded.parents)


def _tds(loaded: Loaded, words: Vocabulary, _: Given) -> _Converted:
    from connector.cli.terms import contract_dictionary
    from connector.odrl import tds

    tree = tds.write(loaded.policy, contract_dictionary(words))
    for line in tds.notes(loaded.policy):
        note(line)
    return json.dumps(tree, indent=2, ensure_ascii=False), ()


def _rego(loaded: Loaded, words: Vocabulary, _: Given) -> _Converted:
    from connector.odrl.export import rego
    from connector.odrl.export.logic import logic

    found = logic(loaded.policy, words, loaded.parents)
    return rego.write(found, _title(loaded)), _told(found.lost)


def _cedar(loaded: Loaded, words: Vocabulary, _: Given) -> _Converted:
    from connector.odrl.export import cedar
    from connector.odrl.export.logic import logic

    found = logic(loaded.policy, words, loaded.parents)
    text, lost = cedar.write(found, _title(loaded))
    return text, _told((*found.lost, *lost))


def _sql(loaded: Loaded, words: Vocabulary, given: Given) -> _Converted:
    from connector.cli.policy_request import request_in
    from connector.odrl.export.sql import row_filter
    from connector.odrl.truth import Request, World

    asked, world = Request(), World(now=datetime.now(UTC))
    if given.request is not None:
        asking = request_in(given.request)
        asked, besides = asking.rules[0].request, asking.besides
        world = World(
            now=moment(besides["now"], f"{given.request} now") if "now" in besides else world.now,
            claims=besides.get("claims", {}),
            agreed_at=moment(besides["agreed_at"], f"{given.request} agreed_at") if "agreed_at" in besides else None,
        )
    found = row_filter(loaded.policy, words, asked, world, given.columns)
    return found.text, _told(found.lost)


def _dcql(loaded: Loaded, words: Vocabulary, _: Given) -> _Converted:
    from connector.odrl.export.dcql import query

    tree, lost = query(loaded.policy, words)
    return json.dumps(tree, indent=2, ensure_ascii=False), _told(lost)


def _title(loaded: Loaded) -> str:
    return f"{loaded.policy.uid or loaded.name}, from ODRL"


_LANGUAGES: dict[str, Callable[[Loaded, Vocabulary, Given], _Converted]] = {
    "yaml": _yaml,
    "json-ld": _json_ld,
    "turtle": _turtle,
    "tds": _tds,
    "rego": _rego,
    "cedar": _cedar,
    "sql": _sql,
    "dcql": _dcql,
}
