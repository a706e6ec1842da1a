"""What every state store must do: the contract of `connector.ports.store`, as tests that an adapter's own test file inherits.

    class TestOurStore(StoreContract):
        @pytest.fixture
        def new_store(self, tmp_path: Path) -> NewStore:
            return lambda node: OurStore(tmp_path / "data", node=node, lease_s=LEASE_S)

`new_store(node)` gives a store that is not open yet; all stores of one test share their data, as replicas do.
The tests are plain coroutines: run them with pytest-asyncio, `asyncio_mode = "auto"`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from connector.ports.replay import ReplayStore
from connector.ports.store import Store
from connector.testing.replay_contract import ReplayContract
from connector.testing.store_contract.agreements import AgreementContract
from connector.testing.store_contract.documents import DocumentContract
from connector.testing.store_contract.feed import FeedContract
from connector.testing.store_contract.jobs import JobsContract
from connector.testing.store_contract.journal import JournalContract
from connector.testing.store_contract.ledger import LedgerContract
from connector.testing.store_contract.lists import ListContract
from connector.testing.store_contract.outbox import OutboxContract
from connector.testing.store_contract.processes import ProcessContract
from connector.testing.store_contract.received import ReceivedContract
from connector.testing.store_contract.values import LEASE_S, NewStore, Nodes

__all__ = ["LEASE_S", "NewStore", "Nodes", "StoreContract"]


class StoreContract(
    ProcessContract,
    ReceivedContract,
    ListContract,
    OutboxContract,
    AgreementContract,
    DocumentContract,
    JournalContract,
    JobsContract,
    ReplayContract,
    LedgerContract,
    FeedContract,
):
    """All of the contract; a subclass provides the fixture `new_store`."""

    @pytest.fixture
    async def nodes(self, new_store: NewStore) -> AsyncIterator[Nodes]:
        """Opens the store for a node; all are closed after the test."""
        async with AsyncExitStack() as stack:

            async def node(name: str) -> Store:
                store = new_store(name)
                await store.open()
                stack.push_async_callback(store.close)
                return store

            yield node

    @pytest.fixture
    async def store(self, nodes: Nodes) -> Store:
        """The store of the node `here`."""
        return await nodes("here")

    @pytest.fixture
    async def replays(self, nodes: Nodes) -> tuple[ReplayStore, ReplayStore]:
        """The used tokens, as two nodes see them."""
        return (await nodes("here")).replay, (await nodes("there")).replay
