"""What the tests of the stores ask for: a place of their own on the PostgreSQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.postgres import emptied


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """The URL of an empty schema that this test has for itself."""
    async with emptied(postgres) as url:
        yield url
