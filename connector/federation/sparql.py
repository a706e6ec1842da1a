"""Questions in SPARQL over the ledger: an extra, in a process of its own with bounds on time, memory and size.

What lives here: `Sparql`: the child process, and keeping its triples as the record is. What does not: the child (`sparql_child.py`), and
products as triples (`triples.py`).

Only products with an offer for everybody are told in triples, without offers that name somebody: a question cannot be answered
differently for each viewer. A question
that takes too long ends the process; the next one finds it started anew, with its triples as they were, because they lie on disk.
Source: SPARQL 1.1 Query Language; SPARQL 1.1 Protocol, section 2.1.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from connector import observe, strict
from connector.errors import BadMessage, CallerError, ConfigurationError, Gone, NotSupported, Overloaded
from connector.federation.permitted import Permitted
from connector.federation.triples import graph_of, triples_of
from connector.ports.catalog import Change, Product, Records
from connector.ports.clock import Clock

_AT_ONCE: Final = 500
_AGAIN: Final = timedelta(seconds=1)
_MOST_QUERY: Final = 20_000
_WAITING: Final = 8
_MOST_LINE: Final = 64 << 20
_ESCAPED: Final = re.compile(r"\\[uU]")
"""Taken back before a query is read (SPARQL 1.1, 19.2): a word could hide in them."""
_SERVICE: Final = re.compile(r"\bservice\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one question may take."""

    within: timedelta = timedelta(seconds=10)
    answer_bytes: int = 4 << 20
    memory_bytes: int = 1 << 30
    """What the process may write to; its files, which the engine maps, are not among it."""


class Sparql:
    """The triples of the ledger."""

    def __init__(self, records: Records, permitted: Permitted, clock: Clock, folder: Path, limits: Limits) -> None:
        self._records = records
        self._permitted = permitted
        self._clock = clock
        self._folder = folder
        self._limits = limits
        self._child: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()
        self._waiting = 0
        self._applied = 0
        self.woken = asyncio.Event()

    async def open(self) -> None:
        """Find what is there already.

        Raises: ConfigurationError without the extra.
        """
        try:
            import pyoxigraph  # noqa: F401 - the child needs it
        except ModuleNotFoundError as fault:
            mend = "install the extra: `kontor-connector[sparql]`"
            raise ConfigurationError(
                "SPARQL needs a library that is not installed", where="catalog.sparql", mend=mend
            ) from fault
        self._applied = await asyncio.to_thread(self._noted)
        if self._applied > await self._records.sequence():
            self._applied = 0

    def _noted(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(OSError, ValueError):
            return int((self._folder / "applied").read_text())
        return 0

    async def close(self) -> None:
        async with self._one:
            await self._end()

    # --- the triples

    async def run(self) -> None:
        """Keep the triples as the record is, for ever."""
        while True:
            if not await self.catch_up():
                await self._clock.wait_until(self._clock.now() + _AGAIN, self.woken)

    async def catch_up(self) -> bool:
        """Take over what has changed, some hundred products at once; whether there may be more."""
        try:
            changes = await self._records.changes(self._applied, _AT_ONCE)
        except Gone:
            self._applied = 0
            return True
        if not changes:
            return False
        if any(c.product and not c.is_itself and not self._permitted.knows(c.product.entry.terms) for c in changes):
            await asyncio.to_thread(self._permitted.know, await self._records.terms())
        visible = self._permitted.addressed_to(None)
        shown = [c.product and self._permitted.shown(c.product, None) for c in changes]
        asked = await asyncio.to_thread(_told, changes, [one for one in shown if one and one.entry.terms in visible])
        async with self._one:
            await self._asked(asked, timedelta(seconds=60))
        self._applied = changes[-1].sequence
        await asyncio.to_thread((self._folder / "applied").write_text, str(self._applied))
        return len(changes) == _AT_ONCE

    # --- questions

    async def query(self, text: str) -> tuple[str, bytes]:
        """The answer's media type and body.

        Raises: BadMessage for what is no query, NotSupported for one that asks others, Overloaded when too many wait, CallerError when
        it takes too long or says too much.
        """
        if not text.strip() or len(text) > _MOST_QUERY:
            raise BadMessage("this is no query", where="query", mend=f"send one of at most {_MOST_QUERY} characters")
        if _ESCAPED.search(text):
            raise BadMessage("characters are escaped by number", where="query", mend="write the characters themselves")
        if _SERVICE.search(text):
            # the engine would fetch whatever address stands there
            raise NotSupported("`SERVICE` is not answered here", where="query", mend="ask the other endpoint yourself")
        if self._waiting >= _WAITING:
            raise Overloaded("too many questions wait", mend="come again in a moment")
        self._waiting += 1
        try:
            async with self._one:
                found = await self._asked({"query": text, "most": self._limits.answer_bytes}, self._limits.within)
        finally:
            self._waiting -= 1
        if found.get("kind") == "large":
            raise CallerError(f"the answer is larger than {self._limits.answer_bytes} bytes", mend="ask for less, with LIMIT")
        if "fault" in found:
            raise BadMessage(f"the query cannot be answered: {found['fault']}", where="query")
        return found["type"], found["body"].encode()

    async def _asked(self, tree: dict[str, Any], within: timedelta) -> dict[str, Any]:
        """The child's answer; one that takes too long is the child's end."""
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "connector.federation.sparql_child", str(self._folder / "store"), str(self._limits.memory_bytes),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_MOST_LINE,
            )  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            async with asyncio.timeout(within.total_seconds()):
                child.stdin.write(orjson.dumps(tree) + b"\n")
                await child.stdin.drain()
                line = await child.stdout.readline()
        except TimeoutError:
            await self._end()
            raise CallerError(f"it took longer than {within.total_seconds():g} s", mend="ask for less") from None
        except (OSError, asyncio.CancelledError):
            await self._end()
            raise
        if not line:
            observe.warning("catalog.sparql_ended", mend="it is started anew")
            await self._end()
            raise CallerError("it took more memory than it may", mend="ask for less")
        found: dict[str, Any] = strict.scan(line, strict.Limits(max_bytes=_MOST_LINE))
        return found

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _told(changes: Sequence[Change], shown: Sequence[Product]) -> dict[str, Any]:
    """Changes as the child takes them; `shown` are the products among them that everybody sees."""
    put = [[graph_of(one.number), triples_of(one)] for one in shown]
    kept = {graph for graph, _ in put}
    return {"put": put, "gone": [graph_of(one.number) for one in changes if graph_of(one.number) not in kept]}
