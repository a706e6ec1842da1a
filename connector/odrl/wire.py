"""Writing a policy: the narrow shape of the Dataspace Protocol, or all of ODRL.

DSP 2025-1 lets an offer or agreement carry rules of one plain action with constraints, and nothing else by schema. What it
has a term for, or what survives as an `odrl:` key, is written; what its schema cannot hold is refused by name. The ODRL
shape loses nothing and is what we store. Reading is in `jsonld` and knows both.
Source: DSP 2025-1, `contract-schema.json` and `odrl-profile.jsonld`; ODRL Vocabulary & Expression 2.2, section 5.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from connector.errors import PolicyError
from connector.odrl.model import (
    ODRL,
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Diagnostic,
    Duty,
    Extra,
    LogicalOperand,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Rule,
    Severity,
    Shared,
    Value,
)
from connector.odrl.terms import REPLACED_BY, TIMESTAMP


class Shape(StrEnum):
    """Which readers a tree is for: any DSP connector, or one that knows all of ODRL."""

    DSP = "dsp"
    ODRL = "odrl"


# the terms that the protocol's context knows; other properties of ODRL need their prefix to survive JSON-LD processing
_DSP_TERMS = frozenset(
    {
        *("profile", "target", "assigner", "assignee", "timestamp", "permission", "prohibition", "obligation", "duty"),
        *("constraint", "action", "leftOperand", "operator", "rightOperand", "and", "or", "xone", "andSequence"),
    }
)
_Say = Callable[[Severity, str, str, str], None]


def write(policy: Policy, shape: Shape = Shape.DSP) -> dict[str, Any]:
    """The JSON tree of a policy: arrays always arrays, keys left out rather than empty, numbers as typed values.

    Raises: PolicyError, for `Shape.DSP` only, naming everything that the protocol's schema cannot hold.
    """
    if shape is Shape.DSP:
        errors = [found for found in cannot_travel(policy) if found.severity is Severity.ERROR]
        if errors:
            what = "; ".join(f"{found.what} (`{found.where}`)" for found in errors[:5])
            raise PolicyError(f"cannot travel over DSP: {what}", where=policy.where, mend=errors[0].mend)
    return _Writer(shape).policy(policy)


def cannot_travel(policy: Policy) -> tuple[Diagnostic, ...]:
    """What of a policy does not reach a DSP peer: errors cannot be written, warnings are written but may not be understood."""
    found: list[Diagnostic] = []

    def say(severity: Severity, where: str, what: str, mend: str) -> None:
        found.append(Diagnostic(code="cannot-travel", severity=severity, where=where, what=what, mend=mend))

    if not policy.permissions and not policy.prohibitions:
        say(Severity.ERROR, policy.where, "a policy without permission and prohibition", "add a permission")
    if policy.type not in (PolicyType.OFFER, PolicyType.AGREEMENT):
        say(Severity.WARNING, policy.where, f"a policy of type {policy.type}", "make it an Offer or an Agreement")
    if policy.conflicts and "invalid" not in policy.conflicts:
        say(Severity.WARNING, policy.where, "the conflict strategy", "write rules that do not conflict")
    if policy.inherit_from:
        say(Severity.WARNING, policy.where, "inheritance", "merge the parent policies")
    _collections(policy, say)
    for many, what in ((policy.targets, "targets"), (policy.assigners, "assigners"), (policy.assignees, "assignees")):
        if len(many) > 1:
            say(Severity.ERROR, policy.where, f"{len(many)} {what}", "make one policy of each")
    rules: tuple[Rule, ...] = (*policy.permissions, *policy.prohibitions, *policy.obligations)
    for rule in rules:
        _rule_findings(rule, policy, say)
    return tuple(found)


def _collections(holder: Shared, say: _Say) -> None:
    references: tuple[AssetRef | PartyRef, ...] = (*holder.targets, *holder.assigners, *holder.assignees)
    for reference in references:
        if reference.is_collection or reference.refinements or reference.uid is None:
            # whoever does not read its refinement takes it for all members
            say(Severity.ERROR, reference.where, "a collection", "name one asset or party")


def _rule_findings(rule: Rule, policy: Policy, say: _Say) -> None:
    actions = rule.actions or policy.actions
    if len(actions) != 1:
        say(Severity.ERROR, rule.where, f"a rule with {len(actions)} actions", "make one rule of each")
    for action in actions:
        if action.refinements or action.uid:
            say(Severity.ERROR, action.where, "a refined action", "write the refinement as a constraint")
    if rule.targets:
        say(Severity.ERROR, rule.where, "a target of a single rule", "name the target of the whole policy")
    if rule.functions or rule.relations or rule.assigners or rule.assignees:
        say(Severity.WARNING, rule.where, "parties or relations of a single rule", "name them for the whole policy")
    _collections(rule, say)
    for duty in _duties(rule):
        say(Severity.WARNING, duty.where, f"a {duty.role}", "agree on it outside the policy as well")
        _rule_findings(duty, policy, say)
    for constraint in _flat(rule.constraints):
        if constraint.right_references:
            say(Severity.ERROR, constraint.where, "a right operand by reference", "write the value")
        if constraint.unit or constraint.datatype or constraint.status:
            say(Severity.WARNING, constraint.where, "unit, dataType or status", "use an operand whose unit is fixed")


def _duties(rule: Rule) -> tuple[Duty, ...]:
    if isinstance(rule, Permission):
        return rule.duties
    return rule.consequences if isinstance(rule, Duty) else rule.remedies


def _flat(constraints: Iterable[AnyConstraint]) -> Iterable[Constraint]:
    for constraint in constraints:
        if isinstance(constraint, Constraint):
            yield constraint
        else:
            yield from _flat(constraint.members)


class _Writer:
    def __init__(self, shape: Shape) -> None:
        self.is_dsp = shape is Shape.DSP

    def key(self, name: str) -> str:
        """The key under which a property survives JSON-LD processing with the context of the shape."""
        return f"odrl:{name}" if self.is_dsp and name not in _DSP_TERMS else name

    def policy(self, policy: Policy) -> dict[str, Any]:
        tree: dict[str, Any] = {"@type": policy.type}
        if policy.profiles:
            tree["profile"] = list(policy.profiles) if len(policy.profiles) > 1 else policy.profiles[0]
        self.put(tree, "inheritFrom", list(policy.inherit_from))
        if policy.replaced_by:
            tree[REPLACED_BY] = [{"@id": name} for name in policy.replaced_by]
        self.put(tree, "conflict", [conflict.value for conflict in policy.conflicts], is_list=False)
        if policy.timestamp:
            # a term of the protocol's context only
            tree["timestamp" if self.is_dsp else TIMESTAMP] = policy.timestamp
        tree |= self.shared(policy, with_actions=not self.is_dsp)
        shared = policy.actions if self.is_dsp else ()
        self.put(tree, "permission", [self.rule(rule, shared) for rule in policy.permissions])
        self.put(tree, "prohibition", [self.rule(rule, shared) for rule in policy.prohibitions])
        self.put(tree, "obligation", [self.rule(rule, shared) for rule in policy.obligations])
        return tree

    def rule(self, rule: Rule, shared: tuple[ActionRef, ...] = ()) -> dict[str, Any]:
        tree = self.shared(rule, with_actions=False)
        self.put(tree, "action", [self.action(action) for action in rule.actions or shared], is_list=False)
        self.put(tree, "constraint", [self.constraint(constraint) for constraint in rule.constraints])
        if isinstance(rule, Permission):
            self.put(tree, "duty", [self.rule(duty) for duty in rule.duties])
        elif isinstance(rule, Duty):
            self.put(tree, "consequence", [self.rule(duty) for duty in rule.consequences])
        else:
            self.put(tree, "remedy", [self.rule(duty) for duty in rule.remedies])
        if set(tree) == {"@id"} and not isinstance(rule, Duty):
            # it is written out here, however little it says: without its type it reads as one that is only referred to
            tree["@type"] = "Permission" if isinstance(rule, Permission) else "Prohibition"
        return tree

    def shared(self, holder: Shared, *, with_actions: bool) -> dict[str, Any]:
        tree: dict[str, Any] = {"@id": holder.uid} if holder.uid else {}
        if with_actions:
            self.put(tree, "action", [self.action(action) for action in holder.actions], is_list=False)
        self.put(tree, "target", [self.reference(asset, "AssetCollection") for asset in holder.targets], is_list=False)
        self.put(tree, "assigner", [self.reference(party, "PartyCollection") for party in holder.assigners], is_list=False)
        self.put(tree, "assignee", [self.reference(party, "PartyCollection") for party in holder.assignees], is_list=False)
        for function in holder.functions:
            tree.setdefault(self.key(function.name), []).append(self.reference(function.party, "PartyCollection"))
        for relation in holder.relations:
            tree.setdefault(self.key(relation.name), []).append(self.reference(relation.asset, "AssetCollection"))
        return tree | extra_tree(holder.extra)

    def reference(self, reference: AssetRef | PartyRef, collection: str) -> Any:
        is_plain = not (
            reference.source or reference.is_collection or reference.refinements or reference.part_of or reference.extra
        )
        if is_plain:
            return reference.uid
        extra = extra_tree(reference.extra)
        types = ([collection] if reference.is_collection else []) + list(extra.pop("@type", []))
        tree: dict[str, Any] = {"@id": reference.uid} if reference.uid else {}
        self.put(tree, "@type", types, is_list=False)
        if reference.source:
            tree[self.key("source")] = reference.source
        self.put(tree, "partOf", list(reference.part_of))
        self.put(tree, "refinement", [self.constraint(constraint) for constraint in reference.refinements])
        return tree | extra

    def action(self, action: ActionRef) -> Any:
        if not (action.refinements or action.extra or action.uid):
            return action.name
        iri = action.name if ":" in action.name else ODRL + action.name
        tree: dict[str, Any] = {"@id": action.uid} if action.uid else {}
        tree["rdf:value"] = {"@id": iri}
        self.put(tree, "refinement", [self.constraint(constraint) for constraint in action.refinements])
        return tree | extra_tree(action.extra)

    def constraint(self, constraint: AnyConstraint) -> dict[str, Any]:
        tree: dict[str, Any] = {"@id": constraint.uid} if constraint.uid else {}
        if not isinstance(constraint, Constraint):
            members: Any = [self.constraint(member) for member in constraint.members]
            if constraint.operand is LogicalOperand.AND_SEQUENCE and not self.is_dsp:
                # Information Model 2.5.2: in JSON-LD, the @list keyword MUST be used to represent an ordered collection
                members = {"@list": members}
            tree[constraint.operand.value] = members
            return tree | extra_tree(constraint.extra)
        tree["leftOperand"] = constraint.left
        tree["operator"] = constraint.operator.value
        # a list of one collapses in JSON-LD processing, so it is never built
        right = [_value(value) for value in constraint.right]
        self.put(tree, "rightOperand", right, is_list=False)
        self.put(tree, "rightOperandReference", list(constraint.right_references), is_list=False)
        if constraint.unit:
            tree[self.key("unit")] = _value(constraint.unit)
        if constraint.datatype:
            tree[self.key("dataType")] = constraint.datatype
        if constraint.status:
            tree[self.key("status")] = _value(constraint.status)
        return tree | extra_tree(constraint.extra)

    def put(self, tree: dict[str, Any], name: str, items: list[Any], *, is_list: bool = True) -> None:
        if items:
            tree[name if name[0] == "@" else self.key(name)] = items if is_list or len(items) > 1 else items[0]


def _value(value: Value) -> Any:
    if value.is_iri:
        return {"@id": value.text}
    if value.datatype or value.language:
        tree = {"@value": value.text}
        if value.datatype:
            tree["@type"] = value.datatype
        if value.language:
            tree["@language"] = value.language
        return tree
    return value.text


def extra_tree(extra: Extra) -> dict[str, Any]:
    """Properties that ODRL does not know, as JSON."""
    return {name: json.loads(text) for name, text in extra}
