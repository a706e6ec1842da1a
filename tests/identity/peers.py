"""Participants that are none of ours, on a host: a verifier that asks wallets, a holder whose service shows what it is told to."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx

from connector import jose
from connector.identity import did as dids
from connector.identity.did import DCP_CONTEXT, Relationship
from tests.identity.hosts import Host
from tests.identity.space import V1, V2, enveloped

ALL = (Relationship.INVOCATION, Relationship.AUTHENTICATION)


def at() -> int:
    return int(datetime.now(UTC).timestamp())


def claims_in(token: str) -> dict[str, Any]:
    """The claims of a token, unproven."""
    payload = token.removeprefix("Bearer ").split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@dataclass
class Peer:
    """A participant at `/NAME` of `host`."""

    host: Host
    name: str
    key: jose.SigningKey = field(init=False)
    shows: list[Any] = field(default_factory=list)
    """What its credential service answers with."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The tokens and bodies of the questions it got."""

    def __post_init__(self) -> None:
        self.key = jose.generate(f"{self.did}#key-1")
        self.publish()
        self.host.pages[f"/{self.name}/dcp/presentations/query"] = self._answer

    def publish(self, *uses: Relationship, key: jose.SigningKey | None = None, has_service: bool = True) -> None:
        """Publish a DID document with `key` for `uses`, all if none is given."""
        used = key or self.key
        services = {"CredentialService": f"{self.host.url}/{self.name}/dcp"} if has_service else {}
        document = dids.write(self.did, [(self.key.id, used.public, uses or ALL)], services)
        self.host.pages[f"/{self.name}/did.json"] = json.dumps(document).encode()

    @property
    def did(self) -> str:
        return f"{self.host.did}:{self.name}"

    def _answer(self, head: str, body: bytes) -> bytes:
        (line,) = (line for line in head.split("\r\n") if line.lower().startswith("authorization:"))
        self.asked.append({**json.loads(body), "token": claims_in(line.partition(": ")[2])})
        answer = {"@context": [DCP_CONTEXT], "type": "PresentationResponseMessage", "presentation": self.shows}
        return json.dumps(answer).encode()

    def token(self, receiver: str, key: jose.SigningKey | None = None, **changes: Any) -> str:
        """A self-issued token for `receiver`; `changes` replace claims, None takes one away."""
        plain = {"iss": self.did, "sub": self.did, "aud": receiver, "iat": at(), "exp": at() + 300, "jti": str(uuid4())}
        claims = {name: value for name, value in {**plain, **changes}.items() if value is not None}
        return f"Bearer {jose.sign(key or self.key, claims)}"

    def presentation(
        self, verifier: str, *credentials: str, model: str = V1, by: jose.SigningKey | None = None, **changes: Any
    ) -> str:
        """A presentation of `credentials` for `verifier`."""
        plain = {"iss": self.did, "aud": verifier, "iat": at(), "exp": at() + 60, "jti": str(uuid4())}
        if model == V1:
            shown: dict[str, Any] = {
                "sub": self.did,
                "vp": {"@context": [V1], "type": ["VerifiablePresentation"], "verifiableCredential": list(credentials)},
            }
            type_ = "JWT"
        else:
            items = [enveloped(one) for one in credentials]
            shown = {"@context": [V2], "type": "VerifiablePresentation", "holder": self.did, "verifiableCredential": items}
            type_ = "vp+jwt"
        claims = {name: value for name, value in {**plain, **shown, **changes}.items() if value is not None}
        return jose.sign(by or self.key, claims, type_=type_)


async def post(url: str, body: Any, authorization: str | None, *, form: bool = False) -> httpx.Response:
    """What a node answers to `body`, as JSON or as a form."""
    headers = {"Authorization": authorization} if authorization else {}
    async with httpx.AsyncClient(trust_env=False) as http:
        if form:
            return await http.post(url, data=body, headers=headers)
        if isinstance(body, bytes):
            return await http.post(url, content=body, headers={**headers, "Content-Type": "application/json"})
        return await http.post(url, json=body, headers=headers)
