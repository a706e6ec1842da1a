"""Who calls: the proven author of a request to one of our participants, by whatever stands behind the port `Verifier`."""

from __future__ import annotations

from starlette.types import Scope

from connector.controlplane.participants import Context, Participants
from connector.ports.identity import Caller, MessageKind, Verifier
from connector.web.edge import header, note


class Callers:
    """Knows the participants of this node and proves who calls them."""

    def __init__(self, participants: Participants, verifier: Verifier) -> None:
        self._participants = participants
        self._verifier = verifier

    async def context(self, participant: str) -> Context:
        """The participant that is called.

        Raises: NotFound, to anybody: which participants a node serves is no secret.
        """
        return await self._participants.context(participant)

    async def caller(self, participant: str, scope: Scope, kind: MessageKind) -> Caller:
        """The author of a request of `kind` to `participant`.

        Raises: NotFound for an unknown participant; Unauthenticated.
        """
        await self.context(participant)
        caller = await self._verifier.verify(participant, header(scope, b"authorization"), kind)
        note(scope, peer=caller.id)
        return caller
