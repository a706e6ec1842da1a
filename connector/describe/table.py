"""Rows and columns of CSV and JSON, read as a stream: the memory does not grow with the file.

What lives here: counting rows and guessing the type of each column from every value, also of what gzip has compressed. What does not:
Parquet, whose file says both itself (`parquet.py`), and other binary forms. A text is UTF-8, or UTF-16 where it begins with a byte
order mark; any other encoding is named by whoever knows it, because a wrong guess would give wrong names.
A type is the narrowest that all values have: `007` is a text, because a number would lose its zeros.
Source: RFC 4180; RFC 8259; XML Schema 1.1 part 2 (names of types).
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final, cast

import orjson

from connector.errors import BadMessage

MAX_COLUMNS: Final = 2000
MAX_ROW_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 18
_DELIMITERS: Final = ",;\t|"
_QUOTED: Final = re.compile(r'"[^"]*("|\Z)')
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_MISSING: Final = frozenset({"", "NA", "N/A", "null", "NULL"})
_KINDS: Final = (
    ("integer", re.compile(r"[+-]?(?:0|[1-9]\d*)\Z")),
    ("decimal", re.compile(r"[+-]?(?:0|[1-9]\d*)\.\d+\Z")),
    ("double", re.compile(r"[+-]?\d+(?:\.\d+)?[eE][+-]?\d+\Z")),
    ("boolean", re.compile(r"(?:true|false)\Z", re.IGNORECASE)),
    ("date", re.compile(r"\d{4}-\d\d-\d\d\Z")),
    ("dateTime", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?\Z")),
)
_NUMBERS: Final = ("integer", "decimal", "double")
TYPES: Final = (*_NUMBERS, "boolean", "date", "dateTime", "string", "json")
"""What a column can be: names of XML Schema, and `json` for what has parts of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, or member of a JSON object."""

    name: str
    type: str = "string"
    is_required: bool = False
    """Whether each row has a value."""
    title: tuple[tuple[str, str], ...] = ()
    description: tuple[tuple[str, str], ...] = ()
    """By language; the empty language for a text that names none."""
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What was counted."""

    rows: int
    columns: tuple[Column, ...]


@dataclass(slots=True)
class _Guess:
    """What is known of one column so far."""

    type: str | None = None
    seen: int = 0

    def add(self, kind: str) -> None:
        self.seen += 1
        known = self.type
        if known is None:
            self.type = kind
        elif known != kind:
            both = known in _NUMBERS and kind in _NUMBERS
            self.type = max(known, kind, key=_NUMBERS.index) if both else "string"


def kind_of(text: str) -> str:
    """The narrowest type that `text` is a value of."""
    for kind, pattern in _KINDS:
        if pattern.match(text):
            return kind if kind not in ("date", "dateTime") or _is_day(text) else "string"
    return "string"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def read(path: Path, media_type: str, *, encoding: str | None = None, is_compressed: bool = False) -> Table | None:
    """The rows and columns of a file; None when files of this media type have none.

    Raises: BadMessage with file and row, when the file is not what its media type says, or a row is larger than a row may be.
    """
    try:
        with _opened(path, is_compressed) as file:
            if media_type in ("text/csv", "text/tab-separated-values"):
                return _csv(file, path, encoding)
            if media_type in ("application/x-ndjson", "application/jsonl"):
                return _objects(_lines(file, path), path)
            if media_type in ("application/json", "application/geo+json") and _first(file) == b"[":
                return _objects(_elements(file, path), path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise BadMessage(f"this is no whole gzip file: {fault}", where=path.name, mend="compress it again") from fault
    return None


@contextlib.contextmanager
def _opened(path: Path, is_compressed: bool) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if not is_compressed:
            yield file
            return
        with gzip.open(file) as plain:
            yield cast(IO[bytes], plain)


# --- CSV


def _csv(file: IO[bytes], path: Path, encoding: str | None) -> Table:
    lines = _texts(file, path, encoding)
    head = next(lines, "")
    delimiter = max(_DELIMITERS, key=_QUOTED.sub("", head).count)
    try:
        rows = csv.reader(_chain(head, lines), delimiter=delimiter, strict=True)
        names = next(rows, [])
        _check_head(names, path)
        guesses = [_Guess() for _ in names]
        count = 0
        for row in rows:
            if not row:
                continue
            count += 1
            if len(row) != len(names):
                raise BadMessage(
                    f"a row of {len(row)} values below a head of {len(names)}",
                    where=f"{path.name}:{rows.line_num}",
                    mend="quote values that hold the separator",
                )
            for guess, value in zip(guesses, row, strict=True):
                if value not in _MISSING:
                    if guess.type == "string":
                        guess.seen += 1
                    else:
                        guess.add(kind_of(value))
    except csv.Error as fault:
        raise BadMessage(f"this is no CSV: {fault}", where=path.name, mend="see RFC 4180") from fault
    return _table(count, dict(zip(names, guesses, strict=True)))


def _check_head(names: list[str], path: Path) -> None:
    twice = {name for name in names if names.count(name) > 1} if len(names) <= MAX_COLUMNS else set()
    what = ""
    if len(names) > MAX_COLUMNS:
        what = f"{len(names)} columns"
    elif not names or not all(name.strip() for name in names) or twice:
        what = f"the column `{min(twice)[:60]}` stands twice" if twice else "a column has no name"
    elif all(kind_of(name) not in ("string", "boolean") for name in names):
        what = "the first row holds values and no names"
    if what:
        raise BadMessage(what, where=f"{path.name}:1", mend=f"begin with one row of names, at most {MAX_COLUMNS}")


def _chain(head: str, rest: Iterator[str]) -> Iterator[str]:
    if head:
        yield head
    yield from rest


def _texts(file: IO[bytes], path: Path, encoding: str | None) -> Iterator[str]:
    """The lines of a file, none longer than a row may be."""
    if encoding is None:
        encoding = "utf-16" if file.read(2) in _WIDE_MARKS else "utf-8-sig"
        file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    number = 0
    while True:
        number += 1
        try:
            line = text.readline(MAX_ROW_BYTES)
        except UnicodeError as fault:
            said = "UTF-8" if encoding == "utf-8-sig" else encoding
            mend = "save it as UTF-8, or name its encoding with `--encoding`, such as `gb18030` or `windows-1252`"
            raise BadMessage(f"this is not {said}", where=f"{path.name}:{number}", mend=mend) from fault
        if len(line) == MAX_ROW_BYTES and not line.endswith("\n"):
            raise _too_long(path, number)
        if not line:
            return
        yield line


def _too_long(path: Path, row: int) -> BadMessage:
    return BadMessage(f"a row of more than {MAX_ROW_BYTES} bytes", where=f"{path.name}:{row}", mend="split it")


# --- JSON


def _first(file: IO[bytes]) -> bytes:
    """The first sign of a file that is not blank; the file stands at its beginning again."""
    found = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    file.seek(0)
    return found


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_ROW_BYTES):
        number += 1
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            raise _too_long(path, number)
        if line.strip():
            yield line


_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


def _elements(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The elements of the array that a file is, still as bytes; no more than one is held."""
    depth, is_text, is_escaped, count = 0, False, False, 0
    held = bytearray()
    while chunk := file.read(_CHUNK):
        begin, at = 0, int(is_escaped)
        is_escaped = False
        while match := (_INSIDE if is_text else _OUTSIDE).search(chunk, at):
            sign, at = match[0], match.end()
            if is_text:
                if sign == b"\\":
                    at += 1
                    is_escaped = at > len(chunk)
                else:
                    is_text = False
            elif sign == b'"':
                is_text = True
            elif sign in (b"[", b"{"):
                depth += 1
                begin = at if depth == 1 else begin
            elif sign == b",":
                if depth == 1:
                    held += chunk[begin : match.start()]
                    yield bytes(held)
                    held.clear()
                    begin, count = at, count + 1
            else:
                depth -= 1
                if depth == 0:
                    held += chunk[begin : match.start()]
                    if held.strip() or count:
                        yield bytes(held)
                    if chunk[at:].strip() or file.read(_CHUNK).strip():
                        raise BadMessage("there is more after the array", where=path.name, mend="write one array")
                    return
        held += chunk[begin:]
        if len(held) > MAX_ROW_BYTES:
            raise _too_long(path, count + 1)
    raise BadMessage("the array does not end", where=path.name, mend="close it with `]`")


def _objects(items: Iterator[bytes], path: Path) -> Table:
    guesses: dict[str, _Guess] = {}
    count = 0
    for count, item in enumerate(items, start=1):
        try:
            value = orjson.loads(item)
        except orjson.JSONDecodeError as fault:
            raise BadMessage(f"this is no JSON: {fault.msg}", where=f"{path.name}, row {count}", mend="mend the row") from fault
        if not isinstance(value, dict):
            continue
        for name, part in value.items():
            guess = guesses.get(name)
            if guess is None:
                if len(guesses) == MAX_COLUMNS or not name.strip():
                    what = f"more than {MAX_COLUMNS} names" if name.strip() else "an empty name"
                    raise BadMessage(what, where=f"{path.name}, row {count}", mend="keep names apart from values")
                guess = guesses[name] = _Guess()
            if part is not None:
                guess.add(_json_kind(part))
    return _table(count, guesses)


def _json_kind(value: Any) -> str:
    if isinstance(value, str):
        found = kind_of(value)
        return found if found in ("date", "dateTime") else "string"
    return {bool: "boolean", int: "integer", float: "decimal"}.get(type(value), "json")


def _table(rows: int, guesses: dict[str, _Guess]) -> Table:
    columns = tuple(
        Column(name=name, type=guess.type or "string", is_required=rows > 0 and guess.seen == rows)
        for name, guess in guesses.items()
    )
    return Table(rows=rows, columns=columns)
