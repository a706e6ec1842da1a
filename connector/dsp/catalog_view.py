"""The catalogue of a peer, as far as it can be understood: one unreadable data set never hides the others.

What lives here: `CatalogView`, `DatasetView` and how they are read from the widest form that occurs: one object in the place of
an array, a service by id or embedded, descriptions with or without prefix, nested catalogues, policies without rules.
What does not: what the policies mean (`connector.odrl`), and following pages (`controlplane/catalog.py`).
Source: Dataspace Protocol 2025-1, Catalog Protocol; DCAT 3; what connectors in the field send.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from connector import jsonld, strict
from connector.dsp.plain import canonical, plain
from connector.dsp.shape import Form, check_policy, kind_of
from connector.errors import BadMessage

Tree = dict[str, Any]
LIMITS: Final = strict.Limits(max_bytes=32 << 20)
"""A page of a catalogue may be larger than a message."""
FOREIGN_BOUNDS: Final = jsonld.Bounds(max_values=50_000)
"""Of a page that needs JSON-LD processing: some thousand data sets, and five seconds of a thread at worst."""
MAX_NESTED: Final = 8
"""Catalogues inside catalogues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """A data set of a peer."""

    id: str
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    media_type: str | None = None
    byte_size: int | None = None
    digest: str | None = None
    """SHA-256 in lower-case hexadecimal digits, when the peer tells it."""
    modified: str | None = None
    offers: tuple[Tree, ...] = ()
    """Policy trees as the peer wrote them; each has an `@id`."""
    formats: tuple[str, ...] = ()
    endpoint_url: str | None = None
    """Base address of the service that gives access to it, when the peer tells it."""
    tree: Tree
    """The whole description as the peer wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogView:
    """A catalogue of a peer, or one inside it."""

    id: str
    participant_id: str | None = None
    title: str | None = None
    endpoints: tuple[str, ...] = ()
    """Base addresses of its services."""
    datasets: tuple[DatasetView, ...] = ()
    catalogs: tuple[CatalogView, ...] = ()
    """Catalogues inside it, with their contents as far as they are there."""
    links: tuple[str, ...] = ()
    """Base addresses of the services that have this catalogue's content (distributions of format `Catalog`)."""
    warnings: tuple[str, ...] = ()
    """What was left out or is unusual, with its place; for the operator's eyes."""
    tree: Tree
    """The whole document as the peer wrote it."""

    def all_datasets(self) -> Iterator[DatasetView]:
        """Its data sets and those of the catalogues inside it."""
        yield from self.datasets
        for catalog in self.catalogs:
            yield from catalog.all_datasets()


def read_catalog(body: bytes, limits: strict.Limits = LIMITS) -> CatalogView:
    """The catalogue in a peer's answer.

    Raises: BadMessage when the document as a whole is no catalogue; TooLarge; ForeignContext: try `read_foreign_catalog`.
    """
    warnings: list[str] = []
    return _catalog(plain(body, warnings, limits), "", warnings, MAX_NESTED)


def read_foreign_catalog(body: bytes, limits: strict.Limits = LIMITS) -> CatalogView:
    """As `read_catalog`, for a body that it called foreign. Slow: expands and compacts; call it in a thread.

    Raises: BadMessage, TooLarge.
    """
    return _catalog(canonical(body, limits, FOREIGN_BOUNDS), "", ["the catalogue is foreign JSON-LD"], MAX_NESTED)


def read_dataset(body: bytes, limits: strict.Limits = LIMITS) -> DatasetView:
    """The data set in a peer's answer.

    Raises: BadMessage, TooLarge; ForeignContext: try `read_foreign_dataset`.
    """
    return _dataset(plain(body, [], limits), "", {}, [])


def read_foreign_dataset(body: bytes, limits: strict.Limits = LIMITS) -> DatasetView:
    """As `read_dataset`, for a body that it called foreign. Slow: expands and compacts; call it in a thread.

    Raises: BadMessage, TooLarge.
    """
    return _dataset(canonical(body, limits, FOREIGN_BOUNDS), "", {}, [])


def _catalog(tree: Tree, where: str, warnings: list[str], depth: int) -> CatalogView:
    id_ = _id(tree, where)
    if "Catalog" not in _several(tree.get("@type", "Catalog")):
        raise BadMessage(f"`@type` is {strict.shown(tree['@type'])}", where=_at(where, "@type"), mend='send "Catalog"')
    services = {str(one.get("@id")): one for one in _several(tree.get("service")) if isinstance(one, dict)}
    datasets: list[DatasetView] = []
    for index, item in enumerate(_several(tree.get("dataset"))):
        place = _at(where, f"dataset[{index}]")
        try:
            datasets.append(_dataset(item, place, services, warnings))
        except BadMessage as fault:
            warnings.append(f"left out a data set: {fault}")
    catalogs: list[CatalogView] = []
    for index, item in enumerate(_several(tree.get("catalog"))):
        place = _at(where, f"catalog[{index}]")
        try:
            if depth == 0:
                raise BadMessage("catalogues are nested too deeply", where=place)
            catalogs.append(_catalog(_object(item, place), place, warnings, depth - 1))
        except BadMessage as fault:
            warnings.append(f"left out a catalogue: {fault}")
    links = [
        address
        for one in _several(tree.get("distribution"))
        if isinstance(one, dict) and _text(one.get("format")) == "Catalog" and (address := _endpoint(one, services))
    ]
    participant = _text(tree.get("participantId"))
    return CatalogView(
        id=id_,
        participant_id=participant,
        title=_described(tree, "title"),
        endpoints=tuple(address for one in services.values() if (address := _text(one.get("endpointURL")))),
        datasets=tuple(datasets),
        catalogs=tuple(catalogs),
        links=tuple(links),
        warnings=tuple(warnings) if not where else (),
        tree=tree,
    )


def _dataset(item: Any, where: str, services: dict[str, Tree], warnings: list[str]) -> DatasetView:
    tree = _object(item, where)
    id_ = _id(tree, where)
    if "Dataset" not in _several(tree.get("@type", "Dataset")):
        raise BadMessage(f"`@type` is {strict.shown(tree['@type'])}", where=_at(where, "@type"), mend='send "Dataset"')
    offers: list[Tree] = []
    for index, offer in enumerate(_several(tree.get("hasPolicy"))):
        try:
            check_policy(offer, _at(where, f"hasPolicy[{index}]"), Form.LISTED, warnings)
            offers.append(offer)
        except BadMessage as fault:
            warnings.append(f"left out an offer of {strict.shown(id_)}: {fault}")
    if not offers:
        raise BadMessage("there is no offer that can be read", where=_at(where, "hasPolicy"), mend="send at least one")
    distributions = [one for one in _several(tree.get("distribution")) if isinstance(one, dict)]
    formats = dict.fromkeys(name for one in distributions if (name := _text(one.get("format"))))
    # sizes and digests stand on the distribution by DCAT, and on the data set in the field
    nodes = [*distributions, tree]
    return DatasetView(
        id=id_,
        title=_described(tree, "title") or _described(tree, "name"),
        description=_described(tree, "description"),
        keywords=tuple(word for one in _several(_member(tree, "keyword")) if (word := _text(one))),
        media_type=_media_type(nodes),
        byte_size=_byte_size(nodes),
        digest=_digest(nodes),
        modified=_described(tree, "modified"),
        offers=tuple(offers),
        formats=tuple(formats),
        endpoint_url=next((address for one in distributions if (address := _endpoint(one, services))), None),
        tree=tree,
    )


def _object(item: Any, where: str) -> Tree:
    if not isinstance(item, dict):
        raise BadMessage(f"expected an object, found {kind_of(item)}", where=where, mend="send an object")
    return item


def _id(tree: Tree, where: str) -> str:
    id_ = tree.get("@id")
    if not isinstance(id_, str) or not id_:
        raise BadMessage("member `@id` is missing or no text", where=_at(where, "@id"), mend="give it an id")
    return id_


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _member(tree: Tree, name: str) -> Any:
    """The member called `name`, with whichever prefix or IRI before it."""
    for key in (name, f"dct:{name}", f"dcat:{name}"):
        if key in tree:
            return tree[key]
    for key, value in tree.items():
        if key.endswith(name) and key[-len(name) - 1] in ":/#":
            return value
    return None


def _text(value: Any) -> str | None:
    """A text, also when it is a typed value, an id, or the first of several."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("@value", value.get("@id"))
    return value if isinstance(value, str) and value else None


def _described(tree: Tree, name: str) -> str | None:
    return _text(_member(tree, name))


def _endpoint(distribution: Tree, services: dict[str, Tree]) -> str | None:
    """The address of the service, embedded or named by its id."""
    service = distribution.get("accessService")
    if isinstance(service, list):
        service = service[0] if service else None
    if isinstance(service, dict):
        own = _text(service.get("endpointURL"))
        if own:
            return own
        service = service.get("@id")
    return _text(services.get(service, {}).get("endpointURL")) if isinstance(service, str) else None


def _media_type(nodes: list[Tree]) -> str | None:
    for node in nodes:
        found = _described(node, "mediaType") or _described(node, "contenttype")
        if found:
            return found.partition("/media-types/")[2] or found
    return None


def _byte_size(nodes: list[Tree]) -> int | None:
    for node in nodes:
        value = _member(node, "byteSize")
        if isinstance(value, dict):
            value = value.get("@value")
        if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _digest(nodes: list[Tree]) -> str | None:
    for node in nodes:
        for checksum in _several(_member(node, "checksum")):
            if not isinstance(checksum, dict):
                continue
            algorithm = (_described(checksum, "algorithm") or "").lower().replace("-", "")
            value = (_described(checksum, "checksumValue") or "").lower()
            if algorithm.endswith("sha256") and len(value) == 64 and not value.strip("0123456789abcdef"):
                return value
    return None
