"""Case files: facts, a request and the decision to expect, as `policies/README.md` describes them.

What lives here: a case as a value, read from the tree of a file, the engine's answer to it, and where the two differ. Finding
and parsing files, and which words a file in Turtle uses, is the business of the commands that run cases.
Source: ODRL Formal Semantics (draft), "State of the World", "Evaluation Request", "Evaluation Report".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from connector.errors import PolicyError
from connector.odrl import jsonld
from connector.odrl.compile import Compiled, compile
from connector.odrl.compliance import Asked, comply
from connector.odrl.cycles import cycle_of
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.terms import nearest
from connector.odrl.truth import (
    Code,
    Decision,
    DutyMode,
    DutyState,
    Effect,
    LedgerView,
    Period,
    Quantity,
    Rate,
    Request,
    Stage,
    State,
    Taxonomy,
    Usage,
    World,
)
from connector.odrl.vocabulary import Vocabulary

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""The moment of a case that names none."""
_ABOUT = ("name", "section", "policy", "parents", "stage", "given", "request")
_EXPECTED = ("expect", "because", "missing", "deferred", "valid_until", "duties", "active", "states")
_GIVEN = ("now", "claims", "agreed_at", "memberships", "duties", "duty_mode", "taxonomies", "properties", "ledger")
_REQUEST = ("action", "target", "party", "params")
_LEDGER = ("usages", "total", "events", "became_true")
_USAGE = ("count", "metered_s", "paid", "values", "first_used_at", "last_used_at", "triggered_at", "running", "rates")
_PERIOD = ("began", "ended")
_W = TypeVar("_W", bound=StrEnum)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a case expects; None: it does not say."""

    effect: Effect
    because: str | None = None
    # a code that must be among the reasons
    missing: frozenset[str] | None = None
    deferred: frozenset[str] | None = None
    # operands, all of them
    duties: frozenset[str] | None = None
    # "action state", all of them
    valid_until: datetime | None = None
    is_valid_until_told: bool = False
    # True: `valid_until` is expected, be it None
    active: frozenset[str] | None = None
    # the rules that are active, by path or identifier
    states: Mapping[str, State] = field(default_factory=dict)
    # of premises, by path or identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question to a policy, and the answer that it should have."""

    name: str
    section: str = ""
    # of the text that it is written from
    policy: Policy
    parents: Mapping[str, Policy] = field(default_factory=dict)
    request: Request
    world: World
    stage: Stage
    duty_mode: DutyMode
    expected: Expected


def read(tree: object, where: str, *, policy: Policy | None = None, parents: Mapping[str, Policy] | None = None) -> Case:
    """The case that a tree of plain values tells; `policy` and `parents` when they stand in a file of their own.

    Raises: PolicyError naming the word that means nothing and the place of it.
    """
    row = _table(tree, where, (*_ABOUT, *_EXPECTED))
    if policy is None and "policy" not in row:
        raise PolicyError("a case without `policy`", where=where, mend="write the policy as JSON-LD, in YAML if you like")
    given = _table(row.get("given", {}), f"{where}.given", _GIVEN)
    asked = _table(row.get("request", {}), f"{where}.request", _REQUEST)
    return Case(
        name=str(row.get("name", where)),
        section=str(row.get("section", "")),
        policy=policy if policy is not None else jsonld.read(row["policy"]),
        parents=parents if parents is not None else _parents(row.get("parents", ()), where),
        request=Request(**{**asked, "params": _rows(asked.get("params", {}), f"{where}.request.params", _fact)}),
        world=_world(given, f"{where}.given"),
        stage=_word(Stage, row.get("stage", Stage.REQUEST), f"{where}.stage"),
        duty_mode=_word(DutyMode, given.get("duty_mode", DutyMode.REQUIRE_FULFILLED), f"{where}.given.duty_mode"),
        expected=_expected(row, where),
    )


def compiled(case: Case, vocabulary: Vocabulary) -> Compiled:
    """The policy of a case, ready to be asked.

    Raises: PolicyError when it expands beyond all measure.
    """
    return compile(
        case.policy,
        vocabulary,
        parents=case.parents,
        has_ledger=case.world.ledger is not None,
    )


def answer(case: Case, policy: Compiled) -> Decision:
    """What the engine says to a case, with its reasons."""
    return decide(policy, case.request, case.world, stage=case.stage, duty_mode=case.duty_mode, trace=True)


def differences(case: Case, policy: Compiled) -> tuple[str, ...]:
    """Where the engine's answer is not the one that a case expects; none when the case passes."""
    decision, expected = answer(case, policy), case.expected
    found: list[str] = []

    def differ(what: str, wanted: object, got: object) -> None:
        if wanted != got:
            found.append(f"{what}: expected {_told(wanted)}, got {_told(got)}")

    differ("expect", expected.effect.value, decision.effect.value)
    codes = {reason.code.value for reason in decision.reasons}
    if expected.because is not None and expected.because not in codes:
        found.append(f"because: expected {expected.because}, got {_told(codes)}")
    if expected.missing is not None:
        differ("missing", expected.missing, frozenset(item.operand for item in decision.missing))
    if expected.deferred is not None:
        differ("deferred", expected.deferred, frozenset(item.operand for item in decision.deferred))
    if expected.duties is not None:
        differ("duties", expected.duties, frozenset(f"{duty.action} {duty.state.value}" for duty in decision.duties))
    if expected.is_valid_until_told:
        differ("valid_until", expected.valid_until, decision.valid_until)
    if expected.active is not None:
        differ("active", expected.active, active(case, policy))
    if expected.states:
        states = {reason.where: reason.state for reason in decision.reasons}
        for where, state in expected.states.items():
            differ(f"states: {where}", state, states.get(where))
    return tuple(found)


def active(case: Case, policy: Compiled) -> frozenset[str]:
    """The permissions, prohibitions and obligations that are active for the request, by identifier or else by path."""
    report = comply(policy, None, (Asked(uid=None, request=case.request),), case.world, duty_mode=case.duty_mode)
    found = [one.rule for one in report.rules if one.is_active]
    found += [one.rule for one in report.obligations if one.is_active]
    return frozenset(rule.uid or rule.where for rule in found)


def _told(value: object) -> str:
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(map(str, value))) or "none"
    return value.isoformat() if isinstance(value, datetime) else "none" if value is None else str(value)


# --- reading


def _expected(row: Mapping[str, Any], where: str) -> Expected:
    if "expect" not in row:
        raise PolicyError("a case without `expect`", where=where, mend=f"write one of {', '.join(Effect)}")
    told = row.get("valid_until")
    return Expected(
        effect=_word(Effect, row["expect"], f"{where}.expect"),
        because=_word(Code, row["because"], f"{where}.because").value if "because" in row else None,
        missing=_names(row, "missing"),
        deferred=_names(row, "deferred"),
        duties=_names(row, "duties"),
        valid_until=_moment(told, f"{where}.valid_until") if told is not None else None,
        is_valid_until_told="valid_until" in row,
        active=_names(row, "active"),
        states=_rows(row.get("states", {}), f"{where}.states", lambda value, place: _word(State, value, place)),
    )


def _names(row: Mapping[str, Any], key: str) -> frozenset[str] | None:
    return frozenset(map(str, row[key])) if key in row else None


def _parents(trees: Iterable[object], where: str) -> Mapping[str, Policy]:
    found = [jsonld.read(tree, f"parents[{number}]") for number, tree in enumerate(trees)]
    if any(policy.uid is None for policy in found):
        raise PolicyError("a parent without `@id`", where=f"{where}.parents", mend="name it")
    return {policy.uid: policy for policy in found if policy.uid is not None}


def _world(given: Mapping[str, Any], where: str) -> World:
    agreed_at = given.get("agreed_at")
    return World(
        now=_moment(given["now"], f"{where}.now") if "now" in given else NOON,
        claims=given.get("claims", {}),
        memberships=_rows(given.get("memberships", {}), f"{where}.memberships", lambda groups, _: frozenset(groups)),
        duties=_rows(given.get("duties", {}), f"{where}.duties", lambda state, place: _word(DutyState, state, place)),
        agreed_at=_moment(agreed_at, f"{where}.agreed_at") if agreed_at else None,
        properties=_rows(given.get("properties", {}), f"{where}.properties", lambda row, place: _rows(row, place, _fact)),
        ledger=_ledger(given["ledger"], f"{where}.ledger") if "ledger" in given else None,
        taxonomies=_rows(given.get("taxonomies", {}), f"{where}.taxonomies", _taxonomy),
    )


def _taxonomy(parents: object, where: str) -> Taxonomy:
    return Taxonomy(parents=_rows(parents, where, lambda above, _: tuple(above)))


def _fact(value: object, where: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    row = _table(value, where, ("amount", "unit"))
    return Quantity(amount=_number(row.get("amount"), where), unit=str(row.get("unit")))


def _ledger(given: object, where: str) -> LedgerView:
    row = _table(given, where, _LEDGER)
    return LedgerView(
        usages=_rows(row.get("usages", {}), f"{where}.usages", _usage),
        total=_usage(row["total"], f"{where}.total") if "total" in row else None,
        events=_rows(row.get("events", {}), f"{where}.events", _period),
        became_true=_rows(row.get("became_true", {}), f"{where}.became_true", _moment),
    )


def _period(given: object, where: str) -> Period:
    return Period(**_rows(_table(given, where, _PERIOD), where, _moment))


def _usage(given: object, where: str) -> Usage:
    row = _table(given, where, _USAGE)
    moments: dict[str, Any] = {
        key: _moment(row[key], f"{where}.{key}") for key in ("first_used_at", "last_used_at", "triggered_at") if key in row
    }
    return Usage(
        count=int(row.get("count", 0)),
        metered=timedelta(seconds=float(row.get("metered_s", 0))),
        paid=_rows(row.get("paid", {}), f"{where}.paid", _number),
        values=row.get("values", {}),
        rates=dict(_rate(text, rate, f"{where}.rates.{text}") for text, rate in row.get("rates", {}).items()),
        running=tuple(_moment(since, f"{where}.running") for since in row.get("running", ())),
        **moments,
    )


def _rate(text: str, given: object, where: str) -> tuple[str, Rate]:
    cycle = cycle_of(text)
    if cycle is None:
        raise PolicyError(f"`{text[:40]}` is no period", where=where, mend="write a duration, such as P1D")
    row = _table(given, where, ("began", "count", "anew"))
    began = _moment(row.get("began"), f"{where}.began")
    return cycle.key, Rate(began=began, count=int(row.get("count", 0)), anew=int(row.get("anew", 0)))


def _number(value: object, where: str) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise PolicyError(f"`{str(value)[:40]}` is no number", where=where, mend="write a number") from None


def _moment(value: object, where: str) -> datetime:
    try:
        # YAML reads an unquoted moment by itself
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise PolicyError(f"`{str(value)[:40]}` is no moment", where=where, mend="write it as 2027-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _word(words: type[_W], value: object, where: str) -> _W:
    try:
        return words(str(value))
    except ValueError:
        known = [str(word) for word in words]
        raise PolicyError(f"unknown word `{str(value)[:40]}`", where=where, mend=nearest(str(value), known, 12)) from None


def _rows(value: object, where: str, one: Callable[[Any, str], _T]) -> dict[str, _T]:
    if not isinstance(value, Mapping):
        raise PolicyError("a table belongs here", where=where, mend="write `name: value`")
    return {str(name): one(item, f"{where}.{name}") for name, item in value.items()}


def _table(value: object, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError("a table belongs here", where=where, mend=f"write some of {', '.join(known)}")
    for name in value:
        if name not in known:
            raise PolicyError(f"unknown word `{str(name)[:40]}`", where=where, mend=nearest(str(name), known))
    return value
