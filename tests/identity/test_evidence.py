"""Only what was named is fetched, within bounds; what cannot be had is said so, with whether it may pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from connector.errors import AddressRefused, Overloaded, PeerAnswer, PeerMessage, Unreachable
from connector.identity import status
from connector.identity.credentials import Asked, Missing, Opened, Trust
from connector.identity.did import Document
from connector.identity.evidence import EvidenceSource, is_passing
from connector.identity.resolver import Resolver, ResolverRules
from connector.outbound.client import OutboundClient
from tests.identity.hosts import LOCAL, Host, host
from tests.identity.space import NOW


@pytest.fixture
async def served() -> AsyncIterator[Host]:
    async with host() as found:
        found.pages["/.well-known/did.json"] = f'{{"id": "{found.did}"}}'.encode()
        found.pages["/status/1"] = b"list"
        yield found


@pytest.fixture
async def source() -> AsyncIterator[EvidenceSource]:
    async with OutboundClient(LOCAL) as client:
        resolver = Resolver(client, ResolverRules(unsafe_http=True, unsafe_local=True))
        yield EvidenceSource(client, resolver, most_lists=2, schemas={"https://a.example/known": lambda _tree: None})
        await resolver.close()


def needing(
    *, documents: tuple[str, ...] = (), lists: tuple[str, ...] = (), schemas: tuple[str, ...] = (), later_s: int = 0
) -> Opened:
    return Opened(
        asked=Asked(verifier="", holder="", scopes=()),
        trust=Trust(issuers={}),
        now=NOW + timedelta(seconds=later_s),
        presentations=(),
        refused=(),
        documents=frozenset(documents),
        lists=frozenset(lists),
        schemas=frozenset(schemas),
    )


async def test_documents_are_gathered_at_once_and_so_are_lists(served: Host, source: EvidenceSource) -> None:
    other = f"{served.did}:other"
    served.pages["/other/did.json"] = f'{{"id": "{other}"}}'.encode()
    served.pages["/status/2"] = b"list"
    lists = tuple(f"{served.url}/status/{n}" for n in (1, 2))
    for needed in (needing(documents=(served.did, other)), needing(lists=lists)):
        asked, served.held = served.asked.total(), asyncio.Event()
        gathering = asyncio.ensure_future(source.gather(needed))
        while served.asked.total() < asked + 2:
            served.arrived.clear()
            await served.arrived.wait()
        served.held.set()
        await gathering
    found = await source.gather(needing(documents=(served.did,), lists=lists[:1]))
    assert isinstance(found.documents[served.did], Document)
    assert found.lists == {f"{served.url}/status/1": b"list"}
    assert found.schemas == {}


async def test_a_list_whose_host_hangs_is_waited_for_once_by_whoever_asks(served: Host, source: EvidenceSource) -> None:
    url, now_s = f"{served.url}/status/1", [0.0]
    source.seconds = lambda: now_s[0]
    served.statuses["/status/1"] = 503
    served.held = asyncio.Event()
    gathering = [asyncio.ensure_future(source.gather(needing(lists=(url,)))) for _ in range(9)]
    await served.arrived.wait()
    now_s[0] = 30.0
    served.held.set()
    found = [(await one).lists[url] for one in gathering]
    assert all(isinstance(one, Missing) and one.is_passing for one in found)
    assert served.asked["/status/1"] == 1
    # later it is asked again; a host that fails at once is asked each time
    now_s[0] = 41.0
    for asked in (2, 3):
        await source.gather(needing(lists=(url,)))
        assert served.asked["/status/1"] == asked


async def test_a_list_is_kept_shortly_and_dropped_when_something_was_withdrawn(served: Host, source: EvidenceSource) -> None:
    url = f"{served.url}/status/1"
    for later_s, asked in ((0, 1), (59, 1), (60, 2), (61, 2)):
        await source.gather(needing(lists=(url,), later_s=later_s))
        assert served.asked["/status/1"] == asked
    source.forget_lists()
    await source.gather(needing(lists=(url,), later_s=62))
    assert served.asked["/status/1"] == 3
    # a clock that was set back makes nothing newer
    await source.gather(needing(lists=(url,)))
    assert served.asked["/status/1"] == 4


async def test_only_so_many_lists_are_kept(served: Host, source: EvidenceSource) -> None:
    served.pages |= {f"/{n}": b"list" for n in range(3)}
    for n in (0, 1, 2, 0):
        await source.gather(needing(lists=(f"{served.url}/{n}",)))
    assert served.asked["/0"] == 2
    # nor more of them than fit in: a list may be large
    source.most_lists, source.most_bytes = 1_000, 10
    served.pages |= {f"/{n}": b"a list" for n in range(3)}
    for n in (0, 1, 2, 2):
        await source.gather(needing(lists=(f"{served.url}/{n}",), later_s=120))
    assert (served.asked["/0"], served.asked["/2"]) == (3, 2)
    assert sum(len(data) for _, data in source._lists.values()) == source._bytes == len(b"a list")


async def test_schemas_are_the_operators_and_never_fetched(served: Host, source: EvidenceSource) -> None:
    found = await source.gather(needing(schemas=("https://a.example/known", f"{served.url}/schema")))
    assert callable(found.schemas["https://a.example/known"])
    assert found.schemas[f"{served.url}/schema"] == Missing(words="the operator gave no such schema", is_passing=False)
    assert served.connections == 0


@pytest.mark.parametrize(
    ("code", "may_pass"), [(404, False), (401, False), (301, False), (500, True), (503, True), (429, True)]
)
async def test_what_cannot_be_had_is_said_so(served: Host, source: EvidenceSource, code: int, may_pass: bool) -> None:
    served.status = code
    found = await source.gather(needing(documents=(served.did,), lists=(f"{served.url}/status/1",)))
    for one in (*found.documents.values(), *found.lists.values()):
        assert isinstance(one, Missing)
        assert one.is_passing is may_pass


async def test_a_huge_list_is_not_read(served: Host, source: EvidenceSource) -> None:
    served.pages["/status/1"] = b" " * (status.LIMITS.max_bytes + 1)
    found = await source.gather(needing(lists=(f"{served.url}/status/1",)))
    missing = found.lists[f"{served.url}/status/1"]
    assert isinstance(missing, Missing)
    assert missing.is_passing is False


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/status", "http://169.254.169.254/status", "file:///etc/passwd", "https://user@a.example/"]
)
async def test_a_list_at_an_unlawful_address_is_not_asked_for(source: EvidenceSource, url: str) -> None:
    found = (await source.gather(needing(lists=(url,)))).lists[url]
    assert isinstance(found, Missing)
    assert not found.is_passing


async def test_an_unlawful_identifier_is_not_looked_up(served: Host, source: EvidenceSource) -> None:
    name = f"did:web:127.0.0.1%3A{served.port}"
    assert (await source.gather(needing(documents=(name,)))).documents[name] == Missing(
        words=f'"{name}": it does not begin with the name of a host', is_passing=False
    )
    assert served.connections == 0


def test_what_may_pass() -> None:
    assert is_passing(Unreachable("x"))
    assert not is_passing(PeerMessage("x"))
    assert is_passing(Overloaded("x"))
    assert is_passing(PeerAnswer("x", answer_status=502))
    assert not is_passing(PeerAnswer("x", answer_status=403))
    assert not is_passing(AddressRefused("x"))
