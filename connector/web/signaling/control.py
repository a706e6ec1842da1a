"""Addresses of a control plane on the signaling listener, below a participant's name: reports, agreements, registrations.

What lives here: both dialects, one handler an address. What does not: proving the caller (`signaling/callers.py`), what a report does to a
transfer (`controlplane/reports.py`).
Source: Data Plane Signaling v1.0-RC3, "Control Plane Endpoint" and "Data Plane Registration"; EDC 0.15.1 and 0.17 for the older addresses.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import BaseRoute

from connector.dps import legacy, standard
from connector.dps.flow import FlowState, Report
from connector.dps.messages import Dialect, PlaneRegistration, Status
from connector.errors import NotFound
from connector.ports.signaling import FlowEvents
from connector.signaling.admission import Admission
from connector.signaling.entries import Entry
from connector.web.signaling.door import Called, Reply, at


class _Control:
    def __init__(self, admission: Admission, events: FlowEvents) -> None:
        self._admission = admission
        self._events = events

    async def _plane(self, called: Called) -> Entry:
        return await self._admission.plane(called.at["participant"], called.authorization)

    # --- reports

    async def report(self, called: Called) -> Reply:
        plane = await self._plane(called)
        name = called.at["report"]
        if name not in tuple(Report):
            raise NotFound("there is no such report", where=name)
        status = standard.read_status(called.body)
        await self._events.reported(plane.participant, called.at["pid"], plane.id, Report(name), status)
        return Reply()

    async def agreement(self, called: Called) -> Reply:
        plane = await self._plane(called)
        return Reply(body=await self._events.agreement(plane.participant, called.at["pid"], plane.id))

    async def complete(self, called: Called) -> Reply:
        plane = await self._plane(called)
        status = Status(state=FlowState.COMPLETED)
        await self._events.reported(plane.participant, called.at["pid"], plane.id, Report.COMPLETED, status)
        return Reply(status=204)

    async def fail(self, called: Called) -> Reply:
        plane = await self._plane(called)
        await self._events.failed(plane.participant, called.at["pid"], plane.id, legacy.read_failure(called.body))
        return Reply(status=204)

    async def provisioned(self, called: Called) -> Reply:
        plane = await self._plane(called)
        status = Status(state=FlowState.PREPARED, address=legacy.read_provisioned(called.body))
        await self._events.provisioned(plane.participant, called.at["pid"], plane.id, status)
        return Reply(status=204)

    # --- registrations

    async def register(self, called: Called) -> Reply:
        await self._registered(called, lambda: False)
        return Reply()

    async def register_legacy(self, called: Called) -> Reply:
        return Reply(body=legacy.write_id((await self._registered(called, lambda: True)).id))

    async def register_either(self, called: Called) -> Reply:
        # the shape tells the dialect: EDC 0.17 and later register here with either
        found = await self._registered(called, lambda: legacy.is_legacy(called.body))
        return Reply(body=legacy.write_id(found.id)) if found.dialect is Dialect.EDC else Reply()

    async def _registered(self, called: Called, is_legacy: Callable[[], bool]) -> PlaneRegistration:
        """What a plane has registered: nothing of its message is read before it is known who sends it."""
        participant = called.at["participant"]
        caller = await self._admission.registering(participant, called.authorization)
        wanted = legacy.read_plane(called.body) if is_legacy() else standard.read_plane(called.body)
        await self._admission.register(participant, caller, wanted)
        return wanted

    async def leave(self, called: Called) -> Reply:
        await self._admission.leave(called.at["participant"], called.authorization, called.at["id"])
        return Reply(status=204)


def routes(admission: Admission, events: FlowEvents) -> list[BaseRoute]:
    """The addresses below a participant's name."""
    here = _Control(admission, events)
    one = "/{participant}"
    return [
        at(f"{one}/transfers/{{pid}}/dataflow/{{report}}", POST=here.report),
        at(f"{one}/transfers/{{pid}}/agreement", GET=here.agreement),
        at(f"{one}/dataplanes", PUT=here.register),
        at(f"{one}/dataplanes/{{id}}", DELETE=here.leave),
        at(f"{one}/transferprocess/{{pid}}/complete", POST=here.complete),
        at(f"{one}/transferprocess/{{pid}}/fail", POST=here.fail),
        at(f"{one}/transferprocess/{{pid}}/provisioned", POST=here.provisioned),
        at(f"{one}/v1/dataplanes", POST=here.register_legacy),
        at(f"{one}/v1/dataplanes/{{id}}", DELETE=here.leave),
        at(f"{one}/v1/dataplanes/{{id}}/unregister", PUT=here.leave),
        at(f"{one}/v4/dataplanes", PUT=here.register_either),
        at(f"{one}/v4/dataplanes/{{id}}", DELETE=here.leave),
    ]
