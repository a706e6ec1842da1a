"""Reading a digital contract: as lenient as documents are careless, as strict as a wrong reading would be dangerous.

Names that are known to be misspelt are understood; a name that is not known is refused with its path, for what is not
understood might forbid something.
Source: TC609-6-2025-14, 6.2, annexes B.2.3 (strategy), C (dictionaries), D (examples).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from connector import strict
from connector.errors import BadMessage, PolicyError, TooLarge
from connector.odrl.model import (
    ActionRef,
    AssetRef,
    Constraint,
    Duty,
    DutyRole,
    Extra,
    Operator,
    PartyRef,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Value,
)
from connector.odrl.tds import values
from connector.odrl.tds.dictionary import (
    BASIC,
    CONTRACT,
    EXPANSION,
    KINDS,
    NODE,
    NODES,
    POLICY_EXPANSION,
    PRODUCT,
    SIGN_MODES,
    SIGNATORY,
    STATUSES,
    STRATEGY,
    SUBJECT,
    VALIDITY,
    Dictionary,
)
from connector.odrl.terms import nearest
from connector.odrl.tree import cut, kind_of, text_of
from connector.odrl.values import parse_duration

# the kinds as single policies name them
_KIND = {
    **{kind: kind for kind in KINDS.values()},
    **KINDS,
    "允许": "permission",
    "禁止": "prohibition",
    "义务": "obligation",
}
# what each kind of policy may have besides: member -> role of the duties in it
INNER: Mapping[str, tuple[str, DutyRole]] = {
    "permission": ("preDuty", DutyRole.CONDITION),
    "prohibition": ("remedy", DutyRole.REMEDY),
    "obligation": ("breachLiability", DutyRole.CONSEQUENCE),
}
_PURPOSE = "purpose"
_SIGNED = ("0301", "05")
# one that is being signed grants nothing yet, one that is terminated nothing any more
_WITHIN = (Operator.EQ, Operator.IS_A, Operator.IS_PART_OF, Operator.IS_ANY_OF)
# how documents say that a moment lies in a span of time


def read(tree: object, dictionary: Dictionary, where: str = "contract") -> Policy:
    """The ODRL policy that a contract is: an agreement while it is signed and in performance, an offer before and after.

    Raises: PolicyError with the path of what means nothing and how to mend it.
    """
    return _Reader(dictionary).contract(tree, where)


def in_force(indate: str, where: str) -> Constraint:
    """The condition that a contract is valid until `indate`, as the contract writes a moment."""
    end, _ = values.taken("time", indate, where)
    return Constraint(left="dateTime", operator=Operator.LTEQ, right=(end,), uid=VALIDITY, where=where)


class _Reader:
    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary

    # --- the document

    def contract(self, tree: object, where: str) -> Policy:
        fields = self.fields(tree, where)
        basic = {name: fields.pop(name) for name in (*BASIC, "signatories", "expansionItem") if name in fields}
        self.texts(basic, BASIC, where)
        for name, codes in (("contractStatus", STATUSES), ("signMode", SIGN_MODES)):
            if basic[name] not in codes:
                raise PolicyError(f"unknown code `{cut(basic[name])}`", where=f"{where}.{name}", mend=nearest("", codes, 9))
        for name in ("createTime", "signTime", "indate"):
            if name in basic:
                basic[name] = values.stamp(values.taken("time", basic[name], f"{where}.{name}")[0].text, f"{where}.{name}")
        if "signatories" in basic:
            basic["signatories"] = [
                self.texts(self.fields(item, path), SIGNATORY, path)
                for item, path in self.each(basic["signatories"], f"{where}.signatories")
            ]
        if not isinstance(basic.get("expansionItem", {}), dict):
            what = f"`expansionItem` is {kind_of(basic['expansionItem'])}"
            raise PolicyError(what, where=f"{where}.expansionItem", mend="write an object")
        rules: dict[str, list[Any]] = {kind: [] for kind in KINDS.values()}
        for kind, item, path in self.policies(fields, where):
            rules[kind].append(self.rule(kind, item, path))
        self.nothing_left(fields, where, (*BASIC, "signatories", "contractPolicies", "strategy", "expansionItem"))
        if not any(rules.values()):
            raise PolicyError("a contract without policies", where=where, mend="write `contractPolicies`")
        if "indate" in basic:
            # what a contract permits it permits while it is valid
            valid = in_force(basic["indate"], f"{where}.indate")
            rules["permission"] = [replace(rule, constraints=(*rule.constraints, valid)) for rule in rules["permission"]]
        return Policy(
            uid=f"urn:tds:contract:{basic['contractId']}",
            type=PolicyType.AGREEMENT if basic["contractStatus"] in _SIGNED else PolicyType.OFFER,
            permissions=tuple(rules["permission"]),
            prohibitions=tuple(rules["prohibition"]),
            obligations=tuple(rules["obligation"]),
            extra=((CONTRACT, text_of(basic)),),
            where=where,
        )

    def policies(self, fields: dict[str, Any], where: str) -> Iterator[tuple[str, Any, str]]:
        """The policies of a contract with their kinds, from `contractPolicies` (dictionary C.2) or `strategy` (interface B.4)."""
        if "contractPolicies" in fields:
            path = f"{where}.contractPolicies"
            lists = self.fields(fields.pop("contractPolicies"), path)
            for name, kind in KINDS.items():
                for item, place in self.each(lists.pop(name, []), f"{path}.{name}"):
                    yield kind, item, place
            self.nothing_left(lists, path, tuple(KINDS))
        for item, path in self.each(fields.pop("strategy", []), f"{where}.strategy"):
            inner = self.fields(item, path)
            kind = inner.pop("kind", "permission")
            if kind not in _KIND:
                raise PolicyError(f"unknown kind `{cut(str(kind))}`", where=f"{path}.kind", mend=nearest(str(kind), _KIND, 3))
            yield _KIND[kind], inner, path

    def rule(self, kind: str, tree: Any, where: str) -> Any:
        fields = self.fields(tree, where)
        extra: list[tuple[str, str]] = []
        if "strategyId" in fields:
            extra.append((STRATEGY, text_of(self.text(fields.pop("strategyId"), f"{where}.strategyId"))))
        subject = self.texts(
            self.fields(fields.pop("subjectInfo", None), f"{where}.subjectInfo"), SUBJECT, f"{where}.subjectInfo"
        )
        nodes = self.nodes(fields.pop("executionNodeInfo", None), f"{where}.executionNodeInfo")
        product = subject.pop("dataProductId")
        parts: dict[str, Any] = {
            "actions": self.actions(fields.pop("actions", None), f"{where}.actions"),
            "targets": (AssetRef(uid=product, extra=_kept(PRODUCT, subject), where=f"{where}.subjectInfo"),),
            "assigners": (PartyRef(uid=nodes["providerNodeId"], where=f"{where}.executionNodeInfo"),),
            "assignees": (PartyRef(uid=nodes["consumerNodeId"], where=f"{where}.executionNodeInfo"),)
            if "consumerNodeId" in nodes
            else (),
        }
        extra += _kept(NODE, {name: nodes[name] for name in ("providerNodeName", "consumerNodeName") if name in nodes})
        constraints = self.constraints(fields.pop("constraints", []), f"{where}.constraints")
        expansion = fields.pop("expansionItem", {})
        purposes, rest = self.purposes(expansion, f"{where}.expansionItem")
        extra += _kept(EXPANSION, rest)
        inner, kept = self.inner(kind, fields.pop("policyExpansion", None), f"{where}.policyExpansion")
        extra += kept
        known = ("strategyId", "subjectInfo", "executionNodeInfo", "actions", "constraints", "policyExpansion", "expansionItem")
        self.nothing_left(fields, where, known)
        parts |= {"constraints": (*constraints, *purposes), "extra": tuple(sorted(extra)), "where": where}
        if kind == "permission":
            return Permission(duties=inner, **parts)
        if kind == "prohibition":
            return Prohibition(remedies=inner, **parts)
        return Duty(role=DutyRole.OBLIGATION, consequences=inner, **parts)

    def nodes(self, tree: object, where: str) -> dict[str, str]:
        """Who executes, by the names of the interface (B.4) or of the dictionary (C.3)."""
        fields = self.fields(tree, where)
        for old, new in (("assigner", "provider"), ("assignee", "consumer")):
            for part in ("Id", "Name"):
                if f"{old}{part}" in fields and f"{new}Node{part}" not in fields:
                    fields[f"{new}Node{part}"] = fields.pop(f"{old}{part}")
        return self.texts(fields, NODES, where)

    def actions(self, tree: object, where: str) -> tuple[ActionRef, ...]:
        found = []
        for item, path in self.each(tree, where):
            name = self.dictionary.spelled(self.text(item, path))
            if name not in self.dictionary.actions:
                mend = nearest(name, self.dictionary.actions, 6)
                raise PolicyError(f"unknown action `{cut(name)}`", where=path, mend=mend, flaw="action-unknown")
            found.append(ActionRef(name=self.dictionary.actions[name], where=path))
        if not found:
            raise PolicyError("a policy without actions", where=where, mend="write `actions`")
        return tuple(found)

    # --- constraints

    def constraints(self, tree: object, where: str) -> tuple[Constraint, ...]:
        found: list[Constraint] = []
        for item, path in self.each(tree, where):
            for constraint in self.constraint(item, path):
                last = found[-1] if found else None
                frequency, window = (self.dictionary.constraints[name] for name in ("frequency", "timeWindow"))
                is_period = constraint.left == window and constraint.operator is Operator.EQ and len(constraint.right) == 1
                is_period = is_period and parse_duration(constraint.right[0].text) is not None
                if last is not None and is_period and last.left == frequency and last.unit is None:
                    # the dictionary's frequency is a number; the window beside it says in which time
                    found[-1] = replace(last, unit=constraint.right[0])
                    continue
                found.append(constraint)
        return tuple(found)

    def constraint(self, tree: object, where: str) -> Iterator[Constraint]:
        fields = self.fields(tree, where)
        name = self.dictionary.spelled(self.text(fields.pop("constraintName", None), f"{where}.constraintName"))
        code = self.text(fields.pop("constraintOperator", None), f"{where}.constraintOperator")
        value = fields.pop("constraintValue", None)
        self.nothing_left(fields, where, ("constraintName", "constraintOperator", "constraintValue"))
        if name not in self.dictionary.constraints:
            mend = nearest(name, self.dictionary.constraints, 6)
            path = f"{where}.constraintName"
            raise PolicyError(f"unknown constraint `{cut(name)}`", where=path, mend=mend, flaw="operand-unknown")
        operator = self.operator(code, f"{where}.constraintOperator")
        path = f"{where}.constraintValue"
        texts = [self.text(item, place) for item, place in self.each(value, path)] if isinstance(value, list) else None
        if texts is None:
            text = str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(value, path)
            texts = values.split(text) or [text]
            # one value that has brackets itself stands in quotes: it is no list
            is_list = values.split(text) is not None and not (len(texts) == 1 and text.lstrip("[ ").startswith('"'))
            yield from self.said(name, operator, texts, path, is_list=is_list)
        else:
            yield from self.said(name, operator, texts, path, is_list=True)

    def said(self, name: str, operator: Operator, texts: list[str], where: str, *, is_list: bool) -> Iterator[Constraint]:
        only = texts[0] if len(texts) == 1 else ""
        if name == "count" and (found := values.rate(only)):
            # annex D writes "10000 times/day" as a count; the dictionary has a frequency for it
            left = self.dictionary.constraints["frequency"]
            yield Constraint(
                left=left, operator=operator, right=(Value(text=found[0]),), unit=Value(text=found[1]), where=where
            )
            return
        if name in ("time", "timeWindow") and (both := values.span(only)):
            if operator not in _WITHIN:
                # outside of the span, or on one side of it: nothing says so here
                said = f"a span of time with the operator `{operator}`"
                raise PolicyError(said, where=where, mend="write `eq` for within it, or each of its ends by itself")
            left = self.dictionary.constraints["time"]
            for moment, edge in zip(both, (Operator.GTEQ, Operator.LTEQ), strict=True):
                yield Constraint(left=left, operator=edge, right=(Value(text=moment),), where=where)
            return
        if operator is Operator.IS_A and is_list:
            # annex D writes `isA` for "in the list"
            operator = Operator.IS_ANY_OF
        left = self.dictionary.constraints[name]
        if name == "timeWindow" and operator in (Operator.LT, Operator.LTEQ) and parse_duration(only) is not None:
            left = "elapsedTime"
        pairs = [values.taken(name, text, where) for text in texts]
        units = {unit.text for _, unit in pairs if unit is not None}
        if len(units) > 1:
            raise PolicyError("amounts in several currencies", where=where, mend="make one constraint of each")
        unit = Value(text=units.pop()) if units else None
        yield Constraint(left=left, operator=operator, right=tuple(value for value, _ in pairs), unit=unit, where=where)

    def operator(self, code: str, where: str) -> Operator:
        """The operator of a code, or of the word that some documents write."""
        if code in self.dictionary.operators:
            return self.dictionary.operators[code]
        padded = code.zfill(2)
        if padded in self.dictionary.operators:
            return self.dictionary.operators[padded]
        try:
            return Operator(code)
        except ValueError:
            mend = nearest(code, [*self.dictionary.operators, *Operator], 12)
            raise PolicyError(f"unknown operator `{cut(code)}`", where=where, mend=mend) from None

    def purposes(self, tree: object, where: str) -> tuple[tuple[Constraint, ...], dict[str, Any]]:
        """The purposes that stand in an extension, and what else does."""
        if not isinstance(tree, dict):
            raise PolicyError(f"`expansionItem` is {kind_of(tree)}", where=where, mend="write an object")
        rest = dict(tree)
        found = []
        for item, path in self.each(rest.pop(_PURPOSE, []), f"{where}.{_PURPOSE}"):
            fields = self.fields(item, path)
            operator = self.operator(self.text(fields.pop("operator", None), f"{path}.operator"), f"{path}.operator")
            right = [self.text(text, place) for text, place in self.each(fields.pop("value", None), f"{path}.value")]
            self.nothing_left(fields, path, ("operator", "value"))
            if not right:
                raise PolicyError("a purpose without value", where=path, mend="write `value`")
            found.append(
                Constraint(left=_PURPOSE, operator=operator, right=tuple(Value(text=text) for text in right), where=path)
            )
        return tuple(found), rest

    # --- duties

    def inner(self, kind: str, tree: object, where: str) -> tuple[tuple[Duty, ...], Extra]:
        """The duties, remedies or consequences in `policyExpansion`; words for people are kept as they are."""
        if tree is None:
            return (), ()
        if isinstance(tree, str):
            if not tree.strip().startswith("{"):
                # words for people; what looks like duties and is none is refused: nobody would keep them
                return (), ((POLICY_EXPANSION, text_of(tree)),)
            try:
                tree = strict.scan(tree.encode())
            except (BadMessage, TooLarge, UnicodeEncodeError) as fault:
                raise PolicyError(f"not JSON: {fault}", where=where, mend="mend it, or write words for people") from None
        fields = self.fields(tree, where)
        name, role = INNER[kind]
        duties = tuple(self.duty(role, item, path) for item, path in self.each(fields.pop(name, []), f"{where}.{name}"))
        self.nothing_left(fields, where, (name,))
        return duties, ()

    def duty(self, role: DutyRole, tree: object, where: str) -> Duty:
        fields = self.fields(tree, where)
        uid = self.text(fields.pop("strategyId"), f"{where}.strategyId") if "strategyId" in fields else None
        actions = self.actions(fields.pop("actions", None), f"{where}.actions")
        constraints = self.constraints(fields.pop("constraints", []), f"{where}.constraints")
        consequences: tuple[Duty, ...] = ()
        known: tuple[str, ...] = ("strategyId", "actions", "constraints")
        if role is DutyRole.CONDITION:
            path = f"{where}.breachLiability"
            consequences = tuple(
                self.duty(DutyRole.CONSEQUENCE, item, place)
                for item, place in self.each(fields.pop("breachLiability", []), path)
            )
            known = (*known, "breachLiability")
        self.nothing_left(fields, where, known)
        return Duty(role=role, uid=uid, actions=actions, constraints=constraints, consequences=consequences, where=where)

    # --- JSON

    def fields(self, tree: object, where: str) -> dict[str, Any]:
        """The members of an object, their names as they should be written."""
        if not isinstance(tree, dict):
            what = "nothing" if tree is None else kind_of(tree)
            raise PolicyError(f"{what} where an object belongs", where=where, mend="see TC609-6-2025-14, annex C")
        found: dict[str, Any] = {}
        for key, value in tree.items():
            name = self.dictionary.spelled("".join(str(key).split()))
            if name in found:
                raise PolicyError(
                    f"`{cut(name)}` is given twice, in two spellings", where=f"{where}.{cut(str(key))}", mend="keep one"
                )
            if value is not None:
                found[name] = value
        return found

    def texts(self, fields: dict[str, Any], known: Mapping[str, tuple[int, bool]], where: str) -> dict[str, Any]:
        """The fields, each a text that is there if it must be and no longer than it may."""
        for name, (longest, is_required) in known.items():
            if name not in fields:
                if is_required:
                    raise PolicyError(f"no `{name}`", where=where, mend=f"write `{name}`, at most {longest} signs")
                continue
            fields[name] = self.text(fields[name], f"{where}.{name}")
            if len(fields[name]) > longest and not name.endswith("Time") and name != "indate":
                what = f"`{name}` of {len(fields[name])} signs"
                raise PolicyError(what, where=f"{where}.{name}", mend=f"at most {longest} are allowed")
        others = [name for name in fields if name not in known and name not in ("signatories", "expansionItem")]
        if others:
            mend = nearest(others[0], known, 9)
            raise PolicyError(
                f"unknown field `{cut(others[0])}`", where=f"{where}.{cut(others[0])}", mend=mend, flaw="word-unknown"
            )
        return fields

    def each(self, tree: object, where: str) -> Iterator[tuple[Any, str]]:
        if isinstance(tree, list):
            yield from ((item, f"{where}[{number}]") for number, item in enumerate(tree))
        elif tree is not None:
            yield tree, where

    def text(self, tree: object, where: str) -> str:
        if not isinstance(tree, str) or not tree.strip():
            what = "nothing" if tree is None else kind_of(tree) if not isinstance(tree, str) else "an empty text"
            raise PolicyError(f"{what} where a text belongs", where=where, mend="write a string")
        return tree

    def nothing_left(self, fields: Mapping[str, Any], where: str, known: tuple[str, ...]) -> None:
        for name in fields:
            mend = nearest(name, known, 9)
            raise PolicyError(f"unknown field `{cut(name)}`", where=f"{where}.{cut(name)}", mend=mend, flaw="word-unknown")


def _kept(name: str, tree: Mapping[str, Any]) -> Extra:
    return ((name, text_of(dict(tree))),) if tree else ()
