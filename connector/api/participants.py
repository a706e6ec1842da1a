"""Participant contexts: who this node speaks for, and their automation rules."""

from __future__ import annotations

from pydantic import Field, RootModel

from connector.api.common import Asked, Id, Name, Shown, Tree
from connector.settings import Rule


class NewParticipant(Asked):
    """A participant context to add to this node."""

    name: Name = Field(examples=["acme"])
    id: Id = Field(description="Participant id as in agreements: a DID or another URI.", examples=["did:web:acme.example"])
    title: str = Field(default="", max_length=300, description="Name for people.")


class Participant(Shown):
    """A participant context."""

    name: str = Field(description="Local name, as in addresses.")
    id: str = Field(description="Participant id, as in agreements.")
    title: str = ""
    address: str = Field(description="Base address that peers know: catalogue, negotiations and transfers are below it.")
    approval: str = Field(description="`auto`, or `manual`: every request waits for a person.")
    rules: list[Rule] = Field(description="Automation rules, in the order in which they are asked.")


class Rules(RootModel[tuple[Rule, ...]]):
    """All automation rules of a participant, in order: the first that fits decides."""

    model_config = {"json_schema_extra": {"examples": [[{"kind": "negotiation", "on": "REQUESTED", "do": "hold"}]]}}


class SelfDescription(Asked):
    """What a participant says of itself."""

    description: Tree = Field(
        description="The organisation as JSON-LD with full IRIs, as `kontor describe participant` makes it."
    )
    attestations: tuple[str, ...] = Field(
        default=(), max_length=20, description="Types of credentials in its wallet that everybody may see."
    )


class PublishedDescription(Shown):
    """What a participant says of itself, as its catalogue carries it."""

    description: Tree = Field(description="The organisation, and its connector as a service.")
    credential: str | None = Field(
        default=None, description="The same as a credential, signed by the participant; null without a wallet."
    )
    attestations: list[str] = Field(default_factory=list, description="Credentials of others about it, as tokens.")
    address: str = Field(description="Where everybody can read it.")
