"""What credentials are worth in several spaces at once: counted by space, refused where the sender does not stand well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connector.errors import Overloaded, Unproven
from connector.identity import trustlists
from connector.identity.admission import Spaces, spaces_of
from connector.identity.credentials import Asked, Proven, Trust
from connector.identity.formats import Credential, Model
from connector.identity.framework_file import read, together
from connector.identity.joined import Joined, from_body, to_body
from connector.identity.scopes import Scope, parse, write
from connector.identity.trustlists import ListedIssuer, ListedParticipant, Listing, Standing
from connector.outbound.client import OutboundClient
from tests.identity.hosts import LOCAL, host
from tests.identity.test_trustlists import NOW, SPACE, Scene

HOLDER, OTHER = "did:web:anna.example", "urn:space:other"
MEMBER = parse(write("MembershipCredential"))
NOBODY = Trust(issuers={})


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as found, OutboundClient(LOCAL) as outbound:
        yield Scene(found, outbound)


def space(scene: Scene, **changes: Any) -> Joined:
    one = Joined(
        space=SPACE,
        authority=scene.host.did,
        title="",
        applications="",
        participants=scene.address.url,
        issuers=f"{scene.host.url}/issuers",
        types=("MembershipCredential",),
        state="ACTIVE",
    )
    return replace(one, **changes)


def credential(issuer: str, type_: str = "MembershipCredential", **claims: Any) -> Credential:
    end = NOW + timedelta(days=1)
    return Credential(
        model=Model.V1, id=None, types=(type_,), issuer=issuer, subject=HOLDER, claims=claims, valid_from=None, valid_until=end,
        status=(), schemas=(), tree={}, token=None,
    )  # fmt: skip


def proven(*held: Credential) -> Proven:
    return Proven(holder=HOLDER, credentials=held, valid_until=None)


async def worth(
    spaces: Spaces, *held: Credential, said: Trust = NOBODY, scopes: tuple[Scope, ...] = (MEMBER,)
) -> dict[str, Any]:
    return await spaces.worth(said, proven(*held), Asked(verifier="did:web:us", holder=HOLDER, scopes=scopes), NOW)


def members(scene: Scene, state: Standing = Standing.ACTIVE, seq: int = 1) -> None:
    scene.serve(seq, ListedParticipant(id=HOLDER, state=state))


async def test_in_one_space_claims_have_their_short_names_and_their_grounds(scene: Scene) -> None:
    members(scene)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    found = await worth(spaces, credential(scene.host.did, region="EU"))
    assert (found["region"], found["MembershipCredential.region"], found[f"{SPACE}/MembershipCredential.region"]) == ("EU",) * 3
    assert (found["spaces"], found["standing"]) == ([SPACE], "ACTIVE")
    # the anchor, and the version of the list that has it as a member
    anchor, participants = found["grounds"]
    assert (anchor, participants.startswith(f"participants of {SPACE} number 1 sha256 ")) == (f"anchor joined {SPACE}", True)
    assert await spaces.standing(HOLDER) == {"standing": "ACTIVE"}
    assert await spaces.standing("did:web:nobody.example") == {}


@pytest.mark.parametrize("state", [Standing.SUSPENDED, Standing.REVOKED])
async def test_who_does_not_stand_well_counts_for_nothing_whatever_it_shows(scene: Scene, state: Standing) -> None:
    members(scene, state)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    with pytest.raises(Unproven) as refused:
        await worth(spaces, credential(scene.host.did))
    assert refused.value.check == "standing"
    assert await spaces.standing(HOLDER) == {"standing": state.value}


async def test_a_list_that_cannot_be_had_lets_nobody_in(scene: Scene) -> None:
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    scene.host.statuses[scene.address.url.removeprefix(scene.host.url)] = 503
    with pytest.raises(Overloaded):
        await worth(spaces, credential(scene.host.did))
    scene.host.statuses.clear()
    scene.host.pages["/list"] = b"no list"
    scene.clock.move(minutes=1)
    with pytest.raises(Unproven):
        await worth(spaces, credential(scene.host.did))


async def test_whom_the_authority_lists_as_an_issuer_is_believed_for_what_it_says(scene: Scene) -> None:
    members(scene)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    auditor = "did:web:auditor.example"
    audit = parse(write("AuditCredential"))
    with pytest.raises(Unproven) as refused:
        await worth(spaces, credential(auditor, "AuditCredential"), scopes=(audit,))
    assert refused.value.check == "trust"
    entries = [ListedIssuer(id=auditor, types=("AuditCredential",))]
    raw = trustlists.write(
        Listing.ISSUERS, entries, key=scene.key, governance=scene.host.did, space=SPACE, seq=1, now=scene.clock.now()
    )
    scene.host.pages["/issuers"] = raw.encode()
    scene.clock.move(seconds=10)
    found = await worth(spaces, credential(auditor, "AuditCredential"), scopes=(audit,))
    assert any(ground.startswith(f"list of {scene.host.did} number 1 sha256 ") for ground in found["grounds"])
    trust = await spaces.trust(NOBODY, NOW)
    assert trust.issuers == {scene.host.did: {"MembershipCredential"}, auditor: {"AuditCredential"}}


async def test_a_credential_of_one_space_never_satisfies_another(scene: Scene) -> None:
    members(scene)
    anchor = "{issuer: did:web:other.example, types: [MembershipCredential]}"
    known = together(
        [read(f"trustFramework: {{id: '{OTHER}', governance: did:web:other.example, anchors: [{anchor}]}}", "o.yaml")]
    )
    spaces = spaces_of([space(scene)], (OTHER,), known=known, lists=scene.source)
    ours, theirs = credential(scene.host.did, region="EU"), credential("did:web:other.example", region="US")
    found = await worth(spaces, ours, theirs)
    assert found[f"{SPACE}/region"] == "EU"
    assert found[f"{OTHER}/region"] == "US"
    assert "region" not in found
    assert "MembershipCredential.region" not in found
    found = await worth(spaces, theirs)
    assert found["spaces"] == [OTHER]
    assert not any(name.startswith(SPACE) for name in found)
    # suspended in one, it still counts in the other
    members(scene, Standing.SUSPENDED, seq=2)
    scene.source.forget(scene.host.did)
    found = await worth(spaces, ours, theirs)
    assert (found["spaces"], f"{SPACE}/region" in found) == ([OTHER], False)


async def test_no_claim_can_pass_for_one_of_a_space(scene: Scene) -> None:
    members(scene)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    forged = {f"{OTHER}/region": "EU", "standing": "ACTIVE", "spaces": [OTHER], "grounds": ["anchor x"], "a.b": 1}
    found = await worth(spaces, credential(scene.host.did, **forged))
    assert (f"{OTHER}/region" in found, found["spaces"], "a.b" in found) == (False, [SPACE], False)
    assert found["grounds"][0] == f"anchor joined {SPACE}"
    # nor a type of one space whose name goes on where that of another begins
    longer = spaces_of([space(scene, types=("MembershipCredential", "more/M"))], (), known={}, lists=scene.source)
    forged_types = (credential(scene.host.did, "more/M", region="EU"), credential(scene.host.did, f"{OTHER}/M", region="EU"))
    trust = Trust(issuers={scene.host.did: frozenset({"*"})})
    for said in (NOBODY, trust):
        found = await worth(longer, credential(scene.host.did), *forged_types, said=said)
        assert not [name for name in found if name.startswith((f"{SPACE}/more/", f"{OTHER}/"))]


async def test_no_claim_of_one_type_can_pass_for_one_of_a_longer_type(scene: Scene) -> None:
    """`B.region` of a type `A` is not `region` of `A.B`, which another issuer attests, nor `x/region` that of a space `A.x`."""
    members(scene)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    member, auditor = "MembershipCredential", "did:web:auditor.example"
    lying = credential(scene.host.did, **{"Audit.region": "EU", "x/region": "EU", "level": "low"})
    honest = credential(auditor, f"{member}.Audit", region="US")
    by_settings = Trust(issuers={scene.host.did: frozenset({member}), auditor: frozenset({f"{member}.Audit"})})
    for said in (NOBODY, by_settings):
        for held in ((lying,), (lying, honest), (honest, lying)):
            found = await worth(spaces, *held, said=said)
            assert "EU" not in found.values()
            assert found[f"{SPACE}/{member}.level"] == "low"
    assert found[f"{member}.Audit.region"] == "US"


async def test_what_is_recognised_under_another_name_is_asked_for_too(scene: Scene) -> None:
    anchor = "{issuer: did:web:%s.example, types: [%s]}"
    text = "trustFramework: {id: 'urn:%s', governance: did:web:%s.example, anchors: [%s], lists: {onStale: deny}%s}"
    recognition = ", recognises: [{framework: 'urn:b', map: {Guild: MembershipCredential}, claims: {region: region}}]"
    known = together(
        [
            read(text % ("a", "a", anchor % ("a", "MembershipCredential"), recognition), "a.yaml"),
            read(text % ("b", "b", anchor % ("b", "Guild"), ""), "b.yaml"),
        ]
    )
    spaces = spaces_of([], ("urn:a",), known=known, lists=scene.source)
    scope = parse("org.eclipse.edc.vc.type:MembershipCredential:read")
    assert [one.text for one in spaces.instead([scope])[scope.text]] == ["org.eclipse.edc.vc.type:Guild:read"]
    assert [one.text for one in spaces.instead([MEMBER])[MEMBER.text]] == ["org.eclipse.dspace.dcp.vc.type:Guild"]
    found = await worth(spaces, credential("did:web:b.example", "Guild", region="EU", level="gold"))
    assert (found["MembershipCredential.region"], "level" in found, found["spaces"]) == ("EU", False, ["urn:a"])


async def test_whom_the_settings_believe_counts_beside_the_spaces(scene: Scene) -> None:
    members(scene)
    spaces = spaces_of([space(scene)], (), known={}, lists=scene.source)
    said = Trust(issuers={"did:web:old.example": frozenset({"MembershipCredential"})})
    found = await worth(
        spaces, credential("did:web:old.example", region="CH"), credential(scene.host.did, region="EU"), said=said
    )
    assert (found["region"], found[f"{SPACE}/region"]) == ("CH", "EU")
    assert await Spaces().trust(said, NOW) is said


async def test_what_a_space_limits_is_not_let_in_by_what_settings_believe_the_same_issuer_for(scene: Scene) -> None:
    """One credential of two types: the settings believe its issuer for one of them, a space for the other within a region."""
    issuer, audit = "did:web:both.example", parse(write("AuditCredential"))
    anchor = f"{{issuer: {issuer}, types: [AuditCredential], region: [EU]}}"
    known = together([read(f"trustFramework: {{id: '{OTHER}', governance: did:web:o.example, anchors: [{anchor}]}}", "o.yaml")])
    spaces = spaces_of([], (OTHER,), known=known, lists=scene.source)
    said = Trust(issuers={issuer: frozenset({"MembershipCredential"})})
    held = replace(credential(issuer, region="CH"), types=("MembershipCredential", "AuditCredential"))
    found = await worth(spaces, held, said=said)
    assert (found["credentials"], found["region"]) == (["MembershipCredential"], "CH")
    assert not [name for name in found if "Audit" in name]
    with pytest.raises(Unproven):
        await worth(spaces, held, said=said, scopes=(audit,))
    inside = replace(held, claims={"region": "EU"})
    assert (await worth(spaces, inside, said=said, scopes=(audit,)))[f"{OTHER}/AuditCredential.region"] == "EU"


async def test_a_peer_is_shown_what_belongs_to_a_space_that_both_take_part_in(scene: Scene) -> None:
    members(scene)
    elsewhere = space(scene, space=OTHER, authority="did:web:other.example", participants=f"{scene.host.url}/nothing")
    ours, theirs, own = (credential(did) for did in (scene.host.did, "did:web:other.example", "did:web:third.example"))
    spaces = spaces_of([space(scene), elsewhere], (), known={}, lists=scene.source)
    assert await spaces.shown_to(HOLDER, (ours, theirs, own)) == (ours, own)
    assert await spaces.shown_to("did:web:stranger.example", (ours, theirs, own)) == (ours, theirs, own)
    assert await Spaces().shown_to(HOLDER, (ours, theirs)) == (ours, theirs)


def test_only_who_holds_its_credential_takes_part() -> None:
    one = Joined(space="s", authority="did:web:a", title="", applications="", participants="", issuers="", types=("M",))
    assert from_body("s", to_body(one), 0) == one
    assert not spaces_of([one], (), known={}, lists=None)  # type: ignore[arg-type]
