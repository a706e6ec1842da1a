"""The settings of the role `catalog`: whom the ledger asks, whom it answers, how often it looks."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from connector.settings.fields import ParticipantId, Section


def base_address(value: str) -> str:
    """`value` without a slash at its end, when it is an absolute http(s) address."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an absolute http(s) address, such as `https://data.example.org/anna`")
    return value.rstrip("/")


class CatalogMember(Section):
    """A member whose catalogue is gathered."""

    id: ParticipantId = Field(description="Participant id.")
    address: str = Field(
        description="Where its connector answers; of a catalogue its address, such as `https://x.org/catalog`."
    )
    kind: Literal["connector", "catalog"] = Field(
        "connector", description="`catalog` speaks for others too: list only catalogues that are believed."
    )
    title: str = Field("", description="Name for people.")

    _address = field_validator("address")(base_address)


class KnownCatalog(Section):
    """A catalogue that a participant belongs to."""

    id: ParticipantId = Field(description="Participant id of the catalogue.")
    address: str = Field(description="Where it answers, such as `https://ledger.example.org/catalog`.")

    _address = field_validator("address")(base_address)


class MembersList(Section):
    """The signed list of an alliance's members."""

    url: str = Field(description="Where the list is, such as `https://authority.example.org/authority/participants`.")
    governance: ParticipantId = Field(description="The DID that must have signed it.")
    space: str = Field("", description="The id of its space, where its governance has several.")

    _address = field_validator("url")(base_address)


class Catalog(Section):
    """The role `catalog`: the alliance's ledger of data products."""

    participant: str = Field(
        "", description="Local name of the participant that asks the members, and as whom the ledger answers."
    )
    viewers: Literal["members", "everybody"] = Field(
        "members",
        description="Who may ask; `everybody` only where the participant is told no more than a stranger is.",
    )
    space: str = Field("", description="Name of the data space, shown with its products.")
    list: MembersList | None = Field(None, description="The signed list that says who the members are.")
    members: tuple[CatalogMember, ...] = Field(
        (),
        description="The members, where no signed list names them; beside one: catalogues, and members that answer elsewhere.",
    )
    interval_s: float = Field(3600, ge=1, description="How often each member is looked at, beside what it announces itself.")
    follow_s: float = Field(
        1,
        ge=0.1,
        description="How often members that are catalogues are asked for what has changed, beside what they announce.",
    )
    parallel: int = Field(32, ge=1, le=1000, description="Members looked at at once.")
    parallel_per_host: int = Field(4, ge=1, description="Of them at one host; lower it where members share small machines.")
    look_within_s: float = Field(120, gt=0, description="Longest time for one look at a member.")
    sparql: bool = Field(False, description="Answer questions in SPARQL at `/catalog/sparql`; needs the extra `sparql`.")
    sparql_within_s: float = Field(10, gt=0, description="Longest time for one question in SPARQL.")
    index: Literal["auto", "tantivy", "fts5"] = Field(
        "auto", description="Search index; `auto` takes tantivy where the extra `catalog` is installed."
    )
