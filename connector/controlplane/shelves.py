"""The offers that follow from the documents of a context.

What lives here: `Shelves`, which makes a shelf (`shelf.py`) when a document has changed, once for all who ask for it at that time: of
documents that did not change nothing is read again. A bad document never breaks the rest: it is left out of the shelf, with a fault
that says why. What does not: writing documents (`offerings.py`), who may see what (`seeing.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from connector import observe
from connector.api.offerings import Asset, ContractDefinition
from connector.api.offerings import Policy as PolicyDocument
from connector.controlplane import inheriting
from connector.controlplane.participants import Participants, Revisions
from connector.controlplane.shelf import Item, Shelf, Terms, by_access
from connector.controlplane.sources import source_of
from connector.dsp.negotiation import rules_of
from connector.errors import CallerError, KontorError
from connector.odrl import canonical, jsonld
from connector.odrl.model import Policy
from connector.ports.dataplane import DataPlane
from connector.ports.signaling import ANY_SOURCE, Planes
from connector.ports.store import Document, Store

ASSET, POLICY, DEFINITION = "asset", "policy", "contract-definition"
_AT_ONCE = 250
"""Documents of one reading: a store on a file reads so many without a thread."""
_MODELS: Mapping[str, type[BaseModel]] = {ASSET: Asset, POLICY: PolicyDocument, DEFINITION: ContractDefinition}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A policy with what it inherits."""

    policy: Policy
    digest: str
    tree: Mapping[str, Any]
    """The rules as an offer spells them; id, target and parties are the offer's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A document, read, or why it cannot be."""

    version: int
    at: datetime
    found: Asset | ContractDefinition | Policy | CallerError


@dataclass(slots=True)
class _Place:
    """What is known of one context."""

    shelf: Shelf | None = None
    read: Mapping[tuple[str, str], _Read] = field(default_factory=dict)
    """By kind and id of the document."""
    making: asyncio.Event | None = None
    """Set when the shelf that is being made is there; all who wait go on together, as they could not in turns of a lock."""
    made: int = 0
    """How many shelves were made."""


class Shelves:
    """The shelves of all contexts."""

    def __init__(self, store: Store, participants: Participants, revisions: Revisions, data_plane: DataPlane) -> None:
        self._store = store
        self._participants = participants
        self._revisions = revisions
        self._data_plane = data_plane
        self._planes: Planes | None = None
        self._places: dict[str, _Place] = {}

    def connect(self, planes: Planes) -> None:
        """Offer, from now on, what the data planes of others serve, too."""
        self._planes = planes

    async def of(self, participant: str) -> Shelf:
        """The whole offering of the context as it is now.

        Raises: NotFound for an unknown participant.
        """
        revision = await self._revisions.of(participant)
        place = self._places.get(participant)
        if place is not None and place.shelf is not None and place.shelf.revision == revision:
            return place.shelf
        await self._participants.context(participant)
        place = self._places.setdefault(participant, _Place())
        # one that is being made now may have looked too early; the next one will not have, however often something is written
        enough = place.made + (2 if place.making is not None else 1)
        while place.shelf is None or (place.shelf.revision != revision and place.made < enough):
            if place.making is not None:
                await place.making.wait()
                continue
            place.making = making = asyncio.Event()
            try:
                place.shelf = await self._made(participant, place)
                place.made += 1
            finally:
                place.making = None
                making.set()
        return place.shelf

    async def current(self, participant: str) -> Shelf | None:
        """The shelf, where the last one that was made is as things are now."""
        place = self._places.get(participant)
        shelf = place.shelf if place is not None else None
        return shelf if shelf is not None and shelf.revision == await self._revisions.of(participant) else None

    async def asset(self, participant: str, id_: str) -> Asset | None:
        """The asset as it is now; None when there is none, or it cannot be read. Makes no shelf for it.

        Raises: NotFound for an unknown participant.
        """
        await self._participants.context(participant)
        document = await self._store.document(participant, ASSET, id_)
        found = _read(document).found if document is not None else None
        return found if isinstance(found, Asset) else None

    async def _made(self, participant: str, place: _Place) -> Shelf:
        # looked at before the documents: what is written meanwhile makes another shelf
        revision = await self._revisions.of(participant)
        documents = [one for kind in _MODELS for one in await self._all(participant, kind)]
        profiles = await self._profiles(participant)
        read: dict[tuple[str, str], _Read] = {}
        for document in documents:
            at = document.kind, document.id
            known = place.read.get(at)
            is_same = known is not None and (known.version, known.at) == (document.version, document.updated_at)
            read[at] = known if known is not None and is_same else _read(document)
        place.read = read
        shelf = _shelf(revision, read, self._data_plane, profiles)
        for fault in shelf.faults:
            observe.warning("offerings.left_out", participant=participant, fault=fault)
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
            page = await self._store.documents(participant, kind, cursor=cursor, limit=_AT_ONCE)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)


def checked(kind: str, body: Mapping[str, Any]) -> BaseModel:
    """The document that `body` is.

    Raises: CallerError with the first thing that is wrong.
    """
    try:
        return _MODELS[kind].model_validate(dict(body))
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CallerError(first["msg"].lower(), where=where, mend="see the model in the API's description") from fault


def _read(document: Document) -> _Read:
    found: Asset | ContractDefinition | Policy | CallerError
    try:
        model = checked(document.kind, document.body)
        if isinstance(model, PolicyDocument):
            found = jsonld.read(model.policy, "policy")
        else:
            assert isinstance(model, Asset | ContractDefinition)
            found = model
    except CallerError as fault:
        found = fault
    return _Read(version=document.version, at=document.updated_at, found=found)


def _shelf(
    revision: int, read: Mapping[tuple[str, str], _Read], data_plane: DataPlane, profiles: Mapping[str, tuple[str, ...]]
) -> Shelf:
    """The offering that the documents amount to; each document on its own, so that a bad one leaves only itself out."""
    faults: list[str] = []
    written: dict[str, Policy] = {}
    known: dict[str, tuple[Asset, datetime]] = {}
    kept: dict[str, ContractDefinition] = {}
    for (kind, id_), document in read.items():
        match document.found:
            case Asset() as asset:
                known[id_] = asset, document.at
            case ContractDefinition() as definition:
                kept[id_] = definition
            case Policy() as policy:
                written[id_] = policy
            case fault:
                faults.append(f"{kind} `{id_}`: {fault}")
    parents = inheriting.family(written)
    policies: dict[str, _Whole] = {}
    for id_, own in written.items():
        try:
            policy = inheriting.whole(own, parents)
            policies[id_] = _Whole(policy=policy, digest=canonical.digest(policy), tree=rules_of(jsonld.write(policy)))
        except CallerError as fault:
            faults.append(f"policy `{id_}`: {fault}")
    offered: set[tuple[str, str]] = set()
    by_dataset: dict[str, list[Terms]] = {}
    for definition in kept.values():
        whole = policies.get(definition.policy)
        access = policies.get(definition.access_policy) if definition.access_policy else None
        if whole is None or (definition.access_policy is not None and access is None):
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
                    policy=whole.policy,
                    access=access.policy if access is not None else None,
                    policy_key=f"{definition.policy}:{whole.digest}",
                    access_key=f"{definition.access_policy}:{access.digest if access is not None else ''}",
                    tree={"@id": offer_id, "@type": "Offer", **whole.tree},
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


def _has_keyword(asset: Asset, definition: ContractDefinition) -> bool:
    return not definition.keywords or bool(set(definition.keywords) & set(asset.keywords))
