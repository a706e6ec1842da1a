"""The query parameters that lists share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from connector.dsp.tables import Role, State
from connector.ports.store import Filter

Cursor = Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the part before.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


async def _fitting(
    state: Annotated[State | None, Query(description="Protocol state.")] = None,
    role: Annotated[Role | None, Query(description="Our role.")] = None,
    peer: Annotated[str | None, Query(description="The peer's participant id.")] = None,
    dataset: Annotated[str | None, Query(description="Dataset id.")] = None,
    agreement: Annotated[str | None, Query(description="Agreement id (transfers).")] = None,
    held: Annotated[bool | None, Query(description="Only those that wait for a person, or only those that do not.")] = None,
) -> Filter:
    return Filter(state=state, role=role, peer=peer, dataset=dataset, agreement_id=agreement, is_held=held)


Fitting = Annotated[Filter, Depends(_fitting)]
"""Which processes or agreements to list."""
