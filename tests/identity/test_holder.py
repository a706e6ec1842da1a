"""What we send with a message proves us to a verifier of our own kind; our service shows what it gave leave to see, once."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from connector import jose
from connector.controlplane.secrets import Seal
from connector.errors import BadMessage, ConfigurationError, NotFound, NotSupported, Unauthenticated
from connector.identity import did, messages, tokens
from connector.identity.credentials import Trust
from connector.identity.did import Relationship
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import Credential, Model, read_credential, read_presentation
from connector.identity.holder import CredentialService, Wallet, WalletTokens
from connector.identity.known import Known
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.identity.verifier import Membership, WalletVerifier
from connector.outbound.client import OutboundClient
from connector.ports.identity import MessageKind
from connector.storage.memory import Memory, MemoryStore
from connector.storage.replay import MemoryReplay
from connector.testing.clock import MovedClock
from tests.identity.hosts import LOCAL, Host, host
from tests.identity.registry import registry
from tests.identity.space import ISSUER, NOW, Party, credential_1, credential_2, tree_1, tree_2

DCP = "org.eclipse.dspace.dcp.vc.type"
MEMBER, SENSITIVE = f"{DCP}:MembershipCredential", f"{DCP}:SensitiveDataCredential"
QUERY = "/anna/dcp/presentations/query"


@dataclass
class Two:
    """Anna, whose wallet is ours, and Bert, who asks."""

    served: Host
    clock: MovedClock
    anna: Wallet
    bert: Wallet
    sent: WalletTokens
    service: CredentialService
    verifier: WalletVerifier

    async def access(self, to: str = "") -> str:
        """The access token in what Anna sends to Bert, or to another."""
        value = await self.sent.authorization("anna", to or self.bert.did, "https://bert.example/dsp")
        token = tokens.open_self_issued(tokens.bearer(value), receiver=to or self.bert.did, now=self.clock.now())
        return str(token.claims["token"])

    def asking(self, access: str | None, *, by: Wallet | None = None, **changes: Any) -> str:
        asker = by or self.bert
        plain: dict[str, Any] = {"sender": asker.did, "receiver": self.anna.did, "now": self.clock.now(), "jti": str(next(IDS))}
        return "Bearer " + tokens.self_issued(asker.token_key, token=access, **{**plain, **changes})

    async def shown(self, authorization: str | None, *scopes: str, **body: Any) -> list[set[str]]:
        """The types in each presentation that Anna's service shows."""
        sent = json.dumps({**messages.query(scopes or [MEMBER]), **body}).encode()
        answer = await self.service.answer("anna", authorization, sent)
        items = messages.read_answer(json.dumps(answer).encode())
        found = [read_presentation(one, verifier=self.bert.did, holder=self.anna.did, now=self.clock.now()) for one in items]
        return [{type_ for one in presentation.credentials for type_ in one.types} for presentation in found]


IDS = itertools.count()


def wallet(served: Host, name: str, *held: Credential, **changes: Any) -> Wallet:
    own = f"{served.did}:{name}"
    keys = {f"{use}_key": jose.generate(f"{own}#{use}") for use in ("token", "presentation", "access")}
    found = Wallet(did=own, held=held, grants=(MEMBER, SENSITIVE), **{**keys, **changes})
    uses = [(found.token_key, Relationship.INVOCATION), (found.presentation_key, Relationship.AUTHENTICATION)]
    published = [(key.id, key.public, [use]) for key, use in uses]
    document = did.write(own, published, {"CredentialService": f"{served.url}/{name}/dcp"})
    served.pages[f"/{name}/did.json"] = json.dumps(document).encode()
    return found


def held(served: Host) -> tuple[Credential, ...]:
    """A membership in both models, and something sensitive."""
    own, by = f"{served.did}:anna", f"{served.did}:issuer"
    subject = {"id": own, "memberOf": "test"}
    issuer = Party(by, replace(ISSUER.key, id=f"{by}#key-1"))
    sensitive = tree_1(issuer=by, credentialSubject=subject, type=["VerifiableCredential", "SensitiveDataCredential"])
    raws = (
        credential_1(tree_1(issuer=by, credentialSubject=subject), iss=by, sub=own, by=issuer),
        credential_2(tree_2(issuer=by, credentialSubject=subject), by=issuer),
        credential_1(sensitive, iss=by, sub=own, by=issuer),
    )
    return tuple(read_credential(raw) for raw in raws)


@pytest.fixture
async def two() -> AsyncIterator[Two]:
    async with host() as served, OutboundClient(LOCAL) as client:
        clock, new_id = MovedClock(NOW), lambda: f"id-{next(IDS)}"
        resolver = Resolver(client, ResolverRules(unsafe_http=True, unsafe_local=True), lambda: clock.now().timestamp())
        senders = Senders(resolver=resolver, replay=MemoryReplay(), clock=clock)
        anna, bert = wallet(served, "anna", *held(served)), wallet(served, "bert")
        issuer = f"{served.did}:issuer"
        published = {"id": issuer, "verificationMethod": [{"id": "#key-1", "publicKeyJwk": ISSUER.key.public.jwk()}]}
        served.pages["/issuer/did.json"] = json.dumps(published).encode()
        service = CredentialService(registry({"anna": anna}), senders=senders, new_id=new_id)
        membership = Membership(
            did=bert.did,
            key=bert.token_key,
            scopes=(MEMBER,),
            trust=Trust(issuers={issuer: frozenset({"MembershipCredential"})}),
        )
        evidence = EvidenceSource(client, resolver)
        verifier = WalletVerifier(
            registry({"bert": membership}),
            evidence=evidence,
            senders=senders,
            known=Known(MemoryStore(node="here", lease_s=1, memory=Memory()), Seal(bytes(32)), evidence),
            clock=clock,
            new_id=new_id,
        )

        async def page(head: str, body: bytes) -> bytes:
            (line,) = (line for line in head.split("\r\n") if line.lower().startswith("authorization:"))
            return json.dumps(await service.answer("anna", line.partition(": ")[2], body)).encode()

        served.pages[QUERY] = page
        sent = WalletTokens(registry({"anna": anna}), clock=clock, new_id=new_id, known=verifier.known)
        yield Two(served, clock, anna, bert, sent, service, verifier)
        await resolver.close()


async def test_a_message_of_ours_is_proven_by_a_verifier_of_ours(two: Two) -> None:
    value = await two.sent.authorization("anna", two.bert.did, "https://bert.example/dsp")
    assert await two.sent.claims_of("bert", two.anna.did) == {}
    caller = await two.verifier.verify("bert", value, MessageKind.NEGOTIATION)
    assert caller.id == two.anna.did
    assert caller.claims["memberOf"] == "test"
    assert await two.sent.claims_of("bert", two.anna.did) == caller.claims
    # the next message has a new token, and needs no more questions
    asked = two.served.asked.total()
    again = await two.sent.authorization("anna", two.bert.did, "https://bert.example/dsp")
    assert again != value
    assert await two.verifier.verify("bert", again, MessageKind.NEGOTIATION) == caller
    assert two.served.asked.total() == asked
    # long after its message, what it has proven is judged anew and nobody asks it
    two.clock.move(seconds=300)
    assert await two.sent.claims_of("bert", two.anna.did) == caller.claims
    assert two.served.asked[QUERY] == 1
    two.clock.move(days=100)
    assert await two.sent.claims_of("bert", two.anna.did) == {}


async def test_one_sees_what_one_asks_for_of_what_was_granted(two: Two) -> None:
    assert await two.shown(two.asking(await two.access()), MEMBER) == [{"MembershipCredential"}]
    assert await two.shown(two.asking(await two.access()), f"{SENSITIVE}:read") == [{"SensitiveDataCredential"}]
    assert await two.shown(two.asking(await two.access()), f"{DCP}:NotHeld") == []
    both = await two.shown(two.asking(await two.access()), MEMBER, SENSITIVE)
    assert set().union(*both) == {"MembershipCredential", "SensitiveDataCredential"}


async def test_nobody_sees_more_than_was_granted(two: Two) -> None:
    two.sent._wallets = registry({"anna": replace(two.anna, grants=(MEMBER,))})
    assert await two.shown(two.asking(await two.access()), MEMBER, SENSITIVE) == [{"MembershipCredential"}]
    assert await two.shown(two.asking(await two.access()), SENSITIVE) == []


async def test_one_model_alone_can_be_shown(two: Two) -> None:
    for model in Model:
        two.service._wallets = registry({"anna": replace(two.anna, models=(model,))})
        answer = await two.service.answer("anna", two.asking(await two.access()), json.dumps(messages.query([MEMBER])).encode())
        (raw,) = answer["presentation"]
        found = read_presentation(raw, verifier=two.bert.did, holder=two.anna.did, now=NOW)
        assert (found.model, len(found.credentials)) == (model, 1)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("nothing", "header"),
        ("no access token", "token"),
        ("a made up access token", "form"),
        ("given to another", "subject"),
        ("signed by the asker", "signature"),
        ("over", "expired"),
        ("for another service", "audience"),
        ("its own access token alone", "type"),
        ("another's key", "issuer"),
        ("a key for presentations", "relationship"),
    ],
)
async def test_every_refusal_sounds_the_same(two: Two, name: str, check: str, caplog: pytest.LogCaptureFixture) -> None:
    access, bert = await two.access(), two.bert
    old = await two.access()
    own = tokens.access(bert.access_key, holder=two.anna.did, verifier=bert.did, scopes=[MEMBER], now=NOW, jti="x")
    value = {
        "nothing": None,
        "no access token": two.asking(None),
        "a made up access token": two.asking("opaque"),
        "given to another": two.asking(await two.access(f"{two.served.did}:carl")),
        "signed by the asker": two.asking(own),
        "over": two.asking(old, now=NOW + timedelta(minutes=6)),
        "for another service": two.asking(access, receiver=bert.did),
        "its own access token alone": f"Bearer {access}",
        "another's key": two.asking(access, by=replace(bert, token_key=two.anna.token_key)),
        "a key for presentations": two.asking(access, by=replace(bert, token_key=bert.presentation_key)),
    }[name]
    if name == "over":
        two.clock.move(minutes=6)
    with pytest.raises(Unauthenticated) as caught:
        await two.shown(value)
    assert type(caught.value) is Unauthenticated
    assert str(caught.value).startswith("no valid token at `Authorization`; send a token for this service")
    assert caplog.records[-1].__dict__["fields"]["check"] == check


async def test_both_tokens_are_used_once(two: Two) -> None:
    access = await two.access()
    first = two.asking(access)
    assert await two.shown(first)
    for again in (first, two.asking(access)):
        with pytest.raises(Unauthenticated):
            await two.shown(again)


async def test_a_question_that_cannot_be_answered_costs_no_access_token(two: Two) -> None:
    access = await two.access()
    for body, kind in (
        ({"scope": []}, BadMessage),
        ({"scope": ["unknown.alias:A"]}, BadMessage),
        ({"presentationDefinition": {"id": "x"}}, BadMessage),
        ({"@context": ["https://example.org"]}, BadMessage),
    ):
        with pytest.raises(kind):
            await two.shown(two.asking(access), **body)
    by_definition = {**messages.query([]), "presentationDefinition": {"id": "x"}}
    del by_definition["scope"]
    with pytest.raises(NotSupported):
        await two.service.answer("anna", two.asking(access), json.dumps(by_definition).encode())
    assert await two.shown(two.asking(access))


async def test_each_participant_has_its_own_wallet(two: Two) -> None:
    with pytest.raises(NotFound):
        await two.service.answer("carl", two.asking(await two.access()), b"{}")
    with pytest.raises(ConfigurationError):
        await two.sent.authorization("carl", two.bert.did, "https://bert.example")
    with pytest.raises(ConfigurationError):
        await two.sent.authorization("anna", "urn:bert", "https://bert.example")
