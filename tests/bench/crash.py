"""Crash proof: either of two nodes is killed (SIGKILL) at random moments during negotiations and transfers, and started again.

Before each kill three negotiations, a push and a pull are begun at the consumer, and the kill comes at a random moment after that. The
states in both stores at that moment are printed. After the restart everything that was begun must come to its end: negotiations to
FINALIZED, pushes to COMPLETED, pulls to data that is whole and then to COMPLETED. Then both stores are compared field by field, all
of them, not only what was begun last, and the delivered files with their source.

python -m tests.bench crash --kills 100 [--seed N] [--store postgres]
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.tables import State
from connector.dsp.transfer import Transfer
from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import PURPOSE, Node, participant_id
from tests.bench.processes import ServerError
from tests.bench.stores import Kept, kept
from tests.servers.postgres import running

_DATASET = "data"
_PULL, _PUSH = "HttpData-PULL", "HttpData-PUSH"
_DATA_BYTES = 20_000_000
_NEGOTIATIONS = 3
_LONGEST_PAUSE_S = 0.015
"""Between two beginnings, so that a kill finds each in another state."""
_LONGEST_WAIT_S = 0.06
"""Of the kill after the last beginning."""
_END_WITHIN_S = 90.0
_MUST_HIT = 0.8
_ENOUGH = 50
"""Of fewer kills no share is asked: the dice may fall so."""


@dataclass(slots=True)
class Tally:
    """What went wrong, in words, and how often a kill hit what had not ended."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    hits: int = 0
    kills: int = 0
    by_state: dict[str, int] = field(default_factory=dict)


def run(asked: Asked) -> list[figures.Figure]:
    """What was lost, doubled, or is seen differently by both; how many kills hit something unfinished."""
    kills = asked.of(asked.kills)
    seed = asked.seed if asked.seed is not None else secrets.randbelow(1 << 32)
    asked.tell(f"seed {seed}: the same kills again with --seed {seed}")
    tally = Tally()
    with ExitStack() as stack:
        urls = {}
        if asked.store == "postgres":
            # a database server each: they live on while a node is killed, as they do elsewhere
            urls = {name: stack.enter_context(running(is_durable=True)).url for name in ("provider", "consumer")}
        more = {name: f'[store]\nurl = "{url}"\n' for name, url in urls.items()}
        provider, consumer = (
            stack.enter_context(Node(asked, name, peer, more=more.get(name, "")))
            for name, peer in (("provider", "consumer"), ("consumer", "provider"))
        )
        urls = urls or {node.name: node.store for node in (provider, consumer)}
        _Run(asked, provider, consumer, urls, random.Random(seed), tally).all(kills)
    for kind, found in (("lost", tally.lost), ("double", tally.doubled), ("disagreement", tally.disagreements)):
        for words in found:
            asked.tell(f"{kind}: {words}")
    asked.tell("states at the kills: " + ", ".join(f"{name} {count}" for name, count in sorted(tally.by_state.items())))
    return [
        _count("lost", len(tally.lost), kills),
        _count("doubled", len(tally.doubled), kills),
        _count("seen differently by both sides", len(tally.disagreements), kills),
        figures.plain(
            0,
            "share of kills that hit an unfinished process",
            [tally.hits / max(1, tally.kills)],
            unit="",
            must=_MUST_HIT if tally.kills >= _ENOUGH else None,
            is_larger_better=True,
        ),
    ]


def _count(what: str, number: int, kills: int) -> figures.Figure:
    return figures.plain(0, f"{what}, in {kills} kills", [float(number)], unit="", must=0.0)


class _Run:
    def __init__(
        self, asked: Asked, provider: Node, consumer: Node, stores: Mapping[str, str], dice: random.Random, tally: Tally
    ) -> None:
        self._asked = asked
        self._stores = stores
        self._provider = provider
        self._consumer = consumer
        self._dice = dice
        self._tally = tally
        self._source = asked.folder / "source.bin"
        self._source.write_bytes(dice.randbytes(_DATA_BYTES))
        self._digest = hashlib.sha256(self._source.read_bytes()).hexdigest()
        self._begun: set[str] = set()
        """Pids that the consumer's API has acknowledged."""
        self._read: set[str] = set()
        """Pulls whose data was read and found whole."""

    def all(self, kills: int) -> None:
        self._offer = self._provider.offer(_DATASET, type="file", path=str(self._source))
        agreement = self._first_agreement()
        with ThreadPoolExecutor(8) as threads:
            for number in range(1, kills + 1):
                self._once(number, agreement, threads)

    def _first_agreement(self) -> str:
        pid = self._begin("/negotiations", self._asking())
        assert pid is not None
        self._until(lambda: self._consumer.api("GET", f"/negotiations/{pid}")["state"] == "FINALIZED", "the first agreement")
        return str(self._consumer.api("GET", f"/negotiations/{pid}")["agreement_id"])

    def _asking(self) -> dict[str, Any]:
        peer = participant_id("provider")
        return {"address": self._provider.address, "peer": peer, "dataset": _DATASET, "offer": self._offer, "purpose": PURPOSE}

    def _begin(self, path: str, body: dict[str, Any]) -> str | None:
        """The pid of what was begun; None when nobody acknowledged it."""
        try:
            pid = str(self._consumer.api("POST", path, body)["pid"])
        except (httpx.HTTPError, ServerError):
            return None
        self._begun.add(pid)
        return pid

    # --- one kill

    def _once(self, number: int, agreement: str, threads: ThreadPoolExecutor) -> None:
        victim = self._dice.choice((self._provider, self._consumer))
        wait_s = self._dice.uniform(0.0, _LONGEST_WAIT_S)
        pauses = [self._dice.uniform(0.0, _LONGEST_PAUSE_S) for _ in range(_NEGOTIATIONS + 2)]
        wanted = [("/negotiations", self._asking()) for _ in range(_NEGOTIATIONS)]
        wanted += [("/transfers", {"agreement": agreement, "format": format_}) for format_ in (_PUSH, _PULL)]
        self._dice.shuffle(wanted)
        asked: list[Future[str | None]] = []
        for (path, body), pause_s in zip(wanted, pauses, strict=True):
            asked.append(threads.submit(self._begin, path, body))
            if len(asked) == 1:
                # not before something is on the disk
                asked[0].result()
            time.sleep(pause_s)
        time.sleep(wait_s)
        victim.kill()
        for one in asked:
            one.result()
        open_ = self._states_at_kill()
        self._tally.kills += 1
        self._tally.hits += bool(open_)
        for name in open_:
            self._tally.by_state[name] = self._tally.by_state.get(name, 0) + 1
        began = time.monotonic()
        victim.start()
        self._settle()
        self._compare()
        self._asked.tell(
            f"kill {number}: {victim.name} after {wait_s * 1000:.0f} ms, unfinished: {', '.join(open_) or 'none'};"
            f" whole again after {time.monotonic() - began:.1f} s"
        )

    def _states_at_kill(self) -> list[str]:
        """The states of what had not ended, of both sides."""
        found: list[str] = []
        for node in (self._provider, self._consumer):
            here = asyncio.run(kept(self._stores[node.name]))
            found += [_state(node, p) for p in here.negotiations if not p.is_ended]
            found += [_state(node, p) for p in here.transfers if not p.is_ended]
        return sorted(found)

    def _settle(self) -> None:
        """Wait until all has come to its end; read what is to be pulled, and end that too."""

        def is_settled() -> bool:
            here, there = (asyncio.run(kept(self._stores[node.name])) for node in (self._consumer, self._provider))
            for process in here.transfers:
                if process.format == _PULL and process.state is State.STARTED and process.in_flight is None:
                    self._finish_pull(process.pid)
            return not here.is_busy and not there.is_busy and all(p.is_ended for side in (here, there) for p in side.processes)

        self._until(is_settled, "everything has ended")

    def _finish_pull(self, pid: str) -> None:
        with contextlib.suppress(httpx.HTTPError, ServerError):
            if pid not in self._read:
                data = self._consumer.read(f"/transfers/{pid}/data")
                if hashlib.sha256(data).hexdigest() != self._digest:
                    self._tally.disagreements.append(f"pull {pid} brought other data")
                self._read.add(pid)
            self._consumer.api("POST", f"/transfers/{pid}/complete", {})

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _END_WITHIN_S
        while not is_so():
            if time.monotonic() > end:
                self._tally.lost.append(f"not within {_END_WITHIN_S:.0f} s: {what}")
                return
            time.sleep(0.1)

    # --- both stores

    def _compare(self) -> None:
        here, there = (asyncio.run(kept(self._stores[node.name])) for node in (self._consumer, self._provider))
        tally = Tally()
        compared(here, there, tally)
        known = {process.pid for process in here.processes}
        tally.lost += [f"{pid} was acknowledged and is gone" for pid in self._begun - known]
        for process in here.transfers:
            if process.format == _PUSH and process.state is State.COMPLETED:
                self._check_delivery(process, tally)
        # what is wrong is wrong after each later kill, too: told once
        for name in ("lost", "doubled", "disagreements"):
            told = getattr(self._tally, name)
            told += [words for words in getattr(tally, name) if words not in told]

    def _check_delivery(self, process: Transfer, tally: Tally) -> None:
        if process.pid in self._read:
            return
        path = self._consumer.received(process.pid)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        if not (digest == self._digest == process.digest):
            tally.lost.append(f"push {process.pid}: {digest} lies in the inbox, {process.digest} was noted")
        self._read.add(process.pid)


def _state(node: Node, process: Negotiation | Transfer) -> str:
    kind = "negotiation" if isinstance(process, Negotiation) else process.format
    return f"{node.name} {kind} {process.state or 'unsent'}"


def compared(here: Kept, there: Kept, tally: Tally) -> None:
    """Compare the consumer's store with the provider's, field by field."""
    for ours, theirs in ((here.negotiations, there.negotiations), (here.transfers, there.transfers)):
        by_pid = {process.pid: process for process in theirs}
        _unique([process.peer_pid for process in theirs], "the provider has two processes of consumerPid", tally)
        _unique([process.peer_pid for process in ours], "the consumer has two processes of providerPid", tally)
        for process in ours:
            other = by_pid.pop(process.peer_pid or "", None)
            if other is None:
                tally.lost.append(f"{process.pid} in {process.state} is not with the provider")
                continue
            _same(process.pid, process, other, tally)
        tally.doubled += [f"{pid} of the provider belongs to nothing of the consumer" for pid in by_pid]
    _unique([a.negotiation for a in there.agreements], "two agreements of negotiation", tally)
    theirs_agreed = {agreement.id: agreement for agreement in there.agreements}
    for agreement in here.agreements:
        signed = theirs_agreed.pop(agreement.id, None)
        if signed is None:
            tally.lost.append(f"agreement {agreement.id} is not with the provider")
        elif _terms(agreement) != _terms(signed):
            tally.disagreements.append(f"agreement {agreement.id}: {_terms(agreement)} and {_terms(signed)}")
    tally.doubled += [f"agreement {id_} is with the provider alone" for id_ in theirs_agreed]


def _unique(values: list[str | None], what: str, tally: Tally) -> None:
    seen: set[str] = set()
    for value in values:
        if value is not None and value in seen:
            tally.doubled.append(f"{what} {value}")
        seen.add(value or "")


def _terms(agreement: Agreement) -> tuple[Any, ...]:
    policy = dict(agreement.policy)
    return agreement.dataset, agreement.provider, agreement.consumer, policy, agreement.purpose, agreement.ended_at


def _same(pid: str, ours: Negotiation | Transfer, theirs: Negotiation | Transfer, tally: Tally) -> None:
    fields = ["state", "dataset", "hold", "in_flight", "code", "reasons"]
    if isinstance(ours, Negotiation):
        wanted, more = State.FINALIZED, ["agreement", "agreement_id"]
    else:
        wanted, more = State.COMPLETED, ["agreement_id", "format"]
        if ours.format == _PUSH:
            more += ["moved_bytes", "digest"]
    if theirs.peer_pid != ours.pid:
        tally.disagreements.append(f"{pid}: the provider knows it as {theirs.peer_pid}")
    for name in (*fields, *more):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            tally.disagreements.append(f"{pid}: {name} is {mine!r} with the consumer and {other!r} with the provider")
    if ours.state is not wanted:
        tally.lost.append(f"{pid} ended as {ours.state}: {ours.error or '; '.join(ours.reasons)}")
