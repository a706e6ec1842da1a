"""The image and the compose file without a container: their own steps, users, environments and commands, run below one folder.

Absolute paths of the image become paths below the folder; everything else is taken from the Containerfile and the compose file
as it stands. What cannot be shown so is the base image itself, and that no image was built is said in `deploy/README.md`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.app.listening import free_ports
from tests.deploy import containerfile
from tests.deploy.conftest import KEY
from tests.house.tree import ROOT

_PLACES = ("/source", "/opt/kontor", "/data", "/etc/kontor")
_ONLY_IN_A_CONTAINER = ("groupadd", "useradd")
_READY_WITHIN_S = 30.0
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

    def command(self, words: list[str], environment: dict[str, str]) -> dict[str, Any]:
        """How a program is started as the image would: its user, its environment, its folder."""
        user, group = map(int, self.final.last("USER").split(":"))
        own = {name: self.here(value) for name, value in {**self.environment, **environment}.items()}
        as_user: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
        program = shutil.which(words[0], path=own["PATH"])
        assert program is not None, f"the image has no `{words[0]}`"
        return {"args": [program, *map(self.here, words[1:])], "env": own, "cwd": self.root / "data", **as_user}


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user may pass through, as pytest's own may not."""
    with tempfile.TemporaryDirectory(prefix="kontor-image-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_steps_users_and_commands_of_the_image_and_the_compose_file_work(
    deployment: None, deploy: Path, postgres: str, root: Path
) -> None:
    image = Image(root, deploy)
    image.make()
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    port, operator_port, data_port = free_ports(3)
    configuration = (deploy / "config" / "compose.toml").read_text()
    for old, new in {"8080": port, "8081": operator_port, "8082": data_port}.items():
        assert configuration.count(f"port = {old}") == 1
        configuration = configuration.replace(f"port = {old}", f"port = {new}")
    target = root / "etc" / "kontor" / "kontor.toml"
    target.write_text(image.here(configuration))
    target.chmod(0o644)

    given = {"KONTOR_DATABASE_PASSWORD": "unused", "KONTOR_SECRETS_KEY": KEY}
    environment = {
        name: re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: given[found[1]], str(value))
        for name, value in services["node"]["environment"].items()
    }
    # the database of this test in place of the service `database`
    assert environment["KONTOR_STORE_URL"] == "postgresql://kontor:unused@database:5432/kontor"
    environment |= {"KONTOR_STORE_URL": postgres, "HOSTNAME": "node-of-the-test"}

    entry = image.final.words("ENTRYPOINT")
    migrate = image.command([*entry, *services["migrate"]["command"]], environment)
    done = subprocess.run(**migrate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "version" in done.stdout

    node = image.command([*entry, *image.final.words("CMD")], environment)
    process = subprocess.Popen(**node, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        probe = image.final.last("HEALTHCHECK").partition(" CMD ")[2].replace("8081", str(operator_port))
        check = image.command(yaml.safe_load(probe), {})
        until = time.monotonic() + _READY_WITHIN_S
        while (asked := subprocess.run(**check, capture_output=True, text=True, check=False)).returncode:
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < until, asked.stderr
            time.sleep(0.1)
        # the data worker answers at a port of its own, and asks the node whom to serve
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{data_port}/acme/data/pull/none", timeout=10)
        written = {path.relative_to(root).parts[0] for path in root.rglob("*") if path.stat().st_uid == 10001}
        if os.geteuid() == 0:
            assert written == {"data"}
        (worker,) = _children(process.pid)
        process.terminate()
        assert process.wait(15) == 0
        assert not Path(f"/proc/{worker}").exists()
    finally:
        process.kill()
        process.communicate()
    gone = subprocess.run(**check, capture_output=True, text=True, check=False)
    assert (gone.returncode, bool(gone.stderr)) == (1, True)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_probe_says_what_is_wrong(tmp_path: Path) -> None:
    for arguments, code in (((), 2), (("ftp://x",), 2), ((f"http://127.0.0.1:{free_ports(1)[0]}/ready",), 1)):
        done = subprocess.run(
            [sys.executable, "-m", "connector.cli.probe", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert done.stderr


@pytest.mark.parametrize("text", ["/data", "/data/x", "PATH=/opt/kontor/bin:/usr/bin", '"/etc/kontor/kontor.toml"'])
def test_paths_of_the_image_are_found_in_any_text(deploy: Path, tmp_path: Path, text: str) -> None:
    assert Image(tmp_path, deploy).here(text).count(str(tmp_path)) == 1
