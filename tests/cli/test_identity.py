"""The commands around what a participant proves itself with: keys, the document, credentials of an issuer that is none of ours."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.app.listening import free_ports
from connector.cli.init import CONFIG_FILE, NewNode, did_web, write
from tests.cli.conftest import Nodes, Run
from tests.identity.hosts import host
from tests.identity.issuer import MEMBER, Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer on an event loop of its own: the commands wait for its answers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def opened() -> tuple[Issuer, contextlib.AsyncExitStack]:
        stack = contextlib.AsyncExitStack()
        return Issuer(await stack.enter_async_context(host())), stack

    found, stack = asyncio.run_coroutine_threadsafe(opened(), loop).result(10)
    yield found

    async def closed() -> None:
        await stack.aclose()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run_coroutine_threadsafe(closed(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def node(nodes: Nodes, tmp_path: Path) -> tuple[str, ...]:
    """A node whose participant has a did:web; what a command needs to find it."""
    port, operator_port = free_ports(2)
    base = f"http://localhost:{port}"
    wanted = NewNode(
        name="acme", id=did_web(base, "acme"), title="", public_url=base, port=port, operator_port=operator_port, is_local=True
    )
    write(tmp_path, wanted)
    nodes.start(tmp_path / CONFIG_FILE)
    return "--config", str(tmp_path / CONFIG_FILE)


def test_keys_are_listed_replaced_and_revoked(run: Run, node: tuple[str, ...]) -> None:
    found = run("identity", "keys", "--json", *node).tree["items"]
    assert {(one["name"], one["purpose"], one["state"]) for one in found} == {
        ("token-1", "token", "ACTIVE"),
        ("presentation-1", "presentation", "ACTIVE"),
        ("access-1", "access", "ACTIVE"),
    }
    assert "PRIVATE" not in str(found)
    made = run("identity", "rotate", "token", *node)
    assert made.out.startswith("CREATED  token-")
    assert run("identity", "revoke", "token-1", *node).out == "REVOKED  token-1\n"
    document = run("identity", "document", "--json", *node).tree
    (name,) = (one.rpartition("#")[2] for one in document["capabilityInvocation"])
    assert name == made.out.split()[1]
    assert {one["type"] for one in document["service"]} == {"CredentialService", "DataService"}
    missing = run("identity", "revoke", "nothing", *node)
    assert (missing.code, "there is no key" in missing.err) == (1, True)
    assert "access-1" in run("identity", "keys", *node).out


def test_credentials_are_asked_for_shown_and_dropped(run: Run, node: tuple[str, ...], issuer: Issuer) -> None:
    assert "nothing is held" in run("credentials", "list", *node).err
    asked = run("credentials", "request", "--issuer", issuer.did, "--type", MEMBER, "--id", "ours", *node)
    assert (asked.code, asked.out) == (0, "ISSUED  ours\n"), asked.err
    (held,) = run("credentials", "list", "--json", *node).tree["credentials"]["items"]
    assert (held["types"], held["issuer"], held["profile"]) == ([MEMBER], issuer.did, "vc11-sl2021/jwt")
    assert "eyJ" not in str(held)
    assert "gold" in run("credentials", "show", held["id"], *node).out
    assert "ISSUED" in run("credentials", "show", "ours", *node).out
    twice = run("credentials", "request", "--issuer", issuer.did, "--type", MEMBER, "--id", "ours", *node)
    assert (twice.code, "there is a request `ours`" in twice.err) == (1, True)
    for name in (held["id"], "ours"):
        assert run("credentials", "drop", name, *node).code == 0
    assert run("credentials", "show", "ours", *node).code == 1
    tree = run("credentials", "list", "--json", *node).tree
    assert [tree[one]["total"] for one in ("credentials", "requests")] == [0, 0]


def test_an_issuer_that_does_not_answer_is_told_and_asked_again(run: Run, node: tuple[str, ...], issuer: Issuer) -> None:
    issuer.host.statuses["/issuer/metadata"] = 503
    asked = run("credentials", "request", "--issuer", issuer.did, "--type", MEMBER, "--once", "--wait", "0.5", *node)
    assert asked.code == 1
    assert "the issuer answers 503" in asked.err
    assert "it is tried again by itself" in asked.err
    (one,) = run("credentials", "list", "--json", *node).tree["requests"]["items"]
    assert (one["state"], one["is_standing"]) == ("REQUESTED", False)
