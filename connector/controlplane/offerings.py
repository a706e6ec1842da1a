"""What a participant offers: assets, policies and contract definitions as documents.

What lives here: writing those documents with their checks, and finding the data of an asset.
What does not: the offers that follow from them (`shelves.py`), who may see what (`seeing.py`), and what happens to a request
(`negotiation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from connector.api.offerings import Asset, ContractDefinition
from connector.api.offerings import Policy as PolicyDocument
from connector.controlplane import inheriting, publishing
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.secrets import Secrets
from connector.controlplane.shelf import Shelf
from connector.controlplane.shelves import Shelves
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY, checked
from connector.controlplane.sources import source_of, unlocked
from connector.controlplane.together import Together
from connector.errors import CallerError, Conflict, NotFound
from connector.odrl import jsonld
from connector.odrl.enforce import Clause
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, Source
from connector.ports.signaling import Planes
from connector.ports.store import Document, Page, Store

_MOST_READ: Final = 1000


class Found(NamedTuple):
    """Where data lies."""

    source: Source
    is_lasting: bool
    """Whether that is so until something is written in the context; what a secret opens is opened each time."""


class Offerings:
    """Documents in, and the data behind them out."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        revisions: Revisions,
        data_plane: DataPlane,
        secrets: Secrets,
        vocabulary: Vocabulary,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._data_plane = data_plane
        self._secrets = secrets
        self._vocabulary = vocabulary
        self._clock = clock
        self._shelves = Shelves(store, participants, revisions, data_plane, clock)
        self._read: dict[tuple[str, str], tuple[int, Asset, Source]] = {}
        """Of contexts without a current shelf: the revision, the asset and its source."""
        self._reads: Together[tuple[str, str, int], Asset | None] = Together(
            lambda place: self._shelves.asset(place[0], place[1])
        )
        """By participant, asset and revision."""

    def connect(self, planes: Planes) -> None:
        """Offer, from now on, what the data planes of others serve, too."""
        self._shelves.connect(planes)

    # --- documents

    async def put(
        self, participant: str, kind: str, id_: str, body: Mapping[str, Any], *, expect: int | None = None
    ) -> Document:
        """The document as it is now kept.

        Raises: NotFound for an unknown participant, CallerError for a body that says nothing useful, PolicyError for a policy
        that cannot be read, Conflict for another version than `expect`, or for an asset or policy that does not exist.
        """
        context = await self._participants.context(participant)
        if body.get("id") != id_:
            raise CallerError("the id in the body is not the one in the address", where="id", mend="send the same id twice")
        model = checked(kind, body)
        if isinstance(model, PolicyDocument):
            shelf = await self.shelf(participant)
            policies = {**shelf.policies, id_: jsonld.read(model.policy, "policy")}
            known = inheriting.family(policies)
            # thousands of definitions may stand on one policy: each kind of them is asked about once
            for name, legal_only in {(one.policy, one.legal_only) for one in shelf.definitions.values()}:
                own = policies.get(name)
                # others may inherit from the one that changes
                if own is not None and (id_ == name or own.inherit_from or own.replaced_by):
                    publishing.check(inheriting.whole(own, known), self._vocabulary, context, legal_only)
        if isinstance(model, ContractDefinition):
            await self._require(participant, model)
            publishing.check(await self.policy(participant, model.policy), self._vocabulary, context, model.legal_only)
        if isinstance(model, Asset):
            model = await self._described(participant, model)
        now = self._clock.now()
        document = Document(
            participant=participant, kind=kind, id=id_, body=model.model_dump(mode="json"), created_at=now, updated_at=now
        )
        kept = await self._store.put_document(document, expect=expect)
        self._revisions.forget(participant)
        return kept

    async def _require(self, participant: str, definition: ContractDefinition) -> None:
        """Refuse a definition that refers to what is not there: its offers would silently never show."""
        for id_ in (definition.policy, definition.access_policy):
            if id_ is not None and await self._store.document(participant, POLICY, id_) is None:
                raise Conflict(f"there is no policy `{id_}`", where="policy", mend="write the policy first")
        for id_ in definition.assets:
            if id_ != "*" and await self._store.document(participant, ASSET, id_) is None:
                raise Conflict(f"there is no asset `{id_}`", where="assets", mend="write the asset first, or use `*`")

    async def _described(self, participant: str, asset: Asset) -> Asset:
        """`asset` with what its data says of itself, where the operator did not: size, digest, media type.

        An upstream is not read to its end for a digest.
        Raises: SourceError when the data cannot be read; NotFound when the secret that opens it is not there.
        """
        if asset.source.type == "none" or (asset.digest is not None and asset.byte_size is not None):
            return asset
        source = await self._opened(participant, asset, source_of(asset))
        found = await self._data_plane.describe(source, with_digest=asset.source.type != "http" and asset.digest is None)
        return asset.model_copy(
            update={
                "digest": asset.digest or found.digest,
                "byte_size": found.byte_size if asset.byte_size is None else asset.byte_size,
                "media_type": asset.media_type or found.media_type,
            }
        )

    async def policy(self, participant: str, id_: str) -> Policy:
        """The policy that is kept under a name, with what it inherits from others of the participant.

        Raises: NotFound, PolicyError.
        """
        kept = checked(POLICY, (await self.get(participant, POLICY, id_)).body)
        assert isinstance(kept, PolicyDocument)
        return inheriting.read(kept.policy, "policy", (await self.shelf(participant)).known)

    async def clauses(self, participant: str, id_: str, legal_only: tuple[str, ...] | None = None) -> tuple[Clause, ...]:
        """Who sees to each clause of the policy `id_`; with `legal_only` None, of the policy of the contract definition `id_`.

        Raises: NotFound, PolicyError.
        """
        context = await self._participants.context(participant)
        if legal_only is None:
            definition = ContractDefinition.model_validate((await self.get(participant, DEFINITION, id_)).body)
            id_, legal_only = definition.policy, definition.legal_only
        return publishing.clauses(await self.policy(participant, id_), self._vocabulary, context, legal_only)

    async def get(self, participant: str, kind: str, id_: str) -> Document:
        """The document.

        Raises: NotFound.
        """
        await self._participants.context(participant)
        document = await self._store.document(participant, kind, id_)
        if document is None:
            raise NotFound(f"there is no {kind} `{id_}`", where=id_)
        return document

    async def list(self, participant: str, kind: str, cursor: str | None, limit: int) -> Page[Document]:
        """The documents of one kind, by id."""
        await self._participants.context(participant)
        return await self._store.documents(participant, kind, cursor=cursor, limit=limit)

    async def delete(self, participant: str, kind: str, id_: str) -> None:
        """Forget a document. Agreements about it stay; they have their own copy of the terms.

        Raises: NotFound; Conflict when a contract definition uses it, or a policy inherits from it.
        """
        await self.get(participant, kind, id_)
        if kind in (ASSET, POLICY):
            shelf = await self.shelf(participant)
            if kind == POLICY and (child := inheriting.child_of(id_, shelf.policies)) is not None:
                raise Conflict(f"policy `{child}` inherits from it", where=id_, mend="change or delete that policy first")
            for definition in shelf.definitions.values():
                used = (definition.policy, definition.access_policy) if kind == POLICY else definition.assets
                if id_ in used:
                    raise Conflict(
                        f"contract definition `{definition.id}` uses it",
                        where=id_,
                        mend="change or delete the definition first",
                    )
        await self._store.delete_document(participant, kind, id_)
        self._revisions.forget(participant)

    # --- offers

    async def shelf(self, participant: str) -> Shelf:
        """The whole offering of the context as it is now.

        Raises: NotFound for an unknown participant.
        """
        return await self._shelves.of(participant)

    async def source(self, participant: str, dataset: str) -> Source:
        """Where the data of `dataset` lies, with the credentials that open it.

        Raises: NotFound when the asset is gone.
        """
        return (await self.found(participant, dataset)).source

    async def found(self, participant: str, dataset: str) -> Found:
        """As `source`, and how long that is so; raises as that."""
        shelf = await self._shelves.current(participant)
        if shelf is None:
            asset, source = await self._alone(participant, dataset)
        else:
            found = shelf.assets.get(dataset)
            if found is None:
                raise _gone(dataset)
            asset, known = found, shelf.sources.get(dataset)
            source = known or shelf.sources.setdefault(dataset, source_of(asset))
        return Found(await self._opened(participant, asset, source), asset.source.secret is None)

    async def _alone(self, participant: str, dataset: str) -> tuple[Asset, Source]:
        """An asset and where its data lies, without a shelf; read once as long as nothing is written in the context."""
        # looked at before the document: what is written meanwhile has it read again
        revision = await self._revisions.of(participant)
        kept = self._read.get((participant, dataset))
        if kept is None or kept[0] != revision:
            asset = await self._reads.of((participant, dataset, revision))
            if asset is None:
                raise _gone(dataset)
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            kept = self._read[participant, dataset] = revision, asset, source_of(asset)
        return kept[1], kept[2]

    async def _opened(self, participant: str, asset: Asset, source: Source) -> Source:
        """Where the data of `asset` lies, with the credentials that open it."""
        if asset.source.secret is None:
            return source
        value = await self._secrets.opened(participant, asset.source.secret)
        return unlocked(source, asset.source, value)


def _gone(dataset: str) -> NotFound:
    return NotFound(f"there is no asset `{dataset}`", where=dataset, mend="publish it again under the same id")
