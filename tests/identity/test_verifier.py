"""A sender is proven over real sockets: once asked, then known for a while; whatever is wrong sounds the same to the outside."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connector import jose
from connector.controlplane.secrets import Seal
from connector.errors import Overloaded, Unauthenticated
from connector.identity import did, messages, tokens
from connector.identity.admission import claims_in
from connector.identity.credentials import Proven, Trust
from connector.identity.did import Relationship
from connector.identity.evidence import EvidenceSource
from connector.identity.known import Known
from connector.identity.places import PlaceRules
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.identity.verifier import Membership, WalletVerifier
from connector.outbound.client import OutboundClient
from connector.ports.identity import MessageKind
from connector.storage.memory import Memory, MemoryStore
from connector.storage.replay import MemoryReplay
from connector.testing.clock import MovedClock
from tests.identity.hosts import PATIENT, Host, host
from tests.identity.registry import registry
from tests.identity.space import NOW, Party, Question, credential_1, entry, list_2, presentation_1, tree_1

US = "did:web:us.example"
QUERY, LISTED = "/holder/cs/presentations/query", "/status/1"


@dataclass
class Space:
    """A holder and an issuer on one host, and a verifier that asks them."""

    served: Host
    clock: MovedClock
    verifier: WalletVerifier
    holder: jose.SigningKey
    issuer: jose.SigningKey
    memberships: dict[str, Membership]
    asked_with: list[jose.Token] = field(default_factory=list)
    scopes: list[list[str]] = field(default_factory=list)
    types: tuple[str, ...] = ("MembershipCredential",)
    revoked: tuple[int, ...] = ()
    ids: Any = field(default_factory=itertools.count)

    def did(self, name: str) -> str:
        return f"{self.served.did}:{name}"

    def publish(self, name: str, key: jose.SigningKey, service: str = "") -> None:
        uses = [Relationship.INVOCATION, Relationship.AUTHENTICATION, Relationship.ASSERTION]
        services = {"CredentialService": service} if service else {}
        document = did.write(self.did(name), [(key.id, key.public, uses)], services)
        self.served.pages[f"/{name}/did.json"] = json.dumps(document).encode()

    def credential(self, **changes: Any) -> str:
        subject = {"id": self.did("holder"), "memberOf": "test"}
        status = entry("7", statusListCredential=self.served.url + LISTED)
        tree = tree_1(issuer=self.did("issuer"), credentialSubject=subject, credentialStatus=status, **changes)
        return credential_1(tree, iss=self.did("issuer"), sub=self.did("holder"), by=Party("", self.issuer))

    def present(self, head: str, body: bytes) -> bytes:
        self.scopes.append([*messages.read_query(body).scopes])
        (line,) = (line for line in head.split("\r\n") if line.lower().startswith("authorization:"))
        raw = tokens.bearer(line.partition(": ")[2])
        self.asked_with.append(tokens.open_self_issued(raw, receiver=self.did("holder"), now=self.clock.now()))
        at = int(self.clock.now().timestamp())
        times = {"iat": at, "nbf": at, "exp": at + 60}
        shown = [self.credential(type=["VerifiableCredential", type_]) for type_ in self.types]
        made = presentation_1(
            *shown, iss=self.did("holder"), sub=self.did("holder"), aud=US, by=Party("", self.holder), **times
        )
        return json.dumps(messages.answer([made])).encode()

    def listed(self, _head: str, _body: bytes) -> bytes:
        url = self.served.url + LISTED
        return list_2(*self.revoked, by=Party("", self.issuer), issuer=self.did("issuer"), id=url)

    def token(self, key: jose.SigningKey | None = None, **changes: Any) -> str:
        at = int(self.clock.now().timestamp())
        plain = {"iss": self.did("holder"), "sub": self.did("holder"), "aud": US, "iat": at, "exp": at + 300, "token": "opaque"}
        return "Bearer " + jose.sign(key or self.holder, {**plain, "jti": str(next(self.ids)), **changes})


@pytest.fixture
async def space() -> AsyncIterator[Space]:
    async with host() as served, OutboundClient(PATIENT) as client:
        clock = MovedClock(NOW)
        rules = ResolverRules(unsafe_http=True, unsafe_local=True)
        resolver = Resolver(client, rules, lambda: clock.now().timestamp())
        issuer, holder = f"{served.did}:issuer", f"{served.did}:holder"
        trust = Trust(issuers={issuer: frozenset({"MembershipCredential", "AuditCredential"})})
        membership = Membership(
            did=US, key=jose.generate(f"{US}#key-1"), scopes=("org.eclipse.edc.vc.type:MembershipCredential:read",), trust=trust
        )
        ids, memberships = itertools.count(), {"us": membership}
        evidence, store = EvidenceSource(client, resolver), MemoryStore(node="here", lease_s=1, memory=Memory())
        verifier = WalletVerifier(
            registry(memberships),
            evidence=evidence,
            senders=Senders(resolver=resolver, replay=MemoryReplay(), clock=clock),
            known=Known(store, Seal(bytes(32)), evidence),
            clock=clock,
            new_id=lambda: str(next(ids)),
        )
        found = Space(served, clock, verifier, jose.generate(f"{holder}#key-1"), jose.generate(f"{issuer}#key-1"), memberships)
        found.publish("holder", found.holder, f"{served.url}/holder/cs")
        found.publish("issuer", found.issuer)
        served.pages |= {QUERY: found.present, LISTED: found.listed}
        yield found
        await resolver.close()


async def test_each_kind_of_message_asks_for_its_own_proof_and_each_is_known_by_itself(space: Space) -> None:
    """facts/edc-dcp.md, row 43: scopes per message kind are configuration."""
    member, audited = "org.eclipse.edc.vc.type:MembershipCredential:read", "org.eclipse.edc.vc.type:AuditCredential:read"
    space.memberships["us"] = replace(space.memberships["us"], by_kind={MessageKind.TRANSFER: (member, audited)})
    caller = await space.verifier.verify("us", space.token(), MessageKind.CATALOG)
    asked = len(space.asked_with)
    # the same proof is asked for with a negotiation, and is at hand
    assert await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION) == caller
    assert (len(space.asked_with), space.scopes) == (asked, [[member]])
    # a transfer needs another credential, which what was shown before does not stand for
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.TRANSFER)
    assert space.scopes == [[member], [member, audited]]
    space.types = ("MembershipCredential", "AuditCredential")
    again = await space.verifier.verify("us", space.token(), MessageKind.TRANSFER)
    assert again.claims["credentials"] == ["AuditCredential", "MembershipCredential"]
    # both stay known, each for its kind, and a decision without a message sees all of it
    asked = len(space.asked_with)
    await space.verifier.verify("us", space.token(), MessageKind.TRANSFER)
    await space.verifier.verify("us", space.token(), MessageKind.CATALOG)
    assert len(space.asked_with) == asked
    known = await space.verifier.known("us", space.did("holder"))
    assert known["credentials"] == ["AuditCredential", "MembershipCredential"]
    # what is withdrawn is withdrawn for every kind
    space.revoked = (7,)
    space.verifier.forget(space.did("holder"))
    assert (await space.verifier.known("us", space.did("holder")))["standing"] == "REVOKED"
    for kind in MessageKind:
        with pytest.raises(Unauthenticated):
            await space.verifier.verify("us", space.token(), kind)


async def test_a_sender_is_proven_with_four_questions_and_known_afterwards(space: Space) -> None:
    caller = await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert caller.id == space.did("holder")
    assert caller.claims["credentials"] == ["MembershipCredential"]
    assert caller.claims["memberOf"] == caller.claims["MembershipCredential.memberOf"] == "test"
    assert space.served.asked == {"/holder/did.json": 1, QUERY: 1, "/issuer/did.json": 1, LISTED: 1}
    # its access token went back to it, in a token of ours
    assert [(token.issuer, token.claims["token"]) for token in space.asked_with] == [(US, "opaque")]
    for _ in range(5):
        assert await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION) == caller
    assert space.served.asked.total() == 4
    space.clock.move(seconds=300)
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert space.served.asked[QUERY] == 2


async def test_of_fifty_copies_exactly_one_is_accepted(space: Space) -> None:
    copy = space.token()
    found = await asyncio.gather(
        *(space.verifier.verify("us", copy, MessageKind.NEGOTIATION) for _ in range(50)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in found) == ["Caller"] + ["Unauthenticated"] * 49


async def test_a_withdrawn_credential_ends_what_was_known(space: Space) -> None:
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    space.revoked = (7,)
    space.verifier.forget(space.did("holder"))
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_a_message_counts_no_longer_than_a_status_list_is_kept(space: Space) -> None:
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    space.clock.move(seconds=60)
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    # judged anew by a list, its holder was not asked
    assert (space.served.asked[QUERY], space.served.asked[LISTED]) == (1, 2)
    space.revoked = (7,)
    space.clock.move(seconds=60)
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_who_was_withdrawn_or_cannot_be_looked_up_is_not_in_good_standing(space: Space) -> None:
    holder = space.did("holder")
    assert await space.verifier.known("us", holder) == {}
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert "standing" not in await space.verifier.known("us", holder)
    space.clock.move(seconds=60)
    space.served.status = 503
    assert await space.verifier.known("us", holder) == {"standing": "UNKNOWN"}
    space.served.status, space.revoked = 200, (7,)
    assert await space.verifier.known("us", holder) == {"standing": "REVOKED"}


async def test_a_new_key_is_looked_up_once(space: Space) -> None:
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    new = jose.generate(f"{space.did('holder')}#key-2")
    space.publish("holder", new)
    space.clock.move(seconds=60)
    await space.verifier.verify("us", space.token(new), MessageKind.NEGOTIATION)
    assert space.served.asked["/holder/did.json"] == 2
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_an_issuers_new_key_is_looked_up_once(space: Space) -> None:
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    space.issuer = jose.generate(space.issuer.id)
    space.publish("issuer", space.issuer)
    space.clock.move(seconds=60)
    space.verifier.forget()
    await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert space.served.asked["/issuer/did.json"] == 2


async def test_a_token_is_over_when_its_senders_host_answers_after_its_end(
    space: Space, caplog: pytest.LogCaptureFixture
) -> None:
    """INVARIANT: a token is over when its sender's host has answered so late."""
    space.served.held = asyncio.Event()
    asking = asyncio.ensure_future(space.verifier.verify("us", space.token(), MessageKind.CATALOG))
    await space.served.arrived.wait()
    space.clock.move(seconds=310)
    space.served.held.set()
    with pytest.raises(Unauthenticated):
        await asking
    assert caplog.records[-1].__dict__["fields"]["check"] == "expired"
    assert space.asked_with == []


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("nothing", "header"),
        ("no scheme", "header"),
        ("garbage", "form"),
        ("another's key", "issuer"),
        ("wrong signature", "signature"),
        ("another receiver", "audience"),
        ("nobody", "issuer"),
        ("another participant", "participant"),
    ],
)
async def test_every_refusal_sounds_the_same(space: Space, name: str, check: str, caplog: pytest.LogCaptureFixture) -> None:
    values: dict[str, str | None] = {
        "nothing": None,
        "no scheme": space.token().removeprefix("Bearer "),
        "garbage": "Bearer garbage",
        "another's key": space.token(space.issuer),
        "wrong signature": space.token(jose.generate(space.holder.id)),
        "another receiver": space.token(aud="did:web:other.example"),
        "nobody": space.token(iss=space.did("nobody"), sub=space.did("nobody")),
        "another participant": space.token(),
    }
    participant = "them" if name == "another participant" else "us"
    with pytest.raises(Unauthenticated) as caught:
        await space.verifier.verify(participant, values[name], MessageKind.NEGOTIATION)
    said = "no valid token at `Authorization`; send a token that this participant accepts"
    assert (type(caught.value), str(caught.value)) == (Unauthenticated, said)
    # the log has the failed check
    assert caplog.records[-1].__dict__["fields"]["check"] == check
    # nobody is asked for credentials by a stranger's word
    assert space.served.asked[QUERY] == 0


@pytest.mark.parametrize(
    ("page", "status", "kind"),
    [
        (QUERY, 500, Overloaded),
        (QUERY, 401, Unauthenticated),
        ("/holder/did.json", 503, Overloaded),
        ("/holder/did.json", 404, Unauthenticated),
        ("/issuer/did.json", 503, Overloaded),
        (LISTED, 503, Overloaded),
        (LISTED, 404, Unauthenticated),
    ],
)
async def test_what_may_pass_is_another_answer(space: Space, page: str, status: int, kind: type[Exception]) -> None:
    space.served.statuses[page] = status
    with pytest.raises(kind) as caught:
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert type(caught.value) is kind
    del space.served.statuses[page]
    space.clock.move(seconds=15)
    assert await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_why_a_wallet_refused_us_is_in_our_log(space: Space, caplog: pytest.LogCaptureFixture) -> None:
    space.served.statuses[QUERY] = 403
    space.served.pages[QUERY] = b'[{"message": "not granted",\n"type": "NotAuthorized", "path": null}]'
    with pytest.raises(Unauthenticated) as caught:
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    assert "not granted" not in str(caught.value)
    said = caplog.records[-1].__dict__["fields"]["words"]
    assert 'the credential service answers 403: [{"message": "not granted", "type": "NotAuthorized"' in said


async def test_an_answer_that_is_garbage_is_no_proof(space: Space) -> None:
    for body in (b"", b"<html>", b"[]", json.dumps(messages.answer([])).encode(), json.dumps(messages.answer(["x"])).encode()):
        space.served.pages[QUERY] = body
        with pytest.raises(Unauthenticated):
            await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_a_holder_without_a_service_is_not_asked(space: Space) -> None:
    space.publish("holder", space.holder)
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


@pytest.mark.parametrize(
    "service", ["http://10.0.0.1/cs", "file:///etc/passwd", "gopher://localhost/cs", "http://169.254.169.254/cs", "unix:/run/x"]
)
async def test_a_service_at_an_unlawful_address_is_not_asked(space: Space, service: str) -> None:
    space.publish("holder", space.holder, service)
    with pytest.raises(Unauthenticated):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)


async def test_what_takes_too_long_may_pass(space: Space) -> None:
    space.served.held = asyncio.Event()
    space.verifier._most_s = 0.05
    with pytest.raises(Overloaded):
        await space.verifier.verify("us", space.token(), MessageKind.NEGOTIATION)
    space.served.held.set()


async def test_wallets_that_answer_slowly_hold_up_nobody_else(space: Space) -> None:
    """INVARIANT: wallets that answer slowly, however many a stranger has, hold up nobody else."""
    await space.verifier.verify("us", space.token(), MessageKind.CATALOG)
    space.verifier._place_rules = PlaceRules(at_once=2, per_host=2, per_asker=2, patience_s=60)
    over = asyncio.Event()

    async def never(_head: str, _body: bytes) -> bytes:
        await over.wait()
        return b""

    async with host() as slow:
        # each has a document that is there at once, and a wallet that is silent
        for number in range(4):
            name = f"{slow.did}:s{number}"
            document = did.write(
                name, [(f"{name}#key-1", space.holder.public, did.Relationship)], {"CredentialService": slow.url}
            )
            slow.pages[f"/s{number}/did.json"] = json.dumps(document).encode()
        slow.pages["/presentations/query"] = never

        def stranger(number: int) -> str:
            name = f"{slow.did}:s{number}"
            key = jose.SigningKey(id=f"{name}#key-1", numbers=space.holder.numbers)
            return space.token(key, iss=name, sub=name)

        asking = [asyncio.ensure_future(space.verifier.verify("us", stranger(n), MessageKind.CATALOG)) for n in range(2)]
        while slow.asked["/presentations/query"] < 2:
            slow.arrived.clear()
            await slow.arrived.wait()
        # strangers find no more room, and are told so without having to wait
        with pytest.raises(Overloaded):
            await space.verifier.verify("us", stranger(2), MessageKind.CATALOG)
        assert slow.asked["/presentations/query"] == 2
        # a member whose proof must be asked for anew has places of its own, also after a restart
        space.clock.move(seconds=301)
        assert (await space.verifier.verify("us", space.token(), MessageKind.CATALOG)).id == space.did("holder")
        space.verifier._known._kept.clear()
        assert (await space.verifier.verify("us", space.token(), MessageKind.CATALOG)).id == space.did("holder")
        # and of strangers whoever has waited longest gives way
        space.verifier._place_rules = PlaceRules(at_once=2, patience_s=0)
        asking.append(asyncio.ensure_future(space.verifier.verify("us", stranger(3), MessageKind.CATALOG)))
        (given_way,), (_,) = await asyncio.wait(asking[:2], return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(given_way.exception(), Overloaded)
        over.set()
        await asyncio.gather(*asking, return_exceptions=True)


def test_policies_see_claims_by_type_and_short_where_nothing_contradicts() -> None:
    found = Question().ask(presentation_1(credential_1()))
    assert isinstance(found, Proven)
    (one,) = found.credentials
    other = replace(
        one,
        types=("Other",),
        claims={"memberOf": "b", "MembershipCredential.level": "high", "role": ["x"], "deep": {"a": 1}, "credentials": "y"},
    )
    seen = claims_in((item.types, item.issuer, item.claims) for item in (one, other))
    assert seen == {
        "credentials": ["MembershipCredential", "Other"],
        "issuers": [one.issuer],
        "MembershipCredential.memberOf": "test",
        "Other.memberOf": "b",
        "Other.role": ["x"],
        "Other.credentials": "y",
        "role": ["x"],
    }
