"""What a holder shows is what was asked for, good now, in presentations that our own verifier accepts."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from connector.errors import BadMessage, TooLarge, Unproven
from connector.identity import messages, presenting
from connector.identity.credentials import Proven
from connector.identity.formats import Model, read_credential
from connector.identity.scopes import parse
from tests.identity.space import HOLDER, MEMBER, NOW, VERIFIER, Question, credential_1, credential_2, date, tree_1, tree_2

SENSITIVE = parse("org.eclipse.dspace.dcp.vc.type:SensitiveDataCredential")
OLD, NEW = read_credential(credential_1()), read_credential(credential_2())
OTHER = read_credential(credential_1(tree_1(type=["VerifiableCredential", "SensitiveDataCredential"])))


def shown(*chosen: Any, models: Any = tuple(Model)) -> tuple[str, ...]:
    ids = (str(number) for number in itertools.count())
    return presenting.present(chosen, HOLDER.key, holder=HOLDER.did, verifier=VERIFIER, now=NOW, ids=ids, models=models)


def test_only_what_was_asked_for_and_is_good_now_is_chosen() -> None:
    over = read_credential(credential_2(tree_2(validUntil=date(days=-1))))
    later = read_credential(credential_2(tree_2(validFrom=date(days=1))))
    # a connector of the Eclipse family refuses an answer with such a one in it, and all that stands beside it
    silent = read_credential(credential_1(tree_1(credentialSubject={"id": HOLDER.did})))
    held = [over, OLD, later, silent, OTHER, NEW]
    assert presenting.choose(held, [MEMBER], NOW) == (OLD, NEW)
    assert presenting.choose(held, [SENSITIVE], NOW) == (OTHER,)
    assert presenting.choose(held, [], NOW) == ()


@pytest.mark.parametrize("held", [(OLD,), (NEW,), (OTHER, NEW), (OLD, OTHER)])
def test_our_verifier_accepts_what_we_show(held: tuple[Any, ...]) -> None:
    found = Question().scoped(parse(f"org.eclipse.edc.vc.type:{held[0].types[0]}:read")).ask(*shown(*held))
    assert isinstance(found, Proven), found
    assert {one.types for one in found.credentials} == {one.types for one in held}
    assert found.refused == ()


def test_a_type_held_in_both_models_is_shown_once() -> None:
    assert len(shown(OLD, NEW)) == 1
    assert len(shown(OTHER, NEW)) == 2
    found = Question().ask(*shown(OLD, NEW, models=(Model.V2, Model.V1)))
    assert isinstance(found, Proven)
    assert [one.model for one in found.credentials] == [Model.V2]
    assert shown(NEW, models=(Model.V1,)) == shown() == ()


def test_questions_and_answers_are_read_as_they_are_written() -> None:
    question = messages.read_query(json.dumps(messages.query([MEMBER.text])).encode())
    assert question == messages.Query(scopes=(MEMBER.text,), has_definition=False)
    assert messages.read_answer(json.dumps(messages.answer(["a", "b"])).encode()) == ("a", "b")
    assert messages.query_address("https://a.example/dcp/") == "https://a.example/dcp/presentations/query"


@pytest.mark.parametrize(
    "changes",
    [
        {"presentationDefinition": {"id": "x"}},
        {"scope": []},
        {"scope": None},
        {"scope": ""},
        {"scope": [1]},
        {"scope": [""]},
        {"type": "PresentationResponseMessage"},
        {"type": None},
        {"@context": []},
        {"@context": None},
        {"@context": ["https://example.org/context"]},
        {"@context": [messages.DCP_CONTEXT, {"scope": "https://example.org/other"}]},
        {"@context": ["http://127.0.0.1/context"]},
        {"@context": ["https://w3id.org/tractusx-trust/v0.8"]},
        {"@context": ["https://identity.foundation/presentation-exchange/submission/v1"]},
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        messages.read_query(json.dumps({**messages.query([MEMBER.text]), **changes}).encode())


def test_a_definition_is_told_from_an_empty_one() -> None:
    asked = {name: value for name, value in messages.query([]).items() if name != "scope"}
    assert messages.read_query(json.dumps({**asked, "presentationDefinition": {"id": "x"}}).encode()).has_definition
    for empty in ({}, None):
        with pytest.raises(BadMessage):
            messages.read_query(json.dumps({**asked, "presentationDefinition": empty}).encode())
    with pytest.raises(BadMessage):
        messages.read_query(json.dumps(asked).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"type":"a","type":"b"}', b"[" * 100 + b"]" * 100])
def test_a_body_that_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        messages.read_query(data)
    with pytest.raises(Unproven) as caught:
        messages.read_answer(data)
    assert caught.value.check == "answer"


def test_bodies_have_a_bound() -> None:
    with pytest.raises(TooLarge):
        messages.read_query(b" " * (messages.QUERY_LIMITS.max_bytes + 1))
    with pytest.raises(Unproven):
        messages.read_answer(b" " * (messages.ANSWER_LIMITS.max_bytes + 1))
