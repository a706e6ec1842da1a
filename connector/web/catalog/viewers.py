"""Who looks at the ledger: a proven member, or somebody of whom nothing is proven."""

from __future__ import annotations

from starlette.types import Scope

from connector.controlplane.participants import Participants
from connector.errors import Unauthenticated
from connector.federation.answers import Audience
from connector.federation.ledger import Ledger
from connector.ports.identity import Caller, MessageKind, Verifier
from connector.web.callers import Callers
from connector.web.edge import header


class Viewers(Callers):
    """Callers of the ledger; where everybody may look, somebody without a token is nobody known."""

    def __init__(self, participants: Participants, verifier: Verifier, ledger: Ledger, participant: str) -> None:
        super().__init__(participants, verifier)
        self._ledger = ledger
        self.participant = participant
        """Local name of the participant as whom the ledger answers."""

    async def caller(self, participant: str, scope: Scope, kind: MessageKind) -> Caller:
        """The author of a request, with an empty id when nothing is proven of it.

        Raises: Unauthenticated.
        """
        if header(scope, b"authorization") is None and self._ledger.audience is Audience.EVERYBODY:
            return Caller(id="")
        return await super().caller(participant, scope, kind)

    async def viewer(self, scope: Scope) -> Caller | None:
        """The same for the ledger: None stands for nobody known.

        Raises: Unauthenticated.
        """
        return known(await self.caller(self.participant, scope, MessageKind.CATALOG))

    async def somebody(self, scope: Scope) -> Caller | None:
        """The same where whoever cannot prove anything is answered, too."""
        try:
            return await self.viewer(scope)
        except Unauthenticated:
            return None


def known(caller: Caller) -> Caller | None:
    """The caller, or None when nothing is proven of it."""
    return caller if caller.id else None
