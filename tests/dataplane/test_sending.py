"""What a receiver says of itself: how much of a push it has."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import pytest

from connector.dataplane.sending import here
from connector.errors import PeerMessage
from connector.outbound.client import StreamedAnswer
from tests.dataplane.conftest import SAMPLE, Start, address, file, outgoing, raw_server


def answered(headers: dict[str, str], status: int = 200) -> StreamedAnswer:
    nothing_read: Any = None
    return StreamedAnswer(status=status, headers=headers, where="https://receiver.example", connection=nothing_read)


def test_an_offset_and_completeness_are_understood() -> None:
    found = here(answered({"upload-offset": "42", "upload-complete": "?1"}))
    assert (found.offset, found.is_complete, found.is_new) == (42, True, False)
    assert here(answered({"upload-offset": "0"}, status=201)).is_new


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "x", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", "9" * 5000])
def test_a_receiver_that_does_not_say_how_much_it_has_is_a_fault_of_the_peer(offset: str) -> None:
    with pytest.raises(PeerMessage):
        here(answered({"upload-offset": offset}))


async def test_a_receiver_that_claims_more_each_time_is_given_up_like_others(start: Start, sample: pathlib.Path) -> None:
    provider = await start("provider")
    claims = 0

    async def liar(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal claims
        if head.startswith(b"PUT"):
            await reader.readexactly(len(SAMPLE))
            # so that this test ends in any case
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (500 if claims < 10 else 400))
        else:
            claims += 1
            writer.write(b"HTTP/1.1 200 OK\r\nUpload-Offset: %d\r\nContent-Length: 0\r\n\r\n" % (len(SAMPLE) + claims))

    async with raw_server(liar) as there:
        to = address(there, **{"https://w3id.org/kontor/ns/resumable": "true"})
        await provider.plane.start(outgoing(to), file(sample))
        assert (await provider.desk.until("failed"))[2] == "the receiver answers 500"
    assert claims == 4
