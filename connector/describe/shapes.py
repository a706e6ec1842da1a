"""The rules of `vocab/checks` as SHACL shapes, and what a graph breaks of them, for those who prove the one by the other.

What lives here: the Turtle of a profile, as it lies in `vocab/shapes` for any SHACL tool, and asking pyshacl through `rdf`.
What does not: the check on the way of a request or an ingest, which is `check` and some hundred times faster.
The check character of a product code is left out: the arithmetic of ISO 7064 is beyond SHACL Core.
Source: SHACL, sections 2.1, 2.3, 4.1 to 4.8.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from connector import packaged, rdf
from connector.describe.check import MOMENT, MOMENTS, TEXTS, WRITTEN, Rule, as_term, iri, rules

NAMESPACE: Final = "https://w3id.org/kontor/shapes/"
_KINDS: Final = {"iri": "sh:IRI", "node": "sh:BlankNodeOrIRI"}
_HEAD: Final = "# Written from vocab/checks/{0}.json by connector.describe.shapes; a test keeps both alike.\n"


def turtle(profile: str) -> str:
    """The shapes of one profile, or of `base`."""
    prefixes = "@prefix sh: <http://www.w3.org/ns/shacl#> .\n@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
    return _HEAD.format(profile) + prefixes + "".join(f"\n{_shape(rule)}" for rule in rules(profile))


def broken(graph: rdf.Graph, profile: str) -> frozenset[tuple[str, rdf.Term]]:
    """Each rule of one profile, or of `base`, that a graph breaks, by its id, with the node that breaks it.

    Raises: ConfigurationError when pyshacl is not installed (extra `shacl`).
    """
    return frozenset((name.removeprefix(NAMESPACE), focus) for name, focus in rdf.violations(graph, _shipped(profile)))


@functools.cache
def _shipped(profile: str) -> rdf.Graph:
    path = packaged.vocab_file(f"shapes/{profile}.ttl")
    return rdf.parse(path.read_text(encoding="utf-8"), str(path))


def _shape(rule: Rule) -> str:
    target = "targetClass" if rule.is_class else "targetObjectsOf"
    name = f"{NAMESPACE}{rule.id}"
    severity = "Violation" if rule.is_error else "Warning"
    return (
        f"<{name}-of> a sh:NodeShape ;\n  sh:{target} <{rule.target}> ;\n  sh:property <{name}> .\n"
        f"<{name}> a sh:PropertyShape ;\n  sh:path {_path(rule)} ;\n  {_test(*rule.test)} ;\n"
        f"  sh:severity sh:{severity} ;\n  sh:message {_quoted(f'{rule.message}; {rule.mend}')} .\n"
    )


def _path(rule: Rule) -> str:
    ways = [f"<{way[0]}>" if len(way) == 1 else f"( {' '.join(f'<{step}>' for step in way)} )" for way in rule.path]
    return ways[0] if len(ways) == 1 else f"[ sh:alternativePath ( {' '.join(ways)} ) ]"


def _test(name: str, given: Any) -> str:
    match name:
        case "min_count" | "max_count":
            return f"sh:{name[:3]}Count {given}"
        case "kind":
            return f"sh:nodeKind {_KINDS[given]}"
        case "datatype":
            written = WRITTEN.get(given.removeprefix("xsd:"))
            return f"sh:datatype <{iri(given)}>" + (f" ;\n  sh:pattern {_quoted(written)}" if written else "")
        case "text" | "moment":
            types = " ".join(f"[ sh:datatype <{iri(one)}> ]" for one in (TEXTS if name == "text" else MOMENTS))
            return f"sh:or ( {types} )" + (f" ;\n  sh:pattern {_quoted(MOMENT)}" if name == "moment" else "")
        case "some":
            return f"sh:qualifiedValueShape [ sh:pattern {_quoted(given)} ] ;\n  sh:qualifiedMinCount 1"
        case "pattern":
            return f"sh:pattern {_quoted(given)}"
        case "max_length":
            return f"sh:maxLength {given}"
        case "one_of":
            return f"sh:in ( {' '.join(map(_term, given))} )"
        case "has_value":
            return f"sh:hasValue {_term(given)}"
        case "at_least":
            return f"sh:minInclusive {_quoted(given)}^^xsd:decimal"
        case "at_most":
            return f"sh:maxInclusive {_quoted(given)}^^xsd:decimal"
        case _:
            return "sh:uniqueLang true"


def _term(given: str) -> str:
    term = as_term(given)
    return f"<{term.text}>" if isinstance(term, rdf.Iri) else _quoted(given)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
