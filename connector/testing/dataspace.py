"""A data space in one process: several whole nodes that reach each other over loopback sockets, for stories in tests.

What lives here: `DataSpace`, which knows the members and starts their nodes, and `Member`, what one of them does in a story, through
the operator API as its operator would. What does not: anything a story asserts.

    async with DataSpace() as space:
        provider, member = space.join("provider"), space.join("member", claims={"membership": "active"})
        offer = await provider.publish("weather", policy=MEMBERS_ONLY)
        agreed = await member.negotiate(offer, purpose="research")
        assert await member.get(agreed) == b"..."

Nodes start when the first of them is asked for something: every member must have joined by then, because each node's settings
name the others. Nothing here sleeps for a fixed time; what is waited for is looked at again until it is so.
"""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from connector.api.agreements import Agreement
from connector.api.catalog import CatalogRequest, PeerCatalog
from connector.api.negotiations import Negotiation, NegotiationAct, NegotiationStep, NewNegotiation
from connector.api.offerings import Asset, ContractDefinition, Policy
from connector.api.processes import Timeline
from connector.api.sources import AssetSource
from connector.api.transfers import NewTransfer, Transfer, TransferAct, TransferStep
from connector.app import App
from connector.app.listening import free_ports
from connector.client import AsyncClient, Call, Calls
from connector.ports.clock import Clock
from connector.settings import Settings

T = TypeVar("T")

PULL: Final = "HttpData-PULL"
PUSH: Final = "HttpData-PUSH"
USE: Final[Mapping[str, Any]] = {"permission": [{"action": "use"}]}
"""The simplest policy: use, without any constraint."""

_WITHIN_S: Final = 20.0
"""Longest wait for something to become so; a story that waits this long has failed."""
_LOOK_AGAIN_S: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something that a member offers: enough to ask for it."""

    provider: Member
    dataset: str
    offer_id: str
    policy: Mapping[str, Any]

    def terms(self, policy: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The offer as a message carries it, with `policy` in place of its own rules when one is given."""
        return {"@id": self.offer_id, "@type": "Offer", "target": self.dataset, **(policy or self.policy)}


@dataclass(slots=True, kw_only=True)
class Member:
    """One participant, its node, and what it does."""

    space: DataSpace
    name: str
    id: str
    claims: Mapping[str, Any]
    options: Mapping[str, Any]
    """Further settings of the participant: `rules`, `approval`, `page_size`."""
    is_known: bool = True
    """False for a stranger: the others have no token of it."""
    on: Member | None = None
    """The member on whose node this one lives too; None for a node of its own."""
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further settings of its node, by section."""
    _app: App | None = field(default=None, repr=False)
    _client: AsyncClient | None = field(default=None, repr=False)

    # --- where it is

    @property
    def host(self) -> Member:
        """The member whose node this is."""
        return self.on.host if self.on is not None else self

    @property
    def app(self) -> App:
        """The running node."""
        app = self.host._app
        assert app is not None, "the data space has not begun"
        return app

    @property
    def address(self) -> str:
        """The base address of its protocol."""
        return f"{self.app.public_url}/{self.name}/dsp/2025-1"

    @property
    def calls(self) -> Calls:
        """The calls of the operator API, for this participant."""
        return Calls(self.name)

    def token_for(self, other: Member) -> str:
        """What its requests to `other` carry."""
        return f"Bearer {self.name}-to-{other.name}"

    async def send(self, call: Call[T]) -> T:
        """The answer of its own operator API.

        Raises: the error that the node answered.
        """
        await self.space.begin()
        client = self.host._client
        assert client is not None
        return await client.send(call)

    # --- as provider

    async def publish(
        self,
        name: str,
        *,
        content: bytes | None = None,
        source: AssetSource | None = None,
        policy: Mapping[str, Any] = USE,
        access_policy: Mapping[str, Any] | None = None,
        **definition: Any,
    ) -> Offer:
        """An offer of `content` (or of `source`) under `policy`, to be found in its catalogue from now on."""
        await self.space.begin()
        dataset = f"urn:{self.name}:{name}"
        if source is None:
            body = content if content is not None else f"the data of {name}\n".encode()
            path = await asyncio.to_thread(_written, self.space.folder / f"{self.name}-{name}.txt", body)
            source = AssetSource(type="file", path=str(path))
        await self.send(self.calls.put_asset(Asset(id=dataset, title=name, keywords=(name,), source=source)))
        await self.send(self.calls.put_policy(Policy(id=f"{name}-terms", policy=dict(policy))))
        if access_policy is not None:
            await self.send(self.calls.put_policy(Policy(id=f"{name}-access", policy=dict(access_policy))))
            definition["access_policy"] = f"{name}-access"
        wanted = ContractDefinition.model_validate({"id": name, "assets": [dataset], "policy": f"{name}-terms", **definition})
        await self.send(self.calls.put_definition(wanted))
        offer_id = wanted.offer_id.replace("{definition}", name).replace("{dataset}", dataset)
        return Offer(provider=self, dataset=dataset, offer_id=offer_id, policy=policy)

    # --- as consumer

    async def catalog(self, of: Member, **wanted: Any) -> PeerCatalog:
        """The catalogue of another member, as this one sees it."""
        await self.space.begin()
        return await self.send(self.calls.catalog_of(CatalogRequest(address=of.address, peer=of.id, **wanted)))

    async def request(self, offer: Offer, *, terms: Mapping[str, Any] | None = None, purpose: str | None = None) -> Negotiation:
        """A negotiation about `offer`, just begun."""
        await self.space.begin()
        provider = offer.provider
        wanted = NewNegotiation(
            address=provider.address, peer=provider.id, dataset=offer.dataset, offer=offer.terms(terms), purpose=purpose
        )
        return await self.send(self.calls.negotiate(wanted))

    async def negotiate(
        self, offer: Offer, *, terms: Mapping[str, Any] | None = None, purpose: str | None = None
    ) -> Negotiation:
        """A negotiation about `offer` as it ended, or stands because somebody must act."""
        begun = await self.request(offer, terms=terms, purpose=purpose)
        return await self.until_negotiation(begun.pid, lambda n: n.state in ("FINALIZED", "TERMINATED") or n.hold is not None)

    async def transfer(
        self, agreed: Negotiation | Agreement, *, format: str = PULL, purpose: str | None = None, **wanted: Any
    ) -> Transfer:
        """A transfer under an agreement, once it is STARTED or over."""
        agreement = agreed.agreement_id if isinstance(agreed, Negotiation) else agreed.id
        assert agreement is not None, "there is no agreement"
        begun = await self.send(
            self.calls.begin_transfer(NewTransfer(agreement=agreement, format=format, purpose=purpose, **wanted))
        )
        return await self.until_transfer(begun.pid, "STARTED", "COMPLETED", "TERMINATED")

    async def get(self, agreed: Negotiation | Agreement | Transfer) -> bytes:
        """The data of an agreement by pull, or of a transfer that is there already."""
        transfer = agreed if isinstance(agreed, Transfer) else await self.transfer(agreed)
        return await self.send(self.calls.data(transfer.pid))

    # --- acts, and waiting

    async def act(self, pid: str, act: NegotiationAct, **given: Any) -> Negotiation:
        """A negotiation after an act of ours."""
        return await self.send(self.calls.act_in_negotiation(pid, act, NegotiationStep(**given)))

    async def steer(self, pid: str, act: TransferAct, **given: Any) -> Transfer:
        """A transfer after an act of ours."""
        return await self.send(self.calls.act_in_transfer(pid, act, TransferStep(**given)))

    async def until_negotiation(self, pid: str, *reached: str | Callable[[Negotiation], bool]) -> Negotiation:
        """The negotiation as soon as it is in one of the states, or fits."""
        return await self.until(lambda: self.send(self.calls.negotiation(pid)), lambda found: _fits(found, reached))

    async def until_transfer(self, pid: str, *reached: str | Callable[[Transfer], bool]) -> Transfer:
        """The transfer as soon as it is in one of the states, or fits."""
        return await self.until(lambda: self.send(self.calls.transfer(pid)), lambda found: _fits(found, reached))

    async def until(self, look: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
        """The first thing seen that fits.

        Raises: AssertionError, with the last thing seen, when that takes longer than any story should.
        """
        seen: object = None
        try:
            async with asyncio.timeout(_WITHIN_S):
                while not fits(found := await look()):
                    seen = found
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise AssertionError(f"`{self.name}` waited in vain; the last thing it saw: {seen!r}") from None
        return found

    async def theirs(self, of: Negotiation | Transfer) -> str:
        """Our own pid of the process that a peer calls `of`."""
        if isinstance(of, Negotiation):
            page: Any = await self.send(self.calls.negotiations())
        else:
            page = await self.send(self.calls.transfers())
        return next(str(p.pid) for p in page.items if p.peer_pid == of.pid or p.pid == of.peer_pid)

    async def timeline(self, pid: str) -> Timeline:
        """Everything that happened in a process."""
        return await self.send(self.calls.timeline(pid))


def _fits(found: Any, reached: Sequence[str | Callable[[Any], bool]]) -> bool:
    return any(found.state == wanted if isinstance(wanted, str) else wanted(found) for wanted in reached)


class DataSpace:
    """Members, and their nodes for as long as the context is open."""

    def __init__(
        self,
        *,
        store: str = "memory:",
        clock: Clock | None = None,
        settings: Mapping[str, Any] | None = None,
        has_wallets: bool = False,
    ) -> None:
        """`store` is the URL of every node's store; `settings` are further sections for every node.

        With `has_wallets` members have a did:web and prove themselves by credentials instead of texts; `settings` then say in
        `identity` whose credentials count.
        """
        self._has_wallets = has_wallets
        self._store = store
        self._clock = clock
        self._settings = dict(settings or {})
        self._members: dict[str, Member] = {}
        self._running: dict[str, AsyncExitStack] = {}
        self._ports: dict[str, int] = {}
        self._begins = asyncio.Lock()
        self._has_begun = False
        self.folder = pathlib.Path()
        """Where nodes and published files live, for as long as the space does."""

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="kontor-")
        self.folder = pathlib.Path(self._folder.name)
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            await self._running.pop(name).aclose()
        await asyncio.to_thread(self._folder.cleanup)

    def join(
        self,
        name: str,
        *,
        claims: Mapping[str, Any] | None = None,
        on: Member | None = None,
        is_known: bool = True,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Member:
        """A new member, known to all others with `claims`; `on` puts it on another member's node; `sections` are its node's."""
        assert not self._has_begun, "members join before the first of them does anything"
        assert name not in self._members, f"`{name}` is a member already"
        id_ = f"urn:member:{name}"
        if self._has_wallets:
            # the port is part of the identifier, so it is chosen before the node starts
            host = on.host.name if on is not None else name
            self._ports[host] = port = self._ports.get(host) or free_ports(1)[0]
            id_ = f"did:web:localhost%3A{port}:{name}"
        member = Member(
            space=self,
            name=name,
            id=id_,
            claims=dict(claims or {}),
            options=options,
            is_known=is_known,
            on=on,
            sections=sections or {},
        )
        self._members[name] = member
        return member

    def stranger(self, name: str = "stranger") -> Member:
        """Somebody with a whole node whom no member knows."""
        return self.join(name, is_known=False)

    async def begin(self) -> None:
        """Start every node; again at no cost."""
        async with self._begins:
            if self._has_begun:
                return
            self._has_begun = True
            for member in self._members.values():
                if member.on is None:
                    await self.start(member)

    async def start(self, member: Member) -> None:
        """Start the node of `member`; after a stop on the same port and with the same folder."""
        stack = AsyncExitStack()
        app = await stack.enter_async_context(App(Settings.model_validate(self.settings_of(member)), clock=self._clock))
        member._app = app
        member._client = await stack.enter_async_context(AsyncClient(app.operator_url, api_key()))
        self._ports[member.name] = urlsplit(app.public_url).port or 0
        self._running[member.name] = stack

    async def stop(self, member: Member) -> None:
        """Stop the node of `member`, as its operator would."""
        await self._running.pop(member.name).aclose()

    def settings_of(self, host: Member) -> dict[str, Any]:
        """The settings of the node of `host`, for commands that work beside it or on its files."""
        port = self._ports.get(host.name, 0)
        here = [member for member in self._members.values() if member.host is host]
        sections: dict[str, dict[str, Any]] = {
            "node": {
                "id": host.name,
                "public_url": f"http://{'localhost' if self._has_wallets else '127.0.0.1'}:{port}",
                "data_dir": self.folder / host.name,
            },
            "public": {"port": port},
            "operator": {"port": 0, "api_keys": [_known_key(name) for name in ("*", *(member.name for member in here))]},
            "store": {"url": self._store},
            "outbound": {"unsafe_allow_http": True, "unsafe_allow_loopback": True},
            "delivery": {"attempts": 100, "first_delay_s": 0.02, "max_delay_s": 0.1},
        }
        for settings in (self._settings, host.sections):
            for name, section in settings.items():
                sections[name] = {**sections.get(name, {}), **section}
        return {**sections, "participants": {member.name: self._participant(member) for member in here}}

    def _participant(self, member: Member) -> dict[str, Any]:
        if self._has_wallets:
            return {"id": member.id, "title": member.name, **member.options}
        tokens = [
            {
                "id": other.id,
                "theirs": other.token_for(member) if other.is_known else None,
                "ours": member.token_for(other),
                "claims": dict(other.claims),
            }
            for other in self._members.values()
            if other is not member
        ]
        return {"id": member.id, "title": member.name, "unsafe_static_tokens": tokens, **member.options}


def api_key(participant: str = "*") -> str:
    """The key of every node's operator API that is good for one participant, or for all."""
    return f"key-for-{participant}"


def _known_key(participant: str) -> dict[str, Any]:
    digest = hashlib.sha256(api_key(participant).encode()).hexdigest()
    return {
        "name": f"for-{'all' if participant == '*' else participant}",
        "sha256": digest,
        "participants": [participant],
        "role": "admin",
    }


def _written(path: pathlib.Path, body: bytes) -> pathlib.Path:
    path.write_bytes(body)
    return path
