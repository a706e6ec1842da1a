"""What a real EDC with its wallet sent is proven at the time it was recorded, and what it should have refused is refused.

Numbers in comments are rows of the recorded observations. Rows about the wallet's, the token service's and the issuer's own
behaviour are tested where those parts are.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.errors import BadMessage, ConfigurationError, Unproven
from connector.identity import credentials, messages, profiles, status, tokens
from connector.identity import did as dids
from connector.identity.credentials import Failure, Proven
from connector.identity.did import Relationship
from connector.identity.formats import Model, read_credential
from connector.identity.remote import Remote
from connector.identity.scopes import covered, parse, parse_all
from connector.outbound.client import OutboundClient
from connector.settings import RemoteWallet
from tests.identity.hosts import LOCAL, host

Json = dict[str, Any]
CONSUMER, PROVIDER = "did:web:localhost%3A37113:consumer", "did:web:localhost%3A37113:provider"
ISSUER = "did:web:localhost%3A37120"
LIST = "http://localhost:37120/status/1"
MEMBER = parse("org.eclipse.edc.vc.type:MembershipCredential:read")
TRUST = credentials.Trust(issuers={ISSUER: frozenset({"MembershipCredential"})}, unsigned_lists=frozenset({ISSUER}))
RUN = datetime.fromtimestamp(1_795_320_197, UTC)  # when the messages of `participant/` with moved times were sent


def body(tree: Any) -> bytes:
    return tree.encode() if isinstance(tree, str) else json.dumps(tree).encode()


def loaded(official: pathlib.Path, pattern: str) -> dict[str, Json]:
    paths = sorted((official / "edc-wire/edc-0.15.1-dcp").glob(pattern))
    assert paths, pattern
    return {path.stem: json.loads(path.read_text()) for path in paths}


@pytest.fixture
def exchanges(official: pathlib.Path) -> dict[str, Json]:
    """One catalogue request, one negotiation, one transfer."""
    return loaded(official, "*.json")


@pytest.fixture
def evidence(exchanges: dict[str, Json]) -> credentials.Evidence:
    """The documents and the list as they were recorded."""
    documents: dict[str, dids.Document | credentials.Missing] = {}
    for name, did in (("03-to-did", CONSUMER), ("06-to-did", PROVIDER), ("07-to-issuer", ISSUER)):
        (found,) = (one for key, one in exchanges.items() if key.startswith(name))
        documents[did] = dids.read(did, body(found["response"]))
    (listed,) = (one for key, one in exchanges.items() if key.startswith("08-"))
    return credentials.Evidence(documents=documents, lists={LIST: body(listed["response"])})


def when(one: Json) -> datetime:
    return datetime.fromtimestamp(one["at"], UTC)


def document(evidence: credentials.Evidence, did: str) -> dids.Document:
    found = evidence.documents[did]
    assert isinstance(found, dids.Document)
    return found


def queries(exchanges: dict[str, Json]) -> list[Json]:
    return [one for one in exchanges.values() if one["path"].endswith("/presentations/query")]


def test_every_self_issued_token_is_proven(exchanges: dict[str, Json], evidence: credentials.Evidence) -> None:
    count = 0
    for one in exchanges.values():
        authorization = one["request_headers"].get("authorization")
        raws = [tokens.bearer(authorization)] if authorization else []
        if one["path"] == "/sts/token":
            raws.append(one["response"]["access_token"])
        for raw in raws:
            receiver = one["decoded"][0]["claims"]["aud"]
            token = tokens.open_self_issued(raw, receiver=receiver, now=when(one), needs_token=True)
            tokens.prove_self_issued(token, document(evidence, token.issuer))
            # 1, 2, 3: no `typ`, the newer name of EdDSA, the full URL of the key
            assert token.type is None
            assert token.algorithm == ("Ed25519" if token.issuer == PROVIDER else "ES256")
            assert token.key_id == f"{token.issuer}#key-1"
            count += 1
    assert count == 16 + 8 + 8  # tokens made, messages, questions


def test_access_tokens_are_opaque_and_travel_unread(exchanges: dict[str, Json]) -> None:
    # 7, 8: what the sender puts into its token comes to its credential service in the receiver's
    sent = [one["decoded"][0]["claims"]["token"] for one in exchanges.values() if one["path"].startswith("/protocol")]
    asked = [one["decoded"][0]["claims"]["token"] for one in queries(exchanges)]
    assert set(asked) <= set(sent)
    # 6: nothing is used twice
    assert len(set(asked)) == len(asked)


def test_every_presentation_is_proven(exchanges: dict[str, Json], evidence: credentials.Evidence) -> None:
    for one in queries(exchanges):
        question = messages.read_query(body(one["request"]))
        verifier, holder = (one["decoded"][0]["claims"][name] for name in ("iss", "aud"))
        asked = credentials.Asked(verifier=verifier, holder=holder, scopes=parse_all(list(question.scopes)))
        items = messages.read_answer(body(one["response"]))
        found = credentials.verify(items, asked=asked, trust=TRUST, evidence=evidence, now=when(one))
        assert isinstance(found, Proven), found
        (credential,) = found.credentials
        # 21, 22: no `sub`, `type` as text, contexts of others besides; data model 1.1
        assert credential.model is Model.V1
        assert credential.claims == {"kontor:memberOf": "test dataspace"}
        # 35: an entry of the newer kind in a credential of the older model
        assert credential.status[0].type == "BitstringStatusListEntry"
        # 28: wallets of this family declare no relationship
        assert found.warnings == document(evidence, holder).warnings != ()


def test_what_is_lax_there_needs_a_rule_here(exchanges: dict[str, Json], evidence: credentials.Evidence) -> None:
    one = queries(exchanges)[0]
    asked = credentials.Asked(verifier=PROVIDER, holder=CONSUMER, scopes=(MEMBER,))
    items = messages.read_answer(body(one["response"]))
    for trust, check in (
        (replace(TRUST, unsigned_lists=frozenset()), "status-list"),  # 34: lists without a signature
        (replace(TRUST, must_declare=True), "relationship"),  # 28
        (credentials.Trust(issuers={}), "trust"),  # 25
    ):
        found = credentials.verify(items, asked=asked, trust=trust, evidence=evidence, now=when(one))
        assert isinstance(found, Failure)
        assert found.check == check
    # 10: bound by `aud` and `exp`
    for changed, later in ((replace(asked, verifier=CONSUMER), 0), (replace(asked, holder=PROVIDER), 0), (asked, 70)):
        now = datetime.fromtimestamp(one["at"] + later, UTC)
        assert isinstance(credentials.verify(items, asked=changed, trust=TRUST, evidence=evidence, now=now), Failure)


def test_documents_and_services_are_read_as_they_are_spelled(
    exchanges: dict[str, Json], evidence: credentials.Evidence
) -> None:
    for did in (CONSUMER, PROVIDER):
        found = document(evidence, did)
        # 14, 32: found by its type, and the padding in its path is kept
        address = messages.query_address(found.endpoint("CredentialService"))
        assert {one["path"] for one in queries(exchanges) if one["decoded"][0]["claims"]["aud"] == did} == {
            address.removeprefix("http://localhost:37112")
        }
        assert dids.url_of(did, unsafe_http=True, unsafe_local=True).endswith(f":37113/{did.rpartition(':')[2]}/did.json")
    # 30: `use` on some keys, null for what is not there, neither `kid` nor `alg`
    assert document(evidence, CONSUMER).key(f"{CONSUMER}#key-1", Relationship.INVOCATION).type == "P-256"
    assert document(evidence, PROVIDER).key(f"{PROVIDER}#key-1", Relationship.INVOCATION).type == "Ed25519"
    # 31: what we publish is what they accept
    written = dids.write(
        CONSUMER, [(f"{CONSUMER}#key-1", document(evidence, CONSUMER).key(None, Relationship.ASSERTION), [])], {}
    )
    assert written["verificationMethod"][0]["type"] == "JsonWebKey2020"
    assert written["verificationMethod"][0]["id"].startswith("did:")


def test_two_data_models_in_one_answer_are_judged_apart(official: pathlib.Path, evidence: credentials.Evidence) -> None:
    one = loaded(official, "wallet/cs-two-data-models-200.json")["cs-two-data-models-200"]
    items = messages.read_answer(body(one["response"]))
    asked = credentials.Asked(verifier=PROVIDER, holder=CONSUMER, scopes=(MEMBER,))
    found = credentials.verify(items, asked=asked, trust=TRUST, evidence=evidence, now=when(one))
    # 23: the nested form is bound to no verifier; the other presentation stands on its own
    assert isinstance(found, Proven)
    assert [(refused.check, "bound to no verifier" in refused.words) for refused in found.refused] == [("format", True)]
    alone = credentials.verify(items[1:], asked=asked, trust=TRUST, evidence=evidence, now=when(one))
    assert isinstance(alone, Failure)
    # the credential inside is a good one of data model 2.0 all the same
    inner = one["decoded"][2]["inner"][0]["claims"]["verifiableCredential"][0]["id"].removeprefix("data:application/vc+jwt,")
    credential = read_credential(inner)
    assert credential.token is not None
    profiles.CREDENTIAL.prove(credential.token, document(evidence, ISSUER).key(credential.token.key_id, Relationship.ASSERTION))
    assert (credential.model, credential.subject) == (Model.V2, CONSUMER)


def test_the_recorded_list_is_read(evidence: credentials.Evidence, exchanges: dict[str, Json]) -> None:
    entry = read_credential(queries(exchanges)[0]["decoded"][1]["claims"]["vp"]["verifiableCredential"][0]).status[0]
    found = status.read(evidence.lists[LIST], entry)  # type: ignore[arg-type]
    assert len(found.bits) * 8 >= status.LEAST_BITS
    assert [status.value(found.bits, index) for index in (0, 1, 2)] == [0, 1, 0]


REFUSED_QUERIES = (
    "cs-no-scope-in-query-400",
    "cs-not-json-ld-400",
    "cs-scope-missing-400",
    "cs-unknown-context-400",
    "cs-v08-context-200",
)


def test_every_question_to_a_wallet_is_read_or_refused(official: pathlib.Path) -> None:
    for name, one in loaded(official, "wallet/cs-*.json").items():
        if name in REFUSED_QUERIES:
            with pytest.raises(BadMessage):
                messages.read_query(body(one["request"]))
            continue
        # 12, 15: scopes as a list or one text, `type` or `@type`, a second context
        found = messages.read_query(body(one["request"]))
        assert found.has_definition is (name == "cs-definition-501")
        assert bool(found.scopes) is not found.has_definition


def test_every_answer_of_a_wallet_is_read(official: pathlib.Path) -> None:
    answers = {name: one for name, one in loaded(official, "wallet/cs-*.json").items() if one["status"] == 200}
    counts = {name: len(messages.read_answer(body(one["response"]))) for name, one in answers.items()}
    # 16, 20: nothing held is an empty list; the draft's answer is one text instead of a list
    assert counts == {name: {"cs-not-held-200": 0, "cs-two-data-models-200": 2}.get(name, 1) for name in answers}
    # 16: what we answer has the one context that their verifiers know
    assert messages.answer(["x"]) == {
        "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"], "type": "PresentationResponseMessage", "presentation": ["x"],
    }  # fmt: skip


async def test_the_recorded_token_service_is_asked_as_their_connector_asks_it(
    official: pathlib.Path, exchanges: dict[str, Json]
) -> None:
    # 11: one request with these members, escaped once more; 13: errors as OAuth has them
    recorded = [one for name, one in exchanges.items() if one["to"] == "sts"]
    async with host() as served, OutboundClient(LOCAL) as client:
        sent: list[bytes] = []
        answer = recorded[0]

        def page(_head: str, form: bytes) -> bytes:
            sent.append(form)
            return body(answer["response"])

        served.pages["/sts/token"] = page
        for answer in recorded:
            form = answer["request_form"]
            settings = RemoteWallet(
                token_url=f"{served.url}/sts/token", client_id=form["client_id"], client_secret=form["client_secret"]
            )
            remote = Remote(settings=settings, outbound=client)
            scopes = form.get("bearer_access_scope", "").split()
            issued = await remote.issue(form["audience"], scopes=scopes, token=form.get("token"))
            assert issued == answer["response"]["access_token"]
            assert sorted(sent[-1].split(b"&")) == sorted(answer["request"].encode().split(b"&"))
        for name, answer in loaded(official, "wallet/sts-*.json").items():
            served.statuses["/sts/token"] = answer["status"]
            if answer["status"] == 200:
                assert await remote.issue("did:web:x.example", scopes=["a:b"]) == answer["response"]["access_token"], name
            else:
                with pytest.raises(ConfigurationError, match=answer["response"]["error"]):
                    await remote.issue("did:web:x.example", scopes=["a:b"])


def test_scopes_are_read_in_their_spelling_and_ours() -> None:
    # 17: `read`, `*` and `all` mean the same; both aliases
    spelled = parse_all([f"org.eclipse.edc.vc.type:MembershipCredential:{operation}" for operation in ("read", "*", "all")])
    ours = parse("org.eclipse.dspace.dcp.vc.type:MembershipCredential")
    assert covered(spelled, [ours]) == spelled
    # 27: a type is matched whole
    assert not MEMBER.matches(["MembershipCredentialOld"], None)
    with pytest.raises(BadMessage):
        parse("membership")


# what participants of ours sent to a real EDC: where our own verifier stops; an empty text: it opens
OPENING = {
    "future-nbf-401": "not-before",
    "garbage-500": "form",
    "iss-not-sub-401": "subject",
    "kid-bare-400": "issuer",
    "kid-of-other-401": "issuer",
    "no-authorization-401": "header",
    "no-bearer-401": "header",
    "no-exp-401": "exp",
    "no-token-claim-401": "token",
    "sub-jwk-500": "type",
    "wrong-aud-401": "audience",
    "expired-401": "expired",
    "future-iat-401": "issued-at",
    # 4: accepted there, refused here: without them a token could be used for ever
    "no-iat-nbf-200": "iat",
    "no-jti-200": "jti",
}
PROVING = {"wrong-key-401": "signature"}
SHOWING = {
    "vc-expired-401": "expired",
    "vc-other-subject-401": "subject",
    "vc-untrusted-issuer-401": "trust",
    "vc-wrong-type-401": "trust",
    "vc2-in-vp-401": "format",
    "vp-holder-other-401": "issuer",
    "vp-no-aud-401": "aud",
    "vp-no-vc-401": "format",
    "vp-wrong-aud-401": "audience",
    # 24: accepted there, refused here
    "vp-expired-200": "expired",
    "vp-no-exp-200": "exp",
    "vp-sub-200": "holder",
}
ANSWERING = ("cs-401-401", "cs-500-401", "cs-not-json-401", "cs-unknown-context-401")


def sent_at(name: str, one: Json) -> datetime:
    claims = next((part["claims"] for part in one.get("decoded", ()) if part["at"] == "request_headers.authorization"), {})
    if name in ("expired-401", "future-iat-401") or "exp" not in claims:
        return RUN
    return datetime.fromtimestamp(claims.get("iat", claims["exp"] - 300), UTC)


def check_of(act: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[str, Any]:
    """The check that refuses, or an empty text, and what `act` gives back."""
    try:
        return "", act(*arguments, **named)
    except Unproven as fault:
        return fault.check, None


def test_odd_senders_are_judged_as_the_specification_says(official: pathlib.Path) -> None:
    for name, one in loaded(official, "participant/*.json").items():
        now, authorization = sent_at(name, one), one["request_headers"].get("authorization")
        check, raw = check_of(tokens.bearer, authorization)
        if not check:
            check, token = check_of(tokens.open_self_issued, raw, receiver=PROVIDER, now=now, needs_token=True)
        assert check == OPENING.get(name, ""), name
        if check:
            continue
        path = "/" + dids.url_of(token.issuer, unsafe_local=True).split("/", 3)[3]
        for part in one["asked_of_us"]:
            if part["path"] == path and part["status"] == 200:
                _judge_sender(name, token, body(part["response"]))
            elif part["path"].endswith("/presentations/query"):
                _judge_answer(name, token, body(part["response"]), now)


def _judge_sender(name: str, token: Any, data: bytes) -> None:
    check, found = check_of(dids.read, token.issuer, data)
    # 24: the `id` of a document counts
    assert check == ("did-document" if name == "did-doc-other-id-200" else ""), name
    if found is not None:
        # these documents declare two relationships, and not the one for self-issued tokens: declared ones bind (28)
        assert check_of(tokens.prove_self_issued, token, found)[0] == ("relationship" if found.relationships else ""), name
        assert check_of(tokens.prove_self_issued, token, replace(found, relationships={}))[0] == PROVING.get(name, ""), name


def _judge_answer(name: str, token: Any, data: bytes, now: datetime) -> None:
    check, items = check_of(messages.read_answer, data)
    assert check == ("answer" if name in ANSWERING else ""), name
    if items is not None:
        asked = credentials.Asked(verifier=PROVIDER, holder=token.issuer, scopes=(MEMBER,))
        opened = credentials.open_(items, asked=asked, trust=TRUST, now=now)
        assert [one.check for one in opened.refused] == ([SHOWING[name]] if name in SHOWING else []), name
