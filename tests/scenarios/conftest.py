"""What stories begin with: an empty data space; for replicas, a peer and a database server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from connector.testing.dataspace import DataSpace
from tests.scenarios.replicas import Buyer
from tests.scenarios.wire import Wire
from tests.servers.postgres import running


@pytest.fixture
async def space() -> AsyncIterator[DataSpace]:
    """A data space whose members keep their state in memory."""
    async with DataSpace() as found:
        yield found


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """Raw exchanges with public listeners."""
    found = Wire()
    yield found
    await found.close()


@pytest.fixture
def buyer() -> Iterator[Buyer]:
    """The peer that replicas talk to."""
    found = Buyer()
    yield found
    found.close()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """A server of the test's own: some of these tests stop it."""
    with running() as server:
        yield server.url
