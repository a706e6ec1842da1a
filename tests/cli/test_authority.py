"""`kontor authority`: a space is begun, members are taken in and turned away, and its keys replaced, all by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE
from tests.cli.conftest import Nodes, Run

ANNA, BERT = "did:web:anna.example", "did:web:bert.example"


@pytest.fixture
def authority(run: Run, nodes: Nodes, tmp_path: Path) -> tuple[str, ...]:
    """A running authority as `kontor authority init` makes it; what its commands need to find it."""
    port, operator_port = free_ports(2)
    where = ("--folder", tmp_path, "--port", port, "--operator-port", operator_port)
    made = run("authority", "init", "--unsafe-local", "--space", "urn:space:test", *where, "--json")
    assert made.tree["space"] == "urn:space:test"
    nodes.start(tmp_path / CONFIG_FILE)
    return "--config", str(tmp_path / CONFIG_FILE)


def test_members_and_keys_are_the_operators_work(run: Run, authority: tuple[str, ...]) -> None:
    # 1. members
    for did in (ANNA, BERT):
        assert run("authority", "enrol", did, "--attribute", "name=x", *authority).out == f"APPROVED  {did}\n"
    wrong = run("authority", "suspend", ANNA, "--reason", "late", *authority)
    assert (wrong.code, "cannot suspend" in wrong.err) == (1, True)
    assert run("authority", "revoke", BERT, "--reason", "has left", *authority).out == f"REVOKED  {BERT}\n"
    (one,) = run("authority", "participants", "--state", "REVOKED", "--json", *authority).tree
    assert (one["id"], one["steps"][-1]["reason"]) == (BERT, "has left")
    assert "has left" in run("authority", "show", BERT, *authority).out
    # 2. keys
    listed = run("authority", "keys", "list", "--json", *authority).tree["items"]
    assert {(one["name"], one["state"]) for one in listed} == {
        (f"{purpose}-1", "ACTIVE") for purpose in ("token", "credential", "status-list", "trust-list")
    }
    assert "PRIVATE" not in str(listed)
    made = run("authority", "keys", "rotate", "trust-list", *authority)
    assert made.out.startswith("CREATED  trust-list-")
    assert run("authority", "keys", "revoke", "credential-1", *authority).out == "REVOKED  credential-1\n"
    missing = run("authority", "keys", "revoke", "nothing", *authority)
    assert (missing.code, "has no key `nothing`" in missing.err) == (1, True)
    # 3. nobody is missed who is not here: the node of an authority has no participants
    examined = run("doctor", "--json", *authority)
    assert (examined.code, ("participant", "ok") in {(one["check"], one["state"]) for one in examined.tree["findings"]}) == (
        0,
        True,
    )
    # and its background work is that of the node, or of the role
    for words in (("jobs",), ("jobs", "--of", "node")):
        ran = run(*words, *authority)
        assert (ran.code, ran.err) == (0, "no work waits\n")
    for more in ((), ("--of", "authority")):
        assert "was given up" in run("jobs", "retry", "webhook", "nothing", *more, *authority).err
    assert "no participant" in run("jobs", "--participant", "acme", *authority).err
    # 4. and all of it is in the audit trail
    assert run("audit", "--node", "--json", *authority).out.count("/authority/keys") >= 2
