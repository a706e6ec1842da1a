"""A machine that calls the memory store and a durable store in turn, and wants the same answers from both.

Whoever has a durable store overrides `new_durable`; `test_same_behaviour.py` and `test_postgres.py` do.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connector.dsp.process import Process
from connector.dsp.tables import Kind, Role, State
from connector.dsp.values import replace
from connector.errors import Conflict, KontorError
from connector.ports.store import Change, Decide, DueRow, Filter, Key, PeerKey, Retry, Snapshot, Store
from connector.storage.memory import Memory, MemoryStore
from connector.testing.store_contract.values import (
    LEASE_S,
    NOW,
    agreement,
    attempt,
    document,
    due,
    negotiation,
    outgoing,
    record,
    transfer,
)

NODES = ("here", "there")
CONTEXTS = st.sampled_from(("alice", "carol"))
KINDS = st.sampled_from(Kind)
PIDS = st.sampled_from(("p1", "p2", "p3"))
PEERS = st.sampled_from(("urn:bob", "urn:dave"))
MESSAGES = st.sampled_from(("m1", "m2", "m3", "m4"))
IDS = st.sampled_from(("a", "b", "ü"))
STATES = st.sampled_from((State.REQUESTED, State.AGREED, State.STARTED, State.TERMINATED))
SECONDS = st.integers(0, 90)
FILTERS = st.builds(
    Filter,
    state=st.none() | STATES,
    role=st.none() | st.sampled_from(Role),
    peer=st.none() | PEERS,
    dataset=st.none() | st.sampled_from(("urn:d1", "urn:d2")),
    agreement_id=st.none() | IDS,
    is_held=st.none() | st.booleans(),
)
KEYS = st.builds(Key, kind=KINDS, participant=CONTEXTS, pid=PIDS)
PEER_KEYS = st.builds(PeerKey, kind=KINDS, participant=CONTEXTS, role=st.sampled_from(Role), peer=PEERS, peer_pid=PIDS)
CHANGES = st.fixed_dictionaries(
    {
        "is_refused": st.integers(0, 9).map(lambda n: n == 0),
        "has_process": st.integers(0, 4).map(lambda n: n > 0),
        "pid": PIDS,
        "peer": PEERS,
        "role": st.sampled_from(Role),
        "state": STATES,
        "hold": st.none() | st.just("wait"),
        "dataset": st.sampled_from(("urn:d1", "urn:d2")),
        "agreement_id": IDS,
        "answer": st.binary(max_size=3),
        "outgoing": st.lists(MESSAGES, max_size=2),
        "removed": st.lists(MESSAGES, max_size=2),
        "retries": st.lists(st.tuples(MESSAGES, SECONDS), max_size=2),
        "attempts": st.lists(MESSAGES, max_size=1),
        "records": st.lists(st.text(max_size=3), max_size=2),
        "due": st.lists(SECONDS, max_size=2),
        "agreement": st.none() | IDS,
    }
)


def _after(found: Process | None, key: Key | PeerKey, wish: dict[str, Any], now: datetime) -> Process:
    """The process that `wish` makes of what was found."""
    if found is None:
        make = negotiation if key.kind is Kind.NEGOTIATION else transfer
        made = make(
            key.pid if isinstance(key, Key) else wish["pid"],
            participant=key.participant,
            role=wish["role"] if isinstance(key, Key) else key.role,
            peer=wish["peer"] if isinstance(key, Key) else key.peer,
            peer_pid=None if isinstance(key, Key) else key.peer_pid,
            dataset=wish["dataset"],
        )
        found = made
    agreed = {"agreement": {"@id": wish["agreement_id"]}} if key.kind is Kind.NEGOTIATION else {}
    return replace(found, state=wish["state"], hold=wish["hold"], updated_at=now, **agreed)


def deciding(key: Key | PeerKey, wish: dict[str, Any], now: datetime, seen: list[Any]) -> Decide[Process]:
    """A decision that notes what it was shown and does what `wish` says."""

    def decide(snapshot: Snapshot[Process]) -> Change[Process]:
        seen.append(snapshot)
        if wish["is_refused"]:
            raise Conflict("refused")
        return Change(
            process=_after(snapshot.process, key, wish, now) if wish["has_process"] else None,
            answer=wish["answer"],
            outgoing=tuple(outgoing(message_id) for message_id in wish["outgoing"]),
            removed=tuple(wish["removed"]),
            retries=tuple(Retry(message_id=m, not_before=NOW + timedelta(seconds=s)) for m, s in wish["retries"]),
            attempts=tuple(attempt(message_id, now) for message_id in wish["attempts"]),
            records=tuple(record(note, now) for note in wish["records"]),
            due=tuple(due(f"at {seconds}", NOW + timedelta(seconds=seconds)) for seconds in wish["due"]),
            agreement=None
            if wish["agreement"] is None
            else agreement(wish["agreement"], participant=key.participant, peer=wish["peer"], purpose=str(now)),
        )

    return decide


class SameBehaviour(RuleBasedStateMachine):
    """Both stores get each call; what they answer, raise and show is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = NOW
        self.memory = Memory()
        self.plain = {name: self.opened(self.new_plain(name)) for name in NODES}
        self.durable = {name: self.opened(self.new_durable(name)) for name in NODES}
        self.taken: list[tuple[DueRow, ...]] = []

    def new_plain(self, node: str) -> Store:
        return MemoryStore(node=node, lease_s=LEASE_S, memory=self.memory)

    def new_durable(self, node: str) -> Store:
        """The store under test for `node`; all of one machine share their data."""
        raise AssertionError("a machine names its durable store")

    def opened(self, store: Store) -> Store:
        self.loop.run_until_complete(store.open())
        return store

    def outcome(self, store: Store, method: str, *args: Any, **kwargs: Any) -> Any:
        """What `store` answers, or how it refuses."""
        try:
            return self.loop.run_until_complete(getattr(store, method)(*args, **kwargs))
        except KontorError as fault:
            return type(fault), str(fault)

    def both(self, node: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """What both answer."""
        plain = self.outcome(self.plain[node], method, *args, **kwargs)
        durable = self.outcome(self.durable[node], method, *args, **kwargs)
        assert plain == durable
        return plain

    @rule(node=st.sampled_from(NODES), key=KEYS | PEER_KEYS, wish=CHANGES, received=st.none() | MESSAGES)
    def advance(self, node: str, key: Key | PeerKey, wish: dict[str, Any], received: str | None) -> None:
        plain: list[Any] = []
        durable: list[Any] = []
        first = self.outcome(self.plain[node], "advance", key, deciding(key, wish, self.now, plain), received=received)
        second = self.outcome(self.durable[node], "advance", key, deciding(key, wish, self.now, durable), received=received)
        assert first == second
        # a decision may be asked twice, on the same state
        assert plain[0] == durable[0] == durable[-1]

    @rule(seconds=st.sampled_from((1, 7, 31)))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(node=st.sampled_from(NODES), limit=st.sampled_from((1, 3, 100)))
    def claim(self, node: str, limit: int) -> None:
        self.both(node, "claim", self.now, limit=limit)

    @rule(node=st.sampled_from(NODES), limit=st.sampled_from((1, 100)))
    def claim_due(self, node: str, limit: int) -> None:
        plain = self.outcome(self.plain[node], "claim_due", self.now, limit=limit)
        durable = self.outcome(self.durable[node], "claim_due", self.now, limit=limit)
        assert [replace(row, id=0) for row in plain] == [replace(row, id=0) for row in durable]
        self.taken += zip(plain, durable, strict=True)

    @precondition(lambda self: self.taken)
    @rule(node=st.sampled_from(NODES), data=st.data())
    def drop_due(self, node: str, data: st.DataObject) -> None:
        plain, durable = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.outcome(self.plain[node], "drop_due", (plain.id,))
        self.outcome(self.durable[node], "drop_due", (durable.id,))

    @rule(node=st.sampled_from(NODES))
    def restart(self, node: str) -> None:
        self.loop.run_until_complete(self.durable[node].close())
        self.durable[node] = self.opened(self.new_durable(node))
        self.both(node, "release")

    @rule(node=st.sampled_from(NODES), context=CONTEXTS, id_=IDS, peer=PEERS, is_new=st.booleans())
    def put_agreement(self, node: str, context: str, id_: str, peer: str, is_new: bool) -> None:
        value = agreement(id_, participant=context, peer=peer, dataset="urn:d1")
        self.both(node, "put_agreement", value, is_new=is_new)

    @rule(node=st.sampled_from(NODES), context=CONTEXTS, id_=IDS, expect=st.none() | st.integers(0, 2))
    def put_document(self, node: str, context: str, id_: str, expect: int | None) -> None:
        value = document(id_, participant=context, body={"at": str(self.now)}, created_at=self.now, updated_at=self.now)
        self.both(node, "put_document", value, expect=expect)

    @rule(node=st.sampled_from(NODES), context=CONTEXTS, id_=IDS)
    def delete_document(self, node: str, context: str, id_: str) -> None:
        self.both(node, "delete_document", context, "asset", id_)

    @rule(node=st.sampled_from(NODES), kind=KINDS, context=CONTEXTS, filter_=FILTERS, limit=st.sampled_from((1, 2, 100)))
    def list_with_a_filter(self, node: str, kind: Kind, context: str, filter_: Filter, limit: int) -> None:
        for method, args in (
            ("processes", (kind, context, filter_)),
            ("agreements", (context, filter_)),
            ("documents", (context, "asset")),
        ):
            # cursors are each store's own: pages are compared without them
            first = second = None
            while True:
                plain = self.outcome(self.plain[node], method, *args, cursor=first, limit=limit)
                durable = self.outcome(self.durable[node], method, *args, cursor=second, limit=limit)
                assert replace(plain, next_cursor=None) == replace(durable, next_cursor=None)
                first, second = plain.next_cursor, durable.next_cursor
                assert (first is None) is (second is None)
                if first is None:
                    break

    @invariant()
    def everything_looks_the_same(self) -> None:
        self.both("here", "next_moment")
        for context in ("alice", "carol"):
            self.both("there", "revision", context)
            for pid in ("p1", "p2", "p3"):
                key = self.both("here", "find", context, pid)
                if key is not None:
                    self.both("there", "process", key)
                    self.both("here", "timeline", key)

    def teardown(self) -> None:
        for store in self.durable.values():
            self.loop.run_until_complete(store.close())
        self.end()
        self.loop.close()

    def end(self) -> None:
        """Let go of what the durable stores stood on; the loop still runs."""
