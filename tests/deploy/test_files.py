"""What stands in `deploy/` is what it says: configurations that are read, locks that agree, an image that is no root's."""

from __future__ import annotations

import base64
import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from connector.settings import read
from tests.deploy import containerfile
from tests.deploy.conftest import DEPLOY, KEY
from tests.house.tree import ROOT
from tests.servers import tools

UNIT = DEPLOY / "systemd" / "kontor.service"
CONFIGURATIONS = sorted((DEPLOY / "config").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_each_configuration_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOSTNAME": "node-7",
        "KONTOR_STORE_URL": "postgresql://kontor:x@database/kontor",
        "KONTOR_SECRETS_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    settings = read(path)
    assert len(base64.b64decode(KEY)) == 32
    assert settings.unsafe() == ()
    assert settings.node.public_url.startswith("https://")
    assert [key.role for key in settings.operator.api_keys] == ["admin"]


def test_signaling_of_the_compose_file_works_once_its_marks_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "config" / "compose.toml").read_text()
    marked = re.search(r"^# \[signaling\]\n(?:# .+\n)+", text, re.MULTILINE)
    assert marked is not None
    (tmp_path / "kontor.toml").write_text(text.replace(marked[0], re.sub("^# ", "", marked[0], flags=re.MULTILINE)))
    named = ("HOSTNAME", "KONTOR_STORE_URL", "KONTOR_PLANE_SECRET")
    for name, value in {**dict.fromkeys(named, "x"), "KONTOR_SECRETS_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    settings = read(tmp_path / "kontor.toml")
    assert settings.unsafe() == ()
    assert settings.signaling is not None
    assert (settings.signaling.port, settings.data.listener.port, settings.data.workers) == (8182, 8082, 1)
    assert {plane.id for plane in settings.signaling.planes} == {"plane"}


def _versions(path: Path) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return dict(found)


def test_the_image_has_the_locked_versions_and_no_tools_for_tests() -> None:
    whole, image = _versions(ROOT / "requirements.lock"), _versions(DEPLOY / "requirements.lock")
    assert {name: version for name, version in image.items() if whole.get(name) != version} == {}
    assert {"msgspec", "asyncpg", "obstore", "tantivy", "jinja2"} <= set(image)
    assert {"pytest", "hypothesis", "ruff", "mypy", "schemathesis"} & set(image) == set()
    lines = (DEPLOY / "requirements.lock").read_text()
    assert "://" not in lines
    assert lines.count("--hash=sha256:") >= len(image)


def test_the_image_runs_as_a_user_of_its_own_and_writes_in_one_place() -> None:
    build, image = containerfile.read(DEPLOY / "Containerfile")
    assert build.base == image.base == "python:3.12-slim"
    assert image.last("USER") == "10001:10001"
    assert image.words("ENTRYPOINT") == ["kontor"]
    assert image.last("VOLUME") == '["/data"]'
    assert image.environment["TMPDIR"] == "/data"
    assert "--require-hashes" in "".join(containerfile.read(DEPLOY / "Containerfile")[0].all("RUN"))
    assert "/ready" in image.last("HEALTHCHECK")


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_the_containers_of_the_compose_file_may_do_little() -> None:
    services = _compose()["services"]
    for name in ("migrate", "node"):
        one = services[name]
        assert (one["read_only"], one["cap_drop"], one["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
        assert "./config/compose.toml:/etc/kontor/kontor.toml:ro" in one["volumes"]
    # the operator API is not published
    assert services["node"]["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:8082:8082"]
    assert services["node"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_a_proxy_on_the_machine_is_the_one_that_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    (network,) = _compose()["networks"]["default"]["ipam"]["config"]
    for name in ("HOSTNAME", "KONTOR_STORE_URL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("KONTOR_SECRETS_KEY", KEY)
    settings = read(DEPLOY / "config" / "compose.toml")
    assert settings.public.trusted_proxies == settings.data.listener.trusted_proxies == (network["gateway"],)


def test_the_steps_for_one_machine_are_those_of_the_image(deploy: Path) -> None:
    text = (deploy / "README.md").read_text()
    (steps,) = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [
        line.partition("    #")[0].removeprefix("python3 ").removeprefix("/opt/kontor/bin/python ")
        for line in steps.splitlines()
    ]
    build, _ = containerfile.read(deploy / "Containerfile")
    ran = [
        re.sub(r"--no-cache-dir |--disable-pip-version-check |^python |^/opt/kontor/bin/python ", "", one)
        for one in build.all("RUN")
    ]
    assert lines[:3] == ran
    service = UNIT.read_text()
    for target in re.findall(r" (/\S+\.(?:toml|service))$", "\n".join(lines), re.MULTILINE):
        assert target in service or target.endswith(UNIT.name)
    for source in re.findall(r" (deploy/\S+)", steps):
        assert (ROOT / source).exists()


def test_no_secret_stands_in_the_compose_file() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assigned = re.findall(r"(?i)^\s+\w*(?:PASSWORD|SECRET|KEY)\w*: (.+)$", text, re.MULTILINE)
    assert len(assigned) >= 4
    assert [value for value in assigned if not value.startswith("${")] == []


def test_the_unit_starts_what_the_package_brings_and_shuts_the_rest_out() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    service = dict(parser["Service"])
    assert service["ExecStart"] == "/opt/kontor/bin/kontor serve --config /etc/kontor/kontor.toml"
    assert service["NoNewPrivileges"] == service["ProtectHome"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "kontor"


def test_systemd_finds_nothing_wrong_with_the_unit(deployment: None, tmp_path: Path) -> None:
    program = tools.systemd_analyze()
    # the unit as it stands, with a program that this machine has
    copy = tmp_path / "kontor.service"
    copy.write_text(UNIT.read_text().replace("/opt/kontor/bin/kontor", "/bin/true"))
    done = subprocess.run([program, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "kontor.service" in line] == []
    # 0 is shut in, 10 is open to everything; a service that says nothing has 9.6
    told = subprocess.run(
        [program, "security", "--offline=true", "--threshold=20", str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == told.returncode == 0, told.stdout + told.stderr


def _chart(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "helm" / "kontor" / name).read_text())


def test_the_values_of_the_chart_are_what_their_schema_takes() -> None:
    validator = jsonschema_rs.Draft7Validator(_chart("values.schema.json"))
    values = _chart("values.yaml")
    assert list(validator.iter_errors(values)) == []
    assert set(values) == set(_chart("values.schema.json")["properties"]) - {"global"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0},
        {"publicUrl": "http://plain.example"},
        {"participants": {}},
        {"participants": {"Acme": {"id": "x"}}},
        {"participants": {"acme": {"id": 'a"b'}}},
        {"operator": {"apiKeys": [{"name": "a", "sha256": "not a digest"}]}},
        {"storr": {}},
        {"persistence": {"size": "20 GB"}},
        {"persistence": {"enabled": True, "accessMode": "ReadWriteOnce"}},
        {"persistence": {"enabled": True, "accessMode": "ReadWriteOnce"}, "replicas": 1, "autoscaling": {"enabled": True}},
        {"ingress": {"host": "under_score.example"}},
        {"image": {"repository": "kontor", "tag": "local", "pullSecrets": ["registry"]}},
        {"roles": ["dataplain"]},
        {"roles": ["dataplane"]},
        {"roles": ["catalog"], "participants": {}},
        {"data": {"workers": 65}},
        {"signaling": {"enabled": True}},
        {"signaling": {"enabled": True, "unsafeAllowHttp": False, "tlsSecret": ""}},
        {"signaling": {"enabled": True, "tlsSecret": "x", "id": "a b"}},
    ],
)
def test_what_is_wrong_with_values_is_found_before_anything_is_rendered(wrong: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft7Validator(_chart("values.schema.json"))
    assert list(validator.iter_errors({**_chart("values.yaml"), **wrong}))
