"""What a token must be for each of its uses, so that none can stand in for another.

What lives here: one `TokenVerifier` per use, and the media types of tokens that we issue.
What does not: the judging (`jose.py`), and which key must prove which (`did.py`, `Relationship`).
Source: DCP 1.0, section 4.3 (self-issued tokens); VC Data Model 1.1, section 6.3.1; Securing VCs using JOSE and COSE, section 3;
RFC 9068 (access tokens of OAuth2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from connector.errors import Unproven
from connector.jose import Profile, Token, TokenVerifier

_PLAIN: Final[tuple[str | None, ...]] = (None, "jwt")
ACCESS_TYPE: Final = "dcp-at+jwt"
PRESENTATION_2_TYPE: Final = "vp+jwt"
CREDENTIAL_2_TYPE: Final = "vc+jwt"

SELF_ISSUED: Final = TokenVerifier(
    profile=Profile(
        name="self-issued token",
        types=frozenset(_PLAIN),
        # `sub_jwk` belongs to a draft that let the sender choose its own key; `scope` to an access token
        forbidden=("vp", "vc", "verifiableCredential", "sub_jwk", "scope"),
    )
)
"""Who sends a message: `iss` and `sub` the sender, `aud` the receiver, `token` what the receiver may ask with."""

ACCESS: Final = TokenVerifier(
    profile=Profile(
        name="access token",
        types=frozenset({ACCESS_TYPE}),
        required=("iss", "sub", "aud", "exp", "iat", "jti", "scope"),
        forbidden=("vp", "vc"),
    )
)
"""What a verifier may ask our credential service for. Only we issue and read it."""

PRESENTATION: Final = TokenVerifier(
    profile=Profile(
        name="presentation",
        types=frozenset((*_PLAIN, PRESENTATION_2_TYPE)),
        required=("iss", "aud", "exp"),
        forbidden=("vc", "token"),
        max_life=timedelta(hours=24),
        max_bytes=512 << 10,
    )
)
"""Credentials, shown by their holder to one verifier."""

CREDENTIAL: Final = TokenVerifier(
    profile=Profile(
        name="credential",
        types=frozenset((*_PLAIN, CREDENTIAL_2_TYPE)),
        required=(),
        forbidden=("vp", "token"),
        max_life=None,
        max_bytes=128 << 10,
    )
)
"""What an issuer attests."""

STATUS_LIST: Final = TokenVerifier(
    profile=Profile(
        name="status list",
        types=frozenset((*_PLAIN, CREDENTIAL_2_TYPE)),
        required=(),
        forbidden=("vp", "token"),
        max_life=None,
        max_bytes=4 << 20,
    )
)
"""Which of an issuer's credentials hold no longer."""

OPERATOR: Final = TokenVerifier(
    profile=Profile(
        name="operator's access token",
        types=frozenset((*_PLAIN, "at+jwt")),
        required=("iss", "sub", "aud", "exp", "iat"),
        # `nonce`, `at_hash` and `c_hash` tell an ID token, `events` a logout token (OpenID Connect Core 1.0, section 2)
        forbidden=("vp", "vc", "token", "nonce", "at_hash", "c_hash", "events"),
    )
)
"""Who runs this node, as an OpenID Connect provider attests it."""


def judge_kind(token: Token) -> None:
    """Returns when the claim `typ`, which Keycloak writes beside the header, is that of an access token or is not there.

    Raises: Unproven for ID tokens, refresh tokens and others, which one provider signs with the same key.
    """
    kind = token.claims.get("typ")
    if kind is not None and str(kind).lower() != "bearer":
        raise Unproven("the claim `typ` is not that of an access token", check="type")


ASSERTION: Final = TokenVerifier(
    profile=Profile(
        name="client assertion",
        types=frozenset((*_PLAIN, "client-authentication+jwt")),
        # `client_id` and `scope` tell an access token; `token` a self-issued one
        forbidden=("vp", "vc", "token", "scope", "client_id"),
        max_life=timedelta(minutes=10),
    )
)
"""Who asks an OAuth2 provider for something: `iss` and `sub` the client, `aud` the provider."""

MEMBER_TYPE: Final = "at+jwt"

MEMBER: Final = TokenVerifier(
    profile=Profile(
        name="access token of a member",
        types=frozenset((*_PLAIN, MEMBER_TYPE)),
        required=("iss", "sub", "aud", "exp", "iat"),
        forbidden=("vp", "vc", "token", "nonce", "at_hash", "c_hash", "events"),
    )
)
"""Who sends a message, as the OAuth2 provider of the space attests it. Others leave `typ` plain; ours never does."""

GIVEN: Final = TokenVerifier(
    profile=Profile(
        name="access token of this provider",
        types=frozenset({MEMBER_TYPE}),
        required=("iss", "sub", "aud", "exp", "iat", "jti", "client_id"),
        forbidden=("vp", "vc", "token"),
    )
)
"""What our own provider gave out, when it comes back to be looked up or revoked."""
