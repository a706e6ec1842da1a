"""A node that each test begins with, and nodes that share a store and a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from connector.storage.memory import Memory
from connector.testing.clock import MovedClock
from tests.controlplane.scene import NOW, Node, PeerHost, assembled, running

NewNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def new_node() -> AsyncIterator[NewNode]:
    """Makes nodes on one memory, one clock and one world of peers; keyword arguments are sections of the settings."""
    memory, clock, host = Memory(), MovedClock(NOW), PeerHost()
    async with AsyncExitStack() as stack:

        async def make(name: str = "here", **sections: Any) -> Node:
            return await stack.enter_async_context(
                running(assembled(sections, memory=memory, clock=clock, host=host, node=name))
            )

        yield make


@pytest.fixture
async def node(new_node: NewNode) -> Node:
    """A node that serves the participant `alice`, as it is without any setting."""
    return await new_node()
