"""What a receiver says of itself: how much of a push it has."""

from __future__ import annotations

from typing import Any

import pytest

from connector.dataplane.sending import here
from connector.errors import PeerMessage
from connector.outbound.client import StreamedAnswer


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
