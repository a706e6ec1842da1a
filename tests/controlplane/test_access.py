"""Who may read the data of a transfer is found out anew with each request, however little of it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from connector.controlplane.shelving import ASSET
from connector.errors import Forbidden, NotFound
from connector.ports.dataplane import Source
from connector.ports.identity import STANDING
from tests.controlplane.scene import BOB, DATASET, Node, members_only
from tests.controlplane.test_usage import pulling


async def test_what_was_gathered_for_a_pull_is_gathered_again_when_any_of_it_has_changed(node: Node) -> None:
    transfer = await pulling(node, members_only())

    async def source() -> Source:
        return (await node.access.may_pull("alice", transfer.pid, "token-1")).source

    async def change(**where: str) -> None:
        body = {"id": DATASET, "title": "d", "source": where, "digest": "0" * 64, "byte_size": 1}
        await node.offerings.put("alice", ASSET, DATASET, body)

    first = await source()
    assert await source() is first
    await change(type="file", path="/new")
    assert (await source()).path == "/new"
    # what a secret opens is opened each time
    await node.secrets.put("alice", "key", "one")
    await change(type="http", url="https://up.example/d", secret="key")
    for value in ("one", "one", "two"):
        await node.secrets.put("alice", "key", value)
        assert list((await source()).headers.values()) == [value]  # type: ignore[union-attr]
    await change(type="file", path="/back")
    assert [(await source()).path for _ in range(2)] == ["/back", "/back"]
    # another node does this, and within a second everybody knows
    await node.store.delete_document("alice", ASSET, DATASET)
    await node.pass_time(seconds=1)
    with pytest.raises(NotFound):
        await source()


async def test_what_is_attested_of_the_peer_is_looked_at_with_each_pull(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer = await pulling(node, members_only())
    found: list[Mapping[str, Any]] = [BOB.claims]

    class Told:
        async def claims_of(self, participant: str, peer: str) -> Mapping[str, Any]:
            return found[0]

    monkeypatch.setattr(node.access, "_tokens", Told())
    for claims, is_served in (
        (BOB.claims, True),
        (BOB.claims, True),
        ({**BOB.claims, STANDING: "SUSPENDED"}, False),
        (dict(BOB.claims), True),
        ({}, False),
        (BOB.claims, True),
    ):
        found[0] = claims
        if is_served:
            await node.access.may_pull("alice", transfer.pid, "token-1")
        else:
            with pytest.raises(Forbidden):
                await node.access.may_pull("alice", transfer.pid, "token-1")
