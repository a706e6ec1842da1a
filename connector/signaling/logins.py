"""What our own calls to a plane carry: a shared secret, or a token of the server or broker that its registration names.

What lives here: tokens by the client credentials grant and by token exchange, kept until shortly before they end. What does not: proving
others (`callers.py`). A token that carries `jti` is used once: EDC accepts each only once.
What is exchanged is read anew each time from the file that the runtime keeps fresh (a projected ServiceAccount token, or a JWT-SVID that a
helper of SPIFFE writes); the Workload API of SPIFFE itself is not spoken.
Source: RFC 6749, section 4.4; RFC 8693, section 2; Data Plane Signaling v1.0-RC3, profiles "OAuth2 Client Credentials" and "OAuth 2 Token
Exchange".
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote_plus, urlencode

from connector import jose
from connector.errors import BadMessage, ConfigurationError, PeerAnswer, PeerMessage, TooLarge, Unproven
from connector.outbound.client import OutboundClient
from connector.outbound.rules import shown
from connector.ports.clock import Clock
from connector.signaling.entries import Authorization, Entry, vet
from connector.strict import Limits, scan

_ANSWER: Final = Limits(max_bytes=64 << 10)
_EARLY: Final = timedelta(seconds=30)
_LONGEST_S: Final = 86_400
_MOST: Final = 1000
_JWT: Final = "urn:ietf:params:oauth:token-type:jwt"


class Logins:
    """Knows what proves us to a plane."""

    def __init__(self, outbound: OutboundClient, clock: Clock, workload_token: Path | None = None) -> None:
        """`workload_token`: the file with what proves this process where it runs."""
        self._outbound = outbound
        self._workload = workload_token
        self._clock = clock
        self._kept: OrderedDict[Authorization, tuple[str, datetime]] = OrderedDict()

    async def headers(self, entry: Entry) -> Mapping[str, str]:
        """The headers of a call to `entry`; none for a plane that wants no proof.

        Raises: AddressRefused, Unreachable, PeerAnswer, PeerMessage; ConfigurationError without anything to exchange.
        """
        authorization = entry.authorization
        if authorization.secret is not None:
            return {"Authorization": f"Bearer {authorization.secret}"}
        # a mapping in it cannot be hashed; who we are to whom is all that matters
        if authorization.exchange_endpoint is not None:
            vet(authorization.exchange_endpoint, entry, "authorization.tokenExchangeEndpoint")
            key = replace(authorization, jwks=(), audience=authorization.audience or entry.id)
        elif authorization.token_endpoint is not None:
            vet(authorization.token_endpoint, entry, "authorization.tokenEndpoint")
            key = Authorization(
                token_endpoint=authorization.token_endpoint,
                client_id=authorization.client_id,
                client_secret=authorization.client_secret,
            )
        else:
            return {}
        kept = self._kept.get(key)
        if kept is None or kept[1] <= self._clock.now():
            kept = await self._ask(key)
            if not _is_for_once(kept[0]):
                self._kept[key] = kept
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
        return {"Authorization": f"Bearer {kept[0]}"}

    def forget(self, entry: Entry) -> None:
        """Ask for a new token next time: the plane did not take the last one."""
        mine = entry.authorization
        places = (mine.token_endpoint, mine.exchange_endpoint)
        for key in [key for key in self._kept if (key.token_endpoint, key.exchange_endpoint) == places]:
            del self._kept[key]

    async def _ask(self, key: Authorization) -> tuple[str, datetime]:
        url = key.exchange_endpoint or key.token_endpoint
        assert url is not None
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if key.exchange_endpoint is not None:
            form = await self._exchange(key)
        else:
            form = {"grant_type": "client_credentials"}
            pair = f"{quote_plus(key.client_id or '')}:{quote_plus(key.client_secret or '')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        where = shown(url)
        answer = await self._outbound.post(url, urlencode(form).encode(), headers, max_bytes=_ANSWER.max_bytes)
        if not answer.is_success:
            what = f"the token server of the plane answers {answer.status}"
            # whatever it says of us, it is no word of the plane about the flow: worth another try
            raise PeerAnswer(what, answer_status=max(answer.status, 500), where=where, mend="check the plane's client")
        try:
            tree = scan(answer.body, _ANSWER)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the token server answers something else: {fault.what}", where=where) from fault
        token = tree.get("access_token") if isinstance(tree, dict) else None
        if not isinstance(token, str) or not token or not token.isprintable():
            raise PeerMessage("the token server of the plane gives no token", where=where)
        lasts = tree.get("expires_in")
        seconds = lasts if isinstance(lasts, int) and not isinstance(lasts, bool) and 0 < lasts <= _LONGEST_S else 60
        life = timedelta(seconds=seconds)
        return token, self._clock.now() + max(life - _EARLY, life / 2)

    async def _exchange(self, key: Authorization) -> dict[str, str]:
        """What a broker is asked; it is shown no client of ours, as the profile has it.

        Raises: ConfigurationError.
        """
        where = "signaling.workload_token"
        if self._workload is None:
            raise ConfigurationError("there is nothing that could be exchanged for a token", where=where, mend="name its file")
        if not key.resource:
            what = "it is not said whom we speak for at the broker of the plane"
            raise ConfigurationError(what, where="authorization.resource", mend="have it registered")
        try:
            token = (await asyncio.to_thread(self._workload.read_text, encoding="ascii")).strip()
        except (OSError, ValueError) as fault:
            raise ConfigurationError("what proves this process cannot be read", where=where, mend="see its file") from fault
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": _JWT,
            "requested_token_type": _JWT,
            "resource": key.resource,
            "audience": key.audience or "",
        }
        return form | ({"scope": key.scope} if key.scope else {})


def _is_for_once(token: str) -> bool:
    """Whether the token carries `jti`; one that we cannot read does not concern us and is kept."""
    try:
        return "jti" in jose.read(token, max_bytes=64 << 10).claims
    except Unproven:
        return False
