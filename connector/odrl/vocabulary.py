"""What the words of a policy mean: actions and their hierarchy, left operands and how to judge them, code lists.

A vocabulary is made by `load` from parsed data: the file `vocab/odrl.json` (ODRL 2.2) and any number of profiles
(`vocab/profiles/*.json`). ODRL has no terms for what a profile must say of an operand, so the format is ours:

    operands.<IRI>: label, text{language}, aliases[], exact, value (a `ValueType`), operators[], unit, range[low, high],
                    list (name of a code list) or values[], closed (values outside the list are errors), many,
                    source[] (clock | request | request:NAME | party | claim:NAME | ledger | ledger:NAME |
                    computed:NAME), stages[],
                    legal_only, relative,
                    pattern (of a whole value), stands_for{operator} (see `standing`)
    actions.<IRI>:  label, text{language}, in[] (includedIn), implies[], exact, aliases[], deprecated
    lists.<name>.<value>: aliases[], in[] (what it is part of)
    profiles[], claim_prefixes[]

An entry for a term that an earlier file defines changes only the fields that it names.
Finding and reading files is not done here.
Source: ODRL Information Model 2.2, section 3 (profiles); ODRL Vocabulary & Expression 2.2, sections 3 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from connector.errors import ConfigurationError
from connector.odrl.model import Operator
from connector.odrl.terms import nearest, term
from connector.odrl.truth import STAGE_ORDER, Request, Stage, Taxonomy, World


class ValueType(StrEnum):
    """The type that an operand gives to what stands on both sides of it."""

    DATE_TIME = "dateTime"
    # xsd:dateTime, or an xsd:date as a whole day
    DURATION = "duration"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    STRING = "string"
    IRI = "iri"
    LANGUAGE = "language"
    # BCP 47, compared without case
    ANY = "any"
    # numbers when both sides are numbers, otherwise strings


class SourceKind(StrEnum):
    """Who knows the value of a left operand."""

    CLOCK = "clock"
    REQUEST = "request"
    PARTY = "party"
    CLAIM = "claim"
    LEDGER = "ledger"
    COMPUTED = "computed"
    # a function that the operator lets compute it


Compute = Callable[[Request, World], object]
"""What computes the value of a left operand from what is asked and what is known; None when it cannot."""
NO_FUNCTIONS: Mapping[str, Compute] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    kind: SourceKind
    name: str = ""
    compute: Compute | None = field(default=None, compare=False)
    # of a computed value


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """Known values with their spellings, and what lies in what."""

    spellings: Mapping[str, str]
    # every spelling, the value's own included -> the value
    taxonomy: Taxonomy


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A left operand: how its values are typed and compared, who knows them, and when they are judged."""

    name: str
    value: ValueType
    operators: frozenset[Operator]
    sources: tuple[Source, ...]
    # asked in this order; the first that knows a value answers
    stages: frozenset[Stage]
    label: str = ""
    text: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    aliases: tuple[str, ...] = ()
    unit: str | None = None
    is_unit_told: bool = True
    # False: a bare number does not say what it measures (the unit is that of a constraint, not the operand's own)
    range: tuple[str, str] | None = None
    codes: CodeList | None = None
    is_closed: bool = False
    is_many: bool = False
    # may have several values at once
    is_legal_only: bool = False
    is_left_to_peer: bool = False
    """Legal only on this side: the other side of an agreement knows its value, and judges it."""
    # a clause of the contract that no machine judges: agreed and listed, not enforced
    is_relative: bool = False
    # `contractAgreement+30d` is a value
    is_deprecated: bool = False
    stands_for: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    # by operator: the constraint that is judged in place of one on this operand, see `standing`
    pattern: str | None = None
    # what a value looks like, whole

    @property
    def short(self) -> str:
        """The name for readers: the shortest plain word that stands for the operand, such as `membership` for its IRI."""
        return min((name for name in (self.name, *self.aliases) if ":" not in name), key=len, default=self.label or self.name)

    @property
    def on_record(self) -> str:
        """What the record of use calls it: by its name, or by the one that a profile gives (`ledger:frequency`)."""
        return self.sources[0].name if self.sources[0].kind is SourceKind.LEDGER and self.sources[0].name else self.name

    def first_stage_after(self, stage: Stage) -> Stage | None:
        """The next stage at which the operand is judged; None when there is none."""
        later = [s for s in self.stages if STAGE_ORDER[s] > STAGE_ORDER[stage]]
        return min(later, key=STAGE_ORDER.__getitem__) if later else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action and its place in the hierarchy."""

    name: str
    label: str = ""
    text: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    parents: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    is_deprecated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """All terms that are known; immutable, built once, shared by every policy."""

    profiles: frozenset[str]
    actions: Mapping[str, Action]
    operands: Mapping[str, Operand]
    action_names: Mapping[str, str]
    # every spelling -> the action it stands for (exact matches folded)
    operand_names: Mapping[str, str]
    covering: Mapping[str, tuple[str, ...]]
    # action -> itself and everything it is included in: a permission of any of these covers it
    forbidden_by: Mapping[str, tuple[str, ...]]
    # action -> `covering`, and the same of every action that it implies: a prohibition of any of these meets it
    claim_prefixes: tuple[str, ...]
    standing: frozenset[str] = frozenset()
    # every spelling of an operand whose constraints stand for others

    def action(self, name: str) -> Action | None:
        """The action that a term stands for; None when it is unknown."""
        found = self.action_names.get(name) or self.action_names.get(term(name))
        return self.actions[found] if found else None

    def operand(self, name: str) -> Operand | None:
        """The left operand that a term stands for; None when it is unknown. `claim:NAME` is any claim of the caller."""
        found = self.operand_names.get(name) or self.operand_names.get(term(name))
        if found:
            return self.operands[found]
        for prefix in self.claim_prefixes:
            if name.startswith(prefix) and len(name) > len(prefix):
                return _any_claim(name, name[len(prefix) :])
        return None

    def hint_operand(self, name: str) -> str:
        """A clause that helps someone who wrote an unknown left operand."""
        return nearest(name, self.operands)

    def hint_action(self, name: str) -> str:
        """A clause that helps someone who wrote an unknown action."""
        return nearest(name, self.actions)


_FROM_CATALOG_ON = frozenset(Stage) - {Stage.PUBLISH}


def _any_claim(name: str, claim: str) -> Operand:
    return Operand(
        name=name,
        value=ValueType.ANY,
        operators=frozenset(Operator),
        sources=(Source(kind=SourceKind.CLAIM, name=claim),),
        stages=_FROM_CATALOG_ON,
        label=claim,
        is_many=True,
    )


def load(tree: Mapping[str, Any], *profiles: Mapping[str, Any], functions: Mapping[str, Compute] = NO_FUNCTIONS) -> Vocabulary:
    """The vocabulary of parsed `vocab/odrl.json` and of the profiles that widen it, in this order; `functions` by the names
    with which operands ask for them.

    Raises: ConfigurationError naming the entry that means nothing: unknown operators, stages, sources, lists, or a cycle.
    """
    for profile in profiles:
        for section in ("operators", "conflicts", "functions"):
            if section in profile:
                raise ConfigurationError(
                    f"a profile cannot add {section}",
                    where=str(profile.get("name", section)),
                    mend="add actions, operands and lists; express the rest by an operand that a plugin computes",
                )
    files = (tree, *profiles)
    merged: dict[str, dict[str, dict[str, Any]]] = {"actions": {}, "operands": {}, "lists": {}}
    for file in files:
        for section, entries in merged.items():
            for name, entry in _mapping(file.get(section, {}), section).items():
                entries.setdefault(term(name), {}).update(_mapping(entry, f"{section}.{name}"))
    lists = {name: _code_list(name, entries) for name, entries in merged["lists"].items()}
    actions, action_names = _actions(merged["actions"])
    operands, operand_names = _operands(merged["operands"], lists, functions)
    covering = {name: _closure(name, actions, ()) for name in actions}
    return Vocabulary(
        profiles=frozenset(str(profile) for file in files for profile in file.get("profiles", ())),
        actions=MappingProxyType(actions),
        operands=MappingProxyType(operands),
        action_names=MappingProxyType(action_names),
        operand_names=MappingProxyType(operand_names),
        covering=MappingProxyType(covering),
        forbidden_by=MappingProxyType({name: _implied(name, actions, covering) for name in actions}),
        claim_prefixes=tuple(str(prefix) for file in files for prefix in file.get("claim_prefixes", ())),
        standing=frozenset(spelling for spelling, name in operand_names.items() if operands[name].stands_for),
    )


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ConfigurationError("expected a table of names", where=where, mend='write {"name": {...}}')


def _code_list(name: str, entries: Mapping[str, Any]) -> CodeList:
    spellings: dict[str, str] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for value, entry in entries.items():
        row = _mapping(entry, f"lists.{name}.{value}")
        for spelling in (value, *(term(alias) for alias in row.get("aliases", ()))):
            if spellings.setdefault(spelling, value) != value:
                raise ConfigurationError(f"`{spelling}` spells two values", where=f"lists.{name}.{value}")
        parents[value] = tuple(row.get("in", ()))
    for value, above in parents.items():
        for parent in above:
            if parent not in parents:
                raise ConfigurationError(
                    f"unknown value `{parent}`", where=f"lists.{name}.{value}", mend=nearest(parent, parents)
                )
    return CodeList(spellings=MappingProxyType(spellings), taxonomy=Taxonomy(parents=MappingProxyType(parents)))


def _actions(entries: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Action], dict[str, str]]:
    actions: dict[str, Action] = {}
    names: dict[str, str] = {}
    for name, row in entries.items():
        where = f"actions.{name}"
        linked = [term(link) for key in ("in", "implies") for link in row.get(key, ())]
        exact = term(row["exact"]) if "exact" in row else name
        for other in (*linked, exact):
            if other not in entries:
                raise ConfigurationError(f"unknown action `{other}`", where=where, mend=nearest(other, entries))
        actions[name] = Action(
            name=name,
            label=str(row.get("label", name)),
            text=MappingProxyType(dict(row.get("text", {}))),
            parents=tuple(term(parent) for parent in row.get("in", ())),
            implies=tuple(term(implied) for implied in row.get("implies", ())),
            is_deprecated=bool(row.get("deprecated", False)),
        )
        for spelling in (name, *(term(alias) for alias in row.get("aliases", ()))):
            names[spelling] = exact
    return actions, names


def _closure(name: str, actions: Mapping[str, Action], below: tuple[str, ...]) -> tuple[str, ...]:
    if name in below:
        raise ConfigurationError("an action is included in itself", where=f"actions.{name}", mend="remove one `in`")
    found = [name]
    for parent in actions[name].parents:
        found += [above for above in _closure(parent, actions, (*below, name)) if above not in found]
    return tuple(found)


def _implied(name: str, actions: Mapping[str, Action], covering: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += actions[current].implies
            found.update(dict.fromkeys(covering[current]))
    return tuple(found)


def _operands(
    entries: Mapping[str, Mapping[str, Any]], lists: Mapping[str, CodeList], functions: Mapping[str, Compute]
) -> tuple[dict[str, Operand], dict[str, str]]:
    operands: dict[str, Operand] = {}
    names: dict[str, str] = {}
    for name, row in entries.items():
        exact = term(row["exact"]) if "exact" in row else name
        if exact not in entries or "exact" in entries[exact]:
            raise ConfigurationError(f"unknown operand `{exact}`", where=f"operands.{name}", mend=nearest(exact, entries))
        aliases = tuple(term(alias) for alias in row.get("aliases", ()))
        for spelling in (name, *aliases):
            if names.setdefault(spelling, exact) != exact:
                raise ConfigurationError(f"`{spelling}` spells two operands", where=f"operands.{name}")
        if exact == name:
            operands[name] = _operand(name, row, aliases, lists, functions)
    return operands, names


def _operand(
    name: str,
    row: Mapping[str, Any],
    aliases: tuple[str, ...],
    lists: Mapping[str, CodeList],
    functions: Mapping[str, Compute],
) -> Operand:
    where = f"operands.{name}"
    try:
        value = ValueType(row.get("value", "string"))
        operators = frozenset(Operator(operator) for operator in row["operators"])
        stages = frozenset(Stage(stage) for stage in row["stages"])
        sources = tuple(_source(source, functions) for source in row["source"])
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"an operand needs value, operators, stages and source: {error}", where=where) from None
    if not operators or not stages or not sources:
        raise ConfigurationError("an operand needs at least one operator, stage and source", where=where)
    codes: CodeList | None = None
    if "list" in row:
        if row["list"] not in lists:
            raise ConfigurationError(f"unknown list `{row['list']}`", where=where, mend=nearest(str(row["list"]), lists))
        codes = lists[row["list"]]
    elif "values" in row:
        codes = _code_list(name, {str(value): {} for value in row["values"]})
    low_high = row.get("range")
    return Operand(
        name=name,
        value=value,
        operators=operators,
        sources=sources,
        stages=stages,
        label=str(row.get("label", name)),
        text=MappingProxyType(dict(row.get("text", {}))),
        aliases=aliases,
        unit=row.get("unit"),
        range=(str(low_high[0]), str(low_high[1])) if low_high else None,
        codes=codes,
        is_closed=bool(row.get("closed", False)),
        is_many=bool(row.get("many", False)),
        is_legal_only=bool(row.get("legal_only", False)),
        is_relative=bool(row.get("relative", False)),
        is_deprecated=bool(row.get("deprecated", False)),
        stands_for=MappingProxyType(dict(row.get("stands_for", {}))),
        pattern=_pattern(row, where),
    )


def _pattern(row: Mapping[str, Any], where: str) -> str | None:
    pattern = row.get("pattern")
    try:
        return re.compile(pattern, re.ASCII).pattern if pattern is not None else None
    except (re.error, TypeError) as error:
        raise ConfigurationError(
            f"`{pattern}` is no pattern: {error}", where=where, mend="write a regular expression"
        ) from None


def _source(text: object, functions: Mapping[str, Compute]) -> Source:
    kind, _, name = str(text).partition(":")
    source = Source(kind=SourceKind(kind), name=name, compute=functions.get(name) if kind == SourceKind.COMPUTED else None)
    is_named = source.kind in (SourceKind.CLAIM, SourceKind.COMPUTED)
    if is_named != bool(name) and source.kind not in (SourceKind.REQUEST, SourceKind.LEDGER):
        known = "clock, party, ledger, ledger:NAME, request, request:NAME, claim:NAME or computed:NAME"
        raise ValueError(f"source `{text}`: write {known}")
    if source.kind is SourceKind.COMPUTED and source.compute is None:
        raise ValueError(f"nobody computes `{name}`: install its entry point and name it in `plugins`")
    return source
