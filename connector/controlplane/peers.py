"""Reaching another connector: which base address it means, and requests that are answered at once (versions, catalogues).

Source: Dataspace Protocol 2025-1, "Exposure of Versions" and "Version Endpoint" for the base address.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from connector import strict, tracing
from connector.dsp import version
from connector.errors import BadMessage, ConfigurationError, Conflict, PeerAnswer, PeerError, PeerMessage, TooLarge
from connector.outbound.client import Answer, OutboundClient, wait_s
from connector.ports.clock import Clock
from connector.ports.identity import TokenSource

_KEPT = 4096
_REMEMBERED = timedelta(minutes=10)
_MOST_SAID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    base: str
    until: datetime


class Peers:
    """Other connectors, by the address an operator gave."""

    def __init__(self, outbound: OutboundClient, tokens: TokenSource, clock: Clock) -> None:
        self._outbound = outbound
        self._tokens = tokens
        self._clock = clock
        self._bases: OrderedDict[str, _Known] = OrderedDict()

    async def base(self, address: str) -> str:
        """The base address of Dataspace Protocol 2025-1 that `address` means.

        A version document below `address` names it, or one at the root of its host that leads to something below `address`;
        without one `address` is the base itself.
        Raises: AddressRefused; PeerMessage when the peer has a version document and does not speak 2025-1.
        """
        address = address.rstrip("/")
        self._outbound.vet(address)
        now = self._clock.now()
        known = self._bases.get(address)
        if known is not None and now < known.until:
            return known.base
        try:
            base = await self._discovered(address)
        except PeerMessage:
            raise
        except PeerError:
            # whether it can be reached at all is found out, and said, by the message itself; the next question asks again
            return address
        self._bases[address] = _Known(base=base, until=now + _REMEMBERED)
        if len(self._bases) > _KEPT:
            self._bases.popitem(last=False)
        return base

    async def _discovered(self, address: str) -> str:
        below = await self._document(address)
        if below is not None:
            return below
        parts = urlsplit(address)
        if parts.path:
            # at the root of a host stands the document of one of its tenants, or of none: only one that agrees is followed
            try:
                at_root = await self._document(f"{parts.scheme}://{parts.netloc}")
            except PeerError:
                return address
            if at_root is not None and at_root.startswith(f"{address}/"):
                return at_root
        return address

    async def _document(self, root: str) -> str | None:
        """The base that the version document below `root` names; None where there is none."""
        answer = await self._outbound.get(f"{root}/.well-known/dspace-version", {"accept": "application/json"})
        if answer.status >= 500:
            raise PeerAnswer(f"the peer answered {answer.status}", answer_status=answer.status, where=root)
        if not answer.is_success:
            return None
        try:
            return version.base_address(root, answer.body)
        except (BadMessage, TooLarge):
            return None

    async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
        """What is attested about `peer`, as far as `participant` knows without asking it."""
        return await self._tokens.claims_of(participant, peer)

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        *,
        participant: str,
        peer: str | None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """The answer of `peer` to a request of `participant`; `headers` are sent besides, `max_bytes` lowers what is taken of it.

        Raises: PeerAnswer for an answer that is no success (304 is one), Unreachable, PeerMessage for one that is too large,
        AddressRefused, Conflict when nothing is configured that proves us to this peer.
        """
        try:
            authorization = await self._tokens.authorization(participant, peer or "", url)
        except ConfigurationError as fault:
            # it is the request that does not fit what is configured, and whoever asks can mend either
            raise Conflict(fault.what, where=fault.where, mend=fault.mend) from fault
        with tracing.span("ask a peer", "client", **{"kontor.participant": participant, "kontor.peer": peer or ""}) as span:
            sent = {"accept": "application/json", **tracing.headers(), **(headers or {})}
            if authorization is not None:
                sent["authorization"] = authorization
            given = None if method == "GET" else body
            if given is not None:
                sent["content-type"] = "application/json"
            answer = await self._outbound.request(method, url, given, sent, max_bytes=max_bytes)
            span.note(**{"http.response.status_code": answer.status})
        if not answer.is_success:
            said = _said(answer.body)
            raise PeerAnswer(
                f"the peer answered {answer.status}" + (f": {said}" if said else ""),
                answer_status=answer.status,
                where=url,
                wait_s=wait_s(answer.headers),
                body=answer.body,
                mend="a 401 or 404 of a peer often means that it does not know us" if answer.status in (401, 403, 404) else "",
            )
        return answer


def _said(body: bytes) -> str:
    """What a refusal says: what was wrong and how to mend it, where it is a problem in JSON (RFC 9457); else how it begins."""
    try:
        tree = strict.scan(body)
    except (BadMessage, TooLarge):
        tree = None
    parts = [tree.get(name) for name in ("detail", "mend")] if isinstance(tree, dict) else []
    told = "; ".join(part for part in parts if isinstance(part, str) and part)
    return " ".join((told[:_MOST_SAID] or body[:_MOST_SAID].decode("utf-8", "replace")).split())
