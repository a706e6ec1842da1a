"""What peers speak of and nobody knows here: remembered for an operator who has lost something, and bounded."""

from __future__ import annotations

from connector.controlplane.strays import Strays
from tests.controlplane.scene import BOB, Node


async def test_what_peers_speak_of_and_nobody_knows_is_told_once_each_and_bounded(node: Node) -> None:
    await node.publish()
    pid = await node.requested()
    strays = Strays(node.store, node.clock)
    for id_ in ("urn:lost", "urn:lost", pid):
        strays.note("alice", "negotiation", id_, BOB.id)
    strays.note("alice", "agreement", "urn:a:lost", BOB.id)
    assert [(one.kind, one.id) for one in await strays.of("alice")] == [
        ("agreement", "urn:a:lost"),
        ("negotiation", "urn:lost"),
    ]
    for number in range(100):
        strays.note("alice", "transfer", f"urn:{number}", BOB.id)
    assert len(await strays.of("alice")) <= 20
