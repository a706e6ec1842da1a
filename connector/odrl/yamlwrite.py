"""Writing a policy in the YAML language, so that `yamlfmt.read` gives back the very same policy.

Words that the vocabulary knows are written short (`membership`), all others in angle brackets, as they stand.
Source: `policies/README.md`, the grammar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from connector.errors import PolicyError
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    Extra,
    LogicalConstraint,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Rule,
    Shared,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import term
from connector.odrl.truth import Code, Unknown
from connector.odrl.vocabulary import Vocabulary
from connector.odrl.yamlfmt import ABOUT, ALSO, LOGIC
from connector.odrl.yamlline import angled, write_line, write_value

_JOINS = {operand: word for word, operand in LOGIC.items()}
# what YAML reads as one plain text, wherever it stands in a block
_PLAIN = re.compile(r"[A-Za-z0-9<+./][ -~\u00a1-\ud7ff]*")


class _Json(str):
    """JSON text, written as it stands."""

    __slots__ = ()


def write(policy: Policy, vocabulary: Vocabulary) -> str:
    """The policy as YAML text.

    Raises: PolicyError naming what the language cannot hold: no rule at all, a logical constraint of one member, a name
    with angle brackets in it.
    """
    return "\n".join(_lines(_Writer(vocabulary).policy(policy), 0)) + "\n"


class _Writer:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def policy(self, policy: Policy) -> dict[str, Any]:
        if not policy.has_rules:
            mend = "add a permission, a prohibition or an obligation"
            raise PolicyError("a policy without rules", where=policy.where, mend=mend, flaw="rule-missing")
        tree: dict[str, Any] = {}
        extra = dict(policy.extra)
        _put(tree, "policy", policy.uid)
        if policy.type != PolicyType.SET:
            known = {kind.value for kind in PolicyType}
            tree["type"] = policy.type.lower() if policy.type in known else angled(policy.type, policy.where)
        for word, iri in ABOUT.items():
            said = json.loads(extra.get(iri, "null"))
            if isinstance(said, str) and said.strip():
                tree[word] = said
                del extra[iri]
        _put(tree, "profile", list(policy.profiles))
        _put(tree, "conflict", [conflict.value for conflict in policy.conflicts])
        _put(tree, "inherits", list(policy.inherit_from))
        _put(tree, "agreed_at", policy.timestamp)
        self.share(tree, policy)
        _also(tree, tuple(extra.items()))
        is_shared = bool(policy.actions)
        for word, rules in (("permit", policy.permissions), ("forbid", policy.prohibitions), ("oblige", policy.obligations)):
            if rules:
                tree[word] = [self.rule(rule, is_shared=is_shared) for rule in rules]
        return tree

    def rule(self, rule: Rule, *, is_shared: bool = False) -> Any:
        tree: dict[str, Any] = {}
        _put(tree, "id", rule.uid)
        if not rule.actions and not is_shared:
            tree["action"] = []
        self.share(tree, rule)
        _put(tree, "when", [self.constraint(constraint) for constraint in rule.constraints])
        _also(tree, rule.extra)
        inner: tuple[Duty, ...]
        if isinstance(rule, Permission):
            word, inner = "duty", rule.duties
        elif isinstance(rule, Prohibition):
            word, inner = "remedy", rule.remedies
        else:
            word, inner = "consequence", rule.consequences
        _put(tree, word, [self.rule(duty) for duty in inner])
        return tree["action"] if tree.keys() == {"action"} and isinstance(tree["action"], str) else tree

    def share(self, tree: dict[str, Any], holder: Shared) -> None:
        _put(tree, "action", [self.action(action) for action in holder.actions])
        _put(tree, "target", [self.reference(asset) for asset in holder.targets])
        _put(tree, "assigner", [self.reference(party) for party in holder.assigners])
        _put(tree, "assignee", [self.reference(party) for party in holder.assignees])
        others: dict[str, list[Any]] = {}
        for function in holder.functions:
            others.setdefault(function.name, []).append(self.reference(function.party))
        for relation in holder.relations:
            others.setdefault(relation.name, []).append(self.reference(relation.asset))
        for name, items in others.items():
            _put(tree, name, items)

    def action(self, action: ActionRef) -> Any:
        is_known = self.vocabulary.action(action.name) is not None and term(action.name) == action.name
        name = action.name if is_known else angled(action.name, action.where)
        refinements = [self.constraint(constraint) for constraint in action.refinements]
        if action.uid or action.extra:
            tree: dict[str, Any] = {"action": name}
            _put(tree, "id", action.uid)
            _put(tree, "where", refinements)
            _also(tree, action.extra)
            return tree
        tree = {}
        _put(tree, name, refinements)
        return tree or name

    def reference(self, reference: AssetRef | PartyRef) -> Any:
        tree: dict[str, Any] = {}
        uid, source = reference.uid, reference.source
        refinements = [self.constraint(constraint) for constraint in reference.refinements]
        if reference.is_collection and uid is None and source is not None and refinements:
            tree["members_of"] = source
        elif reference.is_collection and uid is not None and source is None and not refinements:
            tree["members_of"] = uid
        else:
            _put(tree, "id", uid)
            _put(tree, "source", source)
        _put(tree, "where", refinements)
        _put(tree, "part_of", list(reference.part_of))
        _also(tree, reference.extra)
        return tree["id"] if tree.keys() == {"id"} else tree

    def constraint(self, constraint: AnyConstraint) -> Any:
        tree: dict[str, Any] = {}
        if isinstance(constraint, LogicalConstraint):
            if len(constraint.members) < 2:
                what, mend = f"`{constraint.operand}` of one constraint", "name at least two, or none"
                raise PolicyError(what, where=constraint.where, mend=mend, flaw="syntax")
            tree[_JOINS[constraint.operand]] = [self.constraint(member) for member in constraint.members]
            _put(tree, "id", constraint.uid)
            _also(tree, constraint.extra)
            return tree
        line = write_line(constraint, self.left(constraint))
        if not (constraint.uid or constraint.datatype or constraint.status or constraint.extra):
            return line
        tree["condition"] = line
        _put(tree, "id", constraint.uid)
        _put(tree, "datatype", constraint.datatype)
        if constraint.status:
            tree["status"] = write_value(constraint.status, constraint.where)
        _also(tree, constraint.extra)
        return tree

    def left(self, constraint: Constraint) -> str:
        """The left operand as the reader takes it: short where that comes to the same, else as it stands."""
        operand = self.vocabulary.operand(constraint.left)
        if operand is not None and operand.name == constraint.left:
            right = right_side(constraint, operand)
            if not isinstance(right, Unknown) or right.code is Code.REFERENCE_UNRESOLVABLE:
                for name in (operand.short, operand.name):
                    known = self.vocabulary.operand(name)
                    if known is not None and known.name == constraint.left and re.fullmatch(r"[^\s<>=!]+", name):
                        return name
        return angled(constraint.left, constraint.where)


def _put(tree: dict[str, Any], word: str, items: Any) -> None:
    """Set `word` to what there is to say: one thing bare, several as a list, nothing not at all."""
    if isinstance(items, list):
        items = items[0] if len(items) == 1 else items or None
    if items is not None:
        tree[word] = items


def _also(tree: dict[str, Any], extra: Extra) -> None:
    if extra:
        tree[ALSO] = {name: _Json(text) for name, text in extra}


def _lines(tree: Any, depth: int) -> Iterator[str]:
    """A mapping as block lines, its lists as items below it."""
    pad = "  " * depth
    for key, value in tree.items():
        name = _scalar(key)
        if isinstance(value, dict):
            yield f"{pad}{name}:"
            yield from _lines(value, depth + 1)
        elif isinstance(value, list) and value:
            yield f"{pad}{name}:"
            yield from _items(value, depth + 1)
        else:
            yield f"{pad}{name}: {_scalar(value) if isinstance(value, str) else '[]'}"


def _items(items: Iterable[Any], depth: int) -> Iterator[str]:
    pad = "  " * depth
    for item in items:
        if isinstance(item, dict) and item:
            first, *rest = _lines(item, depth + 1)
            yield f"{pad}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{pad}- {_scalar(item) if item else '{}'}"


def _scalar(text: str) -> str:
    if isinstance(text, _Json):
        return _escaped(text)
    is_plain = _PLAIN.fullmatch(text) and not re.search(r":(?:\s|$)|\s#|\s$", text)
    return text if is_plain else _escaped(json.dumps(text, ensure_ascii=False))


def _escaped(text: str) -> str:
    """JSON text with the signs escaped that YAML takes for line ends, or does not take at all."""
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]", lambda sign: f"\\u{ord(sign[0]):04x}", text)
