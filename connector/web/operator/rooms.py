"""What all routers of the operator API have in common: where they stand, and how they describe errors."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from connector.api.common import Problem
from connector.web.operator.gate import PREFIX

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Problem, "description": "Your request cannot be served; `where` and `mend` say why."},
    "5XX": {"model": Problem, "description": "The node, its store or a peer failed; `error_id` finds it in the log."},
}


def room(subject: str, path: str = "") -> APIRouter:
    """An empty router for one subject, below the API's prefix."""
    return APIRouter(prefix=f"{PREFIX}{path}", tags=[subject], responses=_PROBLEMS, generate_unique_id_function=_operation_id)


def _operation_id(route: APIRoute) -> str:
    """The function's name: what a generated client calls the operation."""
    return route.name
