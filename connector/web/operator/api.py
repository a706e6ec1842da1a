"""The operator API as one application: its routes, its description, and faults as problem details."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from connector import __version__
from connector.errors import BadMessage, KontorError, MethodNotAllowed, NotFound
from connector.strict import path as json_path
from connector.web import edge, errors
from connector.web.indexed import Indexed
from connector.web.operator.gate import OPENAPI
from connector.web.operator.keys import SCHEMES

_DESCRIPTION: Final = """\
What the operators of a data space connector and their programs do: publish data with its terms, read catalogues of peers,
negotiate contracts, transfer data, and see why something does not go on.

Below `/participants/{participant}` everything belongs to one participant context. Errors are `application/problem+json`.
"""


def api_app(rooms: Iterable[APIRouter]) -> ASGIApp:
    """Everything below the API's prefix, over the routers of the node's roles."""
    app = FastAPI(
        title="Kontor operator API",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            KontorError: _on_fault,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http,
            Exception: _on_fault,
        },
    )
    describe = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(describe())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
    for router in rooms:
        # the routes themselves, not `include_router`: that builds each of them again, and once more at the first request
        app.router.routes.extend(router.routes)
    # `/api/v1/participants/{participant}/negotiations/...`: the third word and the fifth tell rooms apart
    app.router.middleware_stack = Indexed(app.router.routes, (3, 5), app.router.app)
    return app


def _completed(tree: dict[str, Any]) -> dict[str, Any]:
    """The description with what the framework does not know: how a key is shown, and the media type of errors."""
    tree["components"]["securitySchemes"] = SCHEMES
    for operations in tree["paths"].values():
        for operation in operations.values():
            operation["security"] = [{name: []} for name in SCHEMES]
            for status, response in operation["responses"].items():
                if status[0] in "45":
                    content = response.get("content", {})
                    response["content"] = {errors.PROBLEM.decode(): one for one in content.values()}
    return tree


async def _on_fault(request: Request, fault: Exception) -> Response:
    verdict = errors.judge(fault, is_operator=True)
    edge.note(request.scope, error_id=verdict.error_id, cause=verdict.text)
    headers = {name.decode(): value.decode() for name, value in verdict.headers}
    return Response(errors.problem_body(verdict), verdict.status, headers, media_type=errors.PROBLEM.decode())


async def _on_invalid(request: Request, fault: Exception) -> Response:
    """All that is wrong with a body or with parameters, in one answer."""
    assert isinstance(fault, RequestValidationError)
    found = [(json_path(_place(error["loc"])), _said(error)) for error in fault.errors()]
    lines = [said if not where or i == 0 else f"`{where}`: {said}" for i, (where, said) in enumerate(found)]
    mend = f"see {OPENAPI} for what this address takes"
    return await _on_fault(request, BadMessage("; ".join(lines), where=found[0][0], mend=mend))


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where in a body or among the parameters; the first part only says which of the two."""
    return location[1:] if len(location) > 1 else location


def _said(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown member"
    said = str(error["msg"]).removeprefix("Value error, ")
    return said[:1].lower() + said[1:]


async def _on_http(request: Request, fault: Exception) -> Response:
    """What the framework refuses by itself: unknown addresses and methods."""
    assert isinstance(fault, HTTPException)
    mend = f"see {OPENAPI} for the addresses"
    if fault.status_code == MethodNotAllowed.status:
        allowed = tuple((fault.headers or {}).get("Allow", "").split(", "))
        return await _on_fault(request, MethodNotAllowed("this method is not for this address", allowed=allowed, mend=mend))
    if fault.status_code == NotFound.status:
        return await _on_fault(request, NotFound("there is no such address", where=request.url.path, mend=mend))
    return await _on_fault(request, BadMessage(str(fault.detail), mend=mend))
