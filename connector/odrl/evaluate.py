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

from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush

from connector.odrl import trace as tracing
from connector.odrl.closures import Frame
from connector.odrl.compile import Compiled, CompiledDuty, CompiledRule, Index, compile, next_flip
from connector.odrl.model import Conflict, Policy
from connector.odrl.truth import (
    Code,
    Decision,
    DutyDue,
    DutyMode,
    DutyState,
    Effect,
    Missing,
    Reason,
    Request,
    Stage,
    State,
    Truth,
    Unknown,
    World,
)
from connector.odrl.vocabulary import Vocabulary

_MOST_FLIPS = 64
_MOST_STEPS = 4_096
# beyond so many instants without a change, the next one is given as the time to ask again
_TRANSFER = Stage.TRANSFER.number


def decide(
    policy: Policy | Compiled,
    request: Request,
    world: World,
    vocabulary: Vocabulary | None = None,
    *,
    stage: Stage = Stage.REQUEST,
    duty_mode: DutyMode = DutyMode.REQUIRE_FULFILLED,
    trace: bool = False,
    is_told: bool = True,
) -> Decision:
    """The decision on a request, with every reason when it is no permit or when `trace` asks for them.

    `is_told` False leaves the reasons out: for whoever asks about thousands of policies and tells nobody why.

    Give a `Compiled` on hot paths; a `Policy` is compiled first and then needs the `vocabulary`. `stage` says when in the
    life of a contract the question is asked: constraints of later stages are deferred and listed. An access policy
    (who may see an offer) is about this very moment: ask it with `Stage.REQUEST`.

    Raises: ValueError for a `now` without a zone, or a policy without vocabulary. Nothing about a policy raises; it denies.
    """
    if isinstance(policy, Compiled):
        compiled = policy
    elif vocabulary is not None:
        compiled = compile(policy, vocabulary, has_ledger=world.ledger is not None)
    else:
        raise ValueError("a policy that is not compiled needs the vocabulary")
    if world.now.tzinfo is None:
        raise ValueError("`World.now` needs a time zone")
    frame = Frame(world.now, request, stage.number, world)
    refusal = _refusal(compiled, frame)
    if refusal is not None:
        return tracing.refuse(compiled, stage, refusal)
    action = compiled.vocabulary.action(request.action)
    if action is None:
        return tracing.refuse(compiled, stage, _unknown_action(compiled, request))
    permissions, prohibitions = _candidates(compiled, action.name, request.target)
    if not trace and len(permissions) == 1 and not prohibitions and compiled.is_plain:
        plain = _plain_permit(compiled, permissions[0], frame, stage)
        if plain is not None:
            return plain
    return _decided(compiled, frame, stage, permissions, prohibitions, duty_mode, trace, is_told)


def _plain_permit(compiled: Compiled, rule: CompiledRule, frame: Frame, stage: Stage) -> Decision | None:
    """The permit of the one rule in play, when it is true and nothing else goes along; None: take the long way."""
    until = rule.until
    if until is None or rule.duties or rule.test(frame) is not True:
        return None
    flip = until.next_flip(frame.now)
    last = rule.permits.get(stage.number)
    if last is None or last.valid_until is not flip:
        # decisions are values: while nothing in one differs, the same one is given out again
        last = rule.permits[stage.number] = Decision(
            effect=Effect.PERMIT, stage=stage, policy=compiled.policy.uid, rule=rule.atomic.rule.where, valid_until=flip
        )
    return last


def _decided(
    compiled: Compiled,
    frame: Frame,
    stage: Stage,
    permissions: tuple[CompiledRule, ...],
    prohibitions: tuple[CompiledRule, ...],
    duty_mode: DutyMode,
    is_full: bool,
    is_told: bool,
) -> Decision:
    outcome = _weigh(compiled, frame, permissions, prohibitions, duty_mode)
    candidates = (*permissions, *prohibitions)
    reasons: tuple[Reason, ...] = ()
    missing: tuple[Missing, ...] = ()
    if is_full or (is_told and outcome.effect is not Effect.PERMIT):
        where = outcome.rule.atomic.rule.where if outcome.rule else ""

        def is_in_the_way(duty: CompiledDuty) -> bool:
            return _is_blocking(duty, frame, duty_mode)

        reasons, missing = tracing.explained(
            compiled, frame, candidates, outcome.conflict, where, is_in_the_way, is_full=is_full
        )
    goes_along = reasons or outcome.is_soft or not compiled.is_plain or (outcome.rule is not None and outcome.rule.duties)
    return Decision(
        effect=outcome.effect,
        stage=stage,
        policy=compiled.policy.uid,
        rule=outcome.rule.atomic.rule.where if outcome.rule else "",
        reasons=reasons,
        missing=missing,
        deferred=tracing.deferred(candidates, frame, stage) if goes_along else (),
        duties=_duties_due(compiled, frame, outcome.rule, permissions, duty_mode) if goes_along else (),
        valid_until=_valid_until(compiled, frame, outcome, permissions, prohibitions, duty_mode),
    )


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
        if rule.duties and blocks(rule.duties, frame, duty_mode):
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
        return _Outcome(Effect.PERMIT, grant, is_soft) if grant is not None else _NO
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


def _look_up(index: Index, actions: tuple[str, ...], target: str) -> tuple[CompiledRule, ...]:
    found: tuple[CompiledRule, ...] = ()
    for row in (index.get(target), index.get(None)):
        if row is not None:
            for action in actions:
                rules = row.get(action)
                if rules:
                    found = found + rules if found else rules
            rules = row.get(None)
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


def state_of(duty: CompiledDuty, world: World) -> DutyState:
    """How a duty stands; one that nothing is recorded of is pending."""
    return world.duties.get(duty.key, DutyState.PENDING)


def is_settled(duty: CompiledDuty, frame: Frame, mode: DutyMode) -> bool:
    """Whether a duty lets its permission pass as far as its record goes.

    A violated one does not; and what is due in consequence is due besides the duty itself (Information Model 2.6.6), so a
    consequence that is on record and open blocks although the duty was made good.
    """
    state = state_of(duty, frame.world)
    if state is DutyState.VIOLATED or (state is DutyState.PENDING and mode is DutyMode.REQUIRE_FULFILLED):
        return False
    return all(
        is_settled(consequence, frame, DutyMode.REQUIRE_FULFILLED)
        for consequence in duty.consequences
        if consequence.key in frame.world.duties and consequence.test(frame) is not False
    )


def blocks(duties: tuple[CompiledDuty, ...], frame: Frame, mode: DutyMode) -> bool:
    """Whether a duty among the conditions of a permission keeps it from granting."""
    return any(_is_blocking(duty, frame, mode) for duty in duties)


def _is_blocking(duty: CompiledDuty, frame: Frame, mode: DutyMode) -> bool:
    # a duty is not due before there is access to give; from then on an active one blocks until it is fulfilled
    if frame.stage < _TRANSFER or duty.test(frame) is False:
        return False
    return not is_settled(duty, frame, mode)


def _duties_due(
    compiled: Compiled, frame: Frame, granting: CompiledRule | None, permissions: tuple[CompiledRule, ...], mode: DutyMode
) -> tuple[DutyDue, ...]:
    rules = (granting,) if granting is not None and granting.is_permission else permissions
    conditions = [duty for rule in rules for duty in rule.duties]
    found: list[DutyDue] = []
    for is_condition, group in ((True, conditions), (False, compiled.obligations)):
        for duty in group:
            if duty.test(frame) is False:
                continue
            found.append(_due(duty, frame, is_blocking=is_condition and _is_blocking(duty, frame, mode)))
            is_broken = state_of(duty, frame.world) is DutyState.VIOLATED
            found += [
                _due(consequence, frame, is_blocking=is_condition)
                for consequence in duty.consequences
                if (is_broken or consequence.key in frame.world.duties) and _is_open(consequence, frame)
            ]
    # an infringed prohibition asks for its remedies, whatever is asked now (Information Model 2.6.7)
    remedies = [duty for rule in compiled.remedied if is_infringed(rule, frame.world) for duty in rule.remedies]
    found += [_due(remedy, frame, is_blocking=False) for remedy in remedies if _is_open(remedy, frame)]
    return tuple(found)


def _is_open(duty: CompiledDuty, frame: Frame) -> bool:
    return duty.test(frame) is not False and not is_settled(duty, frame, DutyMode.REQUIRE_FULFILLED)


def is_infringed(rule: CompiledRule, world: World) -> bool:
    """Whether a prohibition is on record as violated; it is so until all its remedies are fulfilled or waived."""
    if world.duties.get(rule.key) is not DutyState.VIOLATED:
        return False
    settled = (DutyState.FULFILLED, DutyState.WAIVED)
    return not rule.remedies or any(state_of(remedy, world) not in settled for remedy in rule.remedies)


def _due(duty: CompiledDuty, frame: Frame, *, is_blocking: bool) -> DutyDue:
    return DutyDue(
        key=duty.key,
        action=", ".join(action.name for action in duty.duty.actions),
        state=state_of(duty, frame.world),
        where=duty.duty.where,
        is_blocking=is_blocking,
    )


# --- time


def _valid_until(
    compiled: Compiled,
    frame: Frame,
    outcome: _Outcome,
    permissions: tuple[CompiledRule, ...],
    prohibitions: tuple[CompiledRule, ...],
    duty_mode: DutyMode,
) -> datetime | None:
    """The first instant at which the effect changes by the clock alone: between two flips of clock premises nothing can.

    What is permitted stays so until the rule that grants, or a prohibition, changes; the other permissions need no watching.
    """
    effect = outcome.effect
    grant = outcome.rule
    is_alone = effect is Effect.PERMIT and not outcome.is_soft and len(permissions) == 1 and not prohibitions
    if is_alone and grant is not None and grant.until is not None:
        # all that can end it is its own times
        return grant.until.next_flip(frame.now)
    watched = [*permissions, *prohibitions]
    if effect is Effect.PERMIT and outcome.rule is not None:
        watched = [outcome.rule, *prohibitions]
    if not any(rule.clock for rule in watched):
        return None
    later = Frame(frame.now, frame.request, frame.stage, frame.world)
    waiting = [(flip, place) for place, rule in enumerate(watched) if rule.clock and (flip := next_flip(rule, later))]
    heapify(waiting)
    weighed = 0
    for _ in range(_MOST_STEPS):
        if not waiting:
            return None
        later.now = waiting[0][0]
        touched = []
        while waiting and waiting[0][0] == later.now:
            touched.append(heappop(waiting)[1])
        # where nothing grants and nothing forbids, only a permission among those that changed can change the effect
        if outcome.rule is not None or any(_may_grant(watched[place], later) for place in touched):
            outcome = _weigh(compiled, later, permissions, prohibitions, duty_mode)
            weighed += 1
            if outcome.effect is not effect or weighed == _MOST_FLIPS:
                return later.now
            grant = outcome.rule if effect is Effect.PERMIT else None
            if grant is not None and all(grant is not rule for rule in watched):
                touched.append(len(watched))
                watched.append(grant)
        for place in touched:
            if flip := next_flip(watched[place], later):
                heappush(waiting, (flip, place))
    return later.now


def _may_grant(rule: CompiledRule, frame: Frame) -> bool:
    truth = rule.test(frame)
    return rule.is_permission and (truth is True or (truth is not False and truth.is_soft))


__all__ = ["Decision", "DutyMode", "Effect", "Request", "Stage", "State", "Truth", "World", "decide"]
