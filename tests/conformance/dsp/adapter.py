"""The two addresses at which the kit tells the connector under test to begin something as a consumer.

The kit posts plain JSON of its own making; each call becomes one call of the operator API. Nothing is decided here.

Source: Dataspace Protocol Technology Compatibility Kit 1.0.0-RC6, "connector under test" properties `*.initiate.url`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.conformance.dsp import setup
from tests.conformance.nodes import Node, NodeError

_SPELLED = {"/negotiations": setup.negotiation, "/transfers": setup.transfer}


@contextlib.contextmanager
def serving(node: Node) -> Iterator[str]:
    """The address of a running adapter in front of `node`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            try:
                node.ask("POST", self.path, _SPELLED[self.path](asked))
                status = 200
            except (KeyError, NodeError) as error:
                print(f"adapter: {self.path} {asked}: {error}", flush=True)
                status = 502
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the node logs what it was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
