"""The members of the alliance as the settings list them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.ports.catalog import Listed, MemberKind
from connector.settings.catalog import CatalogMember


class MembersOfSettings:
    """The port `Members` over `catalog.members`."""

    def __init__(self, members: Sequence[CatalogMember]) -> None:
        self._listed = listed(members)
        self.changed: Callable[[], None] = lambda: None
        """Never called: settings do not change."""

    async def listed(self, *, anew: bool = False, newcomer: str | None = None) -> Sequence[Listed]:
        return self._listed


def listed(members: Sequence[CatalogMember]) -> tuple[Listed, ...]:
    """Members of the settings as the record knows them."""
    return tuple(Listed(id=one.id, address=one.address, kind=MemberKind(one.kind), title=one.title) for one in members)
