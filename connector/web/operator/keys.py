"""Which participant a request of an operator is about, and whether the key that it came with is good for it.

The gate has checked the key; the two schemes here describe the header in the API's description. Dependencies are coroutines though
they wait for nothing: the framework would run functions in a thread, at many times their cost.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import APIKeyHeader, HTTPBearer

from connector.errors import Forbidden
from connector.web.operator.gate import STATE, Key

_HEADER = APIKeyHeader(name="X-Api-Key", auto_error=False, description="A key of the operator API.")
_BEARER = HTTPBearer(auto_error=False, description="The same key as a bearer token.")


async def _shown_key(
    request: Request, header: Annotated[object, Depends(_HEADER)], bearer: Annotated[object, Depends(_BEARER)]
) -> Key:
    key = request.scope["state"][STATE]
    assert isinstance(key, Key)
    return key


ShownKey = Annotated[Key, Depends(_shown_key)]
"""The key that the request came with."""


async def _participant(
    key: ShownKey, participant: Annotated[str, Path(description="Local name of the participant context.")]
) -> str:
    if not key.opens(participant):
        # also for participants that do not exist: a key limited to others does not learn which do
        raise Forbidden(
            f"key `{key.name}` is not good for participant `{participant}`",
            where="participant",
            mend="use another key, or add the participant to the key in `operator.api_keys`",
        )
    return participant


Participant = Annotated[str, Depends(_participant)]
"""The participant context that the address names and the key is good for."""
