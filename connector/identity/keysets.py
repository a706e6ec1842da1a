"""Key sets of token issuers that the operator names, fetched and kept for a while.

What lives here: `KeySet`, the keys of one issuer by their `kid`, and the addresses in its metadata.
What does not: what a token must be (`profiles.py`), which issuers there are (settings).
Source: RFC 7517, section 5 (JWK Set); RFC 8414 and OpenID Connect Discovery 1.0, section 4, for where the set lies.

A token chooses the `kid` and nothing else: the address is the operator's, and an unknown `kid` lets the set be fetched anew at most
once in `REFETCH_S`, however many strangers send one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connector import observe, strict
from connector.errors import BadMessage, KontorError, PeerAnswer, PeerMessage, TooLarge, Unproven
from connector.jose import PublicKey, from_jwk
from connector.outbound.client import OutboundClient

KEEP_S: Final = 300.0
REFETCH_S: Final = 15.0
_LIMITS: Final = strict.Limits(max_bytes=256 << 10, max_depth=16)
_MOST_KEYS: Final = 100
_METADATA: Final = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@dataclass(slots=True)
class KeySet:
    """The keys of one issuer."""

    issuer: str
    outbound: OutboundClient
    url: str | None = None
    """Where the set is; None: where the issuer's metadata says."""
    seconds: Callable[[], float] = time.monotonic
    _keys: Mapping[str, PublicKey] = field(default_factory=dict, repr=False)
    _fetched: float | None = None
    _tried: float | None = None
    _fault: KontorError | None = None
    _metadata: Mapping[str, Any] | None = field(default=None, repr=False)
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def key(self, key_id: str | None) -> PublicKey:
        """The key named `key_id`; without a name the only one there is.

        Raises: Unproven when there is no such key; Unreachable, PeerAnswer or PeerMessage when the set cannot be had.
        """
        if not self._is_fresh() or self._found(key_id) is None:
            async with self._fetching:
                if not self._is_fresh() or self._found(key_id) is None:
                    await self._fetch_in_bounds()
        found = self._found(key_id)
        if found is None:
            raise Unproven(f"`{self.issuer}` has no key {strict.shown(key_id)}", check="key-id", where=self.issuer)
        return found

    def _is_fresh(self) -> bool:
        # a clock that was put back makes nothing last longer, here and below
        return self._fetched is not None and self._fetched <= self.seconds() < self._fetched + KEEP_S

    def _found(self, key_id: str | None) -> PublicKey | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    async def _fetch_in_bounds(self) -> None:
        now = self.seconds()
        if self._tried is not None and self._tried <= now < self._tried + REFETCH_S:
            if not self._is_fresh() and self._fault is not None:
                raise self._fault.with_traceback(None)
            return
        self._tried = now
        try:
            self._keys = await self._fetch()
        except KontorError as fault:
            self._fault = fault
            if self._is_fresh():  # the provider is away for a moment; what is known still holds
                observe.warning("keyset.unreachable", issuer=self.issuer, cause=str(fault))
                return
            raise
        self._fetched, self._fault = self.seconds(), None

    async def _fetch(self) -> Mapping[str, PublicKey]:
        self._metadata = None  # the issuer may have moved its endpoints too
        url = self.url or await self.endpoint("jwks_uri")
        tree = await self._object(url)
        listed = tree.get("keys")
        if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
            raise PeerMessage("this is no JWK set", where=url, mend="name the address of one in the settings")
        found: dict[str, PublicKey] = {}
        for jwk in listed:
            name = jwk.get("kid") if isinstance(jwk, dict) else None
            if not isinstance(name, str) or not name or name in found:
                observe.warning("keyset.key_passed_over", issuer=self.issuer, cause="it has no `kid` of its own")
                continue
            try:
                found[name] = from_jwk(jwk)
            except Unproven as fault:
                # sets of identity providers hold keys for encryption too
                observe.info("keyset.key_passed_over", issuer=self.issuer, kid=name, cause=fault.words)
        return found

    async def endpoint(self, name: str) -> str:
        """The address that the issuer's metadata gives for `name`, such as `token_endpoint`.

        Raises: Unreachable, PeerAnswer or PeerMessage when there is none.
        """
        if self._metadata is None:
            self._metadata = await self._discovered()
        found = self._metadata.get(name)
        if not isinstance(found, str):
            raise PeerMessage(f"the metadata of `{self.issuer}` names no `{name}`", mend="set the address in the settings")
        return found

    async def _discovered(self) -> Mapping[str, Any]:
        """What the issuer says of itself.

        Source: OpenID Connect Discovery 1.0, section 4.1; RFC 8414, section 3.1 (its path stands before the issuer's) and
        3.1, last paragraph (behind it, as many have it).
        """
        base = self.issuer.rstrip("/")
        scheme, _, rest = base.partition("://")
        host, slash, path = rest.partition("/")
        last: KontorError | None = None
        places = (f"{base}{_METADATA[0]}", f"{scheme}://{host}{_METADATA[1]}{slash}{path}", f"{base}{_METADATA[1]}")
        for url in dict.fromkeys(places):
            try:
                tree = await self._object(url)
            except PeerAnswer as fault:
                last = fault
                continue
            # Source: RFC 8414, section 3.3: the issuer in it must be the very one that was asked for
            if tree.get("issuer") != self.issuer:
                said = strict.shown(tree.get("issuer"))
                raise PeerMessage(f"the metadata is of another issuer: {said}", where=url, mend="write the issuer as it does")
            return tree
        assert last is not None
        raise last

    async def _object(self, url: str) -> dict[str, Any]:
        answer = await self.outbound.get(url, {"Accept": "application/json"}, max_bytes=_LIMITS.max_bytes)
        if answer.status != 200:
            raise PeerAnswer(f"status {answer.status} instead of keys", answer_status=answer.status, where=url)
        try:
            tree = strict.scan(answer.body, _LIMITS)
        except (BadMessage, TooLarge) as fault:
            raise PeerMessage(f"the answer is not strict JSON: {fault}", where=url) from fault
        if not isinstance(tree, dict):
            raise PeerMessage("the answer is no JSON object", where=url)
        return tree
