"""Background work that was given up is seen, taken up again, or forgotten: by whoever runs the participant, or the node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from connector.client import AsyncClient, operating
from connector.controlplane.participants import NODE
from connector.errors import Forbidden, NotFound
from connector.federation.notices import CONTEXT as CATALOG
from connector.identity.authority.records import AUTHORITY
from connector.ports.jobs import Failure, NewJob
from connector.storage.memory import MemoryStore
from connector.testing.dataspace import DataSpace, Member, api_key
from connector.web.operator.jobs import CONTEXTS

pytestmark = pytest.mark.asyncio(loop_scope="module")


STORES: list[MemoryStore] = []
"""The node's own: what is given up there takes hours otherwise."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member() -> AsyncIterator[Member]:
    opened = MemoryStore.open

    async def seen(self: MemoryStore) -> None:
        STORES.append(self)
        await opened(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "open", seen)
        async with DataSpace() as space:
            found = space.join("acme")
            await space.begin()
            yield found


async def given_up(context: str, id_: str) -> None:
    jobs, now = STORES[-1].jobs, datetime.now(UTC)
    await jobs.put([NewJob(participant=context, kind="errand", id=id_, body={"word": "hush"})], now)
    (job,) = await jobs.claim(["errand"], now)
    await jobs.give_up(job, Failure(at=now, cause="nobody was there"))


async def test_what_was_given_up_is_seen_with_its_cause_and_taken_up_again(member: Member) -> None:
    await given_up("acme", "a/b c")
    page = await member.send(operating.jobs("acme", is_given_up=True))
    assert [(one.kind, one.id, one.failures[-1].cause) for one in page.items] == [("errand", "a/b c", "nobody was there")]
    assert "hush" not in page.model_dump_json()
    again = await member.send(operating.retry_job("errand", "a/b c", "acme"))
    assert (again.tries, again.given_up_at) == (0, None)
    with pytest.raises(NotFound, match="was given up"):
        await member.send(operating.retry_job("errand", "a/b c", "acme"))
    await member.send(operating.drop_job("errand", "a/b c", "acme"))
    assert (await member.send(operating.jobs("acme"))).total == 0
    with pytest.raises(NotFound):
        await member.send(operating.drop_job("errand", "a/b c", "acme"))


async def test_work_of_no_participant_is_for_administrators_of_the_node(member: Member) -> None:
    assert dict(CONTEXTS) == {"node": NODE, "authority": AUTHORITY, "catalog": CATALOG}
    await given_up(CATALOG, "1")
    assert [one.id for one in (await member.send(operating.jobs(of="catalog"))).items] == ["1"]
    await member.send(operating.retry_job("errand", "1", of="catalog"))
    await member.send(operating.drop_job("errand", "1", of="catalog"))
    async with AsyncClient(member.app.operator_url, api_key("acme")) as limited:
        with pytest.raises(Forbidden):
            await limited.send(operating.jobs())
        assert (await limited.send(operating.jobs("acme"))).total == 0
