"""One constraint on one line, as the YAML language writes it: `payAmount >= 500 EUR`, `purpose in [research, statistics]`.

    operand operator value [unit]

- a value is a bare word, a text in quotes, an `<IRI>`, or several of these in `[...]`; `value of <IRI>` is a reference
- `"5"^^decimal` says its datatype, `"gris"@fr` its language; a number may be followed by its unit
- an operand in angle brackets (`<urn:acme:level>`) is taken as it stands and not looked up: the writer's way to carry
  what this vocabulary does not know

What stands around the lines of a policy is in `yamlfmt` and `yamlwrite`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connector.errors import PolicyError
from connector.odrl.model import XSD, Constraint, Operator, Value
from connector.odrl.terms import nearest, term

OPERATORS: Mapping[str, Operator] = {
    "==": Operator.EQ,
    "!=": Operator.NEQ,
    "<=": Operator.LTEQ,
    ">=": Operator.GTEQ,
    "<": Operator.LT,
    ">": Operator.GT,
    "in": Operator.IS_ANY_OF,
    "all of": Operator.IS_ALL_OF,
    "none of": Operator.IS_NONE_OF,
    "within": Operator.IS_PART_OF,
    "contains": Operator.HAS_PART,
    "is a": Operator.IS_A,
}
SIGNS: Mapping[Operator, str] = {operator: sign for sign, operator in OPERATORS.items()}
_LINE = re.compile(
    r"(?P<left><[^<>]+>|[^\s<>=!]+)\s*"
    r"(?P<op>==|!=|<=|>=|<|>|\b(?:in|all\s+of|none\s+of|within|contains|is\s+a)\b)\s*"
    r"(?P<right>.*)",
    flags=re.DOTALL,
)
_ANGLED = re.compile(r"<([^<>]+)>")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', flags=re.DOTALL)
_TYPE = re.compile(r"\^\^(<[^<>]+>|[A-Za-z][\w.:#/-]*)")
_LANGUAGE = re.compile(r"@([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)")
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s+(?=[A-Za-z%<\"'])")
_REFERENCE = re.compile(r"value of\s+(?=[<\[])")
# what needs no quotes when it is written
_BARE = re.compile(r"[\w+./:#%@~-]+")
_UNIT = re.compile(r"[A-Za-z%][\w:/#.%-]*")
Where = Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line says; names are not looked up yet."""

    left: str
    is_verbatim: bool
    operator: Operator
    right: tuple[Value, ...]
    right_references: tuple[str, ...]
    unit: Value | None
    right_at: int
    # where the right side begins in the line


def read_line(text: str, where: Where) -> Line:
    """The parts of a line; `where` names the place of a sign of it.

    Raises: PolicyError with the place of the sign that means nothing.
    """
    match = _LINE.fullmatch(text)
    if not match:
        raise PolicyError(
            f"`{text[:60]}` is no constraint",
            where=where(0),
            mend=_lacking(text),
            flaw="syntax",
        )
    left = match["left"]
    scan = _Scan(text, match.start("right"), where)
    values, references, unit = scan.right_side()
    return Line(
        left=left[1:-1] if left[0] == "<" else left,
        is_verbatim=left[0] == "<",
        operator=OPERATORS[re.sub(r"\s+", " ", match["op"])],
        right=values,
        right_references=references,
        unit=unit,
        right_at=match.start("right"),
    )


def read_value(text: str, where: Where) -> Value:
    """The one value that stands alone in a text.

    Raises: PolicyError when there are several, or none.
    """
    values, references, unit = _Scan(text, 0, where).right_side()
    if len(values) != 1 or references or unit:
        raise PolicyError("not one value", where=where(0), mend="name one", flaw="syntax")
    return values[0]


def _lacking(text: str) -> str:
    words = text.split()
    known = [*OPERATORS, *(operator.value for operator in Operator)]
    if len(words) > 2 and nearest(words[1], known, 1).startswith("did you mean"):
        spelled = {operator.value: sign for sign, operator in OPERATORS.items()}
        found = nearest(words[1], known).removeprefix("did you mean `").removesuffix("`")
        return f"did you mean `{spelled.get(found, found)}`"
    return "write `operand operator value`, such as `count <= 10`"


class _Scan:
    """Reads the right side of a line from a place in it."""

    def __init__(self, text: str, start: int, where: Where) -> None:
        self.text = text
        self.at = start
        self.where = where

    def fail(self, what: str, mend: str, flaw: str = "syntax") -> PolicyError:
        return PolicyError(what, where=self.where(self.at), mend=mend, flaw=flaw)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    @property
    def here(self) -> str:
        return self.text[self.at : self.at + 1]

    def right_side(self) -> tuple[tuple[Value, ...], tuple[str, ...], Value | None]:
        if not self.here:
            raise self.fail("a constraint without a value", "write what to compare with", "value-missing")
        if self.take(_REFERENCE):
            found = self.listed() if self.here == "[" else (self.item("", self.at),)
            if not all(value.is_iri for value in found):
                raise self.fail("a reference that is no IRI", "write `value of <https://...>`")
            return (), tuple(value.text for value in found), self.unit()
        if self.here == "[":
            values = self.listed()
            return values, (), self.unit()
        if quantity := self.take(_QUANTITY):
            return (Value(text=quantity[1]),), (), self.unit()
        value = self.item("", self.at)
        return (value,), (), self.unit()

    def listed(self) -> tuple[Value, ...]:
        start = self.at
        self.at += 1
        found: list[Value] = []
        while True:
            self.blanks()
            if self.here == "]":
                self.at += 1
                break
            if not self.here:
                self.at = start
                raise self.fail("a list that does not end", "close it with `]`")
            found.append(self.item(",]", start))
            self.blanks()
            if self.here == ",":
                self.at += 1
            elif self.here and self.here != "]":
                raise self.fail(f"`{self.text[self.at :][:20]}` after a value", "put `,` between values")
        if not found:
            self.at = start
            raise self.fail("an empty list", "name at least one value", "value-missing")
        return tuple(found)

    def item(self, stops: str, start: int) -> Value:
        """One value; a bare one goes on to one of `stops`, or to the end of the line."""
        if angled := self.take(_ANGLED):
            return Value(text=angled[1], is_iri=True)
        if self.here in ('"', "'") and (quoted := self.take(_QUOTED)):
            return self.typed(self.unquoted(quoted[0]))
        end = len(self.text)
        for stop in stops:
            # each is looked for only before the one found: a long list is read in one go
            place = self.text.find(stop, self.at, end)
            end = place if place >= 0 else end
        if stops and end == len(self.text):
            self.at = start
            raise self.fail("a list that does not end", "close it with `]`")
        bare = self.text[self.at : end].strip()
        if not bare:
            raise self.fail("an empty place in a list", "remove the `,`, or name a value")
        plain, caret, _ = bare.partition("^^")
        if caret and plain and _TYPE.fullmatch(bare, len(plain)):
            self.at = self.text.index("^^", self.at)
            return self.typed(plain)
        self.at = end
        return Value(text=bare)

    def unquoted(self, quoted: str) -> str:
        if quoted[0] == "'":
            return quoted[1:-1]
        try:
            return str(json.loads(quoted, strict=False))
        except ValueError:
            self.at -= len(quoted)
            raise self.fail("a text with a `\\` that means nothing", "write `\\\\` for a backslash, or use '...'") from None

    def typed(self, text: str) -> Value:
        language = self.take(_LANGUAGE)
        found = self.take(_TYPE)
        datatype = found[1] if found else None
        if datatype is not None:
            datatype = datatype[1:-1] if datatype[0] == "<" else term(datatype) if ":" in datatype else XSD + datatype
        return Value(text=text, datatype=datatype, language=language[1] if language else None)

    def unit(self) -> Value | None:
        """The unit that stands after the value, to the end of the line; None when nothing does."""
        self.blanks()
        if not self.here:
            return None
        if (word := self.take(_UNIT)) and not self.here:
            return Value(text=word[0])
        self.at = word.start() if word else self.at
        if self.here in ('"', "'", "<"):
            unit = self.item("", self.at)
            self.blanks()
            if not self.here:
                return unit
        raise self.fail(f"`{self.text[self.at :][:20]}` after the value", "quote a value that has spaces or brackets")


# --- the way back


def write_line(constraint: Constraint, left: str) -> str:
    """The line of a constraint, its left operand spelled `left`.

    Raises: PolicyError for an identifier with angle brackets in it, which no line can hold.
    """
    if constraint.right_references:
        right = "value of " + _several([angled(iri, constraint.where) for iri in constraint.right_references])
        bare_number = False
    else:
        right = _several([write_value(value, constraint.where) for value in constraint.right])
        only = constraint.right[0] if len(constraint.right) == 1 else None
        bare_number = only is not None and bool(re.fullmatch(r"[+-]?\d+(?:\.\d+)?", right))
        if only is not None and constraint.unit and not bare_number and right[0] not in '"<':
            # what stands before a unit ends somewhere: a number, a quote, a bracket
            right = write_value(only, constraint.where, is_quoted=True)
    unit = ""
    if constraint.unit:
        word = constraint.unit
        is_plain = not (word.is_iri or word.datatype or word.language) and _UNIT.fullmatch(word.text)
        unit = f" {word.text if is_plain else write_value(word, constraint.where, is_quoted=True)}"
    return f"{left} {SIGNS[constraint.operator]} {right}{unit}"


def _several(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"[{', '.join(items)}]"


def angled(text: str, where: str) -> str:
    """A name in angle brackets: taken as it stands.

    Raises: PolicyError when it has such brackets itself.
    """
    if not text or "<" in text or ">" in text:
        raise PolicyError(f"`{text[:60]}` cannot be written as an IRI", where=where, mend="remove `<` and `>`", flaw="syntax")
    return f"<{text}>"


def write_value(value: Value, where: str, *, is_quoted: bool = False) -> str:
    """One value as it stands in a line; with `is_quoted` a text always stands in quotes."""
    if value.is_iri:
        return angled(value.text, where)
    suffix = f"@{value.language}" if value.language else ""
    if value.language and not _LANGUAGE.fullmatch(suffix):
        raise PolicyError(f"`{value.language[:20]}` is no language", where=where, mend="write a BCP 47 tag", flaw="syntax")
    if value.datatype:
        short = value.datatype.removeprefix(XSD)
        is_short = short != value.datatype and re.fullmatch(r"[A-Za-z][\w.-]*", short)
        suffix += f"^^{short if is_short else angled(value.datatype, where)}"
    is_bare = not is_quoted and _BARE.fullmatch(value.text) and not value.language
    # written bare, a text with its own `^^` or quotes would be read as something else: `_BARE` has neither
    return (value.text if is_bare else json.dumps(value.text, ensure_ascii=False)) + suffix
