"""The vetted HTTP client: protocol messages in whole, data in streams.

What lives here: `OutboundClient`. Each new connection resolves its host, judges every address found, and connects to exactly
those: what was judged is what is connected to, so a name that resolves differently a moment later gains nothing. TLS and the
`Host` header keep the name. No redirects, no cookies, no proxies from the environment, no decompression.
What does not: which addresses are lawful (`rules.py`), tokens, retries (`controlplane/delivery.py`, `dataplane/push.py`).

aiohttp alone, loaded when the client opens: 66 µs CPU for one POST against 224 through httpx with an aiohttp transport
(16 at once, uvloop, same run).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import socket
import ssl
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from connector import __version__
from connector.errors import AddressRefused, ConfigurationError, KontorError, PeerMessage, Unreachable
from connector.outbound.names import by_system
from connector.outbound.rules import Judge, OutboundRules, Target, shown

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

CHUNK_BYTES: Final = 256 << 10
# shorter than the 5 s after which uvicorn and many others close an idle connection: no message is sent into a closing one
_KEEP_IDLE_S = 4.0
_MOST_OF_A_FAILURE = 64 << 10

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host, as texts."""
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, whatever its status; redirects are answers like others."""

    status: int
    headers: Headers
    """Names in lower case; repeated ones joined by commas (RFC 9110, section 5.3)."""
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedAnswer:
    """An answer whose body is read in chunks, at the reader's pace."""

    status: int
    headers: Headers
    """As in `Answer`."""
    where: str
    response: aiohttp.ClientResponse = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of at most 256 KiB; ends only when the body is whole.

        Raises: Unreachable when the body breaks off or is silent too long.
        """
        with _translated(self.where):
            async for chunk in self.response.content.iter_any():
                yield chunk

    async def read(self, max_bytes: int) -> bytes:
        """At most `max_bytes` of the body: for error texts."""
        with _translated(self.where):
            return (await _gathered(self.response, max_bytes))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Whom we believe and who we are, over TLS."""

    ca_file: pathlib.Path | None = None
    """Further certificate authorities, PEM."""
    certificate: pathlib.Path | None = None
    """Our chain, shown to peers that ask for one, PEM."""
    key: pathlib.Path | None = None
    pem: str | None = field(default=None, repr=False)
    """In place of `certificate` and `key`: our chain and its key, as they stand in a file."""

    def context(self) -> ssl.SSLContext:
        """Raises: ConfigurationError when a file cannot be read."""
        context = ssl.create_default_context()
        try:
            if self.ca_file is not None:
                context.load_verify_locations(cafile=self.ca_file)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            if self.pem is not None:
                _show(context, self.pem)
        except (OSError, ssl.SSLError) as fault:
            raise ConfigurationError(
                f"a certificate or key cannot be read: {fault}",
                where="outbound.ca_file, outbound.client_certificate, outbound.client_key",
                mend="name PEM files that this process may read",
            ) from fault
        return context


def _show(context: ssl.SSLContext, pem: str) -> None:
    """Have `context` show the certificate in `pem`: the library reads it from a file alone, which is gone again at once."""
    fd, name = tempfile.mkstemp(prefix="kontor-", suffix=".pem")
    path = pathlib.Path(name)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        path.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sessions:
    """The connections to others."""

    messages: aiohttp.ClientSession
    streams: aiohttp.ClientSession


class OutboundClient:
    """Reaches other machines, within its rules. Open it with `async with`; one is enough for a whole process."""

    def __init__(self, rules: OutboundRules, tls: Tls | None = None, resolve: Resolve | None = None) -> None:
        self.rules = rules
        self._judge = Judge(rules)
        self._tls = tls or Tls()
        self._resolve = resolve or by_system.find
        self._context: ssl.SSLContext | None = None
        self._sessions: _Sessions | None = None
        self._is_open = False

    def showing(self, pem: str) -> OutboundClient:
        """A client with the same rules that shows the certificate in `pem`; opened and closed on its own."""
        return OutboundClient(self.rules, Tls(ca_file=self._tls.ca_file, pem=pem), self._resolve)

    async def __aenter__(self) -> OutboundClient:
        """Ready at once; what is heavy is loaded by the first request, or by `warm`.

        Raises: ConfigurationError, so that a wrong entry or file stops the start and not the first message.
        """
        if self._tls != Tls():
            self._context = self._tls.context()
        self._judge.denied_networks()
        self._is_open = True
        return self

    async def warm(self) -> None:
        """Load now, in a thread, what the first request would load: aiohttp, and the system's authorities."""

        def loaded() -> ssl.SSLContext:
            import aiohttp  # noqa: F401 - importing it is the point

            return self._context or self._tls.context()

        self._context = await asyncio.to_thread(loaded)

    def _opened(self) -> _Sessions:
        import aiohttp

        assert self._is_open, "the client is not open"
        if self._sessions is not None:
            return self._sessions
        context = self._context = self._context or self._tls.context()
        rules = self.rules

        def session(connections_per_host: int, total_s: float | None, read_bytes: int) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=_vetted_resolver(self._judge, self._resolve, rules.connect_s),
                    use_dns_cache=False,
                    ssl=context,
                    keepalive_timeout=_KEEP_IDLE_S,
                    limit=0,
                    limit_per_host=connections_per_host,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=read_bytes,
                headers={"User-Agent": f"kontor/{__version__}", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=total_s, sock_connect=rules.connect_s, sock_read=rules.read_s),
            )

        self._sessions = _Sessions(
            messages=session(rules.per_host, rules.total_s, 64 << 10),
            # streams have connections of their own: however many run, a message to the same host finds its way
            streams=session(0, None, CHUNK_BYTES),
        )
        return self._sessions

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        if self._sessions is not None:
            await self._sessions.messages.close()
            await self._sessions.streams.close()
            self._sessions = None

    def vet(self, url: str) -> Target:
        """The target of `url`; judge an address with it before storing it.

        Raises: AddressRefused.
        """
        return self._judge.vet(url)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of `host`, all of them lawful. Raises: AddressRefused, OSError."""
        found = await self._resolve(host.strip("[]"), port)
        for text in found:
            if (reason := self._judge.refusal(ip_address(text))) is not None:
                raise AddressRefused(f"`{host}` resolves to an address that is refused: {reason[0]}", mend=reason[1])
        if not found:
            raise OSError(f"`{host}` has no address")
        return found

    def tls_context(self) -> ssl.SSLContext:
        """Whom we believe, and who we are."""
        self._context = self._context or self._tls.context()
        return self._context

    async def post(self, url: str, body: bytes, headers: Headers, *, max_bytes: int | None = None) -> Answer:
        """The answer to `body`, posted to `url`; any status. `max_bytes` lowers what the rules allow of the answer.

        Raises: AddressRefused (nothing was sent), Unreachable (no whole answer in time; trying again may help),
        PeerMessage (the answer is larger than the rules allow).
        """
        return await self.request("POST", url, body, headers, max_bytes=max_bytes)

    async def get(self, url: str, headers: Headers, *, max_bytes: int | None = None) -> Answer:
        """The answer to a GET of `url`.

        Raises: as `post`.
        """
        return await self.request("GET", url, None, headers, max_bytes=max_bytes)

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Headers, *, max_bytes: int | None = None
    ) -> Answer:
        """The answer to a request of any kind. Raises: as `post`."""
        self._judge.vet(url)
        messages = self._opened().messages
        limit = min(self.rules.max_answer_bytes, self.rules.max_answer_bytes if max_bytes is None else max_bytes)
        with _translated(url):
            async with messages.request(method, url, data=body, headers=headers, allow_redirects=False) as response:
                if response.status >= 300:
                    # of a failure the status decides: a body without end must not hide it
                    body, _ = await _gathered(response, min(limit, _MOST_OF_A_FAILURE))
                    return Answer(status=response.status, headers=_headers(response), body=body)
                if (response.content_length or 0) > limit:
                    response.close()
                    raise _too_large(limit, url)
                body, is_whole = await _gathered(response, limit)
                if not is_whole:
                    raise _too_large(limit, url)
                return Answer(status=response.status, headers=_headers(response), body=body)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: AsyncIterable[bytes | memoryview] | bytes | None = None,
        *,
        silence_s: float | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """The answer with its body unread. `body` is sent at the peer's pace; give its `Content-Length` in `headers`.

        Leaving the context before the body's end cuts the connection. `silence_s` takes the place of the rules' `read_s`.

        Raises: AddressRefused, Unreachable; a KontorError of `body` comes through as it is.
        """
        import aiohttp

        self._judge.vet(url)
        streams = self._opened().streams
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.rules.connect_s, sock_read=silence_s or self.rules.read_s)
        with _translated(url):
            response = await streams.request(method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout)
        try:
            yield StreamedAnswer(status=response.status, headers=_headers(response), where=url, response=response)
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()


async def _gathered(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """The body up to `limit` bytes, and whether that is all of it; the connection is cut when it is not."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            return b"".join(chunks)[:limit], False
    return (chunks[0] if len(chunks) == 1 else b"".join(chunks)), True


def _headers(response: aiohttp.ClientResponse) -> Headers:
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _too_large(limit: int, url: str) -> PeerMessage:
    return PeerMessage(f"the answer is larger than {limit} bytes", where=shown(url), mend="see `outbound.max_answer_bytes`")


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Every way in which an exchange can break, as one of our errors."""
    import aiohttp

    try:
        yield
    except aiohttp.ClientConnectorCertificateError as fault:
        mend = "the peer needs a certificate from a known authority, or add its authority by `outbound.ca_file`"
        raise Unreachable(f"the certificate is not trusted: {_words(fault)}", where=shown(url), mend=mend) from fault
    except aiohttp.ServerTimeoutError as fault:
        raise Unreachable(f"no answer in time: {_words(fault)}", where=shown(url), mend="try again later") from fault
    except TimeoutError as fault:
        raise Unreachable("no whole answer in time", where=shown(url), mend="try again later") from fault
    except (aiohttp.ClientError, OSError, ValueError) as fault:
        if isinstance(fault.__cause__, KontorError):  # raised by the body that we were sending
            raise fault.__cause__ from None
        raise Unreachable(f"no whole answer: {_words(fault)}", where=shown(url), mend="try again later") from fault


def _words(fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return (text or type(fault).__name__)[:300]


def _vetted_resolver(judge: Judge, resolve: Resolve, timeout_s: float) -> AbstractResolver:
    """A resolver for aiohttp that gives only addresses which `judge` lets pass."""
    from aiohttp.abc import AbstractResolver

    class VettedResolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            async with asyncio.timeout(timeout_s):
                addresses = await resolve(host, port)
            if not addresses:
                raise OSError(f"`{host}` has no address")
            # INVARIANT: one unlawful address refuses the name, so that an attacker cannot mix them and wait
            for text in addresses:
                reason = judge.refusal(ip_address(text))
                if reason is not None:
                    raise AddressRefused(f"`{host}` resolves to an address that is refused: {reason[0]}", mend=reason[1])
            return [_pinned(host, text, port) for text in addresses]

        async def close(self) -> None:
            return None

    return VettedResolver()


def _pinned(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": family,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }
