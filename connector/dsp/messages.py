"""Every message of the Dataspace Protocol 2025-1, as frozen structs: the struct is the wire format.

What lives here: one class per message, named as its `@type`, with the standard's words in snake_case (`consumer_pid` is
`consumerPid` on the wire); the unions that say what belongs together; `DataAddress` with its two spellings.
What does not: reading and writing of bytes and all checks between members (`wire.py`), catalogues and data sets
(`catalog.py`), what a message does to a process (`negotiation.py`, `transfer.py`), and what a policy means (`connector.odrl`):
`offer` and `agreement` stay the JSON trees that the peer wrote.

`id` is the message's own `@id`: a repeated message carries it again. "C" and "P" below: sent by the consumer, the provider.
Source: Dataspace Protocol 2025-1, Catalog, Contract Negotiation and Transfer Process Protocol, "Message Types".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec

from connector.dsp.shape import Id
from connector.dsp.tables import State

PURPOSE_IRI: Final = "https://w3id.org/kontor/ns/purpose"
"""Our one extension member: what the consumer says it wants the data for. A peer that does not know it ignores it."""

Tree = dict[str, Any]
"""A JSON object as the peer wrote it."""

Address = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
"""Where to send messages to."""

_WIRE_NAMES = {"id": "@id", "purpose": PURPOSE_IRI}
_LAST_WORD = re.compile(r"[^/#:]*$")


def _wire_name(name: str) -> str:
    """The member name on the wire: camelCase, but for the keyword and the extension."""
    first, *rest = name.split("_")
    return _WIRE_NAMES.get(name) or first + "".join(word.capitalize() for word in rest)


class _Struct(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="@type", tag=lambda name: name, rename=_wire_name
):
    """How all of them are written: `@type` is the class name; None and empty are left out, since lists have `minItems: 1`."""


class _Message(_Struct, frozen=True, kw_only=True):
    id: Id | None = None


# --- Catalog Protocol


class CatalogRequestMessage(_Message, frozen=True, kw_only=True):
    """C: asks for the catalogue. Answered by a Catalog or a CatalogError; has no state.

    Source: Dataspace Protocol 2025-1, Catalog Protocol, "Catalog Request Message".
    """

    filter: tuple[Any, ...] = ()
    """The filter's language is left to the implementation; an empty one asks for everything."""


class DatasetRequestMessage(_Message, frozen=True, kw_only=True):
    """C: asks for one data set. Not sent over HTTP, where it is a GET with the id.

    Source: Dataspace Protocol 2025-1, Catalog Protocol, "Dataset Request Message".
    """

    dataset: Id


class CatalogError(_Message, frozen=True, kw_only=True):
    """P: the request for a catalogue or data set failed. Has no state.

    Source: Dataspace Protocol 2025-1, Catalog Protocol, "Error - Catalog Error".
    """

    code: str | None = None
    reason: tuple[Any, ...] = ()


# --- Contract Negotiation Protocol


class ContractRequestMessage(_Message, frozen=True, kw_only=True):
    """C: asks for a contract, or answers an offer with a counter-offer. Leads to REQUESTED.

    The first message of a negotiation has `callback_address`, a later one `provider_pid`, never both.
    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Request Message".
    """

    consumer_pid: Id
    provider_pid: Id | None = None
    callback_address: Address | None = None
    offer: Tree
    purpose: Id | None = None
    """What the consumer says it wants the data for (extension)."""


class ContractOfferMessage(_Message, frozen=True, kw_only=True):
    """P: offers a contract, as the first message or in answer to a request. Leads to OFFERED.

    The first message of a negotiation has `callback_address`, a later one `consumer_pid`, never both.
    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Offer Message".
    """

    provider_pid: Id
    consumer_pid: Id | None = None
    callback_address: Address | None = None
    offer: Tree


class ContractAgreementMessage(_Message, frozen=True, kw_only=True):
    """P: agrees to the last offer. Leads to AGREED.

    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Agreement Message".
    """

    provider_pid: Id
    consumer_pid: Id
    agreement: Tree


class ContractAgreementVerificationMessage(_Message, frozen=True, kw_only=True):
    """C: accepts the agreement as it was sent. Leads to VERIFIED.

    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Agreement Verification Message".
    """

    provider_pid: Id
    consumer_pid: Id


class ContractNegotiationEventMessage(_Message, frozen=True, kw_only=True):
    """C: ACCEPTED, the last offer is accepted. P: FINALIZED, the agreement is in force. Leads to the state of that name.

    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Negotiation Event Message".
    """

    provider_pid: Id
    consumer_pid: Id
    event_type: Literal["ACCEPTED", "FINALIZED"]


class ContractNegotiationTerminationMessage(_Message, frozen=True, kw_only=True):
    """C or P: ends the negotiation without an agreement in force. Leads to TERMINATED.

    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Negotiation Termination Message".
    """

    provider_pid: Id
    consumer_pid: Id
    code: str | None = None
    reason: tuple[Any, ...] = ()


class ContractNegotiation(_Message, frozen=True, kw_only=True):
    """C or P, as an answer: the negotiation and its state.

    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "ACK - Contract Negotiation".
    """

    provider_pid: Id
    consumer_pid: Id
    state: State


class ContractNegotiationError(_Message, frozen=True, kw_only=True):
    """C or P, as an answer: the message was refused; the state is unchanged.

    A pid that is not known is None here; `wire.encode` puts the nil UUID in its place, because the schema asks for both.
    Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Error - Contract Negotiation Error".
    """

    provider_pid: Id | None = None
    consumer_pid: Id | None = None
    code: str | None = None
    reason: tuple[Any, ...] = ()


# --- Transfer Process Protocol


class EndpointProperty(_Struct, frozen=True, kw_only=True):
    """One named text of a data address, such as `authorization`."""

    name: str
    value: str


class DataAddress(_Struct, frozen=True, kw_only=True):
    """Where data is fetched from (pull, sent by the provider) or delivered to (push, sent by the consumer).

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Data Address".
    """

    endpoint_type: str
    endpoint: str | None = None
    endpoint_properties: tuple[EndpointProperty, ...] = ()

    def property(self, name: str) -> str | None:
        """The value of the property `name`, unchanged, or None.

        A property is found by its short name (`authorization`) and by an IRI that ends in it
        (`https://w3id.org/edc/v0.0.1/ns/authorization`), whichever of the two is asked for; an exact match comes first.
        """
        for entry in self.endpoint_properties:
            if entry.name == name:
                return entry.value
        short = _last_word(name)
        for entry in self.endpoint_properties:
            if _last_word(entry.name) == short:
                return entry.value
        return None

    def endpoint_url(self) -> str | None:
        """The address of the data: the member `endpoint`, or else the property `endpoint` (pull) or `baseUrl` (push)."""
        return self.endpoint or self.property("endpoint") or self.property("baseUrl")


class TransferRequestMessage(_Message, frozen=True, kw_only=True):
    """C: asks for the data of an agreement. Leads to REQUESTED.

    `data_address` is for push only; whether a format needs one is judged where formats are known.
    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Request Message".
    """

    consumer_pid: Id
    agreement_id: Id
    format: Id
    callback_address: Address
    data_address: DataAddress | None = None
    purpose: Id | None = None
    """What the consumer says it wants the data for (extension)."""


class TransferStartMessage(_Message, frozen=True, kw_only=True):
    """P: the data is there (pull: with its address), or on its way (push). C: only to resume. Leads to STARTED.

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Start Message".
    """

    provider_pid: Id
    consumer_pid: Id
    data_address: DataAddress | None = None


class TransferSuspensionMessage(_Message, frozen=True, kw_only=True):
    """C or P: pauses the transfer; the address is no longer good. Leads to SUSPENDED.

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Suspension Message".
    """

    provider_pid: Id
    consumer_pid: Id
    code: str | None = None
    reason: tuple[Any, ...] = ()


class TransferCompletionMessage(_Message, frozen=True, kw_only=True):
    """C or P: all data has been transferred. Leads to COMPLETED.

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Completion Message".
    """

    provider_pid: Id
    consumer_pid: Id


class TransferTerminationMessage(_Message, frozen=True, kw_only=True):
    """C or P: ends the transfer before it is complete. Leads to TERMINATED.

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Transfer Termination Message".
    """

    provider_pid: Id
    consumer_pid: Id
    code: str | None = None
    reason: tuple[Any, ...] = ()


class TransferProcess(_Message, frozen=True, kw_only=True):
    """C or P, as an answer: the transfer and its state.

    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "ACK - Transfer Process".
    """

    provider_pid: Id
    consumer_pid: Id
    state: State


class TransferError(_Message, frozen=True, kw_only=True):
    """C or P, as an answer: the message was refused; the state is unchanged.

    A pid that is not known is None here; `wire.encode` puts the nil UUID in its place, because the schema asks for both.
    Source: Dataspace Protocol 2025-1, Transfer Process Protocol, "Error - Transfer Error".
    """

    provider_pid: Id | None = None
    consumer_pid: Id | None = None
    code: str | None = None
    reason: tuple[Any, ...] = ()


def _last_word(name: str) -> str:
    """What stands behind the last `/`, `#` or `:` of an IRI; a short name is its own last word."""
    found = _LAST_WORD.search(name)
    return found.group() if found else name


# --- what belongs together

NegotiationMessage = (
    ContractRequestMessage
    | ContractOfferMessage
    | ContractAgreementMessage
    | ContractAgreementVerificationMessage
    | ContractNegotiationEventMessage
    | ContractNegotiationTerminationMessage
)
"""Moves a negotiation."""

TransferMessage = (
    TransferRequestMessage
    | TransferStartMessage
    | TransferSuspensionMessage
    | TransferCompletionMessage
    | TransferTerminationMessage
)
"""Moves a transfer."""

ProcessMessage = NegotiationMessage | TransferMessage
"""Moves a process: what an outbox holds."""

Acknowledgement = ContractNegotiation | TransferProcess
ErrorMessage = CatalogError | ContractNegotiationError | TransferError

Message = CatalogRequestMessage | DatasetRequestMessage | ProcessMessage | Acknowledgement | ErrorMessage
"""Everything that `wire.encode` writes and `wire.decode` reads."""
