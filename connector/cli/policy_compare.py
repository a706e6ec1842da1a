"""`kontor policy contains`, `diff` and `check`: policies compared on this machine, without a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector.odrl.analyse.witness import Witness
    from connector.odrl.truth import Usage

_NAMED = "a policy of the library by name, or a file (YAML, JSON)"
Terms = Annotated[str, typer.Argument(help=f"What is allowed: {_NAMED}.")]
Asked = Annotated[str, typer.Argument(help=f"What is asked for: {_NAMED}.")]
Old = Annotated[str, typer.Argument(help=f"The policy before: {_NAMED}.")]
New = Annotated[str, typer.Argument(help=f"The policy after: {_NAMED}.")]
One = Annotated[str, typer.Argument(help=f"What to look at: {_NAMED}.")]
Against = Annotated[
    list[str] | None,
    typer.Option(help="A profile: base, dsp, catena-x, tds, or a file of your own; may be repeated."),
]


def register(group: typer.Typer) -> None:
    """Add the commands to those of `kontor policy`."""
    command(group, "contains", contains, example="kontor policy contains open members-only")
    command(group, "diff", diff, example="kontor policy diff old.yaml new.yaml")
    command(group, "check", check, example="kontor policy check my-terms.yaml --against catena-x")


def contains(out: Output, terms: Terms, asked: Asked) -> None:
    """Say whether one policy permits everything that another permits; a no comes with a request that shows it."""
    from connector.cli.terms import load, vocabulary, whole
    from connector.odrl.analyse.contain import contains as compared

    found = compared(whole(load(terms)), whole(load(asked)), vocabulary())
    witness = None if found.witness is None else _witness(found.witness)
    tree = {"answer": found.answer.value, "reasons": list(found.reasons), "witness": witness}
    lines = [f"{found.answer}: {'; '.join(found.reasons)}"]
    if witness is not None:
        lines.append(f"  shown by: {_told(witness)}")
    out.lines(tree, *lines)


def diff(out: Output, old: Old, new: New) -> None:
    """Tell in words what a changed policy permits that it did not, and what it no longer permits."""
    from connector.cli.terms import load, vocabulary, whole
    from connector.odrl.analyse.diff import diff as compared

    found = compared(whole(load(old)), whole(load(new)), vocabulary())
    tree = {
        "is_same": found.is_same,
        "gains": found.gains,
        "loses": found.loses,
        "obligations": list(found.obligations),
        "unknown": list(found.unknown),
    }
    out.lines(tree, found.sentence())


def check(out: Output, policy: One, against: Against = None) -> None:
    """Find what is wrong with a policy: words nobody knows, rules that contradict each other or never matter, and with
    `--against` what a profile does not let it say; exit code 1 when something cannot stand. Tells of each clause who sees to it,
    too: a clause that nobody would enforce is not published."""
    from connector.cli.terms import load, profile, vocabulary, whole
    from connector.odrl.analyse.conflict import check as findings
    from connector.odrl.compile import compile
    from connector.odrl.enforce import Enforcers, enforceability
    from connector.odrl.profile import check as checked
    from connector.odrl.readings import readings

    words = vocabulary()
    try:
        loaded = load(policy)
    except PolicyError as fault:
        row = {"code": fault.flaw, "severity": "error", "where": fault.where, "what": fault.what, "mend": fault.mend}
        line = f"{fault.where}: error {fault.flaw}: {fault.what}{f'; {fault.mend}' if fault.mend else ''}"
        out.lines({"findings": [], "said": [row]}, line)
        raise typer.Exit(1) from fault
    said = list(compile(loaded.policy, words, parents=loaded.parents, has_ledger=True).warnings)
    for name in against or ():
        said += [one for one in checked(loaded.policy, profile(name, words), words) if one not in said]
    merged = whole(loaded)
    said += readings(merged, words)
    said = list({(one.code, one.where, one.what): one for one in said}.values())
    found = findings(merged, words)
    rows = [
        {
            "flaw": one.flaw.value,
            "where": one.where,
            "other": one.other,
            "what": one.what,
            "is_harmful": one.is_harmful,
            "witness": None if one.witness is None else _witness(one.witness),
        }
        for one in found
    ]
    told = [
        {"code": str(one.code), "severity": one.severity.value, "where": one.where, "what": one.what, "mend": one.mend}
        for one in said
    ]
    lines = [f"{one.where}: {one.severity} {one.code}: {one.what}{f'; {one.mend}' if one.mend else ''}" for one in said]
    lines += [f"{one.flaw}: {one.where}{f' and {one.other}' if one.other else ''}: {one.what}" for one in found]
    clauses = enforceability(merged, words, Enforcers())
    lines = lines or ["nothing found: every rule matters and none contradicts another"]
    lines += [f"{' and '.join(one.enforced)}: {one.text}{f' ({one.why})' if one.why else ''}" for one in clauses]
    seen_to = [
        {"where": one.where, "kind": one.kind, "text": one.text, "enforced": list(one.enforced), "why": one.why}
        for one in clauses
    ]
    out.lines({"findings": rows, "said": told, "clauses": seen_to}, *lines)
    if any(one.is_harmful for one in found) or any(one.severity == "error" for one in said):
        raise typer.Exit(1)


def _witness(found: Witness) -> dict[str, Any]:
    """A witness as the request file that `kontor policy evaluate` reads, with what else it supposes."""
    tree: dict[str, Any] = {
        "action": found.request.action,
        "target": found.request.target,
        "party": found.request.party,
        "params": {name: _plain(fact) for name, fact in found.request.params.items()},
        "claims": {name: _plain(fact) for name, fact in found.world.claims.items()},
        "now": found.world.now.isoformat(),
        "agreed_at": found.world.agreed_at.isoformat() if found.world.agreed_at else None,
        "stage": found.stage.value,
        "duties": {name: state.value for name, state in found.world.duties.items()},
        "used": _used(found.world.ledger.total) if found.world.ledger is not None and found.world.ledger.total else {},
    }
    return {name: value for name, value in tree.items() if value not in (None, {})}


def _used(usage: Usage) -> dict[str, Any]:
    """What a witness supposes to be on record, without what is nothing."""
    told: dict[str, Any] = {
        "count": usage.count,
        "metered_s": usage.metered.total_seconds(),
        "first_used_at": usage.first_used_at and usage.first_used_at.isoformat(),
        "last_used_at": usage.last_used_at and usage.last_used_at.isoformat(),
        "triggered_at": usage.triggered_at and usage.triggered_at.isoformat(),
        "paid": " ".join(f"{amount} {unit}" for unit, amount in usage.paid.items()),
        "in the period": " ".join(str(rate.count) for rate in usage.rates.values()),
    }
    return {name: value for name, value in told.items() if value}


def _plain(fact: object) -> Any:
    from connector.odrl.truth import Quantity

    if isinstance(fact, Quantity):
        return {"amount": str(fact.amount), "unit": fact.unit}
    if isinstance(fact, list):
        return [_plain(one) for one in fact]
    return fact if isinstance(fact, (bool, int, float, str)) else str(fact)


def _told(tree: dict[str, Any]) -> str:
    parts = []
    for name, value in tree.items():
        told = ", ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else value
        parts.append(f"{name} {told}")
    return "; ".join(parts)
