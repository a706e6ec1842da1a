"""`kontor policy needs`: what is still needed before a policy permits a request, or what would have to be other than it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.policy_asked import asked, known_world
from connector.cli.policy_explain import Named

if TYPE_CHECKING:
    from connector.odrl.analyse.residual import Need, Residual


def register(group: typer.Typer) -> None:
    """Add the command to those of `kontor policy`."""
    command(group, "needs", needs, example="kontor policy needs --policy members-only --purpose research")


def needs(
    out: Output,
    policy: Named,
    request: Annotated[
        Path | None, typer.Option(help="What is known: JSON (action, target, party, params{}, claims{}, now) or odrl:Request.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="What is to be done; `use` when left out.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What the data is wanted for.")] = None,
    party: Annotated[str | None, typer.Option(help="Participant id of who is asking.")] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Something attested; may be repeated.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="At this moment instead of now, as 2027-01-31T12:00:00Z.")
    ] = None,
    stage: Annotated[
        str, typer.Option(help="When it is asked: publish, catalog, negotiate, agree, transfer, ongoing, request or after.")
    ] = "request",
) -> None:
    """Say what is still needed before a policy permits a request of which not everything is known; and where that would not help,
    what would have to be other than it is. Each way is enough by itself, the shortest come first."""
    from connector.cli.policy_request import narrowed
    from connector.cli.terms import load, vocabulary, whole
    from connector.odrl.analyse.residual import residual
    from connector.odrl.model import PolicyType
    from connector.odrl.truth import Stage

    if stage not in list(Stage):
        raise typer.BadParameter(f"one of {', '.join(Stage)}", param_hint="--stage")
    asking = narrowed(asked(request), action, purpose, party)
    world = known_world(asking, None, claim or [], at)
    agreed = replace(whole(load(policy)), type=PolicyType.AGREEMENT)
    found = residual(agreed, asking.rules[0].request, world, vocabulary(), stage=Stage(stage))
    out.lines(_tree(found), *_lines(found))


def _lines(found: Residual) -> Iterator[str]:
    yield f"{found.answer}: {'; '.join(found.reasons)}"
    for number, way in enumerate(found.ways):
        yield f"  {'or' if number else 'either'}"
        for need in way:
            yield f"    {need.what}: {need.how}{f' (it is {need.now})' if need.now else ''}"


def _tree(found: Residual) -> dict[str, Any]:
    return {
        "answer": found.answer.value,
        "reasons": list(found.reasons),
        "ways": [[_need(need) for need in way] for way in found.ways],
    }


def _need(need: Need) -> dict[str, str]:
    tree = {"what": need.what, "how": need.how, "operand": need.operand, "now": need.now}
    return {name: text for name, text in tree.items() if text}
