"""The ten cases that the standard's kit has for a control plane: CP_C and CP_P, each 01-01, 01-02, 02-01, 02-02, 03-01.

Source: eclipse-dataspacetck/dps-tck, ControlPlaneConsumerSignalingTest and ControlPlaneProviderSignalingTest. The kit plays the data plane
and the other control plane; here that is another node. Each message that the data plane hears is held against the official schemas.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from connector.api.dataplanes import NewDataPlane
from connector.api.negotiations import Negotiation
from connector.api.sources import AssetSource
from connector.api.transfers import NewTransfer, Transfer
from connector.client.dataplanes import put_dataplane
from connector.testing.dataspace import PULL, DataSpace, Member
from tests.dps.schemas import faults
from tests.signaling.foreign import SECRET, DataPlane, listening

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECTION = {"signaling": {"port": 0, "unsafe_allow_http": True}}


@dataclass
class Scene:
    """Two participants, one of which has an external data plane."""

    provider: Member
    consumer: Member
    plane: DataPlane
    agreed: Negotiation

    async def begin(self, *, is_slow: bool = False, plane: str | None = None, format_: str = PULL) -> Transfer:
        """A transfer, asked for."""
        self.plane.is_slow = is_slow
        self.plane.heard.clear()
        assert self.agreed.agreement_id is not None
        wanted = NewTransfer(agreement=self.agreed.agreement_id, format=format_, data_plane=plane)
        return await self.consumer.send(self.consumer.calls.begin_transfer(wanted))


async def register(member: Member, plane: DataPlane) -> None:
    """Have an operator register `plane` with a participant."""
    await member.space.begin()
    wanted = {"endpoint": plane.url, "profiles": [PULL, "HttpData-PUSH"], "authorization": {"secret": SECRET}}
    await member.send(put_dataplane(member.name, "dp", NewDataPlane.model_validate(wanted)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both() -> AsyncIterator[tuple[Scene, Scene]]:
    """A provider and a consumer, each with an external data plane of its own: one scene for each that uses it."""
    async with DataSpace() as space, listening(DataPlane()) as theirs, listening(DataPlane()) as ours:
        assert isinstance(theirs, DataPlane)
        assert isinstance(ours, DataPlane)
        provider, consumer = space.join("provider", sections=SECTION), space.join("consumer", sections=SECTION)
        await register(provider, theirs)
        await register(consumer, ours)
        outer, own = await provider.publish("outer", source=AssetSource(type="none")), await provider.publish("weather")
        yield (
            Scene(provider=provider, consumer=consumer, plane=theirs, agreed=await consumer.negotiate(outer)),
            Scene(provider=provider, consumer=consumer, plane=ours, agreed=await consumer.negotiate(own)),
        )


@pytest.fixture
def providing(both: tuple[Scene, Scene]) -> Scene:
    """The provider's data plane is the external one."""
    return both[0]


@pytest.fixture
def consuming(both: tuple[Scene, Scene]) -> Scene:
    """The consumer's data plane is the external one."""
    return both[1]


async def _ended(actor: Member, pid: str, act: str) -> None:
    await actor.steer(pid, "complete" if act == "completed" else "terminate")


def _between(pauses: bool, end: str) -> list[str]:
    """What a data plane is told between start and end."""
    return [] if not pauses else ["suspend", "resume"] if end == "completed" else ["suspend"]


# --- CP_C: prepare, request, started, then how it goes on


@pytest.mark.parametrize("end", ["completed", "terminate"])  # 01-01, 01-02
@pytest.mark.parametrize("pauses", [False, True])  # 02-01, 02-02
async def test_cp_c(consuming: Scene, end: str, pauses: bool) -> None:
    provider, consumer, plane = consuming.provider, consuming.consumer, consuming.plane
    mine = await consuming.begin(plane="dp")
    order = await plane.until("prepare")
    assert (order.tree["processId"], order.tree["participantId"], order.tree["counterPartyId"]) == (
        mine.pid,
        consumer.id,
        provider.id,
    )
    started = await plane.until("started")
    assert "dataAddress" in started.tree
    theirs = await provider.theirs(await consumer.until_transfer(mine.pid, "STARTED"))
    if pauses:
        await provider.steer(theirs, "suspend")
        await plane.until("suspend")
        await provider.until_transfer(theirs, "SUSPENDED")
        if end == "completed":
            await provider.steer(theirs, "resume")
            resumed = await plane.until("resume")
            assert resumed.tree["dataAddress"] != started.tree["dataAddress"]
            await provider.until_transfer(theirs, lambda t: t.state == "STARTED" and t.is_open)
    await _ended(provider, theirs, end)
    await consumer.until_transfer(mine.pid, "COMPLETED" if end == "completed" else "TERMINATED")
    await plane.until(end)
    assert plane.steps == ["prepare", "started", *_between(pauses, end), end]
    assert faults(plane.messages()) == []


async def test_cp_c_03_01_asynchronous(consuming: Scene) -> None:
    provider, consumer, plane = consuming.provider, consuming.consumer, consuming.plane
    mine = await consuming.begin(is_slow=True, plane="dp")
    order = await plane.until("prepare")
    waiting = await consumer.until_transfer(mine.pid, lambda t: t.flow_state == "PREPARING")
    # the provider hears of it only when everything is prepared
    assert waiting.peer_pid is None
    assert (await plane.report(order, "prepared")).status_code == 200
    theirs = await provider.theirs(await consumer.until_transfer(mine.pid, "STARTED"))
    await plane.until("started")
    await provider.steer(theirs, "complete")
    await plane.until("completed")
    assert (await plane.report(order, "prepared")).status_code == 409
    assert faults(plane.messages()) == []


# --- CP_P: request, start, then how it goes on


@pytest.mark.parametrize("end", ["completed", "terminate"])  # 01-01, 01-02
@pytest.mark.parametrize("pauses", [False, True])  # 02-01, 02-02
async def test_cp_p(providing: Scene, end: str, pauses: bool) -> None:
    provider, consumer, plane = providing.provider, providing.consumer, providing.plane
    mine = await providing.begin()
    order = await plane.until("start")
    assert (order.tree["participantId"], order.tree["counterPartyId"], order.tree["profile"]) == (
        provider.id,
        consumer.id,
        PULL,
    )
    await consumer.until_transfer(mine.pid, "STARTED")
    before = await consumer.send(consumer.calls.data_address(mine.pid))
    if pauses:
        await consumer.steer(mine.pid, "suspend")
        await plane.until("suspend")
        if end == "completed":
            await consumer.until_transfer(mine.pid, "SUSPENDED")
            await consumer.steer(mine.pid, "resume")
            await plane.until("resume")
            # what the data plane made on its resume reaches the consumer
            await consumer.until(lambda: consumer.send(consumer.calls.data_address(mine.pid)), lambda found: found != before)
    await _ended(consumer, mine.pid, end)
    await plane.until(end)
    assert plane.steps == ["start", *_between(pauses, end), end]
    assert faults(plane.messages()) == []


async def test_cp_p_03_01_asynchronous(providing: Scene) -> None:
    provider, consumer, plane = providing.provider, providing.consumer, providing.plane
    mine = await providing.begin(is_slow=True)
    order = await plane.until("start")
    theirs = order.tree["processId"]
    await provider.until_transfer(theirs, lambda t: t.flow_state == "STARTING")
    assert (await consumer.send(consumer.calls.transfer(mine.pid))).state == "REQUESTED"
    assert (await plane.report(order, "started", dataAddress=plane.address())).status_code == 200
    await consumer.until_transfer(mine.pid, "STARTED")
    # what was said before is no error, and starts nothing again
    assert (await plane.report(order, "started")).status_code == 200
    await consumer.steer(mine.pid, "complete")
    await plane.until("completed")
    assert (await provider.until_transfer(theirs, "COMPLETED")).data_plane == "dp"
    assert faults(plane.messages()) == []


# --- beyond the kit, which pulls alone


async def test_a_push_goes_where_the_consumers_plane_says(consuming: Scene) -> None:
    provider, consumer, plane = consuming.provider, consuming.consumer, consuming.plane
    plane.inbox = f"{plane.url}/inbox"
    mine = await consuming.begin(plane="dp", format_="HttpData-PUSH")
    prepared = await plane.until("prepare")
    assert "dataAddress" not in prepared.tree
    arrived = await plane.until("inbox")
    assert (arrived.body, arrived.headers["authorization"]) == (b"the data of weather\n", f"token-{plane.addresses}")
    assert (await consumer.until_transfer(mine.pid, "COMPLETED")).data_plane == "dp"
    # told as soon as it is, unless the end was quicker
    end = await plane.until("completed" if plane.of("started") else "terminate")
    assert end.path.startswith(f"/dataflows/{mine.pid}/")
    await provider.until_transfer(await provider.theirs(mine), "COMPLETED")
    assert faults(plane.messages()) == []


async def test_a_push_of_the_providers_plane_goes_where_the_consumer_says(providing: Scene) -> None:
    provider, consumer, plane = providing.provider, providing.consumer, providing.plane
    mine = await providing.begin(format_="HttpData-PUSH")
    order = await plane.until("start")
    assert order.tree["dataAddress"]["endpoint"].startswith(consumer.app.public_url)
    await consumer.until_transfer(mine.pid, "STARTED")
    for act, step in (("suspend", "suspend"), ("resume", "resume")):
        await provider.steer(order.tree["processId"], "suspend" if act == "suspend" else "resume")
        await plane.until(step)
        await provider.until_transfer(order.tree["processId"], "SUSPENDED" if act == "suspend" else "STARTED")
    assert (await plane.report(order, "completed")).status_code == 200
    await consumer.until_transfer(mine.pid, "COMPLETED")
    assert faults(plane.messages()) == []
