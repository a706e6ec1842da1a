"""Transfers between two nodes of a benchmark, agreed by public features alone: where their data is, and what opens it."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.nodes import PURPOSE, Node, participant_id
from tests.bench.processes import ServerError
from tests.bench.reading import Readable

WITHIN_S = 20.0


def sparse(folder: Path, size: int) -> dict[str, object]:
    """A source of `size` zero bytes in a file without blocks: the disk is not what is measured."""
    path = folder / f"{size}.bin"
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
    return {"type": "file", "path": str(path)}


def agreement(
    provider: Node, consumer: Node, dataset: str, source: dict[str, object], *, ends_at: datetime | None = None
) -> str:
    """The id of an agreement on `source`, published as `dataset`; it lasts until `ends_at` where that is given."""
    offer = provider.offer(dataset, ends_at=ends_at, **source)
    wish = {
        "address": provider.address,
        "peer": participant_id(provider.name),
        "dataset": dataset,
        "offer": offer,
        "purpose": PURPOSE,
    }
    pid = consumer.api("POST", "/negotiations", wish)["pid"]
    return str(until(consumer, f"/negotiations/{pid}", "FINALIZED")["agreement_id"])


def opened(provider: Node, consumer: Node, dataset: str, source: dict[str, object], *, ends_at: datetime | None = None) -> str:
    """The pid of a pull at the consumer whose data may be fetched, under an agreement of its own."""
    wanted = {"agreement": agreement(provider, consumer, dataset, source, ends_at=ends_at), "format": "HttpData-PULL"}
    pid = str(consumer.api("POST", "/transfers", wanted)["pid"])
    until(consumer, f"/transfers/{pid}", "STARTED")
    return pid


def address(consumer: Node, pid: str) -> Readable:
    """Where the provider serves the data of a pull."""
    found = consumer.api("GET", f"/transfers/{pid}/data-address")
    return Readable(url=found["endpoint"], header=f"Authorization: Bearer {found['properties']['authorization']}")


def collected(consumer: Node, pid: str) -> Readable:
    """Where the consumer's own people read the same data."""
    url = f"http://127.0.0.1:{consumer.port}{consumer.path(f'/transfers/{pid}/data')}"
    return Readable(url=url, header=f"X-Api-Key: {consumer.key}")


def until(node: Node, path: str, state: str, within_s: float = WITHIN_S) -> dict[str, Any]:
    """What `path` shows once it has come to `state`.

    Raises: ServerError when it does not in time.
    """
    until = time.monotonic() + within_s
    while True:
        found: dict[str, Any] = node.api("GET", path)
        if found["state"] == state:
            return found
        if time.monotonic() > until:
            raise ServerError(f"{path} did not reach {state}: {json.dumps(found)[:800]}")
        time.sleep(0.02)
