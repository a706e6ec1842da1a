"""Examinations: what the node finds when it looks at itself and at others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.app.assembly.ground import Ground, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from connector.api.doctor import Finding
    from connector.app.assembly.identity import WalletParts
    from connector.identity.joined import Joined


def doctor_role(ground: Ground, parts: WalletParts) -> Role:
    """The routes; everything is loaded when somebody first asks."""

    async def node() -> tuple[Finding, ...]:
        from connector.controlplane.doctor import node_findings

        return await node_findings(ground.store, ground.settings, ground.signs.faults, ground.clock)

    async def examine(did: str | None, address: str | None) -> tuple[Finding, ...]:
        from connector.identity.examination import Examiner

        reach = ground.settings.outbound
        examiner = Examiner(
            outbound=ground.outbound,
            clock=ground.clock,
            unsafe_http=reach.unsafe_allow_http,
            unsafe_local=reach.unsafe_allow_loopback or reach.unsafe_allow_private,
        )
        return await examiner.examine(did, address)

    async def spaces(participant: str) -> tuple[Joined, ...]:
        from connector.identity.joined import joined

        return await joined(ground.store, participant)

    async def credentials(participant: str) -> tuple[Finding, ...]:
        part = await parts.part(participant)
        if part is None or part[1].remote is not None:
            return ()
        from connector.identity import selfcheck
        from connector.identity.wallets import trust_of

        opened, (did, said) = await parts.opened(), part
        held, unsigned = await opened.held.all(participant), trust_of(said).unsigned_lists
        return await selfcheck.findings(did, held, opened.evidence, unsigned_lists=unsigned, now=ground.clock.now())

    async def given_up(participant: str) -> tuple[Finding, ...]:
        from connector.controlplane.unfinished import given_up_messages, given_up_work, uncompared

        messages = await given_up_messages(ground.store, participant, ground.clock.now())
        late = await uncompared(ground.store.jobs, participant)
        return (*await given_up_work(ground.store.jobs, participant), *late, *messages)

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator import doctor

        return [
            doctor.routes(
                doctor.Doctor(
                    participants=ground.participants,
                    node=node,
                    examine=examine,
                    spaces=spaces,
                    credentials=credentials,
                    given_up=given_up,
                )
            )
        ]

    return Role(rooms=[rooms])
