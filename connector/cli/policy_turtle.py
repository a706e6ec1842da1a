"""A policy as Turtle: every part of the model as triples of the ODRL vocabulary, so that reading them gives the same policy again.

What lives here: the way out. The way in is `policy_files`. Words that belong to no vocabulary by themselves (`membership`) are
written in the namespace of ODRL, where the reader looks for words; what ODRL does not know is written as it was read.
Source: ODRL Information Model 2.2, section 2; ODRL Vocabulary & Expression 2.2, section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from connector import rdf, strict
from connector.errors import PolicyError
from connector.odrl.model import (
    ODRL,
    XSD,
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    Extra,
    LogicalConstraint,
    LogicalOperand,
    PartyRef,
    Permission,
    Policy,
    Prohibition,
    Rule,
    Shared,
    Value,
)
from connector.odrl.terms import PREFIXES as _KNOWN
from connector.odrl.terms import REPLACED_BY, TIMESTAMP

if TYPE_CHECKING:
    from connector.rdf import Blank, Iri, Literal, Node, Term, Triple

PREFIXES = {name: _KNOWN[name] for name in ("odrl", "xsd", "rdf", "dct", "cc", "kontor")}
_NO_IRI = re.compile(r"""[\x00-\x20<>"{}|^`\\]""")


def turtle(policy: Policy) -> str:
    """The policy as Turtle.

    Raises: PolicyError naming an identifier that is no IRI, or that the policy gives to two different things: in a graph they
    would become one.
    """
    return rdf.turtle(triples(policy), PREFIXES)


def triples(policy: Policy) -> tuple[Triple, ...]:
    """The policy as triples, see `turtle`."""
    writer = _Writer()
    writer.policy(policy)
    return tuple(writer.triples)


_Named = Policy | Rule | AnyConstraint | ActionRef | AssetRef | PartyRef


class _Writer:
    def __init__(self) -> None:
        self.triples: dict[Triple, None] = {}
        self.count = 0
        self.told: dict[str, object] = {}

    def blank(self) -> Blank:
        self.count += 1
        return rdf.Blank(f"p{self.count}")

    def say(self, node: Node, name: str, value: Term) -> None:
        self.triples[node, _term(name).text, value] = None

    def node(self, part: _Named) -> Node:
        """The node of a part of the policy: what has one name is one thing in a graph, so it may say one thing only."""
        uid = part.uid
        if uid is None or uid.startswith("_:"):
            return self.blank()
        is_bare = isinstance(part, (AssetRef, PartyRef)) and part == type(part)(uid=uid)
        if self.told.setdefault(uid, uid if is_bare else part) != (uid if is_bare else part):
            raise PolicyError(f"`{uid[:80]}` names two things that differ", where="policy", mend="give each its own identifier")
        return _identifier(uid)

    def typed(self, node: Node, kind: str) -> None:
        self.say(node, rdf.TYPE, _term(kind))

    # --- rules

    def policy(self, policy: Policy) -> None:
        node = self.node(policy)
        self.typed(node, policy.type)
        for name, links in (
            ("profile", policy.profiles),
            ("inheritFrom", policy.inherit_from),
            (REPLACED_BY, policy.replaced_by),
        ):
            for link in links:
                self.say(node, name, _identifier(link))
        for conflict in policy.conflicts:
            self.say(node, "conflict", _term(conflict))
        if policy.timestamp:
            self.say(node, TIMESTAMP, rdf.Literal(policy.timestamp))
        self.shared(node, policy)
        for name, rules in (
            ("permission", policy.permissions),
            ("prohibition", policy.prohibitions),
            ("obligation", policy.obligations),
        ):
            for rule in rules:
                self.say(node, name, self.rule(rule))

    def rule(self, rule: Rule) -> Node:
        node = self.node(rule)
        self.typed(node, type(rule).__name__)
        self.shared(node, rule)
        self.constraints(node, "constraint", rule.constraints)
        below: tuple[Duty, ...]
        if isinstance(rule, Permission):
            name, below = "duty", rule.duties
        elif isinstance(rule, Prohibition):
            name, below = "remedy", rule.remedies
        else:
            name, below = "consequence", rule.consequences
        for duty in below:
            self.say(node, name, self.rule(duty))
        return node

    def shared(self, node: Node, holder: Shared) -> None:
        for action in holder.actions:
            self.say(node, "action", self.action(action))
        for asset in holder.targets:
            self.say(node, "target", self.reference(asset, "AssetCollection"))
        for name, parties in (("assigner", holder.assigners), ("assignee", holder.assignees)):
            for party in parties:
                self.say(node, name, self.reference(party, "PartyCollection"))
        for function in holder.functions:
            self.say(node, function.name, self.reference(function.party, "PartyCollection"))
        for relation in holder.relations:
            self.say(node, relation.name, self.reference(relation.asset, "AssetCollection"))
        self.extra(node, holder.extra)

    def reference(self, reference: AssetRef | PartyRef, collection: str) -> Node:
        node = self.node(reference)
        if reference.is_collection:
            self.typed(node, collection)
        if reference.source:
            self.say(node, "source", _identifier(reference.source))
        for whole in reference.part_of:
            self.say(node, "partOf", _identifier(whole))
        self.constraints(node, "refinement", reference.refinements)
        self.extra(node, reference.extra)
        return node

    def action(self, action: ActionRef) -> Node:
        if not (action.refinements or action.extra or action.uid):
            return _term(action.name)
        node = self.node(action)
        self.say(node, f"{rdf.RDF}value", _term(action.name))
        self.constraints(node, "refinement", action.refinements)
        self.extra(node, action.extra)
        return node

    # --- constraints

    def constraints(self, node: Node, name: str, those: Iterable[AnyConstraint]) -> None:
        for one in those:
            self.say(node, name, self.logical(one) if isinstance(one, LogicalConstraint) else self.constraint(one))

    def logical(self, one: LogicalConstraint) -> Node:
        node = self.node(one)
        members = [self.logical(each) if isinstance(each, LogicalConstraint) else self.constraint(each) for each in one.members]
        if one.operand is LogicalOperand.AND_SEQUENCE:
            # Information Model 2.5.2: the serialisations MUST preserve the order of the members
            self.say(node, one.operand, self.chain(members))
        else:
            for member in members:
                self.say(node, one.operand, member)
        self.extra(node, one.extra)
        return node

    def constraint(self, one: Constraint) -> Node:
        node = self.node(one)
        self.say(node, "leftOperand", _term(one.left))
        self.say(node, "operator", _term(one.operator))
        for value in one.right:
            self.say(node, "rightOperand", _value(value))
        for reference in one.right_references:
            self.say(node, "rightOperandReference", _identifier(reference))
        if one.unit:
            self.say(node, "unit", _value(one.unit))
        if one.datatype:
            self.say(node, "dataType", _term(one.datatype))
        if one.status:
            self.say(node, "status", _value(one.status))
        self.extra(node, one.extra)
        return node

    def chain(self, items: list[Any]) -> Node:
        rest: Node = rdf.Iri(f"{rdf.RDF}nil")
        for item in reversed(items):
            cell = self.blank()
            self.say(cell, f"{rdf.RDF}first", item)
            self.say(cell, f"{rdf.RDF}rest", rest)
            rest = cell
        return rest

    # --- what ODRL does not know

    def extra(self, node: Node, extra: Extra) -> None:
        for name, text in extra:
            self.json(node, name, strict.scan(text.encode()))

    def json(self, node: Node, name: str, value: Any) -> None:
        for item in value if isinstance(value, list) else [value]:
            if name == "@type":
                self.typed(node, str(item))
            elif item is not None:
                self.say(node, name, self.plain(item))

    def plain(self, item: Any) -> Term:
        if isinstance(item, bool):
            return rdf.Literal("true" if item else "false", f"{XSD}boolean")
        if isinstance(item, int):
            return rdf.Literal(str(item), f"{XSD}integer")
        if isinstance(item, float):
            return rdf.Literal(repr(item), f"{XSD}double")
        if not isinstance(item, dict):
            return rdf.Literal(str(item))
        if "@value" in item:
            language = item.get("@language")
            if language:
                return rdf.Literal(str(item["@value"]), f"{rdf.RDF}langString", str(language))
            plain = self.plain(item["@value"])
            return (
                rdf.Literal(plain.text, str(item["@type"])) if "@type" in item and not isinstance(plain, rdf.Blank) else plain
            )
        if "@list" in item:
            return self.chain([self.plain(each) for each in item["@list"]])
        name = item.get("@id")
        node: Node = self.blank() if name is None else _identifier(str(name))
        for key, value in item.items():
            if key != "@id":
                self.json(node, key, value)
        return node


def _term(name: str) -> Iri:
    return _written(name if ":" in name else ODRL + name)


def _identifier(name: str) -> Iri:
    if ":" not in name:
        raise PolicyError(f"`{name[:80]}` is a relative name", where="policy", mend="write the whole IRI")
    return _written(name)


def _written(iri: str) -> Iri:
    # RDF 1.1 Turtle, section 6.5, IRIREF
    if _NO_IRI.search(iri):
        raise PolicyError(f"`{iri[:80]}` is no IRI", where="policy", mend="percent-encode what an IRI cannot hold")
    return rdf.Iri(iri)


def _value(value: Value) -> Iri | Literal:
    if value.is_iri:
        return _term(value.text)
    if value.language:
        return rdf.Literal(value.text, f"{rdf.RDF}langString", value.language)
    return rdf.Literal(value.text, value.datatype or f"{XSD}string")
