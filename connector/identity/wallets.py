"""The wallets of this node's participants: who takes part, with which keys and credentials, now.

What lives here: `Wallets`, which puts together what the settings, the keys and the held credentials say, and keeps it until one of
them changes; the DID documents to publish. What does not: using them (`holder.py`, `verifier.py`, `deliveries.py`).
A wallet and its keys come into being when they are first needed: a node of thousands of participants starts without them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from connector import settings as configured
from connector.identity import did as dids
from connector.identity.admission import Spaces
from connector.identity.credentials import Trust
from connector.identity.formats import Model
from connector.identity.held import Held
from connector.identity.holder import Wallet
from connector.identity.keys import Keys, Purpose
from connector.identity.remote import Remote
from connector.identity.scopes import ALIASES, By
from connector.identity.verifier import Membership
from connector.jose import SigningKey
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.identity import MessageKind

Part = tuple[str, configured.Membership]
"""A participant's DID, and the part that it takes in a space with wallets."""

PURPOSES: Final = (Purpose.TOKEN, Purpose.PRESENTATION, Purpose.ACCESS)
_MODELS: Final = {"vc11-sl2021/jwt": Model.V1, "vc20-bssl/jwt": Model.V2}
_MOST_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    part: Part
    revision: int
    until: datetime | None
    wallet: Wallet | None
    """None where somebody else runs it."""
    membership: Membership


class Wallets:
    """Wallet and membership by participant."""

    def __init__(
        self,
        part: Callable[[str], Awaitable[Part | None]],
        revision: Callable[[str], Awaitable[int]],
        *,
        keys: Keys,
        held: Held,
        clock: Clock,
        services: Callable[[str], Mapping[str, str]],
        spaces: Callable[[str, configured.Membership], Awaitable[Spaces]],
        upstreams: OutboundClient,
    ) -> None:
        """`part` tells who takes part, None for who does not; `revision` grows when something of the participant's is written;
        `services` are those of its DID document, by type; `spaces` are those that it takes part in; `upstreams` is the way to
        wallets that somebody else runs."""
        self._part = part
        self._revision = revision
        self._keys = keys
        self._held = held
        self._clock = clock
        self._services = services
        self._spaces = spaces
        self._upstreams = upstreams
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._loading: dict[str, asyncio.Lock] = {}

    async def part(self, participant: str) -> Part | None:
        """What the settings say; None for a participant without a wallet, and for nobody."""
        return await self._part(participant)

    async def wallet(self, participant: str) -> Wallet | None:
        """What `participant` proves itself with; None when it has no wallet.

        Raises: ConfigurationError when its keys do not open, StoreUnavailable.
        """
        kept = await self._current(participant)
        return kept.wallet if kept is not None else None

    async def membership(self, participant: str) -> Membership | None:
        """How `participant` proves others; raises as `wallet`."""
        kept = await self._current(participant)
        return kept.membership if kept is not None else None

    async def remote(self, participant: str) -> tuple[Remote, tuple[str, ...]] | None:
        """The wallet that somebody else runs for `participant`, and what its peers may ask there; None where it is here."""
        part = await self._part(participant)
        if part is None or part[1].remote is None:
            return None
        return Remote(settings=part[1].remote, outbound=self._upstreams), part[1].granted

    async def document(self, participant: str) -> dict[str, Any] | None:
        """The DID document of `participant`; None when it has no wallet, or one elsewhere."""
        kept = await self._current(participant)
        if kept is None or kept.wallet is None:
            return None
        return dids.write(kept.wallet.did, await self._keys.published(participant), self._services(participant))

    async def _current(self, participant: str) -> _Kept | None:
        part = await self._part(participant)
        if part is None:
            return None
        kept = self._kept.get(participant)
        if kept is not None and await self._is_current(kept, part, participant):
            self._kept.move_to_end(participant)
            return kept
        async with self._loading.setdefault(participant, asyncio.Lock()):
            kept = self._kept.get(participant)
            if kept is None or not await self._is_current(kept, part, participant):
                kept = self._kept[participant] = await self._load(participant, part)
                while len(self._kept) > _MOST_KEPT:
                    self._loading.pop(self._kept.popitem(last=False)[0], None)
        return kept

    async def _is_current(self, kept: _Kept, part: Part, participant: str) -> bool:
        is_same = kept.part[0] == part[0] and kept.part[1] is part[1] and kept.revision == await self._revision(participant)
        return is_same and (kept.until is None or self._clock.now() < kept.until)

    async def _load(self, participant: str, part: Part) -> _Kept:
        did, said = part
        if said.remote is None:
            await self._keys.ensure(participant, did, PURPOSES)
        # before what it is compared with later: what is written meanwhile makes it load again
        revision = await self._revision(participant)
        spaces = await self._spaces(participant, said)
        aliases = {**ALIASES, **{name: By(by) for name, by in said.aliases.items()}}
        wallet: Wallet | None = None
        key: SigningKey | Remote
        if said.remote is None:
            wallet = replace(await self._opened(participant, part, aliases), spaces=spaces)
            key = wallet.token_key
        else:
            key = Remote(settings=said.remote, outbound=self._upstreams)
        membership = Membership(
            did=did,
            key=key,
            scopes=said.scopes,
            by_kind={MessageKind(kind): scopes for kind, scopes in said.message_scopes.items()},
            trust=trust_of(said),
            aliases=aliases,
            spaces=spaces,
        )
        until = await self._keys.changes(participant)
        return _Kept(part=part, revision=revision, until=until, wallet=wallet, membership=membership)

    async def _opened(self, participant: str, part: Part, aliases: Mapping[str, By]) -> Wallet:
        """The wallet of `participant`, with its keys and what it holds."""
        did, said = part
        return Wallet(
            did=did,
            token_key=await self._keys.signing(participant, Purpose.TOKEN),
            presentation_key=await self._keys.signing(participant, Purpose.PRESENTATION),
            access_key=await self._keys.signing(participant, Purpose.ACCESS),
            former_access_keys=await self._keys.proving(participant, Purpose.ACCESS),
            held=tuple((await self._held.all(participant)).values()),
            grants=said.granted,
            aliases=aliases,
            models=tuple(_MODELS[name] for name in said.profiles),
            refuses_beyond_grant=said.beyond_grant == "refuse",
        )


def trust_of(said: configured.Membership) -> Trust:
    """Whom a participant believes, by its settings."""
    types: dict[str, frozenset[str]] = {}
    for issuer in said.trusted_issuers:
        types[issuer.id] = types.get(issuer.id, frozenset()) | frozenset(issuer.types)
    return Trust(
        issuers=types,
        unsigned_lists=frozenset(one.id for one in said.trusted_issuers if one.unsafe_unsigned_lists),
        must_declare=said.must_declare,
    )
