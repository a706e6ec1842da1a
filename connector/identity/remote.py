"""A participant's wallet that somebody else runs: tokens are asked of its token service, one request each.

What lives here: `Remote`. What does not: wallets of our own (`holder.py`), and our own token service (`sts.py`).
Source: DCP 1.0, the token service's OpenAPI (not normative), as wallets of the Eclipse family serve it; RFC 6749, sections 4.4, 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from connector import strict
from connector.errors import BadMessage, ConfigurationError, PeerAnswer, PeerMessage, TooLarge
from connector.outbound.client import Answer, OutboundClient
from connector.settings import RemoteWallet

_LIMITS: Final = strict.Limits(max_bytes=64 << 10, max_depth=8)
_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """The token service of one participant's wallet."""

    settings: RemoteWallet
    outbound: OutboundClient
    """The way to what our own operators name."""

    async def issue(self, receiver: str, *, scopes: Sequence[str] = (), token: str | None = None) -> str:
        """A self-issued token for `receiver`: with an access token for `scopes`, or giving back `token`.

        Raises: ConfigurationError when the wallet refuses us, Unreachable, PeerAnswer or PeerMessage when it does not answer as it
        should; trying again may help then.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
            # a `did:web` with a port has `%3A` in it, which is escaped once more on the wire
            "audience": receiver,
        }
        form |= {"token": token} if token is not None else {"bearer_access_scope": " ".join(scopes)}
        url = self.settings.token_url
        answer = await self.outbound.post(url, urlencode(form).encode(), _HEADERS, max_bytes=_LIMITS.max_bytes)
        if answer.is_success:
            return self._token(answer)
        words = f"the wallet's token service answers {answer.status}: {_said(answer.body)}"
        if 400 <= answer.status < 500 and answer.status not in (408, 425, 429):
            mend = "check `client_id`, `client_secret` and `grants` with whoever runs the wallet"
            raise ConfigurationError(words, where=f"identity.remote: {url}", mend=mend)
        raise PeerAnswer(words, answer_status=answer.status, where=url)

    def _token(self, answer: Answer) -> str:
        try:
            tree = strict.scan(answer.body, _LIMITS)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the wallet's answer cannot be read: {fault}", where=self.settings.token_url) from fault
        found = tree.get("access_token") if isinstance(tree, dict) else None
        if not isinstance(found, str) or not found.isascii() or not found.isprintable() or not found:
            raise PeerMessage("the wallet's answer holds no `access_token`", where=self.settings.token_url)
        return found


def _said(body: bytes) -> str:
    """Why a token service refused: an object as OAuth has it, or a list of them as the draft does."""
    try:
        tree: Any = strict.scan(body, _LIMITS)
    except (BadMessage, TooLarge):
        return "with a body that is no JSON"
    first = tree[0] if isinstance(tree, list) and tree else tree
    if not isinstance(first, dict):
        return strict.shown(tree)
    return (
        ", ".join(strict.shown(first[name]) for name in ("error", "error_description", "message") if name in first)
        or "no reason"
    )
