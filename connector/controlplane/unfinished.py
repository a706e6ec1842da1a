"""What a node has given up: background work, and messages that no peer took. Each with how to mend it.

What lives here: `given_up_work`, of a context, and `given_up_messages`, of a participant. What does not: trying again
(`jobs.py`, `delivery.py`), and what else an examination finds (`doctor.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connector.api.doctor import Finding
from connector.controlplane.reconciling import RECONCILE
from connector.dsp.process import Process
from connector.dsp.tables import DELIVERY_FAILED, Kind, State
from connector.ports.jobs import Jobs
from connector.ports.store import Filter, Store

_SINCE: Final = timedelta(days=7)
"""What ended earlier is history."""
_LOOKED_AT: Final = 200
"""Of the latest that have ended."""
_COMMANDS: Final = {"authority": " --of authority", "@catalog": " --of catalog"}


async def given_up_work(jobs: Jobs, context: str) -> tuple[Finding, ...]:
    """Whether work of `context` was given up; nothing where none was.

    Raises: StoreUnavailable.
    """
    page = await jobs.page(context, is_given_up=True, limit=1)
    if not page.items:
        return ()
    latest = page.items[0]
    cause = f": {latest.failures[-1].cause}" if latest.failures else ""
    return (
        Finding(
            check="work",
            state="warning",
            what=f"{_many(page.total, 'job was', 'jobs were')} given up, the latest `{latest.kind}`{cause}",
            where=latest.id,
            mend=f"see `kontor jobs list --given-up{_COMMANDS.get(context, '')}`; `kontor jobs retry` begins it anew",
        ),
    )


async def uncompared(jobs: Jobs, participant: str) -> tuple[Finding, ...]:
    """Whether processes of `participant` wait to be compared with their peers, as after a restore; nothing where none do.

    Raises: StoreUnavailable.
    """
    page = await jobs.page(participant, kind=RECONCILE, limit=1)
    if not page.items:
        return ()
    peer, failures = page.items[0].body.get("peer"), page.items[0].failures
    cause = f": {failures[-1].cause}" if failures else ""
    return (
        Finding(
            check="peers",
            state="warning",
            what=f"processes are not compared with each peer yet, such as `{peer}`{cause}",
            where=str(peer),
            mend="after a restore nothing is given out under them before: see `kontor reconcile --last`",
        ),
    )


async def given_up_messages(store: Store, participant: str, now: datetime) -> tuple[Finding, ...]:
    """Whether messages of `participant` were given up of late, so that their processes ended; nothing where none were.

    Raises: StoreUnavailable.
    """
    found: list[Finding] = []
    for kind in (Kind.NEGOTIATION, Kind.TRANSFER):
        page = await store.processes(kind, participant, Filter(state=State.TERMINATED), limit=_LOOKED_AT)
        lost = [one for one in page.items if _is_lost(one) and one.updated_at > now - _SINCE]
        if lost:
            found.append(_message(kind, lost))
    return tuple(found)


def _is_lost(process: Process) -> bool:
    """Whether an ended process was ended by a message that could not be delivered: the last one, or one before the end was told."""
    return process.error is not None or process.code == DELIVERY_FAILED


def _message(kind: Kind, lost: list[Process]) -> Finding:
    latest = max(lost, key=lambda one: one.updated_at)
    what = f"{_many(len(lost), kind.value, f'{kind.value}s')} of the last week ended because a message could not be delivered"
    return Finding(
        check="messages",
        state="warning",
        what=f"{what}; the latest to `{latest.peer}`: {latest.error or '; '.join(latest.reasons)}",
        where=latest.pid,
        mend=f"see `kontor show {latest.pid}` for every attempt, and `kontor doctor {latest.peer_address}` for the peer; then begin anew",
    )


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
