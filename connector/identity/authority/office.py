"""The authority as a whole: its parts, put together over what a node has.

What lives here: `Office`, `office`. What does not: routes, settings, and what a node has besides.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.identity.authority import announcing, issuer, signing, withdrawal
from connector.identity.authority.announcing import Announcing
from connector.identity.authority.issuer import Issuer
from connector.identity.authority.keyring import Keyring
from connector.identity.authority.records import AUTHORITY, Records
from connector.identity.authority.registry import Registry
from connector.identity.authority.signedlists import SignedLists
from connector.identity.authority.signing import Signing
from connector.identity.authority.space import Space
from connector.identity.authority.statuslists import StatusLists
from connector.identity.authority.withdrawal import Withdrawal
from connector.identity.keys import Keys
from connector.identity.senders import Senders
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.jobs import Job
from connector.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The open parts of an authority."""

    space: Space
    keys: Keys
    registry: Registry
    issuer: Issuer
    lists: SignedLists
    status_lists: StatusLists
    withdrawal: Withdrawal
    keyring: Keyring
    signing: Signing
    work: Mapping[str, Callable[[Job], Awaitable[datetime | None]]]
    """What its jobs do, by kind; one that answers with a moment comes again then."""

    async def ready(self) -> None:
        """Returns when the authority has all keys that it needs, and its lists are signed by timer."""
        await self.keyring.ready()
        await self.signing.begin()

    async def document(self) -> dict[str, Any]:
        """The authority's DID document."""
        return self.space.document(await self.keys.published(AUTHORITY))


def office(
    space: Space,
    *,
    store: Store,
    keys: Keys,
    senders: Senders,
    outbound: OutboundClient,
    clock: Clock,
    new_id: Callable[[], str],
    draw: Callable[[int], int] = secrets.randbelow,
) -> Office:
    """The authority of `space`; `draw` gives a number below its argument that nobody can foresee."""
    records = Records(store, clock)
    status_lists = StatusLists(records, keys, clock, issuer=space.did, address=space.address, draw=draw)
    lists = SignedLists(records, keys, clock, space)
    taken_back = Withdrawal(records, status_lists, store.jobs, clock, new_id=new_id)
    told = Announcing(records, lists, keys, store.jobs, outbound, clock, space=space, new_id=new_id)
    signed = Signing(records, lists, status_lists, store.jobs, clock)
    registry = Registry(
        records,
        space,
        signing=signed,
        senders=senders,
        withdrawal=taken_back,
        announcing=told,
        journal=store.journal,
        clock=clock,
        new_id=new_id,
    )
    issuing = Issuer(
        records,
        space,
        registry,
        keys=keys,
        lists=status_lists,
        withdrawal=taken_back,
        senders=senders,
        outbound=outbound,
        jobs=store.jobs,
        clock=clock,
        new_id=new_id,
    )
    return Office(
        space=space,
        keys=keys,
        registry=registry,
        issuer=issuing,
        lists=lists,
        status_lists=status_lists,
        withdrawal=taken_back,
        keyring=Keyring(keys, records, issuing, space=space, forget=senders.resolver.forget),
        signing=signed,
        work={
            issuer.DELIVERY: issuing.work_delivery,
            issuer.OFFER: issuing.work_offer,
            announcing.JOB: told.work,
            withdrawal.JOB: taken_back.work,
            signing.JOB: signed.work,
        },
    )
