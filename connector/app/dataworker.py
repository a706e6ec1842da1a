"""A data worker: a process that serves and receives data for its node, and asks the node about each request.

    python -m connector.app.dataworker CHANNEL LISTENER        both are open descriptors; only a node starts it

It holds the bytes, and nothing else: no store, no keys of participants, no policies. When its channel to the node ends, so does it,
and whatever flows through it. It is less urgent to the system than the node: where processors are short, the control plane answers
first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import Final

from connector import measures, observe
from connector.app import loop_factory
from connector.app.assembly.data import home_of_workers, plane_config
from connector.app.listening import Door, Listening, inherited, listening
from connector.app.parts import outbound_client
from connector.dataplane import channel as channels
from connector.dataplane.channel import Channel, End
from connector.dsp.transfer import Transfer
from connector.ports.dataplane import Source
from connector.settings import Settings

_NICE: Final = 5
_COUNTS_EVERY_S: Final = 2.0
"""How often the node hears what was counted here: its metrics are those of all its processes."""


def main(channel: int, listener: int) -> None:
    """Run until the node is gone, or says so."""
    os.nice(_NICE)
    # the node is told to stop by whoever started both, and stops us
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ours, at = channels.inherited(channel), inherited(listener)
    with ours, at, asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_work(ours, at))


async def _work(ours: End, at: Listening) -> None:
    from connector.controlplane.clock import SystemClock
    from connector.dataplane.plane import BuiltInDataPlane
    from connector.dataplane.remote import RemoteAuthorizer, RemoteEvents
    from connector.web import data
    from connector.web.public import public_app

    told: asyncio.Future[tuple[Settings, int]] = asyncio.get_running_loop().create_future()
    leaving = asyncio.Event()
    planes: list[BuiltInDataPlane] = []

    async def stop(participant: str, pid: str) -> None:
        for plane in planes:
            await plane.stop(participant, pid)

    async def cut_uploads(participant: str, pid: str) -> None:
        for plane in planes:
            await plane.cut_uploads(participant, pid)

    async def start(transfer: Transfer, source: Source) -> None:
        await planes[0].start(transfer, source)

    async def over(participant: str, pid: str) -> None:
        await planes[0].over(participant, pid)

    async def fetch(transfer: Transfer) -> tuple[int, str]:
        return await planes[0].fetch(transfer)

    channel = Channel(
        ours,
        answers={"stop": stop, "cut_uploads": cut_uploads, "start": start, "over": over, "fetch": fetch},
        hears={"begin": lambda *orders: told.set_result(orders), "leave": leaving.set},
    )
    serving = asyncio.create_task(channel.serve())
    serving.add_done_callback(lambda _: told.done() or told.cancel())
    serving.add_done_callback(lambda _: leaving.set())
    settings, number = await told
    observe.configure(format_=settings.node.log_format, level=settings.node.log_level)
    with observe.bound(worker=number):
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(outbound_client(settings, is_for_upstreams=is_for)) for is_for in (False, True)
            ]
            # addresses are made by the node alone
            home = home_of_workers(settings)
            config = plane_config(settings, "", home=home, shared_by=settings.data.workers)
            plane = BuiltInDataPlane(config, peers=clients[0], upstreams=clients[1], clock=SystemClock())
            plane.connect(RemoteAuthorizer(channel), RemoteEvents(channel))
            plane.tell_over(lambda participant, pid: channel.tell("over", participant, pid))
            await stack.enter_async_context(plane)
            planes.append(plane)
            listener = settings.data.listener
            app = public_app(data.routes(plane, home), most=listener.requests_at_once)
            door = Door(app=app, settings=listener, at=at, section="data.listener")
            await stack.enter_async_context(listening(door))
            channel.tell("ready")
            while not leaving.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_COUNTS_EVERY_S):
                        await leaving.wait()
                channel.tell("counted", observe.taken())
                channel.tell("measured", measures.taken())
            # nobody decides any more: what flows ends now, and how far it came is told
            for place in plane.running():
                await plane.stop(*place)
    serving.cancel()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
