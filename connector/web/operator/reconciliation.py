"""Routes: processes compared with what their peers hold them for, and what came of it."""

from __future__ import annotations

from fastapi import APIRouter

from connector.api.reconciliation import ProcessFinding, Reconciliation, ReconciliationWish, StrayProcess, WaitingPeer
from connector.controlplane.reconciled import Reconciled, reconciled
from connector.errors import NotFound
from connector.ports.jobs import Job
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.rooms import room


def routes(parts: Parts) -> APIRouter:
    """`/reconciliations`, below a participant."""
    router = room("reconciliations", "/participants/{participant}/reconciliations")

    @router.post("", status_code=201)
    async def begin_reconciliation(participant: Participant, wanted: ReconciliationWish) -> Reconciliation:
        """A comparison with our peers, begun; look at it again to see what comes of it."""
        await parts.participants.context(participant)
        run = await parts.reconciling.begin(participant, peer=wanted.peer, is_dry=wanted.dry_run)
        return await shown(participant, run)

    @router.get("/latest")
    async def get_latest_reconciliation(participant: Participant) -> Reconciliation:
        """The comparison that was begun last, by whomever."""
        await parts.participants.context(participant)
        return await shown(participant, None)

    @router.get("/{run}")
    async def get_reconciliation(participant: Participant, run: str) -> Reconciliation:
        """One comparison."""
        await parts.participants.context(participant)
        return await shown(participant, run)

    async def shown(participant: str, run: str | None) -> Reconciliation:
        found = await reconciled(parts.store, participant, run)
        if found is None:
            raise NotFound("there is no such comparison", where=run or "latest", mend="begin one: `kontor reconcile`")
        strays = [
            StrayProcess(at=one.at, kind=one.kind, id=one.id, peer=one.peer) for one in await parts.strays.of(participant)
        ]
        return _view(found, strays)

    return router


def _view(found: Reconciled, strays: list[StrayProcess]) -> Reconciliation:
    return Reconciliation(
        run=found.run,
        begun_at=found.begun_at,
        cause=found.cause,
        dry_run=found.is_dry,
        is_done=found.is_done,
        peers=dict(found.peers),
        same=found.same,
        findings=[ProcessFinding.model_validate(dict(one)) for one in found.found],
        waiting=[_waiting(job) for job in found.waiting],
        strays=strays,
    )


def _waiting(job: Job) -> WaitingPeer:
    return WaitingPeer(
        peer=str(job.body["peer"]),
        processes=len(job.body["places"]),
        not_before=job.not_before,
        tries=job.tries,
        failure=job.failures[-1].cause if job.failures else None,
        given_up_at=job.given_up_at,
    )
