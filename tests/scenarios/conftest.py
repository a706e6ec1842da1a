"""What stories begin with: an empty data space."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connector.testing.dataspace import DataSpace


@pytest.fixture
async def space() -> AsyncIterator[DataSpace]:
    """A data space whose members keep their state in memory."""
    async with DataSpace() as found:
        yield found
