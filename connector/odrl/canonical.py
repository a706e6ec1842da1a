"""Equality beyond spelling: one text for all the ways to write the same policy.

Left aside: the order of rules, constraints and values (save in andSequence), duplicates, array or single value, prefixes,
blank node identifiers, the types of inner nodes, an `and` where a conjunction stands anyway, string or IRI. Kept: every
term, every value with its type, every identifier of a rule or constraint, every property that ODRL does not know.
It is no proof of equal meaning: `dateTime < 2027` and `dateTime <= 2026-12-31T23:59:59Z` differ here. See `compare` for that.
Source: DSP 2025-1, Contract Negotiation Protocol (an agreement holds the terms of the offer it was made of).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from connector.odrl.jsonld import read
from connector.odrl.model import (
    XSD,
    ActionRef,
    AnyConstraint,
    AssetRef,
    Duty,
    Extra,
    LogicalConstraint,
    LogicalOperand,
    PartyRef,
    Permission,
    Policy,
    Rule,
    Shared,
    Value,
)
from connector.odrl.terms import term
from connector.odrl.wire import extra_tree


class Part(StrEnum):
    """Properties of a policy as a whole that may be left aside in a comparison."""

    UID = "@id"
    TYPE = "@type"
    ASSIGNER = "assigner"
    ASSIGNEE = "assignee"
    TARGET = "target"
    TIMESTAMP = "timestamp"


OFFER_TO_AGREEMENT = frozenset(Part)
"""What lawfully differs between an offer and the agreement made of it. `roles_differ` says whether it contradicts."""


def canonical(policy: Policy | object, ignore: frozenset[Part] = frozenset()) -> str:
    """The canonical text of a policy, or of the JSON tree of one.

    Raises: PolicyError when a tree is no policy.
    """
    found = policy if isinstance(policy, Policy) else read(policy)
    tree = _holder(found)
    tree |= {
        Part.TYPE: found.type,
        "profile": sorted(set(found.profiles)),
        "inheritFrom": sorted(set(found.inherit_from)),
        "isReplacedBy": sorted(set(found.replaced_by)),
        "conflict": sorted(set(found.conflicts) - {"invalid"} if len(set(found.conflicts)) == 1 else set(found.conflicts)),
        Part.TIMESTAMP: found.timestamp,
        "permission": _set(_rule(rule) for rule in found.permissions),
        "prohibition": _set(_rule(rule) for rule in found.prohibitions),
        "obligation": _set(_rule(rule) for rule in found.obligations),
    }
    return _dump({key: value for key, value in _slim(tree).items() if key not in ignore})


def digest(policy: Policy | object, ignore: frozenset[Part] = frozenset()) -> str:
    """The SHA-256 of the canonical text, as `sha256:` and hexadecimal digits.

    Raises: PolicyError when a tree is no policy.
    """
    return "sha256:" + hashlib.sha256(canonical(policy, ignore).encode("utf-8", "surrogatepass")).hexdigest()


def same(a: Policy | object, b: Policy | object, ignore: frozenset[Part] = OFFER_TO_AGREEMENT) -> bool:
    """True when two policies say the same but for the parts in `ignore`; by default as an offer and its agreement do.

    Raises: PolicyError when a tree is no policy.
    """
    return canonical(a, ignore) == canonical(b, ignore)


def roles_differ(a: Policy | object, b: Policy | object) -> tuple[str, ...]:
    """Which of target, assigner and assignee both policies name, and name differently.

    Raises: PolicyError when a tree is no policy.
    """
    first = a if isinstance(a, Policy) else read(a)
    second = b if isinstance(b, Policy) else read(b)
    pairs: dict[str, tuple[tuple[AssetRef | PartyRef, ...], tuple[AssetRef | PartyRef, ...]]] = {
        "target": (first.targets, second.targets),
        "assigner": (first.assigners, second.assigners),
        "assignee": (first.assignees, second.assignees),
    }
    return tuple(name for name, (x, y) in pairs.items() if x and y and _set(map(_reference, x)) != _set(map(_reference, y)))


def constraint_text(constraint: AnyConstraint) -> str:
    """The canonical text of one constraint."""
    return _dump(_constraint(constraint))


def rule_text(rule: Rule) -> str:
    """The canonical text of one rule."""
    return _dump(_rule(rule))


def _dump(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _slim(tree: dict[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in tree.items() if value not in (None, [], "", {})}


def _set(items: Iterable[Any]) -> list[Any]:
    found = {_dump(item): item for item in items}
    return [found[key] for key in sorted(found)]


def _holder(holder: Shared) -> dict[str, Any]:
    return {
        "@id": _node_id(holder.uid),
        "action": _set(_action(action) for action in holder.actions),
        "target": _set(_reference(asset) for asset in holder.targets),
        "assigner": _set(_reference(party) for party in holder.assigners),
        "assignee": _set(_reference(party) for party in holder.assignees),
        "functions": _set([function.name, _reference(function.party)] for function in holder.functions),
        "relations": _set([relation.name, _reference(relation.asset)] for relation in holder.relations),
        "extra": _extra(holder.extra),
    }


def _rule(rule: Rule) -> dict[str, Any]:
    tree = _holder(rule)
    tree["constraint"] = _conjunction(rule.constraints)
    if isinstance(rule, Permission):
        tree["duty"] = _set(_rule(duty) for duty in rule.duties)
    elif isinstance(rule, Duty):
        tree["consequence"] = _set(_rule(duty) for duty in rule.consequences)
    else:
        tree["remedy"] = _set(_rule(duty) for duty in rule.remedies)
    return _slim(tree)


def _conjunction(constraints: tuple[AnyConstraint, ...]) -> list[Any]:
    return _set(_constraint(constraint) for constraint in _flat(constraints))


def _flat(constraints: tuple[AnyConstraint, ...]) -> Iterator[AnyConstraint]:
    for constraint in constraints:
        is_named = constraint.extra or _node_id(constraint.uid)
        if isinstance(constraint, LogicalConstraint) and constraint.operand is LogicalOperand.AND and not is_named:
            yield from _flat(constraint.members)
        else:
            yield constraint


def _constraint(constraint: AnyConstraint) -> dict[str, Any]:
    if isinstance(constraint, LogicalConstraint):
        return _logical(constraint)
    return _slim(
        {
            "@id": _node_id(constraint.uid),
            "left": constraint.left,
            "op": constraint.operator.value,
            "right": _set(_value(value) for value in constraint.right),
            "reference": sorted(set(constraint.right_references)),
            "unit": _value(constraint.unit) if constraint.unit else None,
            "dataType": constraint.datatype,
            "status": _value(constraint.status) if constraint.status else None,
            "extra": _extra(constraint.extra),
        }
    )


def _logical(constraint: LogicalConstraint) -> dict[str, Any]:
    members = [_constraint(member) for member in constraint.members]
    if constraint.operand is LogicalOperand.AND:
        members = _conjunction(constraint.members)
    elif constraint.operand is LogicalOperand.OR:
        members = _set(members)
    elif constraint.operand is LogicalOperand.XONE:
        # the same member twice is never exactly one, so duplicates stay
        members = sorted(members, key=_dump)
    return _slim({"@id": _node_id(constraint.uid), constraint.operand.value: members, "extra": _extra(constraint.extra)})


def _action(action: ActionRef) -> Any:
    if not (action.refinements or action.extra):
        return action.name
    return _slim({"name": action.name, "refinement": _conjunction(action.refinements), "extra": _extra(action.extra)})


def _reference(reference: AssetRef | PartyRef) -> Any:
    tree = _slim(
        {
            "@id": reference.uid,
            "source": reference.source,
            "collection": "yes" if reference.is_collection else None,
            "partOf": sorted(set(reference.part_of)),
            "refinement": _conjunction(reference.refinements),
            "extra": _extra(reference.extra),
        }
    )
    return reference.uid if set(tree) == {"@id"} else tree


def _value(value: Value) -> Any:
    # string or IRI is decided by the operand's type, and peers turn one into the other
    if value.datatype is None and value.language is None:
        return value.text
    return _slim(
        {"text": value.text, "type": value.datatype, "language": value.language.casefold() if value.language else None}
    )


def _node_id(uid: str | None) -> str | None:
    return None if uid is None or uid.startswith("_:") else uid


def _extra(extra: Extra) -> list[list[Any]]:
    return [[name, _json(value)] for name, value in extra_tree(extra).items()]


_NATIVE: Mapping[str, Callable[[str], Any]] = {f"{XSD}boolean": "true".__eq__, f"{XSD}integer": int, f"{XSD}double": float}
_LONGEST = 40
# digits of a number that JSON may spell


def _json(value: Any) -> Any:
    """JSON-LD without its freedoms: one value or an array of it, the order of values, a value with the type that JSON gives it."""
    if isinstance(value, list):
        items = _set(map(_json, value))
        return items[0] if len(items) == 1 else items
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value
    if set(value) == {"@list"} and isinstance(value["@list"], list):
        return {"@list": [_json(item) for item in value["@list"]]}
    if "@value" in value:
        return _literal(value)
    return {
        term(key): _json(item) for key, item in value.items() if item is not None and not (key == "@id" and _is_blank(item))
    }


def _is_blank(name: object) -> bool:
    return isinstance(name, str) and _node_id(name) is None


def _literal(value: Mapping[str, Any]) -> Any:
    text, kind, language = value["@value"], value.get("@type"), value.get("@language")
    if isinstance(language, str):
        return {**value, "@language": language.casefold()}
    if kind is None or kind == f"{XSD}string":
        return _json(text)
    text = text if isinstance(text, str) else json.dumps(_json(text))
    if isinstance(kind, str) and kind in _NATIVE and len(text) <= _LONGEST:
        with contextlib.suppress(ValueError):
            native = _NATIVE[kind](text)
            if math.isfinite(native) and json.dumps(native) == text:
                return native
    return {**value, "@value": text}
