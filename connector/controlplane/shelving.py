"""How the documents of a context become what it offers, and how that follows the change of a few of them.

What lives here: `Stock`, the documents of one context as they were read, with the dataset that follows from each. A change costs what
it touches: an asset touches itself, a contract definition its assets, a policy what is offered under it; the rest is handed on as it
is. A bad document never breaks the others: it is left out, with a fault that says why. What does not: reading the store, and when
(`shelves.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from connector.api.offerings import Asset, ContractDefinition
from connector.api.offerings import Policy as PolicyDocument
from connector.controlplane import inheriting
from connector.controlplane.shelf import Item, Shelf, Terms
from connector.controlplane.sources import source_of
from connector.dsp.negotiation import rules_of
from connector.errors import CallerError, KontorError
from connector.odrl import canonical, jsonld
from connector.odrl.model import Policy
from connector.ports.dataplane import DataPlane
from connector.ports.documents import Changes
from connector.ports.signaling import ANY_SOURCE
from connector.ports.store import Document

ASSET, POLICY, DEFINITION = "asset", "policy", "contract-definition"
MODELS: Final[Mapping[str, type[BaseModel]]] = {ASSET: Asset, POLICY: PolicyDocument, DEFINITION: ContractDefinition}
SOURCE_TYPES: Final = ("http", "s3", ANY_SOURCE)
"""Types of sources that data planes of others may serve."""
Profiles = Mapping[str, tuple[str, ...]]
"""In which formats the data planes of others can serve, by type of source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A policy with what it inherits."""

    own: Policy
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


def checked(kind: str, body: Mapping[str, Any]) -> BaseModel:
    """The document that `body` is.

    Raises: CallerError with the first thing that is wrong.
    """
    try:
        return MODELS[kind].model_validate(dict(body))
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


class Stock:
    """The documents of one context, and what follows from each. What a shelf was given is replaced here, never changed."""

    def __init__(self, data_plane: DataPlane) -> None:
        self._data_plane = data_plane
        self._profiles: Profiles = {}
        self._read: dict[tuple[str, str], _Read] = {}
        """By kind and id of the document."""
        self._assets: dict[str, Asset] = {}
        self._definitions: dict[str, ContractDefinition] = {}
        self._written: dict[str, Policy] = {}
        self._known: inheriting.Known = inheriting.NONE
        self._policies: dict[str, _Whole] = {}
        self._naming: dict[str, set[str]] = {}
        """The contract definitions that name an asset, by its id; under `*` those for all assets."""
        self._items: dict[str, Item] = {}
        """In the order of ids."""
        self._faults: dict[tuple[str, str], tuple[str, ...]] = {}
        """What is left out and why, by what it is and its id."""

    def replace(self, documents: Iterable[Document], profiles: Profiles) -> None:
        """Have these documents and no others; what did not change is not read again."""
        found = {(one.kind, one.id): one for one in documents}
        gone = self._read.keys() - found.keys()
        changed = [one for at, one in found.items() if not self._has(one)]
        if profiles != self._profiles:
            self._profiles = profiles
            # in which formats a dataset is offered may have changed with them
            self._place(set(self._assets))
        self._take(changed, gone)

    def follow(self, changes: Changes) -> None:
        """Have what was written in place of what had those kinds and ids, beside the others, and what was deleted no longer."""
        written = [one for one in changes.written if one.kind in MODELS and not self._has(one)]
        self._take(written, [at for at in changes.deleted if at in self._read])

    def shelf(self, revision: int) -> Shelf:
        """What is offered, as the documents have it now."""
        return Shelf(
            revision=revision,
            items=self._items,
            assets=self._assets,
            definitions=self._definitions,
            policies=self._written,
            known=self._known,
            faults=tuple(text for _, texts in sorted(self._faults.items()) for text in texts),
        )

    def _has(self, document: Document) -> bool:
        known = self._read.get((document.kind, document.id))
        return known is not None and (known.version, known.at) == (document.version, document.updated_at)

    def _take(self, changed: list[Document], gone: Iterable[tuple[str, str]]) -> None:
        """1. what is gone is forgotten, what has changed is read       2. policies, with those that inherit from them
        3. the definitions that have changed, or whose policies mean something else now       4. the datasets under all these.
        """
        gone = tuple(gone)
        kinds = {one.kind for one in changed} | {kind for kind, _ in gone}
        if not kinds:
            return
        # 1.
        self._assets, self._definitions, self._written = dict(self._assets), dict(self._definitions), dict(self._written)
        touched: set[str] = set()
        for at in gone:
            touched |= self._forgotten(*at)
        for document in changed:
            touched |= self._forgotten(document.kind, document.id)
            touched |= self._kept(document)
        # 2.
        other = self._inherited() if POLICY in kinds else set()
        # 3.
        if other:
            for name, definition in self._definitions.items():
                if definition.policy in other or definition.access_policy in other:
                    self._complain(name)
                    touched |= self._touched_by(definition)
        for document in changed:
            if document.kind == DEFINITION and document.id in self._definitions:
                self._complain(document.id)
        # 4.
        self._place(touched)

    def _forgotten(self, kind: str, id_: str) -> set[str]:
        """The assets that are touched when a document is there no longer."""
        self._read.pop((kind, id_), None)
        self._faults.pop((kind, id_), None)
        match kind:
            case "asset":
                self._assets.pop(id_, None)
                return {id_}
            case "policy":
                self._written.pop(id_, None)
                return set()
        definition = self._definitions.pop(id_, None)
        if definition is None:
            return set()
        for asset in definition.assets:
            naming = self._naming[asset]
            naming.discard(id_)
            if not naming:
                del self._naming[asset]
        return self._touched_by(definition)

    def _kept(self, document: Document) -> set[str]:
        """The assets that are touched when a document is there from now on."""
        read = self._read[document.kind, document.id] = _read(document)
        match read.found:
            case Asset() as asset:
                self._assets[document.id] = asset
                return {document.id}
            case ContractDefinition() as definition:
                self._definitions[document.id] = definition
                for one in definition.assets:
                    self._naming.setdefault(one, set()).add(document.id)
                return self._touched_by(definition)
            case Policy() as policy:
                self._written[document.id] = policy
            case fault:
                self._faults[document.kind, document.id] = (f"{document.kind} `{document.id}`: {fault}",)
        return set()

    def _touched_by(self, definition: ContractDefinition) -> set[str]:
        return set(self._assets) if "*" in definition.assets else set(definition.assets)

    def _inherited(self) -> set[str]:
        """The names of the policies that mean something else than before; all are whole again."""
        self._known = inheriting.family(self._written)
        before, self._policies = self._policies, {}
        for id_, own in self._written.items():
            kept = before.get(id_)
            self._faults.pop((POLICY, id_), None)
            if kept is not None and kept.own is own and not (own.inherit_from or own.replaced_by):
                self._policies[id_] = kept
                continue
            try:
                policy = inheriting.whole(own, self._known)
                tree, digest = rules_of(jsonld.write(policy)), canonical.digest(policy)
            except CallerError as fault:
                self._faults[POLICY, id_] = (f"policy `{id_}`: {fault}",)
                continue
            is_same = kept is not None and kept.digest == digest and kept.tree == tree
            self._policies[id_] = (
                kept if kept is not None and is_same else _Whole(own=own, policy=policy, digest=digest, tree=tree)
            )
        return {id_ for id_ in before.keys() | self._policies.keys() if before.get(id_) is not self._policies.get(id_)}

    def _complain(self, name: str) -> None:
        """Say whether the policies of a definition are missing."""
        self._faults.pop((DEFINITION, name), None)
        if not self._has_policies(self._definitions[name]):
            text = f"contract definition `{name}`: its policy is missing or cannot be read"
            self._faults[DEFINITION, name] = (text,)

    def _has_policies(self, definition: ContractDefinition) -> bool:
        access = definition.access_policy
        return definition.policy in self._policies and (access is None or access in self._policies)

    def _place(self, touched: set[str]) -> None:
        """Make the items of these assets anew."""
        items = dict(self._items)
        last = next(reversed(items), "")
        is_sorted = True
        for id_ in sorted(touched):
            self._faults.pop(("offer", id_), None)
            item = self._item(id_) if id_ in self._assets else None
            if item is None:
                items.pop(id_, None)
                continue
            is_sorted = is_sorted and (id_ in items or id_ > last)
            last = max(last, id_)
            items[id_] = item
        self._items = items if is_sorted else {id_: items[id_] for id_ in sorted(items)}

    def _item(self, id_: str) -> Item | None:
        """The dataset that an asset is offered as; None when it is not."""
        asset, faults = self._assets[id_], []
        terms: dict[str, Terms] = {}
        for name in sorted(self._naming.get(id_, set()) | self._naming.get("*", set())):
            definition = self._definitions[name]
            if not self._has_policies(definition) or not _has_keyword(asset, definition):
                continue
            one = self._terms(definition, id_)
            if one.offer_id in terms:
                # "offer ids must be unique per dataset": whoever asks for one must get what they saw
                faults.append(f"contract definition `{name}`: `{id_}` has an offer `{one.offer_id}` already")
            else:
                terms[one.offer_id] = one
        formats: tuple[str, ...] = ()
        if terms:
            try:
                formats = self._formats(asset)
                if not formats:
                    faults.append(f"asset `{id_}`: no data plane serves it in any of its formats")
            except KontorError as fault:
                faults.append(f"asset `{id_}`: {fault}")
        if faults:
            self._faults["offer", id_] = tuple(faults)
        if not formats:
            return None
        return Item(asset=asset, modified=self._read[ASSET, id_].at, formats=formats, terms=tuple(terms.values()))

    def _formats(self, asset: Asset) -> tuple[str, ...]:
        able = dict.fromkeys((*self._data_plane.formats(source_of(asset)), *self._profiles.get(asset.source.type, ())))
        if not asset.formats:
            return tuple(able)
        return tuple(one for one in asset.formats if asset.source.type == "none" or one in able)

    def _terms(self, definition: ContractDefinition, id_: str) -> Terms:
        whole = self._policies[definition.policy]
        access = self._policies[definition.access_policy] if definition.access_policy is not None else None
        offer_id = definition.offer_id.replace("{definition}", definition.id).replace("{dataset}", id_)
        return Terms(
            definition=definition,
            dataset=id_,
            offer_id=offer_id,
            policy=whole.policy,
            access=access.policy if access is not None else None,
            policy_key=f"{definition.policy}:{whole.digest}",
            access_key=f"{definition.access_policy}:{access.digest if access is not None else ''}",
            tree={"@id": offer_id, "@type": "Offer", **whole.tree},
        )


def _has_keyword(asset: Asset, definition: ContractDefinition) -> bool:
    return not definition.keywords or bool(set(definition.keywords) & set(asset.keywords))
