"""Requests in Turtle or JSON-LD, as the policy engine reads them.

    odrl:Request                 a policy whose permissions name action, target and assignee; constraints with `eq` say what is so
    EvaluationRequest            of the formal semantics: evaluatedAction, evaluatedParty, evaluatedTarget, and requestParameter
                                 with describesFeature and value; in either namespace that the group has used
    our own shape                JSON: action, target, party, params{}, claims{}, now, agreed_at

Policies are read in `policy_files`, the state of the world in `policy_state`.
Source: ODRL Information Model 2.2, section 2.1; ODRL Formal Semantics (draft), "Evaluation Request".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.cli.policy_files import family_in, graph_of
from connector.cli.policy_state import DRAFT_NAMESPACES
from connector.cli.texts import json_object, read
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.compliance import Asked
    from connector.odrl.model import AnyConstraint, Policy, Value
    from connector.odrl.truth import Request

_OWN_KEYS = frozenset({"action", "target", "party", "params", "claims", "now", "agreed_at"})
_CLOCK_FEATURES = ("CurrentXSDDateTime", "currentTime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request: what is asked, by rule; and what a file of our own shape says besides."""

    uid: str | None = None
    rules: tuple[Asked, ...]
    besides: Mapping[str, Any] = field(default_factory=dict)


def request_in(path: Path) -> Asking:
    """The request in a file: an odrl:Request in Turtle or JSON-LD, or a JSON object of our own shape.

    Raises: PolicyError or BadMessage naming the file and what is wrong in it.
    """
    return request_of(read(path), str(path))


def request_of(text: str, where: str) -> Asking:
    """The request in a text of Turtle, JSON-LD or JSON of our own shape, see `request_in`."""
    from connector.odrl import jsonld
    from connector.odrl.compliance import Asked
    from connector.odrl.truth import Request

    graph = graph_of(text, where)
    if graph is not None:
        drafted = _drafted(graph, where)
        return drafted if drafted is not None else _asking(family_in(graph, where, is_request=True).policy)
    tree = json_object(text, Path(where))
    if not tree.keys() <= _OWN_KEYS:
        return _asking(jsonld.read(tree, where))
    request = Request(
        action=tree.get("action", "use"),
        target=tree.get("target"),
        party=tree.get("party"),
        params=dict(tree.get("params", {})),
    )
    return Asking(rules=(Asked(uid=None, request=request),), besides=tree)


# --- of the draft


def _drafted(graph: rdf.Graph, where: str) -> Asking | None:
    """The one EvaluationRequest in a graph; None when it has none."""
    from connector.odrl.compliance import Asked
    from connector.odrl.truth import Request

    nodes = graph.typed(*(f"{space}EvaluationRequest" for space in DRAFT_NAMESPACES))
    if not nodes:
        return None
    if len(nodes) > 1:
        raise PolicyError(
            f"{len(nodes)} where one request belongs", where=where, mend="put one EvaluationRequest into the file"
        )
    node = nodes[0]
    params: dict[str, object] = {}
    besides: dict[str, Any] = {}
    for name in ("requestParameter", "requestParameters", "context"):
        for parameter in _drafted_values(graph, node, name):
            feature, value = (_one(graph, parameter, each) for each in ("describesFeature", "value"))
            if feature is None or value is None:
                raise PolicyError("a parameter without feature or value", where=where, mend="name describesFeature and value")
            if feature in _CLOCK_FEATURES:
                besides["now"] = value
            else:
                params[feature] = value
    request = Request(
        action=_one(graph, node, "evaluatedAction", "requestedAction") or "use",
        party=_one(graph, node, "evaluatedParty", "requestingParty"),
        target=_one(graph, node, "evaluatedTarget", "requestedTarget"),
        params=params,
    )
    return Asking(uid=getattr(node, "text", None), rules=(Asked(uid=None, request=request),), besides=besides)


def _one(graph: rdf.Graph, node: rdf.Term, *names: str) -> str | None:
    """The one value that a node has under one of these names of the draft, in house spelling."""
    from connector import rdf
    from connector.odrl.terms import term

    for name in names:
        for value in _drafted_values(graph, node, name):
            text = f"_:{value.label}" if isinstance(value, rdf.Blank) else value.text
            spaces = tuple(space for space in DRAFT_NAMESPACES if text.startswith(space))
            return text.removeprefix(spaces[0]) if spaces else term(text)
    return None


def _drafted_values(graph: rdf.Graph, node: rdf.Term, name: str) -> tuple[rdf.Term, ...]:
    return tuple(value for space in DRAFT_NAMESPACES for value in graph.values(node, space + name))


# --- of the vocabulary


def _asking(policy: Policy) -> Asking:
    from connector.odrl.compliance import Asked
    from connector.odrl.expand import atomic
    from connector.odrl.truth import Request

    rules = []
    for one in atomic(policy.permissions, policy):
        request = Request(
            action=one.action.name if one.action else "use",
            target=(one.target.uid or one.target.source) if one.target else None,
            party=(one.assignee.uid or one.assignee.source) if one.assignee else None,
            params=_params((*one.rule.constraints, *(one.action.refinements if one.action else ()))),
        )
        rules.append(Asked(uid=one.rule.uid, request=request))
    if not rules:
        raise PolicyError("a request without a permission", where=policy.where, mend="name action, target and assignee in one")
    return Asking(uid=policy.uid, rules=tuple(rules))


def _params(constraints: tuple[AnyConstraint, ...]) -> dict[str, object]:
    """What a request says of itself: its constraints with `eq`."""
    from connector.odrl.model import Constraint, Operator

    found: dict[str, object] = {}
    for one in constraints:
        if not isinstance(one, Constraint) or one.operator is not Operator.EQ or not one.right:
            raise PolicyError(
                "a request that is not exact", where=one.where, mend="say what is so: one operand, `eq`, its value"
            )
        values = tuple(_fact(value, one.unit) for value in one.right)
        found[one.left] = values[0] if len(values) == 1 else values
    return found


def _fact(value: Value, unit: Value | None) -> object:
    from connector.odrl.truth import Quantity
    from connector.odrl.values import parse_decimal

    number: Decimal | None = parse_decimal(value.text) if unit is not None else None
    return value.text if number is None or unit is None else Quantity(amount=number, unit=unit.text)


def narrowed(asking: Asking, action: str | None, purpose: str | None, party: str | None) -> Asking:
    """The request with what the command line says instead."""

    def one(request: Request) -> Request:
        params = {**request.params, "purpose": purpose} if purpose is not None else request.params
        return replace(request, action=action or request.action, party=party or request.party, params=params)

    return replace(asking, rules=tuple(replace(each, request=one(each.request)) for each in asking.rules))
