"""What others have signed is proven without going where only a stranger sends us."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from connector import jose
from connector.controlplane.clock import SystemClock
from connector.errors import Unproven
from connector.identity import proofs
from connector.identity.attesting import Attesting, Parts
from tests.identity.test_proofs import DID, NOW, TREE, document


class Documents:
    """Has the document of one DID, and knows which were asked for."""

    def __init__(self, key: jose.SigningKey) -> None:
        self.key = key
        self.asked: list[str] = []

    async def resolve(self, did: str, *, anew: bool = False) -> Any:
        self.asked.append(did)
        return document(self.key)


async def test_only_of_those_who_may_have_signed_is_a_key_asked_for() -> None:
    key = jose.generate(f"{DID}#1")
    documents = Documents(key)
    attesting = Attesting(parts=cast(Parts, SimpleNamespace(resolver=documents)), clock=SystemClock())
    signed = proofs.secure(TREE, key, NOW)
    with pytest.raises(Unproven) as refused:
        await attesting.signer(signed, ("did:web:provider.example", "did:web:publisher.example"))
    assert (refused.value.check, refused.value.words, documents.asked) == ("signer", f"signed by `{DID}`", [])
    assert await attesting.signer(signed, ("did:web:provider.example", DID)) == DID
    # of a kind that is not known here nobody is asked either, and it is no reason to leave anything out
    with pytest.raises(Unproven) as unknown:
        await attesting.signer({**signed, "proof": {**signed["proof"], "cryptosuite": "ecdsa-rdfc-2019"}}, ())
    assert (unknown.value.check, documents.asked) == ("kind", [DID])
