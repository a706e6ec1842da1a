"""One stage for each file of attacks: they leave nothing behind that matters to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.attacks.stage import Stage, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with opened() as found:
        yield found
