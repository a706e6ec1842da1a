"""Requests for credentials and their delivery: one message for all, again until it has arrived, to the one who asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connector import jose
from connector.errors import CallerError, NotFound, TooMany, Unauthenticated, Unproven
from connector.identity import status, tokens
from connector.identity.authority import issuer, kinds
from connector.identity.authority.kinds import CredentialType
from connector.identity.keys import Purpose
from tests.identity.authority.scene import Scene, scene, together


@pytest.fixture
async def office() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def test_all_credentials_of_a_request_come_in_one_message_with_the_token_of_the_holder(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join(region="EU")
    anna.received.clear()
    id_ = await anna.request("membership", "region", pid="mine", token="opaque")
    asked = office.office.issuer
    assert (await asked.status(anna.token(), id_))["status"] == "RECEIVED"
    assert await office.work() == []
    (message,) = anna.received
    assert (message["holderPid"], message["issuerPid"], message["status"]) == ("mine", id_, "ISSUED")
    assert [(one["credentialType"], one["format"]) for one in message["credentials"]] == [
        ("MembershipCredential", "vc11-sl2021/jwt"),
        ("RegionCredential", "vc20-bssl/jwt"),
    ]
    sent = tokens.open_self_issued(tokens.bearer(anna.authorizations[-1]), receiver=anna.did, now=office.clock.now())
    assert (sent.issuer, sent.claims["token"]) == (office.office.space.did, "opaque")
    assert (await asked.status(anna.token(), id_))["status"] == "ISSUED"


async def test_the_subject_is_who_asked_and_nobody_else_sees_the_request(office: Scene) -> None:
    anna, bert = office.someone("anna"), office.someone("bert")
    await anna.join(id="did:web:somebody.example")
    await bert.join()
    id_ = await anna.request()
    for stranger in (bert.token(), office.someone("carl").token()):
        with pytest.raises(NotFound):
            await office.office.issuer.status(stranger, id_)
    with pytest.raises(NotFound):
        await office.office.issuer.status(anna.token(), "other")
    await office.work()
    assert {one.subject for one in anna.credentials} == {anna.did}
    assert all("id" not in one.claims for one in anna.credentials)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": -60},
        {"iat": 60},
        {"nbf": 60},
        {"aud": "did:web:other.example"},
        {"sub": "did:web:other.example"},
        {"jti": ...},
        {"jti": "used"},
    ],
)
async def test_a_token_that_proves_nothing_gets_nothing(office: Scene, changes: dict[str, Any]) -> None:
    anna = office.someone("anna")
    await anna.join()
    at = int(office.clock.now().timestamp())
    moved = {name: at + value if isinstance(value, int) else value for name, value in changes.items()}
    if changes.get("jti") == "used":
        await anna.request(**moved)
    for ask in (anna.request(**moved), office.office.issuer.status(anna.token(**moved), "x")):
        with pytest.raises(Unauthenticated, match="no valid token"):
            await ask
    anna.key = jose.generate(anna.key.id)
    with pytest.raises(Unauthenticated):
        await anna.request()


async def test_one_member_gets_no_end_of_credentials(office: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = office.someone("anna")
    await anna.join()
    monkeypatch.setattr(issuer, "MOST_VALID", 2)
    # of two at once both have seen room for one
    ids = [await anna.request(), await anna.request()]
    assert await office.work() == []
    found = [(await office.office.issuer.status(anna.token(), id_))["status"] for id_ in ids]
    assert sorted(found) == ["ISSUED", "REJECTED"]
    with pytest.raises(TooMany):
        await anna.request()
    # what is over makes room
    office.clock.move(days=91)
    assert await anna.request()


async def test_what_is_not_issued_here_cannot_be_asked_for(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    with pytest.raises(CallerError, match="no credential"):
        await anna.request("membership", "passport")


async def test_one_credential_that_cannot_be_attested_rejects_the_whole_request(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    anna.received.clear()
    id_ = await anna.request("membership", "region")
    assert await office.work() == []
    (message,) = anna.received
    assert (message["status"], message.get("credentials")) == ("REJECTED", None)
    assert "region" not in message["rejectionReason"]
    assert (await office.office.issuer.status(anna.token(), id_))["status"] == "REJECTED"
    assert [one["type"] for one in await office.office.withdrawal.credentials(anna.did)] == ["MembershipCredential"]


async def test_a_delivery_is_tried_again_with_the_same_credentials(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    path = "/anna/dcp/credentials"
    office.host.statuses[path] = 503
    id_ = await anna.request()
    (fault,) = await office.work()
    assert "503" in str(fault)
    assert (await office.office.issuer.status(anna.token(), id_))["status"] == "RECEIVED"
    del office.host.statuses[path]
    office.clock.move(minutes=1)
    assert await office.work(office.restarted()) == []
    first, second = anna.received[-2:]
    assert first == second
    assert (await office.office.issuer.status(anna.token(), id_))["status"] == "ISSUED"


async def test_a_delivery_that_is_refused_for_good_rejects_the_request(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    office.host.statuses["/anna/dcp/credentials"] = 400
    id_ = await anna.request()
    assert await office.work() == []
    assert (await office.office.issuer.status(anna.token(), id_))["status"] == "REJECTED"


async def test_who_is_suspended_before_the_delivery_gets_a_refusal_and_holds_nothing(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    office.host.statuses["/anna/dcp/credentials"] = 503
    await anna.request()
    await office.work()
    await office.office.registry.suspend(anna.did, by="olga", reason="test")
    office.host.statuses.clear()
    anna.received.clear()
    office.clock.move(minutes=1)
    assert await office.work() == []
    assert [one["status"] for one in anna.received] == ["REJECTED"]


async def test_an_offer_names_what_may_be_asked_for_anew(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    await office.office.issuer.offer(anna.did, ["MembershipCredential"], "proof-key-revocation")
    assert await office.work() == []
    offer = anna.received[-1]
    assert (offer["type"], offer["issuer"]) == ("CredentialOfferMessage", office.office.space.did)
    assert [(one["id"], one["offerReason"]) for one in offer["credentials"]] == [("membership", "proof-key-revocation")]
    with pytest.raises(CallerError, match="no `Passport`"):
        await office.office.issuer.offer(anna.did, ["Passport"])


async def test_no_place_on_a_status_list_is_given_twice(office: Scene) -> None:
    draws = iter([5, 5, 5, 6, 5, 6, 7] + [7] * 200)
    lists = office.restarted(draw=lambda most: next(draws)).status_lists
    places = await together(
        *(lists.allot(CredentialType(type="T", id="t", purposes=(kinds.REVOCATION,)), str(n)) for n in range(4))
    )
    assert sorted((place.list, place.index) for (place,) in places[:3]) == [(places[0][0].list, index) for index in (5, 6, 7)]
    # the list is full for whoever draws nothing free: the next one begins
    assert places[3][0].list == "2021-revocation-2"
    assert (
        len(status.unpack((await office.store.document("@authority-lists", "status-list", "2021-revocation-1")).body["bits"]))
        == 16_384
    )  # type: ignore[union-attr]


async def test_a_list_that_is_not_there_is_not_made_up(office: Scene) -> None:
    await office.someone("anna").join()
    for name in ("2021-revocation-2", "2021-message-1", "other", "2021-revocation-1/..", ""):
        with pytest.raises(NotFound):
            await office.office.status_lists.served(name)
    plain = await office.office.status_lists.served("2021-revocation-1", is_plain=True)
    assert plain.content_type == b"application/json"


async def test_each_key_of_the_authority_has_its_own_use(office: Scene) -> None:
    document = await office.office.document()
    ids = {one.purpose: one.id for one in await office.office.keys.all("authority")}
    assert document["capabilityInvocation"] == [ids[Purpose.TOKEN]]
    assert {*document["assertionMethod"]} == {ids[one] for one in (Purpose.CREDENTIAL, Purpose.STATUS_LIST, Purpose.TRUST_LIST)}
    anna = office.someone("anna")
    await anna.join()
    assert anna.credentials[0].token is not None
    assert anna.credentials[0].token.key_id == ids[Purpose.CREDENTIAL]
    with pytest.raises(Unproven):
        tokens.open_self_issued(anna.credentials[0].token.raw, receiver=anna.did, now=office.clock.now())
