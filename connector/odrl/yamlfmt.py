"""Reading the YAML language for policies: one line a rule, one line a constraint, errors with file, line and column.

    permit: [{action: use, when: [purpose == research, dateTime < 2027-01-01]}]

The words map one to one to ODRL (`policies/README.md` lists them). Names are those of the vocabulary: here, other than in
what a peer sends, an unknown name is an error, because someone is there to mend it.
Aliases and anchors are refused: a policy says what it says where it says it. Files are opened elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import yaml

from connector.errors import PolicyError
from connector.odrl.jsonld import FUNCTIONS
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Conflict,
    Constraint,
    Duty,
    DutyRole,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyFunction,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Value,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import nearest, term
from connector.odrl.tree import MAX_DEPTH, text_of
from connector.odrl.truth import Unknown
from connector.odrl.vocabulary import Vocabulary

MAX_CHARACTERS = 1_000_000

OPERATORS: Mapping[str, Operator] = {
    "==": Operator.EQ,
    "!=": Operator.NEQ,
    "<=": Operator.LTEQ,
    ">=": Operator.GTEQ,
    "<": Operator.LT,
    ">": Operator.GT,
    "in": Operator.IS_ANY_OF,
    "all of": Operator.IS_ALL_OF,
    "none of": Operator.IS_NONE_OF,
    "within": Operator.IS_PART_OF,
    "contains": Operator.HAS_PART,
    "is a": Operator.IS_A,
}
LOGIC: Mapping[str, LogicalOperand] = {
    "all": LogicalOperand.AND,
    "any": LogicalOperand.OR,
    "one": LogicalOperand.XONE,
    "sequence": LogicalOperand.AND_SEQUENCE,
}
_ABOUT = {"title": "http://purl.org/dc/terms/title", "description": "http://purl.org/dc/terms/description"}
_POLICY = ("policy", "type", "profile", "conflict", "assigner", "assignee", "target", "permit", "forbid", "oblige", *_ABOUT)
_RULE = ("id", "action", "target", "assigner", "assignee", "when", *FUNCTIONS)
_LINE = re.compile(
    r"(?P<left>[^\s<>=!]+)\s*"
    r"(?P<op>==|!=|<=|>=|<|>|\b(?:in|all\s+of|none\s+of|within|contains|is\s+a)\b)\s*"
    r"(?P<right>.*)",
    flags=re.DOTALL,
)
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s+([A-Za-z%][\w:/#.%-]*)")
_T = TypeVar("_T")
_R = TypeVar("_R", Permission, Prohibition, Duty)


def read(text: str, vocabulary: Vocabulary, name: str = "policy.yaml") -> Policy:
    """The policy that a YAML text spells; `where` of each part is `name:line:column`.

    Raises: PolicyError with file, line and column, what is wrong there and the nearest known word.
    """
    return _Reader(vocabulary, name).policy(_compose(text, name))


def _compose(text: str, name: str) -> yaml.Node:
    if len(text) > MAX_CHARACTERS:
        raise PolicyError(f"a policy of more than {MAX_CHARACTERS} characters", where=name, mend="split it")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise PolicyError(
                    f"nested deeper than {MAX_DEPTH}", where=_at(name, event.start_mark), mend="flatten the constraints"
                )
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise PolicyError("an anchor or alias", where=_at(name, event.start_mark), mend="write the part out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mend = "quote the constraint if it contains `[`, `,` or `: ` inside brackets"
        raise PolicyError(
            f"not YAML: {error.problem}", where=_at(name, error.problem_mark or error.context_mark), mend=mend
        ) from None
    except yaml.YAMLError as error:
        raise PolicyError(f"not YAML: {str(error).splitlines()[0]}", where=name, mend="save it as UTF-8 text") from None
    if node is None:
        raise PolicyError("an empty file", where=name, mend="begin with `policy:` and `permit:`")
    return node


class _Mark(Protocol):
    line: int
    column: int


def _at(name: str, mark: _Mark | None) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


class _Reader:
    def __init__(self, vocabulary: Vocabulary, name: str) -> None:
        self.vocabulary = vocabulary
        self.name = name

    # --- the parts of a policy

    def policy(self, node: yaml.Node) -> Policy:
        fields = self.fields(node, _POLICY)
        where = self.at(node)
        names = {kind.value.casefold(): kind for kind in PolicyType}
        kinds = {conflict.value: conflict for conflict in Conflict}
        permissions = tuple(self.permission(item) for item in self.items(fields.get("permit")))
        prohibitions = tuple(self.prohibition(item) for item in self.items(fields.get("forbid")))
        obligations = tuple(self.duty(item, DutyRole.OBLIGATION) for item in self.items(fields.get("oblige")))
        if not (permissions or prohibitions or obligations):
            raise PolicyError("a policy without rules", where=where, mend="write `permit: [use]`")
        return Policy(
            uid=self.optional(fields, "policy"),
            type=self.choice(fields["type"], names, "policy type") if "type" in fields else PolicyType.SET,
            profiles=tuple(self.text(item) for item in self.items(fields.get("profile"))),
            conflicts=tuple(self.choice(item, kinds, "conflict strategy") for item in self.items(fields.get("conflict"))),
            targets=self.assets(fields.get("target")),
            assigners=self.parties(fields.get("assigner")),
            assignees=self.parties(fields.get("assignee")),
            permissions=permissions,
            prohibitions=prohibitions,
            obligations=obligations,
            extra=tuple(sorted((iri, text_of(self.text(fields[key]))) for key, iri in _ABOUT.items() if key in fields)),
            where=where,
        )

    def permission(self, node: yaml.Node) -> Permission:
        fields = self.rule_fields(node, "duty")
        duties = tuple(self.duty(item, DutyRole.CONDITION) for item in self.items(fields.get("duty")))
        return self.rule(Permission(duties=duties), fields, node)

    def prohibition(self, node: yaml.Node) -> Prohibition:
        fields = self.rule_fields(node, "remedy")
        remedies = tuple(self.duty(item, DutyRole.REMEDY) for item in self.items(fields.get("remedy")))
        return self.rule(Prohibition(remedies=remedies), fields, node)

    def duty(self, node: yaml.Node, role: DutyRole) -> Duty:
        last = role in (DutyRole.REMEDY, DutyRole.CONSEQUENCE)
        fields = self.rule_fields(node, *(() if last else ("consequence",)))
        consequences = tuple(self.duty(item, DutyRole.CONSEQUENCE) for item in self.items(fields.get("consequence")))
        return self.rule(Duty(role=role, consequences=consequences), fields, node)

    def rule_fields(self, node: yaml.Node, *more: str) -> dict[str, yaml.Node]:
        if isinstance(node, yaml.ScalarNode):
            return {"action": node}
        fields = self.fields(node, (*_RULE, *more))
        if "action" not in fields:
            raise PolicyError("a rule without an action", where=self.at(node), mend="write `action: use`")
        return fields

    def rule(self, rule: _R, fields: Mapping[str, yaml.Node], node: yaml.Node) -> _R:
        parts: dict[str, Any] = {
            "uid": self.optional(fields, "id"),
            "actions": tuple(self.action(item) for item in self.items(fields["action"])),
            "targets": self.assets(fields.get("target")),
            "assigners": self.parties(fields.get("assigner")),
            "assignees": self.parties(fields.get("assignee")),
            "functions": tuple(
                PartyFunction(name=name, party=party) for name in FUNCTIONS for party in self.parties(fields.get(name))
            ),
            "constraints": tuple(self.constraint(item) for item in self.items(fields.get("when"))),
            "where": self.at(node),
        }
        return replace(rule, **parts)

    def action(self, node: yaml.Node) -> ActionRef:
        refinements: tuple[AnyConstraint, ...] = ()
        name_node = node
        if isinstance(node, yaml.MappingNode):
            if len(node.value) != 1:
                raise PolicyError("an action of several names", where=self.at(node), mend="write `{use: [refinement, ...]}`")
            name_node, inner = node.value[0]
            refinements = tuple(self.constraint(item) for item in self.items(inner))
        name = self.text(name_node)
        known = self.vocabulary.action(name)
        if known is None:
            raise PolicyError(f"unknown action `{name}`", where=self.at(name_node), mend=self.vocabulary.hint_action(name))
        return ActionRef(name=term(name), refinements=refinements, where=self.at(name_node))

    def assets(self, node: yaml.Node | None) -> tuple[AssetRef, ...]:
        return tuple(AssetRef(uid=self.text(item), where=self.at(item)) for item in self.items(node))

    def parties(self, node: yaml.Node | None) -> tuple[PartyRef, ...]:
        found = []
        for item in self.items(node):
            if isinstance(item, yaml.MappingNode):
                fields = self.fields(item, ("members_of", "where"))
                if "members_of" not in fields:
                    raise PolicyError("a party without a name", where=self.at(item), mend="write `{members_of: urn:group:x}`")
                group = self.text(fields["members_of"])
                refinements = tuple(self.constraint(part) for part in self.items(fields.get("where")))
                source, uid = (group, None) if refinements else (None, group)
                found.append(PartyRef(uid=uid, source=source, is_collection=True, refinements=refinements, where=self.at(item)))
            else:
                found.append(PartyRef(uid=self.text(item), where=self.at(item)))
        return tuple(found)

    # --- constraints

    def constraint(self, node: yaml.Node) -> AnyConstraint:
        if isinstance(node, yaml.MappingNode):
            fields = self.fields(node, tuple(LOGIC))
            if len(fields) != 1:
                raise PolicyError(
                    "a constraint of several kinds", where=self.at(node), mend="write one of all, any, one, sequence"
                )
            key, inner = next(iter(fields.items()))
            members = tuple(self.constraint(item) for item in self.items(inner))
            if len(members) < 2:
                raise PolicyError(
                    f"`{key}` of {len(members)} constraints", where=self.at(node), mend="name at least two, or none"
                )
            return LogicalConstraint(operand=LOGIC[key], members=members, where=self.at(node))
        return self.line(self.text(node), node)

    def line(self, text: str, node: yaml.Node) -> Constraint:
        where = self.at(node)
        match = _LINE.fullmatch(text.strip())
        if not match:
            raise PolicyError(
                f"`{text[:60]}` is no constraint", where=where, mend="write `operand operator value`, such as `count <= 10`"
            )
        operator = OPERATORS[re.sub(r"\s+", " ", match["op"])]
        operand = self.vocabulary.operand(match["left"])
        if operand is None:
            hint = self.vocabulary.hint_operand(match["left"])
            raise PolicyError(f"unknown left operand `{match['left'][:60]}`", where=where, mend=hint)
        values, unit = self.values(match["right"].strip(), where)
        constraint = Constraint(left=operand.name, operator=operator, right=values, unit=unit, where=where)
        right = right_side(constraint, operand)
        if isinstance(right, Unknown):
            raise PolicyError(right.detail, where=where, mend=f"see `{operand.label}` in the vocabulary")
        return constraint

    def values(self, text: str, where: str) -> tuple[tuple[Value, ...], Value | None]:
        if not text:
            raise PolicyError("a constraint without a value", where=where, mend="write what to compare with")
        if text.startswith("["):
            if not text.endswith("]"):
                raise PolicyError("a list that does not end", where=where, mend="close it with `]`")
            values = tuple(_word(item.strip()) for item in text[1:-1].split(",") if item.strip())
            if not values:
                raise PolicyError("an empty list", where=where, mend="name at least one value")
            return values, None
        quantity = _QUANTITY.fullmatch(text)
        if quantity:
            return (Value(text=quantity[1]),), _word(quantity[2])
        return (_word(text),), None

    # --- YAML

    def at(self, node: yaml.Node) -> str:
        return _at(self.name, node.start_mark)

    def fields(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            raise PolicyError("expected `name: value` lines", where=self.at(node), mend=nearest("", known, 6))
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node)
            if key not in known:
                raise PolicyError(f"unknown word `{key[:60]}`", where=self.at(key_node), mend=nearest(key, known, 6))
            if key in found:
                raise PolicyError(f"`{key}` is written twice", where=self.at(key_node), mend="make a list of it")
            found[key] = value
        return found

    def items(self, node: yaml.Node | None) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        elif node is not None:
            yield node

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            raise PolicyError(
                "expected a word", where=self.at(node), mend="write it in one line; quote it if it has special signs"
            )
        return str(node.value).strip()

    def optional(self, fields: Mapping[str, yaml.Node], key: str) -> str | None:
        return self.text(fields[key]) if key in fields else None

    def choice(self, node: yaml.Node, known: Mapping[str, _T], what: str) -> _T:
        word = self.text(node)
        if word.casefold() not in known:
            raise PolicyError(f"unknown {what} `{word[:60]}`", where=self.at(node), mend=nearest(word, known, 8))
        return known[word.casefold()]


def _word(text: str) -> Value:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return Value(text=text[1:-1])
    if len(text) > 2 and text[0] == "<" and text[-1] == ">":
        return Value(text=text[1:-1], is_iri=True)
    return Value(text=text)
