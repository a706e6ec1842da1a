"""Joining a space and hearing of its authority: only what stands at the authority's own address, or is signed by it, counts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import Conflict, KontorError, NotFound, Overloaded, PeerAnswer, PeerError, Unauthenticated
from connector.identity import joined, joining, newcomers, notices
from connector.identity.holder import Wallet
from connector.identity.joined import Joined
from connector.identity.joining import Joining
from connector.identity.newcomers import Newcomers
from connector.identity.requests import Requests
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.identity.tokens import bearer, open_self_issued
from connector.identity.trustlists import ListedParticipant, Standing
from connector.outbound.client import OutboundClient
from connector.ports.store import Document
from connector.storage.replay import MemoryReplay
from tests.identity.hosts import LOCAL, host
from tests.identity.test_trustlists import NOW, SPACE, Scene

US, ANNA = "did:web:us.example", "did:web:anna.example"


@dataclass
class Node:
    """A node with one participant, beside the host of an authority."""

    scene: Scene
    forgotten: list[str] = field(default_factory=list)
    posted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        key = jose.generate(f"{US}#token")
        self.wallet = Wallet(did=US, token_key=key, presentation_key=key, access_key=key, held=(), grants=())
        scene = self.scene
        resolver = Resolver(scene.outbound, ResolverRules(unsafe_http=True, unsafe_local=True))

        async def wallet(participant: str) -> Wallet | None:
            return self.wallet if participant == "us" else None

        self.joining = Joining(
            store=scene.store,
            wallets=wallet,
            requests=Requests(scene.store, scene.clock),
            lists=scene.source,
            senders=Senders(resolver=resolver, replay=MemoryReplay(), clock=scene.clock),
            outbound=scene.outbound,
            jobs=scene.store.jobs,
            clock=scene.clock,
            new_id=iter(f"id-{n}" for n in range(1000)).__next__,
            address=lambda name: f"https://us.example/{name}",
            forget=self.forgotten.append,
            governor={"urn:space:filed": "did:web:filed.example"}.get,
            changed=lambda name: None,
            wake=lambda: None,
            unsafe_local=True,
        )

    async def has_joined(self, **changes: Any) -> Joined:
        one = Joined(
            space=SPACE, authority=self.scene.host.did, title="", participants=self.scene.address.url,
            applications=f"{self.scene.host.url}/applications",
            issuers="", types=("M",), **{"state": "ACTIVE", **changes},
        )  # fmt: skip
        now = self.scene.clock.now()
        await self.scene.store.put_document(
            Document(participant="us", kind=joined.KIND, id=SPACE, body=joined.to_body(one), created_at=now, updated_at=now)
        )
        return one

    def notice(self, key: jose.SigningKey | None = None, **changes: Any) -> bytes:
        given = {
            "governance": self.scene.host.did, "space": SPACE, "receiver": US, "about": ANNA, "state": Standing.SUSPENDED, "seq": 1,
            "now": self.scene.clock.now(), "jti": "1",
        }  # fmt: skip
        return notices.write(key or self.scene.key, **{**given, **changes}).encode()

    def about(self, **changes: Any) -> None:
        """What the authority says of itself, and how it answers applications."""
        tree = {
            "authority": self.scene.host.did, "space": SPACE, "title": "Test", "issuer": "",
            "applications": f"{self.scene.host.url}/applications", "participants": self.scene.address.url,
            "issuers": f"{self.scene.host.url}/issuers", "credentials": [{"id": "m", "type": "M", "profile": "vc11-sl2021/jwt"}],
        }  # fmt: skip
        pages = self.scene.host.pages
        pages["/authority"] = json.dumps({name: one for name, one in {**tree, **changes}.items() if one is not ...}).encode()

        def applied(head: str, body: bytes) -> bytes:
            self.posted.append((head, json.loads(body) if body else {}))
            return json.dumps(
                {"id": US, "state": "SUBMITTED", "nonce": "n1", "proof": f"{self.scene.host.url}/applications/1"}
            ).encode()

        def proven(head: str, body: bytes) -> bytes:
            self.posted.append((head, json.loads(body)))
            return b'{"state": "VERIFIED"}'

        pages["/applications"], pages["/applications/1"] = applied, proven


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    async with host() as found, OutboundClient(LOCAL) as outbound:
        yield Node(Scene(found, outbound))


async def test_an_application_says_who_we_are_and_the_proof_names_the_nonce(node: Node) -> None:
    node.about()
    one = await node.joining.join("us", node.scene.host.url, {"name": "Us"})
    assert (one.space, one.state, one.authority) == (SPACE, "VERIFIED", node.scene.host.did)
    (_, application), (head, _) = node.posted
    assert application["id"] == US
    assert application["notices"] == "https://us.example/us/trust/notices"
    header = next(line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("authorization"))
    token = open_self_issued(bearer(header), receiver=node.scene.host.did, now=NOW)
    assert token.claims["nonce"] == "n1"
    assert await node.joining.spaces("us") == (one,)
    with pytest.raises(Conflict, match="no wallet"):
        await node.joining.join("other", node.scene.host.url, {})


async def test_an_authority_that_takes_the_name_of_a_space_of_another_is_not_joined(node: Node) -> None:
    node.about(space="urn:space:filed")
    with pytest.raises(Conflict, match=r"governed by `did:web:filed\.example`"):
        await node.joining.join("us", node.scene.host.url, {})
    assert node.posted == []


@pytest.mark.parametrize(
    "changes",
    [
        {"authority": "did:web:elsewhere.example"},
        {"authority": "did:key:z6Mk"},
        {"authority": ...},
        {"applications": "http://localhost:1/applications"},
        {"participants": "https://elsewhere.example/participants"},
        {"issuers": 7},
        {"credentials": []},
        {"credentials": "M"},
    ],
)
async def test_an_authority_speaks_for_its_own_address_alone(node: Node, changes: dict[str, Any]) -> None:
    node.about(**changes)
    with pytest.raises(PeerError):
        await node.joining.join("us", node.scene.host.url, {})
    assert node.posted == []
    assert await node.joining.spaces("us") == ()


async def test_who_takes_part_does_not_apply_again_and_may_leave(node: Node) -> None:
    node.about()
    await node.has_joined()
    with pytest.raises(Conflict, match="already"):
        await node.joining.join("us", node.scene.host.url, {})
    await node.joining.leave("us", SPACE)
    assert await node.joining.spaces("us") == ()
    # the authority is told, again and again until it has heard it
    (job,) = await node.scene.store.jobs.claim([joining.GOODBYE], node.scene.clock.now())
    host = node.scene.host
    host.pages["/applications/leave"], host.statuses["/applications/leave"] = b"{}", 503
    with pytest.raises(PeerAnswer):
        await node.joining.say_goodbye(job)
    for status in (200, 404):
        host.statuses["/applications/leave"] = status
        await node.joining.say_goodbye(job)
    assert host.asked["/applications/leave"] == 3
    # unless it has joined again meanwhile
    await node.has_joined()
    await node.joining.say_goodbye(job)
    assert host.asked["/applications/leave"] == 3
    await node.joining.leave("us", SPACE)
    with pytest.raises(NotFound):
        await node.joining.leave("us", SPACE)


async def test_who_is_offered_what_it_waits_for_looks_at_once_how_it_stands(node: Node) -> None:
    node.about()
    await node.joining.join("us", node.scene.host.url, {})
    store, clock = node.scene.store, node.scene.clock
    clock.move(minutes=10)
    (job,) = await store.jobs.claim([joining.JOB], clock.now())
    until = await node.joining.follow(job)
    assert until is not None
    await store.jobs.put_off(job, until)
    assert await store.jobs.claim([joining.JOB], clock.now()) == ()
    assert not await node.joining.offered("us", "did:web:elsewhere.example")
    assert await node.joining.offered("us", node.scene.host.did)
    (again,) = await store.jobs.claim([joining.JOB], clock.now())
    assert again.body == job.body
    # the node died between the two; the authority had no answer, and offers again
    await store.jobs.drop("us", joining.JOB, again.id)
    assert await node.joining.offered("us", node.scene.host.did)
    (anew,) = await store.jobs.claim([joining.JOB], clock.now())
    assert (anew.id, anew.body["space"]) == (job.id, SPACE)


async def test_a_catalogue_asks_once_to_be_told_of_newcomers_and_takes_no_for_an_answer(node: Node) -> None:
    scene = node.scene
    work = Newcomers(
        store=scene.store, wallets=node.joining.wallets, outbound=scene.outbound, jobs=scene.store.jobs, clock=scene.clock,
        new_id=iter("abcdef").__next__,
    )  # fmt: skip
    await node.has_joined()
    await work.follow("us", "did:web:elsewhere.example")
    assert await scene.store.jobs.claim([newcomers.FOLLOW], scene.clock.now()) == ()
    for _ in range(2):
        await work.follow("us", scene.host.did)
    (job,) = await scene.store.jobs.claim([newcomers.FOLLOW], scene.clock.now())
    scene.host.pages["/applications/follow"], scene.host.statuses["/applications/follow"] = b"{}", 503
    with pytest.raises(PeerAnswer):
        await work.ask(job)
    for status in (200, 404):
        scene.host.statuses["/applications/follow"] = status
        await work.ask(job)
    assert scene.host.asked["/applications/follow"] == 3
    await node.joining.leave("us", SPACE)
    await work.ask(job)
    assert scene.host.asked["/applications/follow"] == 3


async def test_a_notice_makes_us_forget_and_look_again(node: Node) -> None:
    await node.has_joined()
    node.scene.serve(3, ListedParticipant(id=ANNA, state=Standing.SUSPENDED))
    await node.joining.notice("us", node.notice(seq=3))
    assert node.forgotten == [ANNA]
    found = node.scene.source.peek((await node.joining.spaces("us"))[0].participant_list)
    assert found is not None
    assert found.version.seq == 3
    with pytest.raises(NotFound):
        await node.joining.notice("other", node.notice())


@pytest.mark.parametrize(("state", "then"), [("ACTIVE", "REVOKED"), ("VERIFIED", "VERIFIED"), ("APPROVED", "APPROVED")])
async def test_what_stood_before_one_applied_again_stops_nobody(node: Node, state: str, then: str) -> None:
    await node.has_joined(state=state)
    node.scene.serve(3, ListedParticipant(id=US, state=Standing.REVOKED))
    await node.joining.notice("us", node.notice(seq=3, about=US, state=Standing.REVOKED))
    assert [one.state for one in await node.joining.spaces("us")] == [then]


async def test_how_we_stand_is_what_the_list_says_whatever_notice_arrives_last(node: Node) -> None:
    """INVARIANT: how we stand is what the list says."""
    await node.has_joined()
    late = node.notice(seq=3, about=US, state=Standing.SUSPENDED, jti="late")
    # meanwhile it was reinstated
    node.scene.serve(4, ListedParticipant(id=US, state=Standing.ACTIVE))
    await node.joining.notice("us", node.notice(seq=4, about=US, state=Standing.ACTIVE))
    await node.joining.notice("us", late)
    assert [one.state for one in await node.joining.spaces("us")] == ["ACTIVE"]


async def test_a_list_older_than_its_notice_is_looked_up_again_by_whoever_comes_next(node: Node) -> None:
    await node.has_joined()
    node.scene.serve(3, ListedParticipant(id=ANNA, state=Standing.ACTIVE))
    with pytest.raises(KontorError):
        await node.joining.notice("us", node.notice(seq=4))
    assert node.forgotten == [ANNA]


@pytest.mark.parametrize(
    "changes",
    [
        {"governance": "did:web:elsewhere.example"},
        {"space": "urn:space:other"},
        {"receiver": "did:web:somebody.example"},
        {"now": NOW - timedelta(minutes=6)},
        {"now": NOW + timedelta(minutes=1)},
        {"key": jose.generate("did:web:elsewhere.example#k")},
    ],
)
async def test_a_notice_that_is_not_the_authoritys_changes_nothing(node: Node, changes: dict[str, Any]) -> None:
    await node.has_joined()
    with pytest.raises(Unauthenticated, match="no valid token"):
        await node.joining.notice("us", node.notice(**changes))
    assert node.forgotten == []
    assert node.scene.host.asked["/list"] == 0


async def test_a_notice_forged_with_the_name_of_the_key_repeated_or_cut_changes_nothing(node: Node) -> None:
    await node.has_joined()
    node.scene.serve(1, ListedParticipant(id=ANNA, state=Standing.SUSPENDED))
    good = node.notice()
    for body in (node.notice(key=jose.generate(node.scene.key.id)), good[:-4], b"", b"\xff", good + b"x"):
        with pytest.raises(Unauthenticated):
            await node.joining.notice("us", body)
    assert node.forgotten == []
    await node.joining.notice("us", good)
    with pytest.raises(Unauthenticated):
        await node.joining.notice("us", good)
    assert node.forgotten == [ANNA]


async def test_an_authority_whose_document_is_away_is_asked_to_come_again(node: Node) -> None:
    await node.has_joined()
    node.scene.host.statuses["/.well-known/did.json"] = 503
    with pytest.raises(Overloaded):
        await node.joining.notice("us", node.notice())
    assert node.forgotten == []
