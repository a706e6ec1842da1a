"""One spelling for each term: short names for ODRL, full IRIs for known prefixes, hints for what looks misspelt.

Which terms exist and what they mean is in `vocabulary`.
Source: ODRL 2.2 JSON-LD context; its two slips (`odrl:neg` for neq, `odrl:industry:` for industry) are understood.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from connector.odrl.model import ODRL, XSD

PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "odrl": ODRL,
        "xsd": XSD,
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "dct": "http://purl.org/dc/terms/",
        "dcat": "http://www.w3.org/ns/dcat#",
        "cc": "http://creativecommons.org/ns#",
        "schema": "http://schema.org/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "vcard": "http://www.w3.org/2006/vcard/ns#",
        "dspace": "https://w3id.org/dspace/2025/1/",
        "edc": "https://w3id.org/edc/v0.0.1/ns/",
        "kontor": "https://w3id.org/kontor/ns/",
    }
)
REPLACED_BY = "http://purl.org/dc/terms/isReplacedBy"
TIMESTAMP = "https://w3id.org/dspace/2025/1/timestamp"
"""Of other vocabularies: a policy that is processed instead, and when an agreement was made."""
PROPERTIES = (
    *("permission", "prohibition", "obligation", "profile", "inheritFrom", "conflict"),
    *("action", "target", "assigner", "assignee", "constraint", "duty", "remedy", "consequence", "refinement"),
    *("leftOperand", "operator", "rightOperand", "rightOperandReference", "unit", "dataType", "status"),
)
"""What policies and their parts say, for hints."""
# annotations, and what an asset or a party says of policies: none of it conditions a rule
MOST_HINTS = 20
"""So many unknown words of one policy are looked up."""
_CONDITIONS = frozenset(
    {"permission", "prohibition", "obligation", "constraint", "refinement", "duty", "remedy", "consequence"}
    | {"leftOperand", "rightOperand", "rightOperandReference", "inheritFrom", "conflict", "and", "or", "xone", "andSequence"}
)
# in whatever namespace: under a prefix that was not followed, or in a profile that has conditions of its own
_LIKE_ODRL = re.compile(r"https?://(www\.)?w3\.org/ns/odrl\b")
_LOCAL = re.compile("[/#:]")
_SAYS_NOTHING = frozenset(
    {"@type", "title", "description", "label", "comment", "name", "note", "hasPolicy", "assignerOf", "assigneeOf"}
)
_SLIPS = {"neg": "neq", "industry:": "industry", "datatype": "dataType"}


def expand(text: str, prefixes: Mapping[str, str] = PREFIXES) -> str:
    """The full IRI of a prefixed name, or of a bare term that `prefixes` defines; everything else as it is."""
    if text in prefixes and ":" not in text:
        return prefixes[text]
    head, colon, tail = text.partition(":")
    if colon and not tail.startswith("//") and head in prefixes:
        return prefixes[head] + tail
    return text


def term(text: str, prefixes: Mapping[str, str] = PREFIXES) -> str:
    """The house spelling of a term: the local name when it is ODRL's, the full IRI when its prefix is known, else verbatim."""
    if text.isalpha() and (prefixes is PREFIXES or text not in prefixes):
        # the common case on the wire: a bare word
        return _SLIPS.get(text, text)
    iri = expand(text, prefixes) if text not in PREFIXES else text
    if iri.startswith(ODRL) and len(iri) > len(ODRL):
        iri = iri[len(ODRL) :]
        return _SLIPS.get(iri, iri)
    return iri


def stranger(extra: Iterable[tuple[str, str]]) -> str | None:
    """The first property that may have been meant for one of ODRL's and is none, such as `constraints`; None when there is none.

    It may have been meant as a condition, and so may a property of another namespace that is called like one of ODRL's
    conditions or stands nearly in its namespace. Other properties only describe.
    """
    return next((name for name, _ in extra if _is_strange(name)), None)


def _is_strange(name: str) -> bool:
    if ":" not in name:
        return name not in _SAYS_NOTHING
    return _LOCAL.split(name)[-1] in _CONDITIONS or _LIKE_ODRL.match(name) is not None


class Hints:
    """What may have been meant by unknown words, for the first few of them: each is a search. Words without end cost nothing."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = 0

    def of(self, find: Callable[[str], str], word: str) -> str:
        """The clause that `find` has for `word`, or nothing after the first few."""
        self.asked += 1
        return find(word) if self.asked <= MOST_HINTS else ""

    def behind(self, find: Callable[[str], str], word: str) -> str:
        """The same behind a semicolon."""
        found = self.of(find, word)
        return f"; {found}" if found else ""

    @property
    def more(self) -> int:
        """How many words were left without."""
        return max(0, self.asked - MOST_HINTS)


def nearest(word: str, known: Iterable[str], most: int = 3) -> str:
    """A clause that names the known words nearest to `word`, or the first few of them; empty when none is known."""
    names = sorted(set(known))
    if not names:
        return ""
    short = {name.rsplit("/", 1)[-1].rsplit("#", 1)[-1].casefold(): name for name in reversed(names)}
    tail = word[:200].rsplit("/", 1)[-1].rsplit("#", 1)[-1].rsplit(":", 1)[-1].casefold()
    close = difflib.get_close_matches(tail, list(short), n=1, cutoff=0.6)
    if close:
        return f"did you mean `{short[close[0]]}`"
    shown = ", ".join(f"`{name}`" for name in names[:most])
    rest = len(names) - most
    return f"known here: {shown} ({rest} more)" if rest > 0 else f"known here: {shown}"
