"""A small data space of tokens: an issuer, a holder, a verifier and a stranger, in both data models, written without the product."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector import jose
from connector.identity import credentials, did
from connector.identity.did import Relationship
from connector.identity.scopes import Scope, parse

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
V1, V2 = "https://www.w3.org/2018/credentials/v1", "https://www.w3.org/ns/credentials/v2"
VERIFIER = "did:web:verifier.example"
LIST = "https://issuer.example/status/1"
MEMBER = parse("org.eclipse.dspace.dcp.vc.type:MembershipCredential")
Json = dict[str, Any]


@dataclass(frozen=True)
class Party:
    """Someone with a key and a document."""

    did: str
    key: jose.SigningKey

    def document(self, *uses: Relationship) -> did.Document:
        relationships = {use: frozenset({self.key.id}) for use in uses}
        method = did.Method(id=self.key.id, key=self.key.public)
        return did.Document(id=self.did, methods={method.id: method}, relationships=relationships)


def party(name: str, kind: str = "P-256") -> Party:
    return Party(f"did:web:{name}.example", jose.generate(f"did:web:{name}.example#key-1", kind))


ISSUER, HOLDER, STRANGER = party("issuer"), party("holder"), party("stranger", "Ed25519")


def changed(tree: Json, changes: Mapping[str, Any]) -> Json:
    """`tree` with changes; `...` takes a member away."""
    return {name: value for name, value in {**tree, **changes}.items() if value is not ...}


def date(**shift: float) -> str:
    return (NOW + timedelta(**shift)).isoformat().replace("+00:00", "Z")


def tree_1(**changes: Any) -> Json:
    """A credential of data model 1.1."""
    tree = {
        "@context": [V1, {"x": "https://example.org/x#"}],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential", "MembershipCredential"],
        "issuer": ISSUER.did,
        "issuanceDate": date(days=-1),
        "expirationDate": date(days=90),
        "credentialSubject": {"id": HOLDER.did, "memberOf": "test"},
    }
    return changed(tree, changes)


def tree_2(**changes: Any) -> Json:
    """A credential of data model 2.0."""
    tree = tree_1(
        **{
            "@context": [V2],
            "issuanceDate": ...,
            "expirationDate": ...,
            "validFrom": date(days=-1),
            "validUntil": date(days=90),
        }
    )
    return changed(tree, changes)


def credential_1(tree: Json | None = None, by: Party = ISSUER, **changes: Any) -> str:
    claims = {
        "iss": ISSUER.did,
        "sub": HOLDER.did,
        "jti": "urn:uuid:1",
        "nbf": AT - 86_400,
        "exp": AT + 90 * 86_400,
        "vc": tree or tree_1(),
    }
    return jose.sign(by.key, changed(claims, changes), type_="JWT")


def credential_2(tree: Json | None = None, by: Party = ISSUER, type_: str | None = "vc+jwt", **changes: Any) -> str:
    return jose.sign(by.key, changed(tree or tree_2(), changes), type_=type_, cty="vc")


def presentation_1(*held: Any, by: Party = HOLDER, vp: Json | None = None, **changes: Any) -> str:
    vp = {"@context": [V1], "type": ["VerifiablePresentation"], "verifiableCredential": list(held), **(vp or {})}
    claims = {"iss": HOLDER.did, "sub": HOLDER.did, "aud": VERIFIER, "iat": AT, "nbf": AT, "exp": AT + 60, "jti": "2", "vp": vp}
    return jose.sign(by.key, changed(claims, changes), type_="JWT")


def enveloped(raw: str) -> Json:
    return {"@context": V2, "type": "EnvelopedVerifiableCredential", "id": f"data:application/vc+jwt,{raw}"}


def presentation_2(*held: Any, by: Party = HOLDER, type_: str | None = "vp+jwt", **changes: Any) -> str:
    items = [enveloped(one) if isinstance(one, str) else one for one in held]
    claims = {"@context": [V2], "type": "VerifiablePresentation", "holder": HOLDER.did, "verifiableCredential": items}
    claims |= {"iss": HOLDER.did, "aud": VERIFIER, "iat": AT, "exp": AT + 60, "jti": "2"}
    return jose.sign(by.key, changed(claims, changes), type_=type_, cty="vp")


def entry(index: Any = "7", *, type_: str = "BitstringStatusListEntry", **changes: Any) -> Json:
    plain = {
        "id": f"{LIST}#{index}",
        "type": type_,
        "statusPurpose": "revocation",
        "statusListIndex": index,
        "statusListCredential": LIST,
    }
    return changed(plain, changes)


def packed(bits: bytes) -> str:
    return "u" + base64.urlsafe_b64encode(gzip.compress(bits)).rstrip(b"=").decode()


def bits(*indexes: int, size: int = 131_072 // 8) -> bytes:
    found = bytearray(size)
    for index in indexes:
        found[index // 8] |= 0x80 >> index % 8
    return bytes(found)


def list_tree(*revoked: int, encoded: str | None = None, subject: Json | None = None, **changes: Any) -> Json:
    inner = {"id": f"{LIST}#list", "type": "BitstringStatusList", "statusPurpose": "revocation"}
    tree = {
        "@context": [V2],
        "id": LIST,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": ISSUER.did,
        "validFrom": date(days=-1),
        "validUntil": date(hours=12),
        "credentialSubject": changed({**inner, "encodedList": encoded or packed(bits(*revoked))}, subject or {}),
    }
    return changed(tree, changes)


def list_2(*revoked: int, by: Party = ISSUER, **changes: Any) -> bytes:
    return jose.sign(by.key, list_tree(*revoked, **changes), type_="vc+jwt").encode()


def list_2021(*revoked: int, by: Party = ISSUER, **changes: Any) -> bytes:
    tree = list_tree(
        *revoked,
        subject={"type": "StatusList2021"},
        **{"@context": [V1], "validFrom": ..., "validUntil": ..., "issuanceDate": date(days=-1)},
    )
    tree["type"] = ["VerifiableCredential", "StatusList2021Credential"]
    tree["credentialSubject"]["encodedList"] = tree["credentialSubject"]["encodedList"][1:]
    claims = {"iss": ISSUER.did, "jti": LIST, "nbf": AT - 60, "vc": tree}
    return jose.sign(by.key, changed(claims, changes), type_="JWT").encode()


@dataclass
class Question:
    """One verification, with everything good until a test changes it."""

    asked: credentials.Asked = field(
        default_factory=lambda: credentials.Asked(verifier=VERIFIER, holder=HOLDER.did, scopes=(MEMBER,))
    )
    trust: credentials.Trust = field(
        default_factory=lambda: credentials.Trust(
            issuers={ISSUER.did: frozenset({"MembershipCredential", "SensitiveDataCredential"})}
        )
    )
    documents: dict[str, Any] = field(
        default_factory=lambda: {
            HOLDER.did: HOLDER.document(Relationship.AUTHENTICATION),
            ISSUER.did: ISSUER.document(Relationship.ASSERTION),
            STRANGER.did: STRANGER.document(*Relationship),
        }
    )
    lists: dict[str, Any] = field(default_factory=lambda: {LIST: list_2()})
    schemas: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW

    def ask(self, *items: Any) -> credentials.Proven | credentials.Failure:
        evidence = credentials.Evidence(documents=self.documents, lists=self.lists, schemas=self.schemas)
        return credentials.verify(items, asked=self.asked, trust=self.trust, evidence=evidence, now=self.now)

    def scoped(self, *scopes: Scope) -> Question:
        self.asked = credentials.Asked(verifier=VERIFIER, holder=HOLDER.did, scopes=scopes)
        return self
