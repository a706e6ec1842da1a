"""The part of YAML that policies use: mappings, lists and texts, with their places; no anchors, no tags, bounded.

How long reading takes is bounded by the work there is: characters, parts and depth. libyaml finds the parts where it is there.
What a policy is made of is in `yamlfmt`; nothing here knows a rule from a constraint.
Source: YAML 1.1, as PyYAML composes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import yaml

from connector.errors import PolicyError
from connector.odrl.model import Extra
from connector.odrl.terms import nearest, term
from connector.odrl.tree import MAX_DEPTH, text_of

MAX_CHARACTERS = 250_000
MAX_PARTS = 20_000
"""Of a text: its words, and where lists and mappings begin and end; some 2,500 rules of one condition."""
# each step of a policy's own depth is a mapping, a list and another mapping here
_DEEPEST = 3 * MAX_DEPTH
_FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Open = tuple[Any, list[yaml.Node]]


def compose(text: str, name: str) -> yaml.Node:
    """The tree of a YAML text.

    Raises: PolicyError with file, line and column when it is none, is empty, too long or too deep, or has an anchor or a tag.
    """
    if len(text) > MAX_CHARACTERS:
        what = f"a policy of more than {MAX_CHARACTERS} characters"
        raise PolicyError(what, where=name, mend="split it", flaw="too-large")
    try:
        try:
            node = _composed(text, name, _FASTEST)
        except yaml.YAMLError:
            # what is wrong, and where, is told the same way on every machine
            node = _composed(text, name, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mend = "quote the constraint if it contains `[`, `,` or `: ` inside brackets"
        where = place(name, error.problem_mark or error.context_mark)
        raise PolicyError(f"not YAML: {error.problem}", where=where, mend=mend, flaw="syntax") from None
    except yaml.YAMLError as error:
        what = f"not YAML: {str(error).splitlines()[0]}"
        raise PolicyError(what, where=name, mend="save it as UTF-8 text", flaw="syntax") from None
    if node is None:
        raise PolicyError("an empty file", where=name, mend="begin with `policy:` and `permit:`", flaw="rule-missing")
    return node


def _composed(text: str, name: str, loader: Any) -> yaml.Node | None:
    found: yaml.Node | None = None
    within: list[_Open] = []
    for count, event in enumerate(yaml.parse(text, Loader=loader)):
        if count > MAX_PARTS:
            what = f"a policy of more than {MAX_PARTS} parts"
            raise PolicyError(what, where=place(name, event.start_mark), mend="split it", flaw="too-large")
        if isinstance(event, yaml.NodeEvent):
            _plain(event, name)
        match event:
            case yaml.CollectionStartEvent():
                within.append((event, []))
                if len(within) > _DEEPEST:
                    what, where = f"nested deeper than {_DEEPEST}", place(name, event.start_mark)
                    raise PolicyError(what, where=where, mend="flatten the constraints", flaw="too-deep")
                continue
            case yaml.ScalarEvent():
                start: Any = event.start_mark
                end: Any = event.end_mark
                node: yaml.Node = yaml.ScalarNode("", event.value, start, end, event.style)
            case yaml.CollectionEndEvent():
                node = _collection(*within.pop(), event.end_mark)
            case _:
                continue
        if within:
            within[-1][1].append(node)
        elif found is None:
            found = node
        else:
            where = place(name, node.start_mark)
            raise PolicyError("not YAML: a second document", where=where, mend="one policy in a file", flaw="syntax")
    return found


def _plain(event: yaml.NodeEvent, name: str) -> None:
    where = place(name, event.start_mark)
    if event.anchor is not None:
        raise PolicyError("an anchor or alias", where=where, mend="write the part out", flaw="anchor")
    if getattr(event, "tag", None) is not None:
        raise PolicyError("a tag", where=where, mend="write the value alone; quote it when it is a text", flaw="anchor")


def _collection(begun: Any, parts: list[yaml.Node], end: Any) -> yaml.Node:
    start: Any = begun.start_mark
    if isinstance(begun, yaml.SequenceStartEvent):
        return yaml.SequenceNode("", parts, start, end)
    # a parser gives a mapping's names and values in turn, an absent one as an empty text
    return yaml.MappingNode("", list(zip(parts[::2], parts[1::2], strict=True)), start, end)


class Mark(Protocol):
    """A place in a text, counted from 0."""

    line: int
    column: int


def place(name: str, mark: Mark | None, offset: int = 0) -> str:
    """`file:line:column`, counted from 1."""
    return f"{name}:{mark.line + 1}:{mark.column + 1 + offset}" if mark else name


class YamlReader:
    """Reads the pieces of one YAML text; `name` is that of its file."""

    def __init__(self, name: str) -> None:
        self.file = name

    def at(self, node: yaml.Node, offset: int = 0) -> str:
        """Where a node stands, or a sign of it where it is a text on one line."""
        if not isinstance(node, yaml.ScalarNode) or node.start_mark.line != node.end_mark.line:
            offset = 0
        elif offset and node.style in ("'", '"'):
            offset += 1
        return place(self.file, node.start_mark, offset)

    def fields(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The values of a mapping by their words, of which each must be known."""
        if not isinstance(node, yaml.MappingNode):
            mend = nearest("", known, 6)
            raise PolicyError("expected `name: value` lines", where=self.at(node), mend=mend, flaw="syntax")
        found: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node)
            if key not in known:
                mend = nearest(key, known, 6)
                raise PolicyError(f"unknown word `{key[:60]}`", where=self.at(key_node), mend=mend, flaw="word-unknown")
            if key in found:
                what = f"`{key}` is written twice"
                raise PolicyError(what, where=self.at(key_node), mend="make a list of it", flaw="word-twice")
            found[key] = value
        return found

    def items(self, node: yaml.Node | None) -> Iterator[yaml.Node]:
        """The items of a list, or the one thing that stands in its place."""
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        elif node is not None:
            yield node

    def text(self, node: yaml.Node) -> str:
        """A text that says something; quoted ones keep their spaces."""
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            mend = "write it in one line; quote it if it has special signs"
            raise PolicyError("expected a word", where=self.at(node), mend=mend, flaw="syntax")
        return str(node.value) if node.style in ("'", '"') else str(node.value).strip()

    def optional(self, fields: Mapping[str, yaml.Node], key: str) -> str | None:
        """The text of a field that may be absent."""
        return self.text(fields[key]) if key in fields else None

    def json_fields(self, node: yaml.Node) -> Extra:
        """A mapping of names to JSON, its names spelled as the house spells them."""
        if not isinstance(node, yaml.MappingNode):
            raise PolicyError("expected `name: value` lines", where=self.at(node), mend="name the property", flaw="syntax")
        found: dict[str, str] = {}
        for key_node, value in node.value:
            key = term(self.text(key_node))
            if key in found:
                what = f"`{key[:60]}` is written twice"
                raise PolicyError(what, where=self.at(key_node), mend="make a list of it", flaw="word-twice")
            found[key] = text_of(self.json(value))
        return tuple(sorted(found.items()))

    def json(self, node: yaml.Node) -> Any:
        """The JSON value of a node: what is quoted is a text, and so is a bare word that JSON does not know."""
        if isinstance(node, yaml.MappingNode):
            return {str(key.value): self.json(value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return [self.json(item) for item in node.value]
        if not isinstance(node, yaml.ScalarNode) or node.style in ("'", '"'):
            return node.value
        try:
            return json.loads(node.value, parse_constant=str)
        except (ValueError, RecursionError):
            return node.value
