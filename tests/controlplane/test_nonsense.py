"""Whatever terms a peer sends: they are judged, or refused as the peer's fault; nothing here ever breaks over them."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings

from connector.dsp import messages as m
from connector.dsp import wire
from connector.errors import CallerError
from connector.storage.memory import Memory
from connector.testing.clock import MovedClock
from tests.controlplane.scene import (
    BASE,
    BOB,
    DATASET,
    NOW,
    OFFER_ID,
    Node,
    PeerHost,
    assembled,
    members_only,
    only_for,
    running,
)
from tests.examples import examples

OPERANDS = ("purpose", "dateTime", "spatial", "count", "elapsedTime", "claim:membership", "acme:region")
OPERATORS = ("eq", "lt", "gteq", "isAnyOf", "isNoneOf", "neq", "hasPart", "odrl:eq")
VALUES: tuple[Any, ...] = (
    None, True, 0, 1.5, "", "use", "urn:x", [], {}, {"@id": "urn:q"}, {"@value": "x"}, {"@value": 5, "@type": "xsd:integer"},
    {"@value": "zzz", "@type": "xsd:dateTime"}, {"@value": "P1D", "@type": "xsd:duration"}, {"@list": [1, 2]}, ["a", "b"],
    "2026-01-01T00:00:00Z", "research", -1, 10**18, {"and": []}, "isAnyOf", "odrl:use",
)  # fmt: skip
constraints = st.recursive(
    st.builds(
        lambda left, operator, right: {"leftOperand": left, "operator": operator, "rightOperand": right},
        st.sampled_from(OPERANDS), st.sampled_from(OPERATORS), st.sampled_from(VALUES),
    ),
    lambda inner: st.builds(lambda name, items: {name: items}, st.sampled_from(("and", "or", "xone")), st.lists(inner, max_size=3)),
    max_leaves=5,
)  # fmt: skip
rules = st.builds(
    lambda action, found: {"action": action, **({"constraint": found} if found else {})},
    st.sampled_from(("use", "read", "odrl:use", "distribute")),
    st.lists(constraints, max_size=3),
)


@st.composite
def offers(draw: st.DrawFn) -> dict[str, Any]:
    """Terms of an offer, some of them with something in it that does not belong there."""
    tree: dict[str, Any] = {"permission": draw(st.lists(rules, min_size=1, max_size=2))}
    for name in ("prohibition", "obligation"):
        if draw(st.integers(0, 4)) == 0:
            tree[name] = draw(st.lists(rules, max_size=2))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(list(places(tree))))
        tree = put(tree, place, draw(st.sampled_from(VALUES)))
    return {**tree, "@id": OFFER_ID, "@type": "Offer", "target": DATASET}


def places(tree: Any, before: tuple[Any, ...] = ()) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, inner in items:
        yield (*before, name)
        yield from places(inner, (*before, name))


def put(tree: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(tree)
    node: Any = found
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    return found


async def asked(node: Node, offer: dict[str, Any], number: int) -> None:
    context = ["https://w3id.org/dspace/2025/1/context.jsonld"]
    members = {"@context": context, "consumerPid": f"urn:c:{number}", "callbackAddress": BASE, "offer": offer}
    body = orjson.dumps({"@type": "ContractRequestMessage", **members})
    try:
        received = wire.decode(body, m.ContractRequestMessage)
    except (CallerError, wire.ForeignContext):
        return
    # understood: then it is judged, and nothing of it is an error of ours, nor of the message
    await node.negotiations.receive_first("alice", BOB, received)
    await node.rest()


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(offers(), min_size=1, max_size=5), st.sampled_from([only_for("research"), members_only()]))
def test_no_terms_of_a_peer_are_an_error_of_ours(found: list[dict[str, Any]], policy: dict[str, Any]) -> None:
    async def story() -> None:
        node = assembled({}, memory=Memory(), clock=MovedClock(NOW), host=PeerHost())
        async with running(node):
            await node.publish(policy)
            for number, offer in enumerate(found):
                await asked(node, offer, number)

    asyncio.run(story())
