"""Messages as a peer may write them, and how to change one member of them."""

from __future__ import annotations

import copy
import json
from typing import Any

from connector.dsp.wire import DSP_CONTEXT as DSP

Tree = dict[str, Any]

CONSTRAINT: Tree = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}
OFFER: Tree = {
    "@id": "urn:o",
    "@type": "Offer",
    "target": "urn:d",
    "permission": [{"action": "use", "constraint": [CONSTRAINT]}],
}
REQUEST: Tree = {
    "@context": [DSP],
    "@type": "ContractRequestMessage",
    "consumerPid": "urn:c",
    "callbackAddress": "https://c.example/dsp",
    "offer": OFFER,
}
AGREEMENT: Tree = {
    **{**OFFER, "@type": "Agreement", "assigner": "did:web:p", "assignee": "did:web:c", "timestamp": "2025-01-01T00:00:00Z"}
}
AGREED: Tree = {
    "@context": [DSP],
    "@type": "ContractAgreementMessage",
    "providerPid": "urn:p",
    "consumerPid": "urn:c",
    "agreement": AGREEMENT,
}
TRANSFER: Tree = {
    "@context": [DSP],
    "@type": "TransferRequestMessage",
    "consumerPid": "urn:c",
    "agreementId": "urn:a",
    "format": "HttpData-PUSH",
    "callbackAddress": "https://c.example/dsp",
    "dataAddress": {
        "@type": "DataAddress",
        "endpointType": "HttpData",
        "endpointProperties": [{"@type": "EndpointProperty", "name": "authorization", "value": "x"}],
    },
}
TERMINATION: Tree = {
    "@context": [DSP],
    "@type": "ContractNegotiationTerminationMessage",
    "providerPid": "urn:p",
    "consumerPid": "urn:c",
}
STATE: Tree = {
    "@context": [DSP],
    "@type": "ContractNegotiation",
    "providerPid": "urn:p",
    "consumerPid": "urn:c",
    "state": "AGREED",
}
TREES = [REQUEST, AGREED, TRANSFER, TERMINATION, STATE]


def changed(tree: Tree, path: str, value: Any = ...) -> bytes:
    """The tree with one member, named as in the messages of errors, set or (without a value) taken away."""
    tree = copy.deepcopy(tree)
    node: Any = tree
    *parents, last = path.replace("[", ".[").split(".")
    for part in parents:
        node = node[int(part[1:-1])] if part.startswith("[") else node[part]
    key: Any = int(last[1:-1]) if last.startswith("[") else last
    if value is ...:
        del node[key]
    else:
        node[key] = value
    return json.dumps(tree).encode()
