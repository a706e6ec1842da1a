"""Which participant a request of an operator is about, and whether the operator may do there what it asks for.

The gate has proven the operator and held the method against its role; here stand the routes that need more than their method says.
Dependencies are coroutines though they wait for nothing: the framework would run functions in a thread, at many times their cost.
None stands on another, and the schemes of the header are no dependencies: walking through those took longer than the use case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Request

from connector.ports.operators import ALL, Operator, OperatorRole
from connector.web.operator.gate import STATE, STILL, check

SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "A key of the operator API."},
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same key, or an access token of the configured provider.",
    },
}
"""How a request may show its key, as OpenAPI describes it. Source: OpenAPI 3.1, 4.8.27."""

_Named = Annotated[str, Path(description="Local name of the participant context.")]


async def _shown_key(request: Request) -> Operator:
    operator = request.scope["state"][STATE]
    assert isinstance(operator, Operator)
    return operator


ShownKey = Annotated[Operator, Depends(_shown_key)]
"""Whose request it is."""


async def _still_let_in(request: Request) -> Callable[[], Awaitable[None]]:
    found: Callable[[], Awaitable[None]] = request.scope["state"][STILL]
    return found


StillLetIn = Annotated[Callable[[], Awaitable[None]], Depends(_still_let_in)]
"""For answers that take their time: returns while the key or token that was shown is still good here, and raises CallerError when not."""


async def _participant(request: Request, participant: _Named) -> str:
    # also for participants that do not exist: a key limited to others does not learn which do
    check(await _shown_key(request), OperatorRole.READ, participant)
    return participant


Participant = Annotated[str, Depends(_participant)]
"""The participant context that the address names and the operator may look at."""


async def _operated(request: Request, participant: _Named) -> str:
    check(await _shown_key(request), OperatorRole.OPERATE, await _participant(request, participant))
    return participant


Operated = Annotated[str, Depends(_operated)]
"""The participant context, for reading what only those who act for it may see (its data, and what opens it), and for asking others
in its name."""


async def _administered(request: Request, participant: _Named) -> str:
    check(await _shown_key(request), OperatorRole.ADMIN, await _participant(request, participant))
    return participant


Administered = Annotated[str, Depends(_administered)]
"""The participant context, for what only its administrators may see."""


async def _administrator(request: Request) -> Operator:
    operator = await _shown_key(request)
    check(operator, OperatorRole.ADMIN, None)
    return operator


Administrator = Annotated[Operator, Depends(_administrator)]
"""Whose request it is: an administrator of something; of what, the use case asks."""


async def _node_administrator(request: Request) -> Operator:
    operator = await _shown_key(request)
    check(operator, OperatorRole.ADMIN, ALL)
    return operator


NodeAdministrator = Annotated[Operator, Depends(_node_administrator)]
"""Whose request it is: an administrator of the node itself."""
