"""Policies that stories use, spelled as in offers."""

from __future__ import annotations

from typing import Any


def only_for(purpose: str) -> dict[str, Any]:
    """Use for one purpose."""
    return _use({"leftOperand": "purpose", "operator": "eq", "rightOperand": purpose})


def until(moment: str) -> dict[str, Any]:
    """Use before a moment."""
    return _use({"leftOperand": "dateTime", "operator": "lt", "rightOperand": {"@value": moment, "@type": "xsd:dateTime"}})


def members_only() -> dict[str, Any]:
    """Use by whom the space attests membership."""
    return _use({"leftOperand": "claim:membership", "operator": "eq", "rightOperand": "active"})


def _use(constraint: dict[str, Any]) -> dict[str, Any]:
    return {"permission": [{"action": "use", "constraint": [constraint]}]}
