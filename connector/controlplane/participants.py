"""The participant contexts that this node serves: those of the settings, and those added while it runs.

A context is the frame of everything: no document, process, address or log line exists outside of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from connector import settings as configured
from connector.controlplane.together import Together
from connector.errors import CallerError, Conflict, NotFound
from connector.odrl.explain import Disclosure
from connector.odrl.truth import DutyMode
from connector.ports.clock import Clock
from connector.ports.decisions import KeptInputs
from connector.ports.store import Document, Store

NODE = "@node"
"""The context of what belongs to the node itself; no participant can have this name."""

LEFT = "participant-left"
"""Documents of the node that say whose a name was."""

CLAIM = "participant-id"
"""Documents of the node that say for which name a participant id is taken: of those who add one at once, the store lets one write it."""

_LOOK_AGAIN_S = 1.0
_MOST_REVISIONS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One participant as this node serves it."""

    name: str
    """Local name, as in addresses."""
    id: str
    """Participant id, as in agreements."""
    title: str
    address: str
    """Base address of its Dataspace Protocol 2025-1 endpoints: what peers get as callback address."""
    rules: tuple[configured.Rule, ...] = ()
    page_size: int = 1000
    is_approval_manual: bool = False
    disclosure: Disclosure = Disclosure.OPERANDS
    """How much of a refusal's reasons a peer is told."""
    duty_mode: DutyMode = DutyMode.REQUIRE_FULFILLED
    """When an open duty blocks."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is so where it uses data itself, by left operand."""
    consumer_operands: tuple[str, ...] = ()
    """Left operands that its consumers' connectors judge."""
    kept_inputs: KeptInputs = KeptInputs.ALL
    """Of which decisions the journal keeps the inputs."""
    is_catalog_logged: bool = True
    """Whether decisions about who sees an offer are kept, too."""
    most_held_per_peer: int = 200
    """Negotiations of one peer that may wait for a human."""
    longest_wait: timedelta = timedelta(days=30)
    """How long a process may stand still."""
    membership: configured.Membership | None = None
    """Its part in a space with wallets; None for one that takes none."""


class Revisions:
    """Tells cheaply whether the documents of a context have changed.

    Changes made through this node are seen at once, those of another node on the same store within a second.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[int, float]] = {}
        self._looks: Together[tuple[str, int], int] = Together(lambda question: store.revision(question[0]))
        """By participant and how often something was written here before: who asks after a write shares no look-up from before."""
        self._writes = 0
        """How often something was written here."""
        self.written: Callable[[], None] = lambda: None
        """Called when something was written here."""

    async def of(self, participant: str) -> int:
        """The revision to compare with the one a cached value was built from."""
        now = self._clock.now().timestamp()
        found = self.seen(participant, now)
        if found is not None:
            return found
        writes = self._writes
        revision = await self._looks.of((participant, writes))
        if len(self._known) >= _MOST_REVISIONS:
            # whoever calls participants that do not exist fills this, and nothing else
            self._known.clear()
        if writes == self._writes:
            # what was written while we looked may have been too late for us
            self._known[participant] = (revision, now)
        return revision

    def seen(self, participant: str, now: float) -> int | None:
        """The revision, if it was looked at a moment ago; `now` as a timestamp."""
        known = self._known.get(participant)
        return known[0] if known is not None and 0 <= now - known[1] < _LOOK_AGAIN_S else None

    def forget(self, participant: str) -> None:
        """Look again at the next question: something was written here."""
        self._writes += 1
        self._known.pop(participant, None)
        self.written()


class Participants:
    """The contexts, by local name."""

    def __init__(
        self, store: Store, settings: configured.Settings, revisions: Revisions, clock: Clock, public_url: str
    ) -> None:
        self._store = store
        self._settings = settings
        self._revisions = revisions
        self._clock = clock
        self._public_url = public_url.rstrip("/")
        self._contexts: dict[str, tuple[int, int, Context]] = {}
        self._loads: Together[tuple[str, int, int], Context] = Together(self._load)
        """By name and the revisions of the participant and the node."""
        self._ids: dict[str, str] = {}
        """The name of each participant by its id, as it was at the revision `_ids_at` of the node."""
        self._ids_at: int | None = None

    def address(self, name: str) -> str:
        """The base address of the context `name` for peers."""
        return f"{self._public_url}/{name}/dsp/2025-1"

    async def context(self, name: str) -> Context:
        """The context `name`.

        Raises: NotFound.
        """
        known = self._contexts.get(name)
        # twice in each message: without waiting where nothing has to be looked up
        if known is not None and self.is_current(known[2]):
            return known[2]
        own, node = await self._revisions.of(name), await self._revisions.of(NODE)
        if known is not None and known[:2] == (own, node):
            return known[2]
        context = await self._loads.of((name, own, node))
        self._contexts[name] = (own, node, context)
        return context

    def is_current(self, context: Context) -> bool:
        """Whether `context` is what `context()` gives now and nothing was written in it since, as far as somebody has just looked."""
        known, now = self._contexts.get(context.name), self._clock.now().timestamp()
        if known is None or known[2] is not context:
            return False
        return self._revisions.seen(context.name, now) == known[0] and self._revisions.seen(NODE, now) == known[1]

    async def _load(self, question: tuple[str, int, int]) -> Context:
        name = question[0]
        found = self._settings.participants.get(name)
        if found is None:
            document = await self._store.document(NODE, "participant", name)
            if document is None:
                raise NotFound(f"there is no participant `{name}` here", where=name)
            found = configured.Participant.model_validate(dict(document.body))
        rules = found.rules
        written = await self._store.document(name, "rules", "rules")
        if written is not None:
            rules = tuple(configured.Rule.model_validate(rule) for rule in written.body["rules"])
        return Context(
            name=name,
            id=found.id,
            title=found.title or name,
            address=self.address(name),
            rules=rules,
            page_size=found.page_size,
            is_approval_manual=found.approval == "manual",
            disclosure=Disclosure(found.disclosure),
            duty_mode=DutyMode(found.duty_mode),
            environment=found.environment,
            consumer_operands=found.consumer_operands,
            kept_inputs=KeptInputs(found.decision_inputs),
            is_catalog_logged=found.log_catalog_decisions,
            most_held_per_peer=found.most_held_per_peer,
            longest_wait=timedelta(seconds=found.longest_wait_s),
            membership=(found.identity or self._settings.identity.membership) if found.id.startswith("did:") else None,
        )

    async def all(self) -> tuple[Context, ...]:
        """Every context of this node, by name."""
        names = set(self._settings.participants) | {document.id for document in await self._added()}
        return tuple([await self.context(name) for name in sorted(names)])

    async def add(self, name: str, id_: str, title: str) -> Context:
        """A new context, served from now on.

        Raises: Conflict when the name or the participant id is taken.
        """
        if fault := configured.Settings.local_name_fault(name):
            raise CallerError(fault, where="name", mend="choose another name")
        said = self._settings.participants.get(name) or await self._store.document(NODE, "participant", name)
        own = name if said is not None else await self._name_of(id_)
        if own is not None:
            context = await self.context(own)
            mend = "choose another name or id"
            raise Conflict(f"participant `{context.name}` with id `{context.id}` exists", where=name, mend=mend)
        left = await self._store.document(NODE, LEFT, name)
        if left is not None and left.body["id"] != id_:
            mend = "choose another name: agreements of that participant are kept under it"
            raise Conflict(f"`{name}` was the name of `{left.body['id']}`", where="name", mend=mend)
        await self._claim(name, id_)
        now = self._clock.now()
        body = configured.Participant(id=id_, title=title).model_dump(mode="json")
        await self._store.put_document(
            Document(participant=NODE, kind="participant", id=name, body=body, created_at=now, updated_at=now), expect=0
        )
        self._revisions.forget(NODE)
        return await self.context(name)

    async def _claim(self, name: str, id_: str) -> None:
        """Take the participant id for `name`.

        Raises: Conflict when it is taken for another name, also when nothing is written under that yet.
        """
        now = self._clock.now()
        claim = Document(participant=NODE, kind=CLAIM, id=id_, body={"name": name}, created_at=now, updated_at=now)
        kept = await self._store.document(NODE, CLAIM, id_)
        if kept is None or await self._owner(kept.body["name"]) not in (None, id_):
            # nobody can add it any more under a name that another id has got
            try:
                await self._store.put_document(claim, expect=kept.version if kept is not None else 0)
                return
            except Conflict:
                kept = await self._store.document(NODE, CLAIM, id_)
        if kept is not None and kept.body["name"] != name:
            other = kept.body["name"]
            mend = f"choose another id; when adding `{other}` was broken off, add it again under that name"
            raise Conflict(f"the id `{id_}` is taken for participant `{other}`", where=name, mend=mend)

    async def _owner(self, name: str) -> str | None:
        """The id of the participant that a name is of, or was; None when nobody has had it."""
        if (said := self._settings.participants.get(name)) is not None:
            return said.id
        for kind in ("participant", LEFT):
            if (document := await self._store.document(NODE, kind, name)) is not None:
                return str(document.body["id"])
        return None

    async def _name_of(self, id_: str) -> str | None:
        """The name of the participant with an id; None when there is none."""
        revision = await self._store.revision(NODE)
        changed = await self._store.documents_since(NODE, self._ids_at) if self._ids_at is not None else None
        written = changed.written if changed is not None and not changed.deleted else None
        if written is None:
            self._ids = {said.id: name for name, said in self._settings.participants.items()}
            written = await self._added()
        self._ids |= {document.body["id"]: document.id for document in written if document.kind == "participant"}
        self._ids_at = revision
        return self._ids.get(id_)

    async def _added(self) -> tuple[Document, ...]:
        """The participants that were added while the node ran."""
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(NODE, "participant", cursor=cursor, limit=1000)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def vet_removal(self, name: str) -> Context:
        """The context, when it may be taken off the running node.

        Raises: NotFound; Conflict for one of the settings.
        """
        context = await self.context(name)
        if name in self._settings.participants:
            mend = f"take `participants.{name}` out of them and start the node anew"
            raise Conflict(f"participant `{name}` stands in the settings", where=name, mend=mend)
        return context

    async def remove(self, name: str) -> None:
        """Serve a context no longer, on every node of the store within a second; its name is kept for the same id.

        Raises: as `vet_removal`.
        """
        context, now = await self.vet_removal(name), self._clock.now()
        left = Document(participant=NODE, kind=LEFT, id=name, body={"id": context.id}, created_at=now, updated_at=now)
        await self._store.put_document(left)
        await self._store.delete_document(NODE, CLAIM, context.id)
        await self._store.delete_document(NODE, "participant", name)
        self._contexts.pop(name, None)
        self._revisions.forget(NODE)

    async def set_rules(self, name: str, rules: tuple[configured.Rule, ...]) -> Context:
        """The context with `rules` in place of those it had, from the settings or from an earlier call."""
        await self.context(name)
        now = self._clock.now()
        body = {"rules": [rule.model_dump(mode="json") for rule in rules]}
        await self._store.put_document(
            Document(participant=name, kind="rules", id="rules", body=body, created_at=now, updated_at=now)
        )
        self._revisions.forget(name)
        return await self.context(name)
