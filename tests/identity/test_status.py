"""Status lists are unpacked within bounds, and a list that cannot be relied upon withdraws everything that rests on it."""

from __future__ import annotations

import base64
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import jose
from connector.errors import Unproven
from connector.identity import status
from connector.identity.credentials import Failure, Proven
from connector.identity.did import Relationship
from tests.identity.space import (
    HOLDER,
    ISSUER,
    LIST,
    STRANGER,
    Party,
    Question,
    bits,
    credential_2,
    date,
    entry,
    list_2,
    list_2021,
    list_tree,
    packed,
    presentation_2,
    tree_2,
)


def shown(**changes: Any) -> str:
    return presentation_2(credential_2(tree_2(credentialStatus=entry(**changes))))


def judged(data: bytes | str, **changes: Any) -> str:
    """The check at which a credential fails whose list is `data`; empty when it passes."""
    question = Question()
    question.lists[LIST] = data.encode() if isinstance(data, str) else data
    found = question.ask(shown(**changes))
    return "" if isinstance(found, Proven) else found.check


def text(data: bytes) -> str:
    return "u" + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


NESTED = gzip.compress(gzip.compress(bytes(1 << 20)))

BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "T29 unsigned": (lambda: json.dumps(list_tree()).encode(), "status-list"),
    "T29 by another": (lambda: list_2(by=STRANGER, issuer=STRANGER.did), "status-list"),
    "T29 with the key of another": (lambda: list_2(by=STRANGER), "status-list"),
    "T29 with a key of the holder": (lambda: list_2(by=Party("", replace(HOLDER.key, id=ISSUER.key.id))), "signature"),
    "T29 for another purpose": (lambda: list_2(subject={"statusPurpose": "suspension"}), "status-list"),
    "T29 for no purpose": (lambda: list_2(subject={"statusPurpose": ...}), "status-list"),
    "T29 too short": (lambda: list_2(encoded=packed(bits(size=16_384 // 8))), "status-list"),
    "T29 one bit too short": (lambda: list_2(encoded=packed(bits(size=131_072 // 8 - 1))), "status-list"),
    "T29 over": (lambda: list_2(validUntil=date(minutes=-1)), "expired"),
    "T29 not yet": (lambda: list_2(validFrom=date(minutes=1)), "not-before"),
    "T29 another list": (lambda: list_2(id="https://issuer.example/status/2"), "status-list"),
    "T29 no list": (lambda: credential_2().encode(), "status-list"),
    "T29 of the other kind": (lambda: list_2021(), "status-list"),
    "T29 no bits": (lambda: list_2(subject={"encodedList": ...}), "status-list"),
    "T29 a self-issued token": (lambda: jose.sign(ISSUER.key, {"iss": ISSUER.did, "token": "x"}).encode(), "type"),
    "T29 empty": (lambda: b"", "form"),
    "T29 HTML": (lambda: b"<html>", "form"),
    "T29 no ASCII": (lambda: b"\xff\xfe", "status-list"),
    "T29 an array": (lambda: b"[]", "form"),
    "T29 a member twice": (lambda: b'{"id":"a","id":"b"}', "status-list"),
    "T30 bomb of zeros": (lambda: list_2(encoded=text(gzip.compress(bytes(64 << 20)))), "status-list"),
    "T30 nested": (lambda: list_2(encoded=text(NESTED)), "status-list"),
    "T30 five megabytes of JSON": (lambda: json.dumps(list_tree(pad="x" * (5 << 20))).encode(), "status-list"),
    "T30 a token of five megabytes": (lambda: list_2(pad="x" * (5 << 20)), "size"),
    "two streams": (lambda: list_2(encoded=text(gzip.compress(bits()) + gzip.compress(bits(7)))), "status-list"),
    "something after": (lambda: list_2(encoded=text(gzip.compress(bits()) + b"x")), "status-list"),
    "broken off": (lambda: list_2(encoded=text(gzip.compress(bits())[:-9])), "status-list"),
    "wrong sum": (lambda: list_2(encoded=text(gzip.compress(bits())[:-8] + bytes(8))), "status-list"),
    "zlib": (lambda: list_2(encoded=text(zlib.compress(bits()))), "status-list"),
    "plain bits": (lambda: list_2(encoded=text(bits())), "status-list"),
    "no base64url": (lambda: list_2(encoded="u" + "*" * 40), "status-list"),
    "another base": (lambda: list_2(encoded="z" + packed(bits())[1:]), "status-list"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_list_that_cannot_be_relied_upon_fails_closed(name: str) -> None:
    make, check = BAD[name]
    assert judged(make()) == check


@pytest.mark.parametrize("index", ["131072", "9999999999", 131_072])
def test_an_entry_beyond_the_list_fails_closed(index: Any) -> None:
    assert judged(list_2(), index=index) == "status-list"
    assert judged(list_2(), index="131071") == ""


@pytest.mark.parametrize(
    "data",
    [
        list_2(),
        list_2(7, subject={"statusPurpose": ["message", "revocation"], "encodedList": packed(bits(8))}),
        list_2(id=..., validUntil=...),
        b" " + list_2() + b"\n",
        json.dumps({"type": "EnvelopedVerifiableCredential", "id": f"data:application/vc+jwt,{list_2().decode()}"}).encode(),
        list_2(encoded=packed(bits())[1:]),
        list_2(encoded=packed(bits()) + "=="),
        list_2(ttl=1),
    ],
)
def test_a_good_list_spares(data: bytes) -> None:
    assert judged(data) == ""


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
def test_a_set_bit_withdraws(purpose: str) -> None:
    assert judged(list_2(7, subject={"statusPurpose": purpose}), statusPurpose=purpose) == purpose


def test_every_entry_counts() -> None:
    other = "https://issuer.example/status/2"
    item = presentation_2(
        credential_2(tree_2(credentialStatus=[entry(), entry("9", statusPurpose="suspension", statusListCredential=other)]))
    )
    question = Question()
    question.lists[other] = list_2(9, id=other, subject={"statusPurpose": "suspension"})
    found = question.ask(item)
    assert isinstance(found, Failure)
    assert found.check == "suspension"


def test_an_unsigned_list_counts_for_an_issuer_that_may_not_sign() -> None:
    question = Question()
    question.trust = replace(question.trust, unsigned_lists=frozenset({ISSUER.did}))
    for revoked, kind in (((), Proven), ((7,), Failure)):
        question.lists[LIST] = json.dumps(list_tree(*revoked)).encode()
        assert isinstance(question.ask(shown()), kind)
    question.lists[LIST] = json.dumps(list_tree(issuer=STRANGER.did)).encode()
    assert isinstance(question.ask(shown()), Failure)


def test_entries_may_have_several_bits() -> None:
    # entry 3 of size 2 are bits 6 and 7
    assert judged(list_2(7), index="3", statusSize=2) == "revocation"
    assert judged(list_2(8), index="3", statusSize=2) == ""
    assert judged(list_2(), index="65536", statusSize=2) == "status-list"
    assert judged(list_2(), statusSize=9) == "status"


def test_a_bomb_costs_little_memory_and_time() -> None:
    encoded = text(gzip.compress(bytes(1 << 28), 9))
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Unproven):
        status.unpack(encoded)
    took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * status.MOST_BYTES
    assert took < 0.5


@given(st.sets(st.integers(0, 131_071), max_size=40))
def test_what_is_packed_is_unpacked(revoked: set[int]) -> None:
    plain = bits(*revoked)
    again = status.unpack(status.pack(plain))
    assert again == plain
    assert status.pack(plain) == status.pack(again)
    assert all(status.value(again, index) for index in revoked)
    assert status.value(again, next(index for index in range(50) if index not in revoked)) == 0


@given(st.integers(0, 1000), st.integers(1, 8), st.binary(min_size=1200, max_size=1200))
def test_an_entry_is_its_slice_of_the_bits(index: int, size: int, data: bytes) -> None:
    whole = "".join(f"{byte:08b}" for byte in data)
    assert status.value(data, index, size) == int(whole[index * size : (index + 1) * size], 2)


def test_a_list_that_one_key_has_proven_is_not_proven_by_another() -> None:
    question = Question()
    assert isinstance(question.ask(shown()), Proven)
    # the issuer has a new key under the old name: its credentials are signed with it, the list is still the old one
    renewed = Party(ISSUER.did, jose.generate(ISSUER.key.id))
    question.documents[ISSUER.did] = renewed.document(Relationship.ASSERTION)
    found = question.ask(presentation_2(credential_2(tree_2(credentialStatus=entry()), by=renewed)))
    assert isinstance(found, Failure)
    assert found.check == "signature"
    assert "status list" in found.words
