"""Conditions that mean something else than they seem to say: what two readers would read differently, for whoever writes a policy.

Each is judged as the standard has it, and told with what it comes to and what was probably meant. Only readings that let more
happen than their author may think are told; what can never be judged is told by `premises`, what is left out by `remarks`.
Source: ODRL Vocabulary & Expression 2.2, sections 3.4 (operators on sets of values), 4.9 (dateTime, payAmount).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from connector.odrl.duties import has_deadline
from connector.odrl.expand import composed, conjunction
from connector.odrl.model import AnyConstraint, Constraint, Diagnostic, Operator, Policy, Severity
from connector.odrl.vocabulary import Operand, SourceKind, ValueType, Vocabulary

_Found = tuple[str, str, str]
# code, what it comes to, what may have been meant
_CODE_LIKE = re.compile(r"0\d+", re.ASCII)


def readings(policy: Policy, vocabulary: Vocabulary) -> Iterator[Diagnostic]:
    """One warning for each condition that lets more happen than it seems to say, and for each obligation that is never late."""
    whole = composed(policy)
    for rules, ask in ((whole.permissions, _in_permission), (whole.prohibitions, _in_prohibition)):
        for rule in rules:
            about = (*rule.constraints, *(one for action in rule.actions for one in action.refinements))
            yield from _told(about, ask, vocabulary)
    for duty in whole.obligations:
        conditions = (*duty.constraints, *(one for action in duty.actions for one in action.refinements))
        if not has_deadline(conjunction(conditions), vocabulary):
            what = f"the obligation to {' and '.join(action.name for action in duty.actions) or 'act'} has no end, so it is never late"
            yield _diagnostic(duty.where, ("never-late", what, "say until when, such as `dateTime < 2030-01-01Z`"))


def _told(
    constraints: tuple[AnyConstraint, ...],
    ask: Callable[[Constraint, Operand], Iterator[_Found]],
    vocabulary: Vocabulary,
) -> Iterator[Diagnostic]:
    for one in constraints:
        if not isinstance(one, Constraint):
            yield from _told(one.members, ask, vocabulary)
            continue
        operand = vocabulary.operand(one.left)
        if operand is not None and not operand.is_legal_only:
            for found in (*ask(one, operand), *_number_like(one, operand)):
                yield _diagnostic(one.where, found)


def _in_permission(one: Constraint, operand: Operand) -> Iterator[_Found]:
    right = _right(one)
    if one.operator is Operator.NEQ and operand.is_many:
        what = f"`{operand.short} neq {right}` holds for who has `{right}` and something else besides: sets are compared whole"
        yield "not-only", what, f"write `{operand.short} none of [{right}]`"
    if operand.name == "payAmount" and one.operator in (Operator.LT, Operator.LTEQ):
        what = f"`payAmount {one.operator.value} {right}` holds while nothing is paid"
        yield "nothing-paid", what, f"write `payAmount >= {right}`, or a duty to compensate"


def _in_prohibition(one: Constraint, operand: Operand) -> Iterator[_Found]:
    right = _right(one)
    if one.operator is Operator.EQ and operand.is_many:
        what = f"`{operand.short} eq {right}` does not hold for who has `{right}` and something else besides: sets are compared whole"
        yield "only-that", what, f"write `{operand.short} in [{right}]`"
    if one.operator is Operator.EQ and operand.sources[0].kind is SourceKind.CLOCK and operand.value is ValueType.DATE_TIME:
        what = f"it is forbidden at `{right}` only, neither before nor after"
        yield "that-moment", what, f"write `{operand.short} >= {right}`"


def _number_like(one: Constraint, operand: Operand) -> Iterator[_Found]:
    for value in one.right if operand.value is ValueType.ANY else ():
        if value.datatype is None and _CODE_LIKE.fullmatch(value.text.strip()):
            what = f"`{value.text.strip()[:40]}` is compared as the number it is, and equals it without its zeros"
            yield "number-like", what, "define the operand in a profile of your own, with `string` values"


def _right(one: Constraint) -> str:
    return ", ".join(value.text[:40] for value in one.right[:5])


def _diagnostic(where: str, found: _Found) -> Diagnostic:
    code, what, mend = found
    return Diagnostic(code=code, severity=Severity.WARNING, where=where, what=what, mend=mend)
