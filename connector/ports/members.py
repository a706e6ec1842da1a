"""Who belongs to the alliance: the seam behind which the settings and the authority's signed list stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from connector.ports.catalog import Listed


class Members(Protocol):
    """The members whose catalogues are gathered."""

    changed: Callable[[], None]
    """Called when it is heard that the list is another now."""

    async def listed(self, *, anew: bool = False, newcomer: str | None = None) -> Sequence[Listed]:
        """All members; with `anew` as the list is at this moment, and with `newcomer` as well when that one is not on it yet, though
        not again and again for the same one.

        Raises: KontorError when there is no list that can be believed (stale, rolled back, forged, not to be had): whoever asks goes
        on with the members it knows.
        """
        ...
