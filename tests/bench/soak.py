"""Soak: two nodes under mixed load for as long as asked; does memory stay, and does the last third answer as fast as the first?

Several workers go round at the consumer: negotiate until FINALIZED, pull the data under the agreement and read it whole, complete the
transfer, have data pushed, read the catalogue, list processes. What is timed is the negotiation, from asking to FINALIZED. Memory is
resident memory of each node, looked at every second; its growth is the slope of a straight line (least squares) through the minimum
of each ten seconds after the warm-up, a fifth of the time.

python -m tests.bench soak --minutes 10
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import PURPOSE, Node, participant_id
from tests.bench.processes import ServerError

_WORKERS: Final = 4
_WARM_UP: Final = 0.2
"""Of the whole time."""
_LOOK_S: Final = 1.0
_WINDOW: Final = 10
"""Looks of which the least counts: what is freed between two collections is no growth."""
_WITHIN_S: Final = 60.0
_DATA_BYTES: Final = 200_000


def run(asked: Asked) -> list[figures.Figure]:
    """Growth of memory of either node, p99 of the last third against the first, and what failed."""
    seed = asked.seed if asked.seed is not None else secrets.randbelow(1 << 32)
    asked.tell(f"seed {seed}")
    provider, consumer = Node(asked, "provider", "consumer"), Node(asked, "consumer", "provider")
    with provider, consumer:
        load = _Load(asked, provider, consumer)
        load.go(asked.minutes * 60 / (10 if asked.is_small else 1), seed)
        first, last = load.thirds()
        asked.tell(f"{len(load.took)} rounds; p50 {figures.percentile([t for _, t in load.took], 50) * 1000:.0f} ms")
        for name, looks in load.memory.items():
            asked.tell(
                f"{name}: " + ", ".join(f"{mb:.0f}" for _, mb in looks[:: round(30 / _LOOK_S)]) + " MB, every half minute"
            )
        for words in load.faults[:20]:
            asked.tell(f"failed: {words}")
        return [
            figures.plain(0, f"{node.name}: growth of memory", [load.growth(node.name)], unit="MB/min", must=1.0)
            for node in (provider, consumer)
        ] + [
            figures.ratio(
                0, "p99 of a negotiation, last third against first", [last * 1000], [first * 1000], unit="ms", must=1.5
            ),
            figures.plain(0, "rounds that failed", [float(len(load.faults))], unit="", must=0.0),
        ]


class _Load:
    def __init__(self, asked: Asked, provider: Node, consumer: Node) -> None:
        self._provider = provider
        self._consumer = consumer
        source = asked.folder / "soak.bin"
        source.write_bytes(secrets.token_bytes(_DATA_BYTES))
        self._data = source.read_bytes()
        self._offer = provider.offer("data", type="file", path=str(source))
        self.took: list[tuple[float, float]] = []
        """When a negotiation began, and how long it took; seconds."""
        self.faults: list[str] = []
        self.memory: dict[str, list[tuple[float, float]]] = {"provider": [], "consumer": []}
        self._duration_s = 0.0

    def go(self, duration_s: float, seed: int) -> None:
        self._duration_s = duration_s
        self._began = time.monotonic()
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        try:
            with ThreadPoolExecutor(_WORKERS) as threads:
                for done in [threads.submit(self._work, random.Random(seed + n)) for n in range(_WORKERS)]:
                    done.result()
        finally:
            over.set()
            watcher.join()

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._began

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_S):
            for node in (self._provider, self._consumer):
                self.memory[node.name].append((self._now_s, node.memory_mb()))

    def _work(self, dice: random.Random) -> None:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self._consumer.port}{self._consumer.path('')}/",
            headers={"X-Api-Key": self._consumer.key},
            timeout=_WITHIN_S,
            trust_env=False,
        ) as http:
            while self._now_s < self._duration_s:
                try:
                    self._round(http, dice)
                except (httpx.HTTPError, ServerError, TimeoutError) as fault:
                    self.faults.append(f"{type(fault).__name__}: {fault}")

    def _round(self, http: httpx.Client, dice: random.Random) -> None:
        began = self._now_s
        pid = self._posted(http, "negotiations", self._asking())["pid"]
        agreed = self._until(http, f"negotiations/{pid}", "FINALIZED")
        self.took.append((began, self._now_s - began))
        agreement = agreed["agreement_id"]
        match dice.randrange(4):
            case 0 | 1:
                pid = self._posted(http, "transfers", {"agreement": agreement, "format": "HttpData-PULL"})["pid"]
                self._until(http, f"transfers/{pid}", "STARTED")
                if self._checked(http.get(f"transfers/{pid}/data")).content != self._data:
                    raise ServerError(f"pull {pid} brought other data")
                self._posted(http, f"transfers/{pid}/complete", {})
                self._until(http, f"transfers/{pid}", "COMPLETED")
            case 2:
                pid = self._posted(http, "transfers", {"agreement": agreement, "format": "HttpData-PUSH"})["pid"]
                self._until(http, f"transfers/{pid}", "COMPLETED")
            case _:
                peer = {"address": self._provider.address, "peer": participant_id("provider")}
                self._posted(http, "catalog/request", peer)
        self._checked(http.get("negotiations", params={"limit": 20}))

    def _asking(self) -> dict[str, Any]:
        peer = participant_id("provider")
        return {"address": self._provider.address, "peer": peer, "dataset": "data", "offer": self._offer, "purpose": PURPOSE}

    def _posted(self, http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._checked(http.post(path, json=body))
        found: dict[str, Any] = answer.json()
        return found

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise ServerError(
                f"{answer.request.method} {answer.request.url.path} was answered {answer.status_code}: {answer.text[:300]}"
            )
        return answer

    def _until(self, http: httpx.Client, path: str, state: str) -> dict[str, Any]:
        end = time.monotonic() + _WITHIN_S
        while True:
            found: dict[str, Any] = self._checked(http.get(path)).json()
            if found["state"] == state:
                return found
            if found["state"] == "TERMINATED" or time.monotonic() > end:
                raise TimeoutError(f"{path} is {found['state']} and not {state}: {found.get('error') or found.get('reasons')}")
            time.sleep(0.01)

    # --- what it shows

    def thirds(self) -> tuple[float, float]:
        """p99 of the first and of the last third after the warm-up, in seconds."""
        begin = self._duration_s * _WARM_UP
        third = (self._duration_s - begin) / 3
        first = [took for at, took in self.took if begin <= at < begin + third]
        last = [took for at, took in self.took if at >= begin + 2 * third]
        if not first or not last:
            raise ServerError("too few rounds to compare; run for longer")
        return figures.percentile(first, 99), figures.percentile(last, 99)

    def growth(self, name: str) -> float:
        """MB a minute after the warm-up."""
        looks = [(at, mb) for at, mb in self.memory[name] if at >= self._duration_s * _WARM_UP]
        points = [
            (looks[n][0] / 60, min(mb for _, mb in looks[n : n + _WINDOW])) for n in range(0, len(looks) - _WINDOW + 1, _WINDOW)
        ]
        if len(points) < 2:
            raise ServerError("too few looks at the memory; run for longer")
        middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
        above = sum((x - middle_x) * (y - middle_y) for x, y in points)
        return above / sum((x - middle_x) ** 2 for x, _ in points)
