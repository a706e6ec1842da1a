"""A control plane, a data plane and a consumer as three processes: `python -m tests.scenarios.planes`.

The demo's CSV lies with the data plane alone, whose bytes a worker of its own moves. The consumer gets it by pull and by push, and a data
plane on the consumer's side fetches it; then the data plane is killed with a transfer on its way, and after it the control plane: both
come back, and the data arrives. A command of its own, because processes take seconds to start. Exit code 1 as soon as something is not
as it should be.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from connector.api.catalog import DatasetRequest
from connector.api.negotiations import NewNegotiation
from connector.api.offerings import Asset, ContractDefinition, Policy
from connector.api.sources import AssetSource
from connector.api.transfers import NewTransfer, Transfer
from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE
from connector.cli.nodes import Running, log_tail, running
from connector.client import Calls
from connector.client.calls import Call
from connector.client.dataplanes import dataplanes
from connector.packaged import sample_file
from connector.testing.dataspace import PULL, PUSH, USE

T = TypeVar("T")
KEY, SECRET, DATASET = "key-of-the-operator", "between the two planes", "urn:acme:weather"
ACME, BUYER = Calls("acme"), Calls("buyer")
_WITHIN_S = 60.0


def main() -> int:
    """Run the story; 0 when all of it is true."""
    data = sample_file("weather.csv").read_bytes()
    with tempfile.TemporaryDirectory(prefix="kontor-planes-") as folder:
        ports = dict(
            zip(
                ("acme", "acme-op", "acme-sig", "dp", "dp-op", "dp-sig", "dp-data", "buyer", "buyer-op"),
                free_ports(9),
                strict=True,
            )
        )
        root = Path(folder)
        for name, text in _settings(ports).items():
            (root / name).mkdir()
            (root / name / CONFIG_FILE).write_text(text)
        nodes = [(root / name, ports[f"{name}-op"], KEY) for name in ("acme", "dp", "buyer")]
        try:
            with running(nodes[1:2]) as (plane,), running([nodes[0], nodes[2]]) as (acme, buyer):
                _story(acme, plane, buyer, nodes, data, {name: f"http://127.0.0.1:{port}" for name, port in ports.items()})
        except AssertionError as fault:
            print(f"not so: {fault}", file=sys.stderr)
            for name in ("acme", "dp", "buyer"):
                print(f"--- {name}\n{log_tail(root / name, 30)}", file=sys.stderr)
            return 1
    print("all of it is true")
    return 0


def _story(
    acme: Running, plane: Running, buyer: Running, nodes: list[tuple[Path, int, str]], data: bytes, urls: dict[str, str]
) -> None:
    address = f"{urls['acme']}/acme/dsp/2025-1"

    def told(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

    begun = time.monotonic()
    found = until(acme, dataplanes("acme"), lambda all_: any(one.id == "dp" for one in all_.items))
    assert found.items[0].owner == "plane"
    told(f"the data plane has registered itself: {', '.join(found.items[0].profiles)}")

    acme.client.send(ACME.put_asset(Asset(id=DATASET, title="Weather", source=AssetSource(type="none"))))
    acme.client.send(ACME.put_policy(Policy(id="open", policy=dict(USE))))
    acme.client.send(ACME.put_definition(ContractDefinition(id="open", assets=(DATASET,), policy="open")))
    offered = buyer.client.send(BUYER.dataset_of(DatasetRequest(address=address, peer="urn:acme", dataset=DATASET))).dataset
    assert {one["format"] for one in offered["distribution"]} == {PULL, PUSH}
    offer = {**offered["hasPolicy"][0], "target": DATASET}
    asked = buyer.client.send(BUYER.negotiate(NewNegotiation(address=address, peer="urn:acme", dataset=DATASET, offer=offer)))
    agreed = until(buyer, BUYER.negotiation(asked.pid), lambda now: now.state == "FINALIZED")
    assert agreed.agreement_id is not None
    told("the offer shows what the data plane serves, and is agreed on")

    def begin(format_: str) -> Transfer:
        return buyer.client.send(BUYER.begin_transfer(NewTransfer(agreement=str(agreed.agreement_id), format=format_)))

    def reached(pid: str, *states: str) -> Transfer:
        return until(buyer, BUYER.transfer(pid), lambda now: now.state in states)

    pull = reached(begin(PULL).pid, "STARTED")
    assert buyer.client.send(BUYER.data(pull.pid)) == data
    opened = buyer.client.send(BUYER.data_address(pull.pid))
    assert str(opened.endpoint).startswith(urls["dp-data"])
    told(f"pulled {len(data)} bytes from a worker of the data plane, each as it should be")

    # the same data plane on a consumer's side: its worker fetches what that address gives, and keeps it
    properties = [{"@type": "EndpointProperty", "name": name, "value": value} for name, value in opened.properties.items()]
    kept = {"@type": "DataAddress", "endpointType": "HttpData", "endpoint": opened.endpoint, "endpointProperties": properties}
    with httpx.Client(headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False, base_url=urls["dp-sig"]) as control:

        def call(path: str, tree: dict[str, Any]) -> None:
            assert control.post(f"/v1/dataflows/{path}", json={"messageId": path, **tree}).status_code == 200

        who = {"participantId": "urn:buyer", "counterPartyId": "urn:acme", "dataspaceContext": "x", "claims": {}}
        call("prepare", {**who, "processId": "fetched", "agreementId": "a", "datasetId": DATASET, "profile": PULL})
        call("fetched/started", {"dataAddress": kept})
        end = time.monotonic() + _WITHIN_S
        while (state := control.get("/v1/dataflows/fetched/status").json()["state"]) != "COMPLETED":
            assert time.monotonic() < end, f"the fetched flow is {state}"
            time.sleep(0.05)
    fetched = [path for path in (nodes[1][0] / "data" / "dataplane" / "inbox").rglob("*") if path.is_file()]
    assert any(path.read_bytes() == data for path in fetched), fetched
    told("fetched by it for a consumer, and kept")
    buyer.client.send(BUYER.act_in_transfer(pull.pid, "complete"))

    push = reached(begin(PUSH).pid, "COMPLETED")
    assert push.digest == hashlib.sha256(data).hexdigest()
    told("pushed by the data plane, which says by itself that it is complete")

    os.kill(plane.process.pid, signal.SIGKILL)
    plane.process.wait()
    waiting = begin(PULL)
    theirs = until(acme, ACME.transfers(), lambda page: any(one.peer_pid == waiting.pid for one in page.items))
    pid = next(one.pid for one in theirs.items if one.peer_pid == waiting.pid)
    assert acme.client.send(ACME.transfer(pid)).state == "REQUESTED"
    os.kill(acme.process.pid, signal.SIGKILL)
    acme.process.wait()
    told("killed the data plane, and then the control plane with a transfer that waits for it")
    with running(nodes[1:2]), running(nodes[:1]) as (again,):
        reached(waiting.pid, "STARTED")
        assert buyer.client.send(BUYER.data(waiting.pid)) == data
        told("both are back, and the transfer has gone on by itself")
        buyer.client.send(BUYER.act_in_transfer(waiting.pid, "terminate"))
        until(again, ACME.transfer(pid), lambda now: now.state == "TERMINATED" and now.flow_state == "TERMINATED")
        told("terminated by the consumer, and the data plane knows")


def until(node: Running, call: Call[T], fits: Callable[[T], bool]) -> T:
    """The first answer that fits."""
    end = time.monotonic() + _WITHIN_S
    while not fits(found := node.client.send(call)):
        assert time.monotonic() < end, f"it stayed {found}"
        time.sleep(0.05)
    return found


def _settings(ports: dict[str, int]) -> dict[str, str]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    def node(name: str, roles: str, rest: str) -> str:
        return f"""
[node]
id = "{name}"
roles = {roles}
public_url = "{url[name]}"
data_dir = "data"
[public]
port = {ports[name]}
[operator]
port = {ports[f"{name}-op"]}
api_keys = [{{ name = "all", sha256 = "{digest}", participants = ["*"], role = "admin" }}]
[outbound]
unsafe_allow_http = true
unsafe_allow_loopback = true
{rest}"""

    def participant(name: str, other: str) -> str:
        return f"""
[participants.{name}]
id = "urn:{name}"
unsafe_static_tokens = [{{ id = "urn:{other}", theirs = "Bearer {other}-to-{name}", ours = "Bearer {name}-to-{other}" }}]
"""

    acme = f"""
[signaling]
port = {ports["acme-sig"]}
unsafe_allow_http = true
[[signaling.planes]]
id = "dp"
participants = ["acme"]
hosts = ["127.0.0.1"]
secret = "{SECRET}"
{participant("acme", "buyer")}"""
    plane = f"""
[signaling]
port = {ports["dp-sig"]}
unsafe_allow_http = true
[data]
workers = 1
public_url = "{url["dp-data"]}"
listener = {{ port = {ports["dp-data"]} }}
[dataplane]
register_at = [{{ control_plane = "acme", url = "{url["acme-sig"]}/acme/dataplanes" }}]
control_planes = [{{ id = "acme", endpoint = "{url["acme-sig"]}/acme", secret = "{SECRET}" }}]
[dataplane.datasets."{DATASET}"]
type = "file"
path = "{sample_file("weather.csv")}"
"""
    return {
        "acme": node("acme", '["connector"]', acme),
        "dp": node("dp", '["dataplane"]', plane),
        "buyer": node("buyer", '["connector"]', participant("buyer", "acme")),
    }


if __name__ == "__main__":
    raise SystemExit(main())
