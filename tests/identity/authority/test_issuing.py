"""What an issuer writes is what our own strict verifier takes, in both data models; and what it refuses to write."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connector.errors import BadMessage, CallerError, Conflict
from connector.identity import credentials, formats, status
from connector.identity.authority import issuing, kinds, messages
from connector.identity.authority.issuing import Entry
from connector.identity.authority.kinds import CredentialType
from connector.identity.formats import Model
from tests.identity.space import HOLDER, ISSUER, LIST, NOW, STRANGER, Question, bits, presentation_1, presentation_2

MEMBERSHIP = CredentialType(type="MembershipCredential", id="membership", fixed={"memberOf": "test"})
SENSITIVE = CredentialType(type="SensitiveDataCredential", id="sensitive", model=Model.V2, format="VC1_0_JWT")
REVOCATION = Entry(list="1", url=LIST, purpose="revocation", index=7)


def issued(model: Model, *entries: Entry, by: Any = ISSUER) -> str:
    kind = replace(MEMBERSHIP, model=model)
    said = kinds.claims_of(kind, {"name": "Anna", "region": "EU"})
    return issuing.credential(
        kind, said, key=by.key, issuer=ISSUER.did, subject=HOLDER.did, entries=entries, id_="urn:uuid:1", now=NOW
    )


def listing(model: Model, *revoked: int, purpose: str = "revocation", by: Any = ISSUER) -> bytes:
    raw = issuing.status_list(model, purpose, bits(*revoked), key=by.key, issuer=ISSUER.did, url=LIST, now=NOW)
    return raw.encode()


@pytest.mark.parametrize("model", Model)
def test_a_credential_and_its_list_pass_the_whole_check(model: Model) -> None:
    present = presentation_1 if model is Model.V1 else presentation_2
    for revoked, check in (((), None), ((7,), "revocation"), ((6, 8), None)):
        found = Question(lists={LIST: listing(model, *revoked)}).ask(present(issued(model, REVOCATION)))
        assert getattr(found, "check", None) == check
    found = Question(lists={LIST: listing(model)}).ask(present(issued(model, REVOCATION)))
    assert isinstance(found, credentials.Proven)
    (credential,) = found.credentials
    assert credential.claims == {"name": "Anna", "region": "EU", "memberOf": "test"}
    assert credential.valid_until == NOW + timedelta(days=90)
    # the first end is the list's
    assert found.valid_until == NOW + issuing.LIST_LIFE


@pytest.mark.parametrize("model", Model)
def test_a_list_counts_only_for_its_purpose_and_from_its_issuer(model: Model) -> None:
    present = presentation_1 if model is Model.V1 else presentation_2
    for served in (
        listing(model, purpose="suspension"),
        listing(model, by=STRANGER),
        listing(Model.V2 if model is Model.V1 else Model.V1),
    ):
        found = Question(lists={LIST: served}).ask(present(issued(model, REVOCATION)))
        assert isinstance(found, credentials.Failure)
    # unsigned JSON is for others: ours does not take it
    plain = json.dumps(issuing.plain_status_list(model, "revocation", bits(), issuer=ISSUER.did, url=LIST, now=NOW)).encode()
    assert isinstance(Question(lists={LIST: plain}).ask(present(issued(model, REVOCATION))), credentials.Failure)


def test_both_purposes_are_judged() -> None:
    model = Model.V1
    both = (REVOCATION, Entry(list="2", url=f"{LIST}2", purpose="suspension", index=131_071))
    suspended = issuing.status_list(
        model, "suspension", bits(131_071), key=ISSUER.key, issuer=ISSUER.did, url=f"{LIST}2", now=NOW
    )
    found = Question(lists={LIST: listing(model), f"{LIST}2": suspended.encode()}).ask(presentation_1(issued(model, *both)))
    assert getattr(found, "check", None) == "suspension"


def test_bits_are_counted_from_the_left_and_stay_within_the_list() -> None:
    for index in (0, 7, 8, 131_071):
        changed = issuing.with_bit(bits(3), index, is_set=True)
        assert [status.value(changed, one) for one in (index, 3)] == [1, 1]
        assert issuing.with_bit(changed, index, is_set=False) == bits(3)
    for index in (-1, 131_072):
        with pytest.raises(IndexError):
            issuing.with_bit(bits(), index, is_set=True)


def test_claims_come_from_the_registry_and_fit_the_schema() -> None:
    narrow = CredentialType(type="T", id="t", attributes=("region",), fixed={"region": "EU"})
    assert kinds.claims_of(narrow, {"region": "US", "name": "Anna", "id": "did:web:other"}) == {"region": "EU"}
    checked = CredentialType(type="T", id="t", check=lambda claims: None if "name" in claims else "`name` is missing")
    assert kinds.claims_of(checked, {"name": "Anna"}) == {"name": "Anna"}
    for kind, words in ((narrow, "needs `region`"), (checked, "`name` is missing"), (SENSITIVE, "nothing of this member")):
        with pytest.raises(Conflict, match=words):
            kinds.claims_of(kind, {"id": "did:web:x"} if kind is not checked else {"region": "EU"})


def request(**changes: Any) -> bytes:
    tree = {
        "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
        "type": "CredentialRequestMessage",
        "holderPid": "h1",
        "credentials": [{"id": "membership"}, {"id": "sensitive"}],
    }
    return json.dumps({name: value for name, value in {**tree, **changes}.items() if value is not ...}).encode()


def test_a_request_names_credentials_of_the_metadata() -> None:
    found = messages.read_request(request())
    assert (found.holder_pid, kinds.chosen((MEMBERSHIP, SENSITIVE), found.ids)) == ("h1", (MEMBERSHIP, SENSITIVE))
    with pytest.raises(CallerError, match="no credential"):
        kinds.chosen((MEMBERSHIP,), found.ids)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        request(credentials=...),
        request(credentials=[]),
        request(credentials=[{}]),
        request(credentials=["membership"]),
        request(credentials=[{"id": "membership"}] * 33),
        request(holderPid=...),
        request(holderPid=""),
        request(holderPid=7),
        request(type="CredentialMessage"),
        request(**{"@context": ["https://example.org/other"]}),
        request()[:-1] + b',"holderPid":"h2"}',
    ],
)
def test_a_request_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        messages.read_request(body)


def test_each_credential_is_delivered_under_the_name_that_its_type_sets() -> None:
    delivered = messages.issued("i", "h", [(MEMBERSHIP, "ey"), (SENSITIVE, "ey")])["credentials"]
    assert [one["format"] for one in delivered] == ["vc11-sl2021/jwt", "VC1_0_JWT"]
    assert messages.rejected("i", "h", "no")["rejectionReason"] == "no"
    assert formats.read_credential(issued(Model.V2)).types == ("MembershipCredential",)
