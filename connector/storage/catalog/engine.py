"""What the record asks of a database: statements by name, in a transaction or without one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

Row = Sequence[Any]


class Work(Protocol):
    """Statements that see each other."""

    async def rows(self, name: str, *values: object) -> list[Row]:
        """What the statement `name` gives; lists among the values go as JSON."""
        ...

    async def many(self, name: str, values: Iterable[Sequence[object]]) -> None:
        """The statement once for each of `values`."""
        ...


class Engine(Protocol):
    """A database that holds the record."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def changing(self) -> AbstractAsyncContextManager[Work]:
        """One transaction that changes something; all or nothing."""
        ...

    async def one(self, name: str, *values: object) -> list[Row]:
        """What one statement gives that changes nothing."""
        ...

    async def give_back(self) -> int:
        """How many bytes of what is free were given back to the disk; as `Store.give_back`."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Work]:
        """Statements that change nothing and see one state, without waiting for those that do."""
        ...
