"""The official kit's cases, and what it does not test, against whole nodes in this process: the documents of the others are correct.

One test for each class of the kit, with its cases by name; the answers to all of them are compared at once. The kit itself runs by
`python -m tests.conformance.dcp`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from connector import jose
from connector.api.identity import CredentialRequest
from connector.identity.did import DCP_CONTEXT, Relationship
from connector.testing.dataspace import DataSpace, Member
from tests.identity.hosts import Host, host
from tests.identity.issuer import Issuer
from tests.identity.peers import Peer, at, claims_in, post
from tests.identity.space import V1, V2

MEMBER, SENSITIVE = "MembershipCredential", "SensitiveDataCredential"
ALIAS = "org.eclipse.dspace.dcp.vc.type"
REQUEST = "tck-correlation"
SECRET = "a secret of the kit"


@asynccontextmanager
async def node(served: Host, issuer: Issuer, **options: Any) -> AsyncIterator[Member]:
    """A participant of ours that believes `issuer`, on a node that keeps nothing it was shown."""
    membership = {"trusted_issuers": [{"id": issuer.did, "types": [MEMBER, SENSITIVE]}], **options}
    kept = {"keep_presentations_s": 0, "keep_status_lists_s": 0}
    async with DataSpace(has_wallets=True, settings={"identity": {"membership": membership, **kept}}) as space:
        member = space.join("ours")
        await space.begin()
        yield member


@pytest.fixture
async def served() -> AsyncIterator[Host]:
    async with host() as found:
        yield found


@pytest.fixture
def issuer(served: Host) -> Issuer:
    return Issuer(served, types=(MEMBER, SENSITIVE))


async def statuses(cases: dict[str, Callable[[], Awaitable[httpx.Response]]]) -> dict[str, int]:
    """The answer to each case, one after another."""
    return {name: (await ask()).status_code for name, ask in cases.items()}


class Holder:
    """Our wallet, and a verifier of the kit that asks it."""

    def __init__(self, ours: Member, verifier: Peer) -> None:
        self.ours = ours
        self.did = ours.id
        self.url = f"{ours.app.public_url}/{ours.name}"
        self.verifier = verifier

    async def access(self, *types: str, to: str = "") -> str:
        """An access token of our token service that lets a verifier ask for `types`."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "tck",
            "client_secret": SECRET,
            "audience": to or self.verifier.did,
            "bearer_access_scope": " ".join(f"{ALIAS}:{type_}:read" for type_ in types),
        }
        answer = await post(f"{self.url}/sts/token", form, None, form=True)
        assert answer.status_code == 200, answer.text
        token = claims_in(answer.json()["access_token"])
        assert (token["iss"], token["sub"], token["aud"]) == (self.did, self.did, to or self.verifier.did)
        return str(token["token"])

    async def ask(self, authorization: str | None, *types: str, **body: Any) -> httpx.Response:
        message = {"@context": [DCP_CONTEXT], "type": "PresentationQueryMessage", **body}
        if types:
            message["scope"] = [f"{ALIAS}:{type_}" for type_ in types]
        return await post(f"{self.url}/dcp/presentations/query", message, authorization)

    async def shown(self, granted: tuple[str, ...], asked: tuple[str, ...]) -> list[str]:
        """The types that are shown to whom was granted `granted` and asks for `asked`."""
        token = self.verifier.token(self.did, token=await self.access(*granted))
        answer = await self.ask(token, *asked)
        assert answer.status_code == 200, answer.text
        credentials = [raw for one in answer.json()["presentation"] for raw in claims_in(one)["vp"]["verifiableCredential"]]
        return sorted(type_ for raw in credentials for type_ in claims_in(raw)["vc"]["type"] if type_ != "VerifiableCredential")


@pytest.fixture
async def holder(served: Host, issuer: Issuer) -> AsyncIterator[Holder]:
    clients = [{"id": "tck", "sha256": hashlib.sha256(SECRET.encode()).hexdigest()}]
    grants = [f"{ALIAS}:{MEMBER}", f"{ALIAS}:{SENSITIVE}"]
    async with node(served, issuer, clients=clients, grants=grants) as ours:
        wanted = CredentialRequest(issuer=issuer.did, types=[MEMBER, SENSITIVE], id=REQUEST)
        await ours.send(ours.calls.request_credentials(wanted))

        async def has_all() -> int:
            return (await ours.send(ours.calls.credentials())).total

        await ours.until(has_all, lambda held: held == 2)
        yield Holder(ours, Peer(served, "verifier"))


async def test_holder_section_4_tokens_of_verifiers(holder: Holder, served: Host) -> None:
    verifier, third, did = holder.verifier, Peer(served, "third"), holder.did

    def asking(access: str, **changes: Any) -> Callable[[], Awaitable[httpx.Response]]:
        return lambda: holder.ask(verifier.token(did, token=access, **changes), MEMBER)

    async def fresh() -> str:
        return await holder.access(MEMBER)

    twice = verifier.token(did, token=await fresh(), jti="once")
    again = verifier.token(did, token=await fresh(), jti="once")
    found = await statuses({
        "idTokenInvalidIssuerSub": asking(await holder.access(MEMBER, to=third.did)),
        "idTokenInvalidSub": asking(await fresh(), sub=third.did),
        "idTokenIncorrectAud": asking(await fresh(), aud=third.did),
        "idTokenIncorrectSub": asking(await fresh(), iss=third.did, sub=third.did),
        "idTokenNbfInFuture": asking(await fresh(), nbf=at() + 60),
        "idTokenExpired": asking(await fresh(), iat=at() - 400, exp=at() - 60),
        "idTokenJtiUsedTwice, first": lambda: holder.ask(twice, MEMBER),
        "idTokenJtiUsedTwice, second": lambda: holder.ask(again, MEMBER),
        # what the kit does not test
        "accessTokenUsedTwice": asking(claims_in(twice)["token"]),
        "no token": lambda: holder.ask(verifier.token(did), MEMBER),
    })  # fmt: skip
    assert found == {name: 200 if name.endswith("first") else 401 for name in found}


async def test_holder_section_5_presentation_queries(holder: Holder, served: Host) -> None:
    verifier, did = holder.verifier, holder.did
    async with httpx.AsyncClient(trust_env=False) as http:
        document = (await http.get(f"{holder.url}/did.json")).json()
    services = {one["type"]: one["serviceEndpoint"] for one in document["service"]}
    assert services["CredentialService"] == f"{holder.url}/dcp"
    assert {one for one in document if one.endswith(("ation", "Method"))} >= {"authentication", "capabilityInvocation"}

    def by(access: str | None) -> str:
        return verifier.token(did, token=access)

    both = {"scope": [f"{ALIAS}:{MEMBER}"], "presentationDefinition": {"id": "x"}}
    access = await holder.access(MEMBER)
    found = await statuses({
        "accessTokenInvalidHeader": lambda: holder.ask(by(access).removeprefix("Bearer "), MEMBER),
        "invalidTokenNotAuthorized": lambda: holder.ask(by("faked"), MEMBER),
        "invalidScopeAndPresentationRequest": lambda: holder.ask(by(access), **both),
        "emptyPresentationDefinition": lambda: holder.ask(by(access), presentationDefinition={}),
        "nullPresentationDefinition": lambda: holder.ask(by(access), presentationDefinition=None),
        "emptyScope": lambda: holder.ask(by(access), scope=[]),
        "absentScope": lambda: holder.ask(by(access)),
        "definition": lambda: holder.ask(by(access), presentationDefinition={"id": "x"}),
        "unknownParticipant": lambda: post(f"{holder.url}x/dcp/presentations/query", both, by(access)),
    })  # fmt: skip
    assert found == {
        "accessTokenInvalidHeader": 401,
        "invalidTokenNotAuthorized": 401,
        "invalidScopeAndPresentationRequest": 400,
        "emptyPresentationDefinition": 400,
        "nullPresentationDefinition": 400,
        "emptyScope": 400,
        "absentScope": 400,
        "definition": 501,
        "unknownParticipant": 404,
    }
    assert await holder.shown((MEMBER,), (MEMBER,)) == [MEMBER]
    assert await holder.shown((MEMBER, SENSITIVE), (SENSITIVE,)) == [SENSITIVE]
    # invalidScopeEscalationRequest, as DCP 1.0.1 and the kit from its release 1.0.0 on have it
    assert await holder.shown((MEMBER,), (MEMBER, SENSITIVE)) == [MEMBER]


def negatives(issuer: Issuer, third: Peer, receiver: str) -> dict[str, str | None]:
    """Tokens of an issuer that must not count, as the kit makes them."""
    return {
        "noAuthHeader": None,
        "missingBearerPrefix": issuer.token(receiver).removeprefix("Bearer "),
        "tokenSignedWithWrongKey": issuer.token(receiver, jose.generate(issuer.key.id)),
        "tokenExpired": issuer.token(receiver, iat=at() - 400, exp=at() - 60),
        "iatInFuture": issuer.token(receiver, iat=at() + 60),
        "nbfViolated": issuer.token(receiver, nbf=at() + 60),
        "incorrectAudience": issuer.token(third.did),
        "issNotEqualToSub": issuer.token(receiver, sub=third.did),
    }


async def test_holder_deliveries_of_credentials(holder: Holder, issuer: Issuer, served: Host) -> None:
    third, did = Peer(served, "third"), holder.did
    other = Issuer(served, types=(MEMBER,), name="other")

    def sent(authorization: str | None = "", **changes: Any) -> Callable[[], Awaitable[httpx.Response]]:
        token = issuer.token(did) if authorization == "" else authorization
        pid = changes.pop("holderPid", REQUEST)
        return lambda: issuer.post(did, "credentials", issuer.delivery(did, pid, **changes), token)

    def one(raw: str, type_: str = MEMBER, format_: str = "vc11-sl2021/jwt") -> list[dict[str, str]]:
        return [{"credentialType": type_, "format": format_, "payload": raw}]

    twice = issuer.token(did)
    found = await statuses(
        {
            "credentialMessage": sent(),
            "jtiAlreadyUsed, first": sent(twice),
            "jtiAlreadyUsed, second": sent(twice),
            "invalidBody": sent(holderPid=None),
            "invalidStatus": sent(status="NONSENSE"),
        }
        | {name: sent(token) for name, token in negatives(issuer, third, did).items()}
        | {
            # what the kit does not test
            "unsolicited": sent(holderPid="nobody asked"),
            "of another issuer": lambda: other.post(did, "credentials", other.delivery(did, REQUEST), other.token(did)),
            "of another subject": sent(credentials=one(issuer.credential(third.did))),
            "of another type": sent(credentials=one(issuer.credential(did, "Other"), "Other")),
            "signed by another": sent(credentials=one(other.credential(did))),
            "over": sent(credentials=one(issuer.credential(did, expirationDate="2020-01-01T00:00:00Z"))),
            "that says nothing": sent(credentials=one(issuer.credential(did, credentialSubject={"id": did}))),
            "of an unknown status": sent(credentials=one(issuer.credential(did, credentialStatus={"id": "x", "type": "y"}))),
            "as JSON-LD": sent(credentials=one("{}", format_="json-ld")),
            "a format of the field": sent(credentials=one(issuer.credential(did), format_="VC1_0_JWT")),
            "echoing what it was never given": sent(issuer.token(did, token="faked")),
        }
    )
    good = {"credentialMessage": 200, "jtiAlreadyUsed, first": 200, "a format of the field": 200}
    bad = {"invalidBody", "invalidStatus", "unsolicited", "as JSON-LD", "that says nothing", "over", "signed by another"}
    bad |= {name for name in found if name.startswith("of a")}
    assert found == {name: good.get(name, 400 if name in bad else 401) for name in found}
    # what cannot be judged at the moment may be delivered again
    served.statuses[f"/{issuer.name}/status"] = 503
    assert (await sent()()).status_code == 503
    del served.statuses[f"/{issuer.name}/status"]
    # a credential that was withdrawn is not kept
    issuer.revoked.add(issuer.next_index)
    assert (await sent()()).status_code == 400
    assert await holder.shown((MEMBER,), (MEMBER,)) == [MEMBER]


async def test_holder_offers(holder: Holder, issuer: Issuer, served: Host) -> None:
    third, did = Peer(served, "third"), holder.did

    def offered(authorization: str | None = "", **changes: Any) -> Callable[[], Awaitable[httpx.Response]]:
        entry = {"id": f"id-of-{MEMBER}", "type": "CredentialObject", "credentialType": MEMBER, "offerReason": "reissue"}
        message = {"@context": [DCP_CONTEXT], "type": "CredentialOfferMessage", "issuer": issuer.did, "credentials": [entry]}
        token = issuer.token(did) if authorization == "" else authorization
        return lambda: issuer.post(did, "offers", {**message, **changes}, token)

    requests = len(issuer.requests)
    twice = issuer.token(did)
    found = await statuses(
        {
            "onlyIds": offered(credentials=[{"id": "one"}, {"id": "two"}]),
            "profiles": offered(credentials=[{"id": "one", "profiles": ["vc11-sl2021/jwt"]}]),
            "jtiAlreadyUsed, first": offered(twice, credentials=[{"id": "one"}]),
            "jtiAlreadyUsed, second": offered(twice),
            "invalidBody": offered(issuer=None),
            "of another": offered(issuer=third.did),
        }
        | {name: offered(token) for name, token in negatives(issuer, third, did).items()}
    )
    good = {"onlyIds": 200, "profiles": 200, "jtiAlreadyUsed, first": 200, "invalidBody": 400, "of another": 400}
    assert found == {name: good.get(name, 401) for name in found}

    # what ids alone stand for is looked up in the issuer's metadata, and nothing of it is what the standing request asks for
    async def looked_up() -> int:
        return served.asked[f"/{issuer.name}/metadata"]

    await holder.ours.until(looked_up, lambda times: times == 2)

    async def asked() -> int:
        return len(issuer.requests)

    async def standing() -> bool:
        (request,) = (await holder.ours.send(holder.ours.calls.credential_requests())).items
        return request.state == "ISSUED" and request.next_at > datetime.now(UTC) + timedelta(days=1)

    await holder.ours.until(standing, lambda has: has)
    assert len(issuer.requests) == requests
    # what a standing request wants is asked for anew, however it is named
    for entry in ({"id": f"id-of-{MEMBER}"}, None):
        requests += 1
        assert (await offered(**({"credentials": [entry]} if entry else {}))()).status_code == 200
        await holder.ours.until(asked, lambda times, wanted=requests: times == wanted)
        assert issuer.requests[-1]["holderPid"] == REQUEST
        await holder.ours.until(standing, lambda has: has)


async def test_verifier_sections_4_and_5(served: Host, issuer: Issuer) -> None:
    lax = Issuer(served, name="lax")
    trusted = [{"id": one.did, "types": [MEMBER, SENSITIVE]} for one in (issuer, lax)]
    async with node(served, issuer, scopes=[f"{ALIAS}:{MEMBER}:read"], trusted_issuers=trusted) as ours:
        showing, invoking = Peer(served, "showing"), Peer(served, "invoking")
        showing.publish(Relationship.AUTHENTICATION)
        invoking.publish(Relationship.INVOCATION)
        lax.publish(Relationship.INVOCATION)
        kit, third, did = Peer(served, "holder"), Peer(served, "third"), ours.id
        url = f"{ours.address}/catalog/request"
        asking = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"}
        good = kit.presentation(did, issuer.credential(kit.did))

        def trigger(authorization: str | None = "", *shows: Any, status: bytes = b"", by: Peer = kit) -> Any:
            async def ask() -> httpx.Response:
                served.pages["/issuer/status"] = status or issuer.status_list()
                by.shows = list(shows)
                token = by.token(did, token="opaque") if authorization == "" else authorization
                return await post(url, asking, token)

            return ask

        def shown(*shows: Any, status: bytes = b"", by: Peer = kit) -> Any:
            return trigger("", *shows, status=status, by=by)

        def credential(**changes: Any) -> str:
            return kit.presentation(did, issuer.credential(kit.did, **changes))

        def dated(name: str, **shift: float) -> str:
            return credential(**{name: (datetime.now(UTC) + timedelta(**shift)).isoformat(timespec="seconds")})

        twice, plain = kit.token(did, token="opaque"), {"token": "opaque"}
        issuer.model = V2
        second = kit.presentation(did, issuer.credential(kit.did), model=V2)
        unsigned = json.dumps(claims_in(f"x.{issuer.status_list().decode().split('.')[1]}.x")).encode()
        foreign = Issuer(served, name="other").status_list()
        issuer.model = V1
        issuer.revoked = {issuer.next_index}
        revoking = issuer.status_list()
        issuer.revoked = set()
        cases = {
            "presentationResponse_success": shown(good),
            "jtiUsedTwice, first": trigger(twice, good),
            "jtiUsedTwice, second": trigger(twice, good),
            "tooManyCredentials": shown(
                kit.presentation(did, issuer.credential(kit.did), issuer.credential(kit.did, SENSITIVE))
            ),
            "rejectMissingBearerPrefix": trigger(kit.token(did, **plain).removeprefix("Bearer "), good),
            "idTokenNoTokenClaim": trigger(kit.token(did), good),
            "idTokenInvalidSub": trigger(kit.token(did, sub=third.did, **plain), good),
            "idTokenIncorrectAud": trigger(kit.token(third.did, **plain), good),
            "idTokenIncorrectSub": trigger(kit.token(did, iss=third.did, sub=third.did, **plain), good),
            "idTokenNbfInFuture": trigger(kit.token(did, nbf=at() + 60, **plain), good),
            "idTokenExpired": trigger(kit.token(did, iat=at() - 400, exp=at() - 60, **plain), good),
            "tooFewCredentials": shown(kit.presentation(did, issuer.credential(kit.did, SENSITIVE))),
            "emptyPresentations": shown(),
            "emptyCredentials": shown(kit.presentation(did)),
            "holderNotEqualSubjectId": shown(kit.presentation(did, issuer.credential(third.did))),
            "expiredCredential": shown(dated("expirationDate", minutes=-1)),
            "notYetValidCredential": shown(dated("issuanceDate", minutes=1)),
            "credentialRevoked": shown(good, status=revoking),
            "invalidCredentialSchema": shown(credential(credentialSchema={"id": f"{served.url}/schema", "type": "JsonSchema"})),
            # what the kit does not test: data model 2.0
            "2.0": shown(second),
            "2.0, the credential as text": shown(
                kit.presentation(did, model=V2, verifiableCredential=[claims_in(second)["verifiableCredential"][0]["id"][25:]])
            ),
            # the relationships that keys are for
            "a key for presentations alone": shown(showing.presentation(did, issuer.credential(showing.did)), by=showing),
            "a key for tokens alone": shown(invoking.presentation(did, issuer.credential(invoking.did)), by=invoking),
            "an issuer's key for tokens alone": shown(kit.presentation(did, lax.credential(kit.did))),
            "another's key": shown(kit.presentation(did, issuer.credential(kit.did), by=third.key)),
            # the proofs of status lists
            "a list without a signature": shown(good, status=unsigned),
            "a list of another issuer": shown(good, status=foreign),
            "a list that is none": shown(good, status=b"nonsense"),
            # who shows it to whom
            "for another verifier": shown(kit.presentation(third.did, issuer.credential(kit.did))),
            "of another holder": shown(third.presentation(did, issuer.credential(third.did))),
            "over": shown(kit.presentation(did, issuer.credential(kit.did), iat=at() - 400, exp=at() - 60)),
        }
        found = await statuses(cases)
        accepted = {"presentationResponse_success", "jtiUsedTwice, first", "tooManyCredentials", "2.0"}
        assert found == {name: 200 if name in accepted else 401 for name in found}
        assert kit.asked[0]["scope"] == [f"{ALIAS}:{MEMBER}:read"]
        assert kit.asked[0]["token"]["token"] == "opaque"
        assert served.asked["/schema"] == 0
