"""Reading the YAML language for policies: one line a rule, one line a constraint, errors with file, line and column.

    permit: [{action: use, when: [purpose == research, dateTime < 2027-01-01]}]

The words map one to one to ODRL (`policies/README.md` lists them); `yamlwrite` is the way back, `yamlline` knows the inside
of a line. Names are those of the vocabulary: here, other than in what a peer sends, an unknown name is an error, because
someone is there to mend it. A name in angle brackets, `<urn:acme:x>`, is taken as it stands.
Aliases and anchors are refused: a policy says what it says where it says it. Files are opened elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import yaml

from connector.errors import PolicyError
from connector.odrl.jsonld import FUNCTIONS, RELATIONS
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    AssetRelation,
    Conflict,
    Constraint,
    Duty,
    DutyRole,
    Extra,
    LogicalConstraint,
    LogicalOperand,
    PartyFunction,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Shared,
    Value,
)
from connector.odrl.operands import right_side
from connector.odrl.terms import expand, nearest, term
from connector.odrl.tree import text_of
from connector.odrl.truth import Code, Unknown
from connector.odrl.vocabulary import Vocabulary
from connector.odrl.yamlline import read_line, read_value
from connector.odrl.yamltree import YamlReader, compose

LOGIC: Mapping[str, LogicalOperand] = {
    "all": LogicalOperand.AND,
    "any": LogicalOperand.OR,
    "one": LogicalOperand.XONE,
    "sequence": LogicalOperand.AND_SEQUENCE,
}
ABOUT = {"title": "http://purl.org/dc/terms/title", "description": "http://purl.org/dc/terms/description"}
ALSO = "also"
_SHARED = ("action", "target", "assigner", "assignee", *FUNCTIONS, *RELATIONS, ALSO)
_POLICY = (
    *("policy", "type", *ABOUT, "profile", "conflict", "inherits", "agreed_at"),
    *("permit", "forbid", "oblige", *_SHARED),
)
_RULE = ("id", "when", *_SHARED)
_DUTIES = ("duty", "remedy", "consequence", "oblige")
_REFERENCE = ("id", "members_of", "source", "where", "part_of", ALSO)
_T = TypeVar("_T")
_R = TypeVar("_R", Permission, Prohibition, Duty)


def read(text: str, vocabulary: Vocabulary, name: str = "policy.yaml") -> Policy:
    """The policy that a YAML text spells; `where` of each part is `name:line:column`.

    Raises: PolicyError with file, line and column, what is wrong there and the nearest known word.
    """
    root = compose(text, name)
    return _Reader(vocabulary, name, root).policy(root)


class _Reader(YamlReader):
    def __init__(self, vocabulary: Vocabulary, name: str, root: yaml.Node) -> None:
        super().__init__(name)
        self.vocabulary = vocabulary
        # duties that are written out, by identifier: elsewhere `{id: ...}` alone stands for them
        self.duties = {uid: node for uid, node in self.written_duties(root) if uid}
        self.within: tuple[str, ...] = ()

    # --- the parts of a policy

    def policy(self, node: yaml.Node) -> Policy:
        fields = self.fields(node, _POLICY)
        where = self.at(node)
        kinds = {conflict.value: conflict for conflict in Conflict}
        is_shared = "action" in fields
        permissions = tuple(self.permission(item, is_shared) for item in self.items(fields.get("permit")))
        prohibitions = tuple(self.prohibition(item, is_shared) for item in self.items(fields.get("forbid")))
        obligations = tuple(
            self.duty(item, DutyRole.OBLIGATION, is_shared=is_shared) for item in self.items(fields.get("oblige"))
        )
        if not (permissions or prohibitions or obligations):
            raise PolicyError("a policy without rules", where=where, mend="write `permit: [use]`", flaw="rule-missing")
        about = [(iri, text_of(self.text(fields[key]))) for key, iri in ABOUT.items() if key in fields]
        return Policy(
            **(self.shared(fields) | {"uid": self.optional(fields, "policy")}),
            type=self.type(fields["type"]) if "type" in fields else PolicyType.SET,
            profiles=tuple(self.text(item) for item in self.items(fields.get("profile"))),
            inherit_from=tuple(self.text(item) for item in self.items(fields.get("inherits"))),
            conflicts=tuple(self.choice(item, kinds, "conflict strategy") for item in self.items(fields.get("conflict"))),
            timestamp=self.optional(fields, "agreed_at"),
            permissions=permissions,
            prohibitions=prohibitions,
            obligations=obligations,
            extra=tuple(sorted((*about, *self.also(fields)))),
            where=where,
        )

    def type(self, node: yaml.Node) -> str:
        text = self.text(node)
        if text[0] == "<" and text[-1] == ">":
            return text[1:-1]
        return self.choice(node, {kind.value.casefold(): kind for kind in PolicyType}, "policy type")

    def permission(self, node: yaml.Node, is_shared: bool) -> Permission:
        fields = self.rule_fields(node, "duty", is_shared=is_shared)
        duties = tuple(self.duty(item, DutyRole.CONDITION) for item in self.items(fields.get("duty")))
        return self.rule(Permission(duties=duties), fields, node)

    def prohibition(self, node: yaml.Node, is_shared: bool) -> Prohibition:
        fields = self.rule_fields(node, "remedy", is_shared=is_shared)
        remedies = tuple(self.duty(item, DutyRole.REMEDY) for item in self.items(fields.get("remedy")))
        return self.rule(Prohibition(remedies=remedies), fields, node)

    def duty(self, node: yaml.Node, role: DutyRole, *, is_shared: bool = False) -> Duty:
        last = role in (DutyRole.REMEDY, DutyRole.CONSEQUENCE)
        uid = self.only_id(node)
        if uid is not None:
            # Information Model 2.6.5: one duty may stand with several rules, and is fulfilled once for all
            if uid not in self.duties:
                mend = nearest(uid, self.duties) or "write the duty out here"
                raise PolicyError(f"no duty `{uid[:60]}` is written out", where=self.at(node), mend=mend, flaw="duty-unknown")
            node = self.duties[uid]
            if uid in self.within:
                raise PolicyError("a duty within itself", where=self.at(node), mend="write it out", flaw="duty-unknown")
            self.within = (*self.within, uid)
        fields = self.rule_fields(node, *(() if last else ("consequence",)), is_shared=is_shared)
        consequences = tuple(self.duty(item, DutyRole.CONSEQUENCE) for item in self.items(fields.get("consequence")))
        found = self.rule(Duty(role=role, consequences=consequences), fields, node)
        self.within = self.within[:-1] if uid is not None else self.within
        return found

    def only_id(self, node: yaml.Node) -> str | None:
        """The identifier, where a duty is nothing else: `{id: urn:acme:inform}`."""
        if isinstance(node, yaml.MappingNode) and len(node.value) == 1 and self.text(node.value[0][0]) == "id":
            return self.text(node.value[0][1])
        return None

    def written_duties(self, node: yaml.Node) -> Iterator[tuple[str | None, yaml.Node]]:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in _DUTIES:
                for item in self.items(value):
                    named = item.value if isinstance(item, yaml.MappingNode) and len(item.value) > 1 else ()
                    yield next((v.value for k, v in named if k.value == "id" and isinstance(v.value, str)), None), item
            for inner in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                yield from self.written_duties(inner)

    def rule_fields(self, node: yaml.Node, *more: str, is_shared: bool) -> dict[str, yaml.Node]:
        if isinstance(node, yaml.ScalarNode):
            return {"action": node}
        fields = self.fields(node, (*_RULE, *more))
        # an empty list says on purpose that no action is named; ODRL 2.2 asks for one, and a peer's rule may lack it
        if "action" not in fields and not is_shared:
            raise PolicyError(
                "a rule without an action", where=self.at(node), mend="write `action: use`", flaw="action-missing"
            )
        return fields

    def rule(self, rule: _R, fields: Mapping[str, yaml.Node], node: yaml.Node) -> _R:
        parts: dict[str, Any] = {
            **self.shared(fields),
            "constraints": self.constraints(fields.get("when")),
            "extra": self.also(fields),
            "where": self.at(node),
        }
        return replace(rule, **parts)

    def shared(self, fields: Mapping[str, yaml.Node]) -> dict[str, Any]:
        """What rules and policies have in common, see `model.Shared`."""
        found = Shared(
            uid=self.optional(fields, "id"),
            actions=tuple(self.action(item) for item in self.items(fields.get("action"))),
            targets=tuple(AssetRef(**self.reference(item)) for item in self.items(fields.get("target"))),
            assigners=tuple(PartyRef(**self.reference(item)) for item in self.items(fields.get("assigner"))),
            assignees=tuple(PartyRef(**self.reference(item)) for item in self.items(fields.get("assignee"))),
            functions=tuple(
                PartyFunction(name=name, party=PartyRef(**self.reference(item)))
                for name in FUNCTIONS
                for item in self.items(fields.get(name))
            ),
            relations=tuple(
                AssetRelation(name=name, asset=AssetRef(**self.reference(item)))
                for name in RELATIONS
                for item in self.items(fields.get(name))
            ),
        )
        names = ("uid", "actions", "targets", "assigners", "assignees", "functions", "relations")
        return {name: getattr(found, name) for name in names}

    def action(self, node: yaml.Node) -> ActionRef:
        if not isinstance(node, yaml.MappingNode):
            return ActionRef(name=self.action_name(node), where=self.at(node))
        if any(self.text(key) == "action" for key, _ in node.value):
            fields = self.fields(node, ("action", "id", "where", ALSO))
            return ActionRef(
                name=self.action_name(fields["action"]),
                uid=self.optional(fields, "id"),
                refinements=self.constraints(fields.get("where")),
                extra=self.also(fields),
                where=self.at(node),
            )
        if len(node.value) != 1:
            mend = "write `{use: [refinement, ...]}`"
            raise PolicyError("an action of several names", where=self.at(node), mend=mend, flaw="syntax")
        name, inner = node.value[0]
        return ActionRef(name=self.action_name(name), refinements=self.constraints(inner), where=self.at(name))

    def action_name(self, node: yaml.Node) -> str:
        name = self.text(node)
        if name[0] == "<" and name[-1] == ">":
            return name[1:-1]
        if self.vocabulary.action(name) is None:
            mend = self.vocabulary.hint_action(name)
            raise PolicyError(f"unknown action `{name[:60]}`", where=self.at(node), mend=mend, flaw=Code.ACTION_UNKNOWN.value)
        return term(name)

    def reference(self, node: yaml.Node) -> dict[str, Any]:
        """An asset or a party: its name; or a collection, `members_of`, with `where` its members are picked."""
        where = self.at(node)
        if not isinstance(node, yaml.MappingNode):
            return {"uid": self.text(node), "where": where}
        fields = self.fields(node, _REFERENCE)
        refinements = self.constraints(fields.get("where"))
        uid, source, group = (self.optional(fields, key) for key in ("id", "source", "members_of"))
        if group is not None:
            if uid is not None or source is not None:
                raise PolicyError("a name beside `members_of`", where=where, mend="keep one", flaw="syntax")
            # Information Model 2.2.2, 2.3.2: with a refinement, `source` takes the place of `uid`
            source, uid = (group, None) if refinements else (None, group)
        elif uid is None and source is None:
            mend = "write `{members_of: urn:group:x}`"
            raise PolicyError("a party or asset without a name", where=where, mend=mend, flaw="value-missing")
        elif refinements and source is None:
            mend = "write `members_of:` in place of `id:`"
            raise PolicyError("`where` picks members, and this is no collection", where=where, mend=mend, flaw="syntax")
        return {
            "uid": uid,
            "source": source,
            "is_collection": group is not None or source is not None,
            "refinements": refinements,
            "part_of": tuple(self.text(item) for item in self.items(fields.get("part_of"))),
            "extra": self.also(fields),
            "where": where,
        }

    def also(self, fields: Mapping[str, yaml.Node]) -> Extra:
        """Properties that ODRL does not know, by name."""
        return self.json_fields(fields[ALSO]) if ALSO in fields else ()

    # --- constraints

    def constraints(self, node: yaml.Node | None) -> tuple[AnyConstraint, ...]:
        return tuple(self.constraint(item) for item in self.items(node))

    def constraint(self, node: yaml.Node) -> AnyConstraint:
        if not isinstance(node, yaml.MappingNode):
            return self.line(node)
        fields = self.fields(node, (*LOGIC, "condition", "id", "datatype", "status", ALSO))
        kinds = [key for key in fields if key in LOGIC or key == "condition"]
        if len(kinds) != 1:
            mend = "write one of all, any, one, sequence, condition"
            raise PolicyError("a constraint of several kinds", where=self.at(node), mend=mend, flaw="syntax")
        key = kinds[0]
        beside: dict[str, Any] = {"uid": self.optional(fields, "id"), "extra": self.also(fields), "where": self.at(node)}
        if key == "condition":
            beside |= {
                "datatype": expand(self.text(fields["datatype"])) if "datatype" in fields else None,
                "status": self.status(fields["status"]) if "status" in fields else None,
            }
            return self.line(fields[key], beside)
        if "datatype" in fields or "status" in fields:
            mend = "write them beside a `condition:`"
            raise PolicyError(f"`datatype` or `status` of `{key}`", where=self.at(node), mend=mend, flaw="syntax")
        members = self.constraints(fields[key])
        if len(members) < 2:
            what = f"`{key}` of {len(members)} constraints"
            raise PolicyError(what, where=self.at(node), mend="name at least two, or none", flaw="syntax")
        return LogicalConstraint(operand=LOGIC[key], members=members, **beside)

    def status(self, node: yaml.Node) -> Value:
        return read_value(self.text(node), lambda offset: self.at(node, offset))

    def line(self, node: yaml.Node, beside: Mapping[str, Any] | None = None) -> Constraint:
        found = read_line(self.text(node), lambda offset: self.at(node, offset))
        operand = None if found.is_verbatim else self.vocabulary.operand(found.left)
        if operand is None and not found.is_verbatim:
            what = f"unknown left operand `{found.left[:60]}`"
            mend = self.vocabulary.hint_operand(found.left)
            raise PolicyError(what, where=self.at(node), mend=mend, flaw=Code.OPERAND_UNKNOWN.value)
        constraint = Constraint(
            left=operand.name if operand else found.left,
            operator=found.operator,
            right=found.right,
            right_references=found.right_references,
            unit=found.unit,
            **{"where": self.at(node), **(beside or {})},
        )
        right = right_side(constraint, operand) if operand else ()
        # a reference is lawful; that nobody follows it is for those who judge
        if isinstance(right, Unknown) and right.code is not Code.REFERENCE_UNRESOLVABLE and operand:
            mend = f"`{operand.short}`: {operand.text['en']}" if "en" in operand.text else f"see `{operand.label}`"
            raise PolicyError(right.detail, where=self.at(node, found.right_at), mend=mend, flaw=right.code.value)
        return constraint

    def choice(self, node: yaml.Node, known: Mapping[str, _T], what: str) -> _T:
        word = self.text(node)
        if word.casefold() not in known:
            mend = nearest(word, known, 8)
            raise PolicyError(f"unknown {what} `{word[:60]}`", where=self.at(node), mend=mend, flaw="word-unknown")
        return known[word.casefold()]
