"""An issuer of credentials that is none of ours, on a real socket: metadata, requests, deliveries, a status list."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from connector import jose
from connector.identity import did as dids
from connector.identity.did import DCP_CONTEXT, Relationship
from tests.identity.hosts import Host
from tests.identity.space import V1, V2, bits, packed

MEMBER = "MembershipCredential"


@dataclass
class Issuer:
    """An issuer below `host`, at `/NAME`."""

    host: Host
    name: str = "issuer"
    key: jose.SigningKey = field(init=False)
    types: tuple[str, ...] = (MEMBER,)
    life: timedelta = timedelta(days=90)
    requests: list[dict[str, Any]] = field(default_factory=list)
    revoked: set[int] = field(default_factory=set)
    answers: list[tuple[int, str]] = field(default_factory=list)
    """What holders answered to deliveries."""
    model: str = V1
    next_index: int = 7
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def publish(self, *uses: Relationship) -> None:
        """Publish the DID document, with the key for `uses`, all that an issuer needs if none is given."""
        needed = uses or (Relationship.INVOCATION, Relationship.ASSERTION)
        document = dids.write(self.did, [(self.key.id, self.key.public, needed)], {"IssuerService": self.url})
        self.host.pages[f"/{self.name}/did.json"] = json.dumps(document).encode()

    def __post_init__(self) -> None:
        self.key = jose.generate(f"{self.did}#key-1")
        self.publish()
        metadata = {
            "@context": [DCP_CONTEXT],
            "type": "IssuerMetadata",
            "issuer": self.did,
            "credentialsSupported": [
                {"id": f"id-of-{type_}", "type": "CredentialObject", "credentialType": type_, "profile": "vc11-sl2021/jwt"}
                for type_ in self.types
            ],
        }
        self.host.pages |= {
            f"/{self.name}/metadata": json.dumps(metadata).encode(),
            f"/{self.name}/credentials": self._asked,
            f"/{self.name}/status": lambda _head, _body: self.status_list(),
        }

    @property
    def did(self) -> str:
        return f"{self.host.did}:{self.name}"

    @property
    def url(self) -> str:
        return f"{self.host.url}/{self.name}"

    def _asked(self, head: str, body: bytes) -> bytes:
        """A request: remembered, and delivered a moment later."""
        (line,) = (line for line in head.split("\r\n") if line.lower().startswith("authorization:"))
        scheme, token = line.partition(": ")[2].split(" ")
        assert scheme == "Bearer", "DCP 1.0, 6.4: the token stands in a header, behind this word"
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        request = {**json.loads(body), "holder": claims["iss"], "token": claims.get("token")}
        self.requests.append(request)
        self.tasks.append(asyncio.create_task(self.deliver(request["holder"], request["holderPid"], token=request["token"])))
        return b""

    def delivery(self, holder: str, holder_pid: str | None, **changes: Any) -> dict[str, Any]:
        """A delivery of one credential of each type to `holder`; `changes` replace parts of it."""
        message = {
            "@context": [DCP_CONTEXT],
            "type": "CredentialMessage",
            "issuerPid": "issuer-pid",
            "holderPid": holder_pid,
            "status": "ISSUED",
            "credentials": [
                {"credentialType": type_, "format": "vc11-sl2021/jwt", "payload": self.credential(holder, type_)}
                for type_ in self.types
            ],
            **changes,
        }
        return {name: value for name, value in message.items() if value is not None}

    async def deliver(self, holder: str, holder_pid: str, token: str | None = None) -> httpx.Response:
        """Deliver what `holder` asked for, giving back the access token of its request."""
        return await self.post(holder, "credentials", self.delivery(holder, holder_pid), self.token(holder, token=token))

    async def post(self, holder: str, path: str, message: Any, authorization: str | None) -> httpx.Response:
        """A message to the holder's service at the address that its identifier means."""
        place = holder.removeprefix("did:web:").replace("%3A", "§").replace(":", "/").replace("§", ":")
        headers = {"Authorization": authorization} if authorization else {}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"http://{place}/dcp/{path}", json=message, headers=headers)
        self.answers.append((answer.status_code, answer.text))
        return answer

    def token(self, receiver: str, key: jose.SigningKey | None = None, **changes: Any) -> str:
        """A self-issued token for `receiver`; `changes` replace claims, None takes one away."""
        at = int(datetime.now(UTC).timestamp())
        plain = {"iss": self.did, "sub": self.did, "aud": receiver, "iat": at, "exp": at + 300, "jti": str(uuid4())}
        claims = {name: value for name, value in {**plain, **changes}.items() if value is not None}
        return f"Bearer {jose.sign(key or self.key, claims)}"

    def credential(self, holder: str, type_: str = MEMBER, **changes: Any) -> str:
        """A credential of data model 1.1 or 2.0, with an entry in the status list."""
        now = datetime.now(UTC)
        begin, end = (moment.isoformat(timespec="seconds") for moment in (now - timedelta(minutes=1), now + self.life))
        dates = {"issuanceDate": begin, "expirationDate": end} if self.model == V1 else {"validFrom": begin, "validUntil": end}
        status = {
            "id": f"{self.url}/status#{self.next_index}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(self.next_index),
            "statusListCredential": f"{self.url}/status",
        }
        tree = {
            "@context": [self.model],
            "id": f"urn:uuid:{uuid4()}",
            "type": ["VerifiableCredential", type_],
            "issuer": self.did,
            **dates,
            "credentialSubject": {"id": holder, "memberOf": "test", "level": "gold"},
            "credentialStatus": status,
            **changes,
        }
        if self.model == V2:
            return jose.sign(self.key, tree, type_="vc+jwt", cty="vc")
        claims = {"iss": self.did, "sub": holder, "jti": tree["id"], "nbf": int(now.timestamp()) - 60, "vc": tree}
        return jose.sign(self.key, {**claims, "exp": int((now + self.life).timestamp())}, type_="JWT")

    def status_list(self) -> bytes:
        """The signed list of withdrawn credentials, as it is now."""
        now = datetime.now(UTC)
        tree = {
            "@context": [V2],
            "id": f"{self.url}/status",
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": self.did,
            "validFrom": (now - timedelta(minutes=1)).isoformat(timespec="seconds"),
            "validUntil": (now + timedelta(hours=1)).isoformat(timespec="seconds"),
            "credentialSubject": {
                "id": f"{self.url}/status#list",
                "type": "BitstringStatusList",
                "statusPurpose": "revocation",
                "encodedList": packed(bits(*self.revoked)),
            },
        }
        return jose.sign(self.key, tree, type_="vc+jwt").encode()
