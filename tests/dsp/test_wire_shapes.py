"""What a member may be: each refusal with its place and mend, and what is unusual and read all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.dsp import wire
from connector.dsp.shape import OPERATORS
from connector.errors import BadMessage
from tests.dsp.strategies import MESSAGES
from tests.dsp.trees import AGREED, CONSTRAINT, REQUEST, STATE, TERMINATION, TRANSFER, Tree, changed

DSP = wire.DSP_CONTEXT
ALL = tuple(MESSAGES)
C = "offer.permission[0].constraint[0]"
EITHER = "send `callbackAddress` in the first message of a negotiation and `providerPid` in later ones"
ONE_OF = f"send one of {', '.join(OPERATORS)}"


@pytest.mark.parametrize(
    ("tree", "path", "value", "where", "what", "mend"),
    [
        (REQUEST, "@context", ..., "@context", "member `@context` is missing", f'send ["{DSP}"]'),
        (REQUEST, "@context", [], "@context", "`@context` is empty", f'send ["{DSP}"]'),
        (REQUEST, "@context", 5, "@context", "expected an array, found a number", f'send ["{DSP}"]'),
        (REQUEST, "@type", ..., "@type", "member `@type` is missing", "send ContractRequestMessage here"),
        (REQUEST, "@type", "Nonsense", "@type", '`@type` is "Nonsense"', "send ContractRequestMessage here"),
        (REQUEST, "consumerPid", ..., "consumerPid", "member `consumerPid` is missing", "the protocol requires it"),
        (REQUEST, "consumerPid", 5, "consumerPid", "expected text, found a number", "send text"),
        (REQUEST, "consumerPid", "", "consumerPid", "the text is empty", "leave it out, or give it a value"),
        (REQUEST, "consumerPid", "x" * 601, "consumerPid", "the text is too long", "use at most 600 characters"),
        (
            REQUEST,
            "callbackAddress",
            ...,
            "callbackAddress",
            "neither of `callbackAddress` and `providerPid` is there",
            EITHER,
        ),
        (
            REQUEST,
            "providerPid",
            "urn:p",
            "providerPid",
            "both of `callbackAddress` and `providerPid` are there",
            EITHER,
        ),
        (
            REQUEST,
            "callbackAddress",
            "ftp://x",
            "callbackAddress",
            '"ftp://x" is no address we can call',
            "send an absolute https URL",
        ),
        (
            REQUEST,
            "callbackAddress",
            "https://x/delete?all=",
            "callbackAddress",
            '"https://x/delete?all=" is no base address',
            "send it without query and fragment",
        ),
        (REQUEST, "offer", ..., "offer", "member `offer` is missing", "the protocol requires it"),
        (REQUEST, "offer", "urn:o", "offer", "expected an object, found text", "send an object"),
        (REQUEST, "offer.@id", ..., "offer.@id", "member `@id` is missing", "every policy has an id that is a URI"),
        (REQUEST, "offer.@type", ..., "offer.@type", "`@type` is missing", 'send "Offer"'),
        (REQUEST, "offer.@type", "Set", "offer.@type", '`@type` is "Set"', 'send "Offer"'),
        (REQUEST, "offer.target", ..., "offer.target", "member `target` is missing", "name the data set by its id"),
        (REQUEST, "offer.permission", [], "offer.permission", "the array is empty", "leave the member out, or give it an item"),
        (REQUEST, "offer.permission", "use", "offer.permission", "expected an array, found text", "send an array of objects"),
        (
            REQUEST,
            "offer.permission[0].action",
            ...,
            "offer.permission[0].action",
            "member `action` is missing",
            "name one action, such as `use`",
        ),
        (
            REQUEST,
            "offer.permission[0].action",
            {"@id": "use"},
            "offer.permission[0].action",
            "expected text, found an object",
            "name one action, such as `use`",
        ),
        (
            REQUEST,
            "offer.permission[0].target",
            "urn:x",
            "offer.permission[0].target",
            "a rule has no `target` of its own",
            "name the target of the whole policy",
        ),
        (
            REQUEST,
            C + ".operator",
            "equals",
            C + ".operator",
            'unknown operator "equals"',
            ONE_OF,
        ),
        (
            REQUEST,
            C + ".rightOperand",
            ...,
            C + ".rightOperand",
            "member `rightOperand` is missing",
            "send the value that is compared with",
        ),
        (
            REQUEST,
            C + ".leftOperand",
            ...,
            C + ".leftOperand",
            "member `leftOperand` is missing",
            "name what is compared, or send one of `and`, `andSequence`, `or`, `xone`",
        ),
        (
            REQUEST,
            C + ".or",
            [CONSTRAINT],
            C,
            "`or`, `leftOperand` stand side by side",
            "keep one of them and nest the others in it",
        ),
        (REQUEST, C, {"and": []}, C + ".and", "the array is empty", "leave the member out, or give it an item"),
        (
            REQUEST,
            C,
            {"xone": [{"or": [5]}]},
            C + ".xone[0].or[0]",
            "expected an object, found a number",
            "send `leftOperand`, `operator` and `rightOperand`",
        ),
        (REQUEST, "offer.profile", 5, "offer.profile", "expected text or an array of texts", "name the profiles by their IRIs"),
        (
            AGREED,
            "agreement.assigner",
            ...,
            "agreement.assigner",
            "member `assigner` is missing",
            "name the provider by its participant id",
        ),
        (
            AGREED,
            "agreement.assignee",
            ["x"],
            "agreement.assignee",
            "expected text, found an array",
            "name the consumer by its participant id",
        ),
        (
            AGREED,
            "agreement.timestamp",
            ...,
            "agreement.timestamp",
            "member `timestamp` is missing",
            "say when the agreement was made, as an xsd:dateTime",
        ),
        (
            AGREED,
            "agreement.timestamp",
            "yesterday",
            "agreement.timestamp",
            '"yesterday" is no xsd:dateTime',
            "send it like 2025-01-31T12:00:00Z",
        ),
        (
            TRANSFER,
            "callbackAddress",
            "https://x/y#z",
            "callbackAddress",
            '"https://x/y#z" is no base address',
            "send it without query and fragment",
        ),
        (
            TRANSFER,
            "callbackAddress",
            ...,
            "callbackAddress",
            "member `callbackAddress` is missing",
            "the protocol requires it",
        ),
        (
            TRANSFER,
            "dataAddress.endpointType",
            ...,
            "dataAddress.endpointType",
            "member `endpointType` is missing",
            "the protocol requires it",
        ),
        (
            TRANSFER,
            "dataAddress.endpointProperties[0].value",
            5,
            "dataAddress.endpointProperties[0].value",
            "expected text, found a number",
            "send text",
        ),
        (STATE, "state", "STARTED", "state", "a negotiation is never STARTED", "send a state of a negotiation"),
        (
            REQUEST,
            C + ".operator",
            {"@id": "eq"},
            C + ".operator",
            "expected text, found an object",
            "send one of eq, gt, gteq, lt, lteq, neq, isA, hasPart, isPartOf, isAllOf, isAnyOf, isNoneOf",
        ),
        (
            STATE,
            "state",
            "MAYBE",
            "state",
            '"MAYBE" is not allowed here',
            "send one of the protocol's states, without a prefix",
        ),
    ],
)
def test_a_refusal_names_the_place_and_the_mend(tree: Tree, path: str, value: Any, where: str, what: str, mend: str) -> None:
    kind = next(kind for kind in ALL if kind.__name__ == tree["@type"])
    with pytest.raises(BadMessage) as refused:
        wire.decode(changed(tree, path, value), kind)
    assert (refused.value.where, refused.value.what, refused.value.mend) == (where, what, mend)


@pytest.mark.parametrize(
    ("tree", "path", "value", "warning"),
    [
        # row 20 of the threads: explicit lists are written, both are read
        (REQUEST, "offer.permission", {"action": "use"}, "`offer.permission` is one object in the place of an array"),
        (REQUEST, "offer.permission[0].constraint", CONSTRAINT, "`offer.permission[0].constraint` is one object in the place of an array"),
        (REQUEST, C + ".rightOperand", 5, f"`{C}.rightOperand` is a number; the schema wants text or a typed value"),
        (REQUEST, C + ".operator", "odrl:eq", f'`{C}.operator` is "odrl:eq" in the place of `eq`'),
        # 5b row 4: a policy without any rule
        (REQUEST, "offer.permission", ..., "`offer` has no rule at all: nothing is permitted by it"),
        (AGREED, "agreement.permission", ..., "`agreement` has no rule at all: nothing is permitted by it"),
        (TERMINATION, "reason", "just so", "`reason` is not an array"),
        (TERMINATION, "code", 7, "`code` is not text"),
    ],
)  # fmt: skip
def test_what_is_unusual_is_read_and_told(tree: Tree, path: str, value: Any, warning: str) -> None:
    body = changed(tree, path, value)
    received = wire.decode(body, *ALL)
    assert received.warnings == (warning,)
    for name in ("offer", "agreement"):
        if name in tree:
            # the tree stays what the peer wrote
            assert getattr(received.message, name) == json.loads(body)[name]
