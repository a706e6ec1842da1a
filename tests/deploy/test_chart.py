"""The Helm chart, by the real Helm: linted, rendered with several values, and what it renders is what a node reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.settings import Settings, read
from tests.deploy.conftest import KEY
from tests.servers import tools

SECURE = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
STORE = "postgresql://kontor:x@database/kontor"


@pytest.fixture
def helm(deployment: None) -> str:
    return tools.helm()


def helped(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def rendered(program: str, chart: Path, folder: Path, **values: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects that the chart makes of its own values and `values`, by kind and name."""
    given = folder / "values.json"
    given.write_text(json.dumps(values))
    done = helped(program, "template", "here", str(chart), "--kube-version", "1.33.0", "--values", str(given))
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def configured(objects: dict[tuple[str, str], dict[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The configuration that the chart makes, as a node reads it."""
    path = folder / "kontor.toml"
    path.write_text(objects["ConfigMap", "here-kontor"]["data"]["kontor.toml"])
    for name, value in {"KONTOR_NODE": "here-kontor-1", "KONTOR_STORE_URL": STORE, "KONTOR_SECRETS_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    return read(path)


def test_helm_finds_nothing_wrong(helm: str, deploy: Path) -> None:
    done = helped(helm, "lint", "--strict", str(deploy / "helm" / "kontor"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_wrong_values_are_refused_by_their_schema(helm: str, deploy: Path) -> None:
    done = helped(helm, "template", "here", str(deploy / "helm" / "kontor"), "--set", "replicas=none")
    assert done.returncode != 0
    assert "replicas" in done.stderr
    bounds = ("--kube-version", "1.33.0", "--set", "autoscaling.enabled=true", "--set", "autoscaling.minReplicas=7")
    done = helped(helm, "template", "here", str(deploy / "helm" / "kontor"), *bounds)
    assert (done.returncode, "`autoscaling.minReplicas` is more than" in done.stderr) == (1, True)


def test_the_configuration_it_makes_is_one(helm: str, deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "publicUrl": "https://kontor.acme.example:8443",
        "participants": {"a.b": {"id": "did:web:a"}, "acme": {"id": "did:web:b", "title": "Acme", "approval": "manual"}},
        "extraConfig": "[delivery]\nattempts = 3\n",
        "trustedProxies": ["10.0.0.0/8"],
    }
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path, **values)
    settings = configured(objects, tmp_path, monkeypatch)
    assert (settings.node.id, settings.store.url, settings.delivery.attempts) == ("here-kontor-1", STORE, 3)
    assert {name: one.approval for name, one in settings.participants.items()} == {"a.b": "auto", "acme": "manual"}
    # peers are sent to where the ingress listens, without being told twice
    assert objects["Ingress", "here-kontor"]["spec"]["rules"][0]["host"] == "kontor.acme.example"
    assert settings.node.public_url == values["publicUrl"]
    # each variable that the configuration names is given to the container, from a secret where it is one
    container = objects["Deployment", "here-kontor"]["spec"]["template"]["spec"]["containers"][0]
    given = {one["name"]: set(one["valueFrom"]) for one in container["env"]}
    assert given == {
        "KONTOR_NODE": {"fieldRef"}, "KONTOR_STORE_URL": {"secretKeyRef"}, "KONTOR_SECRETS_KEY": {"secretKeyRef"},
    }  # fmt: skip


def test_nodes_and_migrations_may_do_little_and_are_watched(helm: str, deploy: Path, tmp_path: Path) -> None:
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path)
    for kind, name in (("Deployment", "here-kontor"), ("Job", "here-kontor-migrate")):
        pod = objects[kind, name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == SECURE
    node = objects["Deployment", "here-kontor"]["spec"]["template"]["spec"]["containers"][0]
    probes = {word: node[f"{word}Probe"]["httpGet"]["path"] for word in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    policy = objects["NetworkPolicy", "here-kontor"]["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "public", "protocol": "TCP"}]}]
    assert [one["containerPort"] for one in node["ports"]] == [8080, 8081]
    assert objects["Deployment", "here-kontor"]["spec"]["replicas"] == 2


def test_a_migration_brings_all_that_it_needs_and_leaves_the_release_alone(helm: str, deploy: Path, tmp_path: Path) -> None:
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path)
    # what is a hook is no part of the release: neither an upgrade that fails nor a rollback touches what its nodes use
    hooked = {at for at, one in objects.items() if "helm.sh/hook" in one["metadata"].get("annotations", {})}
    kinds = ("ServiceAccount", "ConfigMap", "NetworkPolicy", "Job")
    assert hooked == {(kind, "here-kontor-migrate") for kind in kinds}
    assert {objects[at]["metadata"]["annotations"]["helm.sh/hook"] for at in hooked} == {"pre-install,pre-upgrade"}
    job = objects["Job", "here-kontor-migrate"]
    pod = job["spec"]["template"]["spec"]
    assert int(job["metadata"]["annotations"]["helm.sh/hook-weight"]) > max(
        int(objects[kind, "here-kontor-migrate"]["metadata"]["annotations"]["helm.sh/hook-weight"]) for kind in kinds[:3]
    )
    assert (pod["serviceAccountName"], pod["volumes"][0]["configMap"]) == (
        "here-kontor-migrate",
        {"name": "here-kontor-migrate"},
    )
    assert objects["ConfigMap", "here-kontor-migrate"]["data"] == objects["ConfigMap", "here-kontor"]["data"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    policy = objects["NetworkPolicy", "here-kontor-migrate"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert [[one["port"] for one in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [5432]]
    assert "ingress" not in policy
    # nothing of the nodes means it
    for kind, name in (("Service", "here-kontor"), ("PodDisruptionBudget", "here-kontor"), ("NetworkPolicy", "here-kontor")):
        selector = objects[kind, name]["spec"].get("podSelector") or objects[kind, name]["spec"]["selector"]
        assert not (selector.get("matchLabels") or selector).items() <= labels.items()


def test_one_replica_with_a_volume_of_its_own_is_stopped_before_the_next_starts(
    helm: str, deploy: Path, tmp_path: Path
) -> None:
    volume = {"accessMode": "ReadWriteOnce"}
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path, replicas=1, persistence=volume)
    assert objects["Deployment", "here-kontor"]["spec"]["strategy"] == {"type": "Recreate"}
    # a budget of one for one replica would hold up every drain of its machine
    assert ("PodDisruptionBudget", "here-kontor") not in objects
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path)
    assert objects["Deployment", "here-kontor"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert objects["PodDisruptionBudget", "here-kontor"]["spec"]["minAvailable"] == 1


def test_data_workers_and_planes_are_reached_by_those_who_may(
    helm: str, deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planes = [{"podSelector": {"matchLabels": {"app": "plane"}}}]
    plane = '[[signaling.planes]]\nid = "plane"\nparticipants = ["acme"]\nhosts = ["plane.here.svc"]\nsecret = "x"\n'
    signaling = {"enabled": True, "tlsSecret": "planes-tls", "from": planes, "extraConfig": plane}
    data = {"workers": 2, "extraConfig": "push_attempts = 3\n"}
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path, data=data, signaling=signaling)
    settings = configured(objects, tmp_path, monkeypatch)
    assert settings.unsafe() == ()
    assert (settings.data.workers, settings.data.public_url, settings.data.push_attempts) == (2, settings.node.public_url, 3)
    assert settings.signaling is not None
    # all replicas are one control plane to a plane, at one address
    assert (settings.signaling.id, settings.signaling.url) == ("here-kontor", "https://here-kontor-signaling.default.svc:8182")
    ports = {"public": 8080, "operator": 8081, "data": settings.data.listener.port, "signaling": settings.signaling.port}
    for kind, name in (("Deployment", "here-kontor"), ("Job", "here-kontor-migrate")):
        pod = objects[kind, name]["spec"]["template"]["spec"]
        mounted = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        assert str(settings.signaling.tls_certificate) == f"{mounted['signaling-tls']}/tls.crt"
        assert {one["name"]: one.get("secret") for one in pod["volumes"]}["signaling-tls"] == {"secretName": "planes-tls"}
    node = objects["Deployment", "here-kontor"]["spec"]["template"]["spec"]["containers"][0]
    assert {one["name"]: one["containerPort"] for one in node["ports"]} == ports
    # peers reach the data workers by the ingress, planes the signaling listener by a service of its own
    services = {
        name: [(one["name"], one["targetPort"]) for one in found["spec"]["ports"]]
        for (kind, name), found in objects.items() if kind == "Service"
    }  # fmt: skip
    assert services == {
        "here-kontor": [("public", "public"), ("data", "data")],
        "here-kontor-operator": [("operator", "operator")],
        "here-kontor-signaling": [("signaling", "signaling")],
    }
    paths = objects["Ingress", "here-kontor"]["spec"]["rules"][0]["http"]["paths"]
    assert [(one["path"], one["backend"]["service"]["port"]["name"]) for one in paths] == [
        ("/acme/data", "data"),
        ("/", "public"),
    ]
    rules = objects["NetworkPolicy", "here-kontor"]["spec"]["ingress"]
    assert [({one["port"] for one in rule["ports"]}, rule.get("from")) for rule in rules] == [
        ({"public", "data"}, None),
        ({"signaling"}, planes),
    ]


def test_a_node_may_be_a_data_plane_alone(helm: str, deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driven = '[dataplane]\ncontrol_planes = [{ id = "cp", endpoint = "https://cp.here.svc/acme", secret = "x" }]\n'
    signaling = {"enabled": True, "unsafeAllowHttp": True, "extraConfig": driven}
    values: dict[str, Any] = {"roles": ["dataplane"], "participants": {"acme": None}, "data": {"workers": 1}}
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path, **values, signaling=signaling)
    settings = configured(objects, tmp_path, monkeypatch)
    assert (settings.node.roles, settings.participants) == (("dataplane",), {})
    assert settings.unsafe() == ("signaling.unsafe_allow_http",)
    paths = objects["Ingress", "here-kontor"]["spec"]["rules"][0]["http"]["paths"]
    assert [one["path"] for one in paths] == ["/dataplane/data", "/"]
    # nobody is named who may reach its signaling listener: nobody does
    assert [len(rule["ports"]) for rule in objects["NetworkPolicy", "here-kontor"]["spec"]["ingress"]] == [2]


def test_what_is_turned_off_is_not_there(helm: str, deploy: Path, tmp_path: Path) -> None:
    off = {
        name: {"enabled": False} for name in ("migrations", "persistence", "ingress", "networkPolicy", "podDisruptionBudget")
    }
    registry = {"pullSecrets": [{"name": "registry"}]}
    objects = rendered(helm, deploy / "helm" / "kontor", tmp_path, **off, autoscaling={"enabled": True}, image=registry)
    assert objects["Deployment", "here-kontor"]["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    kinds = {kind for kind, _ in objects}
    assert kinds == {"ConfigMap", "ServiceAccount", "Service", "Deployment", "HorizontalPodAutoscaler"}
    assert "replicas" not in objects["Deployment", "here-kontor"]["spec"]
