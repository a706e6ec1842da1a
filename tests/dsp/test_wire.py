"""Messages are read wide and written narrow."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.shape import MAX_ID_CHARS
from connector.errors import BadMessage, TooLarge
from connector.strict import Limits
from tests.dsp import strategies
from tests.dsp.strategies import MESSAGES
from tests.dsp.trees import OFFER, REQUEST, TREES, Tree, changed

DSP = wire.DSP_CONTEXT
ALL = tuple(MESSAGES)


def refusal(body: bytes, *types: type[Any]) -> BadMessage:
    with pytest.raises(BadMessage) as refused:
        wire.decode(body, *(types or ALL))
    return refused.value


@given(strategies.messages)
def test_what_is_encoded_is_decoded_to_the_same(message: Any) -> None:
    body = wire.encode(message)
    received = wire.decode(body, type(message))
    assert received.message == message
    assert (received.message_id, received.raw, received.warnings) == (message.id, body, ())
    # and so it is by anybody else's spacing, order and escapes
    other = json.dumps(dict(reversed(json.loads(body).items())), indent=1).encode()
    assert wire.decode(other, *ALL).message == message


@given(strategies.messages)
def test_what_is_encoded_has_nothing_empty_and_one_context(message: Any) -> None:
    tree = json.loads(wire.encode(message))
    assert tree["@context"] == [DSP]
    assert tree["@type"] == type(message).__name__
    assert [name for name, value in tree.items() if value in (None, [], ())] == []


@given(strategies.messages)
def test_a_foreign_spelling_says_the_same(message: Any) -> None:
    tree = json.loads(wire.encode(message))
    prefixed = {f"dspace:{name}" if name[0] not in "@h" and name != "format" else name: value for name, value in tree.items()}
    body = json.dumps({**prefixed, "@type": f"dspace:{tree['@type']}"}).encode()
    with pytest.raises(wire.ForeignContext):
        wire.decode(body, type(message))
    with pytest.raises(wire.ForeignContext):
        wire.decode(json.dumps({**tree, "@type": f"https://w3id.org/dspace/2025/1/{tree['@type']}"}).encode(), type(message))


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree["@type"])
def test_full_iris_and_prefixes_are_read_the_slow_way(tree: Tree) -> None:
    from connector import jsonld

    (expanded,) = jsonld.expand(tree)
    body = json.dumps({"@context": {"odrl": "http://www.w3.org/ns/odrl/2/"}, **expanded}).encode()
    with pytest.raises(wire.ForeignContext):
        wire.decode(body, *ALL)
    received = wire.decode_foreign(body, *ALL)
    assert received.message == wire.decode(json.dumps(tree).encode(), *ALL).message
    assert received.raw == body
    assert received.warnings == ("the message is foreign JSON-LD",)


@pytest.mark.parametrize(
    "spelled",
    [
        b'"odrl:prohibition"',
        b'"http://www.w3.org/ns/odrl/2/prohibition"',
        b'"\\u006fdrl:prohibition"',
        b'"http:\\/\\/www.w3.org\\/ns\\/odrl\\/2\\/prohibition"',
    ],
)
def test_a_rule_behind_a_prefix_is_never_overlooked(spelled: bytes) -> None:
    body = json.dumps(REQUEST).encode().replace(b'"permission"', spelled + b': [{"action": "use"}], "permission"')
    with pytest.raises(wire.ForeignContext):
        wire.decode(body, m.ContractRequestMessage)
    (rule,) = wire.decode_foreign(body, m.ContractRequestMessage).message.offer["prohibition"]
    assert rule == {"action": "use"}


def test_what_only_looks_foreign_is_plain() -> None:
    tree = copy.deepcopy(REQUEST)
    tree["offer"]["permission"][0] |= {"action": "odrl:use", "odrl:unit": "http://www.w3.org/ns/odrl/2/x"}
    tree["dct:title"] = 'a "dspace:consumerPid" in a text'
    assert wire.decode(json.dumps(tree).encode(), m.ContractRequestMessage).warnings == ()


# 5b row 2: a second context, unknown to us, changes nothing and is not fetched
@pytest.mark.parametrize("url", ["https://w3id.org/edc/dspace/v0.0.1", "https://never.heard.example/of"])
def test_another_context_beside_the_protocols_is_not_looked_at(url: str) -> None:
    for contexts in ([DSP, url], [url, DSP]):
        assert wire.decode(changed(REQUEST, "@context", contexts), m.ContractRequestMessage).warnings == ()


@pytest.mark.parametrize(
    ("context", "warning"),
    [
        (DSP, "`@context` is text in the place of an array"),
        ([DSP, {"fx-policy": "https://w3id.org/factoryx/policy/v1.0/"}], "`@context[1]` is an object in the place of a URL"),
    ],
)
def test_a_context_of_another_shape_is_told(context: Any, warning: str) -> None:
    assert wire.decode(changed(REQUEST, "@context", context), m.ContractRequestMessage).warnings == (warning,)


@pytest.mark.parametrize(
    "context",
    [
        {"dspace": "https://w3id.org/dspace/2025/1/"},
        "https://w3id.org/dspace/2024/1/context.json",
        ["https://w3id.org/dspace/v0.8/context.json"],
        [DSP, {"consumerPid": "urn:evil"}],
        [DSP, {"x": "https://w3id.org/dspace/2025/1/"}],
        [DSP, {"w": "http://www.w3.org/ns/"}],
        [DSP, {"@vocab": "urn:v"}],
        [DSP, {"t": {"@id": "urn:t"}}],
    ],
    ids=str,
)
def test_other_contexts_take_the_slow_way(context: Any) -> None:
    with pytest.raises(wire.ForeignContext):
        wire.decode(changed(REQUEST, "@context", context), m.ContractRequestMessage)


def test_expanded_messages_need_no_context() -> None:
    body = b'{"@type": "https://w3id.org/dspace/2025/1/CatalogRequestMessage", "https://w3id.org/dspace/2025/1/filter": {}}'
    with pytest.raises(wire.ForeignContext):
        wire.decode(body, m.CatalogRequestMessage)
    # a filter that is an empty object asks for nothing in particular
    assert wire.decode_foreign(body, m.CatalogRequestMessage).message == m.CatalogRequestMessage()
    # a name of our own terms means nothing without a context
    for name in (b"filter", b"dspace:filter", b"https://w3id.org/dspace/2025/1/filter"):
        with pytest.raises(BadMessage, match="`@context` is missing"):
            wire.decode(b'{"@type": "CatalogRequestMessage", "%s": {}}' % name, m.CatalogRequestMessage)


def test_an_old_version_is_refused_the_slow_way_too() -> None:
    unknown = changed(REQUEST, "@context", ["https://w3id.org/dspace/2024/1/context.json"])
    with pytest.raises(BadMessage, match=r'unknown context "https://w3id.org/dspace/2024/1/context.json" at `@context\[0\]`'):
        wire.decode_foreign(unknown, m.ContractRequestMessage)
    old = json.dumps(
        {"@context": {"dspace": "https://w3id.org/dspace/v0.8/"}, "@type": "dspace:ContractRequestMessage"}
    ).encode()
    with pytest.raises(BadMessage, match=r"`@type` is .*v0.8/ContractRequestMessage.*; send ContractRequestMessage here"):
        wire.decode_foreign(old, m.ContractRequestMessage)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).what.startswith("expected an object, found ")
    with pytest.raises(BadMessage, match="expected an object"):
        wire.decode_foreign(body, *ALL)


def test_obligations_alone_are_no_policy() -> None:
    body = changed({**REQUEST, "offer": {**OFFER, "obligation": [{"action": "delete"}]}}, "offer.permission")
    assert refusal(body).what == "there are obligations and neither permission nor prohibition"


def test_unknown_members_are_left_alone() -> None:
    body = changed(changed_tree := {**REQUEST, "edc:x": {"y": [1]}}, "bare", 1)
    assert wire.decode(body, m.ContractRequestMessage).message == wire.decode(json.dumps(REQUEST).encode(), *ALL).message
    assert "bare" not in changed_tree


def test_null_is_the_same_as_absent() -> None:
    assert wire.decode(changed(REQUEST, "providerPid", None), *ALL).message.provider_pid is None


def test_the_purpose_travels_by_its_full_iri() -> None:
    body = json.dumps({**REQUEST, "https://w3id.org/kontor/ns/purpose": "research"}).encode()
    message = wire.decode(body, m.ContractRequestMessage).message
    assert message.purpose == "research"
    assert json.loads(wire.encode(message))[m.PURPOSE_IRI] == "research"


def test_identifiers_fit_an_index() -> None:
    assert wire.decode(changed(REQUEST, "consumerPid", "x" * MAX_ID_CHARS), *ALL)
    for path in ("offer.@id", "offer.target"):
        assert refusal(changed(REQUEST, path, "x" * (MAX_ID_CHARS + 1))).mend == "use at most 600"


def test_a_message_has_its_limits() -> None:
    with pytest.raises(TooLarge):
        wire.decode(json.dumps(REQUEST).encode(), *ALL, limits=Limits(max_bytes=100))
    with pytest.raises(TooLarge):
        wire.decode_foreign(json.dumps(REQUEST).encode(), *ALL, limits=Limits(max_bytes=100))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.sampled_from(["Offer", "use", "dspace:x", DSP]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@id", "@type", "@context", "offer", "target", "permission", "odrl:permission", "and", "x", "dct:y"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(TREES), st.data())
def test_a_broken_message_is_only_ever_refused(tree: Tree, data: st.DataObject) -> None:
    tree = copy.deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        node: Any = tree
        while isinstance(node, dict | list) and node and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
            if not isinstance(node[key], dict | list) or data.draw(st.booleans()):
                node[key] = data.draw(_json)
                break
            node = node[key]
    body = bytearray(json.dumps(tree).encode())
    if data.draw(st.integers(0, 3)) == 0:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    only_ever_refused(bytes(body))


@given(_json)
def test_any_json_is_only_ever_refused(tree: Any) -> None:
    only_ever_refused(json.dumps(tree).encode())


def only_ever_refused(body: bytes) -> None:
    started = time.process_time()
    try:
        wire.decode(body, *ALL)
    except wire.ForeignContext:
        try:
            wire.decode_foreign(body, *ALL)
        except (BadMessage, TooLarge) as fault:
            text = str(fault)
        else:
            text = ""
    except (BadMessage, TooLarge) as fault:
        text = str(fault)
    else:
        text = ""
    wire.read_answer(body, m.ContractNegotiationError)
    assert "\n" not in text
    assert len(text) < 2000
    assert time.process_time() - started < 1
