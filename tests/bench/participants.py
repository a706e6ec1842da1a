"""Figure 14: memory of a thousand participants in one process, each of which has published something and been asked for it.

The node grows from one participant to all of them by its operator API, while it runs. Each has a policy, an asset and a contract
definition; then a peer that knows none of them asks each for its version document, and its own operator for its catalogue, so that
whatever is kept for a participant is there. Memory is resident memory at rest.
"""

from __future__ import annotations

from typing import Any

import httpx

from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import POLICY, TERMS, Node, participant_id
from tests.bench.processes import ServerError

_PARTICIPANTS = 1000
_WARM = 20
"""Participants that load what is loaded late, before memory is looked at."""


def run(asked: Asked) -> list[figures.Figure]:
    """The figure."""
    count = asked.of(_PARTICIPANTS)
    with Node(asked, "node", "peer") as node, httpx.Client(timeout=60, trust_env=False) as http:
        _host(node, http, [f"warm-{number}" for number in range(_WARM)])
        node.settle()
        before = node.memory_mb()
        names = [f"member-{number}" for number in range(count)]
        _host(node, http, names)
        node.settle()
        after = node.memory_mb()
        asked.tell(f"{before:.1f} MB with {1 + _WARM}, {after:.1f} MB with {count} more")
    each = (after - before) * 1024 / count
    return [
        figures.plain(14, f"memory of each of {count:,} participants", [each], unit="kB", must=100, ambition=30),
        figures.plain(14, "the whole process", [after], unit="MB"),
    ]


def _host(node: Node, http: httpx.Client, names: list[str]) -> None:
    api = f"http://127.0.0.1:{node.port}/api/v1/participants"
    public = f"http://127.0.0.1:{node.public_port}"

    def ask(method: str, url: str, body: Any = None) -> bytes:
        answer = http.request(method, url, json=body, headers={"X-Api-Key": node.key} if url.startswith(api) else {})
        if answer.is_error:
            raise ServerError(f"{method} {url} was answered {answer.status_code}: {answer.text[:800]}")
        return answer.content

    for name in names:
        ask("POST", api, {"name": name, "id": participant_id(name), "title": f"Member {name}"})
        ask("PUT", f"{api}/{name}/policies/{POLICY}", {"id": POLICY, "policy": TERMS})
        asset = {"id": "data", "title": "Data", "source": {"type": "none"}, "formats": ["HttpData-PULL"]}
        ask("POST", f"{api}/{name}/assets", asset)
        definition = {"id": "data", "assets": ["data"], "policy": POLICY}
        ask("POST", f"{api}/{name}/contract-definitions", definition)
    for name in names:
        ask("GET", f"{public}/{name}/.well-known/dspace-version")
        if b"data" not in ask("GET", f"{api}/{name}/catalog"):
            raise ServerError(f"the catalogue of `{name}` has not what was published")
