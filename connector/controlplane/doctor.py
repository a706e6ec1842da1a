"""What only the node itself can see of itself: its store, its disk, its workers, settings that weaken a check.

What lives here: `node_findings`. What does not: how a participant looks from outside (`identity/examination.py`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from typing import Final

from connector.api.doctor import Finding
from connector.errors import KontorError
from connector.ports.store import Store
from connector.settings import Settings

_ANSWERS_WITHIN_S: Final = 5.0
_SLOW_S: Final = 0.5
_LEAST_FREE_BYTES: Final = 1 << 30


async def node_findings(store: Store, settings: Settings, faults: Callable[[], tuple[str, ...]]) -> tuple[Finding, ...]:
    """The findings, each with how to mend it."""
    return (
        await _store(store),
        _disk(settings),
        *(
            Finding(check="worker", state="error", what=one, mend="see the log for why; report it if it comes again")
            for one in faults()
        ),
        *(
            Finding(
                check="unsafe",
                state="warning",
                what="a setting weakens a check",
                where=name,
                mend="take it out before peers elsewhere join",
            )
            for name in settings.unsafe()
        ),
    )


async def _store(store: Store) -> Finding:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            await store.next_moment()
    except TimeoutError:
        what = f"the store does not answer within {_ANSWERS_WITHIN_S:.0f} s"
        return Finding(
            check="store", state="error", what=what, where="store.url", mend="see its disk, its server and the network"
        )
    except KontorError as fault:
        return Finding(check="store", state="error", what=fault.what, where="store.url", mend=fault.mend or "see its log")
    took = time.perf_counter() - begun
    what = f"the store answers in {took * 1000:.0f} ms"
    if took > _SLOW_S:
        return Finding(check="store", state="warning", what=what, where="store.url", mend="see its disk and its load")
    return Finding(check="store", state="ok", what=what, where="store.url")


def _disk(settings: Settings) -> Finding:
    folder = settings.node.data_dir
    try:
        free = shutil.disk_usage(folder).free
    except OSError as fault:
        what = f"the data folder cannot be read: {(fault.strerror or str(fault)).lower()}"
        return Finding(check="disk", state="error", what=what, where=str(folder), mend="see `node.data_dir`")
    what = f"{free / (1 << 30):.1f} GiB are free"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            check="disk", state="error", what=what, where=str(folder), mend="make room: nothing is stored on a full disk"
        )
    return Finding(check="disk", state="ok", what=what, where=str(folder))
