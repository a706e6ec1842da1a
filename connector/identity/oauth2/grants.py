"""Authlib's server over what was gathered before: grants, introspection, revocation, their errors. Nothing here waits.

What lives here: `answer`, from a gathered request to a decision. What does not: gathering and committing (`provider.py`).
Source: RFC 6749, sections 4.4 and 5.2; RFC 7009; RFC 7662; RFC 8707, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientCredentialsGrant, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from connector.identity.oauth2.clients import Client
from connector.jose import Token
from connector.settings.oauth2 import DAPS_AUDIENCE

METHOD: Final = "private_key_jwt"
CLIENT_CREDENTIALS: Final = "client_credentials"
DAPS_SCOPE: Final = "idsc:IDS_CONNECTOR_ATTRIBUTES_ALL"


class InvalidTarget(OAuth2Error):  # type: ignore[misc]  # Authlib has no types
    """The resource is none that tokens are given for. Source: RFC 8707, section 2."""

    error = "invalid_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A request with everything that is needed to answer it."""

    form: Mapping[str, str]
    client: Client | None
    """The client that has proven itself; None when nobody did."""
    now: datetime
    resource: str | None = None
    """Whom the token is wanted for."""
    has_resource: bool = False
    """Whether `resource` is a connector that is active in the space."""
    shown: Token | None = None
    """The token that the request is about (introspection, revocation), proven to be ours; None when it is not."""
    holder: Client | None = None
    """The client that `shown` was given to, as it is now."""
    is_revoked: bool = False
    is_shared_audience_allowed: bool = False


@dataclass(slots=True)
class Decided:
    """What goes back, and what is to be done."""

    status: int
    body: Mapping[str, Any]
    granted: Grant | None = None
    """A token to sign; its text belongs into `body`."""
    revoked: Token | None = None
    """A token to remember as revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A token that is to be given."""

    client: Client
    audience: str
    scope: str


@dataclass(slots=True)
class _Client:
    """A client as Authlib asks about it."""

    client: Client

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == METHOD

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == CLIENT_CREDENTIALS

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""


@dataclass(slots=True)
class _Shown:
    """A token as Authlib asks about it."""

    gathered: Gathered
    token: Token

    def check_client(self, client: _Client) -> bool:
        return bool(self.token.claims["client_id"] == client.client.id)

    def is_expired(self) -> bool:
        expires = self.token.expires
        return expires is None or self.gathered.now >= expires

    def is_revoked(self) -> bool:
        holder = self.gathered.holder
        return self.gathered.is_revoked or holder is None or not holder.is_active


@dataclass(slots=True)
class _Memory:
    """What Authlib decided, on its way out."""

    granted: Grant | None = None
    revoked: Token | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def answer(endpoint: str, gathered: Gathered, memory: _Memory | None = None) -> Decided:
    """The decision about a request to `token`, `introspection` or `revocation`."""
    memory = memory or _Memory()
    server = _Server(gathered, memory)
    if endpoint == "token":
        status, body = server.create_token_response(gathered)
    else:
        status, body = server.create_endpoint_response(endpoint, gathered)
    return Decided(status=status, body=body, granted=memory.granted, revoked=memory.revoked)


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, gathered: Gathered, memory: _Memory) -> None:
        super().__init__()
        self._gathered = gathered
        self.memory = memory
        self.register_client_auth_method(METHOD, self._authenticated)
        self.register_grant(_Grant)
        self.register_endpoint(_Introspection)
        self.register_endpoint(_Revocation)
        self.register_token_generator("default", lambda **_: {})

    @property
    def gathered(self) -> Gathered:
        return self._gathered

    def query_client(self, client_id: str) -> _Client | None:
        client = self._gathered.client
        return _Client(client) if client is not None and client.id == client_id else None

    def _authenticated(self, query_client: object, request: object) -> _Client | None:
        client = self._gathered.client
        return _Client(client) if client is not None and client.is_active else None

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        if isinstance(request, OAuth2Request):
            return request
        # the scheme of the listener is vetted when the node starts; Authlib only wants to read it
        return _Request(dict(request.form))

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any]:
        return status, body

    def save_token(self, token: Any, request: Any) -> None:
        """Nothing: the token is signed when the decision is carried out."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nothing listens."""


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, form: dict[str, str]) -> None:
        super().__init__("POST", "https://provider.invalid/")
        self._form = form
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)

    def validate_requested_scope(self) -> None:
        # 1. no scope that the client does not have
        gathered: Gathered = self.server.gathered
        scopes = (gathered.form.get("scope") or "").split()
        allowed = set(self.request.client.client.scopes)
        if gathered.is_shared_audience_allowed:
            allowed.add(DAPS_SCOPE)
        if not set(scopes) <= allowed:
            raise InvalidScopeError()
        # 2. one connector that the token is for
        audience = gathered.resource
        if audience is None:
            if not (gathered.is_shared_audience_allowed and DAPS_SCOPE in scopes):
                raise InvalidTarget("name the connector that the token is for in `resource`")
            audience = DAPS_AUDIENCE
        elif not gathered.has_resource:
            raise InvalidTarget("there is no such connector in this space")
        self.server.memory.granted = Grant(client=self.request.client.client, audience=audience, scope=" ".join(scopes))


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = (METHOD,)

    def authenticate_token(self, request: Any, client: _Client) -> _Shown | None:
        self.check_params(request, client)
        gathered: Gathered = self.server.gathered
        found = None if gathered.shown is None else _Shown(gathered, gathered.shown)
        return found if found is not None and self.check_permission(found, client, request) else None

    def check_params(self, request: Any, client: _Client) -> None:
        if not request.form.get("token"):
            raise InvalidRequestError("there is no `token`")

    def check_permission(self, token: _Shown, client: _Client, request: Any) -> bool:
        """Only the one it is for and the one it was given to learn whether a token holds."""
        audience = token.token.claims["aud"]
        return audience in (client.client.id, DAPS_AUDIENCE) or token.check_client(client)

    def introspect_token(self, token: _Shown) -> dict[str, Any]:
        return {"active": True, "token_type": "Bearer", **token.token.claims}


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = (METHOD,)

    def check_params(self, request: Any, client: _Client) -> None:
        if not request.form.get("token"):
            raise InvalidRequestError("there is no `token`")

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Shown | None:
        gathered: Gathered = self.server.gathered
        return None if gathered.shown is None else _Shown(gathered, gathered.shown)

    def revoke_token(self, token: _Shown, request: Any) -> None:
        self.server.memory.revoked = token.token
