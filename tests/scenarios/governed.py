"""A data space with an authority on a node of its own, and members that join it as their operators would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from connector.api.authority import Approval, Decision, Reinstatement
from connector.api.spaces import JoinedSpace, SpaceWish
from connector.client import authority as calls
from connector.testing.dataspace import DataSpace, Member

SPACE = "urn:space:test"
MEMBERS_ONLY = {
    "permission": [
        {"action": "use", "constraint": [{"leftOperand": "claim:memberOf", "operator": "eq", "rightOperand": SPACE}]}
    ]
}
"""Use by members of the space."""


@dataclass(frozen=True)
class Governed:
    """The space, its authority, and what its operator does."""

    space: DataSpace
    authority: Member
    id: str = SPACE

    @property
    def url(self) -> str:
        return self.authority.app.public_url

    async def apply(self, member: Member, **attributes: Any) -> JoinedSpace:
        await self.space.begin()
        wish = SpaceWish(authority=self.url, attributes=attributes)
        return await member.send(member.calls.join_space(wish))

    async def approve(self, member: Member, **attributes: Any) -> None:
        await self.authority.send(calls.approve(member.id, Approval(attributes=attributes)))

    async def entered(self, member: Member) -> JoinedSpace:
        """How the member stands when nothing more happens by itself."""

        async def standing() -> JoinedSpace:
            return next(one for one in (await member.send(member.calls.spaces())).items if one.space == self.id)

        return await member.until(standing, lambda one: one.state in ("ACTIVE", "REVOKED") or bool(one.error))

    async def joined(self, *members: Member, **attributes: Any) -> None:
        """These are members, by the whole way."""
        for member in members:
            await self.apply(member, **attributes)
            await self.approve(member)
        for member in members:
            found = await self.entered(member)
            assert found.state == "ACTIVE", found.error

    async def suspend(self, member: Member) -> None:
        await self.authority.send(calls.decide(member.id, "suspend", Decision(reason="test")))

    async def reinstate(self, member: Member) -> None:
        await self.authority.send(calls.reinstate(member.id, Reinstatement()))


def governor_of(space: DataSpace, name: str, id_: str, **authority: Any) -> Member:
    """The node of an authority; its membership says `memberOf` the space, unless it is told otherwise."""
    said = {"space": id_, "credentials": [{"type": "MembershipCredential", "claims": {"memberOf": id_}}], **authority}
    return space.join(name, sections={"node": {"roles": ["connector", "authority"]}, "authority": said})


@asynccontextmanager
async def governed(*names: str, settings: dict[str, Any] | None = None, **authority: Any) -> AsyncIterator[tuple[Any, ...]]:
    """The governed space, and its members-to-be by name."""
    async with DataSpace(has_wallets=True, settings=settings or {}) as space:
        governor = governor_of(space, "governor", SPACE, **authority)
        members: dict[str, Member] = {}
        for name in names:
            # `anna/bert` is bert on the node of anna
            host, _, guest = name.partition("/")
            members[name] = space.join(guest, on=members[host]) if guest else space.join(host)
        yield (Governed(space, governor), *members.values())
