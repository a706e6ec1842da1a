"""The token service of a wallet: self-issued tokens for programs that act in a participant's name.

What lives here: `TokenService`. What does not: the form and the error bodies on the wire (`web/identity/`).
Source: DCP 1.0, the token service's OpenAPI (not normative); RFC 6749, sections 2.3.1, 4.4 and 5.2.
Our own node needs none of this: it signs what it sends itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote_plus

from connector import observe
from connector import settings as configured
from connector.errors import BadMessage, NotFound, TooMany, Unauthenticated
from connector.identity import tokens
from connector.identity.holder import Wallet, Wallets, issued
from connector.identity.scopes import covered, parse_all
from connector.identity.wallets import Part
from connector.ports.clock import Clock

_MOST_FAILURES: Final = 10
"""Of one address within a minute; then it waits for its end."""
_MOST_ADDRESSES: Final = 10_000
_MOST_TOKEN: Final = 16 << 10
_NOBODY: Final = "0" * 64


@dataclass(slots=True)
class TokenService:
    """Makes tokens for the clients that the settings name."""

    parts: Callable[[str], Any]
    """The part that a participant takes, awaited; None for who takes none."""
    wallets: Wallets
    clock: Clock
    new_id: Callable[[], str]
    _failures: OrderedDict[str, tuple[datetime, int]] = field(default_factory=OrderedDict, repr=False)

    async def answer(
        self, participant: str, form: Mapping[str, str], authorization: str | None, address: str
    ) -> dict[str, Any]:
        """The token that `form` asks for; `address` is where the request comes from.

        Raises: NotFound, TooMany, Unauthenticated (`invalid_client`), BadMessage (`invalid_request`, or `invalid_scope` where
        its place is the scope).
        """
        part: Part | None = await self.parts(participant)
        wallet = await self.wallets(participant) if part is not None else None
        if part is None or wallet is None:
            raise NotFound("there is no such participant")
        client = self._client(part[1], form, authorization, address)
        if form.get("grant_type") not in (None, "client_credentials"):
            raise BadMessage("the grant type is not served", where="grant_type", mend="use `client_credentials`")
        receiver = form.get("audience", "")
        if not receiver.startswith("did:") or receiver == wallet.did:
            raise BadMessage("the audience is no other participant's DID", where="audience", mend="name the receiver's DID")
        token = self._token(wallet, client, form, receiver)
        observe.info("identity.issued", participant=participant, client=client.id, peer=receiver)
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(tokens.LIFE.total_seconds())}

    def _token(self, wallet: Wallet, client: configured.WalletClient, form: Mapping[str, str], receiver: str) -> str:
        now = self.clock.now()
        scope = form.get("bearer_access_scope", "")
        if scope:
            asked = parse_all(scope, wallet.aliases)
            granted = parse_all(list(client.scopes or wallet.grants), wallet.aliases)
            if len(covered(asked, granted)) != len(asked):
                raise BadMessage("more was asked for than this client may grant", where="bearer_access_scope")
            return issued(wallet, receiver, [one.text for one in asked], now=now, new_id=self.new_id)
        token = form.get("token")
        if token is not None and not 0 < len(token) <= _MOST_TOKEN:
            raise BadMessage("the token is empty, or too long", where="token")
        return tokens.self_issued(
            wallet.token_key, sender=wallet.did, receiver=receiver, now=now, jti=self.new_id(), token=token
        )

    def _client(
        self, part: configured.Membership, form: Mapping[str, str], authorization: str | None, address: str
    ) -> configured.WalletClient:
        """The client that the request proves. Raises: TooMany, Unauthenticated."""
        now = self.clock.now()
        since, count = self._failures.get(address, (now, 0))
        if now - since < timedelta(minutes=1) and count >= _MOST_FAILURES:
            raise TooMany("too many wrong secrets came from there", mend="try again in a minute")
        id_, secret = _basic(authorization) or (form.get("client_id", ""), form.get("client_secret", ""))
        shown = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        known = next((one for one in part.clients if one.id == id_), None)
        # an unknown client takes as long as a wrong secret
        if not hmac.compare_digest(shown, known.sha256 if known is not None else _NOBODY) or known is None:
            self._failures[address] = (since, count + 1) if now - since < timedelta(minutes=1) else (now, 1)
            self._failures.move_to_end(address)
            while len(self._failures) > _MOST_ADDRESSES:
                self._failures.popitem(last=False)
            raise Unauthenticated("no valid client", where="client_id", mend="send the secret that this client was given")
        return known


def _basic(authorization: str | None) -> tuple[str, str] | None:
    """Client and secret of an `Authorization: Basic` header (RFC 6749, 2.3.1: both are form-encoded first)."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        id_, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote_plus(id_), unquote_plus(secret)
