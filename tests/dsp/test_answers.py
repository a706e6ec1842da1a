"""A peer's answers are read leniently: their status says more than their body."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.tables import State
from connector.strict import Limits
from tests.dsp import strategies

ACK = {
    "@context": [wire.DSP_CONTEXT],
    "@type": "ContractNegotiation",
    "providerPid": "p",
    "consumerPid": "c",
    "state": "REQUESTED",
}


def read(tree: Any, kind: type[Any] = m.ContractNegotiationError) -> Any:
    return wire.read_answer(json.dumps(tree).encode(), kind)


# 5b row 1: any success is an acknowledgement; the body is optional
@pytest.mark.parametrize(
    "body", [b"", b" ", b"null", b"[]", b"OK", b"<html/>", b"\xff", b'{"a":1,"a":2}', b"{}", b'{"state":"REQUESTED"}']
)
def test_an_answer_without_use_is_nothing(body: bytes) -> None:
    assert wire.read_answer(body, m.ContractNegotiation) is None


def test_an_answer_larger_than_allowed_is_nothing() -> None:
    assert wire.read_answer(json.dumps(ACK).encode(), m.ContractNegotiation, Limits(max_bytes=9)) is None


@given(st.one_of(*(strategies.MESSAGES[kind] for kind in (*get_args(m.Acknowledgement), *get_args(m.ErrorMessage)))))
def test_our_own_answers_are_read(message: Any) -> None:
    assert wire.read_answer(wire.encode(message), type(message)) == message


@pytest.mark.parametrize(
    "tree",
    [
        ACK,
        {name: value for name, value in ACK.items() if name[0] != "@"},
        {"@context": {}, **{f"dspace:{name}" if name[0] != "@" else name: value for name, value in ACK.items()}},
        {f"https://w3id.org/dspace/2025/1/{name}" if name[0] != "@" else name: value for name, value in ACK.items()},
        {**ACK, "@type": "dspace:ContractNegotiation", "state": "dspace:REQUESTED", "providerPid": {"@id": "p"}},
        {**ACK, "edc:createdAt": 5, "@id": None},
        {**ACK, "edc:state": 800},
        {"edc:state": 800, **ACK},
    ],
)
def test_an_acknowledgement_is_read_in_any_spelling(tree: Any) -> None:
    found = read(tree, m.ContractNegotiation)
    assert (found.provider_pid, found.consumer_pid, found.state) == ("p", "c", State.REQUESTED)


def test_what_answers_something_else_is_nothing() -> None:
    assert read({**ACK, "@type": "TransferProcess"}, m.ContractNegotiation) is None
    assert read({**ACK, "state": "UNHEARD_OF"}, m.ContractNegotiation) is None


# 5b row 5: errors without pids, reasons of any shape
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (["a", "b"], ("a", "b")),
        ("a", ("a",)),
        (None, ()),
        ([], ()),
        ({"@value": "a", "@language": "en"}, ("a",)),
        (
            [{"@language": "en", "@value": "a"}, {"message": "b"}, {"odd": 1}, 7, None, ["c", "d"]],
            ("a", "b", '{"odd":1}', "7", "c; d"),
        ),
        (["x" * 9000], ("x" * 500,)),
    ],
)
def test_the_reasons_of_an_error_are_texts(reason: Any, words: tuple[str, ...]) -> None:
    for type_, kind in (
        ("ContractNegotiationError", m.ContractNegotiationError),
        ("TransferError", m.TransferError),
        ("CatalogError", m.CatalogError),
    ):
        found = read({"@type": type_, "code": "400", "reason": reason}, kind)
        assert found.code == "400"
        assert wire.reasons(found) == words


def test_an_error_of_the_old_protocol_is_understood() -> None:
    old = {
        "@context": {"dspace": "https://w3id.org/dspace/v0.8/", "dct": "http://purl.org/dc/terms/"},
        "@type": "dspace:ContractNegotiationError",
        "dspace:code": 400,
        "dct:description": [{"@value": "no", "@language": "en"}],
    }
    found = read(old)
    assert (found.code, wire.reasons(found), found.provider_pid) == ("400", ("no",), None)
