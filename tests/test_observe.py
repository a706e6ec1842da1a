"""Log lines: one line each, context on every one, nothing secret, nothing that a peer can forge; counts."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable

import pytest

from connector import observe


@pytest.fixture
def lines() -> io.StringIO:
    """What the log of this process holds, as JSON."""
    return _configured("json")


def _configured(format_: str, stream: io.StringIO | None = None) -> io.StringIO:
    found = stream or io.StringIO()
    root = logging.getLogger()
    before = list(root.handlers)
    observe.configure(format_=format_, level="debug", stream=found)  # type: ignore[arg-type]
    # as in a node, where nobody else listens
    root.handlers[:] = [handler for handler in root.handlers if handler not in before]
    return found


@pytest.fixture(autouse=True)
def _as_before():
    root, kontor = logging.getLogger(), logging.getLogger("kontor")
    before = (list(root.handlers), root.level, kontor.level)
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    kontor.setLevel(before[2])


def test_a_line_has_a_time_a_level_an_event_and_fields(lines: io.StringIO) -> None:
    observe.info("http.request", status=200, ms=1.5, empty=None)
    tree = json.loads(lines.getvalue())
    assert tree.pop("at").endswith("Z")
    assert tree == {"level": "info", "event": "http.request", "status": 200, "ms": 1.5}


def test_text_is_one_line_of_words() -> None:
    stream = _configured("text")
    observe.warning("delivery.retry", peer="did:web:a", cause='no "answer" in time', ms=0.12345678)
    assert stream.getvalue().split(" ", 1)[1] == (
        'warning delivery.retry peer=did:web:a cause="no \\"answer\\" in time" ms=0.123457\n'
    )


async def test_every_line_carries_the_bound_context_in_its_own_task_only(lines: io.StringIO) -> None:
    async def handle(pid: str) -> None:
        with observe.bound(trace="t", pid=pid):
            await asyncio.sleep(0)
            with observe.bound(peer="p"):
                observe.info("step")

    await asyncio.gather(handle("1"), handle("2"))
    observe.info("after")
    first, second, after = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["pid"], first["peer"], second["pid"]) == ("1", "p", "2")
    assert "pid" not in after
    assert observe.context() == {}


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("name", ["authorization", "token", "access_token", "api_key", "client_secret", "claims"])
def test_what_is_secret_by_its_name_is_not_shown(format_: str, name: str) -> None:
    stream = _configured(format_)
    observe.info("x", **{name: "hush"})
    assert "hush" not in stream.getvalue()
    assert "[hidden]" in stream.getvalue()


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_peer_cannot_write_a_line_of_its_own(format_: str) -> None:
    stream = _configured(format_)
    observe.info("x", reason="a\n2025 error forged\x1b[2J \x7f\udcff")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert "\x1b" not in written
    assert "\x7f" not in written or format_ == "json"


def test_a_long_value_is_cut(lines: io.StringIO) -> None:
    observe.info("x", reason="a" * 10_000)
    assert len(lines.getvalue()) < 3000


def test_a_fault_brings_its_trace(lines: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError as fault:
        observe.error("http.fault", fault=fault, error_id="e1")
    tree = json.loads(lines.getvalue())
    assert tree["error_id"] == "e1"
    assert "ValueError: broken" in tree["trace"]


def test_lines_of_libraries_are_shown_from_warning_on(lines: io.StringIO) -> None:
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("look\nhere")
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == ['some.library "look\\nhere"']


def test_the_level_silences_what_is_below_it() -> None:
    stream = io.StringIO()
    observe.configure(level="warning", stream=stream)
    observe.info("x")
    observe.debug("x")
    observe.warning("y")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("{")  # no terminal, so JSON


class Stream(io.StringIO):
    """A stream that counts how often it is written to."""

    writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)


def told(stream: io.StringIO) -> list[str]:
    """The events in a stream, in order."""
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


async def test_what_was_done_in_one_turn_of_the_loop_is_written_at_once_in_its_order() -> None:
    stream = Stream()
    _configured("json", stream)
    for number in range(5):
        observe.info(f"event.{number}")
    assert told(stream) == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told(stream) == [f"event.{number}" for number in range(5)]
    assert stream.writes == 1
    observe.info("next")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told(stream)[5:] == ["next"]


@pytest.mark.parametrize("urgent", [observe.warning, observe.error, logging.getLogger("some.library").warning])
async def test_nothing_waits_behind_a_line_that_someone_should_look_at(urgent: Callable[[str], None]) -> None:
    lines = _configured("json")
    observe.info("before")
    urgent("look")
    assert [event.removeprefix("some.library ") for event in told(lines)] == ["before", "look"]


async def test_a_line_of_a_thread_takes_along_what_waits() -> None:
    lines = _configured("json")
    observe.info("before")
    assert told(lines) == []
    thread = threading.Thread(target=observe.info, args=("from a thread",))
    thread.start()
    thread.join()
    assert told(lines) == ["before", "from a thread"]


async def test_a_thread_may_write_at_any_moment_of_a_line_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _configured("json")

    def asked_meanwhile() -> int:
        monkeypatch.undo()
        thread = threading.Thread(target=observe.info, args=("from a thread",))
        thread.start()
        thread.join()
        return threading.get_ident()

    observe.info("before")
    monkeypatch.setattr(observe, "get_ident", asked_meanwhile)
    observe.info("after")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert told(lines) == ["before", "from a thread", "after"]


async def test_a_process_that_was_split_off_waits_for_no_turn_of_a_loop_that_it_does_not_run() -> None:
    lines = _configured("json")
    observe.info("of the other")
    assert told(io.StringIO(_written_by_child(lines))) == ["its own"]


def _written_by_child(lines: io.StringIO) -> str:
    asked, tell = os.pipe()
    child = os.fork()
    if child == 0:
        observe.info("its own")
        os.write(tell, lines.getvalue().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(tell)
    with open(asked) as written:
        return written.read()


def test_what_waits_when_a_loop_ends_is_written_before_the_program_does() -> None:
    lines = _configured("json")

    async def last() -> None:
        asyncio.get_running_loop().stop()
        observe.info("last words")

    loop = asyncio.new_event_loop()
    task = loop.create_task(last())
    loop.run_forever()
    assert task.done()
    loop.close()
    asyncio.run(asyncio.sleep(0))
    _configured("json")
    assert told(lines) == ["last words"]


async def test_many_lines_do_not_wait_for_the_end_of_a_long_turn() -> None:
    lines = _configured("json")
    for number in range(1000):
        observe.info(f"event.{number}")
    assert len(told(lines)) > 800


def test_a_line_costs_little() -> None:
    _configured("json")

    def spent() -> float:
        begin = time.process_time()
        for _ in range(500):
            observe.info("http.request", participant="acme", route="negotiations/request", status=201, ms=1.25)
        return (time.process_time() - begin) / 500

    # a few µs; the bound is generous because machines differ
    assert min(spent() for _ in range(5)) < 200e-6


def test_counts_add_up_by_label() -> None:
    observe.count("tests_of_observe", kind="a")
    observe.count("tests_of_observe", by=2, kind="a")
    observe.count("tests_of_observe", kind="b")
    assert observe.counts()["tests_of_observe"] == {(("kind", "a"),): 3, (("kind", "b"),): 1}


def test_no_two_ids_are_alike_nor_are_those_of_a_process_that_was_split_off() -> None:
    ours = [observe.new_id() for _ in range(200)]
    asked, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(told, "".join(observe.new_id() for _ in range(10)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(asked, 1024).decode()
    for end in (asked, told):
        os.close(end)
    ids = [*ours, *(observe.new_id() for _ in range(200)), *(theirs[begin : begin + 32] for begin in range(0, len(theirs), 32))]
    assert len(theirs) == 320
    assert len(set(ids)) == len(ids) == 410
