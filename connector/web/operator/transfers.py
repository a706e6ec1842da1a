"""Routes: transfers, begun and acted in by an operator, and their data."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connector.api.common import Listing
from connector.api.transfers import DataAddress, NewTransfer, Transfer, TransferAct, TransferStep
from connector.controlplane.terms import TransferWish
from connector.dsp import transfer as dsp
from connector.dsp.process import Process
from connector.dsp.tables import Kind
from connector.errors import NotFound
from connector.ports.dataplane import DataRequest, Served
from connector.web import data
from connector.web.operator import views
from connector.web.operator.keys import Operated, Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Fitting, Limit
from connector.web.operator.rooms import room

_PASSED_ON = frozenset({"range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "accept"})
FilePath = Annotated[str, Query(max_length=4096, description="A file below the root of a folder; empty: the whole.")]


class Flowing(Response):
    """Sends what the data plane collects. Opened only when it is sent, so that nothing runs for a caller who has left."""

    def __init__(self, opened: AbstractAsyncContextManager[Served]) -> None:
        super().__init__()
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await data.relay(self._opened, scope, receive, send, is_operator=True)


def routes(parts: Parts) -> APIRouter:
    """`/transfers`, below a participant."""
    router = room("transfers", "/participants/{participant}/transfers")

    @router.get("")
    async def list_transfers(
        participant: Participant, fitting: Fitting, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[Transfer]:
        """Transfers that fit, newest first."""
        await parts.participants.context(participant)
        page = await parts.store.processes(Kind.TRANSFER, participant, fitting, cursor=cursor, limit=limit)
        return views.listing(page, _view)

    @router.post("", status_code=201)
    async def begin_transfer(participant: Participant, wanted: NewTransfer) -> Transfer:
        """A transfer, asked for; look at it again to see how it goes on."""
        wish = TransferWish(
            agreement=wanted.agreement,
            format=wanted.format,
            address=wanted.address.rstrip("/") if wanted.address else None,
            purpose=wanted.purpose,
            destination=views.destination(wanted.destination) if wanted.destination else None,
            plane=wanted.data_plane,
        )
        return views.transfer(await parts.transfers.start(participant, wish))

    @router.get("/{pid}")
    async def get_transfer(participant: Participant, pid: str) -> Transfer:
        """One transfer."""
        return views.transfer(await _known(parts, participant, pid))

    @router.get("/{pid}/data-address")
    async def get_data_address(participant: Operated, pid: str) -> DataAddress:
        """Where the data of a pull is fetched, for a program that goes there itself; whoever holds it can read the data."""
        found = await _known(parts, participant, pid)
        if found.is_provider or found.address is None:
            raise NotFound("no data address has come for this transfer", where=pid, mend="wait until it is STARTED")
        # whoever goes there itself cannot be watched: that is a use, and all that we see of it
        use = await parts.access.may_collect(participant, found)
        await use.begin()
        use.end(0)
        await parts.collecting.show(found)
        return views.address(found.address)

    @router.get(
        "/{pid}/data",
        status_code=200,
        response_class=Flowing,
        responses={
            200: {"content": {"application/octet-stream": {}}, "description": "The data, or a part of it."},
            206: {"content": {"application/octet-stream": {}}, "description": "The range that was asked for."},
        },
    )
    async def get_data(participant: Operated, pid: str, request: Request, path: FilePath = "") -> Response:
        """The data of a transfer: a pull is fetched from the provider as it flows, a push is what has arrived here."""
        found = await _known(parts, participant, pid)
        headers = {name: value for name, value in request.headers.items() if name in _PASSED_ON}
        use = await parts.access.may_collect(participant, found) if not found.is_provider else None
        return Flowing(parts.collecting.collect(found, DataRequest(path=path, headers=headers), use))

    @router.post("/{pid}/{act}")
    async def act_in_transfer(
        participant: Participant, pid: str, act: TransferAct, step: TransferStep | None = None
    ) -> Transfer:
        """The transfer after an act of ours, which may still be on its way to the peer."""
        given = step or TransferStep()
        return views.transfer(await parts.transfers.act(participant, pid, act, code=given.code, reason=given.reason))

    return router


async def _known(parts: Parts, participant: str, pid: str) -> dsp.Transfer:
    await parts.participants.context(participant)
    return await parts.transfers.get(participant, pid)


def _view(found: Process) -> Transfer:
    assert isinstance(found, dsp.Transfer)
    return views.transfer(found)
