"""Used tokens in a SQLite file: a digest each, so that nothing of a token stays and every row is of one size."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from connector.storage import codec
from connector.storage.replay import fingerprint
from connector.storage.sqlite.access import Access
from connector.storage.sqlite.writes import SQL

_SWEEP_EVERY: Final = timedelta(minutes=1)


class SqliteReplay:
    """`ReplayStore`, on the store's connections."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._swept_at: datetime | None = None

    async def use(self, participant: str, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
        values = (fingerprint(participant, issuer, jti), codec.micros(until), codec.micros(now))
        is_sweep = self._swept_at is None or abs(now - self._swept_at) >= _SWEEP_EVERY
        if is_sweep:
            self._swept_at = now

        def write(connection: sqlite3.Connection) -> bool:
            if is_sweep:
                connection.execute(SQL["forget_tokens"], (values[2],))
            return connection.execute(SQL["use_token"], values).rowcount == 1

        return await self._access.write(write)
