"""The listeners: sockets, servers, TLS, and the addresses under which they are reached."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from connector import observe
from connector.errors import ConfigurationError
from connector.outbound.tls import FileStates, states_of
from connector.settings import Listener, Settings, Signaling

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 65
"""Longer than what clients and proxies keep idle connections for, so that it is seldom us who close one in use."""
_FINISH_WITHIN_S: Final = 10
"""How long answers under way may take after the signal to stop."""
_LOOK_AGAIN_S: Final = 0.05
"""The longest pause between looks whether they are finished."""
_TICK_S: Final = 1.0
"""How often certificates are looked at, and the time that answers tell is taken anew."""
_SPARE_PORTS: Final = range(15_000, 32_000)
"""Below those that systems give to connections and to listeners that name none."""


Listening = socket.socket
"""A socket that listens."""


def free_ports(count: int) -> list[int]:
    """So many ports on loopback that nobody listens on, all different, and that no connection is given meanwhile."""
    chosen = random.SystemRandom()
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", chosen.choice(_SPARE_PORTS)))
                found.append(probe.getsockname()[1])
        return found


def inherited(fd: int) -> Listening:
    """The listening socket that a process was started with."""
    return socket.socket(fileno=fd)


def allow_files() -> None:
    """Let this process open as many files as the system lets it: each connection is one, and shells give few by themselves."""
    if os.name == "posix":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def bound(listener: Listener, section: str) -> Iterator[socket.socket]:
    """A listening socket of the listener.

    Raises: ConfigurationError when the address is not to be had.
    """
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    # the protocol by its number: asyncio turns off Nagle's delay only for sockets that say they are TCP
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            # without it a node that was just stopped could not start again at once
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, listener.host != "::")
        found.bind((listener.host, listener.port))
        found.listen(_BACKLOG)
    except OSError as fault:
        found.close()
        raise ConfigurationError(
            f"cannot listen on {listener.host} port {listener.port}: {(fault.strerror or str(fault)).lower()}",
            where=f"{section}.port",
            mend="stop what listens there, or choose another address or port",
        ) from fault
    with found:
        yield found


def is_loopback(host: str) -> bool:
    """True when only this machine reaches a listener on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_url(listener: Listener, at: socket.socket) -> str:
    """The address of a listener on this machine."""
    host, port = at.getsockname()[:2]
    scheme = "https" if listener.tls_certificate is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def public_url(settings: Settings, at: socket.socket) -> str:
    """`node.public_url`; port 0 in it stands for the port that the public listener was given.

    Raises: ConfigurationError for plain http without `outbound.unsafe_allow_http`.
    """
    vet_public_url(settings)
    return with_port(settings.node.public_url, at)


def with_port(url: str, at: socket.socket) -> str:
    """`url`; port 0 in it stands for the port that the listener `at` was given."""
    parts = urlsplit(url)
    if parts.port == 0:
        parts = parts._replace(netloc=f"{parts.netloc.removesuffix(':0')}:{at.getsockname()[1]}")
    return urlunsplit(parts).rstrip("/")


def signaling_url(listener: Signaling, at: socket.socket) -> str:
    """`signaling.url`, or the listener's own address; port 0 in it stands for the port that it was given.

    Raises: ConfigurationError for plain http without `signaling.unsafe_allow_http`.
    """
    url = listener.url or own_url(listener, at)
    parts = urlsplit(url)
    if parts.scheme == "http" and not listener.unsafe_allow_http:
        raise ConfigurationError(
            "the signaling listener is plain http: what opens data would travel readable",
            where="signaling.url",
            mend="use https, by `signaling.tls_certificate` or a reverse proxy, or set `signaling.unsafe_allow_http`",
        )
    if parts.port == 0:
        parts = parts._replace(netloc=f"{parts.netloc.removesuffix(':0')}:{at.getsockname()[1]}")
    return urlunsplit(parts).rstrip("/")


def vet_public_url(settings: Settings) -> None:
    """Nothing, when peers may be told of `node.public_url` and `data.public_url`.

    Raises: ConfigurationError for plain http without `outbound.unsafe_allow_http`.
    """
    named = {"node.public_url": settings.node.public_url, "data.public_url": settings.data.public_url or ""}
    for where, url in named.items():
        if urlsplit(url).scheme == "http" and not settings.outbound.unsafe_allow_http:
            raise ConfigurationError(
                f"`{where}` is plain http: everybody on the way could read and change what peers send",
                where=where,
                mend="use https, by a certificate of the listener or a reverse proxy, or set `outbound.unsafe_allow_http`",
            )


def vet_certificate(listener: Listener, section: str) -> None:
    """Nothing, when certificate and key of the listener can be used, or there are none.

    Raises: ConfigurationError when they cannot.
    """
    if listener.tls_certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(listener.tls_certificate, listener.tls_key)
    except (OSError, ssl.SSLError) as fault:
        raise ConfigurationError(
            f"certificate or key cannot be read: {fault}",
            where=f"{section}.tls_certificate, {section}.tls_key",
            mend="name PEM files that belong together and that this process may read",
        ) from fault


@contextlib.asynccontextmanager
async def listening(*doors: Door) -> AsyncIterator[None]:
    """All doors answer while the context is open; at its end they close together and answers under way are finished."""
    import uvicorn

    servers = [uvicorn.Server(door.config()) for door in doors]
    for server, door in zip(servers, doors, strict=True):
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[door.at])
    stop = asyncio.Event()
    ticks = [
        asyncio.create_task(_tick(server, _Shown(door, server), stop)) for server, door in zip(servers, doors, strict=True)
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*ticks)
        pairs = zip(servers, doors, strict=True)
        await asyncio.gather(*(_finished(server, door.at) for server, door in pairs))


async def _finished(server: uvicorn.Server, at: socket.socket) -> None:
    """As `uvicorn.Server.shutdown`, whose pauses are a tenth of a second each, also where nothing is under way.

    1. No new connection.   2. Idle ones are closed, busy ones after their answer.   3. Who takes longer than allowed is cut off.
    """
    state = server.server_state
    for listener in server.servers:
        listener.close()
    at.close()
    for connection in list(state.connections):
        connection.shutdown()
    pause_s = 0.0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FINISH_WITHIN_S):
            while state.connections or state.tasks:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s + 0.001, _LOOK_AGAIN_S)
    for task in list(state.tasks):
        task.cancel()


async def _tick(server: uvicorn.Server, certificate: _Shown, stop: asyncio.Event) -> None:
    """What uvicorn does ten times a second, once a second: the `Date` of answers needs no more, and a stop is noticed at once.

    Certificates are looked at as well.
    """
    ticks_a_second = 10
    counter = 0
    while not stop.is_set():
        await server.on_tick(counter)
        counter = (counter + ticks_a_second) % 864_000
        certificate.look()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await stop.wait()


class _Shown:
    """The certificate that a listener shows: the one in its files, also after that was renewed."""

    def __init__(self, door: Door, server: uvicorn.Server) -> None:
        self._listener, self._section = door.settings, door.section
        self._context = server.config.ssl
        self._state = self._of_files()

    def look(self) -> None:
        """Show new connections what stands in the files now, when they have changed and belong together."""
        certificate, state = self._listener.tls_certificate, self._of_files()
        if self._context is None or certificate is None or state == self._state:
            return
        self._state = state
        try:
            # apart first: a certificate without its key would leave nothing to show
            vet_certificate(self._listener, self._section)
            self._context.load_cert_chain(certificate, self._listener.tls_key)
        except (ConfigurationError, OSError) as fault:
            observe.error("listener.certificate_not_taken", section=self._section, cause=fault)
            return
        observe.info("listener.certificate_taken", section=self._section)

    def _of_files(self) -> FileStates:
        return states_of(self._listener.tls_certificate, self._listener.tls_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One listener: what answers, where, and how."""

    app: ASGIApp
    settings: Listener
    at: socket.socket
    section: str

    def config(self) -> uvicorn.Config:
        """The server's configuration, with certificates read.

        Raises: ConfigurationError when they cannot be.
        """
        import uvicorn

        from connector.app.heads import BoundedHeads

        settings = self.settings
        vet_certificate(settings, self.section)
        config = uvicorn.Config(
            self.app,
            http=partial(BoundedHeads, most=settings.connections),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=_KEEP_ALIVE_S,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        config.load()
        return config
