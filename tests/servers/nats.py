"""A NATS server with JetStream for tests: on a free port, in its own folder, gone when the tests are done.

    python -m tests.servers.nats COMMAND...     runs COMMAND with the server's URL in KONTOR_NATS
    python -m tests.servers.nats                prints the URL and runs until Ctrl-C

The URL carries user and password. The program comes from the system's packages when it is missing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.beside import ServerError, beside

_PACKAGE = "nats-server"
_PLACES = "/usr/sbin:/usr/local/sbin"
_STARTS_WITHIN_S = 30.0


def program() -> str:
    """The path of the server, installed first when it is missing.

    Raises: ServerError.
    """
    found = _found()
    if found is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", _PACKAGE]):
            if subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, check=False).returncode:
                raise ServerError(f"the server is missing: install the package `{_PACKAGE}` of your system")
        found = _found()
    if found is None:
        raise ServerError(f"`{_PACKAGE}` was installed, and its program is not where it should be")
    return found


def _found() -> str | None:
    return shutil.which("nats-server") or shutil.which("nats-server", path=_PLACES)


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a server without any stream, as long as the context is open.

    Raises: ServerError.
    """
    password = secrets.token_hex(16)
    with configured(f'authorization {{ user: kontor, password: "{password}" }}\n') as port:
        yield f"nats://kontor:{password}@127.0.0.1:{port}"


@contextlib.contextmanager
def configured(settings: str) -> Iterator[int]:
    """The port of a server with JetStream and further settings, as long as the context is open.

    Raises: ServerError.
    """
    with tempfile.TemporaryDirectory(prefix="kontor-nats-", ignore_cleanup_errors=True) as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        file = Path(name) / "nats.conf"
        file.write_text(f"listen: 127.0.0.1:{port}\njetstream {{ store_dir: {name}/store }}\n{settings}")
        with (Path(name) / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [program(), "-c", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            _await(process, port, Path(name) / "server.log")
            yield port
        finally:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if connection.recv(4) == b"INFO":
                return
        time.sleep(0.02)
    raise ServerError(f"NATS does not start:\n{log.read_text(errors='replace')[-2000:]}")


def door_in(url: str) -> tuple[str, str]:
    """The server's address and `USER:PASSWORD` that a URL of ours carries."""
    parts = urlsplit(url)
    return f"nats://{parts.hostname}:{parts.port}", f"{parts.username}:{parts.password}"


if __name__ == "__main__":
    sys.exit(beside(running(), "KONTOR_NATS", sys.argv[1:]))
