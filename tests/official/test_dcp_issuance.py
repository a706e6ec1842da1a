"""What our issuer sends, against the schemas of DCP 1.0."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jsonschema_rs
import pytest

from connector.identity.authority import kinds, messages
from connector.identity.authority.kinds import CredentialType

KIND = CredentialType(type="MembershipCredential", id="urn:x:membership", schema_url="https://issuer.example/s", fixed={"a": 1})
# presentation exchange, which we send nothing of, is referred to by schemas that are not among these
BESIDE = "https://identity.foundation/presentation-exchange/schemas/presentation-{}.json"
# what the others call a schema that calls itself otherwise
CONTEXT = "https://w3id.org/dspace-dcp/v1.0/common/context-schema.json"
SENT: dict[str, Any] = {
    "issuer-metadata": kinds.metadata("did:web:issuer.example", (KIND,)),
    "credential-message": messages.issued("i", "h", [(KIND, "ey")]),
    "credential-message-rejected": messages.rejected("i", "h", "no"),
    "credential-offer-message": messages.offer("did:web:issuer.example", (KIND,), "reissue"),
    "credential-status": messages.status("i", "h", messages.RequestStatus.RECEIVED),
}


@pytest.mark.parametrize("name", SENT)
def test_what_the_issuer_sends_fits_the_schema(name: str, official: pathlib.Path) -> None:
    folder = official / "dcp"
    schemas = [json.loads(path.read_text()) for path in folder.rglob("*-schema.json")]
    schemas.append({**json.loads((folder / "common/context-schema.json").read_text()), "$id": CONTEXT})
    schemas += [{"$id": BESIDE.format(name)} for name in ("definition", "submission")]
    registry = jsonschema_rs.Registry([(one["$id"], one) for one in schemas if "$id" in one])
    path = official / "dcp/issuance" / f"{name.removesuffix('-rejected')}-schema.json"
    jsonschema_rs.validator_for(json.loads(path.read_text()), registry=registry).validate(SENT[name])


def test_every_object_of_the_metadata_has_all_properties(official: pathlib.Path) -> None:
    """DCP 1.0, 6.7.1: MUST contain all optional properties, which its schema does not ask for."""
    schema = json.loads((official / "dcp/issuance/credential-object-schema.json").read_text())
    (shown,) = SENT["issuer-metadata"]["credentialsSupported"]
    assert set(shown) == set(schema["definitions"]["CredentialObject"]["properties"])


def test_the_official_request_is_read(official: pathlib.Path) -> None:
    found = messages.read_request((official / "dcp/issuance/example/credential-request-message.json").read_bytes())
    assert (found.holder_pid, len(found.ids)) == ("holderPid", 2)
