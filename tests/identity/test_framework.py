"""Whose credentials count in which space: as read from the files that ship, and from files with mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector import jose
from connector.errors import ConfigurationError
from connector.identity import trustlists
from connector.identity.formats import Credential, Model
from connector.identity.framework import Admission, Framework, ListKey, addresses, admit, trusted
from connector.identity.framework_file import read, together
from connector.identity.trustlists import ListedIssuer, Listing, TrustList
from connector.packaged import folder as packaged

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EXAMPLE, NEIGHBOUR = "urn:space:example", "urn:space:neighbour"
AUTHORITY, OTHER_AUTHORITY = "did:web:authority.example", "did:web:authority.neighbour.example"
ROOT, MIDDLE, LAST, DEEPER = (f"did:web:{name}.example" for name in ("root.alliance", "middle", "last", "deeper"))
ROOT_LIST = "https://root.alliance.example/authority/issuers"


def shipped() -> Mapping[str, Framework]:
    folder = packaged("policies") / "trust"
    return together(read(path.read_text(), path.name) for path in sorted(folder.glob("*.yaml")))


def held(type_: str, issuer: str, **claims: Any) -> Credential:
    return Credential(
        model=Model.V1,
        id=None,
        types=(type_,),
        issuer=issuer,
        subject="did:web:anna.example",
        claims=claims,
        valid_from=None,
        valid_until=NOW + timedelta(days=30),
        status=(),
        schemas=(),
        tree={},
        token=None,
    )


MEMBER = held("MembershipCredential", AUTHORITY, memberOf=EXAMPLE, region="EU")


def listed(accreditor: str, *entries: ListedIssuer) -> TrustList:
    key = jose.generate(f"{accreditor}#k")
    raw = trustlists.write(Listing.ISSUERS, entries, key=key, governance=accreditor, space="s", seq=7, now=NOW)
    return trustlists.open_(raw, Listing.ISSUERS, governance=accreditor, space="s", now=NOW)


def accredited(id_: str, list_: str = "", *types: str, **limits: datetime) -> ListedIssuer:
    return ListedIssuer(id=id_, types=types or ("DismantlerCredential",), list=list_, **limits)


def worth(
    space: str, *credentials: Credential, lists: Mapping[ListKey, TrustList] | None = None, now: datetime = NOW
) -> Admission:
    known = shipped()
    return admit(known[space], credentials, others=known, lists=lists or {}, now=now)


def types(admission: Admission) -> list[str]:
    return [one.type for one in admission.counted]


def test_a_credential_counts_by_an_anchor_whose_every_limit_holds() -> None:
    admission = worth(EXAMPLE, MEMBER)
    (counted,) = admission.counted
    assert (counted.space, counted.type, counted.claims["region"]) == (EXAMPLE, "MembershipCredential", "EU")
    assert counted.grounds == ("anchor example.yaml:7",)


@pytest.mark.parametrize(
    ("credential", "why"),
    [
        (held("MembershipCredential", "did:web:stranger.example", memberOf=EXAMPLE), "no anchor"),
        (held("MembershipCredential", AUTHORITY, memberOf="urn:space:other"), "claim `memberOf`"),
        (held("MembershipCredential", AUTHORITY, memberOf=[EXAMPLE, "urn:space:other"]), "claim `memberOf`"),
        (held("MembershipCredential", AUTHORITY, memberOf=[]), "claim `memberOf`"),
        (held("MembershipCredential", AUTHORITY), "claim `memberOf`"),
        (held("Member", AUTHORITY, memberOf=EXAMPLE), "not for `Member`"),
        (held("MembershipCredentialX", AUTHORITY, memberOf=EXAMPLE), "not for"),
        (held("DataProcessorCertificate", AUTHORITY, memberOf=EXAMPLE), "not for"),
        (held("DataProcessorCertificate", "did:web:auditor.example", region="US"), "region"),
        # no region stands for those within it
        (held("DataProcessorCertificate", "did:web:auditor.example", region="DE"), "region"),
        (held("DataProcessorCertificate", "did:web:auditor.example"), "region"),
        (held("DismantlerCredential", ROOT), "no anchor"),
    ],
)
def test_what_an_anchor_does_not_name_does_not_count(credential: Credential, why: str) -> None:
    admission = worth(EXAMPLE, credential)
    assert admission.counted == ()
    assert any(why in one for one in admission.refused)


@pytest.mark.parametrize(
    ("day", "counts"), [("2025-12-31", False), ("2026-01-01", True), ("2027-12-31", True), ("2028-01-01", False)]
)
def test_an_anchor_holds_from_its_first_day_to_its_last(day: str, counts: bool) -> None:
    now = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    admission = worth(EXAMPLE, held("DataProcessorCertificate", "did:web:auditor.example", region="CH"), now=now)
    assert bool(admission.counted) is counts


def test_a_chain_of_lists_accredits_as_deep_as_the_anchor_allows() -> None:
    root, middle, last = (
        ListKey(accreditor=d, url=u) for d, u in ((ROOT, ROOT_LIST), (MIDDLE, "https://m"), (LAST, "https://l"))
    )
    lists = {
        root: listed(ROOT, accredited(MIDDLE, "https://m")),
        middle: listed(MIDDLE, accredited(LAST, "https://l"), accredited("did:web:fake.example", "", "Other")),
        last: listed(LAST, accredited(DEEPER)),
    }
    found = [types(worth(EXAMPLE, held("DismantlerCredential", did), lists=lists)) for did in (MIDDLE, LAST, DEEPER)]
    assert found == [["DismantlerCredential"], ["DismantlerCredential"], []]
    (counted,) = worth(EXAMPLE, held("DismantlerCredential", LAST), lists=lists).counted
    assert [ground.split(" sha256")[0] for ground in counted.grounds] == [
        "anchor example.yaml:17",
        f"list of {ROOT} number 7",
        f"list of {MIDDLE} number 7",
    ]
    # a list that could not be had accredits nobody, and neither does one whose accreditor is not good for the type, or no longer
    del lists[middle]
    assert types(worth(EXAMPLE, held("DismantlerCredential", LAST), lists=lists)) == []
    lists[middle] = listed(MIDDLE, accredited(LAST))
    for entry in (accredited(MIDDLE, "https://m", "Other"), accredited(MIDDLE, "https://m", ends=NOW)):
        lists[root] = listed(ROOT, entry)
        assert types(worth(EXAMPLE, held("DismantlerCredential", LAST), lists=lists)) == []


def test_the_lists_to_fetch_follow_from_those_that_are_there_and_a_circle_ends() -> None:
    known, lists = shipped(), dict[ListKey, TrustList]()
    root, middle = ListKey(accreditor=ROOT, url=ROOT_LIST), ListKey(accreditor=MIDDLE, url="https://m")
    assert [*addresses(known.values(), lists)] == [root]
    lists[root] = listed(ROOT, accredited(MIDDLE, "https://m"), accredited(ROOT, ROOT_LIST))
    assert [*addresses(known.values(), lists)] == [middle]
    lists[middle] = listed(MIDDLE, accredited(ROOT, ROOT_LIST))
    assert addresses(known.values(), lists) == {}
    believed = trusted([known[EXAMPLE]], others=known, lists=lists, now=NOW)
    assert believed[MIDDLE] == {"DismantlerCredential"}
    assert believed[AUTHORITY] == {"MembershipCredential"}
    assert OTHER_AUTHORITY not in believed


def test_recognition_goes_one_way_and_asks_for_what_it_requires() -> None:
    agreement = held("DataExchangeAgreement", OTHER_AUTHORITY)
    admission = worth(NEIGHBOUR, MEMBER, agreement)
    recognised = [one for one in admission.counted if one.issuer == AUTHORITY]
    assert [(one.space, one.type, dict(one.claims)) for one in recognised] == [
        (NEIGHBOUR, "MembershipCredential", {"region": "EU"})
    ]
    assert [one.split(" ")[0] for one in recognised[0].grounds] == ["recognition", "anchor"]
    assert types(worth(NEIGHBOUR, MEMBER)) == []
    assert types(worth(NEIGHBOUR, MEMBER, agreement, now=datetime(2027, 7, 1, tzinfo=UTC))) == ["DataExchangeAgreement"]
    # the other way round nothing is recognised
    assert types(worth(EXAMPLE, held("MembershipCredential", OTHER_AUTHORITY, memberOf=EXAMPLE))) == []


def test_recognition_is_never_transitive() -> None:
    anchor = "{id: urn:s:%s, governance: did:web:%s.example, anchors: [{issuer: did:web:%s.example, types: [M]}], %s}"
    chain = {"a": "recognises: [{framework: urn:s:b, map: {M: M}}]", "b": "recognises: [{framework: urn:s:c, map: {M: M}}]"}
    files = [f"trustFramework: {anchor % (n, n, n, chain.get(n, 'lists: {onStale: deny}'))}" for n in "abc"]
    known = together(read(text, f"{number}.yaml") for number, text in enumerate(files))
    for issuer, spaces in (("a", "a"), ("b", "ab"), ("c", "bc")):
        credential = held("M", f"did:web:{issuer}.example")
        found = [n for n in "abc" if admit(known[f"urn:s:{n}"], [credential], others=known, lists={}, now=NOW).counted]
        assert "".join(found) == spaces
    assert "did:web:c.example" not in trusted([known["urn:s:a"]], others=known, lists={}, now=NOW)


GOOD = "trustFramework:\n  id: s\n  governance: did:web:g\n  anchors:\n    - "


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "empty"),
        ("a: [", 1, "YAML"),
        ("framework: {}", 1, "not known"),
        ("trustFramework: {id: s, governance: did:web:g}", 1, "`anchors` is missing"),
        ("trustFramework:\n  id: s\n  governance: authority.example\n  anchors: []", 3, "no DID"),
        (f"{GOOD}{{issuer: did:web:g}}", 5, "without `types`"),
        (f"{GOOD}{{types: [M]}}", 5, "either"),
        (f"{GOOD}{{issuer: did:web:g, accreditor: did:web:g, types: [M]}}", 5, "either"),
        (f"{GOOD}{{accreditor: did:web:g, types: [M]}}", 5, "`list` goes with"),
        (f"{GOOD}{{issuer: did:web:g, maxDepth: 1, types: [M]}}", 5, "`maxDepth` goes with"),
        (f"{GOOD}{{accreditor: did:web:g, list: 'https://x', maxDepth: 9, types: [M]}}", 5, "from 1 to 5"),
        (f"{GOOD}{{accreditor: did:web:g, list: 'file:///x', maxDepth: 1, types: [M]}}", 5, "no address"),
        (f"{GOOD}{{issuer: did:web:g, types: ['*', M]}}", 5, "beside other types"),
        (f"{GOOD}{{issuer: did:web:g, types: []}}", 5, "at least one"),
        (f"{GOOD}{{issuer: did:web:g, types: [M], valid: {{until: soon}}}}", 5, "no date"),
        (f"{GOOD}{{issuer: did:web:g, types: [M], typo: 1}}", 5, "`typo`"),
        (f"{GOOD}{{issuer: did:web:g, issuer: did:web:g, types: [M]}}", 5, "stands twice"),
        (f"{GOOD}&x {{issuer: did:web:g, types: [M]}}\n    - *x", 5, "aliases"),
        (f"{GOOD}{{issuer: did:web:g, types: [M]}}\n  lists: {{onStale: allow}}", 6, "deny"),
        (f"{GOOD}{{issuer: did:web:g, types: [M]}}\n  lists: {{allowFor: long}}", 6, "no time"),
        (f"{GOOD}{{issuer: did:web:g, types: [M]}}\n  recognises: [{{framework: t, map: {{M: '*'}}}}]", 6, "named"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text: str, line: int | None, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(text, "space.yaml")
    assert words in str(refused.value)
    assert refused.value.where == ("space.yaml" if line is None else f"space.yaml:{line}")


def test_files_must_fit_together() -> None:
    text = f"{GOOD}{{issuer: did:web:g, types: [M]}}"
    recognising = f"{text}\n  recognises: [{{framework: t, map: {{M: M}}}}]"
    for texts, words in (([text, text], "defined in 0:2 too"), ([recognising], "no file defines")):
        with pytest.raises(ConfigurationError, match=words):
            together(read(one, str(number)) for number, one in enumerate(texts))
    assert read(f"{text}\n  lists: {{allowFor: 24h}}", "f").grace == timedelta(hours=24)
