"""Partial evaluation: what is known is bound, and what is left says what is still needed for a permit.

`residual` takes a request in which things are missing. Each way to a permit is a list of needs, such as a credential to present
or a purpose to state; the ways with the fewest needs come first. Where nothing that may still come to light permits it, the ways say
what would have to be other than it is: another purpose, another moment; those that change the least come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector.odrl.analyse.axes import Axis, Kind
from connector.odrl.analyse.boxes import Beyond, Box, absorbed, bounded, intersection
from connector.odrl.analyse.cells import is_counted
from connector.odrl.analyse.contain import Answer
from connector.odrl.analyse.normal import doubts, normal_forms
from connector.odrl.analyse.space import Space
from connector.odrl.analyse.witness import is_sure, place, stages
from connector.odrl.analyse.words import condition
from connector.odrl.closures import Frame, reader
from connector.odrl.model import Policy
from connector.odrl.truth import STAGE_ORDER, Request, Stage, World
from connector.odrl.vocabulary import SourceKind, Vocabulary

_MOST_WAYS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that is still needed."""

    what: str
    # the condition, in words
    how: str
    # what to do about it
    operand: str = ""
    now: str = ""
    # what is known instead, in words; empty where nothing is


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """YES: permitted as things stand. NO: whatever else comes to light; the `ways` change what is known. UNKNOWN: it depends, on one
    of the `ways`."""

    answer: Answer
    ways: tuple[tuple[Need, ...], ...] = ()
    reasons: tuple[str, ...] = ()


@bounded
def residual(
    policy: Policy, request: Request, world: World, vocabulary: Vocabulary, *, stage: Stage = Stage.REQUEST
) -> Residual:
    """What is still needed before the policy, as an agreement, permits a request; what is not given counts as not known yet.

    Raises: PolicyError when a policy expands beyond all measure.
    """
    unsure = tuple(doubts(policy, "the terms", vocabulary))
    if unsure:
        return Residual(answer=Answer.UNKNOWN, reasons=unsure)
    try:
        forms = normal_forms(vocabulary, policy)
        space, permits = forms.space, forms.policies[0].permits
        asked = place(space, request, world, stage)
        free = place(space, request, world, stage, is_open=lambda axis: True)
        if asked is None or free is None:
            return Residual(answer=Answer.NO, reasons=(f"unknown action `{request.action[:80]}`",))
        # a duty that is open may still be fulfilled
        free = tuple(axis.full if axis.kind is Kind.DUTY else cells for axis, cells in zip(space.axes, free, strict=True))
        if any(all(not cells & ~most for cells, most in zip(asked, box, strict=True)) for box in permits):
            return Residual(answer=Answer.YES, reasons=("permitted as things stand",))
        left = absorbed(intersection([free], permits))
    except Beyond as beyond:
        return Residual(answer=Answer.UNKNOWN, reasons=(str(beyond),))
    if not left:
        others = [box for box in absorbed(permits) if stage in stages(space, box) and is_sure(space, box)]
        frame = Frame(world.now, request, STAGE_ORDER[stage], world)
        ways = sorted({_changes(space, box, asked, free, frame) for box in others}, key=_cost)[:_MOST_WAYS]
        return Residual(answer=Answer.NO, ways=tuple(ways), reasons=("nothing that may still come to light permits it",))
    ways = sorted({_needs(space, box, free) for box in left[:_MOST_WAYS]}, key=_cost)
    return Residual(answer=Answer.UNKNOWN, ways=tuple(ways), reasons=("it depends on what is not known yet",))


def _cost(way: tuple[Need, ...]) -> tuple[int, int, str]:
    return sum(bool(need.now) for need in way), len(way), str(way)


def _changes(space: Space, box: Box, asked: Box, free: Box, frame: Frame) -> tuple[Need, ...]:
    """What it takes to get from where a request lies into a box."""
    at = 1 << frame.stage
    found = []
    for axis, cells, here, possible in zip(space.axes, box, asked, free, strict=True):
        wanted = cells & axis.where(lambda cell: cell.stages & at)
        if here & ~wanted:
            known = axis.where(lambda cell: cell.values)
            now = "" if possible & wanted else _now(axis, frame) or condition(axis, here)
            what = condition(axis, wanted & known or wanted)
            found.append(Need(what=what, how=_how(axis), operand=axis.operand.name if axis.operand else "", now=now))
    return tuple(found)


def _now(axis: Axis, frame: Frame) -> str:
    """What a request itself says of an axis; nothing where that is not one plain word."""
    asked = {Kind.ACTION: frame.request.action, Kind.TARGET: frame.request.target, Kind.PARTY: frame.request.party}
    if axis.kind in asked:
        return asked[axis.kind] or ""
    if axis.operand is None or axis.is_party or axis.is_relative or is_counted(axis.operand):
        return ""
    fact = reader(axis.operand)(frame)
    facts = fact if isinstance(fact, list | tuple) else [fact]
    return ", ".join(one.isoformat() if isinstance(one, datetime) else str(one) for one in facts)


def _needs(space: Space, box: Box, free: Box) -> tuple[Need, ...]:
    found = []
    for axis, cells, possible in zip(space.axes, box, free, strict=True):
        if cells != possible:
            found.append(Need(what=condition(axis, cells), how=_how(axis), operand=axis.operand.name if axis.operand else ""))
    return tuple(found)


def _how(axis: Axis) -> str:
    if axis.kind is Kind.DUTY:
        return "fulfil the duty"
    if axis.kind in (Kind.ACTION, Kind.PARTY, Kind.TARGET):
        return f"name the {axis.kind}"
    if axis.operand is None:
        return "have it proven"
    name = axis.operand.short
    for source in axis.operand.sources:
        if source.kind is SourceKind.CLAIM:
            claim = source.name[:1].upper() + source.name[1:]
            return f"present a {claim}Credential"
        if source.kind is SourceKind.LEDGER and name == "payAmount":
            return "pay, and have it put on record"
        if source.kind is SourceKind.LEDGER:
            return f"keep a record of `{name}`"
        if source.kind is SourceKind.CLOCK:
            return "ask at another time"
    return f"state `{name}`"
