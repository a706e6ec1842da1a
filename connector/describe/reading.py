"""Reading a description in YAML: every fault with file, line and column, and the nearest word that would be right.

    title: {en: "Hourly weather, 2013", de: Wetter jede Stunde}

What lives here: the words of the document and what each may hold. What does not: which of them a profile asks for (`check`).
All faults are found in one reading. Aliases and anchors are refused: a description says what it says where it says it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import yaml

from connector.describe import codes, document, table
from connector.describe.document import Description, Measure, Party, Price, Texts
from connector.errors import BadMessage, ConfigurationError
from connector.odrl.terms import nearest

MAX_CHARACTERS: Final = 1_000_000
MAX_KEYWORDS: Final = 100
_MAX_DEPTH: Final = 8
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+\Z")
_DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,10})?\Z")
_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,10})?")
_CURRENCY = re.compile("[A-Z]{3}")
_COUNT = re.compile(r"\d{1,18}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+\Z")
_DAY_OR_TIME = ("date", "dateTime")
_CONTACT = re.compile(r"(mailto:[^\s@:]+@[^\s@:]+|tel:[+0-9()-]+|https?://\S+)\Z")
_WEB = re.compile(r"https?://[^\s<>\"{}|\\^`]+\Z")
_SORTS = {"int": "a number", "float": "a number", "bool": "yes or no", "timestamp": "a date", "null": "nothing"}
"""What YAML takes a value for that stands without quotes."""


class _Mark(Protocol):
    line: int
    column: int


def read(text: str, name: str = "description.yaml") -> Description:
    """The description that a YAML text spells.

    Raises: ConfigurationError for the first fault, with file, line and column; `parsed` tells them all.
    """
    description, found = parsed(text, name)
    if found:
        raise found[0]
    return description


def parsed(text: str, name: str = "description.yaml") -> tuple[Description, tuple[ConfigurationError, ...]]:
    """What could be read of a YAML text, and all faults in it."""
    reader = Reader(name)
    try:
        return reader.description(compose(text, name)), tuple(reader.faults)
    except ConfigurationError as fault:
        return Description(), (fault,)


def _at(name: str, mark: _Mark | None) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


def compose(text: str, name: str) -> yaml.Node:
    """The YAML of a document, without aliases and within the bounds.

    Raises: ConfigurationError with its place.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigurationError(f"more than {MAX_CHARACTERS} characters", where=name, mend="describe one data product")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise ConfigurationError(
                    f"nested deeper than {_MAX_DEPTH}", where=_at(name, event.start_mark), mend="flatten it"
                )
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise ConfigurationError("an anchor or alias", where=_at(name, event.start_mark), mend="write the part out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        where = _at(name, fault.problem_mark or fault.context_mark)
        raise ConfigurationError(f"not YAML: {fault.problem}", where=where, mend="quote texts that hold `: ` or `#`") from None
    except yaml.YAMLError as fault:
        raise ConfigurationError(f"not YAML: {str(fault).splitlines()[0]}", where=name, mend="save it as UTF-8 text") from None
    if node is None:
        raise ConfigurationError("an empty file", where=name, mend="begin with `title:`; `kontor describe FILE` writes a draft")
    return node


class Reader:
    """What the words of a document hold; every fault is kept, with its place in the file `name`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[ConfigurationError] = []

    def description(self, node: yaml.Node) -> Description:
        """Each word by its own reader; a word with a fault is left out and its fault kept."""
        words: Mapping[str, Callable[[yaml.Node], Mapping[str, Any]]] = {
            "title": self._as("title", self.texts), "description": self._as("description", self.texts),
            "keywords": self._as("keywords", self.keywords),
            "themes": self._as("themes", lambda n: self.each(n, lambda one: self.named(one, document.THEMES, "theme"))),
            "publisher": self._as("publisher", self.party), "contact": self._as("contact", self.contact),
            "license": self._as("license", self.iri),
            "provenance": self.provenance,
            "frequency": self._as("frequency", lambda n: self.named(n, document.FREQUENCIES, "frequency")),
            "quality": self.quality,
            "columns": self._as("columns", self.columns), "rows": self._as("rows", self.count),
            "form": self._as("form", lambda n: self.word(n, document.FORMS, "form")),
            "grade": self._as("grade", lambda n: self.word(n, document.GRADES, "grade")),
            "level": self._as("level", lambda n: self.word(n, document.LEVELS, "level")),
            "rights": self._as("rights", self.rights), "price": self._as("price", self.price),
            "identifiers": self._as("identifiers", lambda n: self.each(n, self.scalar)),
            "product_code": self._as("product_code", self.product_code),
            "conforms_to": self._as("conforms_to", lambda n: self.each(n, self.iri)),
            "spatial": self._as("spatial", lambda n: self.each(n, self.iri)),
            "temporal": self.temporal,
            "landing_page": self._as("landing_page", self.web), "version": self._as("version", self.scalar),
            "media_type": self._as("media_type", lambda n: self.like(n, _MEDIA_TYPE, "media type", "write `text/csv`")),
            "byte_size": self._as("byte_size", self.count),
            "sha256": self._as("sha256", lambda n: self.like(n, re.compile("[0-9a-f]{64}"), "SHA-256", "64 hexadecimal digits")),
            "modified": self._as("modified", self.time),
        }  # fmt: skip
        found, places = self.gathered(node, words)
        return replace(Description(), **found, places=places)

    def gathered(
        self, node: yaml.Node, words: Mapping[str, Callable[[yaml.Node], Mapping[str, Any]]]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """What the words say, by field, and where each stands; a word with a fault is left out and its fault kept."""
        found: dict[str, Any] = {}
        places: dict[str, str] = {}
        for word, (key, value) in self.fields(node, tuple(words)).items():
            places[word] = self.at(key)
            try:
                found |= words[word](value)
            except ConfigurationError as fault:
                self.faults.append(fault)
        return found, places

    def _as(self, name: str, read_one: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], Mapping[str, Any]]:
        return lambda node: {name: read_one(node)}

    # --- words with parts

    def provenance(self, node: yaml.Node) -> Mapping[str, Any]:
        if isinstance(node, yaml.ScalarNode):
            return {"provenance": self.texts(node)}
        parts = self.parts(node, ("source", "text", "derived_from"))
        return {
            "source": self.word(parts["source"], document.SOURCES, "source") if "source" in parts else None,
            "provenance": self.texts(parts["text"]) if "text" in parts else (),
            "derived_from": self.each(parts["derived_from"], self.iri) if "derived_from" in parts else (),
        }

    def quality(self, node: yaml.Node) -> Mapping[str, Any]:
        if isinstance(node, yaml.ScalarNode):
            return {"quality_grade": self.word(node, document.QUALITY_GRADES, "grade of quality")}
        parts = self.parts(node, ("grade", "measures"))
        measures: list[Measure] = []
        if "measures" in parts:
            for key, value in self.pairs(parts["measures"]):
                if any(one.metric == self.scalar(key) for one in measures):
                    raise self.fault(f"`{self.scalar(key)[:60]}` is measured twice", key, "make one of them")
                number = self.like(value, _DECIMAL, "number", "write it with a point, such as `0.98`")
                measures.append(Measure(metric=self.scalar(key), value=number))
        grade = self.word(parts["grade"], document.QUALITY_GRADES, "grade of quality") if "grade" in parts else None
        return {"quality_grade": grade, "measures": tuple(measures)}

    def temporal(self, node: yaml.Node) -> Mapping[str, Any]:
        parts = self.parts(node, ("from", "to"))
        begins, ends = self.day(parts.get("from")), self.day(parts.get("to"))
        if begins and ends and begins[:10] > ends[:10]:
            raise self.fault(f"it ends on {ends[:10]}, before it begins", parts["to"], "write the earlier day behind `from`")
        return {"begins": begins, "ends": ends}

    def columns(self, node: yaml.Node) -> tuple[table.Column, ...]:
        found: dict[str, table.Column] = {}
        for item in self.items(node):
            parts = self.parts(item, ("name", "type", "title", "description", "unit", "required"))
            if "name" not in parts:
                raise self.fault("a column without a name", item, "write `name:`")
            name = self.text(parts["name"])
            if name in found:
                raise self.fault(f"the column `{name[:60]}` stands twice", parts["name"], "name each column once")
            found[name] = table.Column(
                name=name,
                type=self.word(parts["type"], table.TYPES, "type") if "type" in parts else "string",
                is_required="required" in parts and self.word(parts["required"], ("true", "false"), "answer") == "true",
                title=self.texts(parts["title"]) if "title" in parts else (),
                description=self.texts(parts["description"]) if "description" in parts else (),
                unit=self.text(parts["unit"]) if "unit" in parts else None,
            )
        return tuple(found.values())

    def party(self, node: yaml.Node) -> Party:
        if isinstance(node, yaml.ScalarNode):
            text = self.text(node)
            return Party(id=text) if _IRI.match(text) else Party(name=(("", text),))
        if not (isinstance(node, yaml.MappingNode) and {self.scalar(key) for key, _ in node.value} <= {"id", "name"}):
            raise self.fault("no party", node, "write its name, its id (a DID or another IRI), or `{id: ..., name: ...}`")
        parts = self.parts(node, ("id", "name"))
        return Party(
            id=self.iri(parts["id"]) if "id" in parts else None, name=self.texts(parts["name"]) if "name" in parts else ()
        )

    def rights(self, node: yaml.Node) -> tuple[tuple[str, Party], ...]:
        parts = self.parts(node, document.RIGHTS)
        return tuple((kind, self.party(parts[kind])) for kind in document.RIGHTS if kind in parts)

    def price(self, node: yaml.Node) -> Price:
        if isinstance(node, yaml.ScalarNode) and self.scalar(node) == "free":
            return Price(amount="0")
        parts = self.parts(node, ("amount", "currency", "per", "terms"))
        if "amount" in parts and "currency" not in parts:
            raise self.fault("an amount without a currency", parts["amount"], "write `currency: EUR`")
        found = Price(per=self.text(parts["per"]) if "per" in parts else None)
        if "amount" in parts:
            found = replace(found, amount=self.like(parts["amount"], _AMOUNT, "amount", "write `12.50`"))
        if "currency" in parts:
            mend = "three letters of ISO 4217, such as `EUR`"
            found = replace(found, currency=self.like(parts["currency"], _CURRENCY, "currency", mend))
        return replace(found, terms=self.texts(parts["terms"])) if "terms" in parts else found

    def product_code(self, node: yaml.Node) -> str:
        try:
            return codes.checked(self.scalar(node), self.at(node))
        except BadMessage as fault:
            raise ConfigurationError(fault.what, where=fault.where, mend=fault.mend) from fault

    def keywords(self, node: yaml.Node) -> Texts:
        found: Texts = tuple(("", self.text(one)) for one in self.items(node)) if not isinstance(node, yaml.MappingNode) else ()
        if isinstance(node, yaml.MappingNode):
            found = tuple((self.language(key), self.text(one)) for key, value in self.pairs(node) for one in self.items(value))
        if len(found) > MAX_KEYWORDS:
            raise self.fault(f"{len(found)} keywords", node, f"keep the best {MAX_KEYWORDS}")
        return found

    # --- words of one value

    def texts(self, node: yaml.Node) -> Texts:
        if not isinstance(node, yaml.MappingNode):
            return (("", self.text(node)),)
        found: dict[str, str] = {}
        for key, value in self.pairs(node):
            language = self.language(key)
            if language in found:
                raise self.fault(f"the language `{language}` stands twice", key, "say it once in each language")
            found[language] = self.text(value)
        return tuple(found.items())

    def language(self, node: yaml.Node) -> str:
        return self.like(node, _LANGUAGE, "language", "write a tag such as `en`, `de`, `fr` or `zh`").lower()

    def contact(self, node: yaml.Node) -> str:
        text = self.text(node)
        found = f"mailto:{text}" if "@" in text and ":" not in text else text
        if not _CONTACT.match(found):
            mend = "write a mail address, `tel:` and a number, or the address of a page, such as `https://example.org/ask`"
            raise self.fault(f"`{text[:60]}` is no contact", node, mend)
        return found

    def named(self, node: yaml.Node, known: Mapping[str, str], what: str) -> str:
        text = self.text(node)
        return text if _IRI.match(text) else known[self.word(node, known, what)]

    def word(self, node: yaml.Node, known: Iterable[str], what: str) -> str:
        text, words = self.scalar(node), tuple(known)
        if text not in words:
            raise self.fault(f"unknown {what} `{text[:60]}`", node, nearest(text, words, 14))
        return text

    def like(self, node: yaml.Node, pattern: re.Pattern[str], what: str, mend: str) -> str:
        text = self.scalar(node)
        if not pattern.fullmatch(text):
            raise self.fault(f"`{text[:60]}` is no {what}", node, mend)
        return text

    def iri(self, node: yaml.Node) -> str:
        return self.like(node, _IRI, "IRI", "write it whole, such as `https://example.org/a`, `urn:example:a` or `did:web:a`")

    def web(self, node: yaml.Node) -> str:
        return self.like(node, _WEB, "web address", "write it whole, such as `https://example.org/product`")

    def count(self, node: yaml.Node) -> int:
        return int(self.like(node, _COUNT, "whole number", "write digits only"))

    def day(self, node: yaml.Node | None) -> str | None:
        if node is None:
            return None
        text = self.scalar(node)
        if table.kind_of(text) not in _DAY_OR_TIME:
            raise self.fault(f"`{text[:60]}` is no date", node, "write `2025-12-31` or `2025-12-31T23:59:59Z`")
        # XML Schema has no time without seconds
        return re.sub(r"^(.{10})[T ](\d\d:\d\d)(?!:)", r"\1T\2:00", text).replace(" ", "T")

    def time(self, node: yaml.Node) -> datetime:
        at = datetime.fromisoformat(self.day(node) or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)

    # --- YAML

    def at(self, node: yaml.Node) -> str:
        return _at(self.name, node.start_mark)

    def fault(self, what: str, node: yaml.Node, mend: str) -> ConfigurationError:
        return ConfigurationError(what, where=self.at(node), mend=mend)

    def fields(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The words of a mapping; unknown ones and repeats are kept as faults."""
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in self.pairs(node):
            word = self.scalar(key)
            if word not in known:
                self.faults.append(self.fault(f"unknown word `{word[:60]}`", key, nearest(word, known, 6)))
            elif word in found:
                self.faults.append(self.fault(f"`{word}` is written twice", key, "make one of them"))
            elif not (isinstance(value, yaml.ScalarNode) and value.tag == "tag:yaml.org,2002:null"):
                # a word with nothing behind it says nothing, as in a draft
                found[word] = (key, value)
        return found

    def parts(self, node: yaml.Node, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        return {word: value for word, (_, value) in self.fields(node, known).items()}

    def pairs(self, node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self.fault("expected `name: value` lines", node, "indent them below the word")
        return list(node.value)

    def items(self, node: yaml.Node) -> Iterator[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            yield from node.value
        else:
            yield node

    def each(self, node: yaml.Node, read_one: Callable[[yaml.Node], str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(read_one(one) for one in self.items(node)))

    def text(self, node: yaml.Node) -> str:
        """What is written for people; a number or a date among it stands in quotes, or somebody has mixed something up."""
        text = self.scalar(node)
        if node.tag != "tag:yaml.org,2002:str":
            sort = _SORTS.get(node.tag.rpartition(":")[2], "something else")
            raise self.fault(f"`{text[:60]}` is {sort}, and a text is expected", node, f'quote it if it is one: "{text[:60]}"')
        return text

    def scalar(self, node: yaml.Node) -> str:
        """What is written in one piece, as it is written: a name, a number, a date."""
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or node.tag == "tag:yaml.org,2002:null":
            raise self.fault("expected a text", node, "write it in one piece; quote it if it has special signs")
        return str(node.value)
