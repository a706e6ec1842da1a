"""How we prove ourselves to upstreams that want more than a fixed header: tokens of an OAuth2 server, client certificates.

What lives here: tokens by the client credentials grant, kept until shortly before they end; connections with a client certificate.
What does not: secrets (`controlplane/secrets.py`), what is asked of an upstream (`upstream.py`).
Source: RFC 6749, sections 4.4 and 2.3.1; RFC 8705 is about tokens bound to certificates and is not needed for either.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from connector.errors import BadMessage, KontorError, SourceError
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown
from connector.ports.clock import Clock
from connector.ports.dataplane import ClientCredentials, Source
from connector.strict import Limits, scan

if TYPE_CHECKING:
    import ssl

_MOST_TOKENS: Final = 1000
_MOST_CERTIFICATES: Final = 64
_EARLY: Final = timedelta(seconds=30)
"""How long before its end a token is not used any more: it has to last as long as the upstream takes to read it."""
_UNTOLD: Final = timedelta(minutes=5)
"""How long a token is kept whose server does not say when it ends."""
_LONGEST_S: Final = 10**9
_ANSWER: Final = Limits(max_bytes=64 << 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    header: str
    until: datetime


class Logins:
    """Knows how to reach the upstream of a source. Open it with `async with`."""

    def __init__(self, upstreams: OutboundClient, clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._tokens: OrderedDict[ClientCredentials, _Token] = OrderedDict()
        self._asking: dict[ClientCredentials, asyncio.Lock] = {}
        self._shown: OrderedDict[str, tuple[OutboundClient, AsyncExitStack]] = OrderedDict()

    async def __aenter__(self) -> Logins:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for _, stack in self._shown.values():
            await stack.aclose()
        self._shown.clear()

    @property
    def common(self) -> OutboundClient:
        """The way to all upstreams that want no certificate of ours."""
        return self._upstreams

    async def client(self, source: Source) -> OutboundClient:
        """The way to the upstream: the common one, or one that shows the certificate of the source.

        Raises: ConfigurationError when the certificate or its key cannot be used.
        """
        if source.certificate is None:
            return self._upstreams
        key = hashlib.sha256(source.certificate.encode()).hexdigest()
        if key in self._shown:
            self._shown.move_to_end(key)
            return self._shown[key][0]
        stack = AsyncExitStack()
        client = await stack.enter_async_context(self._upstreams.showing(source.certificate))
        self._shown[key] = client, stack
        while len(self._shown) > _MOST_CERTIFICATES:
            oldest = self._shown.pop(next(iter(self._shown)))
            await oldest[1].aclose()
        return client

    def tls_context_for(self, pem: str | None) -> ssl.SSLContext:
        """Whom we believe of what our operator names, and the certificate that we show it; as the client's."""
        return self._upstreams.tls_context_for(pem)

    async def headers(self, source: Source) -> Mapping[str, str]:
        """The headers that prove us to the upstream.

        Raises: SourceError when the token server refuses us or fails.
        """
        credentials = source.client
        if credentials is None:
            return source.headers or {}
        lock = self._asking.setdefault(credentials, asyncio.Lock())
        try:
            async with lock:
                kept = self._tokens.get(credentials)
                if kept is None or kept.until <= self._clock.now():
                    kept = self._tokens[credentials] = await self._ask(credentials)
                    while len(self._tokens) > _MOST_TOKENS:
                        self._tokens.popitem(last=False)
        finally:
            if not lock.locked():
                self._asking.pop(credentials, None)
        return {"Authorization": kept.header}

    def refused(self, source: Source, shown: Mapping[str, str]) -> bool:
        """Whether it is worth trying again after a 401 to the headers `shown`: with another token than the one in them.

        Of many requests that were refused at once the first makes the token forgotten, and all of them get the next one.
        """
        if source.client is None:
            return False
        kept = self._tokens.get(source.client)
        if kept is not None and kept.header == shown.get("Authorization"):
            del self._tokens[source.client]
        return True

    async def _ask(self, credentials: ClientCredentials) -> _Token:
        form = {"grant_type": "client_credentials"} | ({"scope": credentials.scope} if credentials.scope else {})
        # RFC 6749, section 2.3.1: both parts are encoded as in a form before they are joined
        pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
        headers = {
            "Authorization": f"Basic {b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        where = shown(credentials.token_url)
        try:
            answer = await self._upstreams.post(
                credentials.token_url, urlencode(form).encode(), headers, max_bytes=_ANSWER.max_bytes
            )
        except KontorError as fault:
            raise SourceError(f"the token server of the upstream failed: {fault}", where=where) from fault
        if not answer.is_success:
            raise SourceError(
                f"the token server of the upstream answers {answer.status}",
                where=where,
                mend="check client id, client secret and scope of this asset's source",
            )
        return self._token(answer.body, where)

    def _token(self, body: bytes, where: str) -> _Token:
        """The token in an answer; RFC 6749, section 5.1."""
        try:
            found = scan(body, _ANSWER)
        except BadMessage as fault:
            raise SourceError(f"the token server of the upstream answers something else: {fault.what}", where=where) from fault
        token, kind, lasts = (
            (found.get("access_token"), found.get("token_type"), found.get("expires_in"))
            if isinstance(found, dict)
            else (None, None, None)
        )
        if not isinstance(token, str) or not token or not token.isprintable() or str(kind).lower() != "bearer":
            raise SourceError("the token server of the upstream gives no bearer token", where=where)
        ttl = _UNTOLD
        if isinstance(lasts, int) and not isinstance(lasts, bool) and 0 < lasts < _LONGEST_S:
            ttl = timedelta(seconds=lasts)
        # a token that ends sooner than we would stop using it is used for half of its time
        return _Token(header=f"Bearer {token}", until=self._clock.now() + max(ttl - _EARLY, ttl / 2))
