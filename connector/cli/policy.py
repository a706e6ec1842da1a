"""`kontor policy evaluate` and `kontor policy explain`: the engine on this machine, without a node."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.command import command
from connector.cli.output import Output

if TYPE_CHECKING:
    from connector.odrl.model import AnyConstraint, Constraint, Duty, Permission, Policy, Prohibition
    from connector.odrl.truth import Decision, Request, World
    from connector.odrl.vocabulary import Operand, Vocabulary

Named = Annotated[str, typer.Option("--policy", help="A policy of the library by name, or a file (YAML, JSON).")]

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
    app.add_typer(group, name="policy")


def evaluate(
    out: Output,
    policy: Named,
    request: Annotated[
        Path | None, typer.Option(help="JSON file: action, target, party, params{}, claims{}, now, agreed_at; options go before it.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="What is to be done; `use` when left out.")] = None,
    purpose: Annotated[str | None, typer.Option(help="What the data is wanted for.")] = None,
    party: Annotated[str | None, typer.Option(help="Participant id of who is asking.")] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Something attested; may be repeated.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Judge at this moment instead of now, as 2027-01-31T12:00:00Z.")] = None,
    stage: Annotated[
        str, typer.Option(help="When it is asked: publish, catalog, negotiate, agree, transfer, ongoing, request or after.")
    ] = "request",
) -> None:  # fmt: skip
    """Say whether a policy permits a request, and why. An agreement is supposed: an offer alone permits nothing."""
    from dataclasses import replace

    from connector.cli.terms import load, vocabulary
    from connector.odrl.evaluate import decide
    from connector.odrl.explain import report
    from connector.odrl.model import PolicyType
    from connector.odrl.truth import Stage

    if stage not in list(Stage):
        raise typer.BadParameter(f"one of {', '.join(Stage)}", param_hint="--stage")
    asked, world = _question(request, action, purpose, party, claim or [], at)
    judged = replace(load(policy).policy, type=PolicyType.AGREEMENT)
    decision = decide(judged, asked, world, vocabulary(), stage=Stage(stage), trace=True)
    tree = report(decision)
    out.lines(tree, f"{decision.effect}: {tree['sentence']}", *_premises(decision))


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


def _question(
    request: Path | None, action: str | None, purpose: str | None, party: str | None, claims: list[str], at: str | None
) -> tuple[Request, World]:
    """What is asked, from the file and the options."""
    from connector.cli.terms import json_object, read
    from connector.odrl.truth import Request, World

    tree = json_object(read(request), request) if request is not None else {}
    attested = dict(tree.get("claims", {}))
    for one in claims:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"`{one}` is not NAME=VALUE", param_hint="--claim")
        attested[name] = [value] if name not in attested else [*_list(attested[name]), value]
    params = dict(tree.get("params", {})) | ({"purpose": purpose} if purpose is not None else {})
    agreed_at = _moment(tree["agreed_at"], "agreed_at") if tree.get("agreed_at") else None
    now = _moment(at or tree["now"], "--at") if at or tree.get("now") else datetime.now(UTC)
    asked = Request(
        action=action or tree.get("action", "use"), target=tree.get("target"), party=party or tree.get("party"), params=params
    )
    return asked, World(now=now, claims=attested, agreed_at=agreed_at)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as fault:
        raise typer.BadParameter(f"`{text}` is no moment; write it as 2027-01-31T12:00:00Z", param_hint=where) from fault
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _premises(decision: Decision) -> Iterator[str]:
    """One line for each condition that was looked at, and one for each that was not."""
    for one in decision.reasons:
        if one.operand:
            value = ", ".join(one.value) if one.value else one.detail or "not known"
            yield f"  {one.state:<12}{one.operand} {one.operator} {', '.join(one.right)}  (it is: {value})  {one.where}"
        else:
            yield f"  {one.state:<12}{one.detail or one.code}  {one.where}"
    for later in decision.deferred:
        yield f"  {'later':<12}{later.operand}: {later.detail}  {later.where}"
    for missing in decision.missing:
        yield f"  {'missing':<12}{missing.operand}: {missing.how}"


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
