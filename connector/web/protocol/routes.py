"""Every address of the Dataspace Protocol, as one table for both roles: a process id says which role we have.

Source: Dataspace Protocol 2025-1, Catalog, Contract Negotiation and Transfer Process HTTPS bindings, "Path Bindings".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, quote

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from connector.controlplane.catalog import Catalogs
from connector.dsp import messages as m
from connector.dsp import version
from connector.dsp.tables import Role
from connector.errors import MethodNotAllowed, NotFound
from connector.ports.identity import Caller
from connector.web import edge
from connector.web.callers import Callers
from connector.web.errors import Family
from connector.web.protocol.exchange import Address, Answer, Asked, Exchange, Post

_BASE: Final = f"/dsp/{version.OURS}"


class Processes(Protocol):
    """The use cases of negotiations, and those of transfers: one shape."""

    async def receive_first(self, participant: str, caller: Caller, received: Any, /) -> bytes: ...
    async def receive(self, participant: str, caller: Caller, pid: str, received: Any, /) -> bytes: ...
    async def answer(self, participant: str, caller: Caller, pid: str, /) -> bytes: ...


Table = Mapping[str, Address]
"""Address below the base, with `*` for an id, to what it does."""


def table(callers: Callers, catalogs: Catalogs, negotiations: Processes, transfers: Processes) -> Table:
    """The whole protocol: what each address takes and gives."""
    return {
        **_catalog(callers, catalogs),
        **_negotiations(negotiations),
        **_transfers(transfers),
    }


def _catalog(callers: Callers, catalogs: Catalogs) -> Table:
    async def page(asked: Asked, message: m.CatalogRequestMessage, cursor: str | None) -> Answer:
        found = await catalogs.answer(asked.participant, asked.caller, message, cursor=cursor)
        address = (await callers.context(asked.participant)).address
        # RFC 8288; what a follow-up looks like is left to us: a GET of the address with the cursor
        links = [
            f'<{address}/catalog/request?cursor={quote(to, safe="")}>; rel="{rel}"'
            for rel, to in (("next", found.next), ("previous", found.previous))
            if to is not None
        ]
        headers = ((b"etag", found.etag.encode()), *(((b"link", ", ".join(links).encode()),) if links else ()))
        if asked.scope["method"] == "GET" and found.etag.removeprefix("W/") in _known_tags(asked.scope):
            return Answer(status=304, body=b"", headers=headers)
        return Answer(body=found.body, headers=headers)

    async def first(asked: Asked, received: Any) -> Answer:
        return await page(asked, received.message, _cursor(asked.scope))

    async def follow_up(asked: Asked) -> Answer:
        return await page(asked, m.CatalogRequestMessage(), _cursor(asked.scope))

    async def dataset(asked: Asked) -> Answer:
        return Answer(body=await catalogs.dataset(asked.participant, asked.caller, asked.id))

    return {
        "catalog/request": Address(
            family=Family.CATALOG, post=Post(message=m.CatalogRequestMessage, serve=first), get=follow_up
        ),
        "catalog/datasets/*": Address(family=Family.CATALOG, get=dataset),
    }


def _negotiations(use: Processes) -> Table:
    def later(message: type[Any], ours: Role | None = None) -> Address:
        return Address(family=Family.NEGOTIATION, ours=ours, post=Post(message=message, serve=_later(use)))

    def first(message: type[Any]) -> Address:
        return Address(family=Family.NEGOTIATION, post=Post(message=message, serve=_first(use)))

    return {
        "negotiations/request": first(m.ContractRequestMessage),
        "negotiations/offers": first(m.ContractOfferMessage),
        "negotiations/*": Address(family=Family.NEGOTIATION, get=_state(use)),
        "negotiations/*/request": later(m.ContractRequestMessage, Role.PROVIDER),
        "negotiations/*/offers": later(m.ContractOfferMessage, Role.CONSUMER),
        "negotiations/*/agreement": later(m.ContractAgreementMessage, Role.CONSUMER),
        "negotiations/*/agreement/verification": later(m.ContractAgreementVerificationMessage, Role.PROVIDER),
        "negotiations/*/events": later(m.ContractNegotiationEventMessage),
        "negotiations/*/termination": later(m.ContractNegotiationTerminationMessage),
    }


def _transfers(use: Processes) -> Table:
    def later(message: type[Any]) -> Address:
        return Address(family=Family.TRANSFER, post=Post(message=message, serve=_later(use)))

    return {
        "transfers/request": Address(family=Family.TRANSFER, post=Post(message=m.TransferRequestMessage, serve=_first(use))),
        # a consumer's side of this one is not in the standard; peers ask for it all the same
        "transfers/*": Address(family=Family.TRANSFER, get=_state(use)),
        "transfers/*/start": later(m.TransferStartMessage),
        "transfers/*/suspension": later(m.TransferSuspensionMessage),
        "transfers/*/completion": later(m.TransferCompletionMessage),
        "transfers/*/termination": later(m.TransferTerminationMessage),
    }


def _first(use: Processes) -> Callable[[Asked, Any], Awaitable[Answer]]:
    async def serve(asked: Asked, received: Any) -> Answer:
        return Answer(status=201, body=await use.receive_first(asked.participant, asked.caller, received))

    return serve


def _later(use: Processes) -> Callable[[Asked, Any], Awaitable[Answer]]:
    async def serve(asked: Asked, received: Any) -> Answer:
        return Answer(body=await use.receive(asked.participant, asked.caller, asked.id, received))

    return serve


def _state(use: Processes) -> Callable[[Asked], Awaitable[Answer]]:
    async def serve(asked: Asked) -> Answer:
        return Answer(body=await use.answer(asked.participant, asked.caller, asked.id))

    return serve


def _cursor(scope: Scope) -> str | None:
    sent: bytes = scope["query_string"]
    found = parse_qs(sent.decode("ascii", "replace")).get("cursor")
    return found[0] if found else None


def _known_tags(scope: Scope) -> frozenset[str]:
    """The entity tags that the caller has (RFC 9110, 13.1.2); weak ones compare by their text."""
    sent = edge.header(scope, b"if-none-match") or ""
    return frozenset(part.strip().removeprefix("W/") for part in sent.split(","))


def found(addresses: Table, rest: str) -> tuple[Address, str] | None:
    """What the address `rest` below the base does, and the id in it; None when there is no such address."""
    direct = addresses.get(rest)
    if direct is not None:
        return direct, ""
    if rest.startswith("catalog/datasets/"):
        # ids of datasets may have slashes, and arrive here unescaped
        return addresses["catalog/datasets/*"], rest.removeprefix("catalog/datasets/")
    family, _, below = rest.partition("/")
    id_, slash, act = below.partition("/")
    known = addresses.get(f"{family}/*{slash}{act}")
    return (known, id_) if known is not None and id_ else None


class _Door:
    """The Dataspace Protocol of every participant, as one ASGI application below one route."""

    def __init__(self, exchange: Exchange, addresses: Table) -> None:
        self._exchange = exchange
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = scope["path_params"]
        known = found(self._addresses, names["rest"])
        if known is None:
            raise NotFound("there is no such address", where=scope["path"], mend="see the protocol's binding")
        await self._exchange.run(known[0], names["participant"], known[1], scope, receive, send)


class _Versions:
    """Which versions of the protocol a participant speaks, and where: for everybody.

    Source: Dataspace Protocol 2025-1, "Exposure of Versions".
    """

    _BODY: Final = version.encode(version.ours(_BASE))

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._callers.context(scope["path_params"]["participant"])
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "HEAD"))
        await edge.reply(send, 200, self._BODY)


def routes(exchange: Exchange, addresses: Table) -> list[BaseRoute]:
    """The protocol's routes for a public listener."""
    return [
        Route(f"/{{participant}}{_BASE}/{{rest:path}}", _Door(exchange, addresses)),
        Route("/{participant}/.well-known/dspace-version", _Versions(exchange.callers)),
    ]
