"""Documents are fetched once, kept for a while, and not at all for what a stranger must not make us ask."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connector import jose
from connector.errors import AddressRefused, KontorError, Overloaded, PeerAnswer, PeerMessage, Unproven, Unreachable
from connector.identity import did
from connector.identity.places import PlaceRules
from connector.identity.resolver import Resolver, ResolverRules
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.asker import ASKER
from tests.identity.hosts import LOCAL, PATIENT, Host, host

RULES = ResolverRules(unsafe_http=True, unsafe_local=True)


class Seconds:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def served() -> AsyncIterator[Host]:
    async with host() as found:
        publish(found)
        yield found


@pytest.fixture
async def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def resolver(seconds: Seconds) -> AsyncIterator[Resolver]:
    async with OutboundClient(LOCAL) as client:
        found = Resolver(client, RULES, seconds)
        yield found
        await found.close()


def publish(served: Host, key: str = "key-1") -> None:
    public = jose.generate(f"{served.did}#{key}")
    document = did.write(served.did, [(public.id, public.public, list(did.Relationship))], {})
    served.pages["/.well-known/did.json"] = json.dumps(document).encode()


async def test_a_document_is_fetched_once_and_again_when_it_is_old(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    first = await resolver.resolve(served.did)
    assert f"{served.did}#key-1" in first.methods
    assert await resolver.resolve(served.did) is first
    seconds.now += RULES.keep_s
    assert await resolver.resolve(served.did) is not first
    assert served.asked == {"/.well-known/did.json": 2}


async def test_many_at_once_are_one_question(served: Host, resolver: Resolver) -> None:
    found = await asyncio.gather(*(resolver.resolve(served.did) for _ in range(50)))
    assert len({id(one) for one in found}) == 1
    assert served.asked.total() == 1


async def test_an_asker_who_goes_away_takes_nothing_with_him(served: Host, resolver: Resolver) -> None:
    served.held = asyncio.Event()
    leaving, staying = asyncio.ensure_future(resolver.resolve(served.did)), asyncio.ensure_future(resolver.resolve(served.did))
    await served.arrived.wait()
    leaving.cancel()
    served.held.set()
    assert (await staying).id == served.did
    assert served.asked.total() == 1


async def test_a_rotated_key_is_looked_up_anew_but_not_too_often(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    await resolver.resolve(served.did)
    publish(served, "key-2")
    assert f"{served.did}#key-2" not in (await resolver.resolve(served.did, anew=True)).methods
    seconds.now += RULES.refetch_s
    assert f"{served.did}#key-2" in (await resolver.resolve(served.did, anew=True)).methods
    await resolver.resolve(served.did, anew=True)
    assert served.asked.total() == 2


async def test_a_host_that_is_away_takes_no_identity_with_it(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    first = await resolver.resolve(served.did)
    served.status = 503
    seconds.now += RULES.refetch_s
    with pytest.raises(PeerAnswer):
        await resolver.resolve(served.did, anew=True)
    assert await resolver.resolve(served.did) is first


async def test_a_document_that_went_bad_counts_no_longer(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    await resolver.resolve(served.did)
    served.pages["/.well-known/did.json"] = b'{"id": "did:web:other.example"}'
    seconds.now += RULES.refetch_s
    for anew in (True, False):
        with pytest.raises(Unproven):
            await resolver.resolve(served.did, anew=anew)


async def test_a_failure_is_remembered_shortly(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    for _ in range(3):
        with pytest.raises(PeerAnswer):
            await resolver.resolve(f"{served.did}:nobody")
    assert served.asked.total() == 1
    seconds.now += RULES.keep_failure_s
    with pytest.raises(PeerAnswer):
        await resolver.resolve(f"{served.did}:nobody")
    assert served.asked.total() == 2


async def test_random_identifiers_of_one_host_come_to_an_end(served: Host, resolver: Resolver, seconds: Seconds) -> None:
    known = await resolver.resolve(served.did)
    outcomes: list[type[KontorError]] = []
    for number in range(RULES.failures_per_host + 10):
        with pytest.raises(KontorError) as caught:
            await resolver.resolve(f"{served.did}:n{number}")
        outcomes.append(caught.type)
    assert outcomes == [PeerAnswer] * RULES.failures_per_host + [Overloaded] * 10
    assert served.asked.total() == RULES.failures_per_host + 1
    assert await resolver.resolve(served.did) is known
    seconds.now += 60
    with pytest.raises(PeerAnswer):
        await resolver.resolve(f"{served.did}:later")


async def test_who_is_known_is_looked_up_again_however_many_strangers_its_host_has(
    served: Host, resolver: Resolver, seconds: Seconds
) -> None:
    known = await resolver.resolve(served.did)
    seconds.now += RULES.keep_s
    for number in range(RULES.failures_per_host):
        with pytest.raises(PeerAnswer):
            await resolver.resolve(f"{served.did}:n{number}")
    # its document is old: one is fetched, and so is one with a new key
    again = await resolver.resolve(served.did)
    assert again is not known
    seconds.now += RULES.refetch_s
    publish(served, "key-2")
    assert f"{served.did}#key-2" in (await resolver.resolve(served.did, anew=True)).methods
    with pytest.raises(Overloaded):
        await resolver.resolve(f"{served.did}:stranger")


async def test_only_so_many_are_fetched_at_once(served: Host, seconds: Seconds) -> None:
    served.held = asyncio.Event()
    async with OutboundClient(LOCAL) as client:
        resolver = Resolver(client, replace(RULES, places=PlaceRules(at_once=3)), seconds)
        waiting = [asyncio.ensure_future(resolver.resolve(f"{served.did}:n{number}")) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await resolver.resolve(served.did)
        served.held.set()
        assert all(isinstance(one, PeerAnswer) for one in await asyncio.gather(*waiting, return_exceptions=True))
        await resolver.resolve(served.did)


async def _held(served: Host, resolver: Resolver, count: int, asker: str = "") -> list[asyncio.Task[did.Document]]:
    """Look-ups that are under way at a host that does not answer."""
    served.held = served.held or asyncio.Event()
    context = contextvars.copy_context()
    context.run(ASKER.set, asker)
    before, loop = served.asked.total(), asyncio.get_running_loop()
    found = [loop.create_task(resolver.resolve(f"{served.did}:{asker}-{n}"), context=context) for n in range(count)]
    while served.asked.total() < before + count:
        served.arrived.clear()
        await served.arrived.wait()
    return found


async def test_one_host_and_one_sender_have_so_many_places(served: Host, seconds: Seconds) -> None:
    async with OutboundClient(PATIENT) as client:
        rules = replace(RULES, places=PlaceRules(per_host=3, per_asker=2))
        resolver = Resolver(client, rules, seconds)
        waiting = await _held(served, resolver, 2, "192.0.2.1")
        ASKER.set("192.0.2.1")
        with pytest.raises(Overloaded, match="one sender"):
            await resolver.resolve(f"{served.did}:more")
        waiting += await _held(served, resolver, 1, "192.0.2.2")
        ASKER.set("")
        with pytest.raises(Overloaded, match="one host"):
            await resolver.resolve(f"{served.did}:more")
        assert served.held is not None
        served.held.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_slow_hosts_keep_out_nobody_whose_host_answers(served: Host, seconds: Seconds) -> None:
    async with OutboundClient(PATIENT) as client, host() as quick:
        publish(quick)
        resolver = Resolver(client, replace(RULES, places=PlaceRules(at_once=2, patience_s=0)), seconds)
        waiting = await _held(served, resolver, 2)
        # all places are taken: the one that has waited longest gives way
        assert (await resolver.resolve(quick.did)).id == quick.did
        with pytest.raises(Unreachable, match="in time"):
            await waiting[0]
        assert not waiting[1].done()
        resolver.acquaint(quick.did)
        # whom we know has places of its own, also while nobody is patient enough yet
        seconds.now += RULES.keep_s
        resolver.rules = replace(RULES, places=PlaceRules(at_once=2, patience_s=60))
        waiting += await _held(served, resolver, 1, "192.0.2.1")
        with pytest.raises(Overloaded):
            await resolver.resolve(f"{quick.did}:stranger")
        assert (await resolver.resolve(quick.did)).id == quick.did
        assert served.held is not None
        served.held.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_host_that_drips_is_left_at_the_deadline(served: Host, seconds: Seconds) -> None:
    async with OutboundClient(PATIENT) as client:
        resolver = Resolver(client, replace(RULES, deadline_s=0.05), seconds)
        served.held = asyncio.Event()
        with pytest.raises(Unreachable, match="in time"):
            await resolver.resolve(served.did)
        served.held.set()


async def test_the_cache_forgets_what_was_used_longest_ago(served: Host, seconds: Seconds) -> None:
    async with OutboundClient(LOCAL) as client:
        resolver = Resolver(client, replace(RULES, most_strangers=2), seconds)
        await resolver.resolve(served.did)
        for number in range(3):
            with pytest.raises(PeerAnswer):
                await resolver.resolve(f"{served.did}:n{number}")
        await resolver.resolve(served.did)
    assert served.asked["/.well-known/did.json"] == 2


async def test_strangers_have_us_forget_nobody_whom_we_know(served: Host, seconds: Seconds) -> None:
    def publish_at(name: str, size: int = 0) -> str:
        made = f"{served.did}:{name}"
        served.pages[f"/{name}/did.json"] = json.dumps({"id": made, "service": [{"x": "x" * size}]}).encode()
        return made

    async with OutboundClient(LOCAL) as client:
        rules = replace(RULES, most_strangers=3, most_stranger_bytes=1_000, places=PlaceRules(per_host=0))
        resolver = Resolver(client, replace(rules, places=PlaceRules()), seconds)
        member = await resolver.resolve(served.did)
        resolver.acquaint(served.did, f"{served.did}:not-looked-up-yet")
        # neither by their number nor by their size
        for number in range(5):
            await resolver.resolve(publish_at(f"s{number}"))
        assert [f"{served.did}:s{n}" in resolver._of_strangers.kept for n in range(5)] == [False, False, True, True, True]
        await resolver.resolve(publish_at("big", 900))
        assert [*resolver._of_strangers.kept] == [f"{served.did}:big"]
        await resolver.resolve(publish_at("bigger", 1_000))
        assert (resolver._of_strangers.kept, resolver._of_strangers.bytes) == ({}, 0)
        assert await resolver.resolve(served.did) is member
        # who has once shown a document is a stranger all the same: it takes no place of a member
        resolver.rules = rules
        for did_ in (publish_at("s4"), publish_at("new")):
            with pytest.raises(Overloaded):
                await resolver.resolve(did_)
        # and whom we know stays so when its host was away
        seconds.now += RULES.keep_s
        served.status = 503
        with pytest.raises(PeerAnswer):
            await resolver.resolve(served.did)
        seconds.now += RULES.keep_failure_s
        served.status = 200
        assert (await resolver.resolve(served.did)).id == served.did


async def test_a_huge_document_is_not_read(served: Host, resolver: Resolver) -> None:
    served.pages["/.well-known/did.json"] = b" " * (did.LIMITS.max_bytes + 1)
    with pytest.raises(PeerMessage):
        await resolver.resolve(served.did)


async def test_closing_ends_what_is_under_way(served: Host, resolver: Resolver) -> None:
    served.held = asyncio.Event()
    waiting = asyncio.ensure_future(resolver.resolve(served.did))
    await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    "name",
    [
        "did:web:127.0.0.1%3A{port}",
        "did:web:%5B%3A%3A1%5D%3A{port}",
        "did:web:2130706433%3A{port}",
        "did:web:0x7f000001%3A{port}",
        "did:web:0177.0.0.1%3A{port}",
        "did:web:localhost.%3A{port}",
        "did:web:localhost%3A{port}:..",
        "did:web:localhost%3A{port}#k",
        "did:web:localhost%3A{port}?x",
        "did:web:x@localhost%3A{port}",
        "did:web:localhost%3A{port}\r\nX: y",
        "did:key:z6Mk",
        "did:web:(localhost)",
    ],
)
async def test_nothing_is_asked_for_a_refused_identifier(name: str, served: Host, resolver: Resolver) -> None:
    with pytest.raises(Unproven):
        await resolver.resolve(name.format(port=served.port))
    assert served.connections == 0


async def test_this_machine_is_not_reached_without_the_unsafe_rules(served: Host) -> None:
    async with OutboundClient(OutboundRules(allow_http=True)) as client:
        resolver = Resolver(client, RULES)
        with pytest.raises(AddressRefused):
            await resolver.resolve(served.did)
        with pytest.raises(Unproven):
            await Resolver(client, ResolverRules(unsafe_http=True)).resolve(served.did)
    assert served.connections == 0


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "fd00::1", "0.0.0.0"],
)
async def test_a_name_that_resolves_to_a_private_address_is_not_reached(address: str, served: Host) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["93.184.216.34", address]

    async with OutboundClient(OutboundRules(allow_http=True), resolve=resolve) as client:
        with pytest.raises((AddressRefused, Unreachable)) as caught:
            await Resolver(client, RULES).resolve(f"did:web:them.example%3A{served.port}")
    assert "refused" in str(caught.value)
    assert served.connections == 0
