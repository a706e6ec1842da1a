"""Figure 8: a local file served, CPU for each GB, beside nginx that reads and writes it (sendfile off) and nginx that does not.

Each request of ours is authorised. The file is sparse and in the page cache: what is measured is the way from there to the socket.
"""

from __future__ import annotations

import contextlib

from tests.bench import agreed, figures, nginx
from tests.bench.asked import Asked
from tests.bench.nodes import Node
from tests.bench.reading import Readable
from tests.bench.relay import Way, one_stream, turns

_BYTES = 1_000_000_000


def run(asked: Asked) -> list[figures.Figure]:
    """The figure."""
    size = asked.of(_BYTES)
    source = agreed.sparse(asked.folder, size)
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(nginx.files(asked, asked.folder))
        provider = stack.enter_context(Node(asked, "provider", "consumer"))
        with Node(asked, "consumer", "provider") as consumer:
            ours = Way(server=provider, at=agreed.address(consumer, agreed.opened(provider, consumer, "file", source)))
        off, on = (
            Way(server=files, at=Readable(url=f"http://127.0.0.1:{files.port}/{word}/{size}.bin")) for word in ("off", "on")
        )
        found: dict[Way, list[tuple[float, float]]] = {way: [] for way in (ours, off, on)}
        turns(asked, found, one_stream)
    cpu, wall = ({way: [value[n] for value in values] for way, values in found.items()} for n in (0, 1))
    return [
        figures.ratio(
            8, "local file served, CPU; nginx, sendfile off", cpu[ours], cpu[off], unit="s/GB", must=1.0, ambition=0.5
        ),
        figures.ratio(8, "the same; nginx, sendfile on", cpu[ours], cpu[on], unit="s/GB"),
        figures.ratio(
            8, "local file served, one stream, wall; nginx, sendfile off", wall[ours], wall[off],
            unit="MB/s", is_larger_better=True,
        ),
    ]  # fmt: skip
