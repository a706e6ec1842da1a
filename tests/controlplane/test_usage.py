"""Terms that ask how much was used: counted when data flows, released when none did, metered while it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.controlplane import books
from connector.controlplane.collecting import Collecting
from connector.controlplane.kept import kept
from connector.controlplane.terms import TransferWish
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import Forbidden
from connector.odrl import jsonld
from connector.odrl.truth import Usage
from connector.ports.dataplane import DataRequest, Served, Use
from connector.ports.ledger import Book, PostingKind
from tests.controlplane.conftest import NewNode
from tests.controlplane.scene import NOW, PUSH, USE, VOCABULARY, Node, before, imported, members_only, transfer_request


def use_when(left: str, operator: str, right: str, **members: Any) -> dict[str, Any]:
    constraint = {"leftOperand": left, "operator": operator, "rightOperand": right, **members}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


COUNT_2 = use_when("count", "lteq", "2")


async def pulling(node: Node, policy: Mapping[str, Any], consumer_pid: str = "urn:t:1") -> Transfer:
    await node.publish(policy)
    agreement = await node.agreed(consumer_pid=f"{consumer_pid}:n", terms=policy)
    acknowledged = await node.tell(transfer_request(agreement, consumer_pid=consumer_pid))
    return await node.transfer(acknowledged.provider_pid)


async def pull(node: Node, transfer: Transfer) -> Use:
    use = (await node.access.may_pull("alice", transfer.pid, "token-1")).use
    assert use is not None
    return use


async def pulled(node: Node, transfer: Transfer, moved_bytes: int = 10) -> None:
    use = await pull(node, transfer)
    await use.begin()
    use.end(moved_bytes)
    await node.usages.work()


async def test_data_is_handed_out_as_often_as_the_terms_allow_and_no_more(node: Node) -> None:
    transfer = await pulling(node, COUNT_2)
    for _ in range(2):
        await pulled(node, transfer)
    with pytest.raises(Forbidden, match="a condition is not met: count"):
        await pull(node, transfer)
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert (book.total.count, book.total.moved_bytes, book.total.first_at, book.open) == (2, 20, NOW, {})
    assert [use.count for use in book.uses.values()] == [2]


async def test_of_a_hundred_requests_at_once_exactly_ten_are_granted(new_node: NewNode) -> None:
    here, there = await new_node("here"), await new_node("there")
    transfer = await pulling(here, use_when("count", "lteq", "10"))
    nodes = [here, there] * 50
    asked = await asyncio.gather(*(pull(node, transfer) for node in nodes), return_exceptions=True)
    granted = [found for found in asked if not isinstance(found, BaseException)]
    assert len(granted) == 10
    assert all(isinstance(found, Forbidden) for found in asked if isinstance(found, BaseException))
    for use in granted:
        await use.begin()
    with pytest.raises(Forbidden):
        await pull(there, transfer)


async def test_terms_that_say_a_rule_twice_give_no_more_uses(node: Node) -> None:
    await node.publish(COUNT_2)
    twice = {"permission": COUNT_2["permission"] * 2}
    agreement = await node.agreed(consumer_pid="urn:n:1", terms=twice)
    acknowledged = await node.tell(transfer_request(agreement, consumer_pid="urn:t:1"))
    transfer = await node.transfer(acknowledged.provider_pid)
    for _ in range(2):
        await pulled(node, transfer)
    with pytest.raises(Forbidden, match="count"):
        await pull(node, transfer)


async def test_uses_in_one_day_are_counted_on_all_nodes_and_anew_on_the_next(new_node: NewNode) -> None:
    here, there = await new_node("here"), await new_node("there")
    policy = use_when("tds:frequency", "lteq", "3", unit="P1D")
    transfer = await pulling(here, policy)
    asked = await asyncio.gather(*(pull(node, transfer) for node in [here, there] * 5), return_exceptions=True)
    granted = [found for found in asked if not isinstance(found, BaseException)]
    assert len(granted) == 3
    for use in granted:
        await use.begin()
    midnight = NOW.replace(hour=0) + timedelta(days=1)
    with pytest.raises(Forbidden):
        await pull(there, transfer)
    here.clock.move(seconds=(midnight - NOW) / timedelta(seconds=1) - 1)
    with pytest.raises(Forbidden):
        await pull(there, transfer)
    here.clock.move(seconds=1)
    for _ in range(3):
        await pulled(there, transfer)
    with pytest.raises(Forbidden):
        await pull(here, transfer)
    book = await here.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    (use,) = book.uses.values()
    assert (use.count, [(one.began, one.count) for one in use.rates.values()]) == (6, [(midnight, 3)])
    assert (await here.transfer(transfer.pid)).state is State.STARTED


async def test_a_request_that_hands_nothing_out_is_no_use(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "1"))
    (await pull(node, transfer)).end(0)
    await node.usages.work()
    await node.access.may_pull("alice", transfer.pid, "token-1", is_look=True)
    await pulled(node, transfer)
    with pytest.raises(Forbidden):
        await pull(node, transfer)
    with pytest.raises(Forbidden):
        await node.access.may_pull("alice", transfer.pid, "token-1", is_look=True)


async def test_what_a_killed_node_had_reserved_is_free_again_after_a_minute(new_node: NewNode) -> None:
    here = await new_node("here")
    transfer = await pulling(here, use_when("count", "lteq", "1"))
    await pull(here, transfer)
    there = await new_node("there")
    with pytest.raises(Forbidden):
        await pull(there, transfer)
    here.clock.move(seconds=61)
    await pull(there, transfer)


async def test_a_transfer_does_not_start_when_nothing_is_left_to_use(node: Node) -> None:
    transfer = await pulling(node, use_when("count", "lteq", "1"))
    await pulled(node, transfer)
    acknowledged = await node.tell(transfer_request(transfer.agreement_id, consumer_pid="urn:t:2"))
    second = await node.transfer(acknowledged.provider_pid)
    assert second.state is State.TERMINATED
    assert second.reasons == ("a condition is not met: count",)


async def pushing(node: Node, agreement: str, consumer_pid: str) -> Transfer:
    acknowledged = await node.tell(transfer_request(agreement, PUSH, consumer_pid=consumer_pid))
    return await node.transfer(acknowledged.provider_pid)


async def test_a_push_counts_from_its_start_on_and_for_good_when_it_is_complete(node: Node) -> None:
    policy = use_when("count", "lteq", "1")
    await node.publish(policy)
    agreement = await node.agreed(terms=policy)
    first, second = [await pushing(node, agreement, f"urn:t:{n}") for n in range(2)]
    assert (first.state, second.state) == (State.STARTED, State.TERMINATED)
    assert second.reasons == ("a condition is not met: count",)
    # taken up again after a restart it is the same use; another that started at the same moment goes no further
    await node.access.may_send(first)
    with pytest.raises(Forbidden):
        await node.access.may_send(replace(first, pid="urn:at-the-same-moment"))
    for _ in range(2):
        await node.events.completed("alice", first.pid, moved_bytes=7, digest=None)
    book = await node.store.ledger.book("alice", agreement)
    assert book is not None
    assert (book.total.count, book.total.moved_bytes, book.open) == (1, 7, {})


async def test_a_push_that_is_stopped_gives_its_use_back(node: Node) -> None:
    policy = use_when("count", "lteq", "1")
    await node.publish(policy)
    agreement = await node.agreed(terms=policy)
    first = await pushing(node, agreement, "urn:t:1")
    await node.transfers.act("alice", first.pid, "terminate")
    assert (await pushing(node, agreement, "urn:t:2")).state is State.STARTED


async def test_the_time_since_first_use_ends_a_transfer_to_the_instant(node: Node) -> None:
    transfer = await pulling(node, use_when("elapsedTime", "lteq", "PT1H"))
    await node.pass_time(hours=5)
    await pulled(node, transfer)
    await node.pass_time(seconds=3599)
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    await node.pass_time(seconds=1.001)
    ended = await node.transfer(transfer.pid)
    assert ended.state is State.TERMINATED
    assert "elapsedTime" in ended.reasons[0]


async def test_a_use_that_is_cancelled_while_it_is_counted_stays_counted_and_starts_its_clock(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = await pulling(node, use_when("elapsedTime", "lteq", "PT1H"))
    use, post, is_written = await pull(node, transfer), node.store.ledger.post, asyncio.Event()

    async def unheard(*of: Any) -> Any:
        await post(*of)
        is_written.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(node.store.ledger, "post", unheard)
    begins = asyncio.create_task(use.begin())
    await is_written.wait()
    begins.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begins
    monkeypatch.setattr(node.store.ledger, "post", post)
    use.end(0)
    await node.usages.work()
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert (book.total.count, book.total.first_at, book.open) == (1, NOW, {})
    await pulled(node, transfer)
    await node.pass_time(seconds=3600.001)
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED


async def test_a_first_use_is_no_reason_to_wait_for_the_interval_that_it_begins(node: Node) -> None:
    transfer = await pulling(node, use_when("timeInterval", "eq", "P7D"))
    await pulled(node, transfer)
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    with pytest.raises(Forbidden, match="timeInterval"):
        await pull(node, transfer)
    await node.pass_time(days=7)
    await pull(node, transfer)


async def test_time_of_use_that_runs_out_cuts_the_stream(node: Node) -> None:
    transfer = await pulling(node, use_when("meteredTime", "lteq", "PT60S"))
    first = await pull(node, transfer)
    await first.begin()
    await node.pass_time(seconds=30)
    await node.usages.work()
    second = await pull(node, transfer)
    await second.begin()
    # two streams use it up twice as fast
    await node.pass_time(seconds=14)
    await node.usages.work()
    await node.rest()
    assert (await node.transfer(transfer.pid)).state is State.STARTED
    await node.pass_time(seconds=1.001)
    await node.usages.work()
    await node.rest()
    assert (await node.transfer(transfer.pid)).state is State.TERMINATED
    assert ("stop", transfer.pid) in node.plane.told


async def test_time_of_use_stands_still_between_uses(node: Node) -> None:
    transfer = await pulling(node, use_when("meteredTime", "lteq", "PT60S"))
    for _ in range(2):
        use = await pull(node, transfer)
        await use.begin()
        node.clock.move(seconds=20)
        use.end(1)
        await node.usages.work()
        await node.pass_time(hours=1)
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert book.total.metered == timedelta(seconds=40)
    assert (await node.transfer(transfer.pid)).state is State.STARTED


async def test_uses_that_no_clause_asks_about_are_tallied_and_posted_together(node: Node) -> None:
    transfer = await pulling(node, before("2030-01-01T00:00:00Z"))
    for _ in range(3):
        await pulled(node, transfer)
    assert await node.store.ledger.book("alice", transfer.agreement_id) is None
    await node.pass_time(seconds=5)
    await node.usages.work()
    page = await node.store.ledger.postings("alice", transfer.agreement_id)
    assert [line.kind for line in page.items] == [PostingKind.USED]
    book = await node.store.ledger.book("alice", transfer.agreement_id)
    assert book is not None
    assert (book.total.count, book.total.moved_bytes) == (3, 30)


async def test_a_prohibition_from_the_third_time_on_counts_too(node: Node) -> None:
    forbidden = {"leftOperand": "count", "operator": "gt", "rightOperand": "2"}
    policy = {"permission": [{"action": "use"}], "prohibition": [{"action": "use", "constraint": [forbidden]}]}
    transfer = await pulling(node, {**policy, "conflict": "prohibit"})
    for _ in range(2):
        await pulled(node, transfer)
    with pytest.raises(Forbidden):
        await pull(node, transfer)


async def test_a_consumer_cuts_its_own_stream_when_the_time_of_use_runs_out(node: Node) -> None:
    agreement = await imported(node, **use_when("meteredTime", "lteq", "PT60S"))
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    await node.pass_time(seconds=0)
    node.plane.told.clear()
    use = await node.access.may_collect("alice", transfer)
    await use.begin()
    await node.pass_time(seconds=59)
    await node.usages.work()
    assert ("stop", transfer.pid) not in node.plane.told
    await node.pass_time(seconds=1.001)
    await node.usages.work()
    assert ("stop", transfer.pid) in node.plane.told


class Shelf:
    """A data plane at which what a push has delivered is being read."""

    def __init__(self) -> None:
        self.is_cut = False

    @asynccontextmanager
    async def collect(self, transfer: Transfer, request: DataRequest, use: Use | None = None) -> AsyncIterator[Served]:
        """All of it, slowly."""
        yield Served(status=200, headers={}, chunks=None, cut=lambda: setattr(self, "is_cut", True))


@pytest.mark.parametrize("end", ["the agreement", "its terms"])
async def test_who_reads_what_a_push_has_delivered_stops_within_a_second_of_the_end(node: Node, end: str) -> None:
    until = (NOW + timedelta(hours=1)).isoformat()
    agreement = await imported(node, **use_when("dateTime", "lteq", until))
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PUSH"))
    plane: Any = Shelf()
    nobody: Any = None
    collecting = Collecting(plane=plane, access=node.access, peers=nobody, clock=node.clock, by_tokens=frozenset())
    async with collecting.collect(transfer, DataRequest(), await node.access.may_collect("alice", transfer)):
        await node.rest()
        await node.pass_time(seconds=2)
        assert not plane.is_cut
        if end == "the agreement":
            await node.agreements.end("alice", agreement, "the project is over")
            await node.pass_time(seconds=1)
        else:
            await node.pass_time(seconds=3600)
        assert plane.is_cut


@pytest.mark.parametrize(
    ("policy", "until"),
    [
        (USE, datetime.max.replace(tzinfo=UTC)),
        (before("2026-03-01T00:10:00Z"), NOW + timedelta(minutes=10)),
        (COUNT_2, None),
        (members_only(), None),
    ],
)
async def test_who_is_granted_data_need_not_ask_again_only_while_the_clock_alone_decides(
    node: Node, policy: dict[str, Any], until: datetime | None
) -> None:
    transfer = await pulling(node, policy)
    grant = await node.access.may_pull("alice", transfer.pid, "token-1")
    assert grant.free_until == until


def test_an_empty_book_tells_the_same_however_it_is_read() -> None:
    agreed_at = NOW - timedelta(days=1)
    terms = kept(
        jsonld.read({"@type": "Set", "permission": [{"action": "use"}], "prohibition": [{"action": "sell"}]}, "p"), VOCABULARY
    )
    for also in (0, 1):
        at_once = books.world(books.EMPTY, terms, NOW, agreed_at, {}, also=also)
        assert at_once == books.world(Book(), terms, NOW, agreed_at, {}, also=also)
        assert at_once.ledger is not None
        assert at_once.ledger.usage(terms.rules[0]) == Usage(count=also, triggered_at=agreed_at)


@pytest.mark.parametrize("place", ["FR", "DE"])
async def test_a_consumer_judges_by_where_it_uses_data_whatever_was_asked_before(new_node: NewNode, place: str) -> None:
    node = await new_node(alice={"environment": {"spatial": "FR"}})
    agreement = await imported(node, **use_when("spatial", "eq", place))
    await node.records.account("alice", agreement)
    transfer = await node.transfers.start("alice", TransferWish(agreement=agreement, format="HttpData-PULL"))
    if place == "FR":
        await (await node.access.may_collect("alice", transfer)).begin()
    else:
        with pytest.raises(Forbidden, match="spatial"):
            await node.access.may_collect("alice", transfer)
