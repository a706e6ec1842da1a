"""Contract requests as bytes: the messages that both sides of the comparison get, each with ids of its own."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.bench.nodes import PURPOSE

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"


def contract_request(callback: str, offer: dict[str, Any]) -> bytes:
    """A first message of a consumer, as it goes over the wire."""
    message = {
        "@context": [CONTEXT],
        "@type": "ContractRequestMessage",
        "@id": f"urn:uuid:{uuid.uuid4()}",
        "consumerPid": f"urn:uuid:{uuid.uuid4()}",
        "callbackAddress": callback,
        "https://w3id.org/kontor/ns/purpose": PURPOSE,
        "offer": offer,
    }
    return json.dumps(message, separators=(",", ":")).encode()
