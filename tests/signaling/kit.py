"""What the standard's kit does with a data plane under test, step by step; and a node of ours in that place."""

from __future__ import annotations

import asyncio
import hashlib
import json
import pathlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from connector.app import App
from connector.controlplane.clock import SystemClock
from connector.controlplane.jobs import Pace, Workers
from connector.controlplane.secrets import Seal
from connector.dataplane.plane import BuiltInDataPlane, DataPlaneConfig
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.dataplane import Source
from connector.settings import Settings
from connector.signaling.book import CONTROL_PLANE, Book
from connector.signaling.callers import Callers
from connector.signaling.drivers import Drivers
from connector.signaling.entries import Authorization, Entry
from connector.signaling.flows import HOME, Flow
from connector.signaling.logins import Logins
from connector.signaling.serving import REPORT, Serving
from connector.signaling.shelf import Flows
from connector.signaling.table import MOVE, READY, FlowTable
from connector.storage.memory import Memory, MemoryStore
from connector.testing.dataspace import api_key
from connector.web.signaling.data import routes
from connector.web.signaling.door import signaling_app
from tests.dps.schemas import faults
from tests.signaling.foreign import SECRET, Heard, Plane

DATASET = "urn:weather"
SLOW = "urn:slow"
CONTENT = b"station,temperature\nA,21\n"
_WITHIN_S = 10.0


@dataclass
class Kit:
    """A control plane that drives our data plane, as the kit does it."""

    app: App | None
    control: Plane
    client: httpx.AsyncClient
    slow: pathlib.Path
    """Where the data of `SLOW` will be."""
    url: str
    own_did: str = "did:web:localhost:ours"
    client_did: str = "did:web:localhost:theirs"
    parts: tuple[BuiltInDataPlane, Flows, Serving] | None = None
    """Of a composed one."""
    said: list[tuple[str, Any]] = field(default_factory=list)
    """Messages in both directions, for the schemas."""

    def later(self, content: bytes | None) -> None:
        """Let the data of `SLOW` be there, or not any more."""
        if content is None:
            self.slow.unlink(missing_ok=True)
        else:
            self.slow.write_bytes(content)

    async def post(self, path: str, tree: Any = None, *, method: str = "POST", secret: str | None = SECRET) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}"} if secret is not None else {}
        body = json.dumps(tree).encode() if tree is not None else b""
        return await self.client.request(method, f"{self.url}{path}", content=body, headers=headers)

    def order(self, profile: str, *, dataset: str = DATASET, **members: Any) -> dict[str, Any]:
        """A prepare or start as the kit writes it, for a flow of its own."""
        return {
            "messageId": str(uuid.uuid4()),
            "participantId": self.own_did,
            "counterPartyId": self.client_did,
            "dataspaceContext": "tck-dataspace",
            "processId": f"urn:uuid:{uuid.uuid4()}",
            "agreementId": str(uuid.uuid4()),
            "datasetId": dataset,
            "profile": profile,
            "claims": {},
            **members,
        }

    async def begin(self, call: str, profile: str, *, is_slow: bool = False, **members: Any) -> tuple[str, dict[str, Any]]:
        """The flow's id and the answer to a prepare or start, which was in time or says that it takes its time."""
        tree = self.order(profile, **({"dataset": SLOW} if is_slow else {}), **members)
        answer = await self.post(f"/dataflows/{call}", tree)
        found: dict[str, Any] = answer.json()
        assert answer.status_code == (202 if is_slow else 200), found
        if is_slow:
            assert answer.headers["location"].endswith("/status")
        assert found["dataFlowId"] == tree["processId"]
        assert found["state"] == {"prepare": "PREPAR", "start": "START"}[call] + ("ING" if is_slow else "ED")
        self.said += [(call, tree), ("report", found)]
        return tree["processId"], found

    async def note(self, flow: str, call: str, **members: Any) -> httpx.Response:
        """The answer to one of the short messages."""
        tree = {} if call == "completed" else {"messageId": str(uuid.uuid4()), **members}
        answer = await self.post(f"/dataflows/{flow}/{call}", tree)
        if answer.is_success:
            self.said.append(("report", answer.json()))
        if call == "resume" and answer.is_success:
            assert answer.json()["state"] == "STARTED"
        return answer

    async def state(self, flow: str) -> str:
        answer = await self.post(f"/dataflows/{flow}/status", method="GET")
        self.said.append(("status", answer.json()))
        return str(answer.json()["state"])

    async def until_state(self, flow: str, state: str) -> None:
        seen = ""
        try:
            async with asyncio.timeout(_WITHIN_S):
                while (found := await self.state(flow)) != state:
                    seen = found
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"the flow is {seen}, not {state}") from None

    async def until_reported(self, flow: str, report: str) -> Heard:
        """What our data plane has reported of a flow."""
        async with asyncio.timeout(_WITHIN_S):
            while True:
                for heard in self.control.of(report):
                    if f"/transfers/{flow}/" in heard.path:
                        return heard
                await self.control.until(report, len(self.control.of(report)) + 1)

    def faults(self) -> list[str]:
        """What the official schemas find wrong with all that was said."""
        return faults([*self.said, *self.control.messages()])


def settings(folder: pathlib.Path, control: str, **dataplane: Any) -> Settings:
    """A node that is a data plane under the control plane at `control`, and nothing else."""
    path = folder / "weather.csv"
    path.write_bytes(CONTENT)
    key = {"name": "all", "sha256": hashlib.sha256(api_key().encode()).hexdigest(), "participants": ["*"], "role": "admin"}
    return Settings.model_validate({
        "node": {"id": "our-dp", "roles": ["dataplane"], "public_url": "http://127.0.0.1:0", "data_dir": folder / "data"},
        "public": {"port": 0},
        "operator": {"port": 0, "api_keys": [key]},
        "store": {"url": "memory:"},
        "outbound": {"unsafe_allow_http": True, "unsafe_allow_loopback": True},
        "data": {"push_first_delay_s": 0.05},
        "signaling": {"port": 0, "unsafe_allow_http": True},
        "dataplane": {
            "datasets": {
                DATASET: {"type": "file", "path": str(path)},
                SLOW: {"type": "file", "path": str(folder / "comes-later.csv")},
            },
            "control_planes": [{"id": "tck", "endpoint": control, "secret": SECRET}],
            **dataplane,
        },
    })  # fmt: skip


@asynccontextmanager
async def running(folder: pathlib.Path, control: Plane, **dataplane: Any) -> AsyncIterator[Kit]:
    """Our data plane under `control`."""
    async with App(settings(folder, control.url, **dataplane)) as app, httpx.AsyncClient() as client:
        yield Kit(app=app, control=control, client=client, slow=folder / "comes-later.csv", url=f"{app.signaling_url}/v1")


@asynccontextmanager
async def composed(folder: pathlib.Path, control: Plane, is_ready: Callable[[], Awaitable[object]]) -> AsyncIterator[Kit]:
    """The parts of our data plane that calls go through, with another answer to when a flow is ready."""
    clock, store = SystemClock(), MemoryStore(node="n", lease_s=30, memory=Memory())
    sealer, rules = Seal(b"k" * 32), OutboundRules(allow_http=True, allow_loopback=True)
    own = Entry(participant=HOME, id="tck", endpoint=control.url, authorization=Authorization(secret=SECRET), allows_http=True)

    async def ready(_: Flow) -> None:
        await is_ready()

    def sources(_: Flow) -> Source:
        return Source(type="file", path=str(folder / "none"))

    async with OutboundClient(rules) as outbound, AsyncExitStack() as stack:
        config = DataPlaneConfig(public_url="http://public.example", data_dir=folder)
        plane = BuiltInDataPlane(config, peers=outbound, upstreams=outbound, clock=clock)
        flows = Flows(store, sealer, clock)
        book = Book(store, sealer, clock, CONTROL_PLANE, allows_http=True, written=lambda _: None)
        drivers = Drivers(book, Callers(clock, store.replay, _no_keys), [own], id_="our-dp")
        table = FlowTable(
            flows,
            store,
            plane,
            outbound,
            clock,
            public_url="http://public.example",
            answer_within_s=0.05,
            sources=sources,
            ready=ready,
        )
        serving = Serving(table, store, plane, outbound, drivers, Logins(outbound, clock), clock, sources=sources)
        plane.connect(serving, serving)
        plane.tell_over(serving.over)
        await stack.enter_async_context(plane)
        workers = Workers(store.jobs, clock, lease_s=30)
        workers.register(READY, serving.ready)
        workers.register(REPORT, serving.report)
        workers.register(MOVE, serving.move, Pace(first_delay_s=0.05, timeout_s=None))
        running_ = asyncio.create_task(workers.run())
        transport = httpx.ASGITransport(app=signaling_app(routes(drivers, table)))
        async with httpx.AsyncClient(transport=transport, base_url="http://dp.example") as client:
            yield Kit(
                app=None,
                control=control,
                client=client,
                slow=folder / "none",
                url="http://dp.example/v1",
                parts=(plane, flows, serving),
            )
        running_.cancel()
        await asyncio.gather(running_, return_exceptions=True)


def _no_keys(url: str) -> Any:
    raise AssertionError(f"nobody here has keys at {url}")


def address(kind: str, endpoint: str, properties: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A data address as the kit writes it."""
    named = properties or {"authorization": "t", "authType": "bearer"}
    entries = [{"@type": "EndpointProperty", "name": name, "value": value} for name, value in named.items()]
    return {"@type": "DataAddress", "endpointType": kind, "endpoint": endpoint, "endpointProperties": entries}


def properties_of(found: Mapping[str, Any]) -> dict[str, str]:
    """The properties of an address by name."""
    return {entry["name"]: entry["value"] for entry in found["endpointProperties"]}


async def read_started(status: Mapping[str, Any]) -> httpx.Response:
    """What is read at the address of a pull that was started."""
    found = status["dataAddress"]
    async with httpx.AsyncClient() as client:
        return await client.get(found["endpoint"], headers={"authorization": f"Bearer {properties_of(found)['authorization']}"})
