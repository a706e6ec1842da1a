"""Sends calls to a node: `Client` without an event loop, `AsyncClient` in one. What both do is written once, above them.

Errors of the node come back as the error classes of `connector.errors`, with what, where and mend as the node said them.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from connector.api.common import Problem
from connector.client.calls import Call
from connector.errors import KontorError, PeerError, PeerMessage, Unreachable

T = TypeVar("T")
Chunks = TypeVar("Chunks")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Download(Generic[Chunks]):
    """Data that is streaming in."""

    first_byte: int
    """Where in the whole it begins: 0 when the node would not, or could not, begin in the middle."""
    total_bytes: int | None
    """Size of the whole; None when nobody said."""
    chunks: Chunks
    """The bytes, as they come; reading them may raise Unreachable when the stream breaks off."""


class Client:
    """A node's operator API, for programs without an event loop. Use it in a `with` block, or close it."""

    def __init__(
        self, url: str, api_key: str, *, timeout_s: float = 60, verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = httpx.Client(**_options(url, api_key, timeout_s, verify), transport=transport)

    def send(self, call: Call[T]) -> T:
        """The result of `call`.

        Raises: the error that the node answered; Unreachable when nobody answers; PeerMessage for an answer that is none of ours.
        """
        with _translated(self._http.base_url):
            answer = self._http.send(_request(self._http, call))
        return _result(call, answer)

    def wait(self, call: Call[T], reached: Callable[[T], bool], *, within_s: float = 60) -> T:
        """The first result of `call` for which `reached` holds, or the last one when `within_s` are over."""
        for pause_s in _pauses(within_s):
            result = self.send(call)
            if reached(result):
                break
            time.sleep(pause_s)
        return result

    @contextlib.contextmanager
    def download(self, call: Call[bytes], *, first_byte: int = 0) -> Iterator[Download[Iterator[bytes]]]:
        """The data of `call` as a stream, from `first_byte` on where the node can.

        Raises: as `send`; RangeNotSatisfiable when the whole is shorter.
        """
        with _translated(self._http.base_url):
            answer = self._http.send(_request(self._http, call, first_byte), stream=True)
        try:
            if answer.is_error:
                answer.read()
            yield _download(answer, self._chunks(answer))
        finally:
            answer.close()

    def _chunks(self, answer: httpx.Response) -> Generator[bytes]:
        with _translated(self._http.base_url):
            yield from answer.iter_raw()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """A node's operator API, in an event loop. Use it in an `async with` block, or close it."""

    def __init__(
        self, url: str, api_key: str, *, timeout_s: float = 60, verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = httpx.AsyncClient(**_options(url, api_key, timeout_s, verify), transport=transport)

    async def send(self, call: Call[T]) -> T:
        """The result of `call`; raises as `Client.send`."""
        with _translated(self._http.base_url):
            answer = await self._http.send(_request(self._http, call))
        return _result(call, answer)

    async def wait(self, call: Call[T], reached: Callable[[T], bool], *, within_s: float = 60) -> T:
        """The first result of `call` for which `reached` holds, or the last one when `within_s` are over."""
        for pause_s in _pauses(within_s):
            result = await self.send(call)
            if reached(result):
                break
            await asyncio.sleep(pause_s)
        return result

    @contextlib.asynccontextmanager
    async def download(self, call: Call[bytes], *, first_byte: int = 0) -> AsyncIterator[Download[AsyncIterator[bytes]]]:
        """The data of `call` as a stream; as `Client.download`."""
        with _translated(self._http.base_url):
            answer = await self._http.send(_request(self._http, call, first_byte), stream=True)
        try:
            if answer.is_error:
                await answer.aread()
            yield _download(answer, self._chunks(answer))
        finally:
            await answer.aclose()

    async def _chunks(self, answer: httpx.Response) -> AsyncGenerator[bytes]:
        with _translated(self._http.base_url):
            async for chunk in answer.aiter_raw():
                yield chunk

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


# --- what both do


def _options(url: str, api_key: str, timeout_s: float, verify: ssl.SSLContext | bool) -> dict[str, Any]:
    # the operator API is never behind a proxy of the environment: a key must not travel there
    headers = {"X-Api-Key": api_key, "Accept-Encoding": "identity"}
    if verify is True and url.startswith("http:"):
        # to read the authorities costs more than most calls do; a context without any believes nobody, if it ever came to that
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return {"base_url": url, "headers": headers, "timeout": timeout_s, "verify": verify, "trust_env": False}


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[Any], first_byte: int = 0) -> httpx.Request:
    headers = {"Content-Type": "application/json"} if call.body is not None else {}
    if first_byte:
        headers["Range"] = f"bytes={first_byte}-"
    return http.build_request(call.method, call.path, content=call.body, params=call.query or None, headers=headers)


def _pauses(within_s: float) -> Iterator[float]:
    """Pauses between looks, growing; the last one ends with the time, and one more look follows it."""
    until = time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    while (left_s := until - time.monotonic()) > 0:
        yield min(pause_s, left_s)
        pause_s = min(pause_s * 1.3, _LONGEST_PAUSE_S)
    yield 0


@contextlib.contextmanager
def _translated(address: httpx.URL) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as fault:
        said = str(fault) or type(fault).__name__
        raise Unreachable(
            f"the node does not answer: {said}",
            where=str(address).rstrip("/"),
            mend="start it with `kontor serve`, or name another one with `--config` or `--url`",
        ) from fault


def _result(call: Call[T], answer: httpx.Response) -> T:
    if not answer.is_success:
        raise error_of(answer.status_code, answer.content)
    try:
        return call.read(answer.content)
    except ValueError as fault:
        raise PeerMessage(
            f"an answer that this client does not understand: {' '.join(str(fault).split())[:300]}",
            where=f"{call.method} {call.path}",
            mend="use the client of the node's own release",
        ) from fault


def _download(answer: httpx.Response, chunks: Chunks) -> Download[Chunks]:
    if not answer.is_success:
        raise error_of(answer.status_code, answer.content)
    length = answer.headers.get("Content-Length")
    total = int(length) if length is not None else None
    first_byte = 0
    if answer.status_code == 206:
        # RFC 9110, 14.4: `bytes 5-9/10`, the whole unknown as `*`
        extent, _, whole = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first_byte = int(extent.partition("-")[0] or 0)
        total = int(whole) if whole.isdigit() else None
    return Download(first_byte=first_byte, total_bytes=total, chunks=chunks)


def _classes(root: type[KontorError]) -> Iterator[type[KontorError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


def _plain(kind: type[KontorError]) -> type[KontorError]:
    # a class whose constructor wants more than a problem tells is stood for by its parent
    wanted = [one.name for one in inspect.signature(kind).parameters.values() if one.default is one.empty]
    return kind if wanted == ["what"] else _plain(kind.__mro__[1])


_BY_CODE = {kind.code: _plain(kind) for kind in reversed([*_classes(KontorError)])}
_BY_STATUS = {kind.status: _plain(kind) for kind in reversed([*_classes(KontorError)])}


def error_of(status: int, body: bytes) -> KontorError:
    """The error that a node answered: its own class where the problem names one, else one that says the status.

    Source: RFC 9457, Problem Details for HTTP APIs.
    """
    try:
        problem = Problem.model_validate_json(body)
    except ValueError:
        kind = _BY_STATUS.get(status, PeerError)
        return kind(f"the node answered {status} without saying why", mend="see whether `--url` is its operator address")
    kind = _BY_CODE.get(problem.type.rpartition(":")[2]) or _BY_STATUS.get(status, PeerError)
    mend = problem.mend or ""
    if problem.status >= 500 and problem.error_id not in mend:
        mend = f"{mend}{', or ' if mend else ''}look for error id {problem.error_id} in the node's log"
    return kind(problem.detail, where=problem.where or "", mend=mend)
