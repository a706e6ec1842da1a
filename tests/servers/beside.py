"""Running a command beside a server of ours: what the commands of all servers share."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager


class ServerError(Exception):
    """A server cannot be had, in words."""


def beside(server: AbstractContextManager[str], variable: str, command: list[str]) -> int:
    """Run `command` with the URL of `server` in `variable`, or print the URL and wait for Ctrl-C; the exit code."""
    # a polite end of ours is one of the server's too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with server as url:
            if command:
                return subprocess.run(command, env={**os.environ, variable: url}, check=False).returncode
            print(url, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
            return 0
    except (ServerError, subprocess.CalledProcessError) as fault:
        print(fault, file=sys.stderr)
        return 1
