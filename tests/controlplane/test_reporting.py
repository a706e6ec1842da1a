"""How many agreements somebody has concluded is told to its catalogues: a count, when it changes, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connector.controlplane.reporting import KIND, Reporter
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Role
from connector.settings.catalog import KnownCatalog
from connector.storage.memory import MemoryStore
from connector.testing.clock import MovedClock

LEDGER = KnownCatalog(id="did:web:ledger", address="https://ledger.example/catalog")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Asked:
    """Notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, str, str]] = []

    async def ask(self, method: str, url: str, body: bytes, **whom: Any) -> Mapping[str, Any]:
        self.sent.append((f"{method} {url}", body, whom["participant"], whom["peer"]))
        return {}


def agreement(number: int, role: Role) -> Agreement:
    return Agreement(
        participant="a", id=f"urn:{number}", role=role, peer="p", peer_address="https://p.example", provider="a", consumer="p",
        dataset="d", policy={}, negotiation=f"urn:n{number}", signed_at=NOW,
    )  # fmt: skip


async def test_a_count_is_told_when_it_is_another_and_only_of_agreements_as_a_provider() -> None:
    store, peers, clock = MemoryStore(node="n", lease_s=30), Asked(), MovedClock()
    reporter = Reporter(store, peers, clock, {"a": (LEDGER,)})  # type: ignore[arg-type]

    async def told() -> list[bytes]:
        await reporter.look()
        for job in await store.jobs.claim([KIND], clock.now()):
            await reporter.tell(job)
            await store.jobs.done(job)
        bodies = [body for _, body, _, _ in peers.sent]
        peers.sent.clear()
        return bodies

    await store.put_agreement(agreement(1, Role.PROVIDER), is_new=True)
    await store.put_agreement(agreement(2, Role.CONSUMER), is_new=True)
    await reporter.look()
    (job,) = await store.jobs.claim([KIND], clock.now())
    await reporter.tell(job)
    await store.jobs.done(job)
    assert peers.sent == [("POST https://ledger.example/catalog/agreements", b'{"concluded":1}', "a", "did:web:ledger")]
    peers.sent.clear()
    assert await told() == []
    clock.move(seconds=60)
    await store.put_agreement(agreement(3, Role.PROVIDER), is_new=True)
    assert await told() == [b'{"concluded":2}']
