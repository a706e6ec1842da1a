"""What every replay store must do: the contract of `connector.ports.replay`, as tests that an adapter's own test file inherits.

A subclass provides the fixture `replays`: two stores that share their data, as two replicas do.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from connector.ports.replay import ReplayStore

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)


class ReplayContract:
    """All of the contract."""

    async def test_a_token_is_used_once(self, replays: tuple[ReplayStore, ReplayStore]) -> None:
        first, second = replays
        assert await first.use("anna", "did:web:a", "1", SOON, NOW)
        assert not await first.use("anna", "did:web:a", "1", SOON, NOW)
        assert not await second.use("anna", "did:web:a", "1", SOON, NOW)

    async def test_each_issuer_and_each_participant_has_its_own_names(self, replays: tuple[ReplayStore, ReplayStore]) -> None:
        first, second = replays
        assert await first.use("anna", "did:web:a", "1", SOON, NOW)
        assert await second.use("anna", "did:web:b", "1", SOON, NOW)
        assert await first.use("bert", "did:web:a", "1", SOON, NOW)
        assert await second.use("anna", "did:web:a", "2", SOON, NOW)
        # parts that run together are not the same parts
        assert await first.use("anna", "did:web:", "a1", SOON, NOW)
        assert await first.use("anna", "did:web:a1", "", SOON, NOW)

    async def test_of_fifty_at_once_exactly_one_is_the_first(self, replays: tuple[ReplayStore, ReplayStore]) -> None:
        found = await asyncio.gather(*(replays[n % 2].use("anna", "did:web:a", "1", SOON, NOW) for n in range(50)))
        assert sorted(found) == [False] * 49 + [True]

    async def test_it_is_remembered_as_long_as_the_token_could_be_used(self, replays: tuple[ReplayStore, ReplayStore]) -> None:
        first, second = replays
        assert await first.use("anna", "did:web:a", "1", SOON, NOW)
        assert not await second.use("anna", "did:web:a", "1", SOON, SOON - timedelta(seconds=1))
        # from its end on the token is refused for being over: the name may be forgotten
        assert await first.use("anna", "did:web:a", "1", SOON + timedelta(minutes=9), SOON)
        assert not await second.use("anna", "did:web:a", "1", SOON + timedelta(minutes=9), SOON)

    async def test_odd_names_are_names(self, replays: tuple[ReplayStore, ReplayStore]) -> None:
        first, _ = replays
        for name in ("", " ", "'; drop table", "a" * 2000, "\u00e4\u20ac\U0001f600", "%", "_"):
            assert await first.use("anna", "did:web:a", f"x{name}", SOON, NOW)
            assert not await first.use("anna", "did:web:a", f"x{name}", SOON, NOW)
