"""What operators wish for, and the terms that go with our own messages: theirs, those of our offering, or plain use of an offer.

What does not live here: whether terms are acceptable (`policy.py`) and when they are sent (`negotiation.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.controlplane.inheriting import Known, spelled_out
from connector.controlplane.process import new_urn
from connector.controlplane.shelf import Item, Shelf
from connector.dsp import messages as m
from connector.dsp.negotiation import Negotiation
from connector.dsp.tables import Role
from connector.errors import BadMessage, CallerError, NotFound
from connector.outbound.rules import as_http

_BY_NAME: Final = frozenset({"AzureStorage-PUSH", "GoogleCloudStorage-PUSH"})
"""Formats whose address is known by the name of an account; the data plane judges what it makes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationWish:
    """A negotiation that an operator wants."""

    peer: str
    address: str
    dataset: str
    offer_id: str | None = None
    """Which of the dataset's offers; needed when the terms are not given whole."""
    offer: Mapping[str, Any] | None = None
    """Terms; None takes those of the offer (provider), or plain use under the offer's id (consumer)."""
    purpose: str | None = None
    role: Role = Role.CONSUMER


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferWish:
    """A transfer that an operator wants, as consumer."""

    agreement: str
    format: str
    address: str | None = None
    """Address of the provider; None takes that of the agreement."""
    purpose: str | None = None
    destination: m.DataAddress | None = None
    """Push: where the provider delivers; None lets this node receive the data."""
    plane: str | None = None
    """The external data plane that is to take the data; None: whichever can."""


def destination_of(message: m.TransferRequestMessage, item: Item | None) -> str | None:
    """Where the consumer wants a push, as an address to be judged; None for a pull, and for a store that goes by its account's name.
    `item` is what we offer of the dataset by now.

    Raises: BadMessage for a format that we do not offer, or a push without an address.
    """
    if item is not None and message.format not in item.formats:
        raise BadMessage(
            f"`{message.format}` is not offered for this dataset", where="format", mend=f"one of: {', '.join(item.formats)}"
        )
    if not message.format.upper().endswith("-PUSH"):
        return None
    url = message.data_address.endpoint_url() if message.data_address else None
    if url is None and message.data_address is not None and message.format in _BY_NAME:
        return None
    if url is None:
        raise BadMessage("a push needs to know where to", where="dataAddress.endpoint", mend="send the address to deliver to")
    return as_http(url)


def opening_terms(shelf: Shelf, wish: NegotiationWish) -> tuple[dict[str, Any], str | None]:
    """The terms of our first message, and the contract definition they come from (provider).

    Raises: NotFound for a dataset that we do not offer; CallerError when neither terms nor an offer id are given; PolicyError for
    terms that inherit from a policy which is not known here.
    """
    given = spelled_out(wish.offer, shelf.known) if wish.offer is not None else None
    if wish.role is Role.PROVIDER:
        item = shelf.items.get(wish.dataset)
        terms = [t for t in item.terms if wish.offer_id in (None, t.offer_id)] if item else []
        if not terms:
            raise NotFound(
                f"`{wish.dataset}` is not offered here", where="dataset", mend="publish it with a contract definition"
            )
        if given is not None:
            return {
                **given,
                "@id": given.get("@id", terms[0].offer_id),
                "@type": "Offer",
                "target": wish.dataset,
            }, terms[0].definition.id
        return terms[0].offer(), terms[0].definition.id
    if given is not None:
        offer_id = given.get("@id") or wish.offer_id
        if not offer_id:
            raise CallerError("the offer has no id", where="offer_id", mend="give the id of the catalogue's offer")
        return {**given, "@id": offer_id, "@type": "Offer", "target": wish.dataset}, None
    if wish.offer_id is None:
        raise CallerError("neither terms nor an offer id", where="offer", mend="give `offer`, or the `offer_id` of a catalogue")
    return {"@id": wish.offer_id, "@type": "Offer", "target": wish.dataset, "permission": [{"action": "use"}]}, None


def named_terms(offer: Mapping[str, Any] | None, process: Negotiation, known: Known) -> Mapping[str, Any] | None:
    """An operator's terms as a message needs them: whole, with an id, a type and the negotiation's target.

    Raises: PolicyError for terms that inherit from a policy which is not `known`.
    """
    if offer is None:
        return None
    return {
        **spelled_out(offer, known),
        "@id": offer.get("@id") or process.offer.get("@id") or new_urn(),
        "@type": "Offer",
        "target": process.dataset,
    }
