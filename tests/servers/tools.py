"""Programs that the proofs of the deployment need: nginx and systemd from the system's packages, Helm built with the Go toolchain.

Each is installed when it is missing; nothing of it lies in the project's folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_HELM = "helm.sh/helm/v3/cmd/helm@v3.19.0"
_NGINX_PLACES = "/usr/sbin:/usr/local/sbin"


class ToolError(Exception):
    """A program cannot be had, in words."""


def nginx() -> str:
    """The path of nginx.

    Raises: ToolError.
    """
    return shutil.which("nginx") or shutil.which("nginx", path=_NGINX_PLACES) or _from_system("nginx", "nginx-light")


def helm() -> str:
    """The path of Helm, built once for each machine.

    Raises: ToolError.
    """
    found = shutil.which("helm")
    if found is not None:
        return found
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kontor-tests"
    built = folder / f"helm-{_HELM.rpartition('@')[2]}"
    if not built.is_file():
        go = shutil.which("go") or _from_system("go", "golang-go")
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder) as made:
            environment = {**os.environ, "GOBIN": made, "GOFLAGS": "-mod=mod"}
            done = subprocess.run([go, "install", _HELM], env=environment, stdout=sys.stderr, check=False)
            if done.returncode:
                raise ToolError(f"`{_HELM}` cannot be built")
            (Path(made) / "helm").replace(built)
        print(f"built Helm in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return str(built)


def systemd_analyze() -> str:
    """The path of `systemd-analyze`, which needs no running systemd.

    Raises: ToolError.
    """
    return shutil.which("systemd-analyze") or _from_system("systemd-analyze", "systemd")


def _from_system(program: str, package: str) -> str:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ToolError(f"{program} is missing: install the package `{package}` of your system")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    began = time.monotonic()
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "--no-install-recommends", package]):
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    print(f"installed {package} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    found = shutil.which(program) or shutil.which(program, path=_NGINX_PLACES)
    if found is None:
        raise ToolError(f"`{package}` was installed, and {program} is not where it should be")
    return found
