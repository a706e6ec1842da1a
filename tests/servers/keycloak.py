"""A Keycloak for tests: on a free port, in its own folder, gone when the tests are done.

    python -m tests.servers.keycloak COMMAND...     runs COMMAND with the server's URL in KONTOR_KEYCLOAK
    python -m tests.servers.keycloak                prints the URL and runs until Ctrl-C

The URL carries name and password of its administrator. The program comes from Maven Central, 170 MB, kept for the next time; it needs
Java 17, and takes most of a minute to start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

from connector.app.listening import free_ports
from tests.servers.beside import ServerError, beside

VERSION = "26.7.3"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_STARTS_WITHIN_S = 300.0


def archive() -> Path:
    """The distribution, got first when it is missing.

    Raises: ServerError.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kontor-tests"
    found = folder / f"keycloak-quarkus-dist-{VERSION}.zip"
    if not found.is_file():
        if shutil.which("mvn") is None or shutil.which("java") is None:
            raise ServerError("Keycloak comes from Maven Central: install `maven` and Java 17 or newer")
        folder.mkdir(parents=True, exist_ok=True)
        artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        with tempfile.TemporaryDirectory(dir=folder) as made:
            command = ["mvn", "-q", "-B", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={made}"]
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                raise ServerError(f"`{artifact}` cannot be had")
            (Path(made) / found.name).replace(found)
    return found


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a server with nothing but its administrator, as long as the context is open.

    Raises: ServerError.
    """
    (port,), password = free_ports(1), secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="kontor-keycloak-", ignore_cleanup_errors=True) as name:
        with zipfile.ZipFile(archive()) as packed:
            packed.extractall(name)
        program, log = Path(name) / f"keycloak-{VERSION}" / "bin" / "kc.sh", Path(name) / "server.log"
        program.chmod(0o755)
        command = [str(program), "start-dev", "--http-host", "127.0.0.1", "--http-port", str(port), "--cache=local"]
        admin = {"KC_BOOTSTRAP_ADMIN_USERNAME": "kontor", "KC_BOOTSTRAP_ADMIN_PASSWORD": password}
        environment = {**os.environ, **admin, "JAVA_OPTS_APPEND": "-Xmx512m"}
        with log.open("ab") as file:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        try:
            _await(process, f"http://127.0.0.1:{port}/realms/master", log)
            yield f"http://kontor:{password}@127.0.0.1:{port}"
        finally:
            # a script that starts Java: the end is for both
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), opener.open(url, timeout=5):
            return
        time.sleep(0.2)
    raise ServerError(f"Keycloak does not start:\n{log.read_text(errors='replace')[-2000:]}")


if __name__ == "__main__":
    sys.exit(beside(running(), "KONTOR_KEYCLOAK", sys.argv[1:]))
