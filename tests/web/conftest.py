"""What the web tests begin with: an empty data space, and raw exchanges with its public listeners."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.testing.dataspace import DataSpace
from tests.scenarios.wire import Wire


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
