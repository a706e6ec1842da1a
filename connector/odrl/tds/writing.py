"""Writing a policy as a digital contract: the dictionaries' own names, codes and forms, and nothing else.

What has no place in a contract is refused with its path: a condition that the other side does not get is a condition that
nobody keeps.
Source: TC609-6-2025-14, 6.2, annex C (dictionaries).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from connector.errors import PolicyError
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    Constraint,
    Duty,
    LogicalConstraint,
    LogicalOperand,
    Operator,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Rule,
    Shared,
)
from connector.odrl.tds import values
from connector.odrl.tds.dictionary import (
    CONTRACT,
    EXPANSION,
    KINDS,
    NODE,
    POLICY_EXPANSION,
    PRODUCT,
    STRATEGY,
    VALIDITY,
    Dictionary,
)
from connector.odrl.tds.reading import INNER, in_force
from connector.odrl.terms import term
from connector.odrl.tree import text_of

_ABOUT = ("http://purl.org/dc/terms/title", "http://purl.org/dc/terms/description")
_UID = "urn:tds:contract:"
_STATUS = {PolicyType.AGREEMENT.value: "0301"}


def write(policy: Policy, dictionary: Dictionary) -> dict[str, Any]:
    """The contract that a policy is.

    Raises: PolicyError naming what has no place in a contract, where it stands, and how to mend it.
    """
    return _Writer(dictionary).contract(policy)


def notes(policy: Policy) -> tuple[str, ...]:
    """What travels where no one has to look for it: the dictionary has no purpose, so that goes into `expansionItem`."""
    rules: tuple[Rule, ...] = (*policy.permissions, *policy.prohibitions, *policy.obligations)
    return tuple(
        f"{one.where}: the contract has no purpose; it is carried in `expansionItem`"
        for rule in rules
        for one in rule.constraints
        if isinstance(one, Constraint) and one.left == "purpose"
    )


def _refused(what: str, where: str, mend: str) -> PolicyError:
    return PolicyError(f"a contract has no {what}", where=where, mend=mend, flaw="not-in-profile")


class _Writer:
    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary

    def contract(self, policy: Policy) -> dict[str, Any]:
        if not policy.has_rules:
            raise PolicyError("a policy without rules", where=policy.where, mend="add a permission", flaw="rule-missing")
        if policy.inherit_from:
            raise _refused("inheritance", policy.where, "merge the parent policies")
        if policy.conflicts and set(policy.conflicts) != {"prohibit"}:
            # usage control lets a prohibition win
            raise _refused(
                f"conflict strategy `{policy.conflicts[0]}`", policy.where, "write `conflict: prohibit`, or leave it out"
            )
        if policy.functions or policy.relations:
            raise _refused("functions or relations of a whole policy", policy.where, "remove them")
        tree = self.basic(policy)
        lists: dict[str, Any] = {}
        kinds: tuple[tuple[Rule, ...], ...] = (policy.permissions, policy.prohibitions, policy.obligations)
        for name, rules in zip(KINDS, kinds, strict=True):
            if rules:
                lists[name] = [self.rule(KINDS[name], rule, policy) for rule in rules]
        return {**tree, "contractPolicies": lists}

    def basic(self, policy: Policy) -> dict[str, Any]:
        extra = dict(policy.extra)
        kept: dict[str, Any] | None = json.loads(extra.pop(CONTRACT, "null"))
        title, text = (json.loads(extra.pop(name, "null")) for name in _ABOUT)
        if extra:
            raise _refused(f"property `{next(iter(extra))}`", policy.where, "remove it")
        if kept is not None:
            return kept
        uid = (policy.uid or "").removeprefix(_UID)
        if not uid or len(uid) > 47:
            what = f"a contract id of {len(uid)} signs"
            raise PolicyError(what, where=policy.where, mend="name the policy `urn:tds:contract:ID`, with at most 47 signs")
        found = {"contractId": uid, "contractName": (title if isinstance(title, str) and title.strip() else uid)[:128]}
        if isinstance(text, str) and text.strip():
            found["contractAbstract"] = text[:1024]
        valid = _validity(policy)
        if valid is not None:
            found["indate"] = values.stamp(valid.right[0].text, valid.where)
        return {**found, "contractStatus": _STATUS.get(policy.type, "01"), "signMode": "01"}

    def rule(self, kind: str, rule: Rule, policy: Policy) -> dict[str, Any]:
        where = rule.where
        target = self.only(rule.targets or policy.targets, "target", where)
        assigner = self.only(rule.assigners or policy.assigners, "assigner", where)
        assignees = rule.assignees or policy.assignees
        assignee = self.only(assignees, "assignee", where) if assignees else None
        if rule.functions or rule.relations or rule.uid:
            raise _refused("functions, relations or identifiers of rules", where, "remove them")
        extra = {name: json.loads(text) for name, text in rule.extra}
        names: Mapping[str, str] = extra.pop(NODE, {})
        tree: dict[str, Any] = {}
        if STRATEGY in extra:
            tree["strategyId"] = extra.pop(STRATEGY)
        tree["subjectInfo"] = {"dataProductId": target.uid, **self.kept(target)}
        nodes = {"providerNodeId": assigner.uid, "providerNodeName": names.get("providerNodeName")}
        nodes |= {"consumerNodeId": assignee.uid if assignee else None, "consumerNodeName": names.get("consumerNodeName")}
        tree["executionNodeInfo"] = {name: text for name, text in nodes.items() if text is not None}
        tree["actions"] = self.actions(rule.actions or policy.actions, where)
        valid = _validity(policy)
        constraints, purposes = self.constraints(tuple(one for one in rule.constraints if one != valid))
        if constraints:
            tree["constraints"] = constraints
        if (inner := self.inner(kind, rule)) is not None:
            tree["policyExpansion"] = inner
        elif POLICY_EXPANSION in extra:
            tree["policyExpansion"] = extra.pop(POLICY_EXPANSION)
        expansion = extra.pop(EXPANSION, {})
        if purposes:
            expansion = {**expansion, "purpose": purposes}
        if expansion:
            tree["expansionItem"] = expansion
        if extra:
            raise _refused(f"property `{next(iter(extra))}`", where, "remove it")
        return tree

    def only(self, found: tuple[Any, ...], what: str, where: str) -> Any:
        if len(found) != 1:
            raise PolicyError(f"{len(found)} {what}s of a rule", where=where, mend=f"a policy of a contract has one {what}")
        one: AssetRef | PartyRef = found[0]
        if one.uid is None or one.is_collection or one.refinements or one.part_of:
            raise _refused("collections", one.where or where, f"name one {what}")
        return one

    def kept(self, target: AssetRef) -> dict[str, Any]:
        extra = dict(target.extra)
        found: dict[str, Any] = json.loads(extra.pop(PRODUCT, "{}"))
        if extra:
            raise _refused(f"property `{next(iter(extra))}`", target.where, "remove it")
        return found

    def actions(self, actions: tuple[ActionRef, ...], where: str) -> list[str]:
        found = []
        for action in actions:
            name = self.dictionary.action_of(action.name)
            if name is None:
                mend = "use one of the 20 of the dictionary, such as `read`, `process`, `tds:compute`"
                raise _refused(f"action `{action.name[:60]}`", action.where or where, mend)
            if action.refinements or action.uid or action.extra:
                raise _refused("refined actions", action.where or where, "write the refinement as a condition of the rule")
            found.append(name)
        if not found:
            raise PolicyError("a rule without an action", where=where, mend="name one")
        return found

    # --- constraints

    def constraints(self, constraints: tuple[AnyConstraint, ...]) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
        """The constraints as the contract has them, and the purposes, for which it has no place."""
        found: list[dict[str, str]] = []
        purposes: list[dict[str, Any]] = []
        for one in _flat(constraints):
            if one.uid or one.datatype or one.status or one.extra or one.right_references:
                raise _refused("identifier, dataType, status, reference or property of a condition", one.where, "remove it")
            if any(value.language or (value.datatype and one.left == "purpose") for value in one.right):
                raise _refused("language or type of a value", one.where, "write the bare value")
            if one.left == "purpose":
                purposes.append(
                    {"operator": self.dictionary.code_of(one.operator), "value": [value.text for value in one.right]}
                )
            else:
                found += self.constraint(one)
        return found, purposes

    def constraint(self, one: Constraint) -> Iterator[dict[str, str]]:
        operator = one.operator
        name = self.dictionary.constraint_of(one.left)
        if one.left == "elapsedTime":
            # `elapsedTime eq P30D` is an allowance; the contract's window with `eq` is a recurring one
            name, operator = "timeWindow", Operator.LTEQ if operator is Operator.EQ else operator
        if name is None:
            mend = "use one of the 18 of the dictionary, such as `count`, `dateTime`, `spatial`"
            raise _refused(f"constraint `{one.left[:60]}`", one.where, mend)
        if name == "frequency" and one.unit is not None:
            yield self.row(name, operator, one.right[0].text)
            yield self.row("timeWindow", Operator.EQ, one.unit.text)
            return
        if name == "time" and len(one.right) == 1 and (edge := values.day_edge(one.right[0].text, operator)):
            operator, moment = edge
            yield self.row(name, operator, values.stamp(moment, one.where))
            return
        if len(one.right) != 1 and operator not in values.LISTED:
            raise _refused(f"`{operator}` with {len(one.right)} values", one.where, "write `in [...]`")
        texts = [values.given(name, value, one) for value in one.right]
        yield self.row(name, operator, values.join(texts) if operator in values.LISTED else texts[0])

    def row(self, name: str, operator: Operator, text: str) -> dict[str, str]:
        if operator not in values.LISTED and values.split(text) is not None:
            text = values.join([text])
        return {"constraintName": name, "constraintOperator": self.dictionary.code_of(operator), "constraintValue": text}

    # --- duties

    def inner(self, kind: str, rule: Rule) -> str | None:
        """The duties, remedies or consequences of a rule as the text of `policyExpansion`; None when there is none."""
        name, _ = INNER[kind]
        duties = (
            rule.duties
            if isinstance(rule, Permission)
            else rule.remedies
            if isinstance(rule, Prohibition)
            else rule.consequences
        )
        return text_of({name: [self.duty(duty) for duty in duties]}) if duties else None

    def duty(self, duty: Duty) -> dict[str, Any]:
        holder: Shared = duty
        if holder.targets or holder.assigners or holder.assignees or holder.functions or holder.relations or holder.extra:
            raise _refused("targets, parties or properties of a duty", duty.where, "they are those of its rule; remove them")
        tree: dict[str, Any] = {"strategyId": duty.uid} if duty.uid else {}
        tree["actions"] = self.actions(duty.actions, duty.where)
        constraints, purposes = self.constraints(duty.constraints)
        if purposes:
            raise _refused("purpose of a duty", duty.where, "write it as a condition of the rule")
        if constraints:
            tree["constraints"] = constraints
        if duty.consequences:
            tree["breachLiability"] = [self.duty(consequence) for consequence in duty.consequences]
        return tree


def _validity(policy: Policy) -> Constraint | None:
    """The condition of all permissions that the contract as a whole says as its `indate`; None when there is none."""
    kept: dict[str, Any] = json.loads(dict(policy.extra).get(CONTRACT, "{}"))
    if kept:
        return in_force(kept["indate"], policy.where) if "indate" in kept else None
    found = [one for rule in policy.permissions for one in rule.constraints if one.uid == VALIDITY]
    if len(set(found)) != 1 or len(found) != len(policy.permissions) or not isinstance(found[0], Constraint):
        return None
    # one of another form would come back as something else: it is refused for its identifier
    valid = in_force(values.stamp(found[0].right[0].text, found[0].where), found[0].where) if found[0].right else None
    return valid if valid == found[0] else None


def _flat(constraints: tuple[AnyConstraint, ...]) -> Iterator[Constraint]:
    for one in constraints:
        if isinstance(one, Constraint):
            yield one
        elif isinstance(one, LogicalConstraint) and one.operand is LogicalOperand.AND and not one.uid and not one.extra:
            yield from _flat(one.members)
        else:
            raise _refused(f"`{term(one.operand.value)}` of conditions", one.where, "make one policy of each branch")
