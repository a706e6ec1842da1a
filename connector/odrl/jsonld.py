"""Reading a policy from JSON-LD, whatever its spelling.

Understood without JSON-LD processing: the DSP compact shape, keys and terms with the `odrl:` prefix or as full IRIs, one
value or an array of them, `{"@id": ...}`, `{"@value": ..., "@type": ...}`, `@list`, `uid` for `@id`, and prefixes that an
inline `@context` defines. Nothing is dropped: what ODRL does not know is kept as an extra property. Nothing is guessed:
what cannot be a policy raises with its path. `write` is the way back and stands in `wire`; documents that need a JSON-LD
processor are expanded before they come here.
Source: ODRL Vocabulary & Expression 2.2, section 5 (JSON-LD); DSP 2025-1, JSON schema `contract-schema.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from connector.errors import PolicyError
from connector.odrl.model import (
    ActionRef,
    AnyConstraint,
    AssetRef,
    AssetRelation,
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
    Prohibition,
    Value,
)
from connector.odrl.terms import REPLACED_BY, TIMESTAMP, nearest, term
from connector.odrl.tree import MAX_DEPTH, MAX_NODES, Node, TreeReader, cut, kind_of, text_of, too_deep
from connector.odrl.wire import Shape, write

__all__ = ["Shape", "read", "write"]

FUNCTIONS = (
    "attributedParty",
    "attributingParty",
    "compensatedParty",
    "compensatingParty",
    "consentedParty",
    "consentingParty",
    "contractedParty",
    "contractingParty",
    "informedParty",
    "informingParty",
    "trackedParty",
    "trackingParty",
)
RELATIONS = ("relation", "output")
_RDF_VALUE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value"
_SHARED = ("action", "target", "assigner", "assignee", *FUNCTIONS, *RELATIONS)
_POLICY = ("permission", "prohibition", "obligation", "profile", "inheritFrom", "conflict", "timestamp", TIMESTAMP)
_RULE = {"permission": "duty", "prohibition": "remedy", "obligation": "consequence", "duty": "consequence"}
_RULE_TYPES = {
    "permission": frozenset({"Rule", "Permission"}),
    "prohibition": frozenset({"Rule", "Prohibition"}),
}
_DUTY_TYPES = frozenset({"Rule", "Duty", "Obligation"})
_LOGICAL = tuple(LogicalOperand)
_T = TypeVar("_T")


def read(tree: object, where: str = "policy", *, max_nodes: int = MAX_NODES) -> Policy:
    """The policy that a JSON tree of at most `max_nodes` objects spells. `Policy.warnings` lists what is readable but doubtful,
    such as having no rule.

    Raises: PolicyError with the path of the culprit and how to mend it. Nothing is half read.
    """
    return _Reader(tree, where, max_nodes).policy(tree, where)


class _Reader(TreeReader):
    is_action_shared = False
    # the policy names an action for all of its rules

    # --- the parts of a policy

    def policy(self, tree: object, where: str) -> Policy:
        node = self.node(tree, where, 0)
        shared = self.shared(node, 0)
        self.is_action_shared = bool(shared["actions"])
        conflicts = tuple(
            dict.fromkeys(
                self.word(Conflict, value, f"{where}.conflict", "conflict strategy")
                for value, _ in self.each(node.take("conflict"), f"{where}.conflict")
            )
        )
        permissions = self.rules(node, "permission", lambda n: self.permission(n, 1))
        prohibitions = self.rules(node, "prohibition", lambda n: self.prohibition(n, 1))
        obligations = self.rules(node, "obligation", lambda n: self.duty(n, DutyRole.OBLIGATION, 1))
        types = [term(name, self.prefixes) for name in self.texts(node.take("@type"), f"{where}.@type")]
        types = [name for name in types if name != "Policy"] or ["Set"]
        if len(types) > 1:
            raise PolicyError(
                f"a policy of {len(types)} types", where=f"{where}.@type", mend="the policy classes are disjoint; keep one"
            )
        if not (permissions or prohibitions or obligations):
            self.warn("no-rule", where, "the policy has no rule, so nothing is permitted by it", "add a `permission`")
        stamps = self.texts(node.take("timestamp"), f"{where}.timestamp") + self.texts(
            node.take(TIMESTAMP), f"{where}.timestamp"
        )
        return Policy(
            **shared,
            type=types[0],
            permissions=permissions,
            prohibitions=prohibitions,
            obligations=obligations,
            profiles=tuple(dict.fromkeys(self.iris(node.take("profile"), f"{where}.profile"))),
            inherit_from=tuple(dict.fromkeys(self.iris(node.take("inheritFrom"), f"{where}.inheritFrom"))),
            replaced_by=tuple(
                dict.fromkeys(
                    name for key in (REPLACED_BY, "isReplacedBy") for name in self.iris(node.take(key), f"{where}.isReplacedBy")
                )
            ),
            conflicts=conflicts,
            timestamp=stamps[0] if stamps else None,
            extra=self.extra(node),
            where=where,
            warnings=tuple(self.warnings),
        )

    def rules(self, node: Node, key: str, make: Callable[[Node], _T], depth: int = 1) -> tuple[_T, ...]:
        path = f"{node.where}.{key}"
        found = []
        for value, where in self.each(node.take(key), path):
            if not isinstance(value, dict):
                raise PolicyError(
                    f"a {key} is {kind_of(value)}", where=where, mend='write an object, such as {"action": "use"}'
                )
            rule = self.node(value, where, depth)
            if key in _RULE_TYPES and set(rule.fields) == {"@id"} and not self.is_action_shared:
                # it would permit, or forbid, everything; a duty may stand for one that is written out elsewhere
                raise PolicyError(f"a {key} that is only referred to", where=where, mend="write the rule out here")
            for name in self.texts(rule.take("@type"), f"{where}.@type"):
                if term(name, self.prefixes) not in _RULE_TYPES.get(key, _DUTY_TYPES):
                    raise PolicyError(f"a {key} of type `{cut(name)}`", where=f"{where}.@type", mend="leave `@type` out")
            misplaced = next((other for other in ("permission", "prohibition", "obligation") if other in rule.fields), None)
            if misplaced:
                raise PolicyError(
                    f"a {key} contains a {misplaced}", where=f"{where}.{misplaced}", mend="rules stand beside each other"
                )
            found.append(make(rule))
        return tuple(found)

    def permission(self, node: Node, depth: int) -> Permission:
        self.refuse(node, "remedy", "consequence")
        return Permission(
            **self.shared(node, depth),
            constraints=self.constraints(node, "constraint", depth),
            duties=self.rules(node, "duty", lambda n: self.duty(n, DutyRole.CONDITION, depth + 1), depth + 1),
            extra=self.extra(node),
            where=node.where,
        )

    def prohibition(self, node: Node, depth: int) -> Prohibition:
        self.refuse(node, "duty", "consequence")
        return Prohibition(
            **self.shared(node, depth),
            constraints=self.constraints(node, "constraint", depth),
            remedies=self.rules(node, "remedy", lambda n: self.duty(n, DutyRole.REMEDY, depth + 1), depth + 1),
            extra=self.extra(node),
            where=node.where,
        )

    def duty(self, node: Node, role: DutyRole, depth: int) -> Duty:
        self.refuse(node, "duty", "remedy")
        if role in (DutyRole.REMEDY, DutyRole.CONSEQUENCE):
            # Information Model 2.6.6, 2.6.7: neither a remedy nor a consequence has a consequence
            self.refuse(node, "consequence")
        return Duty(
            role=role,
            **self.shared(node, depth),
            constraints=self.constraints(node, "constraint", depth),
            consequences=self.rules(node, "consequence", lambda n: self.duty(n, DutyRole.CONSEQUENCE, depth + 1), depth + 1),
            extra=self.extra(node),
            where=node.where,
        )

    def refuse(self, node: Node, *keys: str) -> None:
        for key in keys:
            if key in node.fields:
                raise PolicyError(
                    f"`{key}` does not belong here", where=f"{node.where}.{key}", mend="see ODRL Information Model 2.6"
                )

    def shared(self, node: Node, depth: int) -> dict[str, Any]:
        where = node.where
        return {
            "uid": self.uid(node),
            "actions": self.many(node, "action", self.action, depth),
            "targets": self.many(node, "target", self.asset, depth),
            "assigners": self.many(node, "assigner", self.party, depth),
            "assignees": self.many(node, "assignee", self.party, depth),
            "functions": tuple(
                PartyFunction(name=name, party=self.party(value, path, depth + 1))
                for name in FUNCTIONS
                for value, path in self.each(node.take(name), f"{where}.{name}")
            ),
            "relations": tuple(
                AssetRelation(name=name, asset=self.asset(value, path, depth + 1))
                for name in RELATIONS
                for value, path in self.each(node.take(name), f"{where}.{name}")
            ),
        }

    def many(self, node: Node, key: str, make: Callable[[Any, str, int], _T], depth: int) -> tuple[_T, ...]:
        return tuple(make(value, path, depth + 1) for value, path in self.each(node.take(key), f"{node.where}.{key}"))

    def action(self, value: object, where: str, depth: int) -> ActionRef:
        if isinstance(value, str):
            return ActionRef(name=self.name(value, where), where=where)
        node = self.node(value, where, depth)
        types = [name for name in self.iris(node.take("@type"), where) if term(name, self.prefixes) != "Action"]
        uid = self.uid(node)
        # an action with refinements names its action in rdf:value and may have an identifier of its own (5, "refinement");
        # older EDC releases write {"odrl:type": "use"}
        names = [name for key in (_RDF_VALUE, "@value") for name in self.iris(node.take(key), where)]
        names, uid = (names, uid) if names else ([uid], None) if uid else (types, None)
        if len(names) != 1:
            mend = 'write "use" or {"rdf:value": {"@id": "odrl:use"}, "refinement": [...]}'
            raise PolicyError(f"an action of {len(names)} names", where=where, mend=mend)
        return ActionRef(
            name=self.name(names[0], where),
            uid=uid,
            refinements=self.constraints(node, "refinement", depth),
            extra=self.extra(node),
            where=where,
        )

    def asset(self, value: object, where: str, depth: int) -> AssetRef:
        return AssetRef(**self.reference(value, where, depth, "AssetCollection"))

    def party(self, value: object, where: str, depth: int) -> PartyRef:
        return PartyRef(**self.reference(value, where, depth, "PartyCollection"))

    def reference(self, value: object, where: str, depth: int, collection: str) -> dict[str, Any]:
        if isinstance(value, str):
            return {"uid": self.iri(value, where), "where": where}
        node = self.node(value, where, depth)
        types = [term(name, self.prefixes) for name in self.texts(node.take("@type"), f"{where}.@type")]
        refinements = self.constraints(node, "refinement", depth)
        literals = self.texts(node.take("@value"), where)
        uid = self.uid(node) or (literals[0] if literals else None)
        sources = self.iris(node.take("source"), f"{where}.source")
        if uid is None and not sources:
            raise PolicyError("neither `@id` nor `source`", where=where, mend="write the identifier as a string")
        if len(sources) > 1:
            raise PolicyError(f"{len(sources)} sources", where=f"{where}.source", mend="a collection has one source")
        if refinements and not sources:
            # Information Model 2.5.5, 2.5.6: with a refinement, `source` is required in place of `uid`; `uid` is taken for it
            sources, uid = [uid or ""], None
        part_of = tuple(dict.fromkeys(self.iris(node.take("partOf"), f"{where}.partOf")))
        others = [name for name in types if name not in ("Asset", "Party", collection)]
        extra = self.extra(node)
        if others:
            extra = tuple(sorted((*extra, ("@type", text_of(others)))))
        return {
            "uid": uid,
            "source": sources[0] if sources else None,
            "is_collection": collection in types or bool(sources),
            "refinements": refinements,
            "part_of": part_of,
            "extra": extra,
            "where": where,
        }

    # --- constraints

    def constraints(self, node: Node, key: str, depth: int) -> tuple[AnyConstraint, ...]:
        if depth > MAX_DEPTH:
            raise too_deep(node.where)
        return tuple(
            self.constraint(value, path, depth + 1) for value, path in self.each(node.take(key), f"{node.where}.{key}")
        )

    def constraint(self, value: object, where: str, depth: int) -> AnyConstraint:
        node = self.node(value, where, depth)
        node.take("@type")
        joined = [operand for operand in _LOGICAL if operand in node.fields]
        if joined and "leftOperand" in node.fields:
            raise PolicyError(f"both `leftOperand` and `{joined[0]}`", where=where, mend="make two constraints of it")
        if len(joined) > 1:
            raise PolicyError(f"both `{joined[0]}` and `{joined[1]}`", where=where, mend="nest one in the other")
        if joined:
            return self.logical(node, joined[0], depth)
        if "leftOperand" not in node.fields:
            word = next((key for key in node.fields if not key.startswith("@")), "")
            if word in ("operator", "rightOperand", "rightOperandReference") or not word:
                raise PolicyError(
                    "a constraint without `leftOperand`", where=where, mend="write leftOperand, operator and rightOperand"
                )
            known = ("leftOperand", *_LOGICAL)
            raise PolicyError(
                f"a constraint of neither kind: `{cut(word)}`", where=f"{where}.{cut(word)}", mend=nearest(word, known, 5)
            )
        return self.atomic(node)

    def logical(self, node: Node, operand: LogicalOperand, depth: int) -> LogicalConstraint:
        path = f"{node.where}.{operand}"
        members = tuple(self.constraint(value, where, depth + 1) for value, where in self.each(node.take(operand), path))
        if not members:
            raise PolicyError(f"an empty `{operand}`", where=path, mend="name at least two constraints, or remove it")
        if len(members) == 1:
            self.warn("one-member", path, f"`{operand}` of one constraint", "name at least two constraints")
        return LogicalConstraint(operand=operand, members=members, uid=self.uid(node), extra=self.extra(node), where=node.where)

    def atomic(self, node: Node) -> Constraint:
        where = node.where
        left = self.iris(node.take("leftOperand"), f"{where}.leftOperand")
        if len(left) != 1:
            raise PolicyError(f"{len(left)} left operands", where=f"{where}.leftOperand", mend="a constraint has one")
        operators = self.iris(node.take("operator"), f"{where}.operator")
        if len(operators) != 1:
            raise PolicyError(f"{len(operators)} operators", where=f"{where}.operator", mend="a constraint has one")
        operator = self.word(Operator, _term_lteq(operators[0]), f"{where}.operator", "operator")
        has_right = "rightOperand" in node.fields
        right = self.values(node.take("rightOperand"), f"{where}.rightOperand")
        references = self.iris(node.take("rightOperandReference"), f"{where}.rightOperandReference")
        if has_right and references:
            raise PolicyError("both `rightOperand` and `rightOperandReference`", where=where, mend="keep one")
        if not right and not references:
            raise PolicyError(
                "a constraint without a right operand", where=f"{where}.rightOperand", mend="name the value to compare with"
            )
        datatypes = self.iris(node.take("dataType"), f"{where}.dataType")
        return Constraint(
            left=self.name(left[0], f"{where}.leftOperand"),
            operator=operator,
            right=right,
            right_references=tuple(references),
            uid=self.uid(node),
            unit=self.one(node, "unit"),
            datatype=datatypes[0] if datatypes else None,
            status=self.one(node, "status"),
            extra=self.extra(node),
            where=where,
        )

    def one(self, node: Node, key: str) -> Value | None:
        found = self.values(node.take(key), f"{node.where}.{key}")
        if len(found) > 1:
            raise PolicyError(f"{len(found)} values of `{key}`", where=f"{node.where}.{key}", mend="a constraint has one")
        return found[0] if found else None


def _term_lteq(name: str) -> str:
    # the official DSP schema lists `term-lteq` beside `lteq`: a slip that a schema-driven peer may repeat
    return "lteq" if name == "term-lteq" else name
