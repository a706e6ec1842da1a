"""A real browser without a window, for tests of pages: what it shows, as a picture and as the document it made of it.

    python -m tests.servers.chromium COMMAND...     runs COMMAND with the browser's path in KONTOR_CHROMIUM
    python -m tests.servers.chromium                installs the browser when it is missing and prints its path

Chromium is installed from the system's packages when it is missing, with fonts for Chinese.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_PACKAGES: Final = ("chromium", "fonts-noto-cjk")
_WITHIN_S: Final = 60


class BrowserError(Exception):
    """The browser cannot be had or shows nothing, in words."""


def program() -> str:
    """The path of the browser, installed first when there is none.

    Raises: BrowserError.
    """
    found = _found()
    if found is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *_PACKAGES]):
            done = subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, check=False)
            if done.returncode:
                raise BrowserError(f"`apt-get {command[0]}` failed; the browser cannot be installed")
        found = _found()
    if found is None:
        raise BrowserError("Chromium was installed, and its program is not where it should be")
    return found


def _found() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


def shown(
    browser: str, url: str, *, picture: Path | None = None, size: tuple[int, int] = (1280, 1600), is_dark: bool = False
) -> str:
    """The document that the browser made of the page at `url`; with `picture` also how it looks, written there as PNG.

    Raises: BrowserError.
    """
    with tempfile.TemporaryDirectory(prefix="kontor-browser-", ignore_cleanup_errors=True) as profile:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
        ]  # fmt: skip
        if is_dark:
            command.append("--blink-settings=preferredColorScheme=0")
        if picture is not None:
            _run([*command, f"--screenshot={picture}", url])
            if not picture.is_file():
                raise BrowserError(f"the browser made no picture of {url}")
        return _run([*command, "--dump-dom", url])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_WITHIN_S, check=False)
    except subprocess.TimeoutExpired as fault:
        raise BrowserError(f"the browser did not end within {_WITHIN_S} s") from fault
    if done.returncode:
        raise BrowserError(f"the browser ended with {done.returncode}: {done.stderr.decode(errors='replace')[-600:]}")
    return done.stdout.decode("utf-8", "replace")


def main(command: list[str]) -> int:
    """Run `command` with the browser at hand; its exit code."""
    try:
        found = program()
    except BrowserError as fault:
        print(fault, file=sys.stderr)
        return 1
    if not command:
        print(found)
        return 0
    return subprocess.run(command, env={**os.environ, "KONTOR_CHROMIUM": found}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
