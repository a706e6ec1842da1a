"""Raw exchanges with a member's public listener: what a peer of any make could send, and messages to send."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from connector.dsp import messages as m
from connector.testing.dataspace import USE, Member

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
NIL = "urn:uuid:00000000-0000-0000-0000-000000000000"
FAMILY_ERROR = {"catalog": "CatalogError", "negotiations": "ContractNegotiationError", "transfers": "TransferError"}


class Wire:
    """Sends bytes as one member to another, or as nobody."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(trust_env=False, timeout=10)

    async def close(self) -> None:
        await self._http.aclose()

    async def send(
        self,
        to: Member,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        caller: Member | None,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer to a request below the base address of `to`; a POST when there is a body."""
        sent = {"Authorization": caller.token_for(to)} if caller is not None else {}
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= dict(headers or {})
        url = f"{to.address}/{path}" if not path.startswith("http") else path
        return await self._http.request(method or ("GET" if body is None else "POST"), url, content=content, headers=sent)


def message(kind: str, **members: Any) -> dict[str, Any]:
    """A message with its context and type, and `members` as they are on the wire; None leaves one out."""
    tree = {"@context": CONTEXT, "@type": kind, **members}
    return {name: value for name, value in tree.items() if value is not None}


def request(
    dataset: str, offer_id: str, *, callback: str | None, consumer_pid: str = "urn:c:1", **members: Any
) -> dict[str, Any]:
    """A ContractRequestMessage."""
    offer = {"@id": offer_id, "@type": "Offer", "target": dataset, **USE}
    return message("ContractRequestMessage", consumerPid=consumer_pid, callbackAddress=callback, offer=offer, **members)


def example(kind: type[Any], *, provider_pid: str, consumer_pid: str, callback: str) -> dict[str, Any]:
    """A lawful message of any kind, about a process that need not exist."""
    pids = {"providerPid": provider_pid, "consumerPid": consumer_pid}
    terms = {"@id": "urn:o:1", "target": "urn:d:1", **USE}
    match kind.__name__:
        case "CatalogRequestMessage":
            return message("CatalogRequestMessage")
        case "ContractRequestMessage" | "ContractOfferMessage" as name:
            return message(name, **pids, offer={"@type": "Offer", **terms})
        case "ContractAgreementMessage" as name:
            parties = {"assigner": "urn:p", "assignee": "urn:c", "timestamp": "2026-01-01T00:00:00Z"}
            return message(name, **pids, agreement={"@type": "Agreement", **terms, **parties})
        case "ContractNegotiationEventMessage" as name:
            return message(name, **pids, eventType="ACCEPTED")
        case "TransferRequestMessage" as name:
            return message(
                name, consumerPid=consumer_pid, agreementId="urn:a:1", format="HttpData-PULL", callbackAddress=callback
            )
        case name:
            return message(name, **pids)


def first(kind: type[Any], tree: dict[str, Any], callback: str) -> dict[str, Any]:
    """`tree` as the first message of a process: with a callback instead of the other side's pid."""
    theirs = {m.ContractRequestMessage: "providerPid", m.ContractOfferMessage: "consumerPid"}.get(kind)
    if theirs is None:
        return tree
    return {name: value for name, value in tree.items() if name != theirs} | {"callbackAddress": callback}


def filled(address: str, id_: str) -> str:
    """An address of the protocol's table with an id in it."""
    return re.sub(r"\*", id_, address, count=1)
