"""What a participant offers: assets, policies and contract definitions as documents, and the offers that follow from them.

What lives here: writing those documents with their checks, and making of them the shelf (`shelf.py`), anew when a document changes.
A bad document never breaks the rest: it is left out of the shelf, with a fault that says why.
What does not: who may see what (`seeing.py`), and what happens to a request (`negotiation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from connector import observe
from connector.api.offerings import Asset, ContractDefinition
from connector.api.offerings import Policy as PolicyDocument
from connector.controlplane import inheriting, publishing
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.secrets import Secrets
from connector.controlplane.shelf import Item, Shelf, Terms, by_access
from connector.controlplane.sources import source_of, unlocked
from connector.dsp.negotiation import rules_of
from connector.errors import CallerError, Conflict, KontorError, NotFound
from connector.odrl import canonical, jsonld
from connector.odrl.enforce import Clause
from connector.odrl.model import Policy
from connector.odrl.vocabulary import Vocabulary
from connector.ports.clock import Clock
from connector.ports.dataplane import DataPlane, Source
from connector.ports.signaling import ANY_SOURCE, Planes
from connector.ports.store import Document, Page, Store

ASSET, POLICY, DEFINITION = "asset", "policy", "contract-definition"
_MODELS: Mapping[str, type[BaseModel]] = {ASSET: Asset, POLICY: PolicyDocument, DEFINITION: ContractDefinition}


class Offerings:
    """Documents in, shelves out."""

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
        self._shelves: dict[str, Shelf] = {}
        self._planes: Planes | None = None

    def connect(self, planes: Planes) -> None:
        """Offer, from now on, what the data planes of others serve, too."""
        self._planes = planes

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
        model = _checked(kind, body)
        if isinstance(model, PolicyDocument):
            shelf = await self.shelf(participant)
            policies = {**shelf.policies, id_: jsonld.read(model.policy, "policy")}
            known = inheriting.family(policies)
            for definition in shelf.definitions.values():
                own = policies.get(definition.policy)
                # others may inherit from the one that changes
                if own is not None and (id_ == definition.policy or own.inherit_from or own.replaced_by):
                    whole = inheriting.whole(own, known)
                    publishing.check(whole, self._vocabulary, context, definition.legal_only)
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
        kept = _checked(POLICY, (await self.get(participant, POLICY, id_)).body)
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
        revision = await self._revisions.of(participant)
        shelf = self._shelves.get(participant)
        if shelf is None or shelf.revision != revision:
            await self._participants.context(participant)
            shelf = _shelf(
                revision,
                await self._all(participant, ASSET),
                await self._all(participant, POLICY),
                await self._all(participant, DEFINITION),
                self._data_plane,
                await self._profiles(participant),
            )
            for fault in shelf.faults:
                observe.warning("offerings.left_out", participant=participant, fault=fault)
            self._shelves[participant] = shelf
        return shelf

    async def _profiles(self, participant: str) -> Mapping[str, tuple[str, ...]]:
        """In which formats the data planes of others can serve, by type of source."""
        if self._planes is None:
            return {}
        return {kind: await self._planes.profiles(participant, kind) for kind in ("http", "s3", ANY_SOURCE)}

    async def _all(self, participant: str, kind: str) -> tuple[Document, ...]:
        found: list[Document] = []
        cursor: str | None = None
        while True:
            page = await self._store.documents(participant, kind, cursor=cursor, limit=1000)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)

    async def source(self, participant: str, dataset: str) -> Source:
        """Where the data of `dataset` lies, with the credentials that open it.

        Raises: NotFound when the asset is gone.
        """
        shelf = await self.shelf(participant)
        asset = shelf.assets.get(dataset)
        if asset is None:
            raise NotFound(f"there is no asset `{dataset}`", where=dataset, mend="publish it again under the same id")
        source = shelf.sources.get(dataset)
        if source is None:
            source = shelf.sources[dataset] = source_of(asset)
        return await self._opened(participant, asset, source)

    async def _opened(self, participant: str, asset: Asset, source: Source) -> Source:
        """Where the data of `asset` lies, with the credentials that open it."""
        if asset.source.secret is None:
            return source
        value = await self._secrets.opened(participant, asset.source.secret)
        return unlocked(source, asset.source, value)


def _checked(kind: str, body: Mapping[str, Any]) -> BaseModel:
    try:
        return _MODELS[kind].model_validate(dict(body))
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CallerError(first["msg"].lower(), where=where, mend="see the model in the API's description") from fault


def _shelf(
    revision: int,
    assets: tuple[Document, ...],
    policies: tuple[Document, ...],
    definitions: tuple[Document, ...],
    data_plane: DataPlane,
    profiles: Mapping[str, tuple[str, ...]],
) -> Shelf:
    """The offering that the documents amount to; each document on its own, so that a bad one leaves only itself out."""
    faults: list[str] = []
    written: dict[str, Policy] = {}
    read: dict[str, Policy] = {}
    digests: dict[str, str] = {}
    trees: dict[str, dict[str, Any]] = {}
    for document in policies:
        try:
            policy_document = _checked(POLICY, document.body)
            assert isinstance(policy_document, PolicyDocument)
            written[document.id] = jsonld.read(policy_document.policy, "policy")
        except CallerError as fault:
            faults.append(f"policy `{document.id}`: {fault}")
    parents = inheriting.family(written)
    for id_, own in written.items():
        try:
            policy = inheriting.whole(own, parents)
            digests[id_], trees[id_] = canonical.digest(policy), _offer_tree(policy)
            read[id_] = policy
        except CallerError as fault:
            faults.append(f"policy `{id_}`: {fault}")
    known: dict[str, tuple[Asset, datetime]] = {}
    kept: dict[str, ContractDefinition] = {}
    for document in (*assets, *definitions):
        try:
            model = _checked(document.kind, document.body)
        except CallerError as fault:
            faults.append(f"{document.kind} `{document.id}`: {fault}")
            continue
        if isinstance(model, Asset):
            known[document.id] = model, document.updated_at
        elif isinstance(model, ContractDefinition):
            kept[document.id] = model
    offered: set[tuple[str, str]] = set()
    by_dataset: dict[str, list[Terms]] = {}
    for definition in kept.values():
        terms_policy = read.get(definition.policy)
        access = read.get(definition.access_policy) if definition.access_policy else None
        if terms_policy is None or (definition.access_policy is not None and access is None):
            faults.append(f"contract definition `{definition.id}`: its policy is missing or cannot be read")
            continue
        for id_ in known if "*" in definition.assets else dict.fromkeys(definition.assets):
            if id_ in known and _has_keyword(known[id_][0], definition):
                offer_id = definition.offer_id.replace("{definition}", definition.id).replace("{dataset}", id_)
                if (id_, offer_id) in offered:
                    # "offer ids must be unique per dataset": whoever asks for one must get what they saw
                    faults.append(f"contract definition `{definition.id}`: `{id_}` has an offer `{offer_id}` already")
                    continue
                offered.add((id_, offer_id))
                terms = Terms(
                    definition=definition,
                    dataset=id_,
                    offer_id=offer_id,
                    policy=terms_policy,
                    access=access,
                    policy_key=f"{definition.policy}:{digests[definition.policy]}",
                    access_key=f"{definition.access_policy}:{digests.get(definition.access_policy or '')}",
                    tree={"@id": offer_id, "@type": "Offer", **trees[definition.policy]},
                )
                by_dataset.setdefault(id_, []).append(terms)
    items: dict[str, Item] = {}
    for id_ in sorted(by_dataset):
        asset, modified = known[id_]
        try:
            able = tuple(dict.fromkeys((*data_plane.formats(source_of(asset)), *profiles.get(asset.source.type, ()))))
        except KontorError as fault:
            faults.append(f"asset `{id_}`: {fault}")
            continue
        formats = tuple(f for f in asset.formats if asset.source.type == "none" or f in able) if asset.formats else able
        if not formats:
            faults.append(f"asset `{id_}`: no data plane serves it in any of its formats")
            continue
        items[id_] = Item(asset=asset, modified=modified, formats=formats, terms=tuple(by_dataset[id_]))
    offers = {(t.dataset, t.offer_id): t for item in items.values() for t in item.terms}
    return Shelf(
        revision=revision,
        items=items,
        assets={id_: asset for id_, (asset, _) in known.items()},
        offers=offers,
        by_access=by_access(offers.values()),
        definitions=kept,
        policies=written,
        known=parents,
        faults=tuple(faults),
    )


def _offer_tree(policy: Policy) -> dict[str, Any]:
    """The rules of `policy` as an offer spells them; id, target and parties are the offer's own."""
    return rules_of(jsonld.write(policy))


def _has_keyword(asset: Asset, definition: ContractDefinition) -> bool:
    return not definition.keywords or bool(set(definition.keywords) & set(asset.keywords))
