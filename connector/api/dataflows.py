"""Data flows that our data plane serves under control planes of others."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from connector.api.common import RoleName, Shown


class DataFlow(Shown):
    """A data flow, without what opens its data."""

    id: str = Field(description="Our own id of it.")
    control_plane: str
    flow_id: str = Field(description="As its control plane calls it.")
    role: RoleName = Field(description="Whose side we are on.")
    state: str
    dataset: str
    profile: str
    counter_party: str
    moved_bytes: int = 0
    digest: str | None = None
    reason: str = ""
    updated_at: datetime
