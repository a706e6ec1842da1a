"""What a catalogue says about a dataset, read patiently: property names with a prefix, as IRIs or bare, values in any shape.

What lives here: `Described`, and finding one dataset with one offer in the catalogue of a peer.
What does not: judging terms; that is the node's business.
Source: Dataspace Protocol 2025-1, Catalog Protocol; DCAT 3, 6.8 (checksum of a distribution).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connector.errors import AddressRefused, NotFound, PeerError, Unreachable

if TYPE_CHECKING:
    from connector.client import Calls, Client

_SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One dataset of a catalogue."""

    id: str
    title: str
    description: str
    keywords: tuple[str, ...]
    formats: tuple[str, ...]
    digest: str | None
    """SHA-256 in hexadecimal; None when the description has none."""
    byte_size: int | None
    media_type: str
    offers: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A dataset of a peer, with everything that a negotiation about it needs."""

    address: str
    peer: str
    dataset: Described
    offer: Mapping[str, Any]


def datasets(catalog: Mapping[str, Any]) -> Iterator[Described]:
    """The datasets of a catalogue and of those nested in it."""
    for tree in _many(catalog, "dataset"):
        if isinstance(tree, Mapping) and tree.get("@id"):
            yield described(tree)
    for nested in _many(catalog, "catalog"):
        if isinstance(nested, Mapping):
            yield from datasets(nested)


def described(tree: Mapping[str, Any]) -> Described:
    """What a dataset's tree says."""
    distributions = [one for one in _many(tree, "distribution") if isinstance(one, Mapping)]
    formats = (_plain(one) for distribution in distributions for one in _many(distribution, "format"))
    sizes = (_plain(one) for part in (*distributions, tree) for one in _many(part, "byteSize"))
    types = (one for part in (*distributions, tree) for one in _many(part, "mediaType"))
    return Described(
        id=str(tree["@id"]),
        title=next((_plain(one) for one in _many(tree, "title")), ""),
        description=next((_plain(one) for one in _many(tree, "description")), ""),
        keywords=tuple(_plain(one) for one in _many(tree, "keyword")),
        formats=tuple(dict.fromkeys(formats)),
        digest=next(_digests(tree), None),
        byte_size=next((int(size) for size in sizes if size.isdigit()), None),
        media_type=next((_plain(one).rpartition("media-types/")[2] for one in types), ""),
        offers=tuple(one for one in _many(tree, "hasPolicy") if isinstance(one, Mapping)),
    )


def find(node: Client, me: Calls, address: str, dataset: str, *, peer: str | None = None, offer_id: str | None = None) -> Found:
    """The dataset of the peer at `address`, with the one offer, or the one that `offer_id` names.

    Raises: NotFound when the peer does not offer it to us; what the node answers when the catalogue cannot be had.
    """
    said, base, found = (peer and _single(node, me, address, dataset, peer)) or _listed(node, me, address, dataset, peer)
    offers = [one for one in found.offers if offer_id in (None, one.get("@id"))]
    if len(offers) != 1:
        named = ", ".join(f"`{one.get('@id')}`" for one in found.offers) or "none"
        raise NotFound(
            f"there is no offer `{offer_id}` for `{dataset}`" if offer_id else f"`{dataset}` has {len(offers)} offers",
            where=address,
            mend=f"name one with `--offer-id`: {named}",
        )
    return Found(address=base, peer=said, dataset=found, offer=offers[0])


def _single(node: Client, me: Calls, address: str, dataset: str, peer: str) -> tuple[str, str, Described] | None:
    """The peer, its base address and the dataset, asked for by its id; None when the peer does not answer that."""
    from connector.api.catalog import DatasetRequest

    try:
        answer = node.send(me.dataset_of(DatasetRequest(address=address, peer=peer, dataset=dataset)))
    except (Unreachable, AddressRefused):
        raise
    except (NotFound, PeerError):
        # not every connector answers it; the whole catalogue also tells what there is in its place
        return None
    return peer, answer.base, described(answer.dataset)


def _listed(node: Client, me: Calls, address: str, dataset: str, peer: str | None) -> tuple[str, str, Described]:
    """The peer, its base address and the dataset, from the whole catalogue, which is also what names the peer.

    Raises: NotFound.
    """
    from connector.api.catalog import CatalogRequest

    answer = node.send(me.catalog_of(CatalogRequest(address=address, peer=peer)))
    known = list(datasets(answer.catalog))
    found = next((one for one in known if one.id == dataset), None)
    if found is None:
        raise NotFound(
            f"the peer does not offer `{dataset}` to us; it offers {len(known)} other datasets",
            where=address,
            mend=f"see `kontor catalog {address}`; an offer that its policy hides from us does not show",
        )
    said = answer.catalog.get("participantId") or next((_plain(one) for one in _many(answer.catalog, "participantId")), "")
    return peer or str(said), answer.base or address, found


def terms(offer: Mapping[str, Any]) -> str:
    """An offer in a few words: what is allowed, under which conditions and with which duties."""
    said: list[str] = []
    for kind in ("permission", "prohibition", "obligation"):
        for rule in _many(offer, kind):
            if isinstance(rule, Mapping):
                conditions = " and ".join(_condition(one) for one in _many(rule, "constraint"))
                act = _act(rule)
                word = {"permission": "", "prohibition": "never ", "obligation": "must "}[kind]
                duties = " and ".join(_act(one) for one in _many(rule, "duty"))
                said.append(
                    f"{word}{act}{f' if {conditions}' if conditions else ''}{f', with the duty to {duties}' if duties else ''}"
                )
    return "; ".join(said) or "nothing is allowed"


def _act(rule: Any) -> str:
    actions = _many(rule, "action") if isinstance(rule, Mapping) else ()
    return " ".join(_tail(_plain(one)) for one in actions) or "use"


def _condition(constraint: Any) -> str:
    if not isinstance(constraint, Mapping):
        return str(constraint)
    for word in ("and", "or", "xone", "andSequence"):
        if inner := list(_many(constraint, word)):
            return f"({f' {word} '.join(_condition(one) for one in inner)})"
    left, operator, right = (
        ", ".join(_tail(_plain(one)) for one in _many(constraint, name)) for name in ("leftOperand", "operator", "rightOperand")
    )
    return f"{left} {operator} {right}"


def _tail(text: str) -> str:
    return re.split("[/#]", text)[-1] or text


def _digests(tree: Any) -> Iterator[str]:
    """SHA-256 values in a description, wherever the checksum stands."""
    if isinstance(tree, Mapping):
        algorithm = " ".join(_plain(one) for one in _many(tree, "algorithm")).lower()
        for value in _many(tree, "checksumValue"):
            if "sha256" in algorithm.replace("-", "") and _SHA256.fullmatch(_plain(value)):
                yield _plain(value).lower()
    for inner in tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ():
        yield from _digests(inner)


def _many(tree: Mapping[str, Any], name: str) -> Iterator[Any]:
    """The values of a property, under its bare name, a prefixed one or an IRI."""
    for key, value in tree.items():
        if key == name or (not key.startswith("@") and re.split("[:/#]", key)[-1] == name):
            yield from value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("@value", value.get("@id", ""))
    return str(value)
