"""A decision for readers: as JSON, and as one English sentence, with no more in it than the reader may know.

Reasons can give a policy away, so what goes to a peer passes a disclosure level. The operator sees all.
Source: DSP 2025-1, Contract Negotiation Protocol (reasons of a termination are free text).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from connector.odrl.truth import Code, Decision, Effect, Reason, State


class Disclosure(StrEnum):
    """How much of the reasons a reader gets: codes only, operand names as well, or everything."""

    CODE = "code"
    OPERANDS = "operands"
    FULL = "full"


_WORDS = {
    "eq": "to be",
    "neq": "not to be",
    "lt": "to be before or below",
    "lteq": "to be at most",
    "gt": "to be after or above",
    "gteq": "to be at least",
    "isA": "to be a kind of",
    "isAnyOf": "to be one of",
    "isAllOf": "to be all of",
    "isNoneOf": "to be none of",
    "isPartOf": "to be within",
    "hasPart": "to contain",
}
_REASONS = {
    Code.UNSATISFIED: "a condition is not met",
    Code.PROHIBITED: "a prohibition applies",
    Code.CONFLICT: "the rules of the policy contradict each other",
    Code.NOT_PERMITTED: "no rule permits it",
    Code.ACTION_DIFFERS: "the action is not covered",
    Code.TARGET_DIFFERS: "the target is another one",
    Code.PARTY_DIFFERS: "the party is another one",
    Code.DUTY_OPEN: "a duty is not fulfilled",
    Code.DUTY_VIOLATED: "a duty is violated",
    Code.GRANTS_NOTHING: "there is no agreement",
    Code.PROFILE_UNKNOWN: "the profile is unknown",
    Code.ACTION_UNKNOWN: "the action is unknown",
    Code.OPERAND_UNKNOWN: "a left operand is unknown",
    Code.OPERATOR_NOT_ALLOWED: "an operator does not fit its operand",
    Code.VALUE_TYPE: "a value does not fit its operand",
    Code.UNIT_MISMATCH: "a unit does not fit its operand",
    Code.VALUE_MISSING: "a value is not known",
    Code.SOURCE_UNAVAILABLE: "a value cannot be looked up",
    Code.REFERENCE_UNRESOLVABLE: "a reference cannot be resolved",
    Code.STATE_MISSING: "a record of past use is missing",
    Code.CYCLE: "the policy refers to itself",
}


def report(decision: Decision, level: Disclosure = Disclosure.FULL) -> dict[str, Any]:
    """The decision as a tree of JSON values; keys without content are left out."""
    tree: dict[str, Any] = {
        "effect": decision.effect.value,
        "stage": decision.stage.value,
        "sentence": sentence(decision, level),
    }
    if level is Disclosure.CODE:
        tree["because"] = [{"code": code} for code in dict.fromkeys(reason.code.value for reason in telling(decision))]
        return _slim(tree)
    is_full = level is Disclosure.FULL
    if is_full:
        tree |= {"policy": decision.policy, "rule": decision.rule}
        tree["because"] = [_full(reason) for reason in decision.reasons]
    else:
        rows = [{"code": reason.code.value, "operand": reason.operand} for reason in telling(decision)]
        tree["because"] = [_slim(row) for number, row in enumerate(rows) if row not in rows[:number]]
    tree["missing"] = [{"operand": item.operand, "how": item.how} for item in decision.missing]
    tree["deferred"] = [
        _slim(
            {
                "code": item.code.value,
                "operand": item.operand,
                "until": item.until.value if item.until else None,
                "where": item.where if is_full else None,
            }
        )
        for item in decision.deferred
    ]
    tree["duties"] = [
        _slim(
            {
                "action": duty.action,
                "state": duty.state.value,
                "blocking": duty.is_blocking,
                "where": duty.where if is_full else None,
            }
        )
        for duty in decision.duties
    ]
    tree["valid_until"] = decision.valid_until.isoformat().replace("+00:00", "Z") if decision.valid_until else None
    return _slim(tree)


def sentence(decision: Decision, level: Disclosure = Disclosure.FULL) -> str:
    """The decision in one English sentence, lower case and without a full stop."""
    if decision.effect is Effect.PERMIT:
        return _permit(decision)
    verb = "refused" if decision.effect is Effect.DENY else "the policy is void"
    causes = reasons(decision, level)
    if not causes:
        return verb
    rest = len(causes) - 3
    return f"{verb}: {'; '.join(causes[:3])}" + (f"; and {rest} more" if rest > 0 else "")


def reasons(decision: Decision, level: Disclosure = Disclosure.FULL) -> tuple[str, ...]:
    """What accounts for a refusal, one clause each, without repeats; empty for a permit."""
    return tuple(dict.fromkeys(_cause(reason, level) for reason in telling(decision)))


def telling(decision: Decision) -> tuple[Reason, ...]:
    """The reasons that account for a refusal: what failed, premises before the rules that they belong to."""
    if decision.effect is Effect.PERMIT:
        return ()
    banned = [reason for reason in decision.reasons if reason.code in (Code.PROHIBITED, Code.CONFLICT)]
    if banned:
        return tuple(banned)
    soft = (Code.STAGE_DEFERRED, Code.LEGAL_ONLY)
    failed = [reason for reason in decision.reasons if reason.state is not State.SATISFIED and reason.code not in soft]
    premises = [
        reason for reason in failed if reason.part not in ("rule", "policy") and (reason.operand or reason.part != "constraint")
    ]
    return tuple(premises or failed)


def _permit(decision: Decision) -> str:
    words = "permitted"
    if decision.valid_until:
        words += f" until {decision.valid_until.isoformat().replace('+00:00', 'Z')}"
    later = sorted({item.operand for item in decision.deferred if item.until})
    legal = sorted({item.operand for item in decision.deferred if not item.until})
    if later:
        words += f"; judged later: {', '.join(later)}"
    if legal:
        words += f"; agreed but not technically enforced: {', '.join(legal)}"
    return words


def _cause(reason: Reason, level: Disclosure) -> str:
    plain = _REASONS.get(reason.code, reason.code.value)
    if level is Disclosure.CODE:
        return plain
    if not reason.operand:
        return reason.detail or plain if level is Disclosure.FULL else plain
    if level is Disclosure.OPERANDS:
        return f"{plain}: {reason.operand}"
    if reason.code is Code.UNSATISFIED:
        asked = f"{reason.operand} has {_WORDS.get(reason.operator, reason.operator)} {', '.join(reason.right)}"
        return f"{asked}, and is {', '.join(reason.value)}" if reason.value else asked
    return f"{reason.operand}: {reason.detail or plain}"


def _full(reason: Reason) -> dict[str, Any]:
    return _slim(
        {
            "code": reason.code.value,
            "state": reason.state.value,
            "part": reason.part,
            "where": reason.where,
            "rule": reason.rule,
            "left": reason.operand,
            "op": reason.operator,
            "right": list(reason.right),
            "value": None if reason.value is None else list(reason.value),
            "detail": reason.detail,
        }
    )


def _slim(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value not in (None, "", [], {})}
