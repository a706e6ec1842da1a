"""The contract of what waits: messages and acts belong to one node at a time, for the length of a lease, until they are done."""

from __future__ import annotations

import asyncio

import pytest

from connector.dsp.tables import State
from connector.errors import InternalError
from connector.ports.store import Change, DueRow, Message, Retry, Store
from connector.testing.store_contract.values import (
    LEASE,
    NOW,
    SECOND,
    Nodes,
    adding,
    always,
    attempt,
    due,
    key,
    negotiation,
    outgoing,
    put,
    record,
)


def _ids(messages: tuple[Message, ...]) -> list[str]:
    return [message.outgoing.message_id for message in messages]


def _acts(rows: tuple[DueRow, ...]) -> list[str]:
    return [row.due.act for row in rows]


class OutboxContract:
    """Outbox and due rows."""

    async def test_a_message_is_leased_to_the_node_that_wrote_it(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await put(here, negotiation("one"), outgoing=(outgoing("m"),))
        for store in (here, there):
            assert await store.claim(NOW + LEASE - SECOND) == ()
        (message,) = await there.claim(NOW + LEASE)
        assert message == Message(key=key("one"), peer="urn:bob", outgoing=outgoing("m"), tries=0, created_at=NOW)
        assert await here.claim(NOW + LEASE) == ()

    async def test_a_lease_begins_at_the_latest_moment_of_the_change(self, store: Store) -> None:
        late = NOW + 10 * LEASE
        place = await put(store, negotiation("one"), outgoing=(outgoing("m1"),), records=(record("sent", late),))
        await store.advance(place, adding(outgoing=(outgoing("m2"),), attempts=(attempt("m0", late),)))
        updated = negotiation("one", updated_at=late)
        await store.advance(place, always(Change(process=updated, outgoing=(outgoing("m3"),), records=(record("old"),))))
        assert [message.created_at for message in (await store.timeline(place)).pending] == [late] * 3
        assert await store.claim(late + LEASE - SECOND) == ()
        assert _ids(await store.claim(late + LEASE)) == ["m1", "m2", "m3"]

    async def test_a_claim_is_a_lease_for_the_claimer(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await put(here, negotiation("one"), outgoing=(outgoing("m"),))
        first = NOW + LEASE
        assert _ids(await there.claim(first)) == ["m"]
        assert await here.claim(first + LEASE - SECOND) == ()
        assert await there.claim(first + LEASE - SECOND) == ()
        assert _ids(await here.claim(first + LEASE)) == ["m"]

    async def test_a_node_that_starts_anew_gets_its_own_back_and_no_others(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await put(here, negotiation("one"), outgoing=(outgoing("mine"),), due=(due("mine", NOW),))
        await put(there, negotiation("two"), outgoing=(outgoing("theirs"),), due=(due("theirs", NOW + SECOND),))
        assert _acts(await here.claim_due(NOW)) == ["mine"]
        assert _acts(await there.claim_due(NOW + SECOND)) == ["theirs"]
        await here.close()
        again = await nodes("here")
        await again.release()
        assert _ids(await again.claim(NOW + 2 * SECOND)) == ["mine"]
        assert _acts(await again.claim_due(NOW + 2 * SECOND)) == ["mine"]

    async def test_released_work_is_free_for_every_node(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await put(here, negotiation("one"), outgoing=(outgoing("m"),))
        await here.release()
        assert _ids(await there.claim(NOW)) == ["m"]

    async def test_a_release_does_not_shorten_a_pause(self, store: Store) -> None:
        place = await put(store, negotiation("one"), outgoing=(outgoing("m"),), due=(due("agree", NOW + LEASE),))
        await store.advance(place, adding(retries=(Retry(message_id="m", not_before=NOW + LEASE),)))
        await store.release()
        assert await store.claim(NOW + LEASE - SECOND) == ()
        assert await store.claim_due(NOW + LEASE - SECOND) == ()

    async def test_a_removed_message_is_never_claimed_again(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        place = await put(here, negotiation("one"), outgoing=(outgoing("m1"), outgoing("m2"), outgoing("m3")))
        assert _ids(await there.claim(NOW + LEASE)) == ["m1", "m2", "m3"]
        # taken out while another node holds it; once removed, a late retry does not bring it back
        await here.advance(place, adding(removed=("m1", "m3", "unknown")))
        await there.advance(place, adding(retries=(Retry(message_id="m1", not_before=NOW),)))
        await here.release()
        await there.release()
        assert _ids(await here.claim(NOW + 100 * LEASE)) == ["m2"]
        assert _ids((await here.timeline(place)).pending) == ["m2"]

    async def test_a_message_written_and_removed_in_one_change_is_gone(self, store: Store) -> None:
        place = await put(store, negotiation("one"), outgoing=(outgoing("m1"), outgoing("m2")), removed=("m1",))
        assert _ids((await store.timeline(place)).pending) == ["m2"]

    async def test_nobody_removes_messages_of_another_process(self, store: Store) -> None:
        one = await put(store, negotiation("one"), outgoing=(outgoing("m"),))
        other = await put(store, negotiation("one", participant="carol"), outgoing=(outgoing("m"),))
        await store.advance(other, adding(removed=("m",)))
        assert _ids((await store.timeline(one)).pending) == ["m"]
        await store.advance(other, adding(retries=(Retry(message_id="m", not_before=NOW),)))
        assert await store.claim(NOW) == ()

    async def test_a_message_to_be_tried_again_is_free_from_its_moment_on(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        place = await put(here, negotiation("one"), outgoing=(outgoing("m"),))
        later = NOW + LEASE / 3
        await here.advance(place, adding(retries=(Retry(message_id="m", not_before=later),)))
        assert await there.claim(later - SECOND) == ()
        (message,) = await there.claim(later)
        assert (message.tries, message.created_at) == (1, NOW)
        await there.advance(place, adding(retries=(Retry(message_id="m", not_before=later + SECOND),)))
        (message,) = await here.claim(later + SECOND)
        assert message.tries == 2

    async def test_a_message_id_stands_in_the_outbox_of_a_process_once(self, store: Store) -> None:
        place = await put(store, negotiation("one"), outgoing=(outgoing("m"),))
        with pytest.raises(InternalError):
            await store.advance(place, adding(outgoing=(outgoing("m"),), records=(record("again"),)))
        assert (await store.timeline(place)).records == ()
        other = await put(store, negotiation("two"), outgoing=(outgoing("m"),))
        assert _ids((await store.timeline(other)).pending) == ["m"]

    async def test_nodes_that_claim_at_once_share_nothing(self, nodes: Nodes) -> None:
        stores = [await nodes(f"node-{number}") for number in range(3)]
        for number in range(30):
            await put(stores[0], negotiation(f"p{number}"), outgoing=(outgoing(f"m{number}"),), due=(due(f"d{number}", NOW),))
        late = NOW + LEASE
        taken = await asyncio.gather(*(store.claim(late, limit=4) for store in stores for _ in range(3)))
        assert max(len(messages) for messages in taken) == 4
        assert sorted(_ids(tuple(m for messages in taken for m in messages))) == sorted(f"m{n}" for n in range(30))
        dues = await asyncio.gather(*(store.claim_due(late, limit=20) for store in stores))
        assert sorted(_acts(tuple(row for rows in dues for row in rows))) == sorted(f"d{n}" for n in range(30))

    async def test_what_waits_longest_is_claimed_first(self, store: Store) -> None:
        place = await put(store, negotiation("one"), outgoing=(outgoing("a"), outgoing("b"), outgoing("c")))
        for message_id, seconds in (("a", 3), ("b", 1), ("c", 2)):
            retry = Retry(message_id=message_id, not_before=NOW + seconds * SECOND)
            await store.advance(place, adding(retries=(retry,)))
        assert _ids(await store.claim(NOW + LEASE, limit=2)) == ["b", "c"]
        assert _ids(await store.claim(NOW + LEASE, limit=2)) == ["a"]
        await store.advance(place, adding(due=tuple(due(act, NOW + n * SECOND) for act, n in (("x", 3), ("y", 1), ("z", 2)))))
        assert _acts(await store.claim_due(NOW + LEASE, limit=2)) == ["y", "z"]
        assert _acts(await store.claim_due(NOW + LEASE, limit=2)) == ["x"]

    async def test_an_act_is_due_at_its_moment_and_until_it_is_dropped(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        await put(here, negotiation("one"), due=(due("agree", NOW + SECOND),))
        assert await here.claim_due(NOW) == ()
        (row,) = await here.claim_due(NOW + SECOND)
        assert (row.key, row.due) == (key("one"), due("agree", NOW + SECOND))
        # another node takes it over when the lease is over, and only then
        assert await there.claim_due(NOW + LEASE) == ()
        assert await there.claim_due(NOW + SECOND + LEASE) == (row,)
        await there.drop_due((row.id, row.id + 1000))
        assert await here.claim_due(NOW + 100 * LEASE) == ()
        assert (await here.timeline(key("one"))).due == ()
        await there.drop_due(())

    async def test_a_late_drop_does_not_hit_a_younger_act(self, store: Store) -> None:
        place = await put(store, negotiation("one"), due=(due("old", NOW),))
        (old,) = await store.claim_due(NOW)
        await store.drop_due((old.id,))
        await store.advance(place, adding(due=(due("new", NOW),)))
        await store.drop_due((old.id,))
        assert _acts(await store.claim_due(NOW)) == ["new"]

    async def test_the_next_moment_is_when_something_can_be_claimed(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        assert await here.next_moment() is None
        place = await put(here, negotiation("one"), outgoing=(outgoing("m"),))
        assert await there.next_moment() == NOW + LEASE
        await here.advance(place, adding(due=(due("agree", NOW + 2 * SECOND),)))
        assert await there.next_moment() == NOW + 2 * SECOND
        await here.advance(place, adding(retries=(Retry(message_id="m", not_before=NOW + SECOND),)))
        assert await there.next_moment() == NOW + SECOND
        assert _ids(await there.claim(NOW + SECOND)) == ["m"]
        assert await here.next_moment() == NOW + 2 * SECOND
        (row,) = await here.claim_due(NOW + 2 * SECOND)
        assert await here.next_moment() == NOW + SECOND + LEASE
        await here.drop_due((row.id,))
        await here.advance(place, adding(removed=("m",)))
        assert await there.next_moment() is None

    async def test_an_ended_process_waits_for_nothing(self, nodes: Nodes) -> None:
        here, there = await nodes("here"), await nodes("there")
        place = await put(here, negotiation("one"), due=(due("agree", NOW), due("end", NOW + SECOND)))
        other = await put(here, negotiation("two"), due=(due("agree", NOW),))
        assert len(await there.claim_due(NOW)) == 2
        ended = negotiation("one", state=State.TERMINATED)
        await here.advance(place, always(Change(process=ended, due=(due("late", NOW),))))
        await here.advance(place, adding(due=(due("later", NOW),)))
        await here.advance(place, always(Change(process=None, due=(due("latest", NOW),))))
        assert (await here.timeline(place)).due == ()
        assert await here.next_moment() == NOW + LEASE
        assert [row.key for row in await here.claim_due(NOW + 10 * LEASE)] == [other]

    async def test_ended_processes_still_send_what_they_owe(self, store: Store) -> None:
        await put(store, negotiation("one", state=State.TERMINATED), outgoing=(outgoing("m"),))
        assert _ids(await store.claim(NOW + LEASE)) == ["m"]
