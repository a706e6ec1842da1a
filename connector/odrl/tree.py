"""The part of JSON-LD that policies use: objects with normalised keys, one-or-many, names, values.

What a policy is made of is in `jsonld`; nothing here knows a rule from a constraint.
Source: JSON-LD 1.1, section 4; ODRL 2.2 JSON-LD context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from connector.errors import PolicyError
from connector.odrl.model import ODRL, XSD, Conflict, Diagnostic, Extra, LogicalOperand, Operator, Severity, Value
from connector.odrl.terms import PREFIXES, PROPERTIES, expand, nearest, term

MAX_DEPTH = 32
MAX_NODES = 10_000
"""Objects of one policy: what it takes to read and compile it grows with them."""
_LEFT_OUT = "left out"
_MOST_STEPS = 8
# from an alias to what it stands for
_KEEP_EMPTY = frozenset({*LogicalOperand, "leftOperand", "operator", "rightOperand"})
_E = TypeVar("_E", Conflict, Operator)


class Node:
    """One JSON object with its keys in house spelling; what is taken is gone, what is left becomes extra."""

    __slots__ = ("fields", "where")

    def __init__(self, fields: dict[str, Any], where: str) -> None:
        self.fields = fields
        self.where = where

    def take(self, key: str) -> Any:
        """The value under a key, which it then no longer has; None when there is none."""
        return self.fields.pop(key, None)


class TreeReader:
    """Reads the pieces of one JSON tree under its prefixes, counts its objects, and remembers what is doubtful."""

    def __init__(self, tree: object, where: str, max_nodes: int = MAX_NODES) -> None:
        self.max_nodes = max_nodes
        self.prefixes = _prefixes(tree, where)
        self.warnings: list[Diagnostic] = []
        self.nodes = 0

    def node(self, value: object, where: str, depth: int) -> Node:
        if not isinstance(value, dict):
            raise PolicyError(f"{kind_of(value)} where an object belongs", where=where, mend="see ODRL Information Model 2")
        if depth > MAX_DEPTH:
            raise too_deep(where)
        self.nodes += 1
        if self.nodes > self.max_nodes:
            raise PolicyError(f"more than {self.max_nodes} objects", where=where, mend="split the policy")
        fields: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise PolicyError(f"a key that is {kind_of(key)}", where=where, mend="keys are strings")
            if key == "@context":
                if depth:
                    # its words would mean something else from here on, and only a JSON-LD processor can tell what
                    raise PolicyError("a context inside a policy", where=f"{where}.@context", mend="write it at the top")
                continue
            name = "@id" if key == "uid" else "@type" if key == "type" else key if key[:1] == "@" else term(key, self.prefixes)
            name = {"uid": "@id", "type": "@type"}.get(name, name)
            if name in fields:
                raise PolicyError(
                    f"`{cut(name)}` is given twice, in two spellings", where=f"{where}.{cut(key)}", mend="keep one"
                )
            if item is not None and item != []:
                # JSON-LD: null and the empty list say nothing, except where they empty a logical constraint
                fields[name] = item
            elif name in _KEEP_EMPTY:
                fields[name] = []
        return Node(fields, where)

    def each(self, value: object, where: str) -> list[tuple[Any, str]]:
        """The items of a value that may be absent, single, an array, or an `@list` or `@set`, each with its path."""
        if value is None:
            return []
        if isinstance(value, dict) and len(value) == 1:
            inner = _listed(value, where)
            value = value if inner is _LEFT_OUT else inner
        if not isinstance(value, list):
            return [(value, where)] if value is not None else []
        items: list[tuple[Any, str]] = []
        for number, item in enumerate(value):
            if isinstance(item, dict) and len(item) == 1 and ("@list" in item or "@set" in item):
                inner = _listed(item, where)
                items += [(part, f"{where}[{number}]") for part in (inner if isinstance(inner, list) else [inner])]
            else:
                items.append((item, f"{where}[{number}]"))
        return items

    def texts(self, value: object, where: str) -> list[str]:
        found = []
        for item, path in self.each(value, where):
            text = item
            if isinstance(item, dict):
                text = item.get("@id", item.get("@value"))
            if not isinstance(text, str) or not text.strip():
                raise PolicyError(f"{kind_of(text)} where a name belongs", where=path, mend="write a string")
            found.append(text)
        return found

    def iris(self, value: object, where: str) -> list[str]:
        return [self.iri(text, where) for text in self.texts(value, where)]

    def iri(self, text: str, where: str) -> str:
        if not text.strip():
            raise PolicyError("an empty identifier", where=where, mend="name it, or leave the key out")
        return text if text.startswith("_:") else term(text, self.prefixes) if ":" in text else text

    def name(self, text: str, where: str) -> str:
        name = term(text.strip(), self.prefixes)
        if not name:
            raise PolicyError("an empty name", where=where, mend="name it")
        return name

    def uid(self, node: Node) -> str | None:
        found = self.texts(node.take("@id"), f"{node.where}.@id")
        if len(found) > 1:
            raise PolicyError(f"{len(found)} identifiers", where=f"{node.where}.@id", mend="keep one")
        return found[0] if found else None

    def values(self, value: object, where: str) -> tuple[Value, ...]:
        return tuple(self.value(item, path) for item, path in self.each(value, where))

    def value(self, item: object, where: str) -> Value:
        if isinstance(item, str):
            return Value(text=item)
        if isinstance(item, bool):
            return Value(text="true" if item else "false", datatype=f"{XSD}boolean")
        if isinstance(item, int):
            return Value(text=_digits(item, where), datatype=f"{XSD}integer")
        if isinstance(item, float):
            return _number(item, where)
        if isinstance(item, dict):
            return self.value_object(item, where)
        raise PolicyError(
            f"{kind_of(item)} where a value belongs", where=where, mend="write a string, a number or an array of them"
        )

    def value_object(self, item: Mapping[str, Any], where: str) -> Value:
        names = {key: "@id" if key == "uid" else "@type" if key == "type" else key for key in item if isinstance(key, str)}
        fields = {names.get(key, key): inner for key, inner in item.items()}
        if "@value" in fields and "@id" in fields:
            raise PolicyError("a value that is a name, too", where=where, mend="keep `@id` or `@value`")
        if "@value" in fields:
            plain = self.value(fields["@value"], where) if not isinstance(fields["@value"], dict) else None
            if plain is None:
                raise PolicyError("a value inside a value", where=where, mend='write {"@value": "...", "@type": "..."}')
            types = self.texts(fields.get("@type"), f"{where}.@type")
            language = fields.get("@language")
            if language is not None and not isinstance(language, str):
                raise PolicyError(
                    f"a language that is {kind_of(language)}", where=f"{where}.@language", mend="write a BCP 47 tag"
                )
            datatype = _datatype(types[0], self.prefixes) if types else plain.datatype
            return Value(text=plain.text, datatype=None if datatype == f"{XSD}string" else datatype, language=language)
        if isinstance(fields.get("@id"), str) and fields["@id"].strip():
            return Value(text=self.iri(fields["@id"], where), is_iri=True)
        raise PolicyError("an object that is no value", where=where, mend='write {"@id": "..."} or {"@value": "..."}')

    def word(self, words: type[_E], text: object, where: str, what: str) -> _E:
        names = self.texts(text, where)
        name = term(names[0], self.prefixes) if names else ""
        try:
            return words(name)
        except ValueError:
            known = [str(word) for word in words]
            raise PolicyError(f"unknown {what} `{cut(name)}`", where=where, mend=nearest(name, known, 12)) from None

    def extra(self, node: Node) -> Extra:
        return tuple(
            sorted(
                (key, text_of(spelled(value, self.prefixes, node.where), node.where))
                for key, value in node.fields.items()
                if key not in ("@type", "@id")
            )
        )

    def warn(self, code: str, where: str, what: str, mend: str) -> None:
        self.warnings.append(Diagnostic(code=code, severity=Severity.WARNING, where=where, what=what, mend=mend))


def _listed(item: Mapping[str, Any], where: str) -> Any:
    """What a list or a set holds, or a mark that the item is neither."""
    if item.get("@list", _LEFT_OUT) in ([], None):
        # JSON-LD 1.1, 9.7: an empty set says nothing, but an empty list is something, though nothing that a policy knows
        raise PolicyError("an empty list", where=where, mend="leave it out, or name what belongs into it")
    return item.get("@list", item.get("@set", _LEFT_OUT))


def _prefixes(tree: object, where: str) -> Mapping[str, str]:
    """The known prefixes, and those that an inline context adds.

    Raises: PolicyError when the context gives a well-known prefix or a word of ODRL another meaning: then no key means what it
    seems to mean.
    """
    context = tree.get("@context") if isinstance(tree, dict) else None
    told: dict[str, str] = {}
    for part in context if isinstance(context, list) else [context]:
        for key, value in part.items() if isinstance(part, dict) else ():
            target = value.get("@id") if isinstance(value, dict) else value
            if key in PROPERTIES and not isinstance(target, str):
                raise _redefined(key, ODRL + key, where)
            if isinstance(key, str) and isinstance(target, str) and not key.startswith("@") and ":" in target:
                told[key] = target
    if not told:
        return PREFIXES
    known = {**PREFIXES, **told}
    added: dict[str, str] = {}
    for key, target in told.items():
        for _ in range(_MOST_STEPS):
            # an alias may be written with a prefix, which may be the document's own
            target = expand(target, known)
        meant = PREFIXES.get(key, ODRL + key if key in PROPERTIES else target)
        if meant != target:
            raise _redefined(key, meant, where)
        if term(target) != key:
            added[key] = target
    return {**PREFIXES, **added} if added else PREFIXES


def _redefined(key: str, meant: str, where: str) -> PolicyError:
    return PolicyError(f"the context redefines `{key}`", where=f"{where}.@context", mend=f"it stands for `{meant}`")


def _datatype(name: str, prefixes: Mapping[str, str]) -> str:
    found = term(name, prefixes)
    return found if ":" in found else f"{XSD}{found}"


def _digits(number: int, where: str) -> str:
    if abs(number) >= 10**40:
        raise PolicyError("a number of more than 40 digits", where=where, mend="write a smaller number")
    return str(number)


def _number(number: float, where: str) -> Value:
    if number != number or number in (float("inf"), float("-inf")):
        raise PolicyError("a number that is not finite", where=where, mend="write a number")
    # JSON-LD: a number without fraction is an integer
    if number.is_integer() and abs(number) < 1e21:
        return Value(text=str(int(number)), datatype=f"{XSD}integer")
    return Value(text=repr(number), datatype=f"{XSD}double")


def spelled(value: object, prefixes: Mapping[str, str], where: str, depth: int = 0) -> Any:
    """JSON-LD with the names in it in house spelling, so that it says the same without the prefixes of its document.

    Raises: PolicyError when it is nested too deep.
    """
    if depth > MAX_DEPTH:
        raise too_deep(where)
    if isinstance(value, list):
        return [spelled(item, prefixes, where, depth + 1) for item in value]
    if not isinstance(value, dict) or "@context" in value:
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = term(key, prefixes) if ":" in key or key in prefixes else key
        if key in ("@id", "@type"):
            names = [
                expand(one, prefixes) if isinstance(one, str) else one for one in (item if isinstance(item, list) else [item])
            ]
            found[key] = names if isinstance(item, list) else names[0]
        else:
            # of two spellings of one name, the second stays as it is: nothing is dropped
            found[key if name in found or (name != key and name in value) else name] = spelled(item, prefixes, where, depth + 1)
    return found


def text_of(value: object, where: str = "") -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise PolicyError("a property that is not JSON", where=where, mend="remove it") from None


def too_deep(where: str) -> PolicyError:
    return PolicyError(f"nested deeper than {MAX_DEPTH}", where=where[:200], mend="flatten the constraints")


def cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "a truth value"
    names = {str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object", type(None): "nothing"}
    return names.get(type(value), "no JSON value")
