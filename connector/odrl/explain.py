"""A decision for readers: as JSON, and as one sentence, with no more in it than the reader may know.

Reasons can give a policy away, so what goes to a peer passes a disclosure level. The operator sees all.
Source: DSP 2025-1, Contract Negotiation Protocol (reasons of a termination are free text).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from connector.odrl.phrases import PHRASES, Language, Phrases
from connector.odrl.truth import Code, Decision, Deferred, Effect, Reason, State


class Disclosure(StrEnum):
    """How much of the reasons a reader gets: codes only, operand names as well, or everything."""

    CODE = "code"
    OPERANDS = "operands"
    FULL = "full"


def report(decision: Decision, level: Disclosure = Disclosure.FULL, language: Language = Language.EN) -> dict[str, Any]:
    """The decision as a tree of JSON values, its sentence in `language`; keys without content are left out."""
    tree: dict[str, Any] = {
        "effect": decision.effect.value,
        "stage": decision.stage.value,
        "sentence": sentence(decision, level, language),
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
    tree["missing"] = [
        _slim({"operand": item.operand, "label": _label(item.label, item.operand), "how": item.how})
        for item in decision.missing
    ]
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


def sentence(decision: Decision, level: Disclosure = Disclosure.FULL, language: Language = Language.EN) -> str:
    """The decision in one sentence, without a full stop; in English in lower case."""
    words = PHRASES[language]
    if decision.effect is Effect.PERMIT:
        return _permit(decision, words)
    verb = words.refused if decision.effect is Effect.DENY else words.void
    causes = reasons(decision, level, language)
    if not causes:
        return verb
    rest = len(causes) - 3
    told = words.because.format(verb=verb, causes=words.semicolon.join(causes[:3]))
    return told + (words.more.format(rest=rest) if rest > 0 else "")


def reasons(decision: Decision, level: Disclosure = Disclosure.FULL, language: Language = Language.EN) -> tuple[str, ...]:
    """What accounts for a refusal, one clause each, without repeats; empty for a permit."""
    return tuple(dict.fromkeys(_cause(reason, level, language) for reason in telling(decision)))


def telling(decision: Decision) -> tuple[Reason, ...]:
    """The reasons that account for a refusal: what failed, premises before the rules that they belong to."""
    if decision.effect is Effect.PERMIT:
        return ()
    banned = [reason for reason in decision.reasons if reason.code in (Code.PROHIBITED, Code.CONFLICT)]
    if banned:
        return tuple(banned)
    soft = (Code.STAGE_DEFERRED, Code.LEGAL_ONLY, Code.LEFT_TO_PEER)
    failed = [reason for reason in decision.reasons if reason.state is not State.SATISFIED and reason.code not in soft]
    premises = [
        reason for reason in failed if reason.part not in ("rule", "policy") and (reason.operand or reason.part != "constraint")
    ]
    return tuple(premises or failed)


_ASIDE = re.compile(r"[,;:，；：（(]")
# what follows explains further


def _permit(decision: Decision, words: Phrases) -> str:
    told = words.permitted
    if decision.valid_until:
        told += words.until.format(when=decision.valid_until.isoformat().replace("+00:00", "Z"))
    later = sorted({_called(item, words) for item in decision.deferred if item.until})
    theirs = sorted({_called(item, words) for item in decision.deferred if item.code is Code.LEFT_TO_PEER})
    legal = sorted({_called(item, words) for item in decision.deferred if item.code is Code.LEGAL_ONLY})
    if later:
        told += words.later.format(names=words.comma.join(later))
    if theirs:
        told += words.theirs.format(names=words.comma.join(theirs))
    if legal:
        told += words.legal.format(names=words.comma.join(legal))
    return told


def _cause(reason: Reason, level: Disclosure, language: Language) -> str:
    words = PHRASES[language]
    plain = words.reasons.get(reason.code, reason.code.value)
    # the engine's own details are English: elsewhere the code speaks
    detail = reason.detail if level is Disclosure.FULL and language is Language.EN else ""
    name = _called(reason, words)
    if level is Disclosure.CODE:
        return plain
    if not name:
        return detail or plain
    if reason.part == "duty" and (detail or level is Disclosure.OPERANDS):
        return detail or plain
    if level is Disclosure.OPERANDS:
        return words.colon.format(left=plain, right=name)
    if reason.code is Code.UNSATISFIED and reason.operator in words.operators:
        asked = words.operators[reason.operator].format(left=name, right=words.comma.join(reason.right))
        return words.value.format(asked=asked, value=words.comma.join(reason.value)) if reason.value else asked
    if reason.part == "duty":
        return words.colon.format(left=plain, right=name)
    return words.colon.format(left=name, right=detail or plain)


def _called(item: Reason | Deferred, words: Phrases) -> str:
    """What an operand, or the action of a duty, is called: in English the term itself, elsewhere the first words of its text."""
    text = item.text.get(words.language, "")
    if words.language == Language.EN or not text:
        return item.label or item.operand
    return words.quoted.format(text=_ASIDE.split(text, maxsplit=1)[0].strip())


def _full(reason: Reason) -> dict[str, Any]:
    return _slim(
        {
            "code": reason.code.value,
            "state": reason.state.value,
            "part": reason.part,
            "where": reason.where,
            "rule": reason.rule,
            "left": reason.operand,
            "label": _label(reason.label, reason.operand),
            "op": reason.operator,
            "right": list(reason.right),
            "value": None if reason.value is None else list(reason.value),
            "detail": reason.detail,
        }
    )


def _label(label: str, operand: str) -> str:
    """The short name, where the operand has a longer one."""
    return label if label != operand else ""


def _slim(tree: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if value not in (None, "", [], {})}
