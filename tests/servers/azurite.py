"""An Azure Blob server for tests: Azurite on a free port, in memory, gone when the tests are done.

    python -m tests.servers.azurite COMMAND...     runs COMMAND with the server's URL in KONTOR_AZURE
    python -m tests.servers.azurite                prints the URL and runs until Ctrl-C

The URL carries account and key as user and password. The program is installed from npm's registry when it is missing, beside the
project's folder; Node comes from the system's packages. The container `kontor-tests` is there.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

from tests.servers.beside import ServerError, beside

CONTAINER = "kontor-tests"
_PACKAGE = "azurite@3.35.0"
_STARTS_WITHIN_S = 60.0


def program() -> str:
    """The path of Azurite, installed first when it is missing.

    Raises: ServerError.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kontor-tests" / _PACKAGE.replace("@", "-")
    found = folder / "node_modules" / ".bin" / "azurite-blob"
    if found.exists():
        return str(found)
    if shutil.which("npm") is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "nodejs", "npm"]):
            if subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, check=False).returncode:
                raise ServerError("npm is missing: install the packages `nodejs` and `npm` of your system")
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
        "--prefix",
        str(folder),
        _PACKAGE,
    ]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode or not found.exists():
        raise ServerError(f"`{_PACKAGE}` cannot be installed")
    print(f"installed Azurite in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return str(found)


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a server with one empty container, as long as the context is open.

    Raises: ServerError.
    """
    account, key = f"k{secrets.token_hex(6)}", base64.b64encode(secrets.token_bytes(32)).decode()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        program(),
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "--inMemoryPersistence",
        "--silent",
        "--disableTelemetry",
    ]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"},
    )  # fmt: skip
    url = f"http://{account}:{quote(key, safe='')}@127.0.0.1:{port}"
    try:
        _await(process, url)
        yield url
    finally:
        process.kill()
        process.wait()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    """Return when the server has made the container."""
    endpoint, account, key = account_in(url)
    wanted = f"{endpoint}/{CONTAINER}?restype=container&{signature(account, key)}"
    until = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        request = urllib.request.Request(wanted, b"", {"x-ms-version": "2021-12-02"}, method="PUT")
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
            return
        time.sleep(0.05)
    raise ServerError("Azurite does not start")


def account_in(url: str) -> tuple[str, str, str]:
    """The account's endpoint, its name and its key that a URL of ours carries."""
    parts = urlsplit(url)
    account = parts.username or ""
    return f"{parts.scheme}://{parts.hostname}:{parts.port}/{account}", account, unquote(parts.password or "")


def signature(account: str, key: str, permissions: str = "rwdlac") -> str:
    """A shared access signature for all blobs of an account, good for an hour.

    Source: Azure Storage, "Create an account SAS", version 2018-11-09.
    """
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [account, permissions, "b", "sco", "", until, "", "https,http", "2018-11-09", ""]
    signed = hmac.digest(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256)
    words = {"sv": "2018-11-09", "ss": "b", "srt": "sco", "sp": permissions, "se": until, "spr": "https,http"}
    return urlencode({**words, "sig": base64.b64encode(signed).decode()})


if __name__ == "__main__":
    sys.exit(beside(running(), "KONTOR_AZURE", sys.argv[1:]))
