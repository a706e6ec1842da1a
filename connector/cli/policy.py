"""`kontor policy evaluate` and `kontor policy explain`: the engine on this machine, without a node.

Reading Turtle and JSON-LD is in `policy_files` and `policy_state`, writing reports in `policy_report`, and running folders of
test cases in `policy_conformance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli import policy_compare, policy_convert, policy_test
from connector.cli.command import command
from connector.cli.output import Output
from connector.cli.policy_conformance import conformance
from connector.cli.texts import moment
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector.cli.policy_request import Asking
    from connector.cli.policy_state import State
    from connector.odrl.model import AnyConstraint, Constraint, Duty, Permission, Policy, Prohibition
    from connector.odrl.truth import Decision, World
    from connector.odrl.vocabulary import Operand, Vocabulary

Named = Annotated[str, typer.Option("--policy", help="A policy of the library by name, or a file (YAML, JSON, Turtle).")]
_FORMATS = ("text", "json", "turtle", "draft")

_SOURCES = {
    "clock": "the clock",
    "request": "what the request says",
    "party": "who is asking",
    "claim": "what is attested about who is asking",
    "ledger": "the record of past use",
}


def register(app: typer.Typer) -> None:
    """Add `policy` to the commands."""
    group = typer.Typer(help="Policies, read and judged on this machine.", no_args_is_help=True, rich_markup_mode=None)
    example = "kontor policy evaluate --policy members-only --purpose research --claim membership=active"
    command(group, "evaluate", evaluate, example=example)
    command(group, "explain", explain, example="kontor policy explain --policy members-only")
    command(group, "conformance", conformance, example="kontor policy conformance odrl-tests")
    policy_compare.register(group)
    policy_test.register(group)
    policy_convert.register(group)
    app.add_typer(group, name="policy")


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
    asking = narrowed(_asking(request), action, purpose, party)
    known = state_in(state, words_known) if state is not None else None
    world = _world(asking, known, claim or [], at)
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


def explain(out: Output, policy: Named) -> None:
    """Tell in words what a policy allows, and for each condition who knows the answer and when it is judged."""
    from connector.cli.terms import load, vocabulary

    loaded = load(policy)
    rows = list(_rules(loaded.policy, vocabulary()))
    lines = [f"{loaded.name}"]
    for row in rows:
        lines.append(f"{'  ' * row['depth']}{row['text']}")
        if row["known"]:
            lines.append(f"{'  ' * row['depth']}    {row['known']}")
    out.lines({"name": loaded.name, "rules": rows, "policy": loaded.tree}, *lines)


def _asking(request: Path | None) -> Asking:
    """What is asked, from the file."""
    from connector.cli.policy_request import Asking, request_in
    from connector.odrl.compliance import Asked
    from connector.odrl.truth import Request

    return request_in(request) if request is not None else Asking(rules=(Asked(uid=None, request=Request()),))


def _world(asking: Asking, state: State | None, claims: list[str], at: str | None) -> World:
    """What is known, from the state of the world, the request's file and the options."""
    from connector.odrl.truth import World

    attested = dict(asking.besides.get("claims", {}))
    for one in claims:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"`{one}` is not NAME=VALUE", param_hint="--claim")
        attested[name] = [value] if name not in attested else [*_list(attested[name]), value]
    stated = at or asking.besides.get("now")
    agreed = asking.besides.get("agreed_at")
    world = state.about(one.request for one in asking.rules) if state is not None else World(now=datetime.now(UTC))
    return replace(
        world,
        now=_stated(stated) if stated else world.now,
        claims=attested,
        agreed_at=moment(agreed, "agreed_at") if agreed else None,
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _stated(text: str) -> datetime:
    try:
        return moment(text, "--at")
    except PolicyError as fault:
        raise typer.BadParameter(f"{fault.what}; {fault.mend}", param_hint="--at") from fault


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


def _rules(policy: Policy, words: Vocabulary) -> Iterator[dict[str, Any]]:
    """The rules and conditions of a policy, each with its depth, in words."""
    for title, rules in (("may", policy.permissions), ("must not", policy.prohibitions), ("must", policy.obligations)):
        for rule in rules:
            yield from _rule(title, rule, words, 1)


def _rule(title: str, rule: Permission | Prohibition | Duty, words: Vocabulary, depth: int) -> Iterator[dict[str, Any]]:
    acts = ", ".join(one.name for one in rule.actions) or "use"
    unknown = [one.name for one in rule.actions if words.action(one.name) is None]
    doubt = f"unknown action: {', '.join(unknown)}; whatever it is, it is refused" if unknown else ""
    yield {"depth": depth, "text": f"{title} {acts}{', when' if rule.constraints else ''}", "known": doubt}
    for constraint in rule.constraints:
        yield from _condition(constraint, words, depth + 1)
    # the duties of a permission, the remedies of a prohibition, the consequences of a duty
    for name, inner in (("duties", "after it"), ("remedies", "else it"), ("consequences", "else it")):
        for duty in getattr(rule, name, ()):
            yield from _rule(f"{inner} must", duty, words, depth + 1)


def _condition(one: AnyConstraint, words: Vocabulary, depth: int) -> Iterator[dict[str, Any]]:
    from connector.odrl.model import LogicalConstraint

    if isinstance(one, LogicalConstraint):
        join = {"and": "all of", "or": "at least one of", "xone": "exactly one of", "andSequence": "one after the other"}
        yield {"depth": depth, "text": join[one.operand.value], "known": ""}
        for member in one.members:
            yield from _condition(member, words, depth + 1)
        return
    operand = words.operand(one.left)
    label = (operand.label or operand.name) if operand else one.left
    right = ", ".join(value.text for value in one.right) or ", ".join(one.right_references)
    unit = f" {one.unit.text}" if one.unit else ""
    yield {"depth": depth, "text": f"{label} {one.operator} {right}{unit}", "known": _known(one, operand, words)}


def _known(one: Constraint, operand: Operand | None, words: Vocabulary) -> str:
    """Who knows the left side, and when."""
    from connector.odrl.truth import STAGE_ORDER

    if operand is None:
        return f"unknown left operand: nobody can judge it, so it never holds; {words.hint_operand(one.left)}"
    if operand.is_legal_only:
        return "agreed, and not judged by a machine"
    sources = " or ".join(dict.fromkeys(_SOURCES.get(source.kind.value, source.kind.value) for source in operand.sources))
    stages = sorted(operand.stages, key=STAGE_ORDER.__getitem__)
    said = operand.text.get("en", "")
    return f"{f'{said}; ' if said else ''}known from {sources or 'nobody'}; judged from `{stages[0]}` on" if stages else said
