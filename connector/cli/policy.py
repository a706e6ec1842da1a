"""`kontor policy evaluate` and `kontor policy explain`: the engine on this machine, without a node.

Reading Turtle and JSON-LD is in `policy_files` and `policy_state`, writing reports in `policy_report`, and running folders of
test cases in `policy_conformance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli import policy_compare, policy_convert, policy_needs, policy_simulate, policy_test
from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.policy_asked import asked, known_world
from connector.cli.policy_conformance import conformance
from connector.cli.policy_explain import Named, explain

if TYPE_CHECKING:
    from connector.odrl.truth import Decision

_FORMATS = ("text", "json", "turtle", "draft")


def register(app: typer.Typer) -> None:
    """Add `policy` to the commands."""
    group = typer.Typer(help="Policies, read and judged on this machine.", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_policy)
    example = "kontor policy evaluate --policy members-only --purpose research --claim membership=active"
    command(group, "evaluate", evaluate, example=example)
    command(group, "explain", explain, example="kontor policy explain --policy members-only --claim membership=active")
    command(group, "conformance", conformance, example="kontor policy conformance odrl-tests")
    policy_needs.register(group)
    policy_compare.register(group)
    policy_test.register(group)
    policy_convert.register(group)
    policy_simulate.register(group)
    app.add_typer(group, name="policy")


def _policy(
    config: Annotated[
        Path | None, typer.Option("--config", help="A node's configuration file: its own profiles and plugins count, too.")
    ] = None,
) -> None:
    """Policies, read and judged on this machine."""
    from connector.cli.terms import OWN

    OWN.set(config)


def evaluate(
    out: Output,
    policy: Named,
    request: Annotated[
        Path | None,
        typer.Option(
            help="An odrl:Request as Turtle or JSON-LD, or JSON: action, target, party, params{}, claims{}, now, agreed_at; "
            "options go before it."
        ),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="The state of the world as Turtle or JSON-LD: time, memberships, duties, past use.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="What is to be done; `use` when left out.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What the data is wanted for.")] = None,
    party: Annotated[str | None, typer.Option(help="Participant id of who is asking.")] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Something attested; may be repeated.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Judge at this moment instead of now, as 2027-01-31T12:00:00Z.")] = None,
    stage: Annotated[
        str, typer.Option(help="When it is asked: publish, catalog, negotiate, agree, transfer, ongoing, request or after.")
    ] = "request",
    duty_mode: Annotated[
        str, typer.Option(help="A duty blocks until it is fulfilled (require-fulfilled), or once it is violated (unless-violated).")
    ] = "require-fulfilled",
    shape: Annotated[
        str | None, typer.Option("--format", help="text, json, turtle (a compliance report), or draft (the same as W3C's draft has it).")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the sentence: en, de or zh.")] = "en",
) -> None:  # fmt: skip
    """Say whether a policy permits a request, and why. An agreement is supposed: an offer alone permits nothing."""
    from connector.cli.policy_request import narrowed
    from connector.cli.policy_state import state_in
    from connector.cli.terms import load, vocabulary
    from connector.odrl.compile import compile
    from connector.odrl.evaluate import decide
    from connector.odrl.explain import report
    from connector.odrl.model import PolicyType
    from connector.odrl.phrases import Language
    from connector.odrl.truth import DutyMode, Stage

    for word, words, option in (
        (stage, Stage, "--stage"),
        (duty_mode, DutyMode, "--duty-mode"),
        (shape or "text", _FORMATS, "--format"),
        (language, Language, "--language"),
    ):
        if word not in list(words):
            raise typer.BadParameter(f"one of {', '.join(words)}", param_hint=option)
    words_known = vocabulary()
    loaded = load(policy)
    asking = narrowed(asked(request), action, purpose, party)
    known = state_in(state, words_known) if state is not None else None
    world = known_world(asking, known, claim or [], at)
    if known is not None:
        asking = replace(asking, rules=tuple(replace(one, request=known.asked(one.request)) for one in asking.rules))
    judged = replace(known.told(loaded.policy) if known is not None else loaded.policy, type=PolicyType.AGREEMENT)
    compiled = compile(judged, words_known, parents=loaded.parents, has_ledger=world.ledger is not None)
    if shape in ("turtle", "draft"):
        from connector.cli import policy_report, policy_report_draft
        from connector.odrl.compliance import comply

        found = comply(compiled, asking.uid, asking.rules, world, duty_mode=DutyMode(duty_mode))
        print((policy_report if shape == "turtle" else policy_report_draft).turtle(found, known))
        return
    decisions = [
        decide(compiled, one.request, world, stage=Stage(stage), duty_mode=DutyMode(duty_mode), trace=True)
        for one in asking.rules
    ]
    trees = [report(decision, language=Language(language)) for decision in decisions]
    lines = [
        line
        for decision, tree in zip(decisions, trees, strict=True)
        for line in (f"{decision.effect}: {tree['sentence']}", *_premises(decision))
    ]
    told = Output(as_json=out.as_json or shape == "json")
    told.lines(trees[0] if len(trees) == 1 else {"decisions": trees}, *lines)


def _premises(decision: Decision) -> Iterator[str]:
    """One line for each condition that was looked at, and one for each that was not."""
    for one in decision.reasons:
        if one.operand:
            value = ", ".join(one.value) if one.value else one.detail or "not known"
            yield f"  {one.state:<12}{one.label or one.operand} {one.operator} {', '.join(one.right)}  (it is: {value})  {one.where}"
        else:
            yield f"  {one.state:<12}{one.detail or one.code}  {one.where}"
    for later in decision.deferred:
        yield f"  {'later':<12}{later.operand}: {later.detail}  {later.where}"
    for missing in decision.missing:
        yield f"  {'missing':<12}{missing.label or missing.operand}: {missing.how}"
