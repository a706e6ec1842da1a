"""Remembering which tokens were used: the seam behind which memory and databases stand.

What lives here: `ReplayStore`. What does not: which tokens must be used once only (`identity/`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class ReplayStore(Protocol):
    """Knows every token that was used and could still be used again."""

    async def use(self, participant: str, issuer: str, jti: str, until: datetime, now: datetime) -> bool:
        """Whether this is the first use of the token `jti` of `issuer` with `participant`; of many at once, exactly one is.

        It is remembered until `until`, from which on the token itself must be refused as over. One issuer's names say nothing of
        another's. Across replicas the answer is the same as within one process.

        Raises: StoreUnavailable or Overloaded when it cannot be remembered; the token must not be accepted then.
        """
        ...
