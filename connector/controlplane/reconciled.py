"""What came of a comparison with peers, as it stands now: read from the journal, and from the jobs that are not done.

What does not live here: comparing (`reconciling.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from connector.controlplane.reconciling import RECONCILE, STREAM
from connector.ports.jobs import Job
from connector.ports.store import Store

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A comparison."""

    run: str
    begun_at: datetime
    cause: str
    is_dry: bool
    peers: Mapping[str, int]
    """How many processes with each peer were to be compared."""
    same: int
    """Processes that stand alike on both sides, and always did."""
    found: tuple[Mapping[str, Any], ...]
    """The last finding of each other process, oldest first."""
    waiting: tuple[Job, ...]
    """What is not done, or was given up."""

    @property
    def is_done(self) -> bool:
        """True when nothing more comes by itself."""
        return all(job.given_up_at is not None for job in self.waiting)


async def reconciled(store: Store, participant: str, run: str | None = None) -> Reconciled | None:
    """The comparison `run`, or the latest; None when there is none, or it is older than what is kept.

    Raises: StoreUnavailable.
    """
    of_run: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    same: dict[str, dict[tuple[str, int], int]] = {}
    cursor: str | None = None
    while True:
        page = await store.journal.page(participant, STREAM, cursor=cursor, limit=_PAGE, is_newest_first=True)
        for entry in page.items:
            body = entry.body
            its = str(body["run"])
            if body["what"] == "found":
                of_run.setdefault(its, {}).setdefault((body["kind"], body["pid"]), body)
            elif body["what"] == "same":
                same.setdefault(its, {}).setdefault((body["peer"], body["part"]), int(body["count"]))
            elif run in (None, its):
                return Reconciled(
                    run=its,
                    begun_at=entry.at,
                    cause=body["cause"],
                    is_dry=body["is_dry"],
                    peers=body["peers"],
                    same=sum(same.get(its, {}).values()),
                    found=tuple(reversed(of_run.get(its, {}).values())),
                    waiting=await _waiting(store, participant, its),
                )
        cursor = page.next_cursor
        if cursor is None:
            return None


async def _waiting(store: Store, participant: str, run: str) -> tuple[Job, ...]:
    found: list[Job] = []
    cursor: str | None = None
    while True:
        page = await store.jobs.page(participant, kind=RECONCILE, cursor=cursor, limit=_PAGE)
        found += [job for job in page.items if job.body.get("run") == run]
        cursor = page.next_cursor
        if cursor is None:
            return tuple(found)
