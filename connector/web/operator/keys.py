"""Which participant a request of an operator is about, and whether the operator may do there what it asks for.

The gate has proven the operator and held the method against its role; here stand the routes that need more than their method says.
The two schemes describe the header in the API's description. Dependencies are coroutines though they wait for nothing: the
framework would run functions in a thread, at many times their cost.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from connector.ports.operators import ALL, Operator, OperatorRole
from connector.web.operator.gate import STATE, check

_HEADER = APIKeyHeader(name="X-Api-Key", auto_error=False, description="A key of the operator API.")
_BEARER = HTTPBearer(auto_error=False, description="The same key, or an access token of the configured provider.")


async def _shown_key(
    request: Request, header: Annotated[object, Depends(_HEADER)], bearer: Annotated[object, Depends(_BEARER)]
) -> Operator:
    operator = request.scope["state"][STATE]
    assert isinstance(operator, Operator)
    return operator


ShownKey = Annotated[Operator, Depends(_shown_key)]
"""Whose request it is."""


async def _participant(
    operator: ShownKey, participant: Annotated[str, Path(description="Local name of the participant context.")]
) -> str:
    # also for participants that do not exist: a key limited to others does not learn which do
    check(operator, OperatorRole.READ, participant)
    return participant


Participant = Annotated[str, Depends(_participant)]
"""The participant context that the address names and the operator may look at."""


async def _operated(operator: ShownKey, participant: Participant) -> str:
    check(operator, OperatorRole.OPERATE, participant)
    return participant


Operated = Annotated[str, Depends(_operated)]
"""The participant context, for reading what only those who act for it may see: its data, and what opens it."""


async def _administered(operator: ShownKey, participant: Participant) -> str:
    check(operator, OperatorRole.ADMIN, participant)
    return participant


Administered = Annotated[str, Depends(_administered)]
"""The participant context, for what only its administrators may see."""


async def _administrator(operator: ShownKey) -> Operator:
    check(operator, OperatorRole.ADMIN, None)
    return operator


Administrator = Annotated[Operator, Depends(_administrator)]
"""Whose request it is: an administrator of something; of what, the use case asks."""


async def _node_administrator(operator: ShownKey) -> Operator:
    check(operator, OperatorRole.ADMIN, ALL)
    return operator


NodeAdministrator = Annotated[Operator, Depends(_node_administrator)]
"""Whose request it is: an administrator of the node itself."""
