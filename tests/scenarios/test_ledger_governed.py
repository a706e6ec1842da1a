"""The ledger of a governed space: who joins is in the catalogue at once, and who is suspended or leaves is out of it."""

from __future__ import annotations

import time

import httpx

from connector.testing.dataspace import DataSpace, Member
from tests.scenarios.governed import SPACE, Governed, governor_of


async def test_products_come_and_go_with_the_standing_of_their_member_within_two_seconds() -> None:
    async with DataSpace(has_wallets=True) as space:
        governor = governor_of(space, "governor", SPACE)
        signed = {"url": f"{_address(governor)}/authority/participants", "governance": f"{_host(governor)}:authority"}
        # the safety nets, the next look at each member and at the list that is kept, come long after this story
        catalog = {"participant": "ledger", "viewers": "everybody", "list": signed, "interval_s": 3600}
        sections = {"node": {"roles": ["connector", "catalog"]}, "catalog": catalog}
        ledger = space.join("ledger", sections=sections)
        known = [{"id": ledger.id, "address": f"{_address(ledger)}/catalog"}]
        north, south = (space.join(name, catalogs=known) for name in ("north", "south"))
        west = space.join("west")
        governed = Governed(space, governor)
        await governed.joined(ledger, north, south)
        await north.publish("weather")
        await south.publish("whales")
        await west.publish("waves")

        async def shown() -> list[str]:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"{ledger.app.public_url}/catalog/api/search")
            return sorted(one["title"] for one in answer.json()["items"])

        await ledger.until(shown, lambda found: found == ["weather", "whales"])
        # no list of before the members joined is waited out: they announce themselves
        begun = time.monotonic()
        await governed.suspend(north)
        await ledger.until(shown, lambda found: found == ["whales"])
        assert time.monotonic() - begun < 2
        await governed.reinstate(north)
        await ledger.until(shown, lambda found: found == ["weather", "whales"])
        assert time.monotonic() - begun < 8
        # who joins is found without announcing itself: the authority tells those who gather its members
        await governed.apply(west)
        begun = time.monotonic()
        await governed.approve(west)
        await ledger.until(shown, lambda found: found == ["waves", "weather", "whales"])
        assert time.monotonic() - begun < 2
        # and who leaves is gone
        begun = time.monotonic()
        await west.send(west.calls.leave_space(SPACE))
        await ledger.until(shown, lambda found: found == ["weather", "whales"])
        assert time.monotonic() - begun < 2


def _host(member: Member) -> str:
    """The did:web of the node of a member."""
    return member.id.rpartition(":")[0]


def _address(member: Member) -> str:
    return "http://" + _host(member).removeprefix("did:web:").replace("%3A", ":")
