"""Figure 9: from one object store to another through a node (`S3-PUSH`), CPU for each GB, beside the bare library (obstore).

Both read the object and put it elsewhere in parts of 8 MiB; ours is a transfer that was negotiated, with a digest known from
publishing. The store is SeaweedFS in a process of its own that is not counted.
"""

from __future__ import annotations

import contextlib
import time

import httpx

from tests.bench import agreed, copying, figures
from tests.bench.asked import Asked
from tests.bench.nodes import Node, command
from tests.bench.processes import Server, ServerError, free_port
from tests.servers import s3

_BYTES = 1_000_000_000
_GB = 1_000_000_000
_WITHIN_S = 300.0


def run(asked: Asked) -> list[figures.Figure]:
    """The figure."""
    size = asked.of(_BYTES)
    ours, baseline = [], []
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(s3.running())
        endpoint, key, secret = s3.keys_in(url)
        _fill(url, size)
        port = free_port()
        bare = stack.enter_context(
            Server(command("tests.bench.copying", str(port), url), port=port, folder=asked.folder, name="bare")
        )
        more = f'[data]\nallowed_object_endpoints = ["{endpoint}"]\n'
        provider = stack.enter_context(Node(asked, "provider", "consumer", more=more))
        consumer = stack.enter_context(Node(asked, "consumer", "provider"))
        provider.api("PUT", "/secrets/store", {"value": f"{key}:{secret}"})
        source = {"type": "s3", "endpoint": endpoint, "bucket": copying.BUCKET, "key": "source", "secret": "store"}
        agreement = agreed.agreement(provider, consumer, "object", source)
        sink = {"bucketName": copying.BUCKET, "accessKeyId": key, "secretAccessKey": secret}
        for number in range(-1, asked.rounds):
            copied = _copied(bare, port, f"bare-{number}") * _GB / size
            wish = {
                "agreement": agreement,
                "format": "S3-PUSH",
                "destination": {
                    "endpoint_type": "AmazonS3", "endpoint": endpoint, "properties": sink | {"keyName": f"ours-{number}"},
                },
            }  # fmt: skip
            pushed = _pushed(provider, consumer, wish) * _GB / size
            if number >= 0:
                ours.append(pushed)
                baseline.append(copied)
            asked.tell(f"round {number + 1}: {pushed:.2f} s/GB, bare {copied:.2f} s/GB")
    return [figures.ratio(9, "S3 to S3 copy-through, CPU; bare obstore", ours, baseline, unit="s/GB", must=1.15, ambition=1.05)]


def _fill(url: str, size: int) -> None:
    import obstore

    piece = bytes(range(256)) * 4096
    obstore.put(
        copying.store(url), "source", (piece[: min(len(piece), size - at)] for at in range(0, size, len(piece))),
        use_multipart=True, chunk_size=copying.PART_BYTES,
    )  # fmt: skip


def _copied(bare: Server, port: int, target: str) -> float:
    """CPU seconds."""
    bare.settle()
    before = bare.cpu_s()
    httpx.get(f"http://127.0.0.1:{port}/source/{target}", timeout=_WITHIN_S, trust_env=False).raise_for_status()
    return bare.cpu_s() - before


def _pushed(provider: Node, consumer: Node, wish: dict[str, object]) -> float:
    """CPU seconds of the provider, from the request for the transfer to its end."""
    provider.settle()
    before = provider.cpu_s()
    pid = consumer.api("POST", "/transfers", wish)["pid"]
    until = time.monotonic() + _WITHIN_S
    while (found := consumer.api("GET", f"/transfers/{pid}"))["state"] != "COMPLETED":
        if found["state"] == "TERMINATED" or time.monotonic() > until:
            raise ServerError(f"the push came to nothing: {found}\n{provider.log_tail()}")
        time.sleep(0.05)
    return provider.cpu_s() - before
