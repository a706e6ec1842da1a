"""The shape of a policy inside a message or a catalogue: what the protocol's schema and text ask of an Offer and an Agreement.

What lives here: `check_policy`, which walks the tree once and says what is wrong and where, without reading any meaning into
it, and `is_simple`, which knows the usual policies at a glance. What does not: what rules, operands and actions mean, and whether
they are known (`connector.odrl`). The tree itself is never changed: digests, echoes and evidence need it as the peer wrote it.

Wider than the schema where the same triples are spelled otherwise: one value in the place of an array of one, a right operand
that is a number or a boolean, an operator with its prefix. Those, and a policy without any rule, which one connector in the
field really sends, are told as warnings.
Source: Dataspace Protocol 2025-1, `contract-schema.json`, and Contract Negotiation Protocol, "Lower Level Types".
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from connector import strict
from connector.errors import BadMessage

ODRL: Final = "http://www.w3.org/ns/odrl/2/"
MAX_ID_CHARS: Final = 600
"""Longest identifier that is taken from a peer: every store can index it."""
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
"""An identifier: never empty, never too long for an index. Checked when it is read."""

OPERATORS: Final = ("eq", "gt", "gteq", "lt", "lteq", "neq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf")
LOGICAL: Final = ("and", "andSequence", "or", "xone")
RULES: Final = ("permission", "prohibition", "obligation")

# the schema also lists `term-lteq`, a slip of its authors: it passes here, and no engine gives it a meaning
_OPERATORS = frozenset({*OPERATORS, "term-lteq"})
_LOGICAL = frozenset(LOGICAL)
# xsd:dateTime, as the schema's pattern has it
_DATE_TIME = re.compile(
    r"-?([1-9][0-9]{3,}|0[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?|24:00:00(\.0+)?)(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
)

Place = tuple[Any, ...]
"""Where in the tree we are: `(place of the parent, name or index, ...)`; turned into text only when something is wrong."""


class Form(StrEnum):
    """Which of the schema's three policies is meant."""

    OFFERED = "MessageOffer"
    """An offer in a message: has a `target`."""
    LISTED = "Offer"
    """An offer in a catalogue: its target is the data set that it hangs on."""
    AGREED = "Agreement"


_Word = Annotated[str, msgspec.Meta(min_length=1)]


class _Simple(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The schema's types, narrowed to what can be said without conditions between members."""


class _Constraint(_Simple):
    left_operand: _Word
    operator: Literal["eq", "gt", "gteq", "lt", "lteq", "neq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf"]
    right_operand: str | dict[str, Any] | list[Any]


class _Rule(_Simple):
    action: _Word
    constraint: list[_Constraint] | msgspec.UnsetType = msgspec.UNSET


_Rules = Annotated[list[_Rule], msgspec.Meta(min_length=1)] | msgspec.UnsetType


class _Policy(_Simple, kw_only=True):
    id: Id = msgspec.field(name="@id")
    type: Literal["Offer"] = msgspec.field(name="@type")
    profile: str | list[str] | msgspec.UnsetType = msgspec.UNSET
    permission: _Rules = msgspec.UNSET
    prohibition: _Rules = msgspec.UNSET
    obligation: _Rules = msgspec.UNSET
    assigner: Id | msgspec.UnsetType = msgspec.UNSET
    assignee: Id | msgspec.UnsetType = msgspec.UNSET


class _Offered(_Policy, kw_only=True):
    target: Id


class _Agreed(_Policy, kw_only=True):
    type: Literal["Agreement"] = msgspec.field(name="@type")  # type: ignore[assignment]
    target: Id
    assigner: Id
    assignee: Id
    timestamp: datetime


_SIMPLE: Final[dict[Form, type[_Policy]]] = {Form.OFFERED: _Offered, Form.LISTED: _Policy, Form.AGREED: _Agreed}


def check_policy(tree: Any, where: str, form: Form, warnings: list[str]) -> None:
    """Nothing, when `tree` has the shape of a policy of that form; what is unusual is added to `warnings`.

    Raises: BadMessage with the path, `where` first.
    """
    place: Place = (None, where)
    if type(tree) is not dict:
        raise _fault(f"expected an object, found {kind_of(tree)}", place, "send the policy as an object")
    _text(tree, "@id", place, MAX_ID_CHARS, "every policy has an id that is a URI")
    type_ = "Agreement" if form is Form.AGREED else "Offer"
    if tree.get("@type") != type_ and not (form is Form.LISTED and "@type" not in tree):
        found = f"is {strict.shown(tree['@type'])}" if "@type" in tree else "is missing"
        raise _fault(f"`@type` {found}", (place, "@type"), f'send "{type_}"')
    if form is not Form.LISTED:
        _text(tree, "target", place, MAX_ID_CHARS, "name the data set by its id")
    elif "target" in tree:
        warnings.append(f"`{where}` has a `target`; in a catalogue it is the data set")
    if form is Form.AGREED:
        _text(tree, "assigner", place, MAX_ID_CHARS, "name the provider by its participant id")
        _text(tree, "assignee", place, MAX_ID_CHARS, "name the consumer by its participant id")
        # the text says MUST, the schema does not ask for it
        _text(tree, "timestamp", place, 64, "say when the agreement was made, as an xsd:dateTime")
        if not _DATE_TIME.fullmatch(tree["timestamp"]):
            raise _fault(
                f"{strict.shown(tree['timestamp'])} is no xsd:dateTime",
                (place, "timestamp"),
                "send it like 2025-01-31T12:00:00Z",
            )
    if "profile" in tree:
        _profile(tree["profile"], (place, "profile"))
    grants = 0
    for name in RULES:
        if name in tree:
            rules = _several(tree[name], (place, name), warnings)
            grants += len(rules) if name != "obligation" else 0
            for index, rule in enumerate(rules):
                _rule(rule, (place, name, index), warnings)
    if not grants:
        if "obligation" in tree:
            raise _fault("there are obligations and neither permission nor prohibition", place, "add a permission")
        warnings.append(f"`{where}` has no rule at all: nothing is permitted by it")


def is_simple(tree: Any, form: Form) -> bool:
    """Whether `tree` has only canonical members and rules with plain constraints, if any; `check_policy` has no word about it then.

    What it says no to may be all right as well.
    """
    try:
        policy = msgspec.convert(tree, _SIMPLE[form])
    except msgspec.ValidationError:
        return False
    if policy.permission is msgspec.UNSET and policy.prohibition is msgspec.UNSET:
        return False
    if form is not Form.AGREED:
        return True
    # msgspec reads RFC 3339, which allows other letters and offsets as well
    timestamp = tree["timestamp"]
    return bool(timestamp[10] == "T" and timestamp[-1] == "Z" and len(timestamp) <= 64)


def kind_of(value: Any) -> str:
    """A JSON value's kind, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number"


def _rule(rule: Any, place: Place, warnings: list[str]) -> None:
    if type(rule) is not dict:
        raise _fault(f"expected an object, found {kind_of(rule)}", place, "send a rule with an `action`")
    _text(rule, "action", place, None, "name one action, such as `use`")
    # "rules must not have a target": one policy, one data set
    if "target" in rule:
        raise _fault("a rule has no `target` of its own", (place, "target"), "name the target of the whole policy")
    if "constraint" in rule:
        for index, constraint in enumerate(_several(rule["constraint"], (place, "constraint"), warnings, may_be_empty=True)):
            _constraint(constraint, (place, "constraint", index), warnings)


def _constraint(node: Any, place: Place, warnings: list[str]) -> None:
    if type(node) is not dict:
        raise _fault(f"expected an object, found {kind_of(node)}", place, "send `leftOperand`, `operator` and `rightOperand`")
    left, operator, right = node.get("leftOperand"), node.get("operator"), node.get("rightOperand")
    are_texts = left and type(left) is str and type(right) is str and type(operator) is str
    if are_texts and operator in _OPERATORS and _LOGICAL.isdisjoint(node):
        return  # the usual one
    joined = _LOGICAL.intersection(node)
    if joined:
        if len(joined) > 1 or "leftOperand" in node:
            named = ", ".join(f"`{name}`" for name in (*LOGICAL, "leftOperand") if name in node)
            raise _fault(f"{named} stand side by side", place, "keep one of them and nest the others in it")
        (name,) = joined
        for index, member in enumerate(_several(node[name], (place, name), warnings)):
            _constraint(member, (place, name, index), warnings)
        return
    _text(node, "leftOperand", place, None, "name what is compared, or send one of `and`, `andSequence`, `or`, `xone`")
    _text(node, "operator", place, None, f"send one of {', '.join(OPERATORS)}")
    assert isinstance(operator, str)
    if operator not in _OPERATORS:
        bare = operator.removeprefix("odrl:").removeprefix(ODRL)
        if bare not in _OPERATORS:
            raise _fault(
                f"unknown operator {strict.shown(operator)}", (place, "operator"), f"send one of {', '.join(OPERATORS)}"
            )
        warnings.append(f"`{_path((place, 'operator'))}` is {strict.shown(operator)} in the place of `{bare}`")
    if "rightOperand" not in node:
        raise _fault("member `rightOperand` is missing", (place, "rightOperand"), "send the value that is compared with")
    if right is None:
        raise _fault("expected a value, found null", (place, "rightOperand"), "send the value that is compared with")
    if type(right) is not str and type(right) not in (dict, list):
        warnings.append(f"`{_path((place, 'rightOperand'))}` is {kind_of(right)}; the schema wants text or a typed value")


def _profile(profile: Any, place: Place) -> None:
    if type(profile) is not str and not (type(profile) is list and all(type(one) is str for one in profile)):
        raise _fault("expected text or an array of texts", place, "name the profiles by their IRIs")


def _several(value: Any, place: Place, warnings: list[str], *, may_be_empty: bool = False) -> list[Any]:
    """The items of a member that is an array by schema; one object in its place is read as an array of one."""
    if type(value) is list:
        if not value and not may_be_empty:
            raise _fault("the array is empty", place, "leave the member out, or give it an item")
        return value
    if type(value) is not dict:
        raise _fault(f"expected an array, found {kind_of(value)}", place, "send an array of objects")
    warnings.append(f"`{_path(place)}` is one object in the place of an array")
    return [value]


def _text(node: dict[str, Any], name: str, place: Place, most: int | None, mend: str) -> None:
    value = node.get(name)
    if type(value) is not str:
        what = f"expected text, found {kind_of(value)}" if name in node else f"member `{name}` is missing"
        raise _fault(what, (place, name), mend)
    if not value:
        raise _fault(f"`{name}` is empty", (place, name), mend)
    if most is not None and len(value) > most:
        raise _fault(f"`{name}` has {len(value)} characters", (place, name), f"use at most {most}")


def _path(place: Place) -> str:
    parts: list[str | int] = []
    at: Place | None = place
    while at is not None:
        parts[:0] = at[1:]
        at = at[0]
    # the first part is a path already, such as `dataset[3].hasPolicy[0]`
    rest = strict.path(parts[1:])
    return f"{parts[0]}{rest if rest.startswith('[') else f'.{rest}' if rest else ''}"


def _fault(what: str, place: Place, mend: str) -> BadMessage:
    return BadMessage(what, where=_path(place), mend=mend)
