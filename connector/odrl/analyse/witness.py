"""From boxes to requests and back: a request that lies in a box, and the box in which a request lies.

A witness is made of one value for each axis of a box, at a stage at which the box exists. It proves nothing by itself: whoever
shows it has run the evaluator on it. Cells that no request can state (a clause of law, an unknown term) are left out of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from connector.odrl.analyse import record
from connector.odrl.analyse.axes import Axis, Cell, Kind
from connector.odrl.analyse.boxes import Box
from connector.odrl.analyse.cells import AGREED, Value, is_counted
from connector.odrl.analyse.space import Space
from connector.odrl.closures import Frame, reader, resolve
from connector.odrl.cycles import FREQUENCY
from connector.odrl.operands import left_side, matcher
from connector.odrl.terms import term
from connector.odrl.truth import (
    STAGE_ORDER,
    DutyState,
    LedgerView,
    Period,
    Quantity,
    Rate,
    Request,
    Stage,
    Taxonomy,
    Unknown,
    Usage,
    World,
)
from connector.odrl.units import currency
from connector.odrl.values import Duration, Typed, moved
from connector.odrl.vocabulary import Operand, SourceKind

# what a reader understands best comes first
STAGES = (
    *(Stage.REQUEST, Stage.TRANSFER, Stage.ONGOING, Stage.AFTER),
    *(Stage.NEGOTIATE, Stage.AGREE, Stage.CATALOG, Stage.PUBLISH),
)
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST_S = 1000 * 366 * 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A request in a world at a stage that shows a difference."""

    request: Request
    world: World
    stage: Stage


def stages(space: Space, box: Box) -> tuple[Stage, ...]:
    """The stages at which a request can lie in a box, the plainest first; none when the box is no real one."""
    found = (1 << len(Stage)) - 1
    for axis, cells in zip(space.axes, box, strict=True):
        if cells != axis.full:
            found &= _stages(axis, cells)
    for group in space.records:
        found &= record.stages(space.axes, group, box)
    return tuple(stage for stage in STAGES if found >> STAGE_ORDER[stage] & 1)


def _stages(axis: Axis, cells: int) -> int:
    found = 0
    for number, cell in enumerate(axis.cells):
        if cells >> number & 1:
            found |= cell.stages
    return found


def is_sure(space: Space, box: Box) -> bool:
    """Whether a box holds values of which every constraint in play can be judged."""
    return all(cells & ~axis.where(lambda cell: cell.is_vague) for axis, cells in zip(space.axes, box, strict=True))


@dataclass(slots=True)
class _Draft:
    action: str = "use"
    target: str | None = None
    party: str | None = None
    now: datetime = _ANY_TIME
    since: timedelta | None = None
    params: dict[str, object] = field(default_factory=dict)
    claims: dict[str, object] = field(default_factory=dict)
    taxonomies: dict[str, Taxonomy] = field(default_factory=dict)
    duties: dict[str, DutyState] = field(default_factory=dict)
    belongings: dict[Kind, set[str]] = field(default_factory=dict)
    counted: dict[str, tuple[Typed, str]] = field(default_factory=dict)
    # by what the record of use calls it: the value, and the unit that it is counted in
    uses: dict[str, int] = field(default_factory=dict)
    # in each kind of period, by its key
    events: dict[str, str] = field(default_factory=dict)
    # how it is to each: before, during or after
    is_sound: bool = True
    # False: two rules count the same apart, and one record for both cannot say so


def state(space: Space, box: Box, stage: Stage) -> Witness:
    """A request that lies in `box` at `stage`, as far as a request can say so."""
    draft = _Draft()
    told: dict[int, int] = {}
    for group in space.records:
        told |= record.numbers(space.axes, group, box, 1 << STAGE_ORDER[stage]) or {}
    for number, (axis, cells) in enumerate(zip(space.axes, box, strict=True)):
        cell = _plainest(axis, cells, stage)
        if number in told:
            _tell_uses(draft, axis, told[number])
        elif cell is not None:
            _tell(draft, axis, cell, space, box)
    memberships = {
        who: frozenset(draft.belongings[kind])
        for who, kind in ((draft.target, Kind.TARGET_COLLECTION), (draft.party, Kind.PARTY_COLLECTION))
        if who is not None and kind in draft.belongings
    }
    try:
        agreed_at = None if draft.since is None else draft.now - draft.since
    except OverflowError:
        agreed_at = None
    world = World(
        now=draft.now,
        claims=draft.claims,
        memberships=memberships,
        taxonomies=draft.taxonomies,
        agreed_at=agreed_at,
        duties=draft.duties,
        ledger=_ledger(draft),
    )
    return Witness(
        request=Request(action=draft.action, target=draft.target, party=draft.party, params=draft.params),
        world=world,
        stage=stage,
    )


def _plainest(axis: Axis, cells: int, stage: Stage) -> Cell | None:
    """The cell of a mask that says most: one with a value before one without, a sure one before a vague one."""
    here = [cell for n, cell in enumerate(axis.cells) if cells >> n & 1 and cell.stages >> STAGE_ORDER[stage] & 1]
    return min(here, key=lambda cell: (cell.is_vague, not cell.values, _spelled(cell) is None), default=None)


def _spelled(cell: Cell) -> Value | None:
    return next((value for value in cell.values if value.fact is not None), None)


def _tell(draft: _Draft, axis: Axis, cell: Cell, space: Space, box: Box) -> None:
    value = _spelled(cell)
    fact: Any = value.fact if value is not None else None
    number = axis.cells.index(cell)
    if axis.kind is Kind.ACTION and isinstance(fact, str):
        draft.action = fact
    elif axis.kind is Kind.TARGET:
        draft.target = fact
    elif axis.kind is Kind.PARTY:
        draft.party = fact
    elif axis.kind is Kind.DUTY:
        draft.duties[axis.name] = DutyState.PENDING if number else DutyState.FULFILLED
    elif axis.kind in (Kind.TARGET_COLLECTION, Kind.PARTY_COLLECTION) and number < 2:
        draft.belongings.setdefault(axis.kind, set()).update(axis.name.split(" ")[:1] if number == 0 else ())
        if axis.kind is Kind.TARGET_COLLECTION:
            draft.target = draft.target or "urn:kontor:member"
        else:
            draft.party = draft.party or "urn:kontor:member"
    elif axis.event:
        if cell.values:
            draft.events[axis.event] = str(cell.values[0].left[0])
    elif axis.kind is Kind.OPERAND and axis.operand is not None and is_counted(axis.operand):
        name = axis.operand.on_record
        draft.is_sound = draft.is_sound and name not in draft.counted
        if cell.values:
            draft.counted[name] = cell.values[0].left[0], axis.unit
    elif axis.kind is Kind.OPERAND and axis.operand is not None and value is not None:
        _tell_operand(draft, axis, axis.operand, value)


def _tell_uses(draft: _Draft, axis: Axis, uses: int) -> None:
    name = axis.unit if axis.cycle is not None else record.COUNT
    known = draft.uses if axis.cycle is not None else draft.counted
    draft.is_sound = draft.is_sound and name not in known
    if axis.cycle is not None:
        draft.uses[name] = uses
    else:
        draft.counted[name] = Decimal(uses), ""


def _events(draft: _Draft) -> dict[str, Period]:
    known = {
        "before": Period(),
        "during": Period(began=draft.now),
        "after": Period(began=draft.now, ended=draft.now),
    }
    return {name: known[word] for name, word in draft.events.items()}


def _ledger(draft: _Draft) -> LedgerView | None:
    """A record of use that says what was drafted, for whatever rule; None where nothing is asked of it, or it cannot be so."""
    values = {name: value for name, (value, _) in draft.counted.items()}
    back: dict[str, datetime] = {}
    for name in ("elapsedTime", "timeInterval", "delayPeriod"):
        length = values.get(name)
        if isinstance(length, Duration):
            if length.months or not 0 <= length.seconds < _LONGEST_S:
                return None
            back[name] = moved(draft.now, -timedelta(microseconds=int(length.seconds * 1_000_000)))
    count, metered = (values.get(name, Decimal(0)) for name in (record.COUNT, "meteredTime"))
    most = max(draft.uses.values(), default=0)
    first, last = back.get("elapsedTime"), back.get("timeInterval")
    spent = metered.seconds if isinstance(metered, Duration) else Decimal(0)
    paid = values.get("payAmount")
    if not draft.is_sound or not isinstance(count, Decimal) or FREQUENCY in values:
        return None
    if not (draft.counted or draft.uses):
        return LedgerView(events=_events(draft)) if draft.events else None
    # what is on record has happened: no last use before the first
    if (
        not 0 <= count < _LONGEST_S
        or most >= _LONGEST_S
        or not 0 <= spent < _LONGEST_S
        or (first is not None and last is not None and first > last)
    ):
        return None
    usage = Usage(
        count=max(math.ceil(count), most),
        metered=timedelta(microseconds=int(spent * 1_000_000)),
        first_used_at=first,
        last_used_at=last,
        triggered_at=back.get("delayPeriod"),
        paid={currency(term(draft.counted["payAmount"][1])): paid} if isinstance(paid, Decimal) else {},
        rates={key: Rate(began=draft.now, count=uses) for key, uses in draft.uses.items()},
    )
    return LedgerView(total=usage, events=_events(draft))


def _tell_operand(draft: _Draft, axis: Axis, operand: Operand, value: Value) -> None:
    if value.given is not None:
        draft.taxonomies[operand.name] = value.given
    fact: Any = Quantity(amount=value.fact, unit=axis.unit) if axis.unit and isinstance(value.fact, Decimal) else value.fact
    source = operand.sources[0]
    if axis.is_relative:
        draft.since = fact
    elif source.kind is SourceKind.CLOCK:
        draft.now = fact
    elif source.kind is SourceKind.REQUEST:
        draft.params[source.name or operand.name] = fact
    elif source.kind is SourceKind.CLAIM:
        draft.claims[source.name] = fact
    elif source.kind is SourceKind.PARTY and draft.party in (None, f"urn:kontor:another-{Kind.PARTY}"):
        draft.party = fact


# --- where a request lies


def place(
    space: Space, request: Request, world: World, stage: Stage, *, is_open: Callable[[Axis], bool] = lambda axis: False
) -> Box | None:
    """The box in which a request lies; None for an action that nobody knows.

    Where only the evaluator can tell, and on axes that are not known and `is_open`, the box has every cell that is possible.
    """
    frame = Frame(world.now, request, STAGE_ORDER[stage], world)
    at_stage = 1 << STAGE_ORDER[stage]
    found: list[int] = []
    for axis in space.axes:
        possible = axis.where(lambda cell: cell.stages & at_stage)
        cells = _cells(space, axis, frame, possible)
        if cells is None:
            return None
        is_unknown = cells & axis.where(lambda cell: not cell.values and not cell.is_deferred) == cells
        found.append(possible & ~axis.where(lambda cell: cell.is_deferred) if is_unknown and is_open(axis) else cells)
    return tuple(found)


def _cells(space: Space, axis: Axis, frame: Frame, possible: int) -> int | None:
    if axis.kind is Kind.OPERAND and axis.operand is not None:
        return _of_operand(axis, axis.operand, frame)
    if axis.kind is Kind.DUTY:
        is_open = frame.world.duties.get(axis.name, DutyState.PENDING) in (DutyState.PENDING, DutyState.VIOLATED)
        return possible & (2 if is_open and possible & 2 else 1)
    asked = {
        Kind.TARGET: frame.request.target,
        Kind.TARGET_COLLECTION: frame.request.target,
        Kind.PARTY: frame.request.party,
        Kind.PARTY_COLLECTION: frame.request.party,
    }.get(axis.kind)
    if axis.kind is Kind.ACTION:
        known = space.vocabulary.action(frame.request.action)
        return None if known is None else _with(axis, known.name)
    if axis.kind in (Kind.TARGET, Kind.PARTY):
        return axis.where(lambda cell: not cell.values) if asked is None else _with(axis, asked) or 1 << len(axis.cells) - 2
    if axis.kind is Kind.OPEN:
        return possible
    if asked is None:
        return 4
    names = frozenset(axis.name.split(" "))
    collections = frame.world.memberships.get(asked)
    if asked in names:
        return 1
    return 4 if collections is None else 2 if names.isdisjoint(collections) else 1


def _with(axis: Axis, name: str) -> int:
    return axis.where(lambda cell: any(value.fact == name for value in cell.values))


def _of_operand(axis: Axis, operand: Operand, frame: Frame) -> int:
    deferred = axis.where(lambda cell: cell.is_deferred and cell.stages >> frame.stage & 1)
    unknown = axis.where(lambda cell: not cell.values and not cell.is_deferred)
    if is_counted(operand):
        # whether there is a ledger, only the evaluator can tell
        return (axis.full & ~axis.where(lambda cell: cell.is_deferred)) | deferred
    if operand.is_legal_only or deferred:
        return axis.where(lambda cell: cell.is_deferred) if operand.is_legal_only else deferred
    fact = None if axis.is_party else reader(operand)(frame)
    left = None if fact is None or fact == "" else left_side(fact, operand)
    if left is None or isinstance(left, Unknown) or (axis.is_relative and frame.world.agreed_at is None):
        return unknown
    agreed = frame.world.agreed_at or AGREED
    taxonomy = frame.world.taxonomies.get(operand.name)
    cells = axis.full & ~unknown & ~axis.where(lambda cell: cell.is_deferred)
    for test, masks in axis.tests:
        right = tuple(resolve(value, agreed) or value for value in test.right)
        truth = matcher(test.operator, right, operand)(left, taxonomy)
        if truth is True:
            cells &= masks.true
        else:
            cells &= ~masks.true & (masks.hard if isinstance(truth, Unknown) else ~masks.hard)
    return cells


def sample(space: Space, boxes: Sequence[Box]) -> list[tuple[Box, Stage]]:
    """Boxes with a stage at which each exists, the plainest first."""
    found = [(box, at) for box in boxes for at in stages(space, box)[:1]]
    return sorted(found, key=lambda one: (not is_sure(space, one[0]), STAGES.index(one[1])))
