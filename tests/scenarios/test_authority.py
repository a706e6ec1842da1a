"""A governed data space: joining with one command, and a suspension that stops a member everywhere at once."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from connector.api.authority import Decision
from connector.api.spaces import SpaceWish
from connector.api.transfers import Transfer
from connector.client import authority as calls
from connector.client import records
from connector.errors import KontorError
from connector.testing.dataspace import Member
from tests.scenarios.governed import MEMBERS_ONLY, SPACE, Governed, governed, governor_of


async def test_who_joins_gets_the_data_and_who_is_suspended_stops_everywhere_at_once() -> None:
    async with governed("provider", "member", "member/waiting") as (space, provider, member, waiting):
        offer = await provider.publish("weather", content=b"sunny", policy=MEMBERS_ONLY)
        open_offer = await provider.publish("tides", content=b"high")
        await space.joined(provider, member)
        assert (await space.apply(waiting)).state == "VERIFIED"
        transfers = [await member.transfer(await member.negotiate(one)) for one in (offer, open_offer)]
        assert [await member.get(one) for one in transfers] == [b"sunny", b"high"]
        # each decision says what let the member in: the anchor, and the versions of the lists of members and of status
        made = (await provider.send(records.decisions(provider.name, peer=member.id))).items
        made += (await member.send(records.decisions(member.name, peer=provider.id))).items
        assert {one.question for one in made} >= {"negotiate", "transfer", "request", "agree", "collect"}
        # whether our own people may have what we got asks nobody else to prove itself
        for grounds in (one.grounds for one in made if one.question != "collect"):
            assert f"anchor joined {SPACE}" in grounds
            assert sum(one.startswith(f"participants of {SPACE} number ") for one in grounds) == 1
            assert sum(one.startswith(f"status list {space.url}/authority/status/2021-") for one in grounds) == 2
        # proven, but not taken in
        assert (await waiting.negotiate(offer)).state == "TERMINATED"

        # what was proven, and every list, is kept for a minute and more: what stops the member is the push
        begin = time.monotonic()
        await space.suspend(member)

        async def refused() -> int:
            return sum([await _is_refused(member, one) for one in transfers])

        await member.until(refused, lambda count: count == 2)
        assert time.monotonic() - begin < 2
        assert (await member.negotiate(offer)).state == "TERMINATED"

        async def findings() -> list[tuple[str, str]]:
            found = (await member.send(member.calls.examine())).findings
            return [(one.state, one.what) for one in found if one.check == "space"]

        assert await member.until(findings, lambda found: found == [("error", "it is SUSPENDED")])

        await space.reinstate(member)
        assert await member.until(findings, lambda found: found == [("ok", "it is a member")])
        looked_at = (await member.send(member.calls.examine())).findings
        assert ("did", f"{space.url}/authority/did.json") in {(one.check, one.where) for one in looked_at}

        async def agreed() -> str:
            return (await member.negotiate(offer)).state or ""

        assert await member.until(agreed, lambda state: state == "FINALIZED") == "FINALIZED"


async def test_what_is_on_its_way_to_a_member_is_cut_when_it_is_suspended() -> None:
    async with governed("provider", "member") as (space, provider, member):
        offer = await provider.publish("tides", content=bytes(64 << 20))
        await space.joined(provider, member)
        transfer = await member.transfer(await member.negotiate(offer))
        found = await member.send(member.calls.data_address(transfer.pid))
        token = {"Authorization": f"Bearer {found.properties['authorization']}"}
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            http.stream("GET", found.endpoint or "", headers=token) as answer,
        ):
            assert answer.status_code == 200
            chunks = answer.aiter_raw(1 << 17)
            await anext(chunks)
            begin = time.monotonic()
            await space.suspend(member)

            async def is_cut() -> bool:
                try:
                    await anext(chunks)
                except httpx.HTTPError:
                    return True
                return False

            assert await member.until(is_cut, bool)
            assert time.monotonic() - begin < 2
            assert answer.num_bytes_downloaded < 64 << 20


async def _is_refused(member: Member, transfer: Transfer) -> bool:
    try:
        await member.get(transfer)
    except KontorError:
        return True
    return False


async def test_who_leaves_is_out_everywhere_and_may_come_back() -> None:
    async with governed("provider", "member") as (space, provider, member):
        offer = await provider.publish("weather", policy=MEMBERS_ONLY)
        await space.joined(provider, member)
        await member.send(member.calls.leave_space(SPACE))

        async def state() -> str:
            return (await space.authority.send(calls.member(member.id))).state

        assert await member.until(state, lambda found: found == "REVOKED") == "REVOKED"
        step = (await space.authority.send(calls.member(member.id))).steps[-1]
        assert (step.by, step.reason) == (member.id, "has left")

        async def agreed() -> str:
            return (await member.negotiate(offer)).state or ""

        assert await member.until(agreed, lambda found: found == "TERMINATED") == "TERMINATED"
        await space.joined(member)
        assert await member.until(agreed, lambda found: found == "FINALIZED") == "FINALIZED"


def _members_of(id_: str) -> dict[str, Any]:
    left = f"claim:{id_}/MembershipCredential.memberOf"
    return {"permission": [{"action": "use", "constraint": [{"leftOperand": left, "operator": "eq", "rightOperand": SPACE}]}]}


async def test_a_connector_in_two_spaces_takes_no_credential_of_one_for_the_other() -> None:
    second = "urn:space:second"
    async with governed("provider", "member", "guest") as (space, provider, member, guest):
        # the authority of the second space attests the very words that members of the first are known by
        kind = {"type": "MembershipCredential", "claims": {"memberOf": SPACE}}
        other = Governed(space.space, governor_of(space.space, "governor2", second, credentials=[kind]), second)
        offers = {id_: await provider.publish(f"of-{id_[-4:]}", policy=_members_of(id_)) for id_ in (SPACE, second)}
        short = await provider.publish("by-the-short-name", policy=MEMBERS_ONLY)
        await space.joined(provider, member)
        await other.joined(provider, guest)
        states = {
            (who.name, id_): (await who.negotiate(offer)).state for who in (member, guest) for id_, offer in offers.items()
        }
        assert states == {
            ("member", SPACE): "FINALIZED",
            ("member", second): "TERMINATED",
            ("guest", SPACE): "TERMINATED",
            ("guest", second): "FINALIZED",
        }
        # a name without its space is nobody's where there are two
        assert (await guest.negotiate(short)).state == "TERMINATED"
        # who is suspended in one loses that one alone
        await other.suspend(guest)

        async def lost() -> str:
            return (await guest.negotiate(offers[second])).state or ""

        assert await guest.until(lost, lambda state: state == "TERMINATED") == "TERMINATED"
        assert (await member.negotiate(offers[SPACE])).state == "FINALIZED"


async def test_a_refused_applicant_is_told_and_an_authority_that_is_none_is_not_believed() -> None:
    async with governed("anna") as (space, anna):
        await space.apply(anna)
        await space.authority.send(calls.decide(anna.id, "reject", Decision(reason="no contract")))
        found = await space.entered(anna)
        assert (found.state, found.error) == ("REVOKED", "the authority has refused")
        for url in (f"{anna.app.public_url}", "http://localhost:1"):
            with pytest.raises(KontorError):
                await anna.send(anna.calls.join_space(SpaceWish(authority=url)))
