"""A signature on a document proves it and nothing else, however its numbers and names are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import Unproven
from connector.identity import did, proofs
from connector.identity.did import Relationship

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DID = "did:web:a.example"
TREE = {
    "@id": "urn:a",
    "dct:title": [{"@value": "Wärme €", "@language": "de"}],
    "n": [1, 2.5, 1e21, 1e-7, -0.0],
    "deep": {"b": None, "a": True},
}


def document(key: jose.SigningKey, relationship: Relationship = Relationship.ASSERTION) -> did.Document:
    return did.Document(
        id=DID,
        methods={key.id: did.Method(id=key.id, key=key.public)},
        relationships={relationship: frozenset({key.id})},
    )


@pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519"])
def test_what_is_signed_is_proven_and_any_change_is_seen(kind: str) -> None:
    key = jose.generate(f"{DID}#1", kind)
    signed = proofs.secure(TREE, key, NOW)
    assert proofs.method_of(signed) == key.id
    proofs.prove(signed, document(key), NOW)
    # order and spelling of the JSON do not matter
    proofs.prove(dict(reversed(signed.items())), document(key), NOW)
    for changed in ({**signed, "@id": "urn:b"}, {**signed, "more": 1}, {**signed, "n": [1]}):
        with pytest.raises(Unproven) as refused:
            proofs.prove(changed, document(key), NOW)
        assert refused.value.check == "signature"


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"type": "RsaSignature2018"}, "kind"),
        ({"cryptosuite": "ecdsa-rdfc-2019"}, "kind"),
        ({"proofPurpose": "authentication"}, "purpose"),
        ({"created": (NOW + timedelta(days=1)).isoformat()}, "not-before"),
        ({"created": "yesterday"}, "format"),
        ({"expires": NOW.isoformat()}, "expired"),
        ({"verificationMethod": f"{DID}#2"}, "key-id"),
        ({"verificationMethod": "https://a.example"}, "key-id"),
        ({"proofValue": "z0OIl"}, "format"),
        ({"proofValue": "z1111"}, "signature"),
        ({"proofValue": 7}, "format"),
        ({"@context": ["https://other.example"]}, "context"),
        ({"cryptosuite": "eddsa-jcs-2022"}, "key"),
        ({"nonce": "added"}, "signature"),
    ],
)
def test_a_proof_that_is_not_what_it_should_be_proves_nothing(change: dict[str, Any], check: str) -> None:
    key = jose.generate(f"{DID}#1")
    signed = proofs.secure(TREE, key, NOW)
    with pytest.raises(Unproven) as refused:
        proofs.prove({**signed, "proof": {**signed["proof"], **change}}, document(key), NOW)
    assert refused.value.check == check


def test_only_keys_for_assertions_of_the_one_who_signs_count() -> None:
    key, other = jose.generate(f"{DID}#1"), jose.generate(f"{DID}#1")
    signed = proofs.secure(TREE, key, NOW)
    with pytest.raises(Unproven):
        proofs.prove(signed, document(key, Relationship.INVOCATION), NOW)
    with pytest.raises(Unproven):
        proofs.prove(signed, document(other), NOW)
    for odd in ("text", [signed["proof"], signed["proof"]], None):
        with pytest.raises(Unproven) as refused:
            proofs.method_of({**TREE, "proof": odd})
        assert refused.value.check == "kind"


@pytest.mark.parametrize("number", [1 << 53, -(1 << 53), (1 << 64) - 1])
def test_a_number_that_others_could_stand_for_is_not_signed(number: int) -> None:
    with pytest.raises(Unproven) as refused:
        proofs.canonical({"byteSize": [number]})
    assert "too large" in refused.value.words
    assert proofs.canonical((1 << 53) - 1) == b"9007199254740991"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 8785, appendix B
        (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"), (1e21, "1e+21"), (1e23, "1e+23"),
        (9.999999999999997e22, "9.999999999999997e+22"), (333333333.33333329, "333333333.3333333"), (1e-7, "1e-7"),
        (0.000001, "0.000001"), (-0.0, "0"), (4.50, "4.5"), (10, "10"), (100.0, "100"),
        # RFC 8785, section 3.2.3: by UTF-16 code units
        ({"\ufb33": 3, "\U0001f600": 5, "€": 1, "\r": 2, "1": 4}, '{"\\r":2,"1":4,"€":1,"\U0001f600":5,"\ufb33":3}'),
        ("€$\x0f\nA'B\"\\\"/", '"€$\\u000f\\nA\'B\\"\\\\\\"/"'), ([True, None, False], "[true,null,false]"),
    ],
)  # fmt: skip
def test_the_canonical_form_is_that_of_the_standard(value: Any, text: str) -> None:
    assert proofs.canonical(value).decode() == text
