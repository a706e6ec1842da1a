"""Good presentations prove what they say; each way of cheating fails at its own check, and fetches nothing that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connector import jose
from connector.identity import credentials
from connector.identity.credentials import Failure, Missing, Proven
from connector.identity.did import Relationship
from connector.identity.scopes import parse
from tests.identity.space import (
    AT,
    HOLDER,
    ISSUER,
    LIST,
    MEMBER,
    NOW,
    STRANGER,
    V1,
    V2,
    VERIFIER,
    Party,
    Question,
    credential_1,
    credential_2,
    date,
    entry,
    enveloped,
    list_2,
    list_2021,
    presentation_1,
    presentation_2,
    tree_1,
    tree_2,
)

SENSITIVE = parse("org.eclipse.dspace.dcp.vc.type:SensitiveDataCredential")
SCHEMA = {"id": "https://issuer.example/schema/1", "type": "JsonSchema"}
OWN = {"id": HOLDER.did, "memberOf": "test"}


def proven(found: Proven | Failure) -> Proven:
    assert isinstance(found, Proven), found
    return found


def both(**changes: Any) -> dict[str, str]:
    """A presentation in each model of a credential with these changes."""
    return {"1.1": presentation_1(credential_1(tree_1(**changes))), "2.0": presentation_2(credential_2(tree_2(**changes)))}


GOOD: dict[str, Any] = {
    **both(),
    "one credential, not in a list": presentation_1(vp={"verifiableCredential": credential_1()}),
    "type as text": presentation_1(credential_1(), vp={"type": "VerifiablePresentation", "@context": V1}),
    "no sub, more claims": presentation_1(credential_1(), sub=..., controller=HOLDER.did, nonce="x"),
    "audience in a list": presentation_1(credential_1(), aud=[VERIFIER]),
    "holder named inside": presentation_1(credential_1(), vp={"holder": {"id": HOLDER.did}}),
    "issuer as an object": presentation_2(credential_2(tree_2(issuer={"id": ISSUER.did, "name": "Issuer"}))),
    "subject in a list": presentation_2(credential_2(tree_2(credentialSubject=[OWN]))),
    "subject without claims": presentation_1(credential_1(tree_1(credentialSubject={"id": HOLDER.did}))),
    "dates to the nanosecond": presentation_2(credential_2(tree_2(validFrom="2026-11-21T03:51:19.123456789Z"))),
    "dates of another zone": presentation_2(credential_2(tree_2(validFrom="2026-11-22T14:00:00+02:00"))),
    "no end": presentation_2(credential_2(tree_2(validUntil=...))),
    "no type in the header": presentation_2(credential_2(type_=None), type_=None),
    "a jti of the token's own": presentation_1(credential_1(jti="urn:uuid:2")),
    "iss and sub beside the credential": presentation_2(credential_2(iss=ISSUER.did, sub=HOLDER.did, iat=AT - 60, exp=AT + 600, jti="x")),
    "the answer's own envelope": {
        "@context": V2, "type": "EnvelopedVerifiablePresentation", "id": f"data:application/vp+jwt,{presentation_2(credential_2())}",
    },
    "a status that only informs": presentation_2(credential_2(tree_2(credentialStatus=entry(statusPurpose="refresh")))),
    "a status of each kind": presentation_2(credential_2(tree_2(credentialStatus=[entry("7"), entry(8)]))),
    "in a 1.1 credential too": presentation_1(credential_1(tree_1(credentialStatus=entry()))),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_presentation_proves_membership(name: str) -> None:
    found = proven(Question().ask(GOOD[name]))
    assert found.holder == HOLDER.did
    (credential,) = found.credentials
    assert credential.types == ("MembershipCredential",)
    assert credential.issuer == ISSUER.did
    assert credential.claims.get("memberOf", "test") == "test"
    assert found.refused == found.warnings == ()


def test_what_is_proven_ends_with_what_it_rests_on() -> None:
    assert proven(Question().ask(GOOD["1.1"])).valid_until == NOW + timedelta(days=90)
    assert proven(Question().ask(GOOD["no end"])).valid_until is None
    # the list that spared it ends first
    assert proven(Question().ask(GOOD["in a 1.1 credential too"])).valid_until == NOW + timedelta(hours=12)


def test_several_presentations_may_prove_it_together() -> None:
    sensitive = tree_1(type=["VerifiableCredential", "SensitiveDataCredential"], id=...)
    items = [presentation_1(credential_1(sensitive, jti=...)), presentation_2(credential_2())]
    found = proven(Question().scoped(MEMBER, SENSITIVE).ask(*items))
    assert [one.types for one in found.credentials] == [("SensitiveDataCredential",), ("MembershipCredential",)]
    # more than was asked for does no harm
    assert len(proven(Question().ask(*items)).credentials) == 2


def test_a_presentation_that_fails_leaves_the_others_standing() -> None:
    bad = presentation_1(credential_1(by=STRANGER))
    found = proven(Question().ask(bad, GOOD["2.0"]))
    assert len(found.credentials) == 1
    assert [one.check for one in found.refused] == ["issuer"]


def test_one_bad_credential_voids_its_presentation() -> None:
    other = tree_1(type=["VerifiableCredential", "SensitiveDataCredential"], expirationDate=date(days=-1))
    found = Question().ask(presentation_1(credential_1(), credential_1(other)))
    assert isinstance(found, Failure)
    assert found.check == "expired"


def own_key(**header: str) -> str:
    """A credential in the issuer's name, signed by the holder."""
    return jose.sign(jose.SigningKey(id=ISSUER.key.id, numbers=HOLDER.key.numbers), {**tree_2()}, type_="vc+jwt", **header)


CHEATS: dict[str, tuple[Callable[[], Any], str]] = {
    # the answer
    "no token": (lambda: "garbage", "form"),
    "an object": (lambda: {"type": "VerifiablePresentation"}, "format"),
    "a number": (lambda: 7, "format"),
    # T24
    "T24 of another holder": (
        lambda: presentation_1(credential_1(), iss=STRANGER.did, sub=STRANGER.did, by=STRANGER),
        "issuer",
    ),
    "T24 signed by another": (
        lambda: presentation_1(credential_1(), by=Party(HOLDER.did, jose.generate(HOLDER.key.id))),
        "signature",
    ),
    "T24 another's key": (lambda: presentation_1(credential_1(), by=STRANGER), "key-id"),
    "T24 for another": (lambda: presentation_1(credential_1(), aud="did:web:other.example"), "audience"),
    "T24 for us and another": (lambda: presentation_1(credential_1(), aud=[VERIFIER, "did:web:other.example"]), "audience"),
    "T24 for nobody": (lambda: presentation_1(credential_1(), aud=...), "aud"),
    "T24 over": (lambda: presentation_1(credential_1(), iat=AT - 120, nbf=AT - 120, exp=AT - 60), "expired"),
    "T24 without an end": (lambda: presentation_1(credential_1(), exp=...), "exp"),
    "T24 good for a year": (lambda: presentation_1(credential_1(), exp=AT + 31_536_000), "life"),
    "T24 not yet": (lambda: presentation_1(credential_1(), nbf=AT + 60), "not-before"),
    "T24 other sub": (lambda: presentation_1(credential_1(), sub=STRANGER.did), "holder"),
    "T24 other holder inside": (lambda: presentation_2(credential_2(), holder=STRANGER.did), "holder"),
    "T24 over, in 2.0": (lambda: presentation_2(credential_2(), iat=AT - 120, exp=AT - 60), "expired"),
    "T24 unbound, in 2.0": (lambda: presentation_2(credential_2(), iss=..., aud=..., exp=...), "iss"),
    # T20
    "T20 a self-issued token": (
        lambda: jose.sign(HOLDER.key, {"iss": HOLDER.did, "sub": HOLDER.did, "aud": VERIFIER, "exp": AT + 60, "token": "x"}),
        "type",
    ),
    "T20 a token for nothing": (lambda: jose.sign(HOLDER.key, {"iss": HOLDER.did, "aud": VERIFIER, "exp": AT + 60}), "format"),
    "T20 a credential": (lambda: credential_1(), "type"),
    "T20 a credential of 2.0": (lambda: credential_2(), "type"),
    "T20 a presentation as credential": (lambda: presentation_1(presentation_1()), "type"),
    "vp+jwt with a vp claim": (
        lambda: jose.sign(
            HOLDER.key,
            {"iss": HOLDER.did, "aud": VERIFIER, "exp": AT + 60, "vp": {"type": "VerifiablePresentation"}},
            type_="vp+jwt",
        ),
        "format",
    ),
    "nested and unbound": (
        lambda: jose.sign(HOLDER.key, {"type": "EnvelopedVerifiablePresentation", "id": "data:application/vp+jwt,x"}),
        "format",
    ),
    "no context": (lambda: presentation_1(credential_1(), vp={"@context": []}), "format"),
    "both contexts": (lambda: presentation_1(credential_1(), vp={"@context": [V1, V2]}), "format"),
    "2.0 inside 1.1": (lambda: presentation_1(credential_2()), "format"),
    "1.1 inside 2.0": (lambda: presentation_2(credential_1()), "format"),
    "bare text inside 2.0": (lambda: presentation_2(verifiableCredential=[credential_2()]), "format"),
    "an envelope inside 1.1": (lambda: presentation_1(enveloped(credential_1())), "format"),
    "linked data inside": (lambda: presentation_1(tree_1()), "format"),
    "too many": (lambda: presentation_1(*["x"] * 33), "size"),
    # T25
    "T25 iss and issuer": (lambda: presentation_1(credential_1(iss=STRANGER.did)), "issuer"),
    "T25 iss and issuer, in 2.0": (lambda: presentation_2(credential_2(iss=STRANGER.did)), "issuer"),
    "T25 the key of another": (lambda: presentation_1(credential_1(by=STRANGER)), "issuer"),
    "T25 the holder's own key": (lambda: presentation_2(credential_2(by=HOLDER)), "issuer"),
    "T25 the holder's own key in the issuer's name": (lambda: presentation_2(own_key()), "signature"),
    "T25 a key id that begins alike": (
        lambda: presentation_2(credential_2(by=Party("", replace(ISSUER.key, id=f"{ISSUER.did}.evil#key-1")))),
        "issuer",
    ),
    "T25 an unknown key": (
        lambda: presentation_2(credential_2(by=Party("", replace(ISSUER.key, id=f"{ISSUER.did}#key-2")))),
        "key-id",
    ),
    "T25 a bare key id": (lambda: presentation_2(credential_2(by=Party("", replace(ISSUER.key, id="key-1")))), "issuer"),
    "T25 no issuer": (lambda: presentation_2(credential_2(tree_2(issuer=...))), "issuer"),
    "sub and subject": (lambda: presentation_1(credential_1(sub=STRANGER.did)), "contradiction"),
    "vc+jwt with a vc claim": (lambda: presentation_1(credential_2(vc=tree_1())), "format"),
    # T26
    "T26 a part of the type": (lambda: both(type=["VerifiableCredential", "Member"])["1.1"], "trust"),
    "T26 more than the type": (lambda: both(type=["VerifiableCredential", "MembershipCredentialX"])["2.0"], "trust"),
    "T26 another type besides": (
        lambda: both(type=["VerifiableCredential", "MembershipCredential", "GovernmentCredential"])["1.1"],
        "trust",
    ),
    "T26 an issuer of nothing": (
        lambda: presentation_1(credential_1(tree_1(issuer=STRANGER.did), by=STRANGER, iss=STRANGER.did)),
        "trust",
    ),
    "no type of its own": (lambda: both(type=["VerifiableCredential"])["2.0"], "type"),
    "no credential's type": (lambda: both(type=["MembershipCredential"])["1.1"], "format"),
    # T27
    "T27 two subjects": (lambda: both(credentialSubject=[OWN, {"id": STRANGER.did}])["1.1"], "subject"),
    "T27 no subject": (lambda: both(credentialSubject=[])["2.0"], "subject"),
    "T27 a subject without id": (
        lambda: presentation_2(credential_2(tree_2(credentialSubject={"memberOf": "test"}))),
        "subject",
    ),
    "T27 another subject": (
        lambda: presentation_1(credential_1(tree_1(credentialSubject={"id": STRANGER.did, "a": 1}), sub=STRANGER.did)),
        "subject",
    ),
    # dates
    "over inside": (lambda: both(expirationDate=date(seconds=-6))["1.1"], "expired"),
    "over outside": (lambda: presentation_1(credential_1(exp=AT - 6)), "expired"),
    "over in 2.0": (lambda: both(validUntil=date(seconds=-6))["2.0"], "expired"),
    "signature over in 2.0": (lambda: presentation_2(credential_2(exp=AT - 6)), "expired"),
    "not yet inside": (lambda: both(issuanceDate=date(seconds=6))["1.1"], "not-before"),
    "not yet outside": (lambda: presentation_1(credential_1(nbf=AT + 6)), "not-before"),
    "not yet in 2.0": (lambda: both(validFrom=date(seconds=6))["2.0"], "not-before"),
    "a date without a zone": (lambda: both(validFrom="2026-11-21T00:00:00")["2.0"], "format"),
    "no date at all": (lambda: both(validUntil=7)["2.0"], "format"),
    "a day that is none": (lambda: both(validFrom="2026-02-30T00:00:00Z")["2.0"], "format"),
    # T32
    "T32 unknown status": (lambda: both(credentialStatus={"type": "RevocationList2020Status"})["1.1"], "status"),
    "T32 status is text": (lambda: both(credentialStatus="https://issuer.example")["2.0"], "format"),
    "T32 unknown schema": (lambda: both(credentialSchema={**SCHEMA, "type": "ShEx"})["2.0"], "schema"),
    "T32 schema in a file": (lambda: both(credentialSchema={**SCHEMA, "id": "file:///etc/passwd"})["2.0"], "schema"),
    "unknown purpose": (lambda: both(credentialStatus=entry(statusPurpose="mood"))["2.0"], "status"),
    "no purpose": (lambda: both(credentialStatus=entry(statusPurpose=...))["2.0"], "status"),
    "list in a file": (lambda: both(credentialStatus=entry(statusListCredential="file:///etc/passwd"))["2.0"], "status"),
    **{
        f"T29 index {index!r}": ((lambda index=index: both(credentialStatus=entry(index))["2.0"]), "status")
        for index in (-1, "-1", "x", "1e3", "", 1.5, True, None, "01", "9" * 14)
    },
    "five statuses": (lambda: both(credentialStatus=[entry()] * 5)["2.0"], "format"),
    # what was asked for
    "nothing presented": (lambda: presentation_1(), "scope"),
    "something else": (lambda: both(type=["VerifiableCredential", "SensitiveDataCredential"])["1.1"], "scope"),
}
OPENS = ("signature", "key-id", "scope")  # found with keys, or at the end


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fails_at_its_own_check(name: str) -> None:
    make, check = CHEATS[name]
    question, item = Question(), make()
    found = question.ask(item)
    assert isinstance(found, Failure), found
    assert found.check == check, found.words
    assert not found.is_passing
    opened = credentials.open_([item], asked=question.asked, trust=question.trust, now=NOW)
    if check not in OPENS:
        # nothing would have been fetched for it
        assert (opened.documents, opened.lists, opened.schemas) == (frozenset(), frozenset(), frozenset())


def test_only_the_holder_and_believed_issuers_are_looked_up() -> None:
    question = Question()
    items = [both(credentialStatus=entry(), credentialSchema=SCHEMA)["2.0"], CHEATS["T26 an issuer of nothing"][0]()]
    opened = credentials.open_(items, asked=question.asked, trust=question.trust, now=NOW)
    assert opened.documents == {HOLDER.did, ISSUER.did}
    assert (opened.lists, opened.schemas) == ({LIST}, {SCHEMA["id"]})


def test_nothing_is_proven_by_nothing() -> None:
    for items in ([], [GOOD["1.1"]]):
        found = Question().scoped().ask(*items)
        assert isinstance(found, Failure)
    found = Question().ask()
    assert isinstance(found, Failure)
    assert found.check == "scope"


def test_a_credential_may_be_asked_for_by_its_id() -> None:
    by_id = parse("org.eclipse.dspace.dcp.vc.id:urn:uuid:1")
    proven(Question().scoped(by_id).ask(GOOD["1.1"]))
    other = Question().scoped(parse("org.eclipse.dspace.dcp.vc.id:urn:uuid:11")).ask(GOOD["1.1"])
    assert isinstance(other, Failure)
    assert other.check == "scope"


def test_an_answer_of_too_many_presentations_is_read_to_a_bound() -> None:
    found = Question().ask(*["garbage"] * 16, GOOD["1.1"])
    assert isinstance(found, Failure)


@pytest.mark.parametrize(
    ("who", "uses", "check"),
    [
        (HOLDER, (Relationship.ASSERTION, Relationship.INVOCATION), "relationship"),
        (ISSUER, (Relationship.AUTHENTICATION,), "relationship"),
    ],
)
def test_a_key_counts_only_for_what_its_document_says(who: Party, uses: tuple[Relationship, ...], check: str) -> None:
    question = Question()
    question.documents[who.did] = who.document(*uses)
    for item in (GOOD["1.1"], GOOD["2.0"]):
        found = question.ask(item)
        assert isinstance(found, Failure)
        assert found.check == check


def test_documents_that_declare_nothing_count_with_a_warning_unless_they_must() -> None:
    question = Question()
    question.documents |= {HOLDER.did: HOLDER.document(), ISSUER.did: ISSUER.document()}
    assert len(proven(question.ask(GOOD["1.1"])).warnings) == 2
    question.trust = replace(question.trust, must_declare=True)
    found = question.ask(GOOD["1.1"])
    assert isinstance(found, Failure)
    assert found.check == "relationship"


def test_everything_may_be_believed_of_an_issuer() -> None:
    question = Question()
    question.trust = credentials.Trust(issuers={ISSUER.did: frozenset({"*"})})
    proven(question.ask(GOOD["1.1"]))


@pytest.mark.parametrize("lacking", ["documents", "lists", "schemas"])
def test_what_could_not_be_fetched_fails_and_may_pass_later(lacking: str) -> None:
    item = both(credentialStatus=entry(), credentialSchema=SCHEMA)["2.0"]
    for missing, is_passing in (
        (None, True),
        (Missing(words="no answer in time"), True),
        (Missing(words="404", is_passing=False), False),
    ):
        question = Question()
        question.schemas[SCHEMA["id"]] = lambda _tree: None
        proven(question.ask(item))
        place = getattr(question, lacking)
        name = {"documents": ISSUER.did, "lists": LIST, "schemas": SCHEMA["id"]}[lacking]
        place.pop(name)
        if missing is not None:
            place[name] = missing
        found = question.ask(item)
        assert isinstance(found, Failure)
        assert found.is_passing is is_passing


def test_a_schema_that_is_not_met_fails() -> None:
    question = Question()
    question.schemas[SCHEMA["id"]] = lambda tree: None if "country" in tree["credentialSubject"] else "no country"
    found = question.ask(both(credentialSchema=SCHEMA)["1.1"])
    assert isinstance(found, Failure)
    assert found.check == "schema"
    proven(question.ask(both(credentialSchema=SCHEMA, credentialSubject={**OWN, "country": "DE"})["1.1"]))


@pytest.mark.parametrize("made", [list_2, list_2021])
def test_a_revoked_credential_proves_nothing(made: Callable[..., bytes]) -> None:
    kind = "StatusList2021Entry" if made is list_2021 else "BitstringStatusListEntry"
    item = both(credentialStatus=entry("7", type_=kind))["1.1"]
    question = Question()
    question.lists[LIST] = made(6, 8)
    proven(question.ask(item))
    question.lists[LIST] = made(6, 7, 8)
    found = question.ask(item)
    assert isinstance(found, Failure)
    assert found.check == "revocation"
