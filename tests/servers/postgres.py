"""A PostgreSQL server for tests: its own user, its own folder, a free port, gone when the tests are done.

    python -m tests.servers.postgres COMMAND...     runs COMMAND with the server's URL in KONTOR_POSTGRES
    python -m tests.servers.postgres                prints the URL and runs until Ctrl-C

PostgreSQL is installed from the system's packages when it is missing. The server refuses to run as root: root gives it to the
user `postgres`. It is not durable unless asked for: what a test writes need not outlive the machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from tests.servers.beside import ServerError, beside

_USER = "postgres"
_STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 30.0
_CREATE = Path("/etc/postgresql-common/createcluster.conf")


def binaries() -> Path:
    """The folder with the programs of the newest PostgreSQL on this machine, installed first when there is none.

    Raises: ServerError.
    """
    found = _found()
    if found is None:
        _install()
        found = _found()
    if found is None:
        raise ServerError("PostgreSQL was installed, and its programs are not where they should be")
    return found


def _found() -> Path | None:
    def version(folder: Path) -> int:
        digits = re.findall(r"\d+", folder.parent.name)
        return int(digits[-1]) if digits else 0

    folders = [path.parent for path in Path("/usr").glob("lib*/postgresql*/*/bin/initdb")]
    folders += [path.parent for path in Path("/usr").glob("pgsql-*/bin/initdb")]
    if folders:
        return max(folders, key=version)
    named = shutil.which("initdb")
    return Path(named).resolve().parent if named else None


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ServerError("PostgreSQL is missing: install the package `postgresql` of your system")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]
    began = time.monotonic()
    for command in (["apt-get", "update", "-q"], [*install, "postgresql-common"]):
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    # a server that the package starts by itself is none that we want
    with contextlib.suppress(OSError):
        _CREATE.write_text("create_main_cluster = false\n")
    subprocess.run([*install, "postgresql"], env=environment, check=True, stdout=sys.stderr)
    print(f"installed PostgreSQL in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


class Postgres:
    """One server: `start`, `stop`, `start` again on the same data and port."""

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._bin = binaries()
        self._data = folder / "data"
        self._log = folder / "server.log"
        self._folder = folder
        self.password = secrets.token_hex(12)
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        """The address of the database, with user and password."""
        return f"postgresql://kontor:{self.password}@127.0.0.1:{self.port}/kontor"

    def create(self) -> None:
        """Make the data folder and the database."""
        secret = self._folder / "password"
        secret.write_text(self.password + "\n")
        if os.geteuid() == 0:
            shutil.chown(secret, _USER)
        self._run(
            "initdb", "-D", str(self._data), "-U", "kontor", "-A", "scram-sha-256", "--pwfile", str(secret),
            "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1",
        )  # fmt: skip
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "kontor", "kontor")

    def start(self) -> None:
        """Run the server; returns when it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "port": self.port,
            "max_connections": 200,
            "fsync": "on" if self._is_durable else "off",
            "full_page_writes": "on" if self._is_durable else "off",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self._folder, **_as_user(),
            )  # fmt: skip
        until = time.monotonic() + _STARTS_WITHIN_S
        while subprocess.run([self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise ServerError(f"PostgreSQL does not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """End the server: sessions are cut off and what is written stays; `at_once` as if the power failed."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def standby(self) -> Iterator[Postgres]:
        """A second server that follows this one, with the same user and password, until it is promoted."""
        with _folder() as folder:
            follower = Postgres(folder, is_durable=self._is_durable)
            follower.password = self.password
            from_here = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "kontor")
            follower._run("pg_basebackup", *from_here, "-D", str(follower._data), "-R", "-c", "fast", "--no-sync")
            try:
                follower.start()
                yield follower
            finally:
                follower.stop()

    def promote(self) -> None:
        """Make a primary of a standby."""
        self._run("pg_ctl", "promote", "-s", "-D", str(self._data))

    def limit_files(self, size: int | None) -> None:
        """No file of the running server may grow beyond `size` bytes, as on a full disk; None lifts the limit. Linux only."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        soft = "unlimited" if size is None else str(size)
        for pid in (str(self._process.pid), *children):
            # by the server's own user: not every root may
            subprocess.run(["prlimit", "--pid", pid, f"--fsize={soft}:unlimited"], check=True, **_as_user())

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True, text=True, check=False, cwd=self._folder,
            env={**os.environ, "PGPASSWORD": self.password}, **_as_user(),
        )  # fmt: skip
        if done.returncode:
            raise ServerError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")


def _as_user() -> dict[str, Any]:
    """How a program is run by somebody who may run the server."""
    return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that belongs to the server's user."""
    with tempfile.TemporaryDirectory(prefix="kontor-postgres-", ignore_cleanup_errors=True) as name:
        if os.geteuid() == 0:
            shutil.chown(name, _USER)
        yield Path(name)


@contextlib.contextmanager
def running(*, is_durable: bool = False) -> Iterator[Postgres]:
    """A server with an empty database, as long as the context is open.

    Raises: ServerError.
    """
    with _folder() as folder:
        server = Postgres(folder, is_durable=is_durable)
        try:
            server.create()
            yield server
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def emptied(url: str) -> AsyncIterator[str]:
    """The URL of a new schema in the database at `url`; it is dropped at the end."""
    import asyncpg

    name = f"test_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA {name}")
        yield f"{url}?search_path={name}"
        await connection.execute(f"SET client_min_messages = warning; DROP SCHEMA {name} CASCADE")
    finally:
        await connection.close()


@contextlib.contextmanager
def _url() -> Iterator[str]:
    with running() as server:
        yield server.url


if __name__ == "__main__":
    sys.exit(beside(_url(), "KONTOR_POSTGRES", sys.argv[1:]))
