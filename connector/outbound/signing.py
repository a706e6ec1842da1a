"""Signing what is posted to webhooks, and the keys for it.

What lives here: keys and headers as Standard Webhooks has them. What does not: who is told what (`controlplane/webhooks.py`,
`federation/notices.py`), and where keys are kept.
Source: Standard Webhooks 1.0.0, "Webhook headers", "Symmetric" (24 to 64 bytes).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Final

from connector.errors import BadMessage

SECRET_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = 32


def new_key(random: Callable[[int], bytes] = os.urandom) -> str:
    """A key as it is shown to whoever checks signatures with it."""
    return SECRET_PREFIX + base64.b64encode(random(_KEY_BYTES)).decode()


def key_of(text: str, name: str) -> bytes:
    """The key that a secret holds: what stands behind `whsec_` in base64, or else the text itself.

    Raises: BadMessage when it is too short to sign with.
    """
    key = text.encode()
    if text.startswith(SECRET_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        except ValueError:
            key = b""
    if len(key) < 24:
        mend = f"store at least 24 random bytes, in base64 behind `{SECRET_PREFIX}`"
        raise BadMessage(f"the secret `{name}` is no key to sign with", where="secret", mend=mend)
    return key


def signed(key: bytes, id_: str, timestamp_s: int, body: bytes, content_type: str) -> dict[str, str]:
    """The headers of a message; the signature is over id, timestamp and body, joined by dots."""
    digest = hmac.new(key, b"%s.%d.%s" % (id_.encode(), timestamp_s, body), hashlib.sha256).digest()
    return {
        "content-type": content_type,
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
