"""Whom we believe and who we are, over TLS: the context of every connection that goes out.

What does not live here: the connections themselves (`client.py`), and when a certificate ends (`certificates.py`).
"""

from __future__ import annotations

import functools
import os
import pathlib
import ssl
import tempfile
from dataclasses import dataclass, field

from connector.errors import ConfigurationError

FileStates = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom we believe and who we are, over TLS."""

    ca_file: pathlib.Path | None = None
    """Further certificate authorities, PEM."""
    certificate: pathlib.Path | None = None
    """Our chain, shown to peers that ask for one, PEM."""
    key: pathlib.Path | None = None
    pem: str | None = field(default=None, repr=False)
    """In place of `certificate` and `key`: our chain and its key, as they stand in a file."""

    def files(self) -> FileStates:
        """Differs when one of the files does."""
        return states_of(self.ca_file, self.certificate, self.key)

    def context(self) -> ssl.SSLContext:
        """Raises: ConfigurationError when a file cannot be read."""
        if self == Tls():
            return _of_the_system()
        context = ssl.create_default_context()
        try:
            if self.ca_file is not None:
                context.load_verify_locations(cafile=self.ca_file)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            if self.pem is not None:
                _show(context, self.pem)
        except (OSError, ssl.SSLError) as fault:
            raise ConfigurationError(
                f"a certificate or key cannot be read: {fault}",
                where="outbound.ca_file, outbound.client_certificate, outbound.client_key",
                mend="name PEM files that this process may read",
            ) from fault
        return context


def states_of(*paths: str | os.PathLike[str] | None) -> FileStates:
    """Differs when one of the files was written anew, or another stands in its place."""
    return tuple(_state_of(path) for path in paths)


def _state_of(path: str | os.PathLike[str] | None) -> tuple[int, ...]:
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else ()


@functools.cache
def _of_the_system() -> ssl.SSLContext:
    """Whom the system believes, read once for all clients of this process; nobody adds to it."""
    return ssl.create_default_context()


def _show(context: ssl.SSLContext, pem: str) -> None:
    """Have `context` show the certificate in `pem`: the library reads it from a file alone, which is gone again at once."""
    fd, name = tempfile.mkstemp(prefix="kontor-", suffix=".pem")
    path = pathlib.Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        path.unlink()
