"""Addresses of our data plane on the signaling listener, in both dialects, and the one public address that the standard adds: renewal.

What lives here: one handler an address; the answer is in the dialect that was asked. What does not: proving the caller
(`signaling/drivers.py`), and what a call does to a flow (`signaling/table.py`).
Source: Data Plane Signaling v1.0-RC3, "Data Plane Endpoint", "Control Plane Registration", profile "Token Renewal"; EDC 0.15.1.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from urllib.parse import parse_qs, quote

import orjson
from starlette.routing import BaseRoute

from connector.controlplane.limits import Limiter
from connector.dps import legacy, standard
from connector.dps.flow import Call
from connector.dps.messages import Dialect, Status
from connector.errors import BadMessage, IllegalTransition, NotFound
from connector.signaling.drivers import Drivers
from connector.signaling.flows import HOME
from connector.signaling.renewal import Renewal
from connector.signaling.table import FlowTable
from connector.web.signaling.door import Called, Reply, at

_NOTES = frozenset(Call) - {Call.PREPARE, Call.START}


class _Data:
    def __init__(self, drivers: Drivers, table: FlowTable) -> None:
        self._drivers = drivers
        self._table = table

    async def prepare(self, called: Called) -> Reply:
        return await self._order(called, Call.PREPARE)

    async def start(self, called: Called) -> Reply:
        return await self._order(called, Call.START)

    async def either(self, called: Called) -> Reply:
        return await self._order(called, None)

    async def _order(self, called: Called, call: Call | None) -> Reply:
        caller = await self._drivers.prove(called.authorization)
        if legacy.is_legacy(called.body) is not (caller.dialect is Dialect.EDC):
            what = f"this control plane is registered to speak `{caller.dialect}`"
            raise BadMessage(what, mend="speak it, or have that changed")
        if caller.dialect is Dialect.EDC:
            order = legacy.read_order(called.body)
            if call is not None and order.call is not call:
                raise BadMessage("this message belongs to another address", where="@type", mend=f"post it to `{order.call}`")
            # 200 for what is under way, too: EDC takes every other success for a failure
            return Reply(body=legacy.write_response(await self._table.order(caller, order)))
        if call is None:
            raise NotFound("there is no such address", where="/dataflows", mend="post to `prepare` or `start`")
        status = await self._table.order(caller, standard.read_order(called.body, call))
        if not status.state.is_underway:
            return Reply(body=_answer(status))
        location = f"/dataflows/{quote(status.flow_id or '', safe='')}/status"
        return Reply(status=202, body=_answer(status), headers=((b"location", location.encode()),))

    async def note(self, called: Called) -> Reply:
        caller = await self._drivers.prove(called.authorization)
        name = called.at["call"]
        if name not in tuple(_NOTES):
            raise NotFound("there is no such call", where=name)
        call = Call(name)
        if caller.dialect is Dialect.EDC:
            if call not in (Call.SUSPEND, Call.TERMINATE):
                raise IllegalTransition(f"this dialect has no `{call}`", where=name)
            await self._table.note(caller, called.at["id"], legacy.read_note(called.body, call))
            return Reply(status=204)
        status = await self._table.note(caller, called.at["id"], standard.read_note(called.body, call))
        return Reply(body=_answer(status))

    async def status(self, called: Called) -> Reply:
        caller = await self._drivers.prove(called.authorization)
        found = await self._table.status(caller, called.at["id"])
        if caller.dialect is Dialect.EDC:
            return Reply(body=legacy.write_state(found.state))
        return Reply(body=standard.write_status(Status(state=found.state, flow_id=found.flow_id)))

    async def check(self, called: Called) -> Reply:
        # EDC asks once a minute, and has nothing to prove itself with
        return Reply(status=204)

    async def register(self, called: Called) -> Reply:
        caller = await self._drivers.prove(called.authorization)
        await self._drivers.register(caller, standard.read_control_plane(called.body))
        return Reply()

    async def leave(self, called: Called) -> Reply:
        await self._drivers.leave(called.authorization, called.at["id"])
        return Reply(status=204)


def _answer(status: Status) -> bytes:
    """A status as the schema wants it: with a message id, also where the call had none."""
    return standard.write_status(replace(status, message_id=status.message_id or uuid.uuid4().urn))


def routes(drivers: Drivers, table: FlowTable) -> list[BaseRoute]:
    """The addresses of the signaling listener below `/v1`."""
    here = _Data(drivers, table)
    base = "/v1/dataflows"
    return [
        at(base, POST=here.either),
        at(f"{base}/prepare", POST=here.prepare),
        at(f"{base}/start", POST=here.start),
        at(f"{base}/check", GET=here.check),
        at(f"{base}/{{id}}/status", GET=here.status),
        at(f"{base}/{{id}}/state", GET=here.status),
        at(f"{base}/{{id}}/{{call}}", POST=here.note),
        at("/v1/controlplanes", PUT=here.register),
        at("/v1/controlplanes/{id}", DELETE=here.leave),
    ]


def renewal(renewing: Renewal, limiter: Limiter) -> list[BaseRoute]:
    """The public address where consumers get a new token; it does not lie below `/data/`, where workers of their own may answer."""

    async def refresh(called: Called) -> Reply:
        with limiter.request(HOME):
            return await _refreshed(called)

    async def _refreshed(called: Called) -> Reply:
        form = parse_qs((called.body or called.query).decode("ascii", "replace"), max_num_fields=10)
        if form.get("grant_type") != ["refresh_token"] or len(form.get("refresh_token", ())) != 1:
            raise BadMessage("a token is renewed by `grant_type=refresh_token` and one `refresh_token`", where="grant_type")
        token = await renewing.renew(called.at["id"], form["refresh_token"][0], called.authorization)
        tree = {
            "access_token": token.access,
            "token_type": "Bearer",
            "expires_in": token.seconds,
        }
        return Reply(body=orjson.dumps(tree), headers=((b"cache-control", b"no-store"),))

    return [at(f"/{HOME}/refresh/{{id}}", POST=refresh)]
