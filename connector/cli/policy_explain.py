"""`kontor policy explain`: a policy in words, each condition with who knows it and when, and with its value where one is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.output import Output
from connector.cli.policy_asked import asked, known_world

if TYPE_CHECKING:
    from connector.odrl.model import AnyConstraint, Constraint, Duty, Permission, Policy, Prohibition
    from connector.odrl.truth import Decision, Reason
    from connector.odrl.vocabulary import Operand, Vocabulary

Named = Annotated[str, typer.Option("--policy", help="A policy of the library by name, or a file (YAML, JSON, Turtle).")]
_SOURCES = {
    "clock": "the clock",
    "request": "what the request says",
    "party": "who is asking",
    "claim": "what is attested about who is asking",
    "ledger": "the record of past use",
    "computed": "a part that the settings name",
}


def explain(
    out: Output,
    policy: Named,
    request: Annotated[
        Path | None,
        typer.Option(
            help="Show the value of each condition for this request: JSON (action, party, params{}, claims{}, now) or odrl:Request."
        ),
    ] = None,
    state: Annotated[Path | None, typer.Option(help="The state of the world as Turtle or JSON-LD.")] = None,
    claim: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Show values for who has this attested; may be repeated.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Show values at this moment, as 2027-01-31T12:00:00Z.")] = None,
) -> None:
    """Tell in words what a policy allows, and for each condition who knows the answer and when it is judged; with a request,
    claims or a moment also its value."""
    from connector.cli.terms import load, vocabulary

    loaded, words = load(policy), vocabulary()
    decision: Decision | None = None
    if request is not None or state is not None or claim or at:
        decision = _decided(loaded.policy, loaded.parents, words, request, state, claim or [], at)
    seen = {reason.where: reason for reason in decision.reasons} if decision is not None else {}
    rows = list(_rules(loaded.policy, words, seen))
    lines = [f"{loaded.name}{f': {decision.effect}' if decision is not None else ''}"]
    for row in rows:
        value = f"   [{row['value']}]" if row["value"] else ""
        lines.append(f"{'  ' * row['depth']}{row['text']}{value}")
        if row["known"]:
            lines.append(f"{'  ' * row['depth']}    {row['known']}")
    tree = {"name": loaded.name, "rules": rows, "policy": loaded.tree}
    out.lines(tree | ({"effect": decision.effect.value} if decision is not None else {}), *lines)


def _decided(
    policy: Policy,
    parents: Mapping[str, Policy],
    words: Vocabulary,
    request: Path | None,
    state: Path | None,
    claims: list[str],
    at: str | None,
) -> Decision:
    from connector.cli.policy_state import state_in
    from connector.odrl.compile import compile
    from connector.odrl.evaluate import decide
    from connector.odrl.model import PolicyType
    from connector.odrl.truth import Stage

    asking = asked(request)
    world = known_world(asking, state_in(state, words) if state is not None else None, claims, at)
    judged = replace(policy, type=PolicyType.AGREEMENT)
    compiled = compile(judged, words, parents=parents, has_ledger=world.ledger is not None)
    return decide(compiled, asking.rules[0].request, world, stage=Stage.REQUEST, trace=True)


def _rules(policy: Policy, words: Vocabulary, seen: Mapping[str, Reason]) -> Iterator[dict[str, Any]]:
    """The rules and conditions of a policy, each with its depth, in words."""
    for title, rules in (("may", policy.permissions), ("must not", policy.prohibitions), ("must", policy.obligations)):
        for rule in rules:
            yield from _rule(title, rule, words, seen, 1)


def _rule(
    title: str, rule: Permission | Prohibition | Duty, words: Vocabulary, seen: Mapping[str, Reason], depth: int
) -> Iterator[dict[str, Any]]:
    acts = ", ".join(one.name for one in rule.actions) or "use"
    unknown = [one.name for one in rule.actions if words.action(one.name) is None]
    doubt = f"unknown action: {', '.join(unknown)}; whatever it is, it is refused" if unknown else ""
    yield {
        "depth": depth,
        "text": f"{title} {acts}{', when' if rule.constraints else ''}",
        "known": doubt,
        "value": _value(seen.get(rule.where)),
    }
    for action in rule.actions:
        for refinement in action.refinements:
            yield from _condition(refinement, words, seen, depth + 1)
    for constraint in rule.constraints:
        yield from _condition(constraint, words, seen, depth + 1)
    # the duties of a permission, the remedies of a prohibition, the consequences of a duty
    for name, inner in (("duties", "after it"), ("remedies", "else it"), ("consequences", "else it")):
        for duty in getattr(rule, name, ()):
            yield from _rule(f"{inner} must", duty, words, seen, depth + 1)


def _condition(one: AnyConstraint, words: Vocabulary, seen: Mapping[str, Reason], depth: int) -> Iterator[dict[str, Any]]:
    from connector.odrl.model import LogicalConstraint

    if isinstance(one, LogicalConstraint):
        join = {"and": "all of", "or": "at least one of", "xone": "exactly one of", "andSequence": "one after the other"}
        yield {"depth": depth, "text": join[one.operand.value], "known": "", "value": _value(seen.get(one.where))}
        for member in one.members:
            yield from _condition(member, words, seen, depth + 1)
        return
    operand = words.operand(one.left)
    label = (operand.label or operand.name) if operand else one.left
    right = ", ".join(value.text for value in one.right) or ", ".join(one.right_references)
    unit = f" {one.unit.text}" if one.unit else ""
    text = f"{label} {one.operator} {right}{unit}"
    yield {"depth": depth, "text": text, "known": _known(one, operand, words), "value": _value(seen.get(one.where))}


def _value(reason: Reason | None) -> str:
    """How a condition or a rule came out, and what was there; empty where nothing was looked at."""
    if reason is None:
        return ""
    if not reason.operand:
        return reason.state.value
    found = ", ".join(reason.value) if reason.value else reason.detail or "not known"
    return f"{reason.state}: it is {found}" if reason.value else f"{reason.state}: {found}"


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
