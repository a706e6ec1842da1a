"""Used tokens in the database: a digest each, so that nothing of a token stays and every row is of one size."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connector.storage import codec
from connector.storage.postgres.link import Link
from connector.storage.postgres.writes import SQL
from connector.storage.replay import fingerprint

_SWEEP_EVERY: Final = timedelta(minutes=1)


class PostgresReplay:
    """`ReplayStore`, on the store's connections."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._swept_at: datetime | None = None

    async def use(self, participant: str, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
        key, moment = fingerprint(participant, issuer, jti), codec.micros(now)
        async with self._link.writing() as connection:
            if self._swept_at is None or abs(now - self._swept_at) >= _SWEEP_EVERY:
                self._swept_at = now
                await connection.execute(SQL["forget_tokens"], moment)
            return bool(await connection.fetchval(SQL["use_token"], key, codec.micros(until), moment))
