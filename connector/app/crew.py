"""Data workers as processes of the node: started, watched, stopped.

What lives here: `employ`, which runs one of them for as long as it lives. What does not: the process itself (`dataworker.py`), what
it asks (`dataplane/workers.py`), starting it again (`node.py`, as for every worker of a node).
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from connector import observe
from connector.ports.pulse import resting
from connector.settings import Settings

if TYPE_CHECKING:
    from connector.app.listening import Listening
    from connector.dataplane.workers import Crew

_ENDS_WITHIN_S: Final = 5.0


async def employ(crew: Crew, settings: Settings, at: Listening, number: int) -> None:
    """One data worker at the listening socket `at`, until it ends; when the node leaves, until this is cancelled.

    Raises: ChildProcessError when it has ended by itself.
    """
    from connector.dataplane.channel import pair

    ours, theirs = pair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "connector.app.dataworker", str(theirs.fileno()), str(at.fileno())),
            pass_fds=(theirs.fileno(), at.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
        )
    with ours, crew.attached(ours, settings, number) as worker:
        serving = asyncio.create_task(worker.channel.serve())
        try:
            observe.info("data.worker", number=number, pid=process.pid)
            with resting():
                await asyncio.wait([serving])
        finally:
            serving.cancel()
            # cancelled or not: a process that nobody waits for stays in the system's table
            await _surely(asyncio.create_task(_ended(process, serving)))
    if crew.is_leaving:
        await asyncio.Event().wait()
    raise ChildProcessError(f"it ended with code {process.returncode}")


async def _surely(task: asyncio.Task[None]) -> None:
    """Wait until `task` is done, whatever comes; who is cancelled meanwhile is cancelled then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as found:
            cancelled = found
    if cancelled is not None:
        raise cancelled


async def _ended(process: asyncio.subprocess.Process, serving: asyncio.Task[None]) -> None:
    """Return when the process is gone; its channel is closed by then, which tells it to end."""
    await asyncio.wait([serving])
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
