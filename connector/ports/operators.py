"""Who runs the node and what each may do: roles, grants, and the seam behind which bearer tokens of a provider stand.

What lives here: `OperatorRole`, `Grant`, `Operator`, `OperatorTokens`.
What does not: keys and their keeping (`controlplane/operators.py`), how a token is proven (`identity/oidc.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

ALL: Final = "*"
"""In a grant: every participant context, and the node itself."""


class OperatorRole(StrEnum):
    """What an operator may do; each includes the one before."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def includes(self, other: OperatorRole) -> bool:
        """Whether whoever has this role may do what `other` lets one do."""
        order = list(OperatorRole)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One role in some contexts."""

    role: OperatorRole
    participants: frozenset[str]

    def covers(self, role: OperatorRole, participant: str) -> bool:
        """Whether it lets its holder act as `role` in the context `participant`, or in all of them for `*`."""
        return self.role.includes(role) and (ALL in self.participants or participant in self.participants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody who has proven to be one: by a key or by a token."""

    name: str
    """As it stands in the log and in the audit trail."""
    grants: tuple[Grant, ...]

    def may(self, role: OperatorRole, participant: str) -> bool:
        """Whether one of the grants covers it; `*` asks for all contexts and the node."""
        return any(grant.covers(role, participant) for grant in self.grants)

    def has(self, role: OperatorRole) -> bool:
        """Whether it has the role, or more, anywhere."""
        return any(grant.role.includes(role) for grant in self.grants)

    def opens(self, participant: str) -> bool:
        """Whether it may look at `participant`."""
        return self.may(OperatorRole.READ, participant)

    def may_give(self, participants: frozenset[str]) -> bool:
        """Whether it may let others into `participants`, in any role: nobody gives more than an administrator of them has."""
        return all(self.may(OperatorRole.ADMIN, participant) for participant in participants)


class OperatorTokens(Protocol):
    """Proves operators by tokens that another party has issued."""

    async def operator(self, token: str) -> Operator:
        """Whose token it is, with what it lets its bearer do here.

        Raises: Unproven with the failed check; Unreachable, PeerAnswer or Overloaded when its keys cannot be had.
        """
        ...
