"""What the judge keeps of policies that it has read: bounded, however many agreements there are, and nothing of it twice."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import Any

from connector.controlplane.policy import Judge
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Role
from connector.odrl.compile import Compiled
from connector.odrl.vocabulary import Vocabulary
from tests.controlplane.scene import VOCABULARY

NOW = datetime(2026, 11, 29, tzinfo=UTC)
TERMS: dict[str, Any] = {
    "action": "use",
    "constraint": [
        {"leftOperand": "https://w3id.org/kontor/ns/membership", "operator": "eq", "rightOperand": "active"},
        {"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"},
    ],
}


def agreement(number: int, role: Role) -> Agreement:
    policy = {
        "@id": f"urn:agreement:{number}", "@type": "Agreement", "target": "urn:data", "assigner": "urn:alice",
        "assignee": "urn:bob", "permission": [TERMS],
    }  # fmt: skip
    return Agreement(
        participant="alice",
        id=f"urn:agreement:{number}",
        role=role,
        peer="urn:bob",
        peer_address="https://bob.example/dsp",
        provider="urn:alice",
        consumer="urn:bob",
        dataset="urn:data",
        policy=policy,
        signed_at=NOW,
    )


def alive(kind: type[object]) -> int:
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_what_is_kept_of_a_thousand_agreements_is_bounded_and_shares_its_words() -> None:
    policies, words = alive(Compiled), alive(Vocabulary)
    judge = Judge(VOCABULARY)
    first = judge.terms_of(agreement(0, Role.CONSUMER))
    for number in range(1, 1000):
        judge.terms_of(agreement(number, Role.CONSUMER))
        # INVARIANT: what is asked again and again is not read again
        assert judge.terms_of(agreement(0, Role.CONSUMER)) is first
    assert alive(Compiled) - policies <= 500
    # a consumer leaves the membership to the provider: one more vocabulary for all of them
    assert alive(Vocabulary) - words <= 1
