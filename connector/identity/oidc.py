"""Operators proven by bearer tokens of an OpenID Connect provider: the port `OperatorTokens`.

What lives here: `OidcOperators`. What does not: keys of the operator API (`controlplane/operators.py`), tokens of other connectors.
Source: RFC 9068 (JWT profile for access tokens), section 4; RFC 8725, section 3.11 and 3.12; Keycloak's access tokens (header `typ` is
`JWT`, claim `typ` is `Bearer`, roles in `realm_access.roles` or `resource_access.CLIENT.roles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connector.errors import Unproven
from connector.identity import profiles
from connector.identity.keysets import KeySet
from connector.jose import TokenVerifier
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.operators import Grant, Operator, OperatorRole
from connector.settings import Oidc


class OidcOperators:
    """Proves operators by the access tokens of one provider."""

    def __init__(self, settings: Oidc, outbound: OutboundClient, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = KeySet(
            issuer=settings.issuer, outbound=outbound, url=settings.jwks_url, seconds=lambda: clock.now().timestamp()
        )
        base = profiles.OPERATOR
        self._verifier: TokenVerifier = replace(
            base, profile=replace(base.profile, is_audience_shared=settings.is_audience_shared)
        )
        self._grants = {
            grant.value: Grant(role=OperatorRole(grant.role), participants=frozenset(grant.participants))
            for grant in settings.grants
        }

    async def operator(self, token: str) -> Operator:
        """Whose access token it is.

        Raises: as the port says. A token of a person without any role here is Unproven as well.
        """
        # 1. everything that needs no key: nothing is fetched for what is not lawful by itself
        found = self._verifier.open(
            token, now=self._clock.now(), audience=self._settings.audience, issuer=self._settings.issuer
        )
        profiles.judge_kind(found)
        # 2. the key that the provider publishes under this name
        self._verifier.prove(found, await self._keys.key(found.key_id))
        # 3. what it is good for
        values = claim(found.claims, self._settings.role_claim)
        grants = tuple(self._grants[value] for value in texts(values) if value in self._grants)
        if not grants:
            raise Unproven(f"no value of `{self._settings.role_claim}` is granted anything here", check="role")
        name = claim(found.claims, self._settings.name_claim)
        return Operator(name=name if is_name(name) else str(found.claims["sub"]), grants=grants)


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """The value at `path`: a claim of that very name, else members inside each other; None when there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def texts(value: Any) -> tuple[str, ...]:
    """The texts in a claim: a list of them, or one, in which blanks part several as in `scope`."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def is_name(value: Any) -> bool:
    """Whether it can stand for somebody in a log."""
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()
