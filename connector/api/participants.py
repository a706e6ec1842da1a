"""Participant contexts: who this node speaks for, and their automation rules."""

from __future__ import annotations

from pydantic import Field, RootModel

from connector.api.common import Asked, Id, Name, Shown
from connector.settings import Rule


class NewParticipant(Asked):
    """A participant context to add to this node."""

    name: Name = Field(examples=["acme"])
    id: Id = Field(description="Participant id as in agreements: a DID or another URI.", examples=["did:web:acme.example"])
    title: str = Field("", max_length=300, description="Name for people.")


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
