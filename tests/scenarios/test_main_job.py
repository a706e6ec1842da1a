"""Two organisations exchange data under a contract; others do not."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from connector.api.catalog import DatasetRequest
from connector.errors import KontorError, NotFound, PeerAnswer, PeerError
from connector.testing.dataspace import PULL, PUSH, DataSpace
from tests.scenarios.policies import members_only, only_for

DATA = b"hour,temperature\n" + b"".join(b"%d,%d\n" % (hour, hour % 30) for hour in range(20_000))


async def test_a_member_finds_negotiates_and_pulls_and_the_digest_is_the_announced_one(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", content=DATA)

    found = await consumer.catalog(provider)
    dataset = found.catalog["dataset"][0]
    assert dataset["@id"] == offer.dataset
    assert dataset["hasPolicy"][0]["@id"] == offer.offer_id
    assert {PULL, PUSH} <= {distribution["format"] for distribution in dataset["distribution"]}

    agreed = await consumer.negotiate(offer, purpose="research")
    assert (agreed.state, agreed.purpose) == ("FINALIZED", "research")
    transfer = await consumer.transfer(agreed)
    assert (transfer.state, transfer.has_address, transfer.is_open) == ("STARTED", True, True)
    assert await consumer.get(transfer) == DATA
    asset = await provider.send(provider.calls.asset(offer.dataset))
    assert asset.digest == hashlib.sha256(DATA).hexdigest()
    assert asset.byte_size == len(DATA)

    await consumer.steer(transfer.pid, "complete")
    assert (await provider.until_transfer(await provider.theirs(transfer), "COMPLETED")).role == "provider"


async def test_both_sides_hold_the_same_agreement(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather"))
    await provider.until_negotiation(await provider.theirs(agreed), "FINALIZED")
    assert agreed.agreement_id is not None
    ours = await consumer.send(consumer.calls.agreement(agreed.agreement_id))
    theirs = await provider.send(provider.calls.agreement(agreed.agreement_id))
    assert ours.policy == theirs.policy
    assert (ours.role, theirs.role) == ("consumer", "provider")
    assert (ours.provider, ours.consumer) == (provider.id, consumer.id) == (theirs.provider, theirs.consumer)


async def test_a_push_is_delivered_verified_and_completed_by_the_provider(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather", content=DATA))
    transfer = await consumer.transfer(agreed, format=PUSH)
    done = await consumer.until_transfer(transfer.pid, "COMPLETED", "TERMINATED")
    assert (done.state, done.moved_bytes, done.digest) == ("COMPLETED", len(DATA), hashlib.sha256(DATA).hexdigest())
    assert await consumer.get(done) == DATA
    shutil.rmtree(space.folder / consumer.name / "inbox")
    with pytest.raises(NotFound, match="what arrived is not here any more"):
        await consumer.get(done)


async def test_a_part_of_the_data_can_be_fetched(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    transfer = await consumer.transfer(await consumer.negotiate(await provider.publish("weather", content=DATA)))
    client = consumer.host._client
    assert client is not None
    async with client.download(consumer.calls.data(transfer.pid), first_byte=len(DATA) - 10) as download:
        assert (download.first_byte, download.total_bytes) == (len(DATA) - 10, len(DATA))
        assert b"".join([chunk async for chunk in download.chunks]) == DATA[-10:]


async def test_a_stranger_sees_nothing_and_gets_nothing(space: DataSpace) -> None:
    provider, stranger = space.join("provider"), space.stranger()
    offer = await provider.publish("weather")
    with pytest.raises(PeerError, match="401"):
        await stranger.catalog(provider)
    refused = await stranger.negotiate(offer)
    assert refused.state == "TERMINATED"
    assert "401" in (refused.error or "")
    assert (await provider.send(provider.calls.negotiations())).total == 0


async def test_who_lacks_a_claim_is_refused_with_the_reason_and_who_has_it_is_not(space: DataSpace) -> None:
    provider, other = space.join("provider"), space.join("other")
    member = space.join("member", claims={"membership": "active"})
    offer = await provider.publish("weather", policy=members_only())
    assert (await member.negotiate(offer)).state == "FINALIZED"
    refused = await other.negotiate(offer)
    assert refused.state == "TERMINATED"
    assert "membership" in " ".join(refused.reasons)


async def test_a_dataset_is_asked_for_by_its_id_and_only_by_whom_it_is_offered_to(space: DataSpace) -> None:
    provider, member, guest = space.join("provider"), space.join("member", claims={"membership": "active"}), space.join("guest")
    offer = await provider.publish("a?b#c%2Fd", content=DATA, access_policy=members_only())
    wanted = DatasetRequest(address=f"{provider.app.public_url}/provider", peer=provider.id, dataset=offer.dataset)
    found = await member.send(member.calls.dataset_of(wanted))
    listed = (await member.catalog(provider)).catalog["dataset"]
    assert {key: value for key, value in found.dataset.items() if key != "@context"} == listed[0]
    assert found.base == provider.address
    for caller, id_ in ((guest, offer.dataset), (member, "urn:provider:none")):
        with pytest.raises(NotFound, match="does not offer"):
            await caller.send(caller.calls.dataset_of(wanted.model_copy(update={"dataset": id_})))


async def test_an_offer_with_an_access_policy_is_hidden_from_whom_it_does_not_let_in(space: DataSpace) -> None:
    provider, other = space.join("provider"), space.join("other")
    member = space.join("member", claims={"membership": "active"})
    offer = await provider.publish("secret", access_policy=members_only())
    assert len((await member.catalog(provider)).catalog.get("dataset", [])) == 1
    assert (await other.catalog(provider)).catalog.get("dataset", []) == []
    # knowing the id does not help
    assert (await other.negotiate(offer)).state == "TERMINATED"
    assert (await member.negotiate(offer)).state == "FINALIZED"


async def test_a_forbidden_purpose_is_refused_with_the_reason(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", policy=only_for("research"))
    for purpose in ("advertising", None):
        refused = await consumer.negotiate(offer, purpose=purpose)
        assert refused.state == "TERMINATED"
        assert "purpose" in " ".join(refused.reasons)
    assert (await consumer.negotiate(offer, purpose="research")).state == "FINALIZED"


async def test_the_purpose_is_judged_again_at_the_transfer(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    agreed = await consumer.negotiate(await provider.publish("weather", policy=only_for("research")), purpose="research")
    refused = await consumer.transfer(agreed, purpose="advertising")
    assert refused.state == "TERMINATED"
    assert "purpose" in " ".join(refused.reasons)
    assert (await consumer.transfer(agreed)).state == "STARTED"


async def test_without_the_contract_nobody_reads_the_data(space: DataSpace) -> None:
    provider, consumer, other = space.join("provider"), space.join("consumer"), space.join("other")
    agreed = await consumer.negotiate(await provider.publish("weather"))
    assert agreed.agreement_id is not None
    # an agreement of somebody else: as if there were none
    await other.send(
        other.calls.import_agreement(_copied(await consumer.send(consumer.calls.agreement(agreed.agreement_id)), other.id))
    )
    refused = await other.transfer(await other.send(other.calls.agreement(agreed.agreement_id)))
    assert refused.state == "TERMINATED"
    assert "404" in (refused.error or "")


def _copied(agreement, consumer: str):
    from connector.api.agreements import ImportedAgreement

    tree = {**agreement.policy, "assignee": consumer}
    return ImportedAgreement(role="consumer", peer=agreement.peer, address=agreement.peer_address, agreement=tree)


async def test_data_that_is_gone_breaks_off_visibly(space: DataSpace) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    offer = await provider.publish("weather", content=DATA)
    transfer = await consumer.transfer(await consumer.negotiate(offer))
    (space.folder / "provider-weather.txt").unlink()
    with pytest.raises(KontorError) as broken:
        await consumer.get(transfer)
    assert isinstance(broken.value, PeerAnswer | PeerError)
