"""The ports `Attester` and `Prover` as roles get them: wallets and the libraries of tokens are opened when something is signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector.ports.clock import Clock

if TYPE_CHECKING:
    from connector.identity.attesting import Attesting, Parts
    from connector.ports.attesting import Attested


class Attests:
    """Opens what signs and proves when it is first needed."""

    def __init__(
        self, opened: Callable[[], Awaitable[Parts]], part: Callable[[str], Awaitable[object | None]], clock: Clock
    ) -> None:
        """`part` tells which part a participant takes in a space with wallets; None for one that has none, which opens nothing."""
        self._opened = opened
        self._part = part
        self._clock = clock

    async def attest(self, participant: str, type_: str, claims: Mapping[str, Any], until: datetime) -> str | None:
        """As `Attester.attest`."""
        if await self._part(participant) is None:
            return None
        return await (await self._attesting()).attest(participant, type_, claims, until)

    async def held(self, participant: str) -> Sequence[tuple[tuple[str, ...], str]]:
        """As `Attester.held`."""
        return await (await self._attesting()).held(participant) if await self._part(participant) is not None else ()

    async def credential(self, raw: str, *, subject: str) -> Attested:
        """As `Prover.credential`."""
        return await (await self._attesting()).credential(raw, subject=subject)

    async def signer(self, tree: Mapping[str, Any], allowed: Collection[str]) -> str:
        """As `Prover.signer`."""
        return await (await self._attesting()).signer(tree, allowed)

    async def services(self, did: str) -> tuple[str, ...]:
        """As `Prover.services`."""
        return await (await self._attesting()).services(did)

    async def _attesting(self) -> Attesting:
        from connector.identity.attesting import Attesting

        return Attesting(parts=await self._opened(), clock=self._clock)
