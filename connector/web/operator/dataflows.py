"""Routes: what our data plane serves under control planes of others, and what it has fetched or received for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import FileResponse

from connector.api.common import Listing
from connector.api.dataflows import DataFlow
from connector.errors import NotFound
from connector.ports.dataplane import DataPlane
from connector.signaling.flows import HOME, Flow
from connector.signaling.shelf import Flows
from connector.web.operator.keys import NodeAdministrator
from connector.web.operator.rooms import room

FlowId = Annotated[str, Path(pattern=r"^[0-9a-f]{40}$", description="Our own id of the flow.")]


def routes(flows: Flows, plane: DataPlane) -> APIRouter:
    """`/dataflows`."""
    router = room("dataflows", "/dataflows")

    @router.get("")
    async def list_dataflows(operator: NodeAdministrator) -> Listing[DataFlow]:
        """The data flows that are kept: those that are over for a week."""
        found = [_shown(flow) async for flow in flows.all()]
        return Listing(items=found, total=len(found))

    @router.get("/{flow}/data", response_class=FileResponse)
    async def get_dataflow_data(operator: NodeAdministrator, flow: FlowId) -> FileResponse:
        """What a push has delivered, or a pull was fetched as."""
        path = plane.received_file(HOME, flow)
        if path is None:
            raise NotFound("nothing has arrived completely", where=flow, mend="wait until the flow is COMPLETED")
        return FileResponse(path)

    return router


def _shown(flow: Flow) -> DataFlow:
    return DataFlow(
        id=flow.id,
        control_plane=flow.control_plane,
        flow_id=flow.flow_id,
        role="provider" if flow.is_provider else "consumer",
        state=flow.state.value,
        dataset=flow.dataset_id,
        profile=flow.profile,
        counter_party=flow.counter_party_id,
        moved_bytes=flow.moved_bytes,
        digest=flow.digest,
        reason=flow.reason,
        updated_at=flow.updated_at,
    )
