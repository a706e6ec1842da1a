"""May this request be served now: the one question that a policy answers.

1. Nothing is granted by a policy that cannot be judged as a whole, or (once there is access to give) by a mere offer.
2. Find the rules for the requested action and target in the index; an action is covered by what it is included in.
3. A permission grants when its premises are true and no active duty blocks it. A prohibition applies when its premises are
   true, or when nobody knows whether they are.
4. Where both meet, the policy's conflict strategy decides. Where nothing grants, the answer is no (closed world).
5. On the way out: what was deferred, which duties go along, and until when the answer cannot change by the clock.
The reasons are worked out by `trace`, and only when the answer is no or someone asked for them.
Source: ODRL Information Model 2.2, sections 2.5 to 2.10; ODRL Formal Semantics (draft), "Activation", "Control".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from connector.odrl import trace as tracing
from connector.odrl.closures import Frame
from connector.odrl.compile import Compiled, CompiledDuty, CompiledRule, compile, flips
from connector.odrl.expand import duty_key
from connector.odrl.model import Conflict, Policy
from connector.odrl.truth import (
    STAGE_ORDER,
    Code,
    Decision,
    DutyDue,
    DutyMode,
    DutyState,
    Effect,
    Request,
    Stage,
    State,
    Truth,
    Unknown,
    World,
)
from connector.odrl.vocabulary import Vocabulary

_MOST_FLIPS = 64
# beyond this many instants without a change, the next one is given as the time to ask again
_TRANSFER = STAGE_ORDER[Stage.TRANSFER]


def decide(
    policy: Policy | Compiled,
    request: Request,
    world: World,
    vocabulary: Vocabulary | None = None,
    *,
    stage: Stage = Stage.REQUEST,
    duty_mode: DutyMode = DutyMode.REQUIRE_FULFILLED,
    trace: bool = False,
) -> Decision:
    """The decision on a request, with every reason when it is no permit or when `trace` asks for them.

    Give a `Compiled` on hot paths; a `Policy` is compiled first and then needs the `vocabulary`. `stage` says when in the
    life of a contract the question is asked: constraints of later stages are deferred and listed. An access policy
    (who may see an offer) is about this very moment: ask it with `Stage.REQUEST`.

    Raises: ValueError for a `now` without a zone, or a policy without vocabulary. Nothing about a policy raises; it denies.
    """
    if isinstance(policy, Compiled):
        compiled = policy
    elif vocabulary is not None:
        compiled = compile(policy, vocabulary)
    else:
        raise ValueError("a policy that is not compiled needs the vocabulary")
    if world.now.tzinfo is None:
        raise ValueError("`World.now` needs a time zone")
    frame = Frame(world.now, request, STAGE_ORDER[stage], world)
    action = compiled.vocabulary.action(request.action)
    refusal = _refusal(compiled, frame)
    if refusal is not None:
        return tracing.refuse(compiled, stage, refusal)
    if action is None:
        return tracing.refuse(compiled, stage, _unknown_action(compiled, request))
    permissions, prohibitions = _candidates(compiled, action.name, request.target)
    outcome = _weigh(compiled, frame, permissions, prohibitions, duty_mode)
    candidates = (*permissions, *prohibitions)
    decision = Decision(
        effect=outcome.effect,
        stage=stage,
        policy=compiled.policy.uid,
        rule=outcome.rule.atomic.rule.where if outcome.rule else "",
        valid_until=_valid_until(compiled, frame, candidates, permissions, prohibitions, duty_mode, outcome.effect),
    )
    if trace or outcome.effect is not Effect.PERMIT:
        decision = tracing.explained(decision, compiled, frame, candidates, outcome.conflict)
    if outcome.is_soft or compiled.obligations or (outcome.rule is not None and outcome.rule.duties) or decision.reasons:
        decision = replace(
            decision,
            deferred=tracing.deferred(candidates, frame, stage),
            duties=_duties_due(compiled, frame, outcome.rule, permissions, duty_mode),
        )
    return decision


@dataclass(frozen=True, slots=True)
class _Outcome:
    effect: Effect
    rule: CompiledRule | None
    # the permission that grants, or the prohibition that refuses
    is_soft: bool = False
    # something waits for another stage, or for the law
    conflict: Code | None = None


_NO = _Outcome(Effect.DENY, None)


def _weigh(
    compiled: Compiled,
    frame: Frame,
    permissions: tuple[CompiledRule, ...],
    prohibitions: tuple[CompiledRule, ...],
    duty_mode: DutyMode,
) -> _Outcome:
    grant: CompiledRule | None = None
    is_soft = False
    for rule in permissions:
        truth = rule.test(frame)
        if truth is False or (truth is not True and not truth.is_soft):
            continue
        if rule.duties and _blocks(rule.duties, frame, duty_mode):
            continue
        grant, is_soft = rule, truth is not True
        if not is_soft:
            break
    ban: CompiledRule | None = None
    is_sure = False
    for rule in prohibitions:
        truth = rule.test(frame)
        if truth is False:
            continue
        if truth is not True and truth.is_soft:
            is_soft = True
            continue
        ban, is_sure = rule, truth is True
        if is_sure:
            break
    if ban is None:
        return _Outcome(Effect.PERMIT, grant, is_soft) if grant else _NO
    if grant is None:
        return _Outcome(Effect.DENY, ban, is_soft)
    if compiled.conflict is Conflict.PERM:
        return _Outcome(Effect.PERMIT, grant, is_soft, Code.OVERRIDDEN)
    if compiled.conflict is Conflict.PROHIBIT or not is_sure:
        return _Outcome(Effect.DENY, ban, is_soft, Code.PROHIBITED)
    return _Outcome(Effect.VOID, ban, is_soft, Code.CONFLICT)


def _candidates(
    compiled: Compiled, action: str, target: str | None
) -> tuple[tuple[CompiledRule, ...], tuple[CompiledRule, ...]]:
    vocabulary = compiled.vocabulary
    if target is None:
        # rules about a named target cannot be looked up without one; they stay in doubt, and doubt refuses
        covering, forbidding = {*vocabulary.covering[action], None}, {*vocabulary.forbidden_by[action], None}
        return (
            tuple(rule for rule in compiled.rules if rule.is_permission and rule.action in covering),
            tuple(rule for rule in compiled.rules if not rule.is_permission and rule.action in forbidding),
        )
    found = _look_up(compiled.permissions, vocabulary.covering[action], target)
    if not compiled.prohibitions:
        return found, ()
    return found, _look_up(compiled.prohibitions, vocabulary.forbidden_by[action], target)


def _look_up(
    index: Mapping[tuple[str | None, str | None], tuple[CompiledRule, ...]], actions: tuple[str, ...], target: str
) -> tuple[CompiledRule, ...]:
    found: tuple[CompiledRule, ...] = ()
    for action in (*actions, None):
        for key in (target, None):
            rules = index.get((key, action))
            if rules:
                found = found + rules if found else rules
    return found


# --- refusals of the whole


def _refusal(compiled: Compiled, frame: Frame) -> Unknown | None:
    if compiled.fault is not None:
        return compiled.fault
    if frame.stage >= _TRANSFER and not compiled.grants_access:
        detail = f"{compiled.policy.type} policies propose; only what was agreed grants access"
        return Unknown(code=Code.GRANTS_NOTHING, detail=detail, needs="agreement")
    return None


def _unknown_action(compiled: Compiled, request: Request) -> Unknown:
    hint = compiled.vocabulary.hint_action(request.action)
    return Unknown(code=Code.ACTION_UNKNOWN, detail=f"unknown action `{request.action[:80]}`; {hint}", needs=request.action)


# --- duties


def _duty_state(duty: CompiledDuty, frame: Frame) -> DutyState:
    return frame.world.duties.get(duty_key(duty.duty), DutyState.PENDING)


def _blocks(duties: tuple[CompiledDuty, ...], frame: Frame, mode: DutyMode) -> bool:
    return any(_is_blocking(duty, frame, mode) for duty in duties)


def _is_blocking(duty: CompiledDuty, frame: Frame, mode: DutyMode) -> bool:
    # a duty is not due before there is access to give; from then on an active one blocks until it is fulfilled
    if frame.stage < _TRANSFER or duty.test(frame) is False:
        return False
    state = _duty_state(duty, frame)
    if state is DutyState.VIOLATED:
        return True
    return mode is DutyMode.REQUIRE_FULFILLED and state is DutyState.PENDING


def _duties_due(
    compiled: Compiled, frame: Frame, granting: CompiledRule | None, permissions: tuple[CompiledRule, ...], mode: DutyMode
) -> tuple[DutyDue, ...]:
    rules = (granting,) if granting is not None and granting.is_permission else permissions
    conditions = [duty for rule in rules for duty in rule.duties]
    return tuple(
        DutyDue(
            key=duty_key(duty.duty),
            action=", ".join(action.name for action in duty.duty.actions),
            state=_duty_state(duty, frame),
            where=duty.duty.where,
            is_blocking=is_condition and _is_blocking(duty, frame, mode),
        )
        for is_condition, group in ((True, conditions), (False, compiled.obligations))
        for duty in group
        if duty.test(frame) is not False
    )


# --- time


def _valid_until(
    compiled: Compiled,
    frame: Frame,
    candidates: tuple[CompiledRule, ...],
    permissions: tuple[CompiledRule, ...],
    prohibitions: tuple[CompiledRule, ...],
    duty_mode: DutyMode,
    effect: Effect,
) -> datetime | None:
    """The first instant at which the effect changes by the clock alone: between two edges of clock premises nothing can."""
    edges: list[datetime] = []
    for rule in candidates:
        if rule.clock:
            edges += flips(rule, frame)
    if not edges:
        return None
    later = Frame(frame.now, frame.request, frame.stage, frame.world)
    ordered = sorted(set(edges))
    for edge in ordered[:_MOST_FLIPS]:
        later.now = edge
        if _weigh(compiled, later, permissions, prohibitions, duty_mode).effect is not effect:
            return edge
    return ordered[_MOST_FLIPS - 1] if len(ordered) > _MOST_FLIPS else None


__all__ = ["Decision", "DutyMode", "Effect", "Request", "Stage", "State", "Truth", "World", "decide"]
