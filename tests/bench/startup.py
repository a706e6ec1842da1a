"""Figure 13: from the start of the process to its first good answer, and resident memory at rest.

The node starts as an operator starts it, on a store that is there already. The baseline is FastAPI with one route on uvicorn.
"""

from __future__ import annotations

import time

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import Node, command
from tests.bench.processes import Server, free_port

_REST_S = 2.0


def run(asked: Asked) -> list[figures.Figure]:
    """Both halves of the figure."""
    ours, baseline = [], []
    node = Node(asked, "node", "peer")
    with node:
        # the first start writes the schema and the compiled modules
        node.offer("data")
    for number in range(-1, asked.rounds):
        ours.append(_started(node))
        port = free_port()
        baseline.append(_started(Server(command("tests.bench.bare", str(port)), port=port, folder=asked.folder, name="bare")))
        asked.tell(
            f"round {number + 1}: {ours[-1][0]:.3f} s, {ours[-1][1]:.1f} MB; bare {baseline[-1][0]:.3f} s, {baseline[-1][1]:.1f} MB"
        )
    del ours[0], baseline[0]  # the round that warmed the disk's cache
    seconds, memory = [value[0] for value in ours], [value[1] for value in ours]
    return [
        figures.ratio(13, "start to ready: wall", seconds, [value[0] for value in baseline], unit="s", must=1.6, ambition=1.3),
        figures.plain(13, "start to ready", seconds, unit="s", must=1.0),
        figures.ratio(13, "idle memory", memory, [value[1] for value in baseline], unit="MB", must=1.5, ambition=1.2),
    ]


def _started(server: Server) -> tuple[float, float]:
    """Seconds until ready, and MB at rest."""
    with server:
        time.sleep(_REST_S)
        server.settle()
        return server.ready_after_s, server.memory_mb()
