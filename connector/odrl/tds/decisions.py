"""What usage control calls a decision: allowed, allowed under conditions, denied, denied by default.

Source: TC609-6-2025-15, behaviour check: the four results; "conditional" means perform the duty, then ask again.
"""

from __future__ import annotations

from enum import StrEnum

from connector.odrl.truth import Code, Decision


class DecisionCode(StrEnum):
    """The four results of a check."""

    ALLOWED = "allowed"
    CONDITIONAL = "conditional"
    DENIED = "denied"
    DEFAULT_DENIED = "default-denied"


# what lies in a rule that covers the request; anything else means that no rule covers it
_REFUSED = frozenset({Code.PROHIBITED, Code.CONFLICT})


def decision_code(decision: Decision) -> DecisionCode:
    """The result that a decision is.

    A permit whose duties are all performed is `allowed`; where only open duties stand between the request and a permit it is
    `conditional`; a prohibition, or a condition that is known to fail, denies; all else is denied by default.
    """
    if decision.is_permitted:
        return DecisionCode.ALLOWED
    codes = {reason.code for reason in decision.reasons}
    if codes & _REFUSED:
        return DecisionCode.DENIED
    failing = {reason.code for reason in decision.reasons if reason.part not in ("rule", "duty")} - {Code.SATISFIED}
    if Code.DUTY_OPEN in codes and not failing:
        return DecisionCode.CONDITIONAL
    return DecisionCode.DENIED if Code.UNSATISFIED in failing else DecisionCode.DEFAULT_DENIED
