"""The image without a container: the steps of the Containerfile, run below one folder, and its programs, run as the image would.

Absolute paths of the image become paths below the folder; everything else is taken from the Containerfile as it stands. Where this
machine lets a test mount (root does), programs run with a root file system that is read-only but for `/data`, without capabilities
and without a way to new ones, as the compose file and the chart have it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.deploy import containerfile
from tests.house.tree import ROOT

_PLACES = ("/source", "/opt/kontor", "/data", "/etc/kontor")
_ONLY_IN_A_CONTAINER = ("groupadd", "useradd")
_SHUT: Final = 'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,ro,bind / && cd "$0" && exec "$@"'
_SYSTEM = ("/usr/local/bin", "/usr/bin")


def interpreter() -> str:
    """A Python that any user of this machine may run, as that of the base image is; the venv is made with it.

    Raises: AssertionError when there is none: a home folder is often closed to others.
    """
    found = {
        Path(sys.executable).resolve(),
        *map(Path, filter(None, (shutil.which("python3", path=place) for place in _SYSTEM))),
    }
    ask = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    for one in sorted(found):
        is_open = all(path.stat().st_mode & 0o001 for path in one.resolve().parents)
        if is_open and subprocess.run([one, "-c", ask], capture_output=True, check=False).returncode == 0:
            return str(one)
    raise AssertionError("no Python 3.11 with venv that every user may run: install the system's `python3-venv`")


class Image:
    """The file system of the image, below `root`."""

    def __init__(self, root: Path, deploy: Path) -> None:
        self.root = root
        self.build, self.final = containerfile.read(deploy / "Containerfile")
        self.environment = self.final.environment

    def here(self, text: str) -> str:
        """`text` with the paths of the image as they are here."""
        return re.sub(rf"(?<![\w.])({'|'.join(_PLACES)})(?=[/\s:\"']|$)", lambda found: f"{self.root}{found[1]}", text)

    def make(self) -> None:
        """Run the steps of both stages."""
        folder = self.root / "source"
        for place in _PLACES:
            (self.root / place[1:]).mkdir(parents=True, exist_ok=True)
        for word, rest in self.build.instructions:
            if word == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    into = folder / target / (Path(source).name if target.endswith("/") else "")
                    into.parent.mkdir(parents=True, exist_ok=True)
                    copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                    copy(ROOT / source, into)
            elif word == "RUN":
                self._run(rest, folder)
        for rest in self.final.all("RUN"):
            # accounts are made by the container's own root; here the numbers alone are used
            steps = [part for part in rest.split(" && ") if not part.startswith((*_ONLY_IN_A_CONTAINER, "chown"))]
            if steps:
                self._run(" && ".join(steps), self.root)
        for path in (self.root, *self.root.rglob("*")):
            if os.geteuid() == 0 and path.is_relative_to(self.root / "data"):
                os.chown(path, 10001, 10001)

    def _run(self, command: str, folder: Path) -> None:
        tools = self.root / "tools"
        if not tools.is_dir():
            tools.mkdir()
            (tools / "python").symlink_to(interpreter())
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        done = subprocess.run(
            ["/bin/sh", "-ec", self.here(command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def command(self, words: list[str], environment: dict[str, str], *, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """How a program is started as the image would: its user, its environment, its folder; by `within`, when it is given."""
        user, group = self.final.last("USER").split(":")
        own = {name: self.here(value) for name, value in {**self.environment, **environment}.items()}
        program = shutil.which(words[0], path=own["PATH"])
        assert program is not None, f"the image has no `{words[0]}`"
        args = [*within, program, *map(self.here, words[1:])]
        if os.geteuid() == 0:
            limits = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
            args = ["setpriv", f"--reuid={user}", f"--regid={group}", *limits, *args]
            args = ["unshare", "-m", "sh", "-ec", _SHUT, str(self.root / "data"), *args] if may_mount() else args
            # the tools of this machine, which the program then does not see
            args = [shutil.which(args[0]) or args[0], *args[1:]]
            own = {**own, "PATH": f"{own['PATH']}:/usr/sbin:/sbin"}
        return {"args": args, "env": own, "cwd": self.root / "data"}


@cache
def may_mount() -> bool:
    """Whether this machine lets a test have mounts of its own."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
