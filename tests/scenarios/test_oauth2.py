"""A space whose identity provider speaks OAuth2: two connectors exchange data by its tokens, strangers and the suspended do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from connector.api.identity import NewIdentityKey
from connector.app import App
from connector.app.listening import free_ports
from connector.controlplane.collecting import SHOWN_EVERY
from connector.errors import KontorError
from connector.identity.keys import LEAD
from connector.settings import Settings
from connector.testing.clock import MovedClock
from connector.testing.dataspace import DataSpace, Member, api_key
from tests.scenarios.policies import members_only


@dataclass
class Space:
    """A provider and two connectors with nothing but its tokens; the third asks for tokens and gets none."""

    acme: Member
    beta: Member
    stranger: Member
    clock: MovedClock
    issuer: str
    settings: dict[str, Any]
    provider: App | None = None

    async def restart(self, *suspended: str) -> None:
        """The provider again, with these clients suspended."""
        assert self.provider is not None
        await self.provider.__aexit__(None, None, None)
        for one in self.settings["oauth2"]["clients"]:
            one["suspended"] = one["id"] in suspended
        self.provider = App(Settings.model_validate(self.settings), clock=self.clock)
        await self.provider.__aenter__()


@asynccontextmanager
async def oauth2_space(store: str = "memory:", **changes: Any) -> AsyncIterator[Space]:
    ports = free_ports(4)
    issuer = f"http://127.0.0.1:{ports[0]}/authority"
    clock = MovedClock()
    part = {"issuer": issuer, "claims": {"membership": "membership"}, **changes}
    async with DataSpace(clock=clock, store=store) as space:
        found = [space.join(name, oauth2=part, unsafe_static_tokens=[]) for name in ("acme", "beta", "stranger")]
        for member, port in zip(found, ports[1:], strict=True):
            space._ports[member.name] = port
        clients = [
            {
                "id": member.id,
                "jwks_url": f"http://127.0.0.1:{port}/{member.name}/oauth2/jwks",
                "claims": {"membership": "active"},
            }
            for member, port in zip(found[:2], ports[1:], strict=False)
        ]
        settings = {
            "node": {"public_url": f"http://127.0.0.1:{ports[0]}", "data_dir": space.folder / "provider"},
            "public": {"port": ports[0]},
            "operator": {"port": 0},
            "store": {"url": "memory:"},
            "outbound": {"unsafe_allow_http": True, "unsafe_allow_loopback": True},
            "oauth2": {"clients": clients},
        }
        made = Space(*found, clock=clock, issuer=issuer, settings=settings)
        made.provider = App(Settings.model_validate(settings), clock=clock)
        await made.provider.__aenter__()
        try:
            yield made
        finally:
            await made.provider.__aexit__(None, None, None)


async def test_who_gets_no_token_gets_nothing() -> None:
    async with oauth2_space() as space:
        offer = await space.acme.publish("weather", policy=members_only())
        with pytest.raises(KontorError, match="invalid_client"):
            await space.stranger.catalog(space.acme)
        assert (await space.stranger.negotiate(offer)).state == "TERMINATED"
        assert (await space.acme.send(space.acme.calls.negotiations())).total == 0


async def test_a_suspended_member_is_out_within_two_seconds_with_the_token_that_it_has() -> None:
    async with oauth2_space() as space:
        offer = await space.acme.publish("weather", policy=members_only())
        open_offer = await space.acme.publish("tides", content=b"high")
        agreed = await space.beta.negotiate(offer)
        transfer = await space.beta.transfer(await space.beta.negotiate(open_offer))
        assert await space.beta.get(transfer) == b"high"
        await space.beta.catalog(space.acme)
        await space.restart(space.beta.id)
        space.clock.move(seconds=1.1)
        # nor does the token for data that it was given before, though its terms let everybody have it
        with pytest.raises(KontorError, match="SUSPENDED"):
            await space.beta.get(transfer)
        # its token is good for minutes still, by what stands in it
        with pytest.raises(KontorError):
            await space.beta.catalog(space.acme)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(f"{space.acme.address}/catalog/request", json={})).status_code == 401
        assert agreed.state == "FINALIZED"


@asynccontextmanager
async def _begun(space: Space, offer: Any) -> AsyncIterator[AsyncIterator[bytes]]:
    """A download of beta that has begun and is not over."""
    transfer = await space.beta.transfer(await space.beta.negotiate(offer))
    found = await space.beta.send(space.beta.calls.data_address(transfer.pid))
    token = {"Authorization": f"Bearer {found.properties['authorization']}"}
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        http.stream("GET", found.endpoint or "", headers=token) as answer,
    ):
        assert answer.status_code == 200
        chunks = answer.aiter_raw(1 << 17)
        await anext(chunks)
        yield chunks


async def test_who_is_silent_past_its_token_gets_no_data_and_loses_what_needs_membership() -> None:
    size = 24 << 20
    async with oauth2_space() as space:
        closed = await space.acme.publish("weather", content=bytes(size), policy=members_only())
        open_offer = await space.acme.publish("tides", content=bytes(size))
        short = await space.acme.publish("notes", content=b"short")
        transfer = await space.beta.transfer(await space.beta.negotiate(short))
        async with _begun(space, closed) as members, _begun(space, open_offer) as everybodys:
            # longer than the tokens that beta has shown; it says nothing meanwhile
            space.clock.move(seconds=301)

            async def is_cut() -> bool:
                try:
                    await anext(members)
                except httpx.HTTPError:
                    return True
                return False

            # what needs membership is cut, as nothing shows it any longer; open terms let what has begun go on
            assert await space.acme.until(is_cut, bool)
            assert sum([len(chunk) async for chunk in everybodys]) > size // 2
        # but nothing new, whatever the terms, until it shows a token again, as its own connector does by itself
        found = await space.beta.send(space.beta.calls.data_address(transfer.pid))
        space.clock.move(seconds=301)
        token = {"Authorization": f"Bearer {found.properties['authorization']}"}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(found.endpoint or "", headers=token)
            assert (answer.status_code, "UNPROVEN" in answer.text) == (403, True)
            assert await space.beta.get(transfer) == b"short"
            # so does asking for the address, for a program that goes there itself
            space.clock.move(seconds=301)
            await space.beta.send(space.beta.calls.data_address(transfer.pid))
            assert (await http.get(found.endpoint or "", headers=token)).content == b"short"


async def test_two_connectors_negotiate_by_tokens_alone_and_a_download_outlives_those_that_began_it() -> None:
    size = 24 << 20
    async with oauth2_space() as space:
        offer = await space.acme.publish("weather", content=bytes(size), policy=members_only())
        agreed = await space.beta.negotiate(offer)
        assert agreed.state == "FINALIZED"
        transfer = await space.beta.transfer(agreed)
        url = f"{space.beta.app.operator_url}/api/v1/participants/beta/transfers/{transfer.pid}/data"
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            http.stream("GET", url, headers={"X-Api-Key": api_key()}) as data,
        ):
            chunks = data.aiter_raw(1 << 17)
            got = len(await anext(chunks))
            address = await space.beta.send(space.beta.calls.data_address(transfer.pid))
            token = {"Authorization": f"Bearer {address.properties['authorization']}", "Range": "bytes=0-0"}
            # its next token is due, and shown: then it waits for the next time
            space.clock.move(seconds=275)

            async def waiting() -> tuple[datetime, ...]:
                return space.clock.waiting_until

            await space.beta.until(waiting, lambda moments: space.clock.now() + SHOWN_EVERY in moments)
            # the one before is over, and the provider knows beta still
            space.clock.move(seconds=30)
            answer = await http.get(address.endpoint or "", headers=token)
            assert answer.status_code == 206, answer.text
            got += sum([len(chunk) async for chunk in chunks])
        assert got == size


async def test_a_provider_that_is_away_lets_nobody_in_and_nobody_is_thrown_out() -> None:
    async with oauth2_space() as space:
        await space.acme.publish("weather", policy=members_only())
        await space.beta.catalog(space.acme)
        assert space.provider is not None
        await space.provider.__aexit__(None, None, None)
        space.clock.move(seconds=1.1)
        with pytest.raises(KontorError, match="503"):
            await space.beta.catalog(space.acme)
        space.provider = App(Settings.model_validate(space.settings), clock=space.clock)
        await space.provider.__aenter__()
        # a provider with a new store has new keys: members get new tokens when the old ones are refused or over
        space.clock.move(seconds=600)
        await space.beta.catalog(space.acme)


async def test_a_connector_that_was_started_anew_is_shown_who_asks_by_the_next_request_for_data() -> None:
    async with oauth2_space(store="sqlite:///kontor.db") as space:
        transfer = await space.beta.transfer(await space.beta.negotiate(await space.acme.publish("tides", content=b"high")))
        found = await space.beta.send(space.beta.calls.data_address(transfer.pid))
        await space.acme.space.stop(space.acme)
        await space.acme.space.start(space.acme)
        # it knows nobody by a token yet: the one for data is not enough
        token = {"Authorization": f"Bearer {found.properties['authorization']}"}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(found.endpoint or "", headers=token)
        assert (answer.status_code, "UNPROVEN" in answer.text) == (403, True)
        # beta asks how the transfer stands, which shows it, and then again
        assert await space.beta.get(transfer) == b"high"


async def test_the_key_of_a_client_is_replaced_while_messages_go_on() -> None:
    async with oauth2_space() as space:
        await space.acme.publish("weather", policy=members_only())
        await space.beta.catalog(space.acme)
        (first,) = (await space.beta.send(space.beta.calls.keys())).items
        assert (first.purpose, first.state) == ("oauth2", "ACTIVE")
        new = await space.beta.send(space.beta.calls.rotate_key(NewIdentityKey(purpose="oauth2")))
        space.clock.move(seconds=LEAD.total_seconds())
        await space.beta.catalog(space.acme)
        await space.beta.send(space.beta.calls.revoke_key(first.name))
        space.clock.move(seconds=600)
        await space.beta.catalog(space.acme)
        states = {one.name: one.state for one in (await space.beta.send(space.beta.calls.keys())).items}
        assert states == {first.name: "REVOKED", new.name: "ACTIVE"}
