"""Identifiers of the method `web` lead to one address or to none; documents say which key may prove what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import jose
from connector.errors import Unproven
from connector.identity import did
from connector.identity.did import Relationship
from connector.outbound.rules import OutboundRules, vet

DID = "did:web:them.example"
KEY = jose.generate(f"{DID}#key-1")
OTHER = jose.generate(f"{DID}#key-2", "Ed25519")


def method(**changes: Any) -> dict[str, Any]:
    plain = {"id": KEY.id, "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": KEY.public.jwk()}
    return {name: value for name, value in {**plain, **changes}.items() if value is not ...}


def document(**changes: Any) -> did.Document:
    return did.read(DID, json.dumps({"id": DID, "verificationMethod": [method()], **changes}).encode())


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ("did:web:example.com%3a3000", "https://example.com:3000/.well-known/did.json"),
        ("did:web:example.com:a%20b".replace("%20", "%C3%A9"), "https://example.com/a%C3%A9b/did.json"),
        ("did:web:xn--bcher-kva.example:a_b.c-d", "https://xn--bcher-kva.example/a_b.c-d/did.json"),
    ],
)
def test_an_identifier_is_an_address(name: str, url: str) -> None:
    assert did.url_of(name) == url
    assert did.did_of(url.removesuffix("/did.json").removesuffix("/.well-known")).lower() == name.lower()


def test_local_names_and_plain_http_need_their_unsafe_rule() -> None:
    name = "did:web:localhost%3A8083:holder"
    assert did.url_of(name, unsafe_http=True, unsafe_local=True) == "http://localhost:8083/holder/did.json"
    with pytest.raises(Unproven):
        did.url_of(name, unsafe_http=True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "did:web:",
        "did:key:z6Mk",
        "did:WEB:a.example",
        "DID:web:a.example",
        "https://a.example",
        "did:web:127.0.0.1",
        "did:web:2130706433",
        "did:web:0x7f.1",
        "did:web:0x7f000001",
        "did:web:0177.0.0.1",
        "did:web:127.1",
        "did:web:10.0.0.1%3A80",
        "did:web:169.254.169.254",
        "did:web:[::1]",
        "did:web:%5B%3A%3A1%5D",
        "did:web:::1",
        "did:web:0.0.0.0",
        "did:web:localhost",
        "did:web:localhost.",
        "did:web:a.example.",
        "did:web:intranet",
        "did:web:a..example",
        "did:web:.example",
        "did:web:a_b.example",
        "did:web:-a.example",
        "did:web:a.example-",
        f"did:web:{'a' * 64}.example",
        f"did:web:{'a.' * 130}example",
        "did:web:a.example%3A",
        "did:web:a.example%3A0",
        "did:web:a.example%3A65536",
        "did:web:a.example%3A080",
        "did:web:a.example%3A80%3A81",
        "did:web:a.example%2Fb",
        "did:web:a.example%40b.example",
        "did:web:user%40a.example",
        "did:web:user@a.example",
        "did:web:a.example:..",
        "did:web:a.example:.",
        "did:web:a.example:%2e%2e",
        "did:web:a.example:%2E.:x",
        "did:web:a.example:..%2f..",
        "did:web:a.example:..%5c",
        "did:web:a.example:%252e%252e",
        "did:web:a.example:a%00",
        "did:web:a.example:a%0d%0aHost",
        "did:web:a.example:a%0A",
        "did:web:a.example:a%3Fq",
        "did:web:a.example:a%23f",
        "did:web:a.example:a%40b",
        "did:web:a.example:",
        "did:web:a.example::b",
        "did:web:a.example:a%2",
        "did:web:a.example:a%zz",
        "did:web:a.example/b",
        "did:web:a.example?q",
        "did:web:a.example#k",
        "did:web:a.example;x",
        "did:web:a.example:a b",
        "did:web:a.example\n",
        "did:web:a.example\0",
        "did:web:a.example\r\nHost: b",
        "did:web:a.example.*",
        "did:web:(a|b).example",
        "did:web:b\u00fccher.example",
        "did:web:\uff41.example",
        f"did:web:a.example:{'b' * 1100}",
    ],
)
def test_nothing_else_is_an_identifier(name: str) -> None:
    for unsafe in (False, True):
        if unsafe and name in ("did:web:localhost", "did:web:intranet"):
            continue
        with pytest.raises(Unproven) as caught:
            did.url_of(name, unsafe_local=unsafe)
        assert caught.value.check == "did"


@given(st.text(alphabet="ab1.:%-_2eE5cC3A0/\\#?@[]", max_size=40))
def test_whatever_is_accepted_stays_below_its_host(rest: str) -> None:
    try:
        url = did.url_of(f"did:web:{rest}", unsafe_local=True)
    except Unproven:
        return
    assert vet(url, OutboundRules(allow_loopback=True)).scheme == "https"
    assert url.count("//") == 1
    assert not {"..", "."} & set(url.split("/"))


@pytest.mark.parametrize("id_", [KEY.id, "key-1", "#key-1"])
def test_a_method_is_found_however_its_id_is_spelled(id_: str) -> None:
    found = document(verificationMethod=[method(id=id_)], authentication=[id_])
    assert found.key(KEY.id, Relationship.AUTHENTICATION).jwk() == KEY.public.jwk()


@pytest.mark.parametrize("kind", ["JsonWebKey2020", "JsonWebKey", "EcdsaSecp256r1VerificationKey2019"])
def test_the_name_of_the_type_does_not_matter_where_there_is_a_jwk(kind: str) -> None:
    found = document(verificationMethod=[method(type=kind, publicKeyMultibase=None, controller=...)])
    assert found.key(KEY.id, Relationship.ASSERTION)


@pytest.mark.parametrize("more", [{}, {"authentication": []}, {"authentication": None}])
def test_a_document_that_declares_nothing_lets_each_key_count_with_a_warning(more: dict[str, Any]) -> None:
    found = document(**more)
    for relationship in Relationship:
        assert found.key(KEY.id, relationship)
    assert len(found.warnings) == 1
    with pytest.raises(Unproven) as caught:
        found.key(KEY.id, Relationship.INVOCATION, must_declare=True)
    assert caught.value.check == "relationship"


@pytest.mark.parametrize("declared", list(Relationship))
def test_a_document_that_declares_one_relationship_binds_all(declared: Relationship) -> None:
    found = document(**{declared: [KEY.id]})
    assert found.warnings == ()
    for relationship in Relationship:
        if relationship is declared:
            assert found.key(KEY.id, relationship)
            continue
        with pytest.raises(Unproven) as caught:
            found.key(KEY.id, relationship)
        assert caught.value.check == "relationship"


def test_a_relationship_that_names_only_others_binds_too() -> None:
    with pytest.raises(Unproven):
        document(authentication=["did:web:other.example#key-1"]).key(KEY.id, Relationship.AUTHENTICATION)


def test_an_embedded_method_counts_for_its_relationship_alone() -> None:
    embedded = method(id=OTHER.id, publicKeyJwk=OTHER.public.jwk())
    found = document(authentication=[embedded], capabilityInvocation=[KEY.id])
    assert found.key(OTHER.id, Relationship.AUTHENTICATION).type == "Ed25519"
    with pytest.raises(Unproven):
        found.key(OTHER.id, Relationship.INVOCATION)


def test_without_a_key_id_there_must_be_one_method() -> None:
    assert document().key(None, Relationship.INVOCATION)
    two = [method(), method(id=OTHER.id, publicKeyJwk=OTHER.public.jwk())]
    for methods in ([], two):
        with pytest.raises(Unproven) as caught:
            document(verificationMethod=methods).key(None, Relationship.INVOCATION)
        assert caught.value.check == "key-id"


@pytest.mark.parametrize(
    "key_id", ["key-1", "#key-1", f"{DID}#key-2", f"{DID}.evil#key-1", f"{DID}#key-1 ", "did:web:other.example#key-1", ""]
)
def test_a_token_names_its_key_by_the_full_url(key_id: str) -> None:
    with pytest.raises(Unproven) as caught:
        document().key(key_id, Relationship.INVOCATION)
    assert caught.value.check == "key-id"


@pytest.mark.parametrize(
    "bad",
    [
        method(controller="did:web:other.example"),
        method(controller=["did:web:them.example"]),
        method(publicKeyJwk={**KEY.public.jwk(), "d": "AQAB"}),
        method(publicKeyJwk=None),
        method(publicKeyJwk=...),
        method(publicKeyJwk={"kty": "EC", "crv": "secp256k1"}),
    ],
)
def test_a_key_that_must_not_count_leaves_the_others_alone(bad: dict[str, Any]) -> None:
    found = document(verificationMethod=[bad, method(id=OTHER.id, publicKeyJwk=OTHER.public.jwk())])
    assert found.key(OTHER.id, Relationship.INVOCATION)
    with pytest.raises(Unproven) as caught:
        found.key(KEY.id, Relationship.INVOCATION)
    assert caught.value.check == "key"


@pytest.mark.parametrize(
    "body",
    [
        {"id": "did:web:other.example", "verificationMethod": [method()]},
        {"id": DID.upper(), "verificationMethod": [method()]},
        {"verificationMethod": [method()]},
        {"id": DID, "verificationMethod": [method(), method()]},
        {"id": DID, "verificationMethod": [method(), method(id="#key-1")]},
        {"id": DID, "verificationMethod": [method()], "authentication": [method()]},
        {"id": DID, "verificationMethod": [method(id=f"k{n}") for n in range(101)]},
        [],
        "text",
        {"id": DID, "service": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]},
        {"id": DID, "pad": "x" * (128 << 10)},
    ],
)
def test_a_document_that_is_not_its_own_is_refused_whole(body: Any) -> None:
    with pytest.raises(Unproven) as caught:
        did.read(DID, json.dumps(body).encode())
    assert caught.value.check == "did-document"


def test_a_document_with_a_member_twice_is_refused() -> None:
    with pytest.raises(Unproven):
        did.read(DID, f'{{"id":"did:web:other.example","id":"{DID}"}}'.encode())


def test_odd_entries_are_passed_over() -> None:
    found = document(
        verificationMethod=[1, None, {}, {"id": 1}, method(id="did:web:other.example#key-1"), method()],
        authentication=KEY.id,
        service=[1, {}, {"type": "CredentialService"}, {"type": "CredentialService", "serviceEndpoint": {"uri": "x"}}],
    )
    assert list(found.methods) == [KEY.id]
    assert found.key(KEY.id, Relationship.AUTHENTICATION)
    with pytest.raises(Unproven) as caught:
        found.endpoint("CredentialService")
    assert caught.value.check == "service"


def test_a_service_is_found_by_its_exact_type_and_its_address_is_kept() -> None:
    found = document(
        service=[
            {"id": "a", "type": "CredentialServiceOld", "serviceEndpoint": "https://a.example"},
            {"id": "b", "type": ["Other", "CredentialService"], "serviceEndpoint": ["https://b.example/p/Y29=/"]},
            {"id": "c", "type": "CredentialService", "serviceEndpoint": "https://c.example"},
        ]
    )
    assert found.endpoint("CredentialService") == "https://b.example/p/Y29="
    for bad in ("https://c.example/delete?all=", "https://c.example/#"):
        with pytest.raises(Unproven) as refused:
            document(service=[{"id": "c", "type": "CredentialService", "serviceEndpoint": bad}]).endpoint("CredentialService")
        assert (refused.value.check, "no base address" in refused.value.words) == ("service", True)


def test_what_we_publish_is_what_we_read() -> None:
    keys = [(KEY.id, KEY.public, [Relationship.INVOCATION]), (OTHER.id, OTHER.public, [Relationship.AUTHENTICATION])]
    written = did.write(DID, keys, {"CredentialService": "https://them.example/dcp"})
    found = did.read(DID, json.dumps(written).encode())
    assert found.key(KEY.id, Relationship.INVOCATION).jwk() == KEY.public.jwk()
    assert found.key(OTHER.id, Relationship.AUTHENTICATION).jwk() == OTHER.public.jwk()
    with pytest.raises(Unproven):
        found.key(KEY.id, Relationship.AUTHENTICATION)
    assert found.endpoint("CredentialService") == "https://them.example/dcp"
    assert {entry["type"] for entry in written["verificationMethod"]} == {"JsonWebKey2020"}
    assert '"d"' not in json.dumps(written)
