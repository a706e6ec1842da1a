"""The one strict scan of every byte that comes from outside and claims to be JSON.

What lives here: `scan`, which gives back the parsed tree or says what is wrong, where, and how to mend it; and `path`, the
spelling of a place in a JSON document that all error messages of this product share.
What does not: what the members mean (`dsp/wire.py` and others), tokens (`jose.py`), and anything written by the operator.

Stricter than RFC 8259 where that leaves room, as RFC 7493 (I-JSON) asks: UTF-8 without a byte order mark, no member twice in
an object (section 2.3; also when spelled with escapes), no number beyond a double, no lone surrogates, no NaN or Infinity.
Beyond it: bounded size and depth, and no U+0000, because no store and no log carries it faithfully.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from connector.errors import BadMessage, TooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one document may be."""

    max_bytes: int = 1 << 20
    """Of the document as it was sent, 1 MiB by default."""
    max_depth: int = 64
    """Of objects and arrays inside each other; `{"a": []}` is 2 deep."""


DEFAULT: Final = Limits()

# an escape counts when an even number of backslashes stands before its own
_ESCAPED_COLON = re.compile(rb"(?<!\\)(?:\\\\)*\\u003[aA]")
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def scan(data: bytes, limits: Limits = DEFAULT) -> Any:
    """The JSON tree in `data`, as plain dicts, lists, texts, numbers, booleans and None.

    Raises: TooLarge when there are more bytes than allowed; BadMessage for everything else that is not strict JSON, with the
    JSON path of the culprit. Nothing of the document should be used or kept then.
    Source: RFC 8259; RFC 7493, section 2.
    """
    if len(data) > limits.max_bytes:
        raise TooLarge(f"the body has {len(data)} bytes", mend=f"send at most {limits.max_bytes} bytes")
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _unreadable(data, error, limits) from None
    # nothing is deeper than the number of brackets that open, which C counts
    if data.count(b"{") + data.count(b"[") > limits.max_depth and _is_deeper(tree, limits.max_depth):
        raise _fault(data, limits) or _too_deep(limits)
    has_escapes = b"\\" in data
    if has_escapes and _ESCAPED_NUL.search(data):
        raise _fault(data, limits) or BadMessage("a text contains U+0000", mend=_NO_NUL)
    # The parser keeps the last of several equal members. What it dropped had at least one colon, and orjson writes every
    # colon of what it kept plainly: the counts are equal exactly when nothing was dropped.
    written = orjson.dumps(tree)
    if written != data:
        colons = data.count(b":") + (len(_ESCAPED_COLON.findall(data)) if has_escapes else 0)
        if colons != written.count(b":"):
            raise _fault(data, limits) or BadMessage("a member stands twice in one object", mend="send it once")
    return tree


def path(parts: Iterable[str | int]) -> str:
    """A place in a JSON document as text: `offer.permission[0].constraint[1].operator`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_NAME.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


def shown(value: Any) -> str:
    """A value from outside as it may stand in a message: one line of JSON, cut when long."""
    text = orjson.dumps(value).decode().replace("\x7f", "\\u007f")
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


_PLAIN_NAME = re.compile(r"[A-Za-z@_][A-Za-z0-9@_:-]{0,80}\Z")
_MOST_SHOWN: Final = 60


def _is_deeper(tree: Any, most: int) -> bool:
    level = [tree] if type(tree) in (dict, list) else []
    for _ in range(most):
        if not level:
            return False
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)


# --- the slow way: only for documents that are refused, to say where the fault is

_NO_NUL: Final = "leave that character out"
# how far into a document a fault is looked for; beyond it the message does without the path
_MOST_WALKED: Final = 1 << 18
# one token: punctuation, a closed string, a run of anything else (numbers, literals, garbage), or a quote that never closes
_TOKEN = re.compile(r'[ \t\n\r]*(?:([{}\[\],:])|"([^"\\]*(?:\\.[^"\\]*)*)"|([^{}\[\],:" \t\n\r]+)|.)', re.DOTALL)
_FAULTS: Final = {
    "unexpected content after document": "there is more after its end",
    "number is infinity when parsed as double": "a number is too large for a double",
    "no low surrogate in string": "a text has half of a surrogate pair",
    "invalid low surrogate in string": "a text has half of a surrogate pair",
    "invalid high surrogate in string": "a text has half of a surrogate pair",
    "unexpected end of data": "it ends too early",
    "depth limit exceeded": "it is nested too deeply",
}


def _unreadable(data: bytes, error: orjson.JSONDecodeError, limits: Limits) -> BadMessage:
    """Why orjson does not read `data`, and where."""
    if not data.strip(b" \t\n\r"):
        return BadMessage("the body is empty", mend="send a JSON object")
    if data.startswith(b"\xef\xbb\xbf"):
        return BadMessage("the body begins with a byte order mark", mend="send UTF-8 without it")
    try:
        text, end, what = data.decode(), error.pos, _FAULTS.get(error.msg) or error.msg.lower()
    except UnicodeDecodeError as bad:
        text = data[: bad.start].decode()
        end, what = len(text), f"byte {bad.start} is not UTF-8"
    # a fault that stands before it, and has a better name, comes first
    walk = _Walk(text, end)
    found = walk.fault(limits)
    if found:
        return found
    word = text[end : end + 9].split(",")[0].rstrip("]} \t\n\r")
    if word in ("NaN", "Infinity", "-Infinity"[1:]):
        what = f"`{word}` is no JSON value"
    return BadMessage(f"the body is not JSON: {what}", where=walk.place(), mend=f"see character {end} of the body")


def _fault(data: bytes, limits: Limits) -> BadMessage | None:
    """The fault in JSON that orjson reads but we do not accept; None when it stands too far into the document."""
    return _Walk(data.decode()).fault(limits)


def _too_deep(limits: Limits, where: str = "") -> BadMessage:
    mend = f"nest objects and arrays at most {limits.max_depth} deep"
    return BadMessage("the body is nested too deeply", where=where, mend=mend)


class _Walk:
    """One pass over the tokens of a text, which need not be JSON to its end, that knows where it is."""

    def __init__(self, text: str, end: int | None = None) -> None:
        self.text = text
        self.end = min(_MOST_WALKED, len(text) if end is None else end)
        self.parts: list[str | int] = []
        self.names: list[set[str]] = []
        """The member names seen in each open object; an open array has an empty set."""

    def place(self) -> str:
        return path(self.parts) if self.end < _MOST_WALKED else ""

    def fault(self, limits: Limits) -> BadMessage | None:
        """The first member that stands twice, U+0000, or object that is too deep."""
        for string, is_name in self._strings(limits.max_depth):
            if len(self.names) > limits.max_depth:
                return _too_deep(limits, path(self.parts[:8]))
            value = _unescaped(string)
            if "\0" in value:
                return BadMessage("a text contains U+0000", where=path(self.parts), mend=_NO_NUL)
            if is_name:
                self.parts[-1] = value
                if value in self.names[-1]:
                    return BadMessage(f"member {shown(value)} stands twice", where=path(self.parts), mend="send it once")
                self.names[-1].add(value)
        return None

    def _strings(self, deepest: int) -> Iterator[tuple[str, bool]]:
        """Every string, still escaped, and whether it is a member's name; also an empty one at the bracket that is too deep."""
        expects_name = False
        for token in _TOKEN.finditer(self.text, 0, self.end):
            mark, string, _ = token.groups()
            if mark in ("{", "["):
                self.parts.append("" if mark == "{" else 0)
                self.names.append(set())
                expects_name = mark == "{"
                if len(self.names) > deepest:
                    yield "", False
            elif mark in ("}", "]"):
                if not self.parts:
                    return
                self.parts.pop()
                self.names.pop()
                expects_name = False
            elif mark == "," and self.parts:
                last = self.parts[-1]
                expects_name = isinstance(last, str)
                self.parts[-1] = "" if isinstance(last, str) else last + 1
            elif string is not None:
                yield string, expects_name
                expects_name = False


def _unescaped(string: str) -> str:
    if "\\" not in string:
        return string
    try:
        return str(orjson.loads(f'"{string}"'))
    except orjson.JSONDecodeError:
        return string


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A hook for readers of an operator's files: one object, of members that stand once; ValueError otherwise."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the member `{name[:80]}` stands twice in one object")
        found[name] = value
    return found
