"""Which node a command talks to, with which key, and for which participant.

The one place of the command that reads the environment: KONTOR_URL and KONTOR_API_KEY belong to whoever types the command and
not to a node, so they are no settings. An option beats the environment, and that beats the configuration file.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connector.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from connector.client import Calls, Client
    from connector.settings import Settings

KEY_FILE = "operator.key"
"""Name of the file beside `kontor.toml` that holds the operator's API key; `kontor init` writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What the options of a command say about the node."""

    config: Path
    url: str | None = None
    api_key_file: Path | None = None
    participant: str | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[tuple[Client, Calls]]:
        """The client of the node, and the calls of the participant to act for.

        Raises: ConfigurationError when node, key or participant is not clear.
        """
        from connector.client import Calls

        with self.node() as (node, settings):
            yield node, Calls(self.participant or _only_participant(node, settings))

    @contextlib.contextmanager
    def node(self) -> Iterator[tuple[Client, Settings | None]]:
        """The client of the node, and its settings where the configuration file says which node is meant.

        Raises: ConfigurationError when node or key is not clear.
        """
        from connector.client import Client

        url = self.url or os.environ.get("KONTOR_URL")
        settings = None if url else self._settings()
        verify: ssl.SSLContext | bool = True
        if settings is not None:
            url = _operator_url(settings)
            if settings.operator.tls_certificate is not None:
                verify = _trusting(settings.operator.tls_certificate)
        assert url is not None
        with Client(url, self._api_key(), verify=verify) as node:
            yield node, settings

    def _settings(self) -> Settings:
        from connector.settings import read

        return read(self.config)

    def _api_key(self) -> str:
        path = self.api_key_file
        if path is None:
            if key := os.environ.get("KONTOR_API_KEY"):
                return key
            path = self.config.parent / KEY_FILE
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigurationError(
                f"the API key cannot be read: {getattr(fault, 'strerror', None) or fault}",
                where=str(path),
                mend="name its file with `--api-key-file`, or set KONTOR_API_KEY",
            ) from fault


def has_participants(node: Client) -> bool:
    """Whether the node serves participants at all; that of an authority or a catalogue alone does not."""
    from connector.client import participants

    try:
        node.send(participants())
    except NotFound:
        return False
    return True


def _operator_url(settings: Settings) -> str:
    listener = settings.operator
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)
    scheme = "https" if listener.tls_certificate is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.port}"


def _trusting(certificate: Path) -> ssl.SSLContext:
    """What proves the node: the usual authorities, or the very certificate that it is configured with, self-signed or not."""
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except OSError as fault:
        raise ConfigurationError(
            f"the certificate of the operator listener cannot be read: {fault.strerror or fault}",
            where=str(certificate),
            mend="name a PEM file in `operator.tls_certificate`, or the node with `--url`",
        ) from fault
    return context


def _only_participant(node: Client, settings: Settings | None) -> str:
    from connector.client import participants

    known = list(settings.participants) if settings is not None else []
    if len(known) != 1:
        known = [participant.name for participant in node.send(participants()).items]
    if len(known) != 1:
        named = ", ".join(f"`{name}`" for name in known[:8]) or "none"
        raise ConfigurationError(
            "it is not clear which participant to act for",
            where="--participant",
            mend=f"name one with `--participant`; the node has {named}",
        )
    return known[0]
