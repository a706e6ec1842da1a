"""The rules that a description keeps, compiled from `vocab/checks`, and what it breaks in words that a person understands.

What lives here: reading the rules, and one function for each that looks at the triples. What does not: the same rules as SHACL
shapes (`shapes`), which graph tools read; a test proves that both give the same verdict.

A rule looks at each node of a class, or at each value of a property (`class`, `objects_of`), follows a path (steps by `/`,
alternatives by ` | `) and puts one test to what it finds. Tests mean what SHACL means by the words:
`min_count`, `max_count`, `kind` (iri, node), `datatype`, `text` and `moment` (one of the types of texts, or of dates), `pattern`,
`some` (a value with that pattern), `max_length`, `one_of`, `has_value`, `at_least`, `at_most`, `unique_lang`. What one rule alone
cannot say, the check character of a product code, is said by `faults`.
Source: SHACL, sections 2.1, 4.1 to 4.8; DCAT-AP 3.0; Regulation (EU) 2023/2854, articles 3 and 33.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from connector import packaged
from connector.describe import codes
from connector.describe.members import PREFIXES
from connector.errors import BadMessage, ConfigurationError
from connector.rdf import XSD, Blank, Iri, Literal, Node, Term

PROFILES: Final = ("dcat-ap", "tds", "data-act")
"""What can be asked for beyond the base rules, which hold for all."""
TEXTS: Final = ("xsd:string", "rdf:langString")
MOMENTS: Final = ("xsd:date", "xsd:dateTime", "xsd:gYear", "xsd:gYearMonth")
MOMENT: Final = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?$"
"""How a day, a year, a month or a time looks: libraries take more than XML Schema does."""
_SPELLINGS: Final = (("kind", "iri"), ("kind", "node"), ("moment", True))
"""Tests whose breach is one of spelling: it is clear what is meant, or it does not matter much."""
_LENIENT: Final = ("base#title-missing", "base#landing-page-address")
"""Rules whose breach is worth a warning only where others wrote it."""
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_FLOAT: Final = re.compile(_DECIMAL.pattern + r"([eE][+-]?[0-9]+)?")
_LEXICAL: Final = {
    f"{XSD}integer": re.compile(r"[+-]?[0-9]+"),
    f"{XSD}nonNegativeInteger": re.compile(r"\+?[0-9]+|-0+"),
    f"{XSD}decimal": _DECIMAL,
    f"{XSD}double": _FLOAT,
    f"{XSD}float": _FLOAT,
    f"{XSD}boolean": re.compile("true|false|1|0"),
    f"{XSD}gYear": re.compile(r"[0-9]{4}"),
    f"{XSD}gYearMonth": re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])"),
    f"{XSD}date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    f"{XSD}dateTime": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?"),
}
"""The types that descriptions use, and how their values look."""
WRITTEN: Final = {name: f"^({_LEXICAL[XSD + name].pattern})$" for name in ("integer", "nonNegativeInteger", "decimal")}
"""The same for graph tools: libraries take `1_000`, `1e2` and blanks for numbers, which XML Schema does not."""
_NUMBERS: Final = tuple(f"{XSD}{name}" for name in ("integer", "nonNegativeInteger", "decimal", "double", "float"))
Values = tuple[Term, ...]
Path = tuple[tuple[str, ...], ...]
"""Alternatives, each a way of properties."""
Test = Callable[[Values], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as it stands in its file."""

    id: str
    """`base#title-missing`: the name of its shape, too."""
    word: str
    """The word of a description document that it is about."""
    target: str
    """IRI of a class, or of a property whose values are looked at."""
    is_class: bool
    path: Path
    test: tuple[str, Any]
    is_error: bool
    message: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a description breaks."""

    rule: str
    is_error: bool
    focus: str
    """The node that breaks the rule; empty when it has no name."""
    word: str
    message: str
    mend: str


class Graph(Protocol):
    """What the rules ask of a description: `rdf.Graph`, or `plain.Description` where JSON-LD processing would be too slow."""

    def values(self, node: Term, predicate: str) -> tuple[Term, ...]: ...

    def typed(self, *kinds: str) -> tuple[Node, ...]: ...

    def pairs(self, predicate: str) -> Iterable[tuple[Node, Term]]: ...


def iri(short: str) -> str:
    """The IRI that a rule abbreviates.

    Raises: ConfigurationError for a prefix that rules may not use.
    """
    prefix, _, name = short.partition(":")
    if prefix not in PREFIXES:
        raise ConfigurationError(f"unknown prefix `{prefix}`", where=short, mend=f"use one of {', '.join(PREFIXES)}")
    return PREFIXES[prefix] + name


@functools.cache
def rules(profile: str) -> tuple[Rule, ...]:
    """The rules in the file of one profile, or in `base`.

    Raises: ConfigurationError when there is no such profile, or its file is not what it should be.
    """
    path = packaged.vocab_file(f"checks/{profile}.json")
    try:
        return tuple(_rule(profile, row) for row in json.loads(path.read_text(encoding="utf-8"))["rules"])
    except (KeyError, TypeError, ValueError) as fault:
        raise ConfigurationError(f"no readable rules: {fault}", where=str(path), mend="install the product again") from fault


def _rule(profile: str, row: Mapping[str, Any]) -> Rule:
    is_class = "class" in row
    return Rule(
        id=f"{profile}#{row['id']}",
        word=row["word"],
        target=iri(row["class"] if is_class else row["objects_of"]),
        is_class=is_class,
        path=tuple(tuple(iri(step) for step in way.split("/")) for way in row["path"].split(" | ")),
        test=(row["test"], row["with"]),
        is_error=row["severity"] == "error",
        message=row["message"],
        mend=row["mend"],
    )


def faults(graph: Graph, profile: str | None = None, *, is_wide: bool = False) -> tuple[Fault, ...]:
    """What a graph breaks of the base rules and those of `profile`, errors first.

    `is_wide` is for what others wrote: a number counts however it is typed, and a text in the place of a name, or a missing title,
    is worth a warning only. Connectors in the field write such things, and what they mean is clear.
    """
    found = [
        _fault(rule, node, is_wide)
        for name in ("base", *((profile,) if profile else ()))
        for (target, is_class), ways in _compiled(name, is_wide)
        for node in _focus(graph, target, is_class)
        for path, asks_for_one, tests in ways
        for values in (_reached(graph, node, path),)
        if values or asks_for_one
        for rule, test in tests
        if not test(values)
    ]
    found += _bad_codes(graph)
    return tuple(sorted(found, key=lambda fault: not fault.is_error))


def _fault(rule: Rule, node: Term, is_wide: bool) -> Fault:
    focus = node.text if isinstance(node, Iri) else ""
    is_error = rule.is_error and not (is_wide and (rule.test in _SPELLINGS or rule.id in _LENIENT))
    return Fault(rule=rule.id, is_error=is_error, focus=focus, word=rule.word, message=rule.message, mend=rule.mend)


def _bad_codes(graph: Graph) -> Iterable[Fault]:
    for node, term in graph.pairs(iri("tds:productCode")):
        try:
            codes.checked(getattr(term, "text", ""))
        except BadMessage as fault:
            focus = node.text if isinstance(node, Iri) else ""
            rule = "base#product-code-check"
            yield Fault(rule=rule, is_error=True, focus=focus, word="product_code", message=fault.what, mend=fault.mend)


def _focus(graph: Graph, target: str, is_class: bool) -> Iterable[Term]:
    if is_class:
        return graph.typed(target)
    return dict.fromkeys(value for _, value in graph.pairs(target))


def _reached(graph: Graph, node: Term, path: Path) -> Values:
    if len(path) == 1 and len(path[0]) == 1:
        return graph.values(node, path[0][0])
    found: dict[Term, None] = {}
    for way in path:
        level: Iterable[Term] = graph.values(node, way[0])
        for step in way[1:]:
            level = [value for one in level for value in graph.values(one, step)]
        found.update(dict.fromkeys(level))
    return tuple(found)


# --- tests, each as SHACL defines it


Way = tuple[Path, bool, tuple[tuple[Rule, Test], ...]]
"""A path, whether a rule asks for something at its end, and the rules."""


@functools.cache
def _compiled(profile: str, is_wide: bool) -> tuple[tuple[tuple[str, bool], tuple[Way, ...]], ...]:
    """The tests of a profile by what they look at and the path they follow, so that each way is gone once."""
    found: dict[tuple[str, bool], dict[Path, list[tuple[Rule, Test]]]] = {}
    known = {**_TESTS, **_WIDE} if is_wide else _TESTS
    for rule in rules(profile):
        ways = found.setdefault((rule.target, rule.is_class), {})
        ways.setdefault(rule.path, []).append((rule, known[rule.test[0]](rule.test[1])))
    return tuple((target, tuple(_way(path, tests) for path, tests in ways.items())) for target, ways in found.items())


def _way(path: Path, tests: list[tuple[Rule, Test]]) -> Way:
    return path, any(not test(()) for _, test in tests), tuple(tests)


def _each(holds: Callable[[Term], bool]) -> Test:
    return lambda values: all(map(holds, values))


def _text(term: Term) -> str | None:
    # patterns and lengths are of texts and names; an unnamed node has neither
    return None if isinstance(term, Blank) else term.text


def _pattern(given: str) -> Test:
    search = re.compile(given).search
    return _each(lambda term: (text := _text(term)) is not None and search(text) is not None)


def _length(most: int) -> Test:
    return _each(lambda term: (text := _text(term)) is not None and len(text) <= most)


def _kind(given: str) -> Test:
    allowed: dict[str, tuple[type, ...]] = {"iri": (Iri,), "node": (Iri, Blank)}
    return _each(lambda term: isinstance(term, allowed[given]))


def _datatype(given: str) -> Test:
    wanted = iri(given)
    return _each(lambda term: isinstance(term, Literal) and term.datatype == wanted and _reads_as(term.text, wanted))


def _reads_as(text: str, datatype: str) -> bool:
    """Whether a text is a value of a type; of one that is not known here it is."""
    lexical = _LEXICAL.get(datatype)
    if lexical is not None and lexical.fullmatch(text) is None:
        return False
    try:
        if datatype == f"{XSD}date":
            date.fromisoformat(text)
        elif datatype == f"{XSD}dateTime":
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _lexical(given: str) -> Test:
    wanted = iri(given)
    return _each(lambda term: isinstance(term, Literal) and _reads_as(term.text, wanted))


_TEXT_TYPES: Final = frozenset(map(iri, TEXTS))
_MOMENT_TYPES: Final = frozenset(map(iri, MOMENTS))


def _texts(_: bool) -> Test:
    return _each(lambda term: isinstance(term, Literal) and term.datatype in _TEXT_TYPES)


def _moments(_: bool) -> Test:
    return _each(
        lambda term: isinstance(term, Literal) and term.datatype in _MOMENT_TYPES and _reads_as(term.text, term.datatype)
    )


def _said(_: bool) -> Test:
    return _each(lambda term: isinstance(term, Literal))


def _dated(_: bool) -> Test:
    return _each(lambda term: isinstance(term, Literal) and any(_reads_as(term.text, one) for one in _MOMENT_TYPES))


def _some(given: str) -> Test:
    search = re.compile(given).search
    return lambda values: any((text := _text(term)) is not None and search(text) is not None for term in values)


def _number(term: Term) -> Decimal | None:
    if not isinstance(term, Literal) or term.datatype not in _NUMBERS or not _reads_as(term.text, term.datatype):
        return None
    return Decimal(term.text)


def _bound(given: str, holds: Callable[[Decimal, Decimal], bool]) -> Test:
    bound = Decimal(given)
    return _each(lambda term: (number := _number(term)) is not None and holds(number, bound))


def as_term(given: str) -> Term:
    """A value in a rule: an IRI in angle brackets or with a prefix as `<...>`, `<tds:qualityGrade>`, else a plain text."""
    if given.startswith("<"):
        inner = given[1:-1]
        return Iri(inner if inner.partition(":")[0] not in PREFIXES else iri(inner))
    return Literal(given)


def _unique_languages(_: bool) -> Test:
    def test(values: Values) -> bool:
        languages = Counter(one.language.lower() for one in values if isinstance(one, Literal) and one.language)
        return not languages or max(languages.values()) == 1

    return test


def _one_of(given: list[str]) -> Test:
    known = frozenset(map(as_term, given))
    return _each(known.__contains__)


_TESTS: Final[Mapping[str, Callable[[Any], Test]]] = {
    "min_count": lambda least: lambda values: len(values) >= least,
    "max_count": lambda most: lambda values: len(values) <= most,
    "kind": _kind,
    "datatype": _datatype,
    "text": _texts,
    "moment": _moments,
    "some": _some,
    "pattern": _pattern,
    "max_length": _length,
    "one_of": _one_of,
    "has_value": lambda given: lambda values: as_term(given) in values,
    "at_least": lambda bound: _bound(bound, lambda number, least: number >= least),
    "at_most": lambda bound: _bound(bound, lambda number, most: number <= most),
    "unique_lang": _unique_languages,
}
_WIDE: Final[Mapping[str, Callable[[Any], Test]]] = {"datatype": _lexical, "text": _said, "moment": _dated}
"""The same where others wrote it: a value counts however it is typed."""
