"""Does one set of constraints imply another: the sound, conservative core of comparing policies.

`implied` answers True only when every world that satisfies the known constraints satisfies the asked one, at every stage and
with every gap in knowledge; otherwise False (not shown) or None (beyond the fragment). The fragment: conjunctions and
alternatives of single constraints on the same operand, with ordered values, sets of words, and branches of our taxonomies.
Comparing rules and policies is in `compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from connector.odrl.canonical import constraint_text
from connector.odrl.expand import conjunction
from connector.odrl.model import AnyConstraint, Constraint, LogicalConstraint, LogicalOperand, Operator
from connector.odrl.operands import ORDERED, is_within, right_side
from connector.odrl.truth import Unknown
from connector.odrl.values import Duration, Relative, Span, Typed
from connector.odrl.vocabulary import Operand, SourceKind, Vocabulary

_MOST_BRANCHES = 256
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
    operand = vocabulary.operand(asked.left)
    want = right_side(asked, operand) if operand is not None else None
    if operand is None or want is None or isinstance(want, Unknown):
        return None
    relevant = [
        constraint
        for constraint in known
        if isinstance(constraint, Constraint) and vocabulary.operand(constraint.left) == operand
    ]
    results: list[bool | None] = [_atom_implies(constraint, asked, want, operand) for constraint in relevant]
    results.append(_range_implies(relevant, asked, want, operand))
    for constraint in known:
        if isinstance(constraint, LogicalConstraint) and True not in results:
            results.append(_logical_implies(constraint, asked, known, vocabulary, depth))
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


# --- ordered values: each constraint is a set of intervals, several of them its intersection

_Edge = tuple[datetime | Decimal | timedelta, int]
# (value, 0) lies just before the value, (value, 1) just after it; None is without end
_Interval = tuple[_Edge | None, _Edge | None]


def _range_implies(known: Sequence[Constraint], asked: Constraint, want: tuple[Typed, ...], operand: Operand) -> bool | None:
    """Whether ordered constraints on one operand together leave nothing outside what is asked."""
    goal = _intervals(asked, want, operand)
    if goal is None:
        return False if asked.operator not in ORDERED else None
    left: list[_Interval] = [(None, None)]
    kind = type(want[0])
    is_unsure = False
    for constraint in known:
        have = right_side(constraint, operand)
        pieces = None if isinstance(have, Unknown) or not _alike(constraint, asked) else _intervals(constraint, have, operand)
        if pieces is None or isinstance(have, Unknown) or type(have[0]) is not kind:
            # one that cannot be placed can only narrow: without it the answer is no proof of a no
            is_unsure = True
            continue
        left = [piece for a in left for b in pieces if (piece := _meet(a, b)) is not None]
    if all(any(_lies_within(piece, whole) for whole in goal) for piece in left):
        return True
    return None if is_unsure else False


def _intervals(constraint: Constraint, right: tuple[Typed, ...], operand: Operand) -> list[_Interval] | None:
    """The values that satisfy a constraint on ordered values; None where they do not form intervals."""
    if len(right) != 1 or (operand.is_many and constraint.operator not in ORDERED):
        return None
    value = right[0]
    if isinstance(value, Span):
        # the clock is always a moment; a claim may be a whole day, which has no order with a moment in it
        if not all(source.kind is SourceKind.CLOCK for source in operand.sources) and not value.is_moment:
            return None
        low: _Edge = (value.start, 0)
        high: _Edge = (value.end, 1 if value.is_moment else 0)
    elif isinstance(value, Relative):
        low, high = (value.offset, 0), (value.offset, 1)
    elif isinstance(value, Decimal):
        low, high = (value, 0), (value, 1)
    elif isinstance(value, Duration) and not value.months:
        low, high = (value.seconds, 0), (value.seconds, 1)
    else:
        return None
    shapes: dict[Operator, list[_Interval]] = {
        Operator.LT: [(None, low)],
        Operator.LTEQ: [(None, high)],
        Operator.GT: [(high, None)],
        Operator.GTEQ: [(low, None)],
        Operator.EQ: [(low, high)],
        Operator.NEQ: [(None, low), (high, None)],
    }
    return shapes.get(constraint.operator)


def _meet(a: _Interval, b: _Interval) -> _Interval | None:
    low = a[0] if b[0] is None or (a[0] is not None and _below(b[0], a[0])) else b[0]
    high = a[1] if b[1] is None or (a[1] is not None and _below(a[1], b[1])) else b[1]
    return None if low is not None and high is not None and not _below(low, high) else (low, high)


def _lies_within(piece: _Interval, whole: _Interval) -> bool:
    is_low_kept = whole[0] is None or (piece[0] is not None and not _below(piece[0], whole[0]))
    is_high_kept = whole[1] is None or (piece[1] is not None and not _below(whole[1], piece[1]))
    return is_low_kept and is_high_kept


def _below(a: _Edge, b: _Edge) -> bool:
    # edges of one comparison are of one kind, which `_range_implies` sees to
    return a < b


# --- words


def _alike(known: Constraint, asked: Constraint) -> bool:
    return not (known.status or asked.status) and known.unit == asked.unit and known.extra == asked.extra


def _atom_implies(known: Constraint, asked: Constraint, want: tuple[Typed, ...], operand: Operand) -> bool | None:
    have = right_side(known, operand)
    if isinstance(have, Unknown) or not _alike(known, asked):
        return None
    if not all(isinstance(value, str) for value in (*have, *want)):
        return False
    if known.operator in ORDERED or asked.operator in ORDERED:
        # words of unknown type may compare as numbers, as moments or not at all
        return None
    return _set_implies(known.operator, frozenset(have), asked.operator, frozenset(want), operand)


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
        if want_op in (Operator.IS_PART_OF, Operator.IS_A):
            return _every([_lies_in(value, want, operand) for value in have])
        return want_op is Operator.IS_ANY_OF and have <= want
    if have_op is Operator.IS_ALL_OF:
        if want_op is Operator.IS_ALL_OF:
            return want <= have
        return want_op is Operator.IS_ANY_OF and not want.isdisjoint(have)
    if have_op in _BARRED and want_op not in _BARRED:
        # there is always another value
        return False
    if have_op in _BARRED:
        if have_op is want_op is Operator.NEQ:
            return have == want
        if have_op is Operator.IS_NONE_OF:
            return want <= have
        return want <= have if single and len(have) == 1 else None
    if have_op in (Operator.IS_PART_OF, Operator.IS_A) and want_op is have_op:
        return _every([_lies_in(value, want, operand) for value in have])
    if have_op in (Operator.IS_PART_OF, Operator.IS_A) and want_op in (Operator.EQ, Operator.IS_ANY_OF, Operator.IS_ALL_OF):
        # a branch can always grow
        return False
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
