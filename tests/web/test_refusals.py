"""Whoever cannot be proven is told nothing; the operator sees in the story of the process which check failed."""

from __future__ import annotations

import httpx

from connector.errors import Overloaded, Unauthenticated, Unproven
from connector.testing.dataspace import DataSpace
from connector.web.refusals import Refusals


def refused(check: str) -> Unauthenticated:
    fault = Unauthenticated("no valid token")
    fault.__cause__ = Unproven(f"what is wrong with {check}", check=check)
    return fault


async def test_a_refused_message_stands_in_the_story_of_its_process() -> None:
    async with DataSpace() as space:
        acme, beta = space.join("acme"), space.join("beta")
        agreed = await beta.negotiate(await acme.publish("weather"))
        pid = await acme.theirs(agreed)
        async with httpx.AsyncClient(trust_env=False) as http:
            for address in (f"{acme.address}/negotiations/{pid}", f"{acme.address}/negotiations/urn:uuid:nothing"):
                answer = await http.get(address, headers={"Authorization": "Bearer wrong"})
                assert answer.status_code == 401
                assert answer.json()["reason"] == [
                    "no valid token at `Authorization`; send the token agreed with this participant"
                ]
        (found,) = (await acme.timeline(pid)).refused
        assert (found.source, found.check) == ("127.0.0.1", "unauthenticated")
        assert (await beta.timeline(agreed.pid)).refused == []


def test_the_exact_check_is_kept_and_only_the_last_of_each_process() -> None:
    kept = Refusals()
    for number in range(30):
        kept.note("acme", "p1", refused(f"check-{number}"), source="192.0.2.1")
    kept.note("acme", "p2", Overloaded("the sender cannot be proven at the moment"), source="192.0.2.1")
    assert [one.check for one in kept.of("acme", "p1")] == [f"check-{number}" for number in range(20, 30)]
    assert kept.of("acme", "p1")[-1].words == "what is wrong with check-29"
    assert [one.check for one in kept.of("acme", "p2")] == ["overloaded"]
    assert kept.of("other", "p1") == ()


def test_strangers_cannot_make_it_grow() -> None:
    kept = Refusals()
    for number in range(5_000):
        kept.note("acme", f"p{number}", refused("x"), source="192.0.2.1")
        kept.note("acme", "", refused("x"), source="192.0.2.1")
        kept.note("acme", "p" * 1_000, refused("x"), source="192.0.2.1")
    assert kept.of("acme", "p0") == kept.of("acme", "") == kept.of("acme", "p" * 1_000) == ()
    assert len(kept._kept) == 2_000
