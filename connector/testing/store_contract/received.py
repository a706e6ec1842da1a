"""The contract of what peers send: a first message makes one process, a repeated message gets its first answer."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from connector.dsp.negotiation import Negotiation
from connector.dsp.tables import Kind, Role, State
from connector.dsp.values import replace
from connector.errors import IllegalTransition
from connector.ports.store import Change, Decide, Filter, PeerKey, Snapshot, Store
from connector.testing.store_contract.values import (
    Nodes,
    Seen,
    adding,
    always,
    key,
    negotiation,
    peer_key,
    put,
    record,
    transfer,
)


def _first(pid: str, place: PeerKey, answer: bytes = b"") -> Decide[Negotiation]:
    """What a use case decides on a first message: a new process with `pid`, unless the message is a repeated one."""

    def decide(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
        if snapshot.process is not None:
            return Change(repeated=snapshot.answer)
        process = negotiation(pid, participant=place.participant, peer=place.peer, role=place.role, peer_pid=place.peer_pid)
        return Change(process=process, answer=answer, records=(record(pid),))

    return decide


class ReceivedContract:
    """Messages of the peer."""

    async def test_a_first_message_makes_a_process_that_its_repetition_finds(self, store: Store) -> None:
        place, again = peer_key("theirs"), Seen(_first("two", peer_key("theirs")))
        await store.advance(place, _first("one", place, b"created"), received="urn:m")
        change = await store.advance(place, again, received="urn:m")
        assert again.last == Snapshot(process=negotiation("one", peer_pid="theirs"), answer=b"created")
        assert change.body == b"created"
        assert await store.process(key("two")) is None

    async def test_a_repetition_under_another_message_id_finds_the_process_too(self, store: Store) -> None:
        place, again = peer_key("theirs"), Seen(adding())
        await store.advance(place, _first("one", place, b"created"), received="urn:m")
        await store.advance(place, again, received="urn:other")
        assert again.last == Snapshot(process=negotiation("one", peer_pid="theirs"), answer=None)

    async def test_two_first_messages_at_once_give_one_process(self, nodes: Nodes) -> None:
        stores = [await nodes("here"), await nodes("there")]
        place = peer_key("theirs")
        decisions = [Seen(_first(f"p{i}", place, f"answer {i}".encode())) for i in range(20)]
        await asyncio.gather(
            *(store.advance(place, decide, received="urn:m") for store, decide in zip(itertools.cycle(stores), decisions))
        )
        page = await stores[0].processes(Kind.NEGOTIATION, "alice", Filter())
        (winner,) = page.items
        losers = [decide for decide in decisions if decide.last.process is not None]
        # the loser decides again, on what the winner has written
        assert len(losers) == len(decisions) - 1
        for decide in losers:
            assert decide.last.process == winner
            assert decide.last.answer == f"answer {winner.pid[1:]}".encode()
        assert [line.note for line in (await stores[1].timeline(key(winner.pid))).records] == [winner.pid]

    async def test_every_part_of_a_peer_key_tells_processes_apart(self, store: Store) -> None:
        places = [
            peer_key("theirs"),
            peer_key("other"),
            peer_key("theirs", peer="urn:dave"),
            peer_key("theirs", participant="carol"),
            peer_key("theirs", role=Role.CONSUMER),
        ]
        for number, place in enumerate(places):
            await store.advance(place, _first(f"p{number}", place))
        transfers = PeerKey(kind=Kind.TRANSFER, participant="alice", role=Role.PROVIDER, peer="urn:bob", peer_pid="theirs")
        await store.advance(transfers, always(Change(process=transfer("p5", peer_pid="theirs"))))
        for number, place in enumerate((*places, transfers)):
            seen = Seen(always(Change()))
            await store.advance(place, seen)
            assert seen.last.process is not None
            assert seen.last.process.pid == f"p{number}"

    async def test_a_process_that_we_began_is_not_one_that_the_peer_began(self, store: Store) -> None:
        ours = await put(store, negotiation("one", peer_pid=None))
        also_ours = await put(store, negotiation("two", peer_pid=None))
        # a careless peer may give two of our processes the same pid: its fault, and no reason to lose either
        for place in (ours, also_ours):
            await store.advance(place, always(Change(process=negotiation(place.pid, peer_pid="theirs"))))
        begun = peer_key("theirs")
        await store.advance(begun, _first("three", begun))
        assert [(await store.find("alice", pid)) for pid in ("one", "two", "three")] == [ours, also_ours, key("three")]

    async def test_a_repeated_message_gets_its_first_answer(self, store: Store) -> None:
        place = await put(store, negotiation("one"))
        first, second, third = Seen(adding(answer=b"first")), Seen(adding(answer=b"second")), Seen(adding())
        for seen in (first, second, third):
            await store.advance(place, seen, received="urn:m")
        assert [seen.last.answer for seen in (first, second, third)] == [None, b"first", b"first"]

    async def test_an_empty_answer_is_an_answer(self, store: Store) -> None:
        place, again = await put(store, negotiation("one")), Seen(adding())
        await store.advance(place, adding(), received="urn:m")
        await store.advance(place, again, received="urn:m")
        assert again.last.answer == b""

    async def test_a_repeated_message_gets_its_answer_in_a_final_state_too(self, store: Store) -> None:
        place, again = await put(store, negotiation("one")), Seen(adding())
        ended = replace(negotiation("one"), state=State.TERMINATED)
        await store.advance(place, always(Change(process=ended, answer=b"ended")), received="urn:m")
        await store.advance(place, again, received="urn:m")
        assert again.last == Snapshot(process=ended, answer=b"ended")

    async def test_a_message_that_changes_nothing_is_known_when_it_is_repeated(self, store: Store) -> None:
        place, again = await put(store, negotiation("one")), Seen(adding())
        await store.advance(place, always(Change(answer=b"fine")), received="urn:m")
        await store.advance(place, again, received="urn:m")
        assert again.last.answer == b"fine"

    async def test_a_message_that_was_refused_is_new_when_it_comes_again(self, store: Store) -> None:
        def refuse(snapshot: Snapshot[Negotiation]) -> Change[Negotiation]:
            raise IllegalTransition("not yet")

        place, again = await put(store, negotiation("one")), Seen(adding())
        with pytest.raises(IllegalTransition):
            await store.advance(place, refuse, received="urn:m")
        await store.advance(place, again, received="urn:m")
        assert again.last.answer is None

    async def test_message_ids_belong_to_their_process(self, store: Store) -> None:
        one, two = await put(store, negotiation("one")), await put(store, negotiation("two"))
        hers = await put(store, negotiation("one", participant="carol"))
        await store.advance(one, adding(answer=b"one"), received="urn:m")
        for place in (two, hers):
            seen = Seen(adding(answer=b"other"))
            await store.advance(place, seen, received="urn:m")
            assert seen.last.answer is None

    async def test_a_first_message_is_known_by_either_key(self, store: Store) -> None:
        place, again = peer_key("theirs"), Seen(adding())
        await store.advance(place, _first("one", place, b"created"), received="urn:m")
        await store.advance(key("one"), again, received="urn:m")
        assert again.last.answer == b"created"

    async def test_without_a_message_there_is_no_answer(self, store: Store) -> None:
        place, again = await put(store, negotiation("one")), Seen(adding())
        await store.advance(place, adding(answer=b"nobody asked"))
        await store.advance(place, again)
        assert again.last.answer is None
