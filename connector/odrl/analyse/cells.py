"""The values that a left operand can have, one for each way in which the constraints at hand can tell them apart.

`representatives` cuts the values of an operand at the right operands of all constraints in play: moments and numbers between
and at the edges, words that are named and one that is not, nodes of the taxonomy by what lies above and below them, sets of
values for operands with many. Every possible value behaves like one of them under those constraints.
A value that the vocabulary's taxonomy does not list may be placed anywhere by the taxonomies of a world; a listed one keeps
its place. How constraints judge the values is in `axes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, combinations

from connector.odrl.analyse.boxes import Beyond
from connector.odrl.model import Operator
from connector.odrl.operands import IN_TREE, matcher
from connector.odrl.truth import Taxonomy
from connector.odrl.values import EXACT, TICK, Duration, Relative, Span, Typed, moved
from connector.odrl.vocabulary import Operand, SourceKind, ValueType

AGREED = datetime(2000, 1, 1, tzinfo=UTC)
"""When the agreement was made, where only the time since then matters."""
ANOTHER = "urn:kontor:another"
_DAY = timedelta(days=1)
_MOST_CLASSES = 9
_MOST_WHOLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One possible value of a left operand."""

    left: tuple[Typed, ...]
    fact: object = None
    # how a request or claim spells it; None when it cannot be spelled
    given: Taxonomy | None = None
    # what the world adds to the vocabulary's taxonomy
    low: str = ""
    high: str = ""
    # the value as the lower and the upper end of a range, in words
    text: str = ""
    is_vague: bool = False
    # named in a policy, and its place in the taxonomy is not known


@dataclass(frozen=True, slots=True)
class Test:
    """One constraint as far as its operand is concerned."""

    operator: Operator
    right: tuple[Typed, ...]


def representatives(operand: Operand, tests: Sequence[Test], *, is_clock: bool) -> list[Value]:
    """A value for each way in which `tests` can tell values of the operand apart; ordered where the values are.

    Raises: Beyond when there are too many ways.
    """
    rights = list(dict.fromkeys(value for test in tests for value in test.right))
    if any(isinstance(value, Relative) for value in rights):
        return _offsets([value.offset for value in rights if isinstance(value, Relative)])
    if operand.value is ValueType.DATE_TIME:
        spans = [value for value in rights if isinstance(value, Span)]
        return [*_moments(spans), *([] if is_clock else _days(spans))]
    if operand.value is ValueType.DECIMAL:
        return _numbers([value for value in rights if isinstance(value, Decimal)])
    if operand.value is ValueType.DURATION and is_counted(operand):
        # what a ledger measures has no months
        return _seconds([value.seconds for value in rights if isinstance(value, Duration)])
    if operand.value is ValueType.DURATION:
        return _durations([value for value in rights if isinstance(value, Duration)])
    if operand.value is ValueType.BOOLEAN:
        return [Value(left=(value,), fact=value, text="true" if value else "false") for value in (True, False)]
    return _words(operand, tests, [str(value) for value in rights])


def is_line(operand: Operand, tests: Sequence[Test], *, is_clock: bool) -> bool:
    """Whether the representatives are ordered, so that an ordered operator changes its answer once along them."""
    if operand.value is ValueType.DURATION:
        return is_counted(operand)
    return is_clock or operand.value is ValueType.DECIMAL or any(isinstance(v, Relative) for test in tests for v in test.right)


def is_counted(operand: Operand) -> bool:
    """Whether the ledger knows the operand's value."""
    return operand.sources[0].kind is SourceKind.LEDGER


# --- ordered values


def _moments(spans: Sequence[Span]) -> list[Value]:
    # time has ticks: between two neighbouring edges every moment is alike
    edges = sorted({edge for span in spans for edge in (span.start, moved(span.end, TICK) if span.is_moment else span.end)})
    moments = [moved(edges[0], -TICK), *edges]
    return [
        Value(
            left=(Span(moment, moment),),
            fact=moment,
            low=f"from {_spelled(moment)}" if number else "",
            high=_until(edges[number]) if number < len(edges) else "",
        )
        for number, moment in enumerate(moments)
    ]


def _spelled(moment: datetime) -> str:
    if moment.microsecond == 1:
        return f"after {_spelled(moment - TICK)}"
    return moment.date().isoformat() if moment.timetz().replace(tzinfo=None) == datetime.min.time() else _iso(moment)


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _until(edge: datetime) -> str:
    if edge.timetz().replace(tzinfo=None) == datetime.min.time():
        return f"until {moved(edge, -_DAY).date().isoformat()}"
    return f"until {_iso(edge - TICK)}" if edge.microsecond == 1 else f"before {_iso(edge)}"


def _days(spans: Sequence[Span]) -> list[Value]:
    edges = {edge for span in spans for edge in (span.start, span.end)}
    starts = sorted({moved(edge, step) for edge in edges for step in (-_DAY, -_DAY + TICK, -TICK, timedelta(0), TICK)})
    return [
        Value(
            left=(Span(start, moved(start, _DAY)),),
            fact=f"{start.date().isoformat()}Z" if start.timetz().replace(tzinfo=None) == datetime.min.time() else None,
            text=f"the day from {_iso(start)}",
        )
        for start in starts
    ]


def _offsets(offsets: Sequence[timedelta]) -> list[Value]:
    edges = sorted({edge for offset in offsets for edge in (offset, offset + TICK)})
    found = [edges[0] - TICK, *edges]
    return [
        Value(
            left=(Span(AGREED + offset, AGREED + offset),),
            fact=offset,
            low=f"from {edges[number - 1]} after the agreement" if number else "",
            high=f"before {edges[number]} after the agreement" if number < len(edges) else "",
        )
        for number, offset in enumerate(found)
    ]


def _line(points: Iterable[Decimal]) -> Iterator[tuple[Decimal, str, str]]:
    """Each point and one number on either side of it, with its words as a lower and as an upper end."""
    ordered = sorted(set(points))
    yield EXACT.subtract(ordered[0], 1), "", f"below {_plain(ordered[0])}"
    for number, point in enumerate(ordered):
        yield point, f"at least {_plain(point)}", f"at most {_plain(point)}"
        if number + 1 < len(ordered):
            after = ordered[number + 1]
            yield EXACT.divide(EXACT.add(point, after), 2), f"above {_plain(point)}", f"below {_plain(after)}"
    yield EXACT.add(ordered[-1], 1), f"above {_plain(ordered[-1])}", ""


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _numbers(points: Sequence[Decimal]) -> list[Value]:
    return [Value(left=(number,), fact=number, low=low, high=high) for number, low, high in _line(points)]


def _seconds(points: Sequence[Decimal]) -> list[Value]:
    return [
        Value(left=(Duration(0, number),), low=low and _in_days(low), high=high and _in_days(high))
        for number, low, high in _line(points)
    ]


def _in_days(text: str) -> str:
    words, _, number = text.rpartition(" ")
    return f"{words} {_duration(0, Decimal(number))}"


def _durations(rights: Sequence[Duration]) -> list[Value]:
    # months and seconds have no common order: every combination of both is its own kind of value
    months = sorted({value + step for value in (0, *(right.months for right in rights)) for step in (-1, 0, 1)})
    seconds = [point for point, _, _ in _line([Decimal(0), *(right.seconds for right in rights)])]
    if len(months) * len(seconds) > 512:
        raise Beyond("too many durations to compare")
    ordered = sorted(months, key=lambda month: (month != 0, month))
    return [Value(left=(Duration(month, second),), text=_duration(month, second)) for month in ordered for second in seconds]


def _duration(months: int, seconds: Decimal) -> str:
    days, rest = divmod(seconds, 86400)
    words = [f"{months} months"] if months else []
    words += [f"{_plain(days)} days"] if days else []
    return " and ".join([*words, f"{_plain(rest)} seconds"] if rest or not words else words)


# --- words


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    placed: frozenset[str] | None = None
    # what a world's taxonomy puts it into; None: the world says nothing of it
    listed: frozenset[str] = frozenset()
    # the wholes that only the world's taxonomy knows
    is_vague: bool = False


def _words(operand: Operand, tests: Sequence[Test], named: Sequence[str]) -> list[Value]:
    own: Mapping[str, tuple[str, ...]] = operand.codes.taxonomy.parents if operand.codes else {}
    wholes = frozenset(str(value) for test in tests if test.operator in IN_TREE for value in test.right)
    another = ANOTHER
    while another in named or another in own:
        another += "-one"
    words = [_Word(word) for word in dict.fromkeys((*named, another))]
    if wholes:
        nodes = _nodes(own, wholes, frozenset(named))
        words += nodes
        words += _placed(own, wholes, named, [another, *(node.text for node in nodes)])
    if not operand.is_many:
        return [_value((word,)) for word in words]
    classes = _classes(operand, tests, words)
    if len(classes) > _MOST_CLASSES:
        raise Beyond(f"too many values of `{operand.label}` to compare")
    subsets = chain.from_iterable(combinations(classes, size) for size in (1, 0, *range(2, len(classes) + 1)))
    return [_value(subset) for subset in subsets if len({word.text for word in subset}) == len(subset)]


def _value(words: tuple[_Word, ...]) -> Value:
    placed = {word.text: tuple(sorted(word.placed)) for word in words if word.placed is not None}
    listed: dict[str, tuple[str, ...]] = {whole: () for word in words for whole in sorted(word.listed)}
    given = Taxonomy(parents={**listed, **placed}) if placed else None
    texts = tuple(word.text for word in words)
    fact: object = texts[0] if len(texts) == 1 else list(texts)
    return Value(
        left=texts,
        fact=fact,
        given=given,
        text=" with ".join(_named(word) for word in words) or "none",
        is_vague=any(word.is_vague for word in words),
    )


def _named(word: _Word) -> str:
    text = "another" if word.text.startswith(ANOTHER) else word.text
    return f"{text} in {' and '.join(sorted(word.placed))}" if word.placed else text


def ancestors(value: str, parents: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """A value and everything that it lies in."""
    found = {value}
    waiting = [value]
    while waiting:
        for above in parents.get(waiting.pop(), ()):
            if above not in found:
                found.add(above)
                waiting.append(above)
    return frozenset(found)


def _nodes(own: Mapping[str, tuple[str, ...]], wholes: frozenset[str], named: frozenset[str]) -> list[_Word]:
    """One node of the taxonomy for each way to lie in `wholes`."""
    kinds: dict[frozenset[str], str] = {}
    for node in own:
        if node not in named:
            kinds.setdefault(ancestors(node, own) & wholes, node)
    return [_Word(node) for node in kinds.values()]


def _placed(
    own: Mapping[str, tuple[str, ...]], wholes: frozenset[str], named: Sequence[str], others: Sequence[str]
) -> list[_Word]:
    """The words as the taxonomies of a world may place them: what is not listed anywhere, the rest in what is not listed."""
    if len(wholes) > _MOST_WHOLES:
        raise Beyond("too many branches of a taxonomy to compare")
    found: list[_Word] = []
    unlisted = sorted(whole for whole in wholes if whole not in own)
    for word in (*named, *others):
        free = sorted(whole for whole in wholes if whole != word and (word not in own or whole not in own))
        for listed in _subsets(unlisted):
            for placed in _subsets(free):
                if placed or listed or word not in own:
                    is_vague = word in named and word not in own
                    found.append(_Word(word, frozenset(placed), frozenset(listed), is_vague))
    return found


def _subsets(items: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(items, size) for size in range(len(items) + 1))


def _classes(operand: Operand, tests: Sequence[Test], words: Sequence[_Word]) -> list[_Word]:
    """One word for each way in which `tests` can tell single members of a set apart."""
    matches = [matcher(test.operator, test.right, operand) if test.operator in IN_TREE else None for test in tests]
    kinds: dict[tuple[object, ...], _Word] = {}
    for word in words:
        kind: list[object] = []
        for test, match in zip(tests, matches, strict=True):
            if match is not None:
                value = _value((word,))
                truth = match(value.left, value.given)
                kind.append(truth if isinstance(truth, bool) else None)
            elif test.operator in (Operator.IS_ANY_OF, Operator.IS_NONE_OF):
                kind.append(word.text in test.right)
            else:
                kind.append(word.text if word.text in test.right else None)
        kinds.setdefault(tuple(kind), word)
    return list(kinds.values())
