"""Does one set of constraints imply another: the sound, conservative core of comparing policies.

`implied` answers True only when every world that satisfies the known constraints satisfies the asked one, at every stage and
with every gap in knowledge; otherwise False (not shown) or None (beyond the fragment). The fragment: conjunctions and
alternatives of single constraints on the same operand, with ordered values, sets of words, and branches of our taxonomies.
Comparing rules and policies is in `compare`.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector.odrl.canonical import constraint_text
from connector.odrl.expand import conjunction
from connector.odrl.model import AnyConstraint, Constraint, LogicalConstraint, LogicalOperand, Operator
from connector.odrl.operands import ORDERED, compare_typed, is_within, right_side
from connector.odrl.truth import Unknown
from connector.odrl.values import Duration, Relative, Span, Typed
from connector.odrl.vocabulary import Operand, SourceKind, Vocabulary

_MOST_BRANCHES = 256
_EXACT = frozenset({Operator.EQ, Operator.IS_ANY_OF})
_BARRED = frozenset({Operator.NEQ, Operator.IS_NONE_OF})


def implied(asked: AnyConstraint, known: Sequence[AnyConstraint], vocabulary: Vocabulary, depth: int = 0) -> bool | None:
    """True when the conjunction `known` implies `asked`; False when that is not shown; None beyond the fragment."""
    texts = {constraint_text(constraint) for constraint in known}
    if constraint_text(asked) in texts:
        return True
    if isinstance(asked, LogicalConstraint):
        if asked.operand is LogicalOperand.AND:
            return _every([implied(member, known, vocabulary, depth) for member in asked.members])
        if asked.operand is LogicalOperand.OR:
            return _some([implied(member, known, vocabulary, depth) for member in asked.members])
        return None
    results: list[bool | None] = [
        _atom_implies(constraint, asked, vocabulary) for constraint in known if isinstance(constraint, Constraint)
    ]
    if True in results:
        return True
    for constraint in known:
        if isinstance(constraint, LogicalConstraint):
            results.append(_logical_implies(constraint, asked, known, vocabulary, depth))
    if True in results:
        return True
    operand = vocabulary.operand(asked.left)
    if operand is None or isinstance(right_side(asked, operand), Unknown):
        return None
    return _some(results)


def _logical_implies(
    constraint: LogicalConstraint, asked: Constraint, known: Sequence[AnyConstraint], vocabulary: Vocabulary, depth: int
) -> bool | None:
    if constraint.operand is LogicalOperand.XONE or depth > 3 or len(constraint.members) > _MOST_BRANCHES:
        return None
    others = [other for other in known if other is not constraint]
    if constraint.operand is LogicalOperand.OR:
        # whichever alternative holds, it must imply what is asked
        branches = [[*conjunction((member,)), *others] for member in constraint.members]
        return _every([implied(asked, branch, vocabulary, depth + 1) for branch in branches])
    return implied(asked, [*conjunction(constraint.members), *others], vocabulary, depth + 1)


def _every(results: list[bool | None]) -> bool | None:
    if False in results:
        return False
    return None if None in results else True


def _some(results: list[bool | None]) -> bool | None:
    if True in results:
        return True
    return None if None in results else False


def _atom_implies(known: Constraint, asked: Constraint, vocabulary: Vocabulary) -> bool | None:
    operand = vocabulary.operand(asked.left)
    if operand is None or vocabulary.operand(known.left) != operand:
        return False
    if known.status or asked.status or known.unit != asked.unit or known.extra != asked.extra:
        return None
    have, want = right_side(known, operand), right_side(asked, operand)
    if isinstance(have, Unknown) or isinstance(want, Unknown):
        return None
    if known.operator in ORDERED | {Operator.EQ} and asked.operator in ORDERED and len(have) == 1:
        return _order_implies(known.operator, have[0], asked.operator, want[0], operand)
    if any(isinstance(value, (Span, Relative)) for value in (*have, *want)):
        return None
    return _set_implies(known.operator, frozenset(have), asked.operator, frozenset(want), operand)


def _order_implies(have_op: Operator, have: Typed, want_op: Operator, want: Typed, operand: Operand) -> bool | None:
    """Whether `x have_op have` implies `x want_op want`; days are the whole of their day."""
    if isinstance(have, str) or isinstance(want, str):
        # words of unknown type may compare as numbers, as moments or not at all
        return None
    upper, lower = (Operator.LT, Operator.LTEQ), (Operator.GT, Operator.GTEQ)
    if isinstance(have, Relative) and isinstance(want, Relative):
        order: int | Unknown = (have.offset > want.offset) - (have.offset < want.offset)
    elif isinstance(have, Relative) or isinstance(want, Relative):
        return None
    elif isinstance(have, Span) and isinstance(want, Span):
        # the clock is always a moment; a claim may be a whole day, which has no order with a moment in it
        is_sure = all(source.kind is SourceKind.CLOCK for source in operand.sources) or (have.is_moment and want.is_moment)
        return _span_implies(have_op, have, want_op, want) if is_sure else None
    elif isinstance(have, Duration) and isinstance(want, Duration) and (have.months or want.months):
        return None
    else:
        order = compare_typed(have, want)
    if isinstance(order, Unknown):
        return None
    if have_op is Operator.EQ:
        return {Operator.LT: order < 0, Operator.LTEQ: order <= 0, Operator.GT: order > 0, Operator.GTEQ: order >= 0}[want_op]
    if have_op in upper and want_op in upper:
        return order < 0 or (order == 0 and not (have_op is Operator.LTEQ and want_op is Operator.LT))
    if have_op in lower and want_op in lower:
        return order > 0 or (order == 0 and not (have_op is Operator.GTEQ and want_op is Operator.GT))
    return False


def _span_implies(have_op: Operator, have: Span, want_op: Operator, want: Span) -> bool:
    # each side as a half-open interval [from, until) with `strict` for a moment that is included or excluded
    if have_op in (Operator.LT, Operator.LTEQ) and want_op in (Operator.LT, Operator.LTEQ):
        return _until(have_op, have) <= _until(want_op, want)
    if have_op in (Operator.GT, Operator.GTEQ) and want_op in (Operator.GT, Operator.GTEQ):
        return _since(have_op, have) >= _since(want_op, want)
    if have_op is Operator.EQ and want_op in (Operator.LT, Operator.LTEQ):
        return _until(Operator.LTEQ, have) <= _until(want_op, want)
    if have_op is Operator.EQ:
        return _since(Operator.GTEQ, have) >= _since(want_op, want)
    return False


def _until(operator: Operator, span: Span) -> tuple[object, int]:
    if operator is Operator.LT:
        return (span.start, 0)
    return (span.end, 1) if span.is_moment else (span.end, 0)


def _since(operator: Operator, span: Span) -> tuple[object, int]:
    if operator is Operator.GTEQ:
        return (span.start, 0)
    return (span.end, 1) if span.is_moment else (span.end, 0)


def _set_implies(
    have_op: Operator, have: frozenset[Typed], want_op: Operator, want: frozenset[Typed], operand: Operand
) -> bool | None:
    """Whether a set relation implies another. With several values on the left only what holds for any of them counts."""
    single = not operand.is_many
    if have_op is Operator.EQ and (single or want_op in (Operator.EQ, Operator.IS_ANY_OF, Operator.IS_ALL_OF, *_BARRED)):
        # the left side is exactly `have`
        if single and len(have) != 1:
            # never true, so it implies anything; not worth a proof
            return None
        return _exact_implies(have, want_op, want, operand)
    if have_op is Operator.IS_ANY_OF:
        if single:
            return _every([_exact_implies(frozenset({value}), want_op, want, operand) for value in have])
        return want_op is Operator.IS_ANY_OF and have <= want
    if have_op is Operator.IS_ALL_OF:
        if want_op is Operator.IS_ALL_OF:
            return want <= have
        return want_op is Operator.IS_ANY_OF and not want.isdisjoint(have)
    if have_op in _BARRED and want_op in _BARRED:
        if have_op is want_op is Operator.NEQ:
            return have == want
        if have_op is Operator.IS_NONE_OF:
            return want <= have
        return want <= have if single and len(have) == 1 else None
    if have_op in (Operator.IS_PART_OF, Operator.IS_A) and want_op is have_op:
        return _every([_lies_in(value, want, operand) for value in have])
    return None


def _exact_implies(have: frozenset[Typed], want_op: Operator, want: frozenset[Typed], operand: Operand) -> bool | None:
    if want_op is Operator.EQ:
        return have == want
    if want_op is Operator.NEQ:
        return have != want
    if want_op is Operator.IS_ANY_OF:
        return not have.isdisjoint(want)
    if want_op is Operator.IS_NONE_OF:
        return have.isdisjoint(want)
    if want_op is Operator.IS_ALL_OF:
        return want <= have
    if want_op in (Operator.IS_PART_OF, Operator.IS_A):
        return _every([_lies_in(value, want, operand) for value in have])
    return None


def _lies_in(value: Typed, wholes: frozenset[Typed], operand: Operand) -> bool | None:
    taxonomy = operand.codes.taxonomy if operand.codes else None
    return _some([is_within(str(value), str(whole), taxonomy) for whole in wholes])
