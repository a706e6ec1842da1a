"""Run one benchmark, print its figures, and exit with 1 when one misses what it must keep.

python -m tests.bench                       lists the benchmarks
python -m tests.bench message               figures as a table
python -m tests.bench negotiation --json    as JSON
python -m tests.bench pull --small          less of everything: to see that it works, not to quote
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench import figures
from tests.bench.asked import Asked

BENCHES = {
    "crash": "either side killed at random moments: nothing lost, doubled or seen differently",
    "identity": "figure 18: tokens, senders proven cold and warm, replays, bombs, onboarding",
    "message": "figures 1 and 5: an inbound message, and reading one",
    "negotiation": "figures 2, 3 and 24: whole negotiations between two nodes",
    "store": "figure 4: durable transitions of the SQLite store, and postings to the usage ledger",
    "pull": "figures 6, 7, 10, 11, 12 and 25: pulls relayed, beside nginx; memory, control plane and stops while data flows",
    "expiry": "figure 12: an agreement ends after the provider was killed, or while it lies dead",
    "file": "figure 8: a local file served, beside nginx",
    "objects": "figure 9: from one object store to another, beside the bare library",
    "overload": "more load than a node can take, at all its doors: everybody is answered, and it recovers",
    "participants": "figure 14: memory of a thousand participants in one process",
    "policy": "figures 16 and 17: policy decisions, reports, comparisons",
    "replicas": "figure 15: what a killed replica had not sent, on PostgreSQL",
    "catalog": "figures 19 to 23: the ledger of data products; --products N --participants N --search-only",
    "soak": "mixed load for --minutes: memory stays, answers stay as fast",
    "space": "what retention gives back of a file, and how long a writer waits meanwhile",
    "startup": "figure 13: start to ready, idle memory",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:12} {what}" for name, what in BENCHES.items()),
    )
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), help="which benchmark; none lists them")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of both sides (5)")
    parser.add_argument("--figures", metavar="N,N", default="", help="`pull`: only these figures")
    parser.add_argument("--small", action="store_true", help="a tenth of the work: to see that it works, not to quote")
    parser.add_argument("--kills", type=int, default=100, help="`crash`: how often a node is killed (100)")
    parser.add_argument(
        "--store", choices=("sqlite", "postgres"), default="sqlite", help="`crash`, `overload`: where nodes keep their state"
    )
    parser.add_argument("--workers", type=int, default=0, help="`overload`: data workers of the node (0)")
    parser.add_argument("--minutes", type=float, default=10.0, help="`soak`: how long (10)")
    parser.add_argument("--seed", type=int, help="`crash`, `soak`: the dice of an earlier run")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep settings, databases and logs in this folder")
    parser.add_argument(
        "--profile", action="store_true", help="run the nodes under cProfile, results beside their logs (--keep)"
    )
    parser.add_argument("--products", type=int, help="of `catalog` (38,000)")
    parser.add_argument("--participants", type=int, help="of `catalog` (19,000)")
    parser.add_argument("--search-only", action="store_true", help="of `catalog` the queries alone, without a crawl")
    asked = parser.parse_args(arguments)
    if asked.name is None:
        print("\n".join(f"{name:12} {what}" for name, what in BENCHES.items()))
        return 0
    # whoever stops this program stops its servers too: leave through the exit stacks
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="kontor-bench-") as temporary:
        folder: Path = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        bench = importlib.import_module(f"tests.bench.{asked.name}")
        found: list[figures.Figure] = bench.run(
            Asked(
                folder=folder.resolve(),
                rounds=asked.rounds,
                is_small=asked.small,
                is_profiled=asked.profile,
                kills=asked.kills,
                store=asked.store,
                workers=asked.workers,
                minutes=asked.minutes,
                seed=asked.seed,
                figures=frozenset(int(number) for number in asked.figures.split(",") if number),
                products=asked.products,
                participants=asked.participants,
                is_search_only=asked.search_only,
            )
        )
    if asked.json:
        print(figures.as_json(asked.name, found))
    else:
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {asked.rounds} rounds, medians")
        print(figures.table(found))
    return 0 if all(figure.is_met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
