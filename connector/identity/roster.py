"""The members of an alliance as its governance lists them, signed: the port `Members` over a list of participants.

What lives here: which entry is a member, and how it stands. What does not: proving the list, and refusing one that is stale, rolled
back or forged (`listsource.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from connector.identity.listsource import ListAddress, ListSource
from connector.identity.trustlists import Standing
from connector.ports.catalog import Listed


class SignedMembers:
    """Members of the list at `address`; what the operator says of a member in `more` takes the place of its entry."""

    def __init__(
        self,
        lists: Callable[[], Awaitable[ListSource]],
        address: ListAddress,
        more: Sequence[Listed],
        follow: Callable[[], Awaitable[None]],
    ) -> None:
        """`follow` asks the authority to tell of whoever joins; it is called once."""
        self._lists = lists
        self._follow = follow
        self._is_followed = False
        self._address = address
        self._more = {one.id: one for one in more}
        self.changed: Callable[[], None] = lambda: None
        """Called when the authority has said that the list is another now."""

    def _changed(self) -> None:
        self.changed()

    async def listed(self, *, anew: bool = False, newcomer: str | None = None) -> Sequence[Listed]:
        """Every participant that is active or suspended and says where its connector answers.

        Raises: KontorError when there is no list that counts.
        """
        source = await self._lists()
        source.told.add(self._changed)
        if not self._is_followed:
            await self._follow()
            self._is_followed = True
        found = await source.get(self._address, anew=anew)
        if newcomer is not None and found.participant(newcomer) is None:
            found = await source.newer(self._address, newcomer)
        members = {
            one.id: Listed(id=one.id, address=one.address, title=one.name, is_suspended=one.state is Standing.SUSPENDED)
            for one in found.participants
            if one.state is not Standing.REVOKED and one.address
        }
        return tuple({**members, **self._more}.values())
