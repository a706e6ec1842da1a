"""The documents of the Catalog Protocol that we send: built from our own values, in the narrowest form.

What lives here: what a data set and a service are to a catalogue, and the trees and bytes made of them. What does not: reading a
peer's catalogue (`catalog_view.py`, named here again), which offers a caller may see, and paging (`controlplane/catalog.py`).

The context has no default vocabulary, so descriptive members carry a prefix or are full IRIs, else they would be lost in JSON-LD
processing; one value stands alone and several in an array, as compaction writes them. The service is embedded in every
distribution, because a bare id would be a dangling text in the graph. Empty arrays are left out.
Source: Dataspace Protocol 2025-1, Catalog Protocol, "Message Types"; `catalog-schema.json`, `dataset-schema.json`; DCAT 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from connector import strict
from connector.dsp.catalog_view import (
    CatalogView,
    DatasetView,
    read_catalog,
    read_dataset,
    read_foreign_catalog,
    read_foreign_dataset,
)
from connector.dsp.plain import DSP_CONTEXT
from connector.dsp.shape import Form, check_policy
from connector.errors import BadMessage

__all__ = [
    "CatalogView", "DatasetDescription", "DatasetView", "ServiceDescription", "catalog", "dataset", "describe", "encode", "head", "joined",
    "read_catalog", "read_dataset", "read_foreign_catalog", "read_foreign_dataset",
]  # fmt: skip

Tree = dict[str, Any]
PROPERTY_IRI: Final = "https://w3id.org/kontor/ns/property/"
"""Where an operator's own property without a prefix stands, so that it is not lost."""
SPDX: Final = "http://spdx.org/rdf/terms#"
_CHECKSUM: Final = f"{SPDX}checksum"
_CHECKSUM_TYPE: Final = f"{SPDX}Checksum"
_CHECKSUM_VALUE: Final = f"{SPDX}checksumValue"
_ALGORITHM: Final = f"{SPDX}algorithm"
_SHA256: Final = {"@id": f"{SPDX}checksumAlgorithm_sha256"}
MEDIA_TYPES: Final = "https://www.iana.org/assignments/media-types/"
_NO_PROPERTIES: Final[Mapping[str, Any]] = MappingProxyType({})

# names that operators use bare and that DCAT or Dublin Core define
_KNOWN_PROPERTIES: Final = {
    **{
        name: f"dct:{name}"
        for name in (
            "accessRights", "accrualPeriodicity", "conformsTo", "created", "creator", "identifier", "isPartOf", "issued",
            "language", "license", "provenance", "publisher", "rights", "rightsHolder", "source", "spatial", "subject",
            "temporal", "type",
        )
    },
    **{
        name: f"dcat:{name}"
        for name in ("contactPoint", "landingPage", "spatialResolutionInMeters", "temporalResolution", "theme", "version")
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDescription:
    """The connector that a catalogue speaks for."""

    participant_id: str
    endpoint_url: str
    """Base address below which negotiations and transfers hang; its ids are made of it."""
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDescription:
    """A data set as its catalogue tells it."""

    id: str
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    media_type: str | None = None
    byte_size: int | None = None
    digest: str | None = None
    """SHA-256 of the data in hexadecimal digits, known before any transfer."""
    modified: datetime | None = None
    properties: Mapping[str, Any] = field(default_factory=lambda: _NO_PROPERTIES)
    """More to say about it. A name with a prefix or a full IRI is kept; a bare one becomes a DCAT or Dublin Core term of that
    name, or else one of our own namespace."""
    offers: tuple[Mapping[str, Any], ...] = ()
    """Policy trees, each with `@id`; a `target` is left out, because an offer in a catalogue has none."""
    formats: tuple[str, ...] = ()
    """What a data plane of ours can serve it as."""


def catalog(service: ServiceDescription, datasets: Iterable[DatasetDescription]) -> Tree:
    """The Catalog document. A data set that cannot be described is left out; `describe` says why."""
    tree, trees = head(service), []
    for description in datasets:
        try:
            trees.append(describe(service, description))
        except BadMessage:
            continue
    if trees:
        tree["dataset"] = trees
    return tree


def head(service: ServiceDescription) -> Tree:
    """The Catalog document without data sets."""
    tree: Tree = {
        "@context": [DSP_CONTEXT],
        "@id": f"{service.endpoint_url}/catalog",
        "@type": "Catalog",
        "participantId": service.participant_id,
    }
    if service.title:
        tree["dct:title"] = service.title
    # the schema does not ask for the service, the text does (one to many)
    tree["service"] = [_service(service)]
    return tree


def joined(begin: Tree, datasets: Sequence[bytes]) -> bytes:
    """The Catalog document as bytes: what `head` gives, and more, then the data sets, each as `encode` writes what `describe` gives."""
    if not datasets:
        return encode(begin)
    return b'%s,"dataset":[%s]}' % (encode(begin)[:-1], b",".join(datasets))


def describe(service: ServiceDescription, description: DatasetDescription) -> Tree:
    """The data set as it stands in a catalogue.

    Raises: BadMessage when it cannot be described: no format, no offer, an offer without a rule, a property that is no JSON-LD.
    """
    return _dataset(_service(service), description)


def dataset(service: ServiceDescription, description: DatasetDescription) -> Tree:
    """The Dataset document.

    Raises: BadMessage, as `describe` does.
    """
    return {"@context": [DSP_CONTEXT], **describe(service, description)}


def encode(tree: Mapping[str, Any]) -> bytes:
    """The document as bytes."""
    return orjson.dumps(tree)


def _service(service: ServiceDescription) -> Tree:
    return {"@id": service.endpoint_url, "@type": "DataService", "endpointURL": service.endpoint_url}


def _dataset(service: Tree, it: DatasetDescription) -> Tree:
    if not it.id:
        raise BadMessage("the id is empty", where="@id", mend="give the data set an id")
    if not it.formats:
        raise BadMessage("there is no format", where="distribution", mend="give it a source that a data plane can serve")
    if not it.offers:
        raise BadMessage("there is no offer", where="hasPolicy", mend="name it in a contract definition")
    tree: Tree = {"@id": it.id, "@type": "Dataset"}
    if it.properties:
        tree.update(_properties(it.properties))
    # properties may say it in several languages, and know when the data itself changed
    if it.title and "dct:title" not in tree:
        tree["dct:title"] = it.title
    if it.description and "dct:description" not in tree:
        tree["dct:description"] = it.description
    if it.keywords and "dcat:keyword" not in tree:
        tree["dcat:keyword"] = list(it.keywords) if len(it.keywords) > 1 else it.keywords[0]
    if it.modified is not None and "dct:modified" not in tree:
        tree["dct:modified"] = {"@type": "xsd:dateTime", "@value": _time(it.modified)}
    tree["hasPolicy"] = [_offer(offer, index) for index, offer in enumerate(it.offers)]
    about: Tree = {"accessService": service}
    if it.media_type:
        about["dcat:mediaType"] = {"@id": MEDIA_TYPES + it.media_type}
    if it.byte_size is not None:
        about["dcat:byteSize"] = {"@type": "xsd:nonNegativeInteger", "@value": str(it.byte_size)}
    if it.digest:
        about[_CHECKSUM] = {
            "@type": _CHECKSUM_TYPE,
            _ALGORITHM: _SHA256,
            _CHECKSUM_VALUE: {"@type": "xsd:hexBinary", "@value": it.digest},
        }
    tree["distribution"] = [{"@type": "Distribution", "format": name, **about} for name in it.formats]
    return tree


def _offer(offer: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    # The rules were written by `connector.odrl` in the protocol's shape; here only what a catalogue asks of an offer.
    if "target" in offer or offer.get("@type") != "Offer":
        offer = {"@type": "Offer", **{name: value for name, value in offer.items() if name != "target"}}
    if not (offer.get("permission") or offer.get("prohibition")) or not offer.get("@id"):
        where = f"hasPolicy[{index}]"
        check_policy(offer, where, Form.LISTED, [])
        raise BadMessage("the offer has no rule", where=where, mend="give it a permission")
    return offer


@lru_cache(maxsize=4096)
def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _properties(properties: Mapping[str, Any]) -> Tree:
    """The properties under names that survive JSON-LD processing, each value as compaction would write it."""
    tree: Tree = {}
    for name, value in properties.items():
        if name.startswith("@") or not name:
            raise BadMessage(
                f"{strict.shown(name)} is no name of a property", where="properties", mend="use a name without `@`"
            )
        written = _written(value)
        if written is not None:
            tree[name if ":" in name else _KNOWN_PROPERTIES.get(name) or PROPERTY_IRI + name] = written
    return tree


def _written(value: Any) -> Any:
    """A JSON value in JSON-LD: arrays are flat, never of one, and objects have names that survive; None for nothing."""
    if isinstance(value, list | tuple):
        items = [item for part in value for item in _items(part)]
        return (items if len(items) > 1 else items[0]) if items else None
    if isinstance(value, Mapping):
        if "@value" in value or "@id" in value:
            return dict(value)
        return _properties(value) or None
    return value


def _items(value: Any) -> list[Any]:
    written = _written(value)
    if written is None:
        return []
    return written if isinstance(written, list) else [written]
