"""Signed lists: only the governance's own, in its newest version, counts."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import KontorError, PeerAnswer, Unproven
from connector.identity import did as dids
from connector.identity import trustlists
from connector.identity.did import Relationship
from connector.identity.listsource import ListAddress, ListSource
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.roster import SignedMembers
from connector.identity.trustlists import ListedIssuer, ListedParticipant, Listing, Standing, Version
from connector.outbound.client import OutboundClient
from connector.ports.catalog import Listed, MemberKind
from connector.storage.memory import MemoryStore
from connector.testing.clock import MovedClock
from tests.identity.hosts import LOCAL, Host, host

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOVERNANCE, SPACE = "did:web:authority.example", "urn:space:test"
KEY = jose.generate(f"{GOVERNANCE}#lists")
ANNA = ListedParticipant(
    id="did:web:anna.example", state=Standing.ACTIVE, name="Anna", address="https://anna.example/anna", since=NOW
)
BERT = ListedParticipant(id="did:web:bert.example", state=Standing.SUSPENDED)


def document(*uses: Relationship, key: jose.SigningKey = KEY, did: str = GOVERNANCE) -> dids.Document:
    return dids.read(did, json.dumps(dids.write(did, [(key.id, key.public, uses)], {})).encode())


def written(seq: int = 1, *entries: Any, **changes: Any) -> str:
    given = {"key": KEY, "governance": GOVERNANCE, "space": SPACE, "now": NOW, **changes}
    return trustlists.write(Listing.PARTICIPANTS, entries or (BERT, ANNA), seq=seq, **given)


def opened(raw: str, listing: Listing = Listing.PARTICIPANTS, now: datetime = NOW) -> trustlists.TrustList:
    return trustlists.open_(raw, listing, governance=GOVERNANCE, space=SPACE, now=now)


def signed(claims: dict[str, Any], type_: str = "kontor-participants+jwt") -> str:
    at = int(NOW.timestamp())
    plain = {"iss": GOVERNANCE, "sub": SPACE, "seq": 1, "iat": at, "exp": at + 60, "participants": []}
    return jose.sign(KEY, {k: v for k, v in {**plain, **claims}.items() if v is not ...}, type_=type_)


def test_what_is_written_is_read_in_the_order_of_ids() -> None:
    found = opened(written())
    trustlists.prove(found, document(Relationship.ASSERTION))
    assert found.participants == (ANNA, BERT)
    assert [found.participant(one) for one in (BERT.id, "did:web:nobody.example")] == [BERT, None]
    assert found.version == Version(seq=1, digest=trustlists.shown_digest([ANNA, BERT]))
    issuers = (ListedIssuer(id=GOVERNANCE, types=("MembershipCredential",), begins=NOW, ends=NOW + timedelta(days=1)),)
    raw = trustlists.write(Listing.ISSUERS, issuers, key=KEY, governance=GOVERNANCE, space=SPACE, seq=3, now=NOW)
    assert opened(raw, Listing.ISSUERS).issuers == issuers


@pytest.mark.parametrize(
    ("raw", "check"),
    [
        (written(now=NOW - timedelta(days=2)), "expired"),
        (written(space="urn:space:other"), "space"),
        (written(governance="did:web:other.example"), "issuer"),
        (written(key=jose.generate("did:web:other.example#k")), "issuer"),
        (written(0), "seq"),
        (signed({"seq": "1"}), "seq"),
        (signed({"seq": 1.5}), "seq"),
        (signed({"seq": ...}), "seq"),
        (signed({"exp": ...}), "exp"),
        (signed({"exp": int(NOW.timestamp()) + 40 * 86_400}), "life"),
        (signed({"participants": {}}), "format"),
        (signed({"participants": [{"id": "anna", "state": "ACTIVE"}]}), "format"),
        (signed({"participants": [{"id": "did:web:a", "state": "APPROVED"}]}), "format"),
        (signed({"participants": [{"id": "did:web:a", "state": "ACTIVE", "since": "2026-01-01"}]}), "format"),
        (signed({"participants": [{"id": "did:web:a", "state": "ACTIVE"}] * 2}), "format"),
        (signed({}, type_="kontor-issuers+jwt"), "type"),
        (signed({}, type_="JWT"), "type"),
        (signed({"aud": "did:web:a"}), "type"),
    ],
)
def test_a_list_that_is_not_what_it_should_be_is_refused(raw: str, check: str) -> None:
    with pytest.raises(Unproven) as refused:
        opened(raw)
    assert refused.value.check == check


def test_only_a_key_that_the_governance_declares_for_assertions_signs_lists() -> None:
    found = opened(written())
    for uses in ((Relationship.INVOCATION, Relationship.AUTHENTICATION), ()):
        with pytest.raises(Unproven) as refused:
            trustlists.prove(found, document(*uses))
        assert refused.value.check == "relationship"
    with pytest.raises(Unproven) as refused:
        trustlists.prove(opened(written(key=jose.generate(KEY.id))), document(Relationship.ASSERTION))
    assert refused.value.check == "signature"


def test_a_number_never_goes_back_and_never_means_two_things() -> None:
    first, other = opened(written(5)).version, opened(written(5, ANNA)).version
    trustlists.judge_succession(first, None)
    trustlists.judge_succession(opened(written(5, now=NOW + timedelta(seconds=3))).version, first)
    trustlists.judge_succession(opened(written(6, ANNA)).version, first)
    for found, check in ((opened(written(4)).version, "rolled-back"), (other, "two-truths")):
        with pytest.raises(Unproven) as refused:
            trustlists.judge_succession(found, first)
        assert refused.value.check == check


@dataclass
class Scene:
    """A governance on a real socket, and a node that reads its lists."""

    host: Host
    outbound: OutboundClient
    clock: MovedClock = field(default_factory=lambda: MovedClock(NOW))
    store: MemoryStore = field(default_factory=lambda: MemoryStore(node="n", lease_s=30))

    def __post_init__(self) -> None:
        self.key = jose.generate(f"{self.host.did}#lists")
        page = dids.write(self.host.did, [(self.key.id, self.key.public, [Relationship.ASSERTION])], {})
        self.host.pages["/.well-known/did.json"] = json.dumps(page).encode()
        self.address = ListAddress(
            url=f"{self.host.url}/list", listing=Listing.PARTICIPANTS, governance=self.host.did, space=SPACE
        )
        self.source = self.restarted()

    def restarted(self) -> ListSource:
        resolver = Resolver(self.outbound, ResolverRules(unsafe_http=True, unsafe_local=True))
        return ListSource(self.outbound, resolver, self.store, self.clock)

    def serve(self, seq: int, *entries: Any, key: jose.SigningKey | None = None) -> None:
        raw = written(seq, *entries, governance=self.host.did, key=key or self.key, now=self.clock.now())
        self.host.pages["/list"] = raw.encode()

    async def seen(self, source: ListSource | None = None) -> int:
        return (await (source or self.source).get(self.address, anew=True)).version.seq


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as found, OutboundClient(LOCAL) as outbound:
        yield Scene(found, outbound)


async def test_a_list_is_kept_a_while_and_looked_up_again(scene: Scene) -> None:
    scene.serve(1)
    assert (await scene.source.get(scene.address)).version.seq == 1
    scene.serve(2, ANNA)
    assert (await scene.source.get(scene.address)).version.seq == 1
    scene.source.forget(scene.address.governance)
    assert (await scene.source.get(scene.address)).version.seq == 2
    scene.serve(3)
    scene.clock.move(minutes=6)
    assert (await scene.source.get(scene.address)).version.seq == 3
    assert scene.host.asked["/list"] == 3
    # a clock that was put back puts off no look
    scene.clock.move(hours=-2)
    scene.serve(4)
    assert (await scene.source.get(scene.address)).version.seq == 4


async def test_a_list_is_looked_up_again_for_who_has_just_come_but_not_again_and_again(scene: Scene) -> None:
    scene.serve(1)
    await scene.source.get(scene.address)
    scene.serve(2)
    for _ in range(5):
        assert (await scene.source.newer(scene.address, "did:web:new.example")).version.seq == 2
    scene.serve(3)
    assert (await scene.source.newer(scene.address, "did:web:new.example")).version.seq == 2
    assert (await scene.source.newer(scene.address, "did:web:newer.example")).version.seq == 3
    scene.serve(4)
    scene.clock.move(seconds=30)
    assert (await scene.source.newer(scene.address, "did:web:new.example")).version.seq == 4


async def test_who_gathers_the_members_hears_of_a_change_when_the_authority_tells_it(scene: Scene) -> None:
    async def lists() -> ListSource:
        return scene.source

    followed: list[str] = []

    async def follow() -> None:
        followed.append(scene.address.governance)

    members, heard = SignedMembers(lists, scene.address, (), follow), []
    members.changed = lambda: heard.append("changed")
    scene.serve(1)
    assert await members.listed()
    assert await members.listed()
    assert followed == [scene.address.governance]
    scene.source.forget("did:web:somebody.else")
    assert heard == []
    scene.source.forget(scene.address.governance)
    assert heard == ["changed"]


async def test_what_another_node_on_the_store_has_seen_counts_here_at_once(scene: Scene) -> None:
    other = scene.restarted()
    scene.serve(1)
    for source in (scene.source, other):
        assert (await source.get(scene.address)).version.seq == 1
    scene.serve(2, ANNA)
    # an authority tells one node
    scene.source.forget(scene.address.governance)
    assert (await scene.source.get(scene.address)).version.seq == 2
    found = await other.get(scene.address)
    assert (found.version.seq, found.participants) == (2, (ANNA,))
    assert scene.host.asked["/list"] == 3


async def test_an_older_or_forged_list_changes_nothing_not_even_after_a_restart(scene: Scene) -> None:
    scene.serve(7)
    assert await scene.seen() == 7
    scene.serve(6, ANNA)
    assert await scene.seen() == 7
    scene.serve(8, ANNA, key=jose.generate(scene.key.id))
    assert await scene.seen() == 7
    scene.serve(7, ANNA)
    assert await scene.seen(scene.restarted()) == 7
    scene.host.status = 500
    assert await scene.seen(scene.restarted()) == 7


async def test_a_list_that_is_over_is_never_used(scene: Scene) -> None:
    scene.serve(1)
    await scene.seen()
    scene.clock.move(hours=25)
    assert scene.source.peek(scene.address) is None
    with pytest.raises(Unproven) as stale:
        await scene.source.get(scene.address)
    assert stale.value.check == "expired"
    # and nobody is asked again for a moment
    scene.host.status = 404
    with pytest.raises(Unproven):
        await scene.source.get(scene.address)
    scene.clock.move(seconds=5)
    with pytest.raises(PeerAnswer):
        await scene.source.get(scene.address)


async def test_a_time_of_grace_is_given_only_where_a_framework_gives_one(scene: Scene) -> None:
    patient = replace(scene.address, grace=timedelta(hours=2))
    scene.serve(1)
    await scene.source.get(patient)
    scene.host.status = 503
    scene.clock.move(hours=25)
    for source in (scene.source, scene.restarted()):
        assert (await source.get(patient, anew=True)).version.seq == 1
        with pytest.raises(PeerAnswer):
            await source.get(scene.address)
    scene.clock.move(hours=2)
    with pytest.raises(PeerAnswer):
        await scene.source.get(patient)


@pytest.mark.parametrize("page", [b"", b"{}", b"\xff", base64.b64encode(b"x" * 99)])
async def test_what_is_no_list_is_refused(scene: Scene, page: bytes) -> None:
    scene.host.pages["/list"] = page
    with pytest.raises(KontorError):
        await scene.source.get(scene.address)


async def test_a_ledger_takes_its_members_from_the_list_and_never_from_one_that_does_not_count(scene: Scene) -> None:
    async def lists() -> ListSource:
        return scene.source

    elsewhere = Listed(id="did:web:region.example", address="https://region.example/catalog", kind=MemberKind.CATALOG)

    async def follow() -> None:
        pass

    members = SignedMembers(lists, scene.address, [elsewhere], follow)
    silent = ListedParticipant(id="did:web:silent.example", state=Standing.ACTIVE)
    left = replace(ANNA, id="did:web:left.example", state=Standing.REVOKED)
    scene.serve(3, ANNA, silent, left, replace(BERT, address="https://bert.example/b"))
    expected = [
        Listed(id=ANNA.id, address="https://anna.example/anna", title="Anna"),
        Listed(id=BERT.id, address="https://bert.example/b", is_suspended=True),
        elsewhere,
    ]
    assert list(await members.listed()) == expected
    scene.serve(2, ANNA)
    assert list(await members.listed(anew=True)) == expected
    scene.clock.move(hours=25)
    with pytest.raises(KontorError):
        await members.listed()
