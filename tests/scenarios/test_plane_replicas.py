"""A data plane of two nodes on one database, behind one address: any of them is told, whichever moves data obeys, none is missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from connector.api.sources import AssetSource
from connector.api.transfers import TransferStep
from connector.app.listening import free_ports
from connector.cli.nodes import Running, running
from tests.scenarios.balancer import Balancer, balancers
from tests.scenarios.dataplanes import Plane, control, flow_state, knows, sharing
from tests.scenarios.flows import PULL, PUSH, Sink, agreed, opened, read_to_its_end, started, state
from tests.scenarios.replicas import CALLS, LEASE_S, Buyer, Replica, replicas, talks_to, until

CUT_WITHIN_S = 1.0
DATA_BYTES = 256 << 20
"""Five seconds for a receiver of the test, and far more than sockets and buffers hold."""
TAIL = b"the last of it"


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()
    yield found
    found.close()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A control plane, the two nodes of its data plane by their ports, and an agreement."""

    shop: Replica
    nodes: dict[int, Running]
    """By the port of the public listener."""
    signaling: Balancer
    ports: dict[int, int]
    """From the port of the public listener to that of signaling."""
    data: Path
    agreement: str

    def act(self, pid: str, act: str) -> None:
        self.shop.node.client.send(CALLS.act_in_transfer(pid, act, TransferStep()))

    def pusher(self, sink: Sink) -> tuple[int, int]:
        """The node that pushes, and the one that does not."""
        found: list[int] = []

        def is_found() -> bool:
            found[:] = sorted(self.nodes, key=lambda port: not talks_to(self.nodes[port], sink.url))
            return talks_to(self.nodes[found[0]], sink.url)

        until(is_found, "one of them pushes")
        return found[0], found[1]

    def tell_first(self, port: int) -> None:
        """Have the control plane reach this node, as long as it is there."""
        self.signaling.nodes.sort(key=lambda one: one != self.ports[port])


@contextmanager
def scene(tmp_path: Path, buyer: Buyer, database: str) -> Iterator[Scene]:
    (at,) = free_ports(1)
    with balancers(2) as (public, signaling):
        one, two = (
            Plane(
                tmp_path,
                registers_at=at,
                reports_to=at,
                name=name,
                shares=sharing(database, LEASE_S),
                known_at=(public.port, signaling.port),
            )
            for name in ("dp-one", "dp-two")
        )
        with one.data.open("wb") as file:
            file.truncate(DATA_BYTES - len(TAIL))
            file.seek(0, 2)
            file.write(TAIL)
        public.nodes += [one.public, two.public]
        signaling.nodes += [one.port, two.port]
        with (
            replicas(tmp_path, "sqlite:///shop.db", ("shop",), more={"shop": control(at, at)}) as (shop,),
            running([one.node, two.node]) as processes,
        ):
            until(lambda: knows(shop), "both registered as one data plane")
            shop.publish(AssetSource(type="none"))
            until(shop.offers, "what it serves is offered")
            yield Scene(
                shop=shop,
                nodes=dict(zip((one.public, two.public), processes, strict=True)),
                signaling=signaling,
                ports={one.public: one.port, two.public: two.port},
                data=one.data,
                agreement=agreed(shop, buyer),
            )


def test_what_one_node_is_told_stops_what_another_moves(tmp_path: Path, buyer: Buyer, sink: Sink, database: str) -> None:
    with scene(tmp_path, buyer, database) as here, ThreadPoolExecutor(2) as threads:
        pushed, _ = started(here.shop, buyer, here.agreement, PUSH, sink)
        _, other = here.pusher(sink)
        here.tell_first(other)
        here.act(pushed, "suspend")
        took = until(lambda: sink.running == 0, "the push is cut", CUT_WITHIN_S)
        print(f"push cut {took * 1000:.0f} ms after its suspension, told to the other node")
        until(lambda: state(here.shop, pushed) == "SUSPENDED", "the buyer knows")
        here.act(pushed, "resume")
        until(lambda: sink.running == 1, "it is pushed again")
        here.act(pushed, "terminate")
        until(lambda: sink.running == 0, "the push is cut", CUT_WITHIN_S)
        assert (sink.whole, sink.most_running) == (0, 1)

        pulled, start = started(here.shop, buyer, here.agreement, PULL)
        begun = [threading.Event() for _ in here.nodes]
        reading = [
            threads.submit(read_to_its_end, *opened(start, port), event) for port, event in zip(here.nodes, begun, strict=True)
        ]
        for event in begun:
            assert event.wait(10)
        here.act(pulled, "terminate")
        stopped_at = time.monotonic()
        for one in reading:
            cut_at, got = one.result(timeout=20)
            assert got < DATA_BYTES
            print(f"pull cut {1000 * (cut_at - stopped_at):.0f} ms after its termination")
            assert cut_at - stopped_at < CUT_WITHIN_S
        until(lambda: flow_state(here.shop, pulled) == "TERMINATED", "the control plane knows")


def test_a_receiver_that_can_go_on_gets_the_rest_from_the_other_node(tmp_path: Path, buyer: Buyer, database: str) -> None:
    sink = Sink(goes_on=True)
    with closing(sink), scene(tmp_path, buyer, database) as here:
        pushed, _ = started(here.shop, buyer, here.agreement, PUSH, sink)
        pusher, _ = here.pusher(sink)
        until(lambda: sink.here_bytes > DATA_BYTES // 2, "half of it is there", 20)
        here.nodes[pusher].process.kill()
        until(lambda: len(sink.first_bytes) == 2, "the push is taken over")
        until(lambda: state(here.shop, pushed) == "COMPLETED", "all is there, and the control plane is told", 40)
        assert sink.first_bytes[0] == 0
        assert DATA_BYTES // 2 < sink.first_bytes[1] < DATA_BYTES
        assert (sink.here_bytes, sink.whole, sink.most_running) == (DATA_BYTES, 1, 1)


def test_what_a_killed_node_moved_goes_on_at_the_other(tmp_path: Path, buyer: Buyer, sink: Sink, database: str) -> None:
    with scene(tmp_path, buyer, database) as here, ThreadPoolExecutor(1) as threads:
        pushed, _ = started(here.shop, buyer, here.agreement, PUSH, sink)
        pusher, other = here.pusher(sink)
        pulled, start = started(here.shop, buyer, here.agreement, PULL)
        begun = threading.Event()
        reading = threads.submit(read_to_its_end, *opened(start, pusher), begun)
        assert begun.wait(10)
        here.nodes[pusher].process.kill()
        killed_at = time.monotonic()
        _, got = reading.result(timeout=20)
        assert 0 < got < DATA_BYTES

        # the reader goes on where it was, with the same token
        url, headers = opened(start, other)
        with httpx.stream("GET", url, headers={**headers, "range": f"bytes={got}-"}, trust_env=False, timeout=20) as answer:
            assert answer.status_code == 206
            rest, last = 0, b""
            for piece in answer.iter_raw(1 << 20):
                rest, last = rest + len(piece), (last + piece)[-len(TAIL) :]
        assert (got + rest, last) == (DATA_BYTES, TAIL)

        # the next attempt has less to do
        (here.data.parent / "small").write_bytes(TAIL)
        (here.data.parent / "small").replace(here.data)
        until(lambda: sink.begun == 2, "the push is taken over")
        took = sink.begun_at[1] - killed_at
        print(f"push of the killed node taken over {took:.2f} s after its end, lease {LEASE_S:.0f} s")
        assert took < LEASE_S + 2
        until(lambda: state(here.shop, pushed) == "COMPLETED", "all is there, and the control plane is told", 40)
        assert (sink.whole, sink.most_running) == (1, 1)

        # the control plane is heard by who is left
        here.act(pulled, "terminate")
        until(lambda: flow_state(here.shop, pulled) == "TERMINATED", "its flow has ended")
        assert httpx.get(url, headers=headers, trust_env=False).status_code in (401, 403, 404)
