"""Where attacks are played: a running node, the wallets of a member and of attackers on a real host, and a canary that must stay silent.

Everything goes to the public listener as it would from outside; tokens and presentations are written without the product's rules.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from connector import jose
from connector.identity import did as dids
from connector.identity import messages
from connector.identity.did import Relationship
from connector.testing.dataspace import DataSpace, Member
from tests.identity.hosts import Host, host
from tests.identity.space import V1, bits, changed, packed

MEMBER = "MembershipCredential"
SCOPE = f"org.eclipse.dspace.dcp.vc.type:{MEMBER}"
ALL = (Relationship.INVOCATION, Relationship.AUTHENTICATION, Relationship.ASSERTION)
CATALOG = json.dumps({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"}).encode()
Json = dict[str, Any]


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def written(header: Json | bytes, payload: Json | bytes, signature: bytes | Callable[[bytes], bytes]) -> str:
    """A compact token of whatever it is given."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signed = ".".join(map(encoded, parts))
    return f"{signed}.{encoded(signature(signed.encode()) if callable(signature) else signature)}"


@dataclass
class Party:
    """Somebody with a DID on the host of the stage."""

    stage: Stage
    name: str
    key: jose.SigningKey
    shows: Callable[[Party], list[Any]] | None = None
    """The presentations that its wallet answers with; None: what a member would show."""
    asked: list[str] = field(default_factory=list)
    """What its wallet was asked with."""

    @property
    def did(self) -> str:
        return f"{self.stage.host.did}:{self.name}"

    @property
    def claims(self) -> Json:
        """Those of a good self-issued token to the node's participant."""
        at = int(time.time())
        sides = {"iss": self.did, "sub": self.did, "aud": self.stage.acme.id}
        return {**sides, "iat": at, "nbf": at, "exp": at + 300, "jti": self.stage.new_id(), "token": "opaque"}

    def token(self, header: Mapping[str, Any] | None = None, by: jose.SigningKey | None = None, **changes: Any) -> str:
        """A self-issued token; `changes` replace claims, `...` takes one away, `header` adds to the header or replaces in it."""
        key = by or self.key
        extra = {"kid": self.key.id, **(header or {})}
        made = jose.sign(jose.SigningKey(id=str(extra.pop("kid")), numbers=key.numbers), changed(self.claims, changes))
        if not extra:
            return made
        head = {**json.loads(base64.urlsafe_b64decode(made.split(".")[0] + "==")), **extra}
        return signed_with(
            key, {name: value for name, value in head.items() if value is not ...}, changed(self.claims, changes)
        )

    def credential(self, by: Party | None = None, tree: Json | None = None, **changes: Any) -> str:
        """A MembershipCredential of data model 1.1 about this party; `tree` changes the credential, `changes` the claims."""
        issuer, now = by or self.stage.issuer, datetime.now(UTC)
        inner = {
            "@context": [V1],
            "id": "urn:uuid:1",
            "type": ["VerifiableCredential", MEMBER],
            "issuer": issuer.did,
            "issuanceDate": text(now - timedelta(days=1)),
            "expirationDate": text(now + timedelta(days=9)),
            "credentialSubject": {"id": self.did, "memberOf": "the space"},
        }
        at = int(now.timestamp())
        claims = {"iss": issuer.did, "sub": self.did, "jti": "urn:uuid:1", "nbf": at - 60, "exp": at + 864_000}
        return jose.sign(issuer.key, changed({**claims, "vc": changed(inner, tree or {})}, changes), type_="JWT")

    def presentation(self, *held: Any, by: jose.SigningKey | None = None, **changes: Any) -> str:
        """A presentation to the node's participant."""
        at = int(time.time())
        vp = {"@context": [V1], "type": ["VerifiablePresentation"], "verifiableCredential": list(held or (self.credential(),))}
        sides = {"iss": self.did, "sub": self.did, "aud": self.stage.acme.id, "jti": self.stage.new_id()}
        return jose.sign(
            by or self.key, changed({**sides, "iat": at, "nbf": at, "exp": at + 60, "vp": vp}, changes), type_="JWT"
        )

    def status(self, index: Any = "7", url: str | None = None, **changes: Any) -> Json:
        """An entry in a status list of the issuer."""
        where = url or f"{self.stage.host.url}/status/1"
        plain = {"id": f"{where}#{index}", "type": "BitstringStatusListEntry", "statusPurpose": "revocation"}
        return changed({**plain, "statusListIndex": index, "statusListCredential": where}, changes)

    def answer(self, head: str, body: bytes) -> bytes:
        self.asked.append(head)
        (line,) = (line for line in head.split("\r\n") if line.lower().startswith("authorization:"))
        asker = jose.read(line.split(" ")[2], max_bytes=1 << 16).issuer
        shown = [self.presentation(aud=asker)] if self.shows is None else self.shows(self)
        return json.dumps(messages.answer(shown)).encode()


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def signed_with(key: jose.SigningKey, header: Json, payload: Json | bytes) -> str:
    """A token with exactly this header, signed by `key` as its type is."""
    from jwt import algorithms

    kinds: dict[str, Any] = {
        "P-256": algorithms.ECAlgorithm(algorithms.ECAlgorithm.SHA256),
        "P-384": algorithms.ECAlgorithm(algorithms.ECAlgorithm.SHA384),
        "Ed25519": algorithms.OKPAlgorithm(),
        "RSA": algorithms.RSAAlgorithm(algorithms.RSAAlgorithm.SHA256),
    }
    return written(header, payload, lambda data: bytes(kinds[key.public.type].sign(data, key.numbers)))


@dataclass
class Stage:
    """The stage, open."""

    space: DataSpace
    acme: Member
    other: Member
    """A second participant on the same node."""
    host: Host
    canary: Host
    http: httpx.AsyncClient
    issuer: Party = field(init=False)
    holder: Party = field(init=False)
    ids: Any = field(default_factory=itertools.count)

    def new_id(self) -> str:
        return f"id-{next(self.ids)}"

    def party(
        self,
        name: str = "",
        *,
        key: jose.SigningKey | None = None,
        uses: tuple[Relationship, ...] = ALL,
        document: Callable[[Json], Json] | None = None,
        shows: Callable[[Party], list[Any]] | None = None,
    ) -> Party:
        """A new party with a document, changed by `document`, and a wallet that `shows` its presentations."""
        name = name or f"p{next(self.ids)}"
        made = key or jose.generate(f"{self.host.did}:{name}#key-1")
        found = Party(self, name, made, shows)
        tree = dids.write(found.did, [(made.id, made.public, list(uses))], {"CredentialService": f"{self.host.url}/{name}/cs"})
        self.host.pages[f"/{name}/did.json"] = json.dumps(document(tree) if document else tree).encode()
        self.host.pages[f"/{name}/cs/presentations/query"] = found.answer
        return found

    def list_page(self, *revoked: int, by: Party | None = None, **changes: Any) -> bytes:
        """A signed status list."""
        issuer, now = by or self.issuer, datetime.now(UTC)
        url = f"{self.host.url}/status/1"
        inner = {"id": f"{url}#list", "type": "BitstringStatusList", "statusPurpose": "revocation"}
        tree = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": url,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "issuer": (by or self.issuer).did,
            "validFrom": text(now - timedelta(days=1)),
            "validUntil": text(now + timedelta(hours=12)),
            "credentialSubject": changed({**inner, "encodedList": packed(bits(*revoked))}, changes.pop("subject", {})),
        }
        return jose.sign(issuer.key, changed(tree, changes), type_="vc+jwt").encode()

    async def ask(self, raw: str | None, *, to: Member | None = None, body: bytes = CATALOG) -> httpx.Response:
        """What the node answers to a catalogue request with this bearer token."""
        headers: dict[bytes, bytes] = {b"Content-Type": b"application/json"}
        if raw is not None:
            headers[b"Authorization"] = b"Bearer " + raw.encode("utf-8", "surrogateescape")
        return await self.http.post(f"{(to or self.acme).address}/catalog/request", content=body, headers=list(headers.items()))

    async def refuses(self, raw: str | None, *, to: Member | None = None) -> None:
        """Returns when the token is refused like every other one, and nothing was connected to that must not be."""
        answer = await self.ask(raw, to=to)
        assert (answer.status_code, reason(answer)) == (401, REFUSED), answer.text
        assert self.canary.connections == 0, "the canary was reached"

    async def takes(self, raw: str) -> None:
        """Returns when the token is accepted: the stage is one on which honest senders get through."""
        answer = await self.ask(raw)
        assert answer.status_code == 200, answer.text


REFUSED = ["no valid token at `Authorization`; send a token that this participant accepts"]
"""What everybody reads whose token does not count, whatever was wrong with it."""


def reason(answer: httpx.Response) -> Any:
    return answer.json().get("reason")


@asynccontextmanager
async def opened(
    store: str = "memory:", clients: list[dict[str, Any]] | None = None, **sections: dict[str, Any]
) -> AsyncIterator[Stage]:
    """The stage; `clients` are programs that may use the participants' token services, `sections` change the node's settings."""
    async with host() as served, host() as canary, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        membership = {"trusted_issuers": [{"id": f"{served.did}:issuer"}], "scopes": [SCOPE], "clients": clients or []}
        settings: dict[str, Any] = {
            "identity": {"membership": membership, "keep_status_lists_s": 0, "keep_presentations_s": 0},
            **sections,
        }
        async with DataSpace(has_wallets=True, store=store, settings=settings) as space:
            acme = space.join("acme")
            other = space.join("other", on=acme)
            await space.begin()
            stage = Stage(space, acme, other, served, canary, http)
            stage.issuer, stage.holder = stage.party("issuer"), stage.party("holder")
            served.pages["/status/1"] = lambda _head, _body: stage.list_page()
            yield stage
