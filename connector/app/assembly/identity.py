"""Who calls, and how we prove who we are: what stands behind the ports `Verifier` and `TokenSource`, opened for every role.

Wallets open when something first needs them: tokens and keys are libraries that a node without them does not load.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from connector.app.assembly.attesting import Attests
from connector.app.assembly.ground import Ground, Role
from connector.app.assembly.oauth2 import OAuth2Parts
from connector.errors import ConfigurationError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import APIRouter

    from connector.identity.admission import Spaces
    from connector.identity.credentials import SchemaCheck
    from connector.identity.deliveries import Deliveries
    from connector.identity.evidence import EvidenceSource
    from connector.identity.held import Held
    from connector.identity.holder import CredentialService
    from connector.identity.joining import Joining
    from connector.identity.keys import Keys, Safe
    from connector.identity.listsource import ListSource
    from connector.identity.mixed import Proofs
    from connector.identity.newcomers import Newcomers
    from connector.identity.requests import Requests
    from connector.identity.resolver import Resolver
    from connector.identity.senders import Senders
    from connector.identity.sts import TokenService
    from connector.identity.verifier import WalletVerifier
    from connector.identity.wallets import Part, Wallets
    from connector.ports.identity import TokenSource, Verifier
    from connector.ports.jobs import Job
    from connector.settings import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The open parts of the wallets: what other roles may build on."""

    keys: Keys
    held: Held
    wallets: Wallets
    resolver: Resolver
    senders: Senders
    evidence: EvidenceSource
    verifier: WalletVerifier
    ports: Proofs
    service: CredentialService
    deliveries: Deliveries
    tokens: TokenService
    lists: ListSource
    """The signed lists of data spaces, for whoever reads them."""
    joining: Joining
    newcomers: Newcomers


class WalletParts:
    """Opens the wallets once, when they are first needed."""

    def __init__(
        self, ground: Ground, requests: Requests, woken: asyncio.Event, changed: asyncio.Event, stack: AsyncExitStack
    ) -> None:
        self._ground = ground
        self._requests = requests
        self._woken = woken
        self._changed = changed
        self._stack = stack
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()

    async def opened(self) -> Opened:
        """The open parts.

        Raises: ConfigurationError when keys cannot be kept as the settings say.
        """
        if self._opened is None:
            async with self._opening:
                if self._opened is None:
                    await asyncio.to_thread(_loaded)
                    self._opened = self._made()
                    self._stack.push_async_callback(self._opened.resolver.close)
        return self._opened

    async def part(self, participant: str) -> Part | None:
        """The part that `participant` takes in a space with wallets."""
        try:
            context = await self._ground.participants.context(participant)
        except NotFound:
            return None
        return (context.id, context.membership) if context.membership is not None else None

    async def ports(self, participant: str) -> Proofs | None:
        """The ports over the wallet of `participant`; None for one without."""
        return (await self.opened()).ports if await self.part(participant) is not None else None

    def _made(self) -> Opened:
        from connector.app.parts import resolver_rules, trust_frameworks
        from connector.controlplane.secrets import Seal
        from connector.identity.admission import spaces_of
        from connector.identity.deliveries import Deliveries
        from connector.identity.evidence import EvidenceSource
        from connector.identity.held import Held
        from connector.identity.holder import CredentialService, WalletTokens
        from connector.identity.joined import joined
        from connector.identity.joining import Joining
        from connector.identity.keys import Keys
        from connector.identity.known import Known
        from connector.identity.listsource import ListSource
        from connector.identity.mixed import Proofs
        from connector.identity.newcomers import Newcomers
        from connector.identity.resolver import Resolver
        from connector.identity.senders import Senders
        from connector.identity.sts import TokenService
        from connector.identity.verifier import WalletVerifier
        from connector.identity.wallets import Wallets

        ground, settings = self._ground, self._ground.settings
        store, clock, outbound, said = ground.store, ground.clock, ground.outbound, settings.identity
        seal = Seal(ground.key)
        rules = resolver_rules(settings)
        resolver = Resolver(outbound, rules, lambda: clock.now().timestamp())
        senders = Senders(resolver=resolver, replay=store.replay, clock=clock)
        evidence = EvidenceSource(
            outbound, resolver, keep_lists=timedelta(seconds=said.keep_status_lists_s), schemas=_schemas(ground)
        )
        changed = ground.revisions.forget
        keys, held = Keys(store, _safe(ground), clock, _new_id, changed), Held(store, seal, clock, changed)
        lists = ListSource(outbound, resolver, store, clock, revision=ground.revisions.of)
        frameworks = trust_frameworks(settings)

        async def spaces(name: str, membership: Membership) -> Spaces:
            return spaces_of(await joined(store, name), membership.spaces, known=frameworks, lists=lists)

        wallets = Wallets(
            self.part,
            ground.revisions.of,
            keys=keys,
            held=held,
            clock=clock,
            services=lambda name: _services(ground, name),
            spaces=spaces,
            upstreams=ground.upstreams,
        )
        keep = timedelta(seconds=said.keep_presentations_s)
        known = Known(store, seal, evidence, keep=keep, keep_judgement=min(keep, timedelta(seconds=said.keep_status_lists_s)))
        verifier = WalletVerifier(
            wallets.membership,
            evidence=evidence,
            senders=senders,
            known=known,
            clock=clock,
            new_id=_new_id,
            places=rules.places,
        )
        tokens = WalletTokens(wallets.wallet, clock=clock, new_id=_new_id, known=verifier.known, remote=wallets.remote)

        def forget(holder: str) -> None:
            verifier.forget(holder)
            self._changed.set()

        newcomers = Newcomers(
            store=store,
            wallets=wallets.wallet,
            outbound=outbound,
            jobs=store.jobs,
            clock=clock,
            new_id=_new_id,
        )
        ledger = ground.settings.catalog if "catalog" in ground.settings.node.roles else None

        async def entered(participant: str, space: str) -> None:
            if ledger is not None and ledger.list is not None and participant == ledger.participant:
                await newcomers.put(participant, space)

        joining = Joining(
            store=store,
            wallets=wallets.wallet,
            requests=self._requests,
            lists=lists,
            senders=senders,
            outbound=outbound,
            jobs=store.jobs,
            clock=clock,
            new_id=_new_id,
            address=lambda name: f"{ground.public_url}/{name}",
            forget=forget,
            governor=lambda space: frameworks[space].governance if space in frameworks else None,
            changed=changed,
            wake=self._woken.set,
            entered=entered,
            unsafe_local=rules.unsafe_local,
        )
        return Opened(
            keys=keys,
            held=held,
            wallets=wallets,
            resolver=resolver,
            senders=senders,
            evidence=evidence,
            verifier=verifier,
            ports=Proofs(verifier=verifier, tokens=tokens),
            service=CredentialService(wallets.wallet, senders=senders, new_id=_new_id),
            deliveries=Deliveries(
                wallets=wallets.wallet,
                memberships=wallets.membership,
                senders=senders,
                requests=self._requests,
                held=held,
                evidence=evidence,
                wake=self._woken.set,
                offered=joining.offered,
                renew_before=timedelta(seconds=said.renew_before_s),
            ),
            tokens=TokenService(parts=self.part, wallets=wallets.wallet, clock=clock, new_id=_new_id),
            lists=lists,
            joining=joining,
            newcomers=newcomers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The open parts of the subject that other roles use."""

    verifier: Verifier
    tokens: TokenSource
    parts: WalletParts
    attests: Attests
    role: Role
    changed: asyncio.Event
    """Set when an authority has told that somebody's standing has changed."""


async def opened_identity(ground: Ground, stack: AsyncExitStack) -> Identity:
    """The identity of the node's participants.

    Raises: ConfigurationError.
    """
    from connector.controlplane.jobs import Again, Pace
    from connector.identity.mixed import MixedIdentity
    from connector.identity.requests import Requests
    from connector.identity.static import StaticTokens
    from connector.web.identity import routes

    woken, changed = asyncio.Event(), asyncio.Event()
    requests = Requests(ground.store, ground.clock)
    parts = WalletParts(ground, requests, woken, changed, stack)

    async def shared() -> tuple[Keys, Resolver]:
        found = await parts.opened()
        return found.keys, found.resolver

    oauth2 = OAuth2Parts(ground, shared)

    async def others(participant: str) -> Proofs | None:
        return await oauth2.proofs(participant) or await parts.ports(participant)

    ports = MixedIdentity(static=StaticTokens(ground.settings.participants), others=others)

    async def doors() -> routes.Wallets:
        found = await parts.opened()
        return routes.Wallets(
            document=found.wallets.document,
            service=found.service,
            deliveries=found.deliveries,
            tokens=found.tokens,
            notices=found.joining,
        )

    async def follow(job: Job) -> Again | None:
        at = await (await parts.opened()).joining.follow(job)
        return Again(at=at) if at is not None else None

    async def say_goodbye(job: Job) -> None:
        await (await parts.opened()).joining.say_goodbye(job)

    async def ask_to_follow(job: Job) -> None:
        await (await parts.opened()).newcomers.ask(job)

    ground.jobs.register("space.join", follow, Pace(attempts=1000, first_delay_s=1, max_delay_s=60))
    ground.jobs.register("space.follow", ask_to_follow, Pace(attempts=100, first_delay_s=1, max_delay_s=3600))
    ground.jobs.register("space.leave", say_goodbye, Pace(attempts=20, first_delay_s=1, max_delay_s=3600))

    async def renew() -> None:
        await _renew(ground, parts, requests, woken)

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator import identity, spaces
        from connector.web.operator.identity import IdentityParts

        found = IdentityParts(
            participants=ground.participants,
            opened=parts.opened,
            requests=requests,
            clock=ground.clock,
            woken=woken,
            clients=frozenset(name for name, one in ground.settings.participants.items() if one.oauth2 is not None),
        )
        return [identity.routes(found), spaces.routes(ground.participants, parts.opened)]

    doors_of_all = [*routes.routes(doors, _root(ground)), *oauth2.role().routes]
    role = Role(routes=doors_of_all, rooms=[rooms], workers={"credentials": renew}, sweeps=frozenset({"credentials"}))
    attests = Attests(parts.opened, parts.part, ground.clock)
    return Identity(verifier=ports, tokens=ports, parts=parts, attests=attests, role=role, changed=changed)


async def _renew(ground: Ground, parts: WalletParts, requests: Requests, woken: asyncio.Event) -> None:
    """Send the requests for credentials; nothing of it is loaded before there is one."""
    # whoever waited for the ports has its answer first
    await ground.clock.wait_until(ground.clock.now() + timedelta(seconds=1), woken)

    while not await requests.participants():
        await ground.clock.wait_until(ground.clock.now() + timedelta(minutes=1), woken)

    from connector.identity.renewal import Renewal

    opened = await parts.opened()
    await Renewal(
        requests=requests,
        wallets=opened.wallets.wallet,
        resolver=opened.resolver,
        outbound=ground.outbound,
        clock=ground.clock,
        new_id=_new_id,
        woken=woken,
    ).run()


def _root(ground: Ground) -> str | None:
    """The participant whose DID is that of the public address itself."""
    place = ground.public_url.partition("://")[2]
    did = "did:web:" + place.replace(":", "%3A")
    return next((name for name, one in ground.settings.participants.items() if one.id == did and "/" not in place), None)


def _services(ground: Ground, name: str) -> Mapping[str, str]:
    """The services in the DID document of a participant, by type."""
    base = f"{ground.public_url}/{name}"
    return {"CredentialService": f"{base}/dcp", "DataService": f"{base}/.well-known/dspace-version"}


def _safe(ground: Ground) -> Safe:
    """Where private keys are kept."""
    said = ground.settings.identity
    from connector.identity.keys import Passphrase, Sealed

    if said.passphrase is not None:
        passphrase = Passphrase(said.passphrase.encode())
    else:
        passphrase = Passphrase(ground.key.hex().encode(), is_random=True)
    if said.vault is not None:
        from connector.identity.vault import VaultSafe

        return VaultSafe(said.vault, passphrase)
    return Sealed(passphrase)


def _schemas(ground: Ground) -> Mapping[str, SchemaCheck]:
    """The JSON Schemas that credentials may name: those that the operator gave; none is ever fetched.

    Raises: ConfigurationError for a file that is none.
    """
    files = ground.settings.identity.schemas
    if not files:
        return {}
    from connector.identity.schemas import compiled

    found: dict[str, SchemaCheck] = {}
    for url, path in files.items():
        try:
            found[url] = compiled(path.read_bytes(), str(path))
        except OSError as fault:
            mend = "name a file that this process may read"
            raise ConfigurationError(
                f"the schema cannot be read: {fault.strerror or fault}", where=f"identity.schemas: {path}", mend=mend
            ) from fault
    return found


def _new_id() -> str:
    return str(uuid4())


def _loaded() -> None:
    """Load what wallets are made of, in a thread."""
    import connector.identity.deliveries
    import connector.identity.known
    import connector.identity.sts  # noqa: F401
