"""The memory store and the SQLite store answer every sequence of calls alike."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from connector.ports.store import Store
from connector.storage.sqlite.store import SqliteStore
from connector.testing.store_contract.values import LEASE_S
from tests.examples import examples
from tests.storage.machine import SameBehaviour


class OnSqlite(SameBehaviour):
    """Memory and a SQLite file."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        super().__init__()

    def new_durable(self, node: str) -> Store:
        return SqliteStore(path=self.folder / "kontor.db", node=node, lease_s=LEASE_S)

    def end(self) -> None:
        shutil.rmtree(self.folder)


TestSameBehaviour = OnSqlite.TestCase
TestSameBehaviour.settings = settings(
    max_examples=examples(12), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
