"""The vetted HTTP client: protocol messages in whole, data in streams.

What lives here: `OutboundClient`. Each new connection resolves its host, judges every address found, and connects to exactly
those: what was judged is what is connected to, so a name that resolves differently a moment later gains nothing. TLS and the
`Host` header keep the name. No redirects, no cookies, no proxies from the environment, no decompression.
What does not: connections (`connection.py`, `pool.py`), which addresses are lawful (`rules.py`), tokens, retries
(`controlplane/delivery.py`, `dataplane/push.py`).
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from connector import observe
from connector.errors import ConfigurationError, PeerMessage, Unreachable
from connector.outbound.connection import Broken, Connection
from connector.outbound.names import by_system
from connector.outbound.pool import Opener, Pool, Resolve
from connector.outbound.requests import Body, Request, headed
from connector.outbound.rules import DEFAULT_PORTS, Judge, OutboundRules, Target, shown
from connector.outbound.tls import FileStates, Tls
from connector.outbound.within import within

_MOST_OF_A_FAILURE = 64 << 10
_MOST_WRITTEN: Final = 1000
_MOST_OF_WRITTEN: Final = 4096
"""Bytes of each."""
_LOOK_EVERY_S = 1.0
"""How often it is looked, at most, whether files of certificates were renewed."""
_ORIGIN: Final = re.compile(r"[^/]*//[^/?#]*")
_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"
"""What an address may have beside letters and digits (RFC 3986, section 2)."""
_UNSAFE: Final = re.compile(rf"[^A-Za-z0-9{re.escape(_SAFE)}]")

Headers = Mapping[str, str]


def wait_s(headers: Headers) -> int | None:
    """The seconds that an answer asks us to wait; dates are not followed.

    Source: RFC 9110, section 10.2.3.
    """
    text = headers.get("retry-after", "")
    return int(text[:18]) if text.isascii() and text.isdigit() else None


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


class StreamedAnswer:
    """An answer whose body is read in chunks, at the reader's pace; to be closed by whoever has opened it."""

    __slots__ = ("_let_go", "connection", "headers", "status", "where")

    def __init__(
        self, *, status: int, headers: Headers, where: str, connection: Connection, let_go: Callable[[], None] | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        """As in `Answer`."""
        self.where = where
        self.connection = connection
        self._let_go = let_go
        """Gives the connection back."""

    @property
    def length(self) -> int | None:
        """Of the body, when it is told."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdigit() and "transfer-encoding" not in self.headers else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of at most 256 KiB; ends only when the body is whole.

        Raises: Unreachable when the body breaks off or is silent too long.
        """
        try:
            async for chunk in self.connection.chunks():
                yield chunk
        except _BREAKS as fault:
            raise _unreachable(fault, self.where) from fault

    async def whole(self) -> bytes:
        """The body in one piece, for one that is known to be small; raises as `chunks`."""
        try:
            return await self.connection.whole()
        except _BREAKS as fault:
            raise _unreachable(fault, self.where) from fault

    async def read(self, max_bytes: int) -> bytes:
        """At most `max_bytes` of the body: for error texts."""
        try:
            return (await _gathered(self.connection, max_bytes))[0]
        except _BREAKS as fault:
            raise _unreachable(fault, self.where) from fault

    def close(self) -> None:
        """Nobody wants more of it; before the body's end that cuts the connection. Again: nothing happens."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()


class OutboundClient:
    """Reaches other machines, within its rules. Open it with `async with`; one is enough for a whole process."""

    def __init__(self, rules: OutboundRules, tls: Tls | None = None, resolve: Resolve | None = None) -> None:
        self.rules = rules
        self._judge = Judge(rules)
        self._tls = tls or Tls()
        self._resolve = resolve or by_system.find
        self._context: ssl.SSLContext | None = None
        self._files: FileStates = ()
        self._looked_at = -math.inf
        self._opener = Opener(judge=self._judge, resolve=self._resolve, tls=self.tls_context, within_s=rules.connect_s)
        self._messages = Pool(self._opener, rules.per_host)
        # streams have connections of their own: however many run, a message to the same host finds its way
        self._streams = Pool(self._opener, 0)
        self._written: dict[tuple[str, str, tuple[tuple[str, str], ...], float], tuple[Target, Request]] = {}
        """Requests of streams that were asked of late."""
        self._is_open = False

    def showing(self, pem: str) -> OutboundClient:
        """A client with the same rules that shows the certificate in `pem`; opened and closed on its own."""
        return OutboundClient(self.rules, Tls(ca_file=self._tls.ca_file, pem=pem), self._resolve)

    async def __aenter__(self) -> OutboundClient:
        """Ready at once; what is heavy is loaded by the first request, or by `warm`.

        Raises: ConfigurationError, so that a wrong entry or file stops the start and not the first message.
        """
        if self._tls != Tls():
            self.tls_context()
        self._judge.denied_networks()
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        return self

    async def warm(self) -> None:
        """Load now, in a thread, what the first request over TLS would load: the system's authorities."""
        self._context = await asyncio.to_thread(lambda: self._context or self._tls.context())

    async def __aexit__(self, *_: object) -> None:
        self._is_open = False
        self._written.clear()
        self._messages.close()
        self._streams.close()

    def vet(self, url: str) -> Target:
        """The target of `url`; judge an address with it before storing it.

        Raises: AddressRefused.
        """
        return self._judge.vet(url)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of `host`, all of them lawful. Raises: AddressRefused, OSError."""
        return await self._opener.addresses(host.strip("[]"), port)

    def tls_context(self) -> ssl.SSLContext:
        """Whom we believe, and who we are."""
        if self._context is None:
            self._files = self._tls.files()
            self._context = self._tls.context()
        elif self._tls != Tls() and (now := time.monotonic()) >= self._looked_at + _LOOK_EVERY_S:
            self._looked_at = now
            self._look()
        return self._context

    def _look(self) -> None:
        """Take what stands in the files now, for connections from now on, when they have changed and belong together."""
        files = self._tls.files()
        if files == self._files:
            return
        self._files = files
        try:
            self._context = self._tls.context()
        except ConfigurationError as fault:
            observe.error("outbound.certificate_not_taken", cause=fault)
            return
        observe.info("outbound.certificate_taken")

    def tls_context_for(self, pem: str | None) -> ssl.SSLContext:
        """The same, showing the certificate in `pem` when there is one. Raises: ConfigurationError."""
        return self.showing(pem).tls_context() if pem else self.tls_context()

    async def post(
        self, url: str, body: bytes, headers: Headers, *, max_bytes: int | None = None, within_s: float = math.inf
    ) -> Answer:
        """The answer to `body`, posted to `url`; any status. `max_bytes` and `within_s` lower what the rules allow of the answer,
        and of the whole exchange.

        Raises: AddressRefused (nothing was sent), Unreachable (no whole answer in time; trying again may help),
        PeerMessage (the answer is larger than the rules allow).
        """
        return await self.request("POST", url, body, headers, max_bytes=max_bytes, within_s=within_s)

    async def get(self, url: str, headers: Headers, *, max_bytes: int | None = None) -> Answer:
        """The answer to a GET of `url`.

        Raises: as `post`.
        """
        return await self.request("GET", url, None, headers, max_bytes=max_bytes)

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Headers,
        *,
        max_bytes: int | None = None,
        within_s: float = math.inf,
    ) -> Answer:
        """The answer to a request of any kind. Raises: as `post`."""
        target = self._judge.vet(url)
        limit = min(self.rules.max_answer_bytes, self.rules.max_answer_bytes if max_bytes is None else max_bytes)
        try:
            async with within(self._loop, min(self.rules.total_s, within_s)):
                connection = await self._asked(self._messages, target, method, url, headers, body, self.rules.read_s)
                try:
                    status, told = connection.status, connection.headers
                    if status >= 300:
                        # of a failure the status decides: a body without end must not hide it
                        body, _ = await _gathered(connection, min(limit, _MOST_OF_A_FAILURE))
                        return Answer(status=status, headers=told, body=body)
                    length = told.get("content-length", "")
                    if length.isdigit() and int(length) > limit and method != "HEAD":
                        raise _too_large(limit, url)
                    body, is_whole = await _gathered(connection, limit)
                    if not is_whole:
                        raise _too_large(limit, url)
                    return Answer(status=status, headers=told, body=body)
                finally:
                    self._messages.give_back(target, connection)
        except _BREAKS as fault:
            raise _unreachable(fault, url) from fault

    async def _asked(
        self, pool: Pool, target: Target, method: str, url: str, headers: Headers, body: Body, silence_s: float
    ) -> Connection:
        assert self._is_open, "the client is not open"
        return await pool.ask(target, headed(method, _path(url), headers, _host(target), body, silence_s))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: Body = None,
        *,
        silence_s: float | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """The answer with its body unread, for as long as the context is open; as `opened`, and raises as that."""
        answer = await self.opened(method, url, headers, body, silence_s=silence_s)
        try:
            yield answer
        finally:
            answer.close()

    async def opened(
        self, method: str, url: str, headers: Headers, body: Body = None, *, silence_s: float | None = None
    ) -> StreamedAnswer:
        """The answer with its body unread; close it. `body` is sent at the peer's pace; give its `Content-Length` in `headers`.

        `silence_s` takes the place of the rules' `read_s`.

        Raises: AddressRefused, Unreachable; a KontorError of `body` comes through as it is.
        """
        assert self._is_open, "the client is not open"
        silence_s = silence_s or self.rules.read_s
        try:
            if body is None:
                target, request = self._repeated(method, url, headers, silence_s)
            else:
                target = self._judge.vet(url)
                request = headed(method, _path(url), headers, _host(target), body, silence_s)
            connection = await self._streams.ask(target, request)
        except _BREAKS as fault:
            raise _unreachable(fault, url) from fault
        let_go = partial(self._streams.give_back, target, connection)
        return StreamedAnswer(
            status=connection.status, headers=connection.headers, where=url, connection=connection, let_go=let_go
        )

    def _repeated(self, method: str, url: str, headers: Headers, silence_s: float) -> tuple[Target, Request]:
        """A request without a body, judged and written: what is asked again and again is so once, as the rules do not change."""
        key = method, url, tuple(headers.items()), silence_s
        found = self._written.get(key)
        if found is None:
            target = self._judge.vet(url)
            request = headed(method, _path(url), headers, _host(target), None, silence_s)
            found = target, request
            if len(request.head) > _MOST_OF_WRITTEN:
                # headers of consumers are among them: a thousand large ones would fill the memory
                return found
            if len(self._written) >= _MOST_WRITTEN:
                self._written.clear()
            self._written[key] = found
        return found


async def _gathered(connection: Connection, limit: int) -> tuple[bytes, bool]:
    """The body up to `limit` bytes, and whether that is all of it; the connection is cut when it is not."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in connection.chunks():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            connection.close()
            return b"".join(chunks)[:limit], False
    return (chunks[0] if len(chunks) == 1 else b"".join(chunks)), True


def _too_large(limit: int, url: str) -> PeerMessage:
    return PeerMessage(f"the answer is larger than {limit} bytes", where=shown(url), mend="see `outbound.max_answer_bytes`")


_BREAKS: Final = (Broken, OSError, ValueError)
"""Every way in which an exchange can break; TimeoutError and faults of TLS are an OSError, too."""


def _unreachable(fault: Exception, url: str) -> Unreachable:
    """How an exchange broke, as an error of ours."""
    match fault:
        case ssl.SSLCertVerificationError():
            mend = "the peer needs a certificate from a known authority, or add its authority by `outbound.ca_file`"
            return Unreachable(f"the certificate is not trusted: {_words(fault)}", where=shown(url), mend=mend)
        case TimeoutError():
            return Unreachable("no whole answer in time", where=shown(url), mend="try again later")
        case _:
            return Unreachable(f"no whole answer: {_words(fault)}", where=shown(url), mend="try again later")


def _words(fault: Exception) -> str:
    text = " ".join(str(fault).split())
    return (text or type(fault).__name__)[:300]


def _host(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == DEFAULT_PORTS[target.scheme] else f"{host}:{target.port}"


def _path(url: str) -> str:
    """What is asked for at the origin of `url`; characters that no address may have are written as percents."""
    found = _ORIGIN.match(url)
    path = url[found.end() if found else 0 :].partition("#")[0]
    path = path if path.startswith("/") else f"/{path}"
    return quote(path, safe=_SAFE) if _UNSAFE.search(path) else path
