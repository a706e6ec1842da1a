"""The process that holds the triples: what it is asked comes line by line, and whoever asked ends it when it takes too long.

    python -m connector.federation.sparql_child FOLDER MOST_MEMORY_BYTES

One line in, one line out, JSON each: {"put": [[GRAPH, N-TRIPLES], ...], "gone": [GRAPH, ...]} or {"query": TEXT, "most": BYTES}.
A question can be put in few words that takes the engine hours; a process can be ended, a thread cannot.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, cast

_STACK_BYTES: Final = 16 << 20


def main(folder: str, most_memory: int) -> None:
    """Answer until the input ends."""
    import resource

    from pyoxigraph import NamedNode, QueryResultsFormat, QueryTriples, RdfFormat, Store, serialize

    # the engine has threads for each processor, whose stacks count whether they are used or not
    most = most_memory + (os.cpu_count() or 1) * _STACK_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with suppress(OSError):
        # where memory runs out all the same, this process goes and not the node
        Path("/proc/self/oom_score_adj").write_text("1000")
    store = Store(folder)

    def put(asked: dict[str, Any]) -> dict[str, Any]:
        for graph in [*asked["gone"], *(graph for graph, _ in asked["put"])]:
            store.remove_graph(NamedNode(graph))
        for graph, text in asked["put"]:
            try:
                store.load(text, format=RdfFormat.N_TRIPLES, to_graph=NamedNode(graph))
            except (SyntaxError, ValueError):
                # one product that cannot be told in triples keeps nobody from the others
                store.remove_graph(NamedNode(graph))
        return {"ok": True}

    def query(asked: dict[str, Any]) -> dict[str, Any]:
        found = store.query(asked["query"], use_default_graph_as_union=True)
        out = _Bounded(asked["most"])
        if isinstance(found, QueryTriples):
            serialize(found, output=cast(IO[bytes], out), format=RdfFormat.N_TRIPLES)
            return {"type": "application/n-triples", "body": out.text()}
        found.serialize(output=cast(IO[bytes], out), format=QueryResultsFormat.JSON)
        return {"type": "application/sparql-results+json", "body": out.text()}

    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = query(asked) if "query" in asked else put(asked)
        except TooMuchError:
            answer = {"fault": "the answer is too large", "kind": "large"}
        except (SyntaxError, ValueError, OSError, RuntimeError) as fault:
            answer = {"fault": str(fault)[:500], "kind": "query"}
        print(json.dumps(answer), flush=True)


class TooMuchError(Exception):
    """An answer beyond its bound."""


class _Bounded(io.RawIOBase):
    """Takes so many bytes and no more."""

    def __init__(self, most: int) -> None:
        self._parts: list[bytes] = []
        self._left = most

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._left -= len(piece)
        if self._left < 0:
            raise TooMuchError
        self._parts.append(piece)
        return len(piece)

    def text(self) -> str:
        return b"".join(self._parts).decode()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
