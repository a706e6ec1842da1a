"""The PostgreSQL store passes the contract of stores, and answers as the memory store does."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings

from connector.ports.store import Store
from connector.testing.store_contract import LEASE_S, NewStore, StoreContract
from tests.examples import examples
from tests.servers.postgres import emptied
from tests.storage.machine import SameBehaviour


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def new_store(self, database: str) -> NewStore:
        return lambda node: _store(database, node)


class OnPostgres(SameBehaviour):
    """Memory and a schema on the server."""

    server = ""

    def new_durable(self, node: str) -> Store:
        if not hasattr(self, "stack"):
            self.stack = AsyncExitStack()
            self.url = self.loop.run_until_complete(self.stack.enter_async_context(emptied(self.server)))
        return _store(self.url, node)

    def end(self) -> None:
        self.loop.run_until_complete(self.stack.aclose())


class TestSameOnPostgres(OnPostgres.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(
        max_examples=examples(12), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )

    @pytest.fixture(autouse=True)
    def _server(self, postgres: str) -> None:
        OnPostgres.server = postgres


def _store(url: str, node: str) -> Store:
    from connector.storage.postgres.store import PostgresStore

    return PostgresStore(url=url, node=node, lease_s=LEASE_S, connections=4)
