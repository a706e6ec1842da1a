"""The two listeners: sockets, servers, TLS, and the addresses under which they are reached."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from connector.errors import ConfigurationError
from connector.settings import Listener, Settings

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 65
"""Longer than what clients and proxies keep idle connections for, so that it is seldom us who close one in use."""
_FINISH_WITHIN_S: Final = 10
"""How long answers under way may take after the signal to stop."""


@contextlib.contextmanager
def bound(listener: Listener, section: str) -> Iterator[socket.socket]:
    """A listening socket of the listener.

    Raises: ConfigurationError when the address is not to be had.
    """
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    try:
        found = socket.create_server((listener.host, listener.port), family=family, backlog=_BACKLOG)
    except OSError as fault:
        raise ConfigurationError(
            f"cannot listen on {listener.host} port {listener.port}: {(fault.strerror or str(fault)).lower()}",
            where=f"{section}.port",
            mend="stop what listens there, or choose another address or port",
        ) from fault
    with found:
        yield found


def own_url(listener: Listener, at: socket.socket) -> str:
    """The address of a listener on this machine."""
    host, port = at.getsockname()[:2]
    scheme = "https" if listener.tls_certificate is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def public_url(settings: Settings, at: socket.socket) -> str:
    """`node.public_url`; port 0 in it stands for the port that the public listener was given.

    Raises: ConfigurationError for plain http without `outbound.unsafe_allow_http`.
    """
    parts = urlsplit(settings.node.public_url)
    if parts.scheme == "http" and not settings.outbound.unsafe_allow_http:
        raise ConfigurationError(
            "`node.public_url` is plain http: everybody on the way could read and change what peers send",
            where="node.public_url",
            mend="use https, by `public.tls_certificate` or a reverse proxy, or set `outbound.unsafe_allow_http`",
        )
    if parts.port == 0:
        parts = parts._replace(netloc=f"{parts.netloc.removesuffix(':0')}:{at.getsockname()[1]}")
    return urlunsplit(parts).rstrip("/")


class Listening:
    """A listener that answers while the context is open; at its end answers under way are finished."""

    def __init__(self, app: ASGIApp, settings: Listener, at: socket.socket, section: str) -> None:
        self._app = app
        self._settings = settings
        self._at = at
        self._section = section

    async def __aenter__(self) -> None:
        import uvicorn

        settings = self._settings
        config = uvicorn.Config(
            self._app,
            http="auto",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_FINISH_WITHIN_S,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as fault:
            raise ConfigurationError(
                f"certificate or key cannot be read: {fault}",
                where=f"{self._section}.tls_certificate, {self._section}.tls_key",
                mend="name PEM files that belong together and that this process may read",
            ) from fault
        self._server: uvicorn.Server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._at])
        self._ticking = asyncio.create_task(self._server.main_loop())

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._ticking
        await self._server.shutdown(sockets=[self._at])
