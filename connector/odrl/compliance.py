"""Compliance reports: for each rule of a policy and each rule of a request, every premise with its state, and whether it is active.

The older form of evaluation report, which public test cases use: target, party and action are premises like constraints, and
there is no decision about the whole policy. The decision is `evaluate.decide`'s, on the same closures. A report knows only
two states: what is in doubt is taken as the engine takes it, against the request. How a report is written as RDF is not here.
Source: Compliance Report Model (https://w3id.org/force/compliance-report); ODRL Formal Semantics (draft), "Evaluation Report".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from connector.odrl.closures import Frame, Test, belongs, names_of
from connector.odrl.compile import Compiled, CompiledDuty, CompiledRule
from connector.odrl.evaluate import blocks, state_of
from connector.odrl.model import AnyConstraint, LogicalConstraint, PartyRef, Rule
from connector.odrl.premises import Atom, Tree
from connector.odrl.trace import found
from connector.odrl.truth import STAGE_ORDER, DutyMode, DutyState, Request, Stage, Truth, Unknown, World


class Kind(StrEnum):
    """The classes of reports, spelled as the model spells them."""

    PERMISSION = "PermissionReport"
    PROHIBITION = "ProhibitionReport"
    OBLIGATION = "ObligationReport"
    DUTY = "DutyReport"
    ACTION = "ActionReport"
    PARTY = "PartyReport"
    TARGET = "TargetReport"
    CONSTRAINT = "ConstraintReport"


@dataclass(frozen=True, slots=True, kw_only=True)
class PremiseReport:
    """One thing that a rule restricts, and whether that is as the rule says."""

    kind: Kind
    is_satisfied: bool
    is_alike: bool = True
    # of an action, target or party: whether it is the rule's, refinements aside
    constraint: AnyConstraint | None = None
    left: tuple[str, ...] = ()
    # what the left operand was
    members: tuple[PremiseReport, ...] = ()
    # of a logical constraint, or the refinements of an action, party or target
    doubt: str = ""
    # why the state is not known, when it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyReport:
    """How a duty stands."""

    kind: Kind
    rule: Rule
    key: str
    state: DutyState
    is_active: bool
    premises: tuple[PremiseReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReport:
    """One permission or prohibition against one rule of the request."""

    kind: Kind
    rule: Rule
    asked: str | None
    # identifier of the request's rule
    is_active: bool
    # by the older model: everything that the rule restricts is as it says, and no condition blocks
    is_open: bool
    # by the draft: its constraints hold, and no condition blocks; whether the action is the rule's is another matter
    premises: tuple[PremiseReport, ...] = ()
    conditions: tuple[DutyReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """The whole report."""

    created: datetime
    policy: str | None
    request: str | None
    rules: tuple[RuleReport, ...]
    obligations: tuple[DutyReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A rule of a request: what is asked, and by what name."""

    uid: str | None
    request: Request


def comply(
    compiled: Compiled,
    request: str | None,
    asked: Iterable[Asked],
    world: World,
    *,
    duty_mode: DutyMode = DutyMode.REQUIRE_FULFILLED,
) -> PolicyReport:
    """The report on a request, named `request`, with its rules `asked`.

    A rule in compact form, with several actions, targets or parties, has one report: any of them satisfies.
    """
    groups: dict[int, list[CompiledRule]] = {}
    for rule in compiled.rules:
        groups.setdefault(id(rule.atomic.rule), []).append(rule)
    reports = [_rule(compiled, group, each, world, duty_mode) for each in asked for group in groups.values()]
    idle = Frame(world.now, Request(), STAGE_ORDER[Stage.REQUEST], world)
    obligations = tuple(_duty(duty, Kind.OBLIGATION, idle) for duty in compiled.obligations)
    return PolicyReport(
        created=world.now, policy=compiled.policy.uid, request=request, rules=tuple(reports), obligations=obligations
    )


def _rule(compiled: Compiled, group: list[CompiledRule], asked: Asked, world: World, duty_mode: DutyMode) -> RuleReport:
    frame = Frame(world.now, asked.request, STAGE_ORDER[Stage.REQUEST], world)
    first = group[0]
    is_permission = first.is_permission
    premises = [_action(compiled, group, frame), _target(group, frame), _party(group, frame)]
    rule = first.atomic.rule
    constraints = first.trees[: len(rule.constraints)]
    told = tuple(premise for premise in premises if premise is not None)
    told += tuple(_premise(tree, frame, is_permission=is_permission) for tree in constraints)
    # a policy that cannot be judged as a whole grants nothing, and what it forbids it forbids
    is_open = ((compiled.fault is None and not first.is_strange) or not is_permission) and not blocks(
        first.duties, frame, duty_mode
    )
    is_open = is_open and all(premise.is_satisfied for premise in told if premise.kind is Kind.CONSTRAINT)
    is_active = is_open and all(premise.is_satisfied for premise in told)
    return RuleReport(
        kind=Kind.PERMISSION if is_permission else Kind.PROHIBITION,
        rule=rule,
        asked=asked.uid,
        is_active=is_active,
        is_open=is_open,
        premises=told,
        conditions=tuple(_duty(duty, Kind.DUTY, frame) for duty in first.duties),
    )


def _taken(truth: Truth, *, is_permission: bool) -> bool:
    """A truth as the engine takes it: hard doubts against the request, soft ones as being in order for now."""
    if isinstance(truth, Unknown):
        return truth.is_soft is is_permission
    return truth


def _doubt(*truths: Truth) -> str:
    return next((truth.detail for truth in truths if isinstance(truth, Unknown)), "")


# --- premises


def _action(compiled: Compiled, group: list[CompiledRule], frame: Frame) -> PremiseReport | None:
    is_permission = group[0].is_permission
    rows: list[tuple[bool, tuple[PremiseReport, ...]]] = []
    known = compiled.vocabulary.action(frame.request.action)
    for rule in _distinct(group, "action"):
        if rule.atomic.action is None:
            return None
        table = compiled.vocabulary.covering if is_permission else compiled.vocabulary.forbidden_by
        # an action that nobody knows: no permission covers it, and any prohibition may
        covers = rule.action in table[known.name] or rule.action is None if known else not is_permission
        start = len(rule.atomic.rule.constraints)
        trees = rule.trees[start : start + len(rule.atomic.action.refinements)]
        rows.append((covers, tuple(_premise(tree, frame, is_permission=is_permission) for tree in trees)))
    return _any_of(Kind.ACTION, rows, "" if known else f"unknown action `{frame.request.action[:80]}`")


def _target(group: list[CompiledRule], frame: Frame) -> PremiseReport | None:
    is_permission = group[0].is_permission
    rows: list[tuple[bool, tuple[PremiseReport, ...]]] = []
    doubt = ""
    for rule in _distinct(group, "target"):
        target = rule.atomic.target
        if target is None:
            return None
        truth = rule.target(frame) if rule.target is not None else True
        if not target.is_collection and truth is True:
            truth = target.uid == frame.request.target
        doubt = doubt or _doubt(truth)
        trees = tuple(_premise(tree, frame, is_permission=is_permission) for tree in rule.about)
        rows.append((_taken(truth, is_permission=is_permission), trees))
    return _any_of(Kind.TARGET, rows, doubt)


def _party(group: list[CompiledRule], frame: Frame) -> PremiseReport | None:
    is_permission = group[0].is_permission
    rows: list[tuple[bool, tuple[PremiseReport, ...]]] = []
    doubt = ""
    for rule in _distinct(group, "assignee"):
        party = rule.atomic.assignee
        if party is None or rule.party is None:
            return None
        truth = _is_member(party, rule.party, frame)
        doubt = doubt or _doubt(truth)
        trees = rule.trees[len(rule.trees) - len(party.refinements) :] if party.refinements else ()
        members = tuple(_premise(tree, frame, is_permission=is_permission) for tree in trees)
        rows.append((_taken(truth, is_permission=is_permission), members))
    return _any_of(Kind.PARTY, rows, doubt)


def _is_member(party: PartyRef, test: Test, frame: Frame) -> Truth:
    if party.is_collection and frame.request.party is not None:
        return belongs(frame.request.party, names_of(party), frame.world, "party")
    return test(frame)


def _distinct(group: list[CompiledRule], part: str) -> list[CompiledRule]:
    """The first atomic rule for each of a rule's actions, targets or assignees."""
    return list({id(getattr(rule.atomic, part)): rule for rule in reversed(group)}.values())[::-1]


def _any_of(kind: Kind, rows: list[tuple[bool, tuple[PremiseReport, ...]]], doubt: str) -> PremiseReport:
    satisfied = next((row for row in rows if row[0] and all(member.is_satisfied for member in row[1])), None)
    members = satisfied[1] if satisfied else tuple(member for row in rows for member in row[1])
    is_alike = any(row[0] for row in rows)
    return PremiseReport(kind=kind, is_satisfied=satisfied is not None, is_alike=is_alike, members=members, doubt=doubt)


def _premise(tree: Tree, frame: Frame, *, is_permission: bool) -> PremiseReport:
    truth = tree.test(frame)
    is_satisfied = _taken(truth, is_permission=is_permission)
    if isinstance(tree, Atom):
        left = found(tree, frame) or ()
        return PremiseReport(
            kind=Kind.CONSTRAINT, is_satisfied=is_satisfied, constraint=tree.constraint, left=left, doubt=_doubt(truth)
        )
    logical: LogicalConstraint = tree.constraint
    return PremiseReport(
        kind=Kind.CONSTRAINT,
        is_satisfied=is_satisfied,
        constraint=logical,
        members=tuple(_premise(member, frame, is_permission=is_permission) for member in tree.members),
        doubt=_doubt(truth),
    )


def _duty(duty: CompiledDuty, kind: Kind, frame: Frame) -> DutyReport:
    return DutyReport(
        kind=kind,
        rule=duty.duty,
        key=duty.key,
        state=state_of(duty, frame.world),
        is_active=duty.test(frame) is not False,
        premises=tuple(_premise(tree, frame, is_permission=False) for tree in duty.trees),
    )
