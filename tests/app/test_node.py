"""A node starts whole or not at all, says what is unsafe, watches its workers, and stops cleanly."""

from __future__ import annotations

import asyncio
import base64
import logging
import pathlib
import socket
import stat
from datetime import UTC, datetime

import httpx
import pytest

from connector.app import App, migrate
from connector.app import node as node_of_ours
from connector.controlplane.participants import Context, Participants
from connector.errors import ConfigurationError, StoreUnavailable
from connector.ports.store import Document
from connector.web.operator import health
from tests.app.conftest import Make, until


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, object]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == name]


async def _get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(url)


async def test_both_ports_answer_when_it_is_open_and_neither_afterwards(settings: Make) -> None:
    async with App(settings()) as app:
        assert (await _get(f"{app.public_url}/acme/.well-known/dspace-version")).status_code == 200
        assert (await _get(f"{app.operator_url}/ready")).status_code == 200
        # what operators reach is not on the public port, and the other way round
        assert (await _get(f"{app.public_url}/ready")).status_code == 404
        assert (await _get(f"{app.operator_url}/acme/.well-known/dspace-version")).status_code == 404
    for url in (app.public_url, app.operator_url):
        with pytest.raises(httpx.ConnectError):
            await _get(url)


@pytest.mark.parametrize("section", ["public", "operator"])
async def test_a_port_in_use_stops_the_start_and_says_which(settings: Make, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}") as fault:
            async with App(settings(**{section: {"port": port}})):
                pass
    assert fault.value.where == f"{section}.port"
    assert fault.value.mend


async def test_a_failed_start_leaves_nothing_behind(settings: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bad = settings(public={"port": port}, store={"url": "cassandra://x"})
    with pytest.raises(ConfigurationError, match="cassandra"):
        await App(bad).__aenter__()
    async with App(settings(public={"port": port})) as app:
        assert app.public_url


async def test_plain_http_for_peers_needs_an_unsafe_setting(settings: Make) -> None:
    with pytest.raises(ConfigurationError) as fault:
        async with App(settings(outbound={"unsafe_allow_http": False})):
            pass
    assert fault.value.where == "node.public_url"
    assert "unsafe_allow_http" in fault.value.mend


async def test_an_operator_listener_that_others_reach_in_plain_http_warns(
    settings: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async with App(settings()):
        assert events(caplog, "operator.plain_http") == []
    async with App(settings(operator={"host": "0.0.0.0"})):
        assert [line["host"] for line in events(caplog, "operator.plain_http")] == ["0.0.0.0"]


async def test_a_folder_that_cannot_be_made_is_named(settings: Make, tmp_path: pathlib.Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be made: file exists") as fault:
        async with App(settings(node={"data_dir": tmp_path / "taken"})):
            pass
    assert fault.value.where == "node.data_dir"


async def test_every_unsafe_setting_warns_at_the_start(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    tokens = {"acme": {"id": "urn:acme", "unsafe_static_tokens": [{"id": "urn:b", "theirs": "t"}]}}
    async with App(settings(participants=tokens)):
        pass
    assert [line["setting"] for line in events(caplog, "settings.unsafe")] == [
        "outbound.unsafe_allow_http",
        "outbound.unsafe_allow_loopback",
        "participants.acme.unsafe_static_tokens",
    ]


async def test_it_warns_when_it_does_not_reach_itself(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with App(settings(node={"public_url": f"http://127.0.0.1:{port}/kontor"})) as app:
        await until(lambda: bool(events(caplog, "node.public_url_unreachable")))
        # and runs all the same: a firewall may let peers through and not us
        assert (await _get(f"{app.operator_url}/ready")).status_code == 200
    (line,) = events(caplog, "node.public_url_unreachable")
    assert line["url"] == f"http://127.0.0.1:{port}/kontor/acme/.well-known/dspace-version"


async def test_it_goes_on_when_the_store_is_away_while_it_looks(
    settings: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Participants) -> tuple[Context, ...]:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(Participants, "all", away)
    async with App(settings()) as app:
        await until(lambda: bool(events(caplog, "node.public_url_unreachable")))
        assert (await _get(f"{app.operator_url}/ready")).status_code == 200


async def test_it_says_nothing_when_it_does(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="kontor")
    async with App(settings()):
        await until(lambda: bool(events(caplog, "http.request")))
    assert events(caplog, "node.public_url_unreachable") == []


async def test_a_worker_that_dies_makes_the_node_unready_and_is_started_again(
    settings: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.controlplane.timers import Timers

    runs, go_on = [], asyncio.Event()

    async def run(self: Timers) -> None:
        runs.append(self)
        if len(runs) == 1:
            await go_on.wait()
            raise RuntimeError("the disk is on fire")
        await asyncio.Event().wait()

    monkeypatch.setattr(Timers, "run", run)
    monkeypatch.setattr(node_of_ours, "_RESTART_AFTER_S", 0.3)
    async with App(settings()) as app:
        answers = []

        async def answered(status: int) -> bool:
            answers.append(await _get(f"{app.operator_url}/ready"))
            return answers[-1].status_code == status

        assert await answered(200)
        go_on.set()
        await until(lambda: answered(503))
        assert "timers" in answers[-1].json()["faults"][0]
        assert "on fire" in answers[-1].json()["faults"][0]
        await until(lambda: answered(200))
    assert len(runs) == 2
    assert [line["worker"] for line in events(caplog, "worker.died")] == ["timers"]


async def test_a_worker_that_hangs_makes_the_node_unready_and_unhealthy_and_one_that_waits_does_not(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.controlplane.watch import Watch

    go_on = asyncio.Event()

    async def look(self: Watch) -> None:
        await go_on.wait()

    monkeypatch.setattr(Watch, "look", look)
    monkeypatch.setattr(node_of_ours, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(node_of_ours, "_LONG_S", 0.2)
    roles = {"roles": ("connector", "authority", "catalog"), "public_url": "http://127.0.0.1:0"}
    async with App(settings(node=roles, catalog={"participant": "acme"})) as app:

        async def answered(path: str, *faults: str) -> bool:
            answer = await _get(f"{app.operator_url}{path}")
            found = [one.split("`")[1] for one in answer.json().get("faults", [])]
            return (answer.status_code, found) == (503 if faults else 200, list(faults))

        await until(lambda: answered("/health", "watch"))
        await until(lambda: answered("/ready", "watch"))
        go_on.set()
        await until(lambda: answered("/health"))
        await until(lambda: answered("/ready"))


async def test_a_store_that_does_not_answer_makes_the_node_unready(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.errors import StoreUnavailable
    from connector.storage.memory import MemoryStore

    async with App(settings()) as app:

        async def full(self: MemoryStore, now: datetime) -> None:
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(MemoryStore, "pulse", full)
        answer = await _get(f"{app.operator_url}/ready")
    assert (answer.status_code, answer.json()["faults"]) == (503, ["the disk is full"])


async def test_a_full_disk_makes_the_node_unready_until_there_is_room(
    settings: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector.storage.sqlite.store import SqliteStore

    stores: list[SqliteStore] = []
    opened = SqliteStore.open

    async def seen(self: SqliteStore) -> None:
        stores.append(self)
        await opened(self)

    monkeypatch.setattr(SqliteStore, "open", seen)
    monkeypatch.setattr(health, "_GOOD_FOR_S", 0.0)
    async with App(settings(store={"url": f"sqlite:///{tmp_path / 'full.db'}"})) as app:
        assert (await _get(f"{app.operator_url}/ready")).status_code == 200
        connection = stores[0]._access._parts.writer.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        now = datetime.now(UTC)
        body = {"long": "x" * 100_000}
        with pytest.raises(StoreUnavailable):
            await stores[0].put_document(
                Document(participant="acme", kind="note", id="1", body=body, created_at=now, updated_at=now)
            )
        for _ in range(2):
            answer = await _get(f"{app.operator_url}/ready")
            assert answer.status_code == 503
            assert "full" in answer.json()["faults"][0]
        connection.execute("PRAGMA max_page_count = 1000000")
        assert (await _get(f"{app.operator_url}/ready")).status_code == 200


# --- the key that seals secrets


async def test_the_key_is_made_once_for_this_user_alone(settings: Make, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data" / "secrets.key"
    made = set()
    for _ in range(2):
        async with App(settings()):
            made.add(path.read_text())
    assert len(made) == 1
    assert len(base64.b64decode(made.pop())) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_key_that_others_may_read_is_warned_of(
    settings: Make, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data" / "secrets.key"
    path.parent.mkdir()
    path.write_text(base64.b64encode(bytes(32)).decode())
    path.chmod(0o644)
    async with App(settings()):
        pass
    assert [line["file"] for line in events(caplog, "node.key_is_readable")] == [str(path)]


@pytest.mark.parametrize("bad", ["", "short", base64.b64encode(bytes(31)).decode(), "*" * 44])
async def test_a_key_that_is_none_stops_the_start(settings: Make, bad: str) -> None:
    made = settings().model_copy(update={"secrets_key": bad})
    with pytest.raises(ConfigurationError) as fault:
        async with App(made):
            pass
    assert fault.value.where == "secrets_key"
    assert bad not in str(fault.value) or not bad


async def test_a_store_is_migrated_on_its_own(settings: Make) -> None:
    made = settings(store={"url": "sqlite:///kontor.db"})
    first, again = await migrate(made), await migrate(made)
    assert first[1] == again[0] == again[1]
    assert first[0] <= first[1]
