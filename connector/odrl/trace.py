"""Why a decision is as it is: a reason for every premise, what was deferred, and what knowledge is missing.

This is the slow path, walked only when an answer is no or when someone asks; the verdict itself is reached in `evaluate`.
Putting reasons into words is done in `explain`.
Source: ODRL Formal Semantics (draft), "Evaluation Report".
"""

from __future__ import annotations

from collections.abc import Callable

from connector.odrl.closures import Frame
from connector.odrl.compile import Compiled, CompiledDuty, CompiledRule
from connector.odrl.premises import Atom, Group, Tree, parts
from connector.odrl.truth import (
    NO_WORDS,
    Code,
    Decision,
    Deferred,
    DutyState,
    Effect,
    Missing,
    Quantity,
    Reason,
    Stage,
    State,
    Truth,
    Unknown,
)
from connector.odrl.vocabulary import Vocabulary

_MOST_TIMES = 8
_MOST_RULES = 50
# of rules that do not grant, so many are explained; a report is for reading


def refuse(compiled: Compiled, stage: Stage, why: Unknown) -> Decision:
    """A refusal of the whole policy, for one reason."""
    part = {Code.PROFILE_UNKNOWN: "profile", Code.ACTION_UNKNOWN: "action"}.get(why.code, "policy")
    reason = Reason(code=why.code, state=State.UNKNOWN, where=compiled.policy.where, part=part, detail=why.detail)
    missing = (_missing(why, compiled.vocabulary),) if why.needs else ()
    # Information Model 2.8: a policy that is replaced is void
    effect = Effect.VOID if why.code is Code.REPLACED else Effect.DENY
    return Decision(effect=effect, stage=stage, policy=compiled.policy.uid, reasons=(reason,), missing=missing)


def explained(
    compiled: Compiled,
    frame: Frame,
    candidates: tuple[CompiledRule, ...],
    conflict: Code | None,
    decisive: str,
    blocks: Callable[[CompiledDuty], bool],
    *,
    is_full: bool,
) -> tuple[tuple[Reason, ...], tuple[Missing, ...]]:
    """The reasons of a decision and what is missing; `decisive` is the path of the rule that grants or refuses, if one does,
    and `blocks` says of a condition whether it keeps its permission from granting.

    Unless `is_full`, a long list of times is told as one reason.
    """
    reasons: list[Reason] = []
    missing: dict[str, Missing] = {}
    if conflict is not None:
        reasons.append(_verdict(conflict, decisive, compiled))
    elif not any(rule.is_permission for rule in candidates):
        detail = "no permission covers this action on this target"
        reasons.append(
            Reason(code=Code.NOT_PERMITTED, state=State.UNSATISFIED, where=compiled.policy.where, part="policy", detail=detail)
        )
    for rule in candidates[:_MOST_RULES]:
        truth = rule.test(frame)
        reasons += _rule_reasons(rule, truth, frame, blocks, is_full)
        for unknown in _doubts(rule, frame) if truth is not True or not rule.is_flat else ():
            if unknown.needs and not unknown.is_soft:
                missing.setdefault(unknown.needs, _missing(unknown, compiled.vocabulary))
    if not candidates:
        reasons += _near_misses(compiled, frame)
    return tuple(reasons), tuple(missing.values())


def _verdict(conflict: Code, decisive: str, compiled: Compiled) -> Reason:
    strategy = compiled.conflict.value if compiled.conflict else "contradictory"
    words = {
        Code.OVERRIDDEN: f"a permission and a prohibition meet; the strategy `{strategy}` lets the permission win",
        Code.PROHIBITED: f"a permission and a prohibition meet; the strategy `{strategy}` lets the prohibition win",
        Code.CONFLICT: f"a permission and a prohibition meet; the strategy `{strategy}` voids the policy",
    }
    return Reason(code=conflict, state=State.SATISFIED, where=decisive, rule=decisive, part="policy", detail=words[conflict])


def _near_misses(compiled: Compiled, frame: Frame) -> list[Reason]:
    """Why the first few permissions were not even candidates."""
    reasons = []
    for rule in [rule for rule in compiled.rules if rule.is_permission][:_MOST_RULES]:
        target = rule.atomic.target
        where = rule.atomic.rule.where
        if target is not None and target.uid is not None and not target.is_collection and target.uid != frame.request.target:
            detail = f"it is about `{target.uid}`"
            reasons.append(
                Reason(
                    code=Code.TARGET_DIFFERS,
                    state=State.UNSATISFIED,
                    where=target.where,
                    rule=where,
                    part="target",
                    detail=detail,
                )
            )
        elif rule.atomic.action is not None:
            detail = f"it permits `{rule.atomic.action.name}`, which does not cover `{frame.request.action}`"
            spot = rule.atomic.action.where
            reasons.append(
                Reason(code=Code.ACTION_DIFFERS, state=State.UNSATISFIED, where=spot, rule=where, part="action", detail=detail)
            )
    return reasons


def _rule_reasons(
    rule: CompiledRule, truth: Truth, frame: Frame, blocks: Callable[[CompiledDuty], bool], is_full: bool
) -> list[Reason]:
    where = rule.atomic.rule.where
    applies = truth is True or (isinstance(truth, Unknown) and truth.is_soft is rule.is_permission)
    code = truth.code if isinstance(truth, Unknown) else Code.UNSATISFIED
    if truth is True:
        code = Code.PERMITTED if rule.is_permission else Code.PROHIBITED
    detail = truth.detail if isinstance(truth, Unknown) else ""
    kind = "permission" if rule.is_permission else "prohibition"
    verb = "applies" if applies else "does not apply"
    said = f"the {kind} {verb}: {detail}" if detail else f"the {kind} {verb}"
    reasons = [Reason(code=code, state=_state(truth), where=where, rule=where, detail=said)]
    matched = truth is True or rule.matches(frame)
    if matched is not True:
        reasons.append(_mismatch(rule, matched, where))
    if truth is True and rule.is_flat:
        reasons += [_atom_reason(tree, frame, where, True) for tree in rule.trees if isinstance(tree, Atom)]
    else:
        for tree in (*(rule.about if matched is not True else ()), *rule.trees):
            reasons += _tree_reasons(tree, frame, where, is_full)
    for duty in rule.duties:
        if duty.test(frame) is False:
            continue
        state = frame.world.duties.get(duty.key, DutyState.PENDING)
        code = Code.DUTY_OPEN if state is DutyState.PENDING or blocks(duty) else Code.SATISFIED
        reasons.append(
            Reason(
                code=Code.DUTY_VIOLATED if state is DutyState.VIOLATED else code,
                state=State.UNSATISFIED if blocks(duty) else State.SATISFIED,
                where=duty.duty.where,
                rule=where,
                part="duty",
                text=duty.text,
                detail=f"the duty to {' and '.join(action.name for action in duty.duty.actions) or 'act'} is {state.value}",
            )
        )
    return reasons


def _mismatch(rule: CompiledRule, matched: Truth, where: str) -> Reason:
    if isinstance(matched, Unknown):
        part = "action" if matched.code is Code.ACTION_UNKNOWN else "target" if matched.needs == "target" else "party"
        return Reason(code=matched.code, state=State.UNKNOWN, where=where, rule=where, part=part, detail=matched.detail)
    target, party = rule.atomic.target, rule.atomic.assignee
    if party is None and target is not None:
        spot, code, part, what = target.where, Code.TARGET_DIFFERS, "target", "the target is not in the collection"
    else:
        spot, code, part, what = (party.where if party else where), Code.PARTY_DIFFERS, "party", "the rule is for another party"
    return Reason(code=code, state=State.UNSATISFIED, where=spot, rule=where, part=part, detail=what)


def _tree_reasons(tree: Tree, frame: Frame, rule: str, is_full: bool) -> list[Reason]:
    if isinstance(tree, Group):
        truth = tree.test(frame)
        if not is_full and tree.times is not None and len(tree.members) > _MOST_TIMES and truth is False:
            return [_time_reason(tree, frame, rule)]
        code = truth.code if isinstance(truth, Unknown) else Code.SATISFIED if truth else Code.UNSATISFIED
        detail = truth.detail if isinstance(truth, Unknown) else ""
        reasons = [
            Reason(
                code=code,
                state=_state(truth),
                where=tree.constraint.where,
                rule=rule,
                part="constraint",
                operator=tree.constraint.operand.value,
                detail=detail,
            )
        ]
        for member in tree.members:
            reasons += _tree_reasons(member, frame, rule, is_full)
        return reasons
    return [_atom_reason(tree, frame, rule, tree.test(frame))]


def _time_reason(group: Group, frame: Frame, rule: str) -> Reason:
    opens = group.times.next_flip(frame.now) if group.times else None
    when = f"; the next begins {opens.isoformat().replace('+00:00', 'Z')}" if opens else " and none is to come"
    return Reason(
        code=Code.UNSATISFIED,
        state=State.UNSATISFIED,
        where=group.constraint.where,
        rule=rule,
        part="times",
        detail=f"now is in none of {len(group.members)} times{when}",
    )


def _atom_reason(atom: Atom, frame: Frame, rule: str, truth: Truth) -> Reason:
    constraint = atom.constraint
    return Reason(
        code=truth.code if isinstance(truth, Unknown) else Code.SATISFIED if truth else Code.UNSATISFIED,
        state=_state(truth),
        where=constraint.where,
        rule=rule,
        part=atom.part,
        operand=constraint.left,
        operator=constraint.operator.value,
        right=atom.right,
        value=found(atom, frame),
        detail=truth.detail if isinstance(truth, Unknown) else "",
        label=atom.label,
        text=atom.operand.text if atom.operand is not None else NO_WORDS,
    )


def found(atom: Atom, frame: Frame) -> tuple[str, ...] | None:
    """What the left operand of a constraint was at the time; None when it was not known."""
    fact = atom.read(frame) if atom.read is not None else None
    if fact is None:
        return None
    if isinstance(fact, str):
        return (fact,)
    facts = fact if isinstance(fact, (list, tuple, set, frozenset)) else (fact,)
    return tuple(sorted(_text(item) for item in facts))


def _text(item: object) -> str:
    if isinstance(item, Quantity):
        return f"{item.amount} {item.unit}"
    return str(item.isoformat()) if hasattr(item, "isoformat") else str(item)


def _doubts(rule: CompiledRule, frame: Frame) -> list[Unknown]:
    matched = rule.matches(frame)
    truths = [matched, *(part.test(frame) for tree in rule.trees for part in parts(tree))]
    return [truth for truth in truths if isinstance(truth, Unknown)]


def deferred(candidates: tuple[CompiledRule, ...], frame: Frame, stage: Stage) -> tuple[Deferred, ...]:
    """The constraints of the rules in play that were not judged now: for a later stage, or for the law only."""
    later: dict[str, Deferred] = {}
    for rule in candidates:
        if (rule.is_flat and rule.test(frame) is True) or rule.matches(frame) is False:
            continue
        for tree in rule.trees:
            for part in parts(tree):
                truth = part.test(frame)
                if isinstance(truth, Unknown) and truth.is_soft and part.operand is not None:
                    until = part.operand.first_stage_after(stage) if truth.code is Code.STAGE_DEFERRED else None
                    where = part.constraint.where
                    name = part.constraint.left if isinstance(part, Atom) else part.operand.name
                    later[where] = Deferred(
                        code=truth.code,
                        where=where,
                        operand=name,
                        until=until,
                        detail=truth.detail,
                        label=part.operand.short,
                        text=part.operand.text,
                    )
    return tuple(later.values())


def _missing(unknown: Unknown, vocabulary: Vocabulary) -> Missing:
    operand = vocabulary.operand(unknown.needs)
    label = operand.short if operand else unknown.needs
    return Missing(operand=unknown.needs, how=how_to_supply(unknown, label), label=label)


def how_to_supply(unknown: Unknown, name: str) -> str:
    """What would settle a doubt, in words for whoever can supply it."""
    ways = {
        Code.PROFILE_UNKNOWN: f"load the profile `{name}`",
        Code.OPERAND_UNKNOWN: f"load a profile that defines `{name}`",
        Code.ACTION_UNKNOWN: f"load a profile that defines `{name}`",
        Code.STATE_MISSING: f"keep a record of `{name}`",
        Code.REFERENCE_UNRESOLVABLE: f"supply what `{name}` refers to",
        Code.SOURCE_UNAVAILABLE: f"supply the source of `{name}`",
        Code.GRANTS_NOTHING: "negotiate an agreement",
        Code.REPLACED: f"process the policy `{name}` instead",
    }
    return ways.get(unknown.code, f"state or prove `{name}`")


def _state(truth: Truth) -> State:
    if truth is True:
        return State.SATISFIED
    return State.UNSATISFIED if truth is False else State.UNKNOWN
