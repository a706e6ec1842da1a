"""Lists are signed a moment after a change and by timer, whether anybody reads them or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from connector.identity import trustlists
from connector.identity.authority import signing
from connector.identity.trustlists import Listing
from tests.identity.authority.scene import SPACE, Scene, scene


@pytest.fixture
async def office() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def signed_at(office: Scene) -> datetime:
    raw = (await office.office.lists.served(Listing.PARTICIPANTS)).body.decode()
    found = trustlists.open_(raw, Listing.PARTICIPANTS, governance=office.office.space.did, space=SPACE, now=office.clock.now())
    return found.valid_until - trustlists.LIFE


async def test_a_change_has_the_lists_signed_a_moment_later(office: Scene) -> None:
    await office.work()
    await office.someone("anna").join()
    office.clock.move(seconds=2)
    begun = office.clock.now()
    await office.work()
    office.clock.move(seconds=30)
    assert await signed_at(office) == begun
    # a bit that is set is signed at once
    await office.office.registry.suspend(office.someone("anna").did, by="olga", reason="test")
    at = office.clock.now()
    kept = office.office.status_lists._signed["2021-suspension-1"]
    assert kept.signed_at == at


async def test_the_timer_signs_what_grows_old_and_comes_again(office: Scene) -> None:
    await office.someone("anna").join()
    office.clock.move(seconds=2)
    await office.work()
    first = await signed_at(office)
    office.clock.move(seconds=trustlists.LIFE.total_seconds() / 2)
    begun = office.clock.now()
    await office.work()
    # nobody has read it meanwhile: whoever comes later gets what the timer signed
    office.clock.move(minutes=20)
    assert (first < begun, await signed_at(office)) == (True, begun)
    job = await office.store.jobs.job("authority", signing.JOB, "timer")
    assert job is not None
    assert job.not_before == begun + signing.EVERY
    # a second start, and a second replica, begin no second one
    await office.restarted().ready()
    assert await office.store.jobs.job("authority", signing.JOB, "timer") == job
    assert trustlists.LIFE / 2 - timedelta(hours=1) > signing.EVERY
