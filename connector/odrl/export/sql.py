"""A row filter: which rows of a table a policy lets its readers see, as the condition of an SQL `WHERE`.

Each row is a member of the target collection, its columns are the properties by which the policy picks members:

    target: {members_of: urn:catalog, where: grade == general}      "grade" = 'general'

A column bears the short name of its operand, or the name it is given. SQL's own NULL is our doubt: a row is seen when a
permission surely picks it and no prohibition might. The filter is made for one request: what is not about rows (who asks, when,
what for, duties) our engine judges now, and rules that do not hold for the request have no part in it.
Source: ISO/IEC 9075 (the part that SQLite, PostgreSQL and others share).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from connector.errors import PolicyError
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.inherit import merged
from connector.odrl.model import (
    AnyConstraint,
    AssetRef,
    Conflict,
    Constraint,
    Diagnostic,
    LogicalOperand,
    Operator,
    Permission,
    Policy,
    PolicyType,
    Prohibition,
    Severity,
)
from connector.odrl.operands import IN_TREE, ORDERED, is_within, measured, right_side
from connector.odrl.terms import stranger
from connector.odrl.truth import Decision, Request, Stage, Unknown, World
from connector.odrl.values import Typed
from connector.odrl.vocabulary import Operand, ValueType, Vocabulary

NO_COLUMNS: Mapping[str, str] = MappingProxyType({})
_SIGNS = {
    Operator.EQ: "=",
    Operator.NEQ: "<>",
    Operator.LT: "<",
    Operator.LTEQ: "<=",
    Operator.GT: ">",
    Operator.GTEQ: ">=",
}
# a condition that is doubt: neither its truth nor its opposite lets a row pass
_DOUBT = "NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition of SQL, and what of the policy is not in it."""

    text: str
    lost: tuple[Diagnostic, ...] = ()


def row_filter(
    policy: Policy, vocabulary: Vocabulary, request: Request, world: World, columns: Mapping[str, str] = NO_COLUMNS
) -> Filter:
    """The condition under which whoever asks may see a row now; `columns` names the columns of operands that have others.

    Raises: PolicyError when the policy inherits from parents that are not given, or cannot be judged as a whole.
    """
    whole = merged(policy, {})
    if isinstance(whole, Unknown):
        raise PolicyError(whole.detail, where=policy.where, mend="merge the parent policies", flaw=whole.code.value)
    compiled = compile(whole, vocabulary, has_ledger=True)
    if compiled.fault is not None:
        raise PolicyError(compiled.fault.detail, where=policy.where, mend="mend it first", flaw=compiled.fault.code.value)
    return _Writer(vocabulary, request, world, columns).filter(compiled.policy)


class _Writer:
    def __init__(self, vocabulary: Vocabulary, request: Request, world: World, columns: Mapping[str, str]) -> None:
        self.vocabulary = vocabulary
        self.request = request
        self.world = world
        self.columns = columns
        self.lost: dict[Diagnostic, None] = {}

    def filter(self, policy: Policy) -> Filter:
        seen = [self.rows(rule, policy) for rule in policy.permissions if self.holds(rule, policy)]
        against = policy.prohibitions if set(policy.conflicts) != {Conflict.PERM} else ()
        hidden = [self.rows(rule, policy) for rule in against if self.applies(rule, policy)]
        text = _any(seen) if seen else "FALSE"
        if hidden:
            text = f"{text} AND NOT {_any(hidden)}"
        return Filter(text=text, lost=tuple(self.lost))

    def lose(self, where: str, what: str, mend: str = "a row of which it is not known is not seen") -> None:
        self.lost[Diagnostic(code="not-carried", severity=Severity.ERROR, where=where, what=what, mend=mend)] = None

    def asked(self, whole: Policy) -> Decision:
        """What our engine says to rules without their targets."""
        plain = replace(whole, type=PolicyType.AGREEMENT, targets=(), obligations=(), inherit_from=())
        compiled = compile(plain, self.vocabulary, has_ledger=self.world.ledger is not None)
        return decide(compiled, self.request, self.world, stage=Stage.REQUEST, trace=True)

    def holds(self, rule: Permission, policy: Policy) -> bool:
        """Whether a permission holds for the request, whatever the row."""
        decision = self.asked(replace(policy, permissions=(replace(rule, targets=()),), prohibitions=()))
        for missing in decision.missing:
            self.lose(rule.where, f"a permission whose `{missing.label or missing.operand}` is not known", missing.how)
        return decision.is_permitted

    def applies(self, rule: Prohibition, policy: Policy) -> bool:
        """Whether a prohibition applies to the request, or might."""
        anything = Permission(where=rule.where)
        prohibition = replace(
            rule, targets=(), actions=rule.actions or policy.actions, assignees=rule.assignees or policy.assignees
        )
        alone = replace(policy, permissions=(anything,), prohibitions=(prohibition,), conflicts=(Conflict.PROHIBIT,))
        return not self.asked(replace(alone, actions=(), assignees=())).is_permitted

    def rows(self, rule: Permission | Prohibition, policy: Policy) -> str:
        """The rows that a rule is about."""
        targets = rule.targets or policy.targets
        return _any([self.target(asset) for asset in targets]) if targets else "TRUE"

    def target(self, asset: AssetRef) -> str:
        if (name := stranger(asset.extra)) is not None:
            return self.strange(name, asset.where)
        return _all([self.condition(one) for one in asset.refinements]) if asset.refinements else "TRUE"

    def strange(self, name: str, where: str) -> str:
        self.lose(where, f"a property `{name[:60]}` that may have been meant as a condition")
        return _DOUBT

    def condition(self, one: AnyConstraint) -> str:
        if (name := stranger(one.extra)) is not None:
            return self.strange(name, one.where)
        if not isinstance(one, Constraint):
            parts = [self.condition(member) for member in one.members]
            if one.operand is LogicalOperand.OR:
                return _any(parts)
            if one.operand is LogicalOperand.XONE:
                counted = " + ".join(f"CASE WHEN {part} THEN 1 WHEN NOT {part} THEN 0 END" for part in parts)
                return f"({counted}) = 1"
            return _all(parts)
        operand = self.vocabulary.operand(one.left)
        right = right_side(one, operand) if operand is not None else None
        if operand is None or right is None or isinstance(right, Unknown):
            self.lose(one.where, right.detail if isinstance(right, Unknown) else f"an unknown left operand `{one.left[:60]}`")
            return _DOUBT
        return self.atom(one, measured(one, operand), right)

    def atom(self, one: Constraint, operand: Operand, right: tuple[Typed, ...]) -> str:
        column = _name(self.columns.get(operand.short, operand.short))
        is_number = operand.value is ValueType.DECIMAL
        if is_number is not all(isinstance(value, Decimal) for value in right) or (one.unit and operand.unit is None):
            self.lose(one.where, f"`{operand.short}` in `{one.unit.text if one.unit else operand.value}`")
            return _DOUBT
        if not is_number and not all(isinstance(value, str) for value in right):
            self.lose(one.where, f"a value of type {operand.value}")
            return _DOUBT
        if any("\\" in str(value) for value in right):
            self.lose(one.where, "a backslash, in which some databases see the beginning of something else")
            return _DOUBT
        if one.operator in IN_TREE:
            return self.tree(one, operand, column, tuple(map(str, right)))
        values = ", ".join(map(_literal, right))
        if one.operator in _SIGNS and len(right) == 1 and (is_number or one.operator not in ORDERED):
            return f"{column} {_SIGNS[one.operator]} {values}"
        if one.operator in (Operator.IS_ANY_OF, Operator.IS_NONE_OF):
            return f"{column} {'NOT ' if one.operator is Operator.IS_NONE_OF else ''}IN ({values})"
        if one.operator is Operator.IS_ALL_OF and len(right) == 1:
            return f"{column} = {values}"
        # a column has one value
        self.lose(one.where, f"`{one.operator}` of {len(right)} values")
        return _DOUBT

    def tree(self, one: Constraint, operand: Operand, column: str, wanted: tuple[str, ...]) -> str:
        taxonomy = operand.codes.taxonomy if operand.codes else None
        known = taxonomy.parents if taxonomy else {}

        def holds(value: str, other: str) -> bool | None:
            return is_within(*((other, value) if one.operator is Operator.HAS_PART else (value, other)), taxonomy)

        yes = sorted(value for value in {*known, *wanted} if any(holds(value, other) is True for other in wanted))
        no = sorted(value for value in known if value not in yes and all(holds(value, other) is False for other in wanted))
        ways = [
            f"WHEN {column} IN ({', '.join(map(_literal, values))}) THEN {truth}"
            for values, truth in ((yes, 1), (no, 0))
            if values
        ]
        return f"CASE {' '.join(ways)} END = 1"


def _all(parts: list[str]) -> str:
    return f"({' AND '.join(parts)})" if len(parts) > 1 else parts[0]


def _any(parts: list[str]) -> str:
    return f"({' OR '.join(parts)})" if len(parts) > 1 else parts[0]


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _literal(value: Typed) -> str:
    return format(value, "f") if isinstance(value, Decimal) else "'" + str(value).replace("'", "''") + "'"
