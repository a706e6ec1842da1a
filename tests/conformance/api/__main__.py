"""Run Schemathesis on the operator API of a node that has something to show: `python -m tests.conformance.api [--seconds N] [--seed N]`.

Two nodes are started; one has published data and agreed with the other. What the tool makes of the API's own description, lawful and
unlawful, must be answered as the description says, and never by an error of ours. Everything is asked of the participant that there
is. An answer of 502 is one of a peer, and of the description: the peers that the tool invents do not exist. A stream of events has
no end and is left out; so is the check for methods that an address does not have: `transfers/{pid}/data` lies below `{pid}/{act}`.
The exit code is the tool's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.asked import Asked
from tests.bench.nodes import PARTICIPANT, PURPOSE, Node, participant_id

_CONFIG = """\
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "502"]

[parameters]
"path.participant" = "PARTICIPANT"
"""
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
)


def prepared(provider: Node, consumer: Node, folder: Path) -> None:
    """Put something of each kind into the provider's node."""
    file = folder / "data.csv"
    file.write_text("a,b\n1,2\n")
    offer = provider.offer("urn:kontor:api:data", type="file", path=str(file))
    wanted: dict[str, Any] = {
        "address": provider.address, "peer": participant_id("provider"), "dataset": "urn:kontor:api:data", "offer": offer,
        "purpose": PURPOSE,
    }  # fmt: skip
    consumer.api("POST", "/negotiations", wanted)
    provider.api("PUT", "/secrets/word", {"value": "hush"})


def run(provider: Node, folder: Path, seconds: int, seed: int | None) -> int:
    """The tool's exit code."""
    config = folder / "schemathesis.toml"
    config.write_text(_CONFIG.replace("PARTICIPANT", PARTICIPANT))
    url = f"http://127.0.0.1:{provider.port}"
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run", f"{url}/api/v1/openapi.json",
        "--url", url, "--header", f"X-Api-Key: {provider.key}", "--checks", ",".join(_CHECKS),
        "--max-time", str(seconds), "--request-timeout", "40", "--exclude-path-regex", "/events/stream$", "--no-color",
        "--continue-on-failure", "--warnings", "off",
    ]  # fmt: skip
    if seed is not None:
        command += ["--seed", str(seed)]
    return subprocess.run(command, check=False, cwd=folder).returncode


def main() -> int:
    """Start the nodes, run the tool, stop the nodes."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.api")
    parser.add_argument("--seconds", type=int, default=60, help="how long the tool may go on finding things")
    parser.add_argument("--seed", type=int, help="repeat an earlier run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kontor-api-") as name:
        folder = Path(name)
        asked = Asked(folder=folder)
        with Node(asked, "provider", "consumer") as provider, Node(asked, "consumer", "provider") as consumer:
            prepared(provider, consumer, folder)
            code = run(provider, folder, given.seconds, given.seed)
            if code:
                print(provider.log_tail(40), file=sys.stderr)
            return code


if __name__ == "__main__":
    sys.exit(main())
