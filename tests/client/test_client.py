"""Sending, waiting, downloading and failing, without an event loop and in one: the node at the other end is a recording one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from connector import errors
from connector.client import AsyncClient, Calls, Client, participants
from connector.client.client import error_of

ACME = Calls("acme")
NOBODY = {"items": [], "total": 0}
Answer = Callable[[httpx.Request], httpx.Response]


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("connection reset")

    async def __aiter__(self) -> Any:
        yield b"half"
        raise httpx.ReadError("connection reset")


def client(answer: Answer) -> Client:
    return Client("http://node", "key", transport=httpx.MockTransport(answer))


def async_client(answer: Answer) -> AsyncClient:
    return AsyncClient("http://node", "key", transport=httpx.MockTransport(answer))


def problem(status: int, code: str, **members: str) -> bytes:
    return json.dumps(
        {"type": f"urn:kontor:error:{code}", "title": "t", "status": status, "detail": "it is so", "error_id": "e1"} | members
    ).encode()


async def test_both_clients_send_the_key_and_read_the_answer() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=NOBODY)

    with client(answer) as node:
        assert node.send(participants()).total == 0
    async with async_client(answer) as anode:
        assert (await anode.send(participants())).total == 0
    assert [request.headers["X-Api-Key"] for request in seen] == ["key", "key"]
    assert {str(request.url) for request in seen} == {"http://node/api/v1/participants"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad-policy", errors.PolicyError),
        (404, "not-found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (502, "peer-unreachable", errors.Unreachable),
        # its own constructor wants more than a problem tells
        (502, "peer-answer", errors.PeerError),
        (405, "method-not-allowed", errors.CallerError),
        # a code of a later release: the status says whose fault it is
        (404, "never-heard-of", errors.NotFound),
        (503, "never-heard-of", errors.KontorError),
    ],
)
def test_a_problem_comes_back_as_the_error_it_was(status: int, code: str, kind: type[errors.KontorError]) -> None:
    error = error_of(status, problem(status, code, where="policy.permission", mend="write it otherwise"))
    assert isinstance(error, kind)
    assert (error.what, error.where) == ("it is so", "policy.permission")
    assert error.mend.startswith("write it otherwise")
    assert ("e1" in error.mend) is (status >= 500)


def test_every_error_of_the_product_has_a_way_back() -> None:
    def below(kind: type[errors.KontorError]) -> Iterator[type[errors.KontorError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    for kind in below(errors.KontorError):
        found = error_of(kind.status, problem(kind.status, kind.code))
        assert isinstance(found, errors.KontorError), kind


def test_an_error_that_is_no_problem_says_its_status() -> None:
    error = error_of(401, b"<html>")
    assert isinstance(error, errors.Unauthenticated)
    assert "401" in error.what


async def test_a_node_that_does_not_answer_is_unreachable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with client(refuse) as node, pytest.raises(errors.Unreachable, match="connection refused") as found:
        node.send(participants())
    assert found.value.where == "http://node"
    async with async_client(refuse) as anode:
        with pytest.raises(errors.Unreachable, match="kontor serve"):
            await anode.send(participants())


def test_an_answer_of_another_shape_is_said_to_be_one() -> None:
    with client(lambda _: httpx.Response(200, json={"items": "none"})) as node, pytest.raises(errors.PeerMessage) as found:
        node.send(participants())
    assert "GET /api/v1/participants" in found.value.where


async def test_waiting_looks_until_it_is_so() -> None:
    def counting() -> Answer:
        looks = iter(range(1, 100))
        return lambda _: httpx.Response(200, json={"items": [], "total": next(looks)})

    with client(counting()) as node:
        assert node.wait(participants(), lambda page: page.total == 3, within_s=5).total == 3
    async with async_client(counting()) as anode:
        assert (await anode.wait(participants(), lambda page: page.total == 3, within_s=5)).total == 3


async def test_waiting_that_takes_too_long_gives_back_what_there_is() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=NOBODY)

    with client(answer) as node:
        assert node.wait(participants(), lambda page: page.total == 3, within_s=0).total == 0
    async with async_client(answer) as anode:
        assert (await anode.wait(participants(), lambda page: page.total == 3, within_s=0)).total == 0


def ranged(request: httpx.Request) -> httpx.Response:
    whole = b"0123456789"
    asked = request.headers.get("Range")
    if asked is None:
        return httpx.Response(200, stream=httpx.ByteStream(whole), headers={"Content-Length": "10"})
    first = int(asked.removeprefix("bytes=").removesuffix("-"))
    if first >= len(whole):
        return httpx.Response(416, content=problem(416, "range-not-satisfiable"))
    return httpx.Response(206, stream=httpx.ByteStream(whole[first:]), headers={"Content-Range": f"bytes {first}-9/10"})


async def test_a_download_says_where_it_begins_and_how_much_there_is() -> None:
    with client(ranged) as node:
        with node.download(ACME.data("p")) as stream:
            assert (stream.first_byte, stream.total_bytes, b"".join(stream.chunks)) == (0, 10, b"0123456789")
        with node.download(ACME.data("p"), first_byte=4) as stream:
            assert (stream.first_byte, stream.total_bytes, b"".join(stream.chunks)) == (4, 10, b"456789")
    async with async_client(ranged) as anode, anode.download(ACME.data("p"), first_byte=4) as astream:
        assert (astream.first_byte, astream.total_bytes) == (4, 10)
        assert b"".join([chunk async for chunk in astream.chunks]) == b"456789"


async def test_a_download_that_begins_behind_the_end_is_refused() -> None:
    with client(ranged) as node, pytest.raises(errors.RangeNotSatisfiable), node.download(ACME.data("p"), first_byte=10):
        raise AssertionError("there is nothing to read")
    async with async_client(ranged) as anode:
        with pytest.raises(errors.RangeNotSatisfiable):
            async with anode.download(ACME.data("p"), first_byte=10):
                raise AssertionError("there is nothing to read")


async def test_a_download_that_breaks_off_is_an_error_and_not_an_end() -> None:
    def breaking(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken(), headers={"Content-Length": "8"})

    with client(breaking) as node, node.download(ACME.data("p")) as stream:
        assert next(stream.chunks) == b"half"
        with pytest.raises(errors.Unreachable, match="connection reset"):
            next(stream.chunks)
    async with async_client(breaking) as anode, anode.download(ACME.data("p")) as astream:
        with pytest.raises(errors.Unreachable, match="connection reset"):
            async for _ in astream.chunks:
                pass
