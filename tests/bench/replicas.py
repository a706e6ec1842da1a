"""Figure 15: two replicas on one PostgreSQL database, one killed (SIGKILL) with unsent messages; when has the other sent them all?

The peer takes messages and does not answer until the kill, so that nothing is settled before. The server is durable, as an
operator's is. A message that was under way at the kill is sent again under its own id: repeated, harmless, and counted.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.processes import ServerError
from tests.scenarios.replicas import Buyer, Replica, replicas, until
from tests.servers.postgres import running

_UNSENT = 500
_LEASE_S = 5.0
_AGREEMENT = "ContractAgreementMessage"


def run(asked: Asked) -> list[figures.Figure]:
    """The figure, and what became of the messages."""
    late, lost, repeated = [], [], []
    count = asked.of(_UNSENT)
    for number in range(asked.rounds):
        folder = asked.folder / f"round-{number}"
        folder.mkdir()
        took, missing, twice = _round(folder, count)
        late.append(took - _LEASE_S)
        lost.append(missing)
        repeated.append(twice)
        asked.tell(f"round {number + 1}: all {count} sent {took:.2f} s after the kill, lease {_LEASE_S:.0f} s")
    return [
        figures.plain(15, f"{count} unsent messages sent by the other, after the lease", late, unit="s", must=2.0),
        figures.plain(15, "messages lost", lost, unit="messages", must=0.0),
        figures.plain(15, "messages sent twice", repeated, unit="messages"),
    ]


def _round(folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds from the kill until all were sent; messages lost, and sent twice."""
    with contextlib.ExitStack() as stack:
        buyer = stack.enter_context(contextlib.closing(Buyer()))
        server = stack.enter_context(running(is_durable=True))
        one, two = stack.enter_context(replicas(folder, server.url, ("one", "two"), lease_s=_LEASE_S))
        one.publish()
        until(two.offers, "both replicas offer the dataset")
        pids = _unsent(one, buyer, count)
        one.kill()
        killed, tried = time.monotonic(), len(buyer.received)
        buyer.is_open.set()
        with contextlib.suppress(AssertionError):
            until(lambda: pids <= set(buyer.got(_AGREEMENT)[tried:]), "all are sent", 4 * _LEASE_S)
        took = time.monotonic() - killed
        sent = buyer.got(_AGREEMENT)
        return took, float(len(pids - set(sent[tried:]))), float(len(sent) - len(set(sent)))


def _unsent(replica: Replica, buyer: Buyer, count: int) -> set[str]:
    """The consumerPids of so many negotiations whose agreement message `replica` owes to a peer that does not answer."""
    buyer.is_open.clear()
    pids = {f"urn:c:{secrets.token_hex(8)}" for _ in range(count)}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda pid: replica.ask(buyer, pid), pids))
    if any(answer.status_code != 201 for answer in answers):
        raise ServerError("a contract request was refused")
    return pids
