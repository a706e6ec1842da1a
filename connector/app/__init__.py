"""The composition root: from settings to a running node, opened in order and closed in reverse by one exit stack.

node        App: ports, parts and workers in their order, and who watches over them
assembly/   the parts themselves, one file a subject
parts       parts that need a word of their own: store, way out, vocabulary, the key that seals secrets
listening   sockets, servers and TLS
heads       bounds for the head of a request: its time, its size
exchange    a request that is answered in front of ASGI
passage     an answer by one write, or by the kernel
archives    the whole store in a file, and from one

Here: `serve`, `migrate`, `schema` and `check` for the command line. Nothing in this room decides anything; the parts do. Heavy
libraries are imported by the parts that need them, so that importing this room stays cheap.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from typing import Final

from connector import observe
from connector.app.listening import vet_certificate, vet_public_url
from connector.app.node import App
from connector.app.parts import data_folder, named_store, vet_providers
from connector.settings import Settings

_YOUNG_OBJECTS: Final = 20_000
"""New objects that may pile up before the collector looks at them: some MB, where Python's own 700 are some hundred KB."""

__all__ = ["App", "check", "loop_factory", "migrate", "schema", "serve"]


def serve(settings: Settings) -> None:
    """Run the node until SIGTERM or SIGINT; answers under way are finished first.

    Raises: ConfigurationError when it cannot start.
    """
    # what is made at the start lives as long as the node: looking through it for garbage, now or ever, finds nothing
    gc.disable()
    observe.configure(format_=settings.node.log_format, level=settings.node.log_level)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_until_signalled(settings))


async def _until_signalled(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with App(settings) as app:
        _spare_the_collector()
        print(f"ready: peers reach {app.public_url}, operators {app.operator_url}", flush=True)
        await stop.wait()
        observe.info("node.stopping", node=settings.node.id)


def _spare_the_collector() -> None:
    """Start the garbage collector: it passes over what lives as long as the node, and looks at the rest less often.

    Nearly all garbage is freed by its count, without the collector; at its usual pace it takes a tenth of the time of a message.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    gc.enable()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop of a process of ours; None: what Python has."""
    try:
        import uvloop
    except ImportError:  # not to be had on Windows
        return None
    return uvloop.new_event_loop


async def migrate(settings: Settings) -> tuple[int, int]:
    """Bring the store up to this release; the versions before and after.

    Raises: SchemaTooNew, ConfigurationError.
    """
    data_folder(settings)
    return await named_store(settings).migrate()


async def schema(settings: Settings) -> tuple[int, int]:
    """The version of the schema that the store has, 0 when nothing is there yet, and that of this release; nothing is changed.

    Raises: ConfigurationError, SchemaTooNew, StoreUnavailable.
    """
    from connector.storage import source_of

    source = source_of(settings.store.url, folder=settings.node.data_dir)
    if not source.is_there:
        return 0, source.latest
    async with source.reading() as rows:
        return rows.schema, source.latest


def check(settings: Settings) -> None:
    """Nothing, when a node could start with these settings, as far as that shows without starting: nothing is made or opened.

    Raises: ConfigurationError.
    """
    from connector.identity.static import StaticTokens

    vet_public_url(settings)
    vet_certificate(settings.public, "public")
    vet_certificate(settings.operator, "operator")
    vet_certificate(settings.data.listener, "data.listener")
    if settings.signaling is not None:
        vet_certificate(settings.signaling, "signaling")
    vet_providers(settings)
    StaticTokens(settings.participants)
    named_store(settings)
