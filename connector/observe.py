"""What the node tells its operator: log lines and counts.

One line for each handled request and each delivered message, event name first, then fields: `http.request participant=acme
status=200 ms=3`. Context is bound once (`bound`) and every line below carries it. Text on a terminal, JSON elsewhere.
Tokens, keys, claims and payloads are never logged; a field whose name says that it is one shows `[hidden]`.
Counts are plain numbers here; `web/operator/` shows them to Prometheus. What a log line means is the business of who writes it.

error: someone must act; warning: someone should look; info: what was done; debug: for us.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TextIO

import orjson

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_LOGGER: Final = logging.getLogger("kontor")
_context: ContextVar[Mapping[str, object]] = ContextVar("kontor.context", default={})  # noqa: B039 - never written to

_SECRET = re.compile(r"(?i)authorization|token|secret|password|api_?key|private|claims|payload")
_PLAIN = re.compile(r"[\w./:@+%,*#{}()\[\]~-]+\Z", re.ASCII)
_MOST_OF_A_VALUE: Final = 2000
_MOST_WAITING: Final = 200  # lines that one turn of the event loop may hold back


# --- context


class bound:
    """Let every line written inside carry `fields`, in this task and in those it starts."""

    __slots__ = ("_fields", "_mark")

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._mark = _context.set({**_context.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._mark)


def context() -> Mapping[str, object]:
    """The fields that lines written here carry."""
    return _context.get()


def new_id() -> str:
    """A new trace or error id: 32 hexadecimal digits."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            # asking the system costs as much for many as for one
            many = os.urandom(16 * 64).hex()
            _drawn.extend([many[begin : begin + 32] for begin in range(0, len(many), 32)])


_drawn: Final[list[str]] = []  # ids that nobody has been given yet


def _begin_in_child() -> None:
    """A process that was split off this one gives out ids of its own, and leaves the loop and the lines that wait to the other."""
    _drawn.clear()
    for handler in _ours:
        handler._waiting, handler._known = [], None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)


# --- lines


def debug(event: str, **fields: object) -> None:
    """Write a line that helps whoever hunts a fault."""
    _write(logging.DEBUG, event, fields)


def info(event: str, **fields: object) -> None:
    """Write a line about something that was done."""
    _write(logging.INFO, event, fields)


def warning(event: str, **fields: object) -> None:
    """Write a line that someone should look at."""
    _write(logging.WARNING, event, fields)


def error(event: str, *, fault: BaseException | None = None, **fields: object) -> None:
    """Write a line on which someone must act; `fault` adds where it comes from."""
    _write(logging.ERROR, event, fields, fault)


def _write(level: int, event: str, fields: Mapping[str, object], fault: BaseException | None = None) -> None:
    if not _LOGGER.isEnabledFor(level):
        return
    bound_here = _context.get()
    carried = {**bound_here, **fields} if bound_here else fields
    if _is_ours_alone():
        # nobody else listens: the line goes out without a record and the walk through loggers, at a third of the cost
        line = _Line(time.time(), _LEVELS[level], event, carried, _trace(fault) if fault is not None else "")
        _ours[0].write(line, can_wait=level < logging.WARNING)
        return
    # a record made by hand: what stands in the line is known here, so nobody need walk up the stack for it
    trace = (type(fault), fault, fault.__traceback__) if fault is not None else None
    record = logging.LogRecord(_LOGGER.name, level, "", 0, event, None, trace)
    record.fields = carried
    _LOGGER.handle(record)


def _trace(fault: BaseException) -> str:
    return "".join(traceback.format_exception(fault)).rstrip("\n")


# --- formats

_LEVELS: Final = {
    logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "critical",
}  # fmt: skip


class _Line(NamedTuple):
    """What a line says, before it has a format."""

    at: float
    level: str
    event: str
    fields: Mapping[str, object]
    trace: str


def _as_text(line: _Line) -> str:
    """One line for people: time, level, event, `key=value` fields; a trace follows on lines of its own."""
    words = [f"{_time(line.at)} {line.level:7} {line.event}"]
    words += [f"{name}={_shown(name, value)}" for name, value in line.fields.items() if value is not None]
    text = " ".join(words)
    return f"{text}\n{line.trace}" if line.trace else text


def _as_json(line: _Line) -> str:
    """One JSON object for programs: `at`, `level`, `event`, the fields, `trace` of an exception."""
    tree: dict[str, Any] = {"at": _time(line.at), "level": line.level, "event": line.event}
    for name, value in line.fields.items():
        if value is None:
            continue
        if (hidden := _hidden(name)) is not None:
            value = hidden
        elif isinstance(value, str) and (len(value) > _MOST_OF_A_VALUE or not value.isascii()):
            value = _cut(value)
        tree[name if name not in _OWN else f"{name}_"] = value
    if line.trace:
        tree["trace"] = line.trace
    return orjson.dumps(tree, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


_OWN: Final = frozenset({"at", "level", "event", "trace"})


class _Formatter(logging.Formatter):
    """Records, those of libraries among them, as lines."""

    def __init__(self, form: Callable[[_Line], str]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return self._form(_Line(record.created, record.levelname.lower(), _event(record), fields, trace))


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@functools.lru_cache(2)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))


def _event(record: logging.LogRecord) -> str:
    """The event; for lines of libraries, which have none, their logger's name and words on one line."""
    if record.name == _LOGGER.name:
        return record.getMessage()
    return f"{record.name} {_quoted(record.getMessage())}"


@functools.lru_cache(1024)
def _hidden(name: str) -> str | None:
    return "[hidden]" if _SECRET.search(name) else None


def _cut(value: str) -> str:
    """`value` as it may be written: not too long, and without halves of surrogate pairs."""
    text = value if len(value) <= _MOST_OF_A_VALUE else f"{value[:_MOST_OF_A_VALUE]}..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _shown(name: str, value: object) -> str:
    if (hidden := _hidden(name)) is not None:
        return hidden
    if isinstance(value, float):
        return f"{value:.6g}"
    return _quoted(_cut(str(value)))


def _quoted(text: str) -> str:
    """`text` as it is when it is one plain word, else as a JSON string: a peer cannot write lines of its own."""
    if _PLAIN.match(text):
        return text
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode().replace("\x7f", "\\u007f")


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream: those of the house as they are, those of libraries as records.

    What was done in one turn of the event loop is spelled out and written at its end, in order: to write costs as much as a line does,
    and many are spelled in a row for half of what they cost amid requests. Values of fields are never changed once they are told. A
    line that someone should look at, or that comes from a thread, goes out with all before it; so does what waits when the program
    ends. A kill takes the lines of the turn with it, as a pipe would.
    """

    def __init__(self, out: TextIO, form: Callable[[_Line], str]) -> None:
        # not loaded by whoever only asks the command for its version
        from asyncio import _get_running_loop

        super().__init__(out)
        self.setFormatter(_Formatter(form))
        self._form = form
        self._running = _get_running_loop
        self._waiting: list[_Line] = []
        # the loop at the end of whose turn the waiting lines are written; the one last seen in any thread, and that thread
        self._turn: AbstractEventLoop | None = None
        self._known: tuple[AbstractEventLoop, int] | None = None

    def write(self, line: _Line, *, can_wait: bool) -> None:
        """Write a line of the house; a stream that is broken does not break what is told about."""
        loop = self._loop() if can_wait else None
        try:
            with self.lock or contextlib.nullcontext():
                self._waiting.append(line)
                if loop is None or len(self._waiting) >= _MOST_WAITING:
                    self._write_out()
                elif loop is not self._turn:
                    loop.call_soon(self._end_of_turn)
                    self._turn = loop
        except Exception:  # noqa: BLE001 - as logging does it: told on stderr, and the work goes on
            self._failed(line.event)

    def _loop(self) -> AbstractEventLoop | None:
        """The event loop that runs in this thread; Python itself asks the system for that, at the cost of half a line."""
        if (known := self._known) is not None and known[1] == get_ident() and known[0].is_running():
            return known[0]
        loop = self._running()
        self._known = (loop, get_ident()) if loop is not None else None
        return loop

    def emit(self, record: logging.LogRecord) -> None:
        """As the library does it, behind what waits."""
        self.flush()
        super().emit(record)

    def flush(self) -> None:
        """Write what waits, and have the stream pass it on."""
        self._end_of_turn()
        super().flush()

    def _end_of_turn(self) -> None:
        self._turn = None
        try:
            with self.lock or contextlib.nullcontext():
                self._write_out()
        except Exception:  # noqa: BLE001 - as above
            self._failed("lines")

    def _write_out(self) -> None:
        if self._waiting:
            lines, self._waiting = self._waiting, []
            texts = [text for line in lines if (text := self._formed(line)) is not None]
            self.stream.write("\n".join([*texts, ""]))
            self.stream.flush()

    def _formed(self, line: _Line) -> str | None:
        """The text of a line; None where it has none."""
        try:
            return self._form(line)
        except Exception:  # noqa: BLE001 - as above
            self._failed(line.event)
            return None

    def _failed(self, event: str) -> None:
        self.handleError(logging.LogRecord(_LOGGER.name, logging.ERROR, "", 0, event, None, None))


_ours: Final[list[_Handler]] = []
"""The handler that `configure` has made."""


def _is_ours_alone() -> bool:
    """Whether lines go to our own handler and nowhere else."""
    return logging.root.handlers == _ours and not _LOGGER.handlers and not _LOGGER.filters and _LOGGER.propagate and bool(_ours)


def configure(*, format_: Literal["auto", "text", "json"] = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send the lines of this process, and the warnings of its libraries, to `stream` (stderr)."""
    # found out for each line otherwise, and shown in none
    for costly in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, costly, False)
    out = stream or sys.stderr
    is_text = format_ == "text" or (format_ == "auto" and out.isatty())
    handler = _Handler(out, _as_text if is_text else _as_json)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        old.flush()
        root.removeHandler(old)
    root.addHandler(handler)
    _ours[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(level.upper())


# --- counts

Series = tuple[tuple[str, str], ...]
"""Names and values of labels, sorted by name."""
_counts: dict[str, dict[Series, int]] = {}
_gauges: dict[str, Callable[[], Mapping[Series, float]]] = {}


def count(name: str, by: int = 1, **labels: str) -> None:
    """Add to the count `name` of this process; labels have few values, never ids."""
    counted(name, tuple(sorted(labels.items())), by)


def counted(name: str, key: Series, by: int = 1) -> None:
    """As `count`, for what is counted with every request: its labels are in order already."""
    series = _counts.setdefault(name, {})
    series[key] = series.get(key, 0) + by


def gauge(name: str, read: Callable[[], Mapping[Series, float]]) -> None:
    """Have `read` called for what `name` is at that moment, whenever somebody looks; a later one takes its place."""
    _gauges[name] = read


def gauges() -> Mapping[str, Mapping[Series, float]]:
    """What there is now, by name and labels."""
    return {name: read() for name, read in _gauges.items()}


def counts() -> Mapping[str, Mapping[Series, int]]:
    """All counts since the start, by name and labels."""
    return _counts


Taken = dict[str, dict[Series, int]]
"""By name."""


def taken() -> Taken:
    """All counts since this was asked the last time; here they begin anew. For a process whose figures another one shows."""
    found = {name: dict(series) for name, series in _counts.items()}
    _counts.clear()
    return found


def add(more: Taken) -> None:
    """Add what another process of this node has `taken`."""
    for name, series in more.items():
        here = _counts.setdefault(name, {})
        for key, by in series.items():
            here[key] = here.get(key, 0) + by
