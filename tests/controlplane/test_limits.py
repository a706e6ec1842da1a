"""Bounds of what is asked: of the node, of a participant, of one peer; who is refused is told when to come again, and then served."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from connector.controlplane.limits import Limiter
from connector.errors import Overloaded, TooMany
from connector.settings import Settings
from connector.storage.memory import MemoryStore


class Hours:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def limiter(hours: Hours, **limits: object) -> Limiter:
    settings = Settings.model_validate(
        {
            "node": {"public_url": "https://a.example"},
            "limits": limits,
            "participants": {
                "acme": {
                    "id": "urn:acme",
                    "limits": {"max_body_bytes": 4096},
                    "peer_limits": {"urn:busy": {"requests_per_s": 2, "max_body_bytes": 2048}},
                }
            },
        }
    )
    return Limiter(settings, MemoryStore(node="n", lease_s=30), monotonic=hours)


def sent(to: Limiter, count: int, peer: str = "urn:busy", participant: str = "acme") -> int:
    """How many of `count` requests are served, one after another."""
    served = 0
    for _ in range(count):
        with suppress(TooMany), to.request(participant), to.request_of(participant, peer):
            served += 1
    return served


def test_a_peer_has_its_rate_and_no_other_peer_pays_for_it() -> None:
    hours = Hours()
    found = limiter(hours)
    assert sent(found, 5) == 2
    with pytest.raises(TooMany) as refused, found.request_of("acme", "urn:busy"):
        pass
    assert refused.value.retry_after_s == 1
    assert sent(found, 5, "urn:calm") == 5
    hours.now_s += 0.5
    assert sent(found, 5) == 1
    hours.now_s += 3600
    assert sent(found, 5) == 2


def test_a_participant_has_its_rate_whoever_asks() -> None:
    hours = Hours()
    found = limiter(hours, participant={"requests_per_s": 3})
    assert sent(found, 3, "urn:a") == 3
    with pytest.raises(Overloaded, match="too much is asked"), found.request("acme"):
        pass
    assert sent(found, 1, participant="other") == 1


def test_what_is_under_way_is_bounded_and_free_again_when_it_ends() -> None:
    found = limiter(Hours(), requests_at_once=3, participant={"requests_at_once": 2}, peer={"requests_at_once": 1})
    with ExitStack() as first:
        first.enter_context(found.request("acme"))
        first.enter_context(found.request_of("acme", "urn:a"))
        with found.request("acme"):
            with pytest.raises(TooMany), found.request_of("acme", "urn:a"):
                pass
            with pytest.raises(Overloaded), found.request("acme"):
                pass
            with found.request("other"), pytest.raises(Overloaded), found.request("third"):
                pass
    assert sent(found, 3, "urn:a") == 3


def test_the_smallest_bound_of_a_body_holds() -> None:
    found = limiter(Hours())
    assert found.max_body_bytes("acme", "urn:busy") == 2048
    assert found.max_body_bytes("acme", "urn:calm") == 4096
    assert found.max_body_bytes("other", "urn:calm") == 1 << 20


def test_more_known_than_can_be_remembered_are_forgotten_but_who_is_being_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.controlplane.limits._MOST_KNOWN", 8)
    found = limiter(Hours(), participant={"requests_at_once": 1})
    with found.request("acme"):
        for number in range(100):
            with found.request(f"p{number}"):
                pass
        with pytest.raises(Overloaded), found.request("acme"):
            pass


class Server(MemoryStore):
    """A store that answers a turn of the loop later, as one on a disk or a server does."""

    async def processes(self, *values: Any, **more: Any) -> Any:
        found = await super().processes(*values, **more)
        await asyncio.sleep(0)
        return found


async def test_of_transfers_that_are_asked_for_at_once_no_more_begin_than_may() -> None:
    settings = {"node": {"public_url": "https://a.example"}, "limits": {"peer": {"transfers_at_once": 3}}}
    found = Limiter(Settings.model_validate(settings), Server(node="n", lease_s=30))
    told: list[TooMany | Overloaded | None] = []
    written = asyncio.Event()

    async def begins() -> None:
        async with found.transfer("acme", "urn:busy") as full:
            told.append(full)
            await written.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(20):
            tasks.create_task(begins())
        for _ in range(200):
            await asyncio.sleep(0)
        written.set()
    assert (len(told), told.count(None)) == (20, 3)
    # what came to nothing takes up no room
    async with found.transfer("acme", "urn:busy") as full:
        assert full is None
