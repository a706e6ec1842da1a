"""What is posted to a webhook can be checked by whoever has its key."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from connector.errors import BadMessage
from connector.outbound.signing import SECRET_PREFIX, key_of, new_key, signed


def test_a_message_is_signed_over_its_id_its_time_and_its_body() -> None:
    text = new_key()
    headers = signed(key_of(text, "own"), "msg-1", 1_700_000_000, b"{}", "application/json")
    key = base64.b64decode(text.removeprefix(SECRET_PREFIX))
    wanted = base64.b64encode(hmac.new(key, b"msg-1.1700000000.{}", hashlib.sha256).digest()).decode()
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg-1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{wanted}",
    }


def test_a_text_is_a_key_when_it_is_long_enough() -> None:
    assert key_of("x" * 24, "own") == b"x" * 24
    for short in ("x" * 23, SECRET_PREFIX + "AAAA", SECRET_PREFIX + "no base64"):
        with pytest.raises(BadMessage, match="`own` is no key"):
            key_of(short, "own")
