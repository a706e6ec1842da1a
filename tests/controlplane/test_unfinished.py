"""What was given up is found, with its cause and the command that mends it; what goes well is not mentioned."""

from __future__ import annotations

import pathlib
from datetime import timedelta

from connector.controlplane.doctor import node_findings
from connector.controlplane.participants import NODE
from connector.controlplane.reconciling import RECONCILE
from connector.controlplane.unfinished import given_up_messages, given_up_work, uncompared
from connector.ports.jobs import Failure, NewJob
from connector.settings import Settings
from tests.controlplane.scene import NOW, Node, answer


async def given_up(node: Node, context: str, id_: str) -> None:
    """A job of `context` that came to nothing."""
    await node.store.jobs.put((NewJob(participant=context, kind="webhook", id=id_, body={}),), NOW)
    (job,) = await node.store.jobs.claim(("webhook",), NOW, limit=1)
    await node.store.jobs.give_up(job, Failure(at=NOW, cause="answered 500"))


async def test_work_that_was_given_up_is_told_with_its_cause(node: Node, tmp_path: pathlib.Path) -> None:
    assert await given_up_work(node.store.jobs, "alice") == ()
    await given_up(node, "alice", "erp 1")
    await given_up(node, "alice", "erp 2")
    (one,) = await given_up_work(node.store.jobs, "alice")
    assert (one.state, one.what, one.where) == ("warning", "2 jobs were given up, the latest `webhook`: answered 500", "erp 2")
    assert "kontor jobs list --given-up`" in (one.mend or "")
    await given_up(node, "@catalog", "crawl")
    node_ = {"public_url": "https://a.example", "data_dir": tmp_path}
    settings = Settings.model_validate({"node": node_, "participants": {"acme": {"id": "urn:acme"}}})
    (of,) = [f for f in await node_findings(node.store, settings, tuple, node.clock) if f.check == "work"]
    assert "--of catalog" in (of.mend or "")
    assert await given_up_work(node.store.jobs, NODE) == ()


async def test_processes_that_wait_to_be_compared_with_their_peer_are_told(node: Node) -> None:
    assert await uncompared(node.store.jobs, "alice") == ()
    job = NewJob(participant="alice", kind=RECONCILE, id="run 0 0 urn:bob", body={"peer": "urn:bob"})
    await node.store.jobs.put((job,), NOW)
    (claimed,) = await node.store.jobs.claim((RECONCILE,), NOW)
    await node.store.jobs.put_off(claimed, NOW, Failure(at=NOW, cause="no answer"))
    (one,) = await uncompared(node.store.jobs, "alice")
    assert (one.state, one.where) == ("warning", "urn:bob")
    assert one.what.endswith("such as `urn:bob`: no answer")


async def test_processes_that_ended_for_want_of_an_answer_are_told_for_a_week(node: Node) -> None:
    await node.publish()
    node.host.replies.append(answer(400))
    pid = await node.requested()
    (one,) = await given_up_messages(node.store, "alice", node.clock.now())
    assert one.where == pid
    assert one.what.startswith("1 negotiation of the last week ended because a message could not be delivered; the latest to")
    assert "400" in one.what
    assert f"kontor show {pid}" in (one.mend or "")
    assert await given_up_messages(node.store, "alice", node.clock.now() + timedelta(days=8)) == ()
