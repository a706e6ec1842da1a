"""Figure 19: a catalogue answer of 1,000 datasets over the protocol, beside writing the same document as JSON.

Three times: with offers that everybody sees; with an access policy that hides them from strangers, asked anew for each caller; and with
that policy a page of another length each time, which nobody has asked for before. CPU is that of the node; the same document is written
by orjson in this process. Asked with its entity tag, a page that has not changed is answered 304, beside an echo of FastAPI.
"""

from __future__ import annotations

import time
from typing import Any, Final

import httpx
import orjson

from connector.dsp import messages as m
from connector.dsp import wire
from tests.bench import figures
from tests.bench.asked import Asked
from tests.bench.nodes import PERMISSION, POLICY, TERMS, Echo, Node, token

_PEER: Final = "peer"
_ACCESS: Final = "members"
_DATASETS: Final = 1_000


def run(asked: Asked) -> list[figures.Figure]:
    """What an answer costs, kept, judged and made anew, and what 304 costs."""
    with Node(asked, "shelf", _PEER) as node:
        _fill(node)
        found = [*_answers(asked, node, "seen by everybody"), *_unchanged(asked, node, "seen by everybody")]
        _define(node, _ACCESS)
        found += [*_answers(asked, node, "judged for its caller"), *_unchanged(asked, node, "judged for its caller")]
        return found + _answers(asked, node, "judged, and made anew", is_new=True)


def _fill(node: Node) -> None:
    node.api("PUT", f"/policies/{POLICY}", {"id": POLICY, "policy": TERMS})
    # who sees an offer is judged before anybody says what for
    members = {"action": "use", "constraint": [PERMISSION["constraint"][0]]}
    node.api("PUT", f"/policies/{_ACCESS}", {"id": _ACCESS, "policy": {"permission": [members]}})
    for number in range(_DATASETS):
        asset: dict[str, Any] = {"id": f"urn:bench:{number}", "title": f"Dataset {number}", "keywords": ["bench", str(number)]}
        node.api("POST", "/assets", {**asset, "source": {"type": "none"}, "formats": ["HttpData-PULL"]})
    _define(node, None)


def _define(node: Node, access: str | None) -> None:
    definition = {"id": "all", "assets": ["*"], "policy": POLICY, "access_policy": access, "offer_id": "{dataset}:offer"}
    node.api("PUT", "/contract-definitions/all", definition)


def _answers(asked: Asked, node: Node, name: str, *, is_new: bool = False) -> list[figures.Figure]:
    headers = {"authorization": token(_PEER, node.name), "content-type": "application/json"}
    times = 10 if asked.is_small else 30
    ours: list[float] = []
    bare: list[float] = []
    wall: list[float] = []
    with httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
        url, size = f"{node.address}/catalog/request", _DATASETS
        tree = orjson.loads(client.post(url, content=_request(size)).raise_for_status().content)
        assert len(tree["dataset"]) == _DATASETS
        for _ in range(asked.rounds):
            begun = time.process_time()
            for _ in range(times):
                orjson.dumps(tree)
            bare.append((time.process_time() - begun) / times * 1000)
            before = node.cpu_s()
            for _ in range(times):
                size -= is_new
                begin = time.perf_counter()
                client.post(url, content=_request(size))
                wall.append((time.perf_counter() - begin) * 1000)
            ours.append((node.cpu_s() - before) / times * 1000)
    what = f"catalogue of {_DATASETS:,} datasets, {name}"
    return [
        figures.ratio(19, f"{what}: CPU", ours, bare, unit="ms", must=5.0),
        figures.plain(19, f"{what}: wall", wall, unit="ms", must=15.0),
    ]


def _request(size: int) -> bytes:
    """A request for so many datasets in one page."""
    return wire.encode(m.CatalogRequestMessage(filter=({"@type": "QuerySpec", "limit": size},)))


def _unchanged(asked: Asked, node: Node, name: str) -> list[figures.Figure]:
    headers = {"authorization": token(_PEER, node.name)}
    times = 100 if asked.is_small else 300
    ours: list[float] = []
    bare: list[float] = []
    with Echo(asked) as echo, httpx.Client(timeout=60, trust_env=False, headers=headers) as client:
        url = f"{node.address}/catalog/request"
        tag = client.get(url).headers["etag"]
        for _ in range(asked.rounds):
            before = echo.cpu_s()
            for _ in range(times):
                client.post(f"http://127.0.0.1:{echo.port}/echo", content=wire.encode(m.CatalogRequestMessage()))
            bare.append((echo.cpu_s() - before) / times * 1e6)
            before = node.cpu_s()
            for _ in range(times):
                assert client.get(url, headers={"if-none-match": tag}).status_code == 304
            ours.append((node.cpu_s() - before) / times * 1e6)
    return [figures.ratio(19, f"the same, {name}, unchanged: 304 beside an echo, CPU", ours, bare, unit="us", ambition=1.2)]
