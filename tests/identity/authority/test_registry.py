"""Onboarding: who may become a member, and what a suspension does at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from connector.errors import BadMessage, BeyondGrant, Conflict, IllegalTransition, NotFound, Unauthenticated
from connector.identity import notices, status, trustlists
from connector.identity.authority import applications
from connector.identity.authority.members import Event, State, stepped
from connector.identity.authority.records import FOLLOWERS, Records
from connector.identity.formats import Credential
from connector.identity.trustlists import Listing, Standing, TrustList
from connector.ports.asker import ASKER
from connector.ports.journal import verify
from tests.identity.authority.scene import NOW, SPACE, Scene, scene


@pytest.fixture
async def office() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def listed(office: Scene) -> TrustList:
    raw = (await office.office.lists.served(Listing.PARTICIPANTS)).body.decode()
    did = office.office.space.did
    return trustlists.open_(raw, Listing.PARTICIPANTS, governance=did, space=SPACE, now=office.clock.now())


async def bit(office: Scene, credential: Credential, purpose: str) -> int:
    (entry,) = [one for one in credential.status if one.purpose == purpose]
    served = await office.office.status_lists.served(entry.list_url.rpartition("/")[2])
    return status.value(status.read(served.body, entry).bits, entry.index)


async def test_a_member_is_taken_in_step_by_step(office: Scene) -> None:
    anna = office.someone("anna")
    application = await anna.apply(name="Anna", region="EU")
    assert application.state is State.SUBMITTED
    assert [one.did for one in await office.office.registry.applications()] == [anna.did]
    assert (await anna.prove(application)).state is State.VERIFIED
    approved = await office.office.registry.approve(anna.did, by="olga", attributes={"region": "CH"})
    assert (approved.state, approved.attributes) == (State.APPROVED, {"name": "Anna", "region": "CH"})
    assert (await listed(office)).participants == ()
    # it need not ask again and again whether it was taken in
    assert await office.work() == []
    (offer,) = anna.invited
    assert [one["credentialType"] for one in offer["credentials"]] == ["MembershipCredential"]
    await anna.request("membership", "region")
    assert await office.work() == []
    member = await office.office.registry.standing(anna.token())
    assert [(step.event, step.by) for step in member.steps] == [
        ("apply", anna.did),
        ("prove", anna.did),
        ("approve", "olga"),
        ("activate", "authority"),
    ]
    (message,) = anna.received
    assert message["status"] == "ISSUED"
    assert [one.claims for one in anna.credentials] == [{"name": "Anna", "region": "CH", "memberOf": SPACE}, {"region": "CH"}]
    (entry,) = (await listed(office)).participants
    assert (entry.id, entry.state, entry.name, entry.address) == (anna.did, Standing.ACTIVE, "Anna", "https://anna.example")
    assert await office.office.registry.applications() == ()


async def test_only_the_key_of_the_did_proves_an_application_and_in_time(office: Scene) -> None:
    anna, mallory = office.someone("anna"), office.someone("mallory")
    application = await anna.apply()
    prove, id_ = office.office.registry.prove, application.application
    for token in (
        mallory.token(nonce=application.nonce),
        anna.token(nonce="other"),
        anna.token(),
        anna.token(nonce=[application.nonce]),
        anna.token(nonce=application.nonce, aud="did:web:other.example"),
        anna.token(nonce=application.nonce, iss=mallory.did),
        None,
    ):
        with pytest.raises(Unauthenticated, match="no valid token"):
            await prove(id_, token)
    with pytest.raises(NotFound):
        await prove("other", anna.token(nonce=application.nonce))
    office.clock.move(minutes=61)
    with pytest.raises(Unauthenticated):
        await prove(id_, anna.token(nonce=application.nonce))
    assert await office.office.registry.members() == ()


async def test_nobody_but_a_member_changes_its_record(office: Scene) -> None:
    anna, mallory = office.someone("anna"), office.someone("mallory")
    await anna.join()
    # somebody applies in her name: nothing of hers is touched, and she herself may not begin anew either
    forged = await office.office.registry.apply(applications.written(anna.did, attributes={"name": "Mallory"}))
    with pytest.raises(Unauthenticated):
        await office.office.registry.prove(forged.application, mallory.token(nonce=forged.nonce))
    with pytest.raises(Conflict, match="ACTIVE"):
        await anna.prove(await anna.apply())
    assert (await office.office.registry.member(anna.did)).attributes == {"name": "anna"}


async def test_the_history_of_the_register_is_chained(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    await office.office.registry.suspend(anna.did, by="olga", reason="late fees")
    entries = (await office.store.journal.page("authority", "members")).items
    assert [(one.body["event"], one.body["by"]) for one in entries] == [
        ("prove", anna.did),
        ("approve", "olga"),
        ("activate", "authority"),
        ("suspend", "olga"),
    ]
    assert (await verify(office.store.journal, "authority", "members")).is_whole


@pytest.mark.parametrize("state", [None, State.SUBMITTED, State.VERIFIED, State.SUSPENDED, State.REVOKED])
async def test_who_is_not_active_is_given_nothing(office: Scene, state: State | None) -> None:
    anna = office.someone("anna")
    registry = office.office.registry
    if state in (State.SUBMITTED, State.VERIFIED):
        application = await anna.apply()
        if state is State.VERIFIED:
            await anna.prove(application)
    elif state is not None:
        await anna.join()
        act = registry.suspend if state is State.SUSPENDED else registry.revoke
        await act(anna.did, by="olga", reason="test")
        anna.received.clear()
    with pytest.raises(BeyondGrant):
        await anna.request()
    await office.work()
    assert anna.received == []


async def test_a_suspended_member_stops_at_once_and_a_reinstated_one_goes_on(office: Scene) -> None:
    anna, bert, registry = office.someone("anna"), office.someone("bert"), office.office.registry
    await anna.join()
    await bert.join()
    (credential,) = anna.credentials
    first = (await listed(office)).version.seq
    assert [await bit(office, credential, one) for one in ("suspension", "revocation")] == [0, 0]
    await registry.suspend(anna.did, by="olga", reason="late fees")
    # the bits and the list say so before anybody is told
    assert [await bit(office, credential, one) for one in ("suspension", "revocation")] == [1, 0]
    after = await listed(office)
    assert (after.version.seq, after.participant(anna.did).state) == (first + 1, Standing.SUSPENDED)  # type: ignore[union-attr]
    bert.noticed.clear()
    assert await office.work() == []
    (raw,) = bert.noticed
    notice = notices.open_(raw, receiver=bert.did, now=office.clock.now())
    assert (notice.about, notice.state, notice.seq) == (anna.did, Standing.SUSPENDED, first + 1)
    await registry.reinstate(anna.did, by="olga")
    assert await bit(office, credential, "suspension") == 0
    await registry.revoke(anna.did, by="olga", reason="left")
    assert [await bit(office, credential, one) for one in ("suspension", "revocation")] == [1, 1]
    with pytest.raises(IllegalTransition):
        await registry.reinstate(anna.did, by="olga")


async def test_who_leaves_is_sent_no_notice_of_it_and_the_others_are(office: Scene) -> None:
    anna, bert = office.someone("anna"), office.someone("bert")
    for one in (anna, bert):
        await one.join()
        one.noticed.clear()
    await office.office.registry.leave(anna.token())
    assert await office.work() == []
    assert (len(anna.noticed), len(bert.noticed)) == (0, 1)
    # what the operator does to a member it is told, whatever it is then
    await office.office.registry.suspend(bert.did, by="olga", reason="test")
    await office.work()
    assert len(bert.noticed) == 2


async def test_who_joins_is_told_to_those_who_follow_the_list_and_newcomers_of_a_moment_together(office: Scene) -> None:
    anna, bert, registry = office.someone("anna"), office.someone("bert"), office.office.registry
    with pytest.raises(NotFound):
        await registry.follow(anna.token())
    for one in (anna, bert):
        await one.join()
    for _ in range(2):
        await registry.follow(anna.token())
    newcomers = [office.someone(name) for name in ("carl", "dora", "emil")]
    for one in newcomers:
        await one.join()
    first = (await listed(office)).version.seq
    assert await office.work() == []
    assert anna.noticed == []
    office.clock.move(seconds=1)
    assert await office.work() == []
    (raw,) = anna.noticed
    notice = notices.open_(raw, receiver=anna.did, now=office.clock.now())
    assert (notice.about, notice.state, notice.seq) == (newcomers[0].did, Standing.ACTIVE, first)
    assert [one.noticed for one in (bert, *newcomers)] == [[]] * 4
    # a member that is none any more is told nothing
    await registry.suspend(anna.did, by="olga", reason="test")
    await office.work()
    anna.noticed.clear()
    await office.someone("fred").join()
    office.clock.move(seconds=1)
    await office.work()
    assert anna.noticed == []
    with pytest.raises(Conflict):
        await registry.follow(anna.token())
    # nor does one that has left hold the place of another
    await registry.follow(bert.token())
    await registry.leave(bert.token())
    assert [one.id async for one in Records(office.store, office.clock).all(FOLLOWERS, "follower")] == [anna.did]


async def test_a_node_that_dies_between_state_and_lists_leaves_nothing_undone(office: Scene) -> None:
    anna = office.someone("anna")
    await anna.join()
    (credential,) = anna.credentials
    # all that is written before such a death: the note, and the state
    await office.office.withdrawal.note(anna.did)
    by = {"now": office.clock.now(), "by": "olga"}
    await Records(office.store, office.clock).change(anna.did, lambda found: stepped(found, Event.SUSPEND, **by))  # type: ignore[arg-type]
    assert await bit(office, credential, "suspension") == 0
    office.clock.move(seconds=6)
    await office.work(office.restarted())
    assert await bit(office, credential, "suspension") == 1


async def test_a_notice_that_does_not_arrive_is_tried_again_and_holds_up_nobody(office: Scene) -> None:
    anna, bert, carl = (office.someone(name) for name in ("anna", "bert", "carl"))
    for one in (anna, bert, carl):
        await one.join()
    bert.noticed.clear()
    carl.noticed.clear()
    office.host.statuses["/bert/notices"] = 503
    await office.office.registry.suspend(anna.did, by="olga", reason="test")
    faults = await office.work()
    assert len(faults) == 1
    assert len(carl.noticed) == 1
    del office.host.statuses["/bert/notices"]
    bert.noticed.clear()
    office.clock.move(minutes=1)
    # meanwhile she was reinstated: what is sent then is what is true then
    await office.office.registry.reinstate(anna.did, by="olga")
    assert await office.work() == []
    states = [notices.open_(raw, receiver=bert.did, now=office.clock.now()).state for raw in bert.noticed]
    assert states == [Standing.ACTIVE, Standing.ACTIVE]


async def test_a_refused_applicant_may_apply_again_a_revoked_member_may_not(office: Scene) -> None:
    anna, registry = office.someone("anna"), office.office.registry
    await anna.prove(await anna.apply())
    await registry.reject(anna.did, by="olga", reason="papers missing")
    again = await anna.prove(await anna.apply())
    assert again.state is State.VERIFIED
    assert [step.event for step in again.steps] == ["apply", "prove", "reject", "apply", "prove"]
    await registry.approve(anna.did, by="olga", attributes={"name": "Anna"})
    await anna.request()
    await office.work()
    await registry.revoke(anna.did, by="olga", reason="left")
    with pytest.raises(Conflict, match="REVOKED"):
        await anna.prove(await anna.apply())


async def test_where_everybody_is_taken_in_nothing_but_a_name_is_believed() -> None:
    async with scene(is_automatic=True) as office:
        anna = office.someone("anna")
        member = await anna.prove(await anna.apply(name="Anna", role="bank"))
        assert (member.state, member.attributes) == (State.APPROVED, {"name": "Anna"})


async def test_where_everybody_is_taken_in_whom_an_operator_refused_is_not() -> None:
    async with scene(is_automatic=True) as office:
        anna, registry = office.someone("anna"), office.office.registry
        assert (await anna.prove(await anna.apply())).state is State.APPROVED
        await registry.revoke(anna.did, by="olga", reason="fraud")
        for _ in range(2):
            assert (await anna.prove(await anna.apply())).state is State.VERIFIED
        assert (await registry.approve(anna.did, by="olga")).state is State.APPROVED


async def test_where_everybody_is_taken_in_nobody_gets_out_of_a_suspension_by_leaving() -> None:
    async with scene(is_automatic=True) as office:
        anna, registry = office.someone("anna"), office.office.registry
        await anna.prove(await anna.apply())
        await anna.request()
        await office.work()
        # it may leave and come back as it likes
        assert (await registry.leave(anna.token())).state is State.REVOKED
        assert (await anna.prove(await anna.apply())).state is State.APPROVED
        await anna.request()
        await office.work()
        assert (await registry.suspend(anna.did, by="olga", reason="did not pay")).state is State.SUSPENDED
        await registry.leave(anna.token())
        assert (await anna.prove(await anna.apply())).state is State.VERIFIED


async def test_who_applies_again_and_again_makes_its_record_no_longer(office: Scene) -> None:
    anna, registry = office.someone("anna"), office.office.registry
    for _ in range(3):
        await anna.prove(await anna.apply())
        assert len((await anna.prove(await anna.apply())).steps) == 2
        await registry.leave(anna.token())
    # what others did, and that it left as a member, stays known
    await anna.prove(await anna.apply())
    await registry.reject(anna.did, by="olga", reason="papers missing")
    await anna.prove(await anna.apply())
    await registry.approve(anna.did, by="olga", attributes={"name": "Anna"})
    await anna.request()
    await office.work()
    for _ in range(3):
        await registry.leave(anna.token())
        member = await anna.prove(await anna.apply())
    events = [step.event for step in member.steps]
    assert events == ["apply", "prove", "reject", "apply", "prove", "approve", "activate", "revoke", "apply", "prove"]


async def test_where_everybody_is_taken_in_who_comes_and_goes_waits_for_an_operator_at_last() -> None:
    async with scene(is_automatic=True) as office:
        anna, registry = office.someone("anna"), office.office.registry
        for _ in range(10):
            assert (await anna.prove(await anna.apply())).state is State.APPROVED
            await registry.leave(anna.token())
        assert (await anna.prove(await anna.apply())).state is State.VERIFIED
        assert (await registry.approve(anna.did, by="olga")).state is State.APPROVED


async def test_an_operator_takes_in_what_was_looked_at(office: Scene) -> None:
    anna, registry = office.someone("anna"), office.office.registry
    seen = await anna.prove(await anna.apply(name="Anna"))
    # between the look and the decision it says that it is somebody else
    now = await anna.prove(await anna.apply(name="The Bank"))
    with pytest.raises(Conflict, match="applied again"):
        await registry.approve(anna.did, by="olga", application=seen.application)
    assert (await registry.member(anna.did)).state is State.VERIFIED
    assert (await registry.approve(anna.did, by="olga", application=now.application)).attributes == {"name": "The Bank"}


async def test_an_operator_may_enrol_somebody_known_and_approves_nobody_it_cannot_attest(office: Scene) -> None:
    anna = office.someone("anna")
    enrolled = await office.office.registry.enrol(applications.written(anna.did, attributes={"name": "Anna"}), by="olga")
    assert (enrolled.state, enrolled.steps[0].by) == (State.APPROVED, "olga")
    with pytest.raises(Conflict):
        await office.office.registry.enrol(applications.written(anna.did), by="olga")
    with pytest.raises(NotFound):
        await office.office.registry.approve("did:web:nobody.example", by="olga")
    narrow = office.restarted(kinds=(office.office.space.kinds[1],))
    bert = office.someone("bert")
    await narrow.registry.prove((one := await bert.apply()).application, bert.token(nonce=one.nonce))
    with pytest.raises(Conflict, match="needs `region`"):
        await narrow.registry.approve(bert.did, by="olga")
    assert (await narrow.registry.member(bert.did)).state is State.VERIFIED


async def test_open_applications_are_bounded_and_old_ones_make_room(office: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.identity.authority.registry._MOST_OPEN", 20)
    monkeypatch.setattr("connector.identity.authority.registry._MOST_OF_ONE", 5)
    registry, anna, flood = office.office.registry, office.someone("anna"), office.someone("flood")
    # one machine sends many: only its own are forgotten, and those of an IPv6 site are one machine's
    hers = await anna.apply()
    for number in range(9):
        ASKER.set(f"2001:db8::{number + 1}")
        last = await flood.apply()
    ASKER.set("")
    assert len(await registry.applications()) == 1 + 5
    # so many machines: the oldest make room, and nobody is refused who proves at once
    for number in range(40):
        office.clock.move(seconds=1)
        ASKER.set(f"192.0.2.{number}")
        await flood.apply()
    ASKER.set("192.0.2.200")
    bert = office.someone("bert")
    assert (await bert.prove(await bert.apply())).state is State.VERIFIED
    assert len(await registry.applications()) <= 20 + 1
    for forgotten in (hers, last):
        with pytest.raises(NotFound, match="no such application"):
            await flood.prove(forgotten)
    # who was forgotten applies anew, and what nobody proves in time makes room first
    office.clock.move(hours=1)
    assert (await anna.prove(await anna.apply())).state is State.VERIFIED
    ASKER.set("")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"id": "did:key:z6Mk"}',
        b'{"id": "did:web:127.0.0.1"}',
        b'{"id": "did:web:a.example", "x": 1}',
        b'{"id": "did:web:a.example", "notices": "file:///etc/passwd"}',
        b'{"id": "did:web:a.example", "address": 7}',
        b'{"id": "did:web:a.example", "attributes": []}',
        b'{"id": "did:web:a.example", "attributes": {"a": {}}}',
        b'{"id": "did:web:a.example", "attributes": {"a": null}}',
        b'{"id": "did:web:a.example", "id": "did:web:b.example"}',
    ],
)
def test_an_application_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        applications.read(body)


async def test_lists_are_signed_anew_when_half_of_their_life_is_over(office: Scene) -> None:
    await office.someone("anna").join()
    seq = (await listed(office)).version.seq
    seen: list[Any] = []
    for hours in (0, 11, 2):
        office.clock.move(hours=hours)
        seen.append(
            (
                await office.office.lists.served(Listing.PARTICIPANTS),
                await office.office.status_lists.served("2021-revocation-1"),
            )
        )
    assert seen[0] == seen[1]
    assert seen[1][0].etag != seen[2][0].etag
    assert seen[1][1].etag != seen[2][1].etag
    # another replica serves the same bytes, whoever was asked first
    other, name = office.restarted(), "2021-revocation-1"
    replicas = (office.office, other)
    for _ in range(2):
        assert len({(await one.lists.served(Listing.PARTICIPANTS)).etag for one in replicas}) == 1
        for is_plain in (False, True):
            assert len({(await one.status_lists.served(name, is_plain=is_plain)).etag for one in replicas}) == 1
        office.clock.move(seconds=2)
        replicas = (other, office.office)
    assert (await listed(office)).valid_until == NOW + timedelta(hours=13 + 24)
    assert (await listed(office)).version.seq == seq


async def test_replicas_number_one_list_together_and_never_go_back(office: Scene) -> None:
    other = office.restarted()
    await office.work()
    first = (await listed(office)).version.seq
    for number, name in enumerate(("anna", "bert", "carl"), first + 1):
        await office.someone(name).join()
        seqs = [await one.lists.seq(Listing.PARTICIPANTS) for one in (office.office, other)]
        assert seqs == [number, number]
