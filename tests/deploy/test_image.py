"""The image, the compose file and the unit without a container: their own steps, users, environments, commands and limits.

What cannot be shown so is the base image itself, and that no image was built is said in `deploy/README.md`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from connector.app.listening import free_ports
from tests.deploy import confined
from tests.deploy.conftest import DEPLOY, KEY
from tests.deploy.image import Image
from tests.house.tree import ROOT
from tests.servers import s3, tools

_READY_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def image(deployment: None) -> Iterator[Image]:
    """The image, made in a folder that every user may pass through, as pytest's own may not."""
    with tempfile.TemporaryDirectory(prefix="kontor-image-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        made = Image(Path(name), DEPLOY)
        made.make()
        yield made


def configured(image: Image, text: str, ports: Mapping[str, int]) -> None:
    """Put the configuration `text` where the image looks for it, with `ports` in place of its own."""
    for old, new in ports.items():
        assert text.count(f"port = {old}") == 1
        text = text.replace(f"port = {old}", f"port = {new}")
    target = image.root / "etc" / "kontor" / "kontor.toml"
    target.write_text(image.here(text))
    target.chmod(0o644)


@contextmanager
def running(image: Image, started: dict[str, Any], operator_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A node that was `started` and is ready, by the health check of the image; told to end, it ends as one that was told so."""
    process = subprocess.Popen(**started, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        probe = image.final.last("HEALTHCHECK").partition(" CMD ")[2].replace("8081", str(operator_port))
        check = image.command(yaml.safe_load(probe), {})
        until = time.monotonic() + _READY_WITHIN_S
        while (asked := subprocess.run(**check, capture_output=True, text=True, check=False)).returncode:
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < until, asked.stderr
            time.sleep(0.1)
        yield process
        workers = _children(process.pid)
        process.terminate()
        assert process.wait(15) == 0
        assert [worker for worker in workers if Path(f"/proc/{worker}").exists()] == []
        gone = subprocess.run(**check, capture_output=True, text=True, check=False)
        assert (gone.returncode, bool(gone.stderr)) == (1, True)
    finally:
        process.kill()
        process.communicate()


def test_the_steps_users_and_commands_of_the_image_and_the_compose_file_work(image: Image, deploy: Path, postgres: str) -> None:
    services = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]
    port, operator_port, data_port = free_ports(3)
    ports = {"8080": port, "8081": operator_port, "8082": data_port}
    configured(image, (deploy / "config" / "compose.toml").read_text(), ports)

    given = {"KONTOR_DATABASE_PASSWORD": "unused", "KONTOR_SECRETS_KEY": KEY}
    environment = _filled(services["node"]["environment"], given)
    # the database of this test in place of the service `database`, which is asked as its own health check asks
    assert environment["KONTOR_STORE_URL"] == "postgresql://kontor:unused@database:5432/kontor"
    environment |= {"KONTOR_STORE_URL": postgres, "HOSTNAME": "node-of-the-test"}
    at = urlsplit(postgres)
    where = {**os.environ, "PGHOST": at.hostname or "", "PGPORT": str(at.port)}
    word, *healthy = services["database"]["healthcheck"]["test"]
    assert word == "CMD"
    assert subprocess.run(healthy, env=where, capture_output=True, check=False).returncode == 0

    entry = image.final.words("ENTRYPOINT")
    migrate = image.command([*entry, *services["migrate"]["command"]], environment)
    done = subprocess.run(**migrate, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "version" in done.stdout

    with running(image, image.command([*entry, *image.final.words("CMD")], environment), operator_port) as node:
        # the data worker answers at a port of its own, and asks the node whom to serve
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{data_port}/acme/data/pull/none", timeout=10)
        assert len(_children(node.pid)) == 1
        if os.geteuid() == 0:
            status = Path(f"/proc/{node.pid}/status").read_text()
            assert re.search(r"^Uid:\t10001\t10001", status, re.MULTILINE)
            assert re.findall(r"^(?:CapEff|CapBnd|NoNewPrivs):\t(\w+)$", status, re.MULTILINE) == ["0" * 16, "0" * 16, "1"]
            written = {path.relative_to(image.root).parts[0] for path in image.root.rglob("*") if path.stat().st_uid == 10001}
            assert written == {"data"}


def test_a_node_with_data_workers_lives_within_the_limits_of_the_unit(image: Image, deploy: Path) -> None:
    port, operator_port, data_port = free_ports(3)
    text = (deploy / "config" / "server.toml").read_text().replace("/var/lib/kontor", "/data")
    workers = f'\n[data]\nworkers = 2\npublic_url = "https://data.example.org"\nlistener = {{ port = {data_port} }}\n'
    configured(image, text + workers, {"8080": port, "8081": operator_port})
    shutil.copy(confined.__file__, image.root)
    calls = image.root / "calls.json"
    calls.write_text(json.dumps(confined.allowed(deploy / "systemd" / "kontor.service", tools.systemd_analyze())))
    within = (str(image.root / "opt/kontor/bin/python"), str(image.root / "confined.py"), str(calls))
    start = image.command(["kontor", "serve", "--config", "/etc/kontor/kontor.toml"], {}, within=within)
    with running(image, start, operator_port) as node:
        assert len(_children(node.pid)) == 2


def test_the_object_store_of_the_compose_file_opens_to_its_keys_alone(deployment: None, deploy: Path, tmp_path: Path) -> None:
    service = yaml.safe_load((deploy / "compose.yaml").read_text())["services"]["objects"]
    keys = {"S3_ACCESS_KEY": "the-key", "S3_SECRET_KEY": "the-secret"}
    # the program in the version of the image, its command and environment; ports and folder are the test's
    assert service["image"].rpartition(":")[2] == s3.VERSION
    command = [word.replace("=/data", f"={tmp_path}") for word in service["command"]]
    with s3.serving(command, _filled(service["environment"], keys), tmp_path) as endpoint:
        for secret, is_open in (("the-secret", True), ("another", False)):
            store = S3Store(
                "weather",
                config={"endpoint": endpoint, "region": "us-east-1", "access_key_id": "the-key", "secret_access_key": secret},
                client_options={"allow_http": True},
                retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
            )
            if is_open:
                store.put("a.csv", b"rain")
                assert bytes(store.get("a.csv").bytes()) == b"rain"
            else:
                with pytest.raises(PermissionDeniedError):
                    store.put("a.csv", b"snow")


def _filled(environment: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service with the variables of its file."""
    return {
        name: re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: given[found[1]], str(value))
        for name, value in environment.items()
    }


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
