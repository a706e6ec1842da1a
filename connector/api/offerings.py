"""What a participant offers: assets, policies, and the contract definitions that join them.

An asset under a contract definition is a dataset of the catalogue with one offer. These models are also what is stored.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from connector.api.common import Asked, Id, Tree
from connector.api.sources import AssetSource
from connector.settings import Rule

_PRINTABLE: Final = "^[ -~]*$"
"""What a header can carry: the media type goes with each answer that has the data."""


class Asset(Asked):
    """Data that can be offered: its description and where it lies."""

    id: Id = Field(examples=["urn:example:weather-2025"])
    title: str = Field(default="", max_length=300, examples=["Hourly weather, 2025"])
    description: str = Field(default="", max_length=20_000)
    keywords: tuple[str, ...] = Field(
        default=(), max_length=100, description="Words to find it by.", examples=[["weather", "hourly"]]
    )
    media_type: str | None = Field(
        default=None, max_length=200, pattern=_PRINTABLE, description="IANA media type.", examples=["text/csv"]
    )
    properties: dict[str, Any] = Field(
        default_factory=dict,
        description="Further description: members of the dataset in the catalogue; names have a prefix (`dct:creator`) or are IRIs.",
        examples=[{"dct:creator": "Example Weather Service"}],
    )
    source: AssetSource = Field(
        default=AssetSource(type="none"),
        description="Where the data lies.",
        examples=[{"type": "file", "path": "/srv/data/weather-2025.csv"}],
    )
    digest: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the data, hexadecimal; computed for a file when left out.",
    )
    byte_size: int | None = Field(default=None, ge=0, description="Size in bytes; measured for a file when left out.")
    formats: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Transfer formats to offer; when left out, all that the data plane can serve this source in.",
        examples=[["HttpData-PULL", "HttpData-PUSH"]],
    )


class Policy(Asked):
    """A policy under a name, to be used in contract definitions."""

    id: Id = Field(examples=["members-only"])
    policy: Tree = Field(
        description="ODRL policy as JSON, spelled as in offers of the Dataspace Protocol.",
        examples=[
            {
                "permission": [
                    {
                        "action": "use",
                        "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"}],
                    }
                ]
            }
        ],
    )


class ContractDefinition(Asked):
    """Which assets are offered under which policy, to whom, and what happens by itself."""

    id: Id = Field(examples=["weather-for-research"])
    assets: tuple[Id, ...] = Field(
        min_length=1, description="Ids of assets, or `*` for all.", examples=[["urn:example:weather-2025"]]
    )
    keywords: tuple[str, ...] = Field(
        default=(), description="Only assets that have one of these keywords; none does not narrow."
    )
    policy: Id = Field(description="Id of the policy that is offered as contract.", examples=["members-only"])
    access_policy: Id | None = Field(
        default=None,
        description="Id of the policy that decides who sees the offer at all; without one every proven caller does.",
    )
    offer_id: str = Field(
        default="{definition}:{dataset}",
        min_length=1,
        max_length=512,
        description="Template of the offer's id; `{definition}` and `{dataset}` are filled in.",
    )
    legal_only: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Left operands of the policy that are agreed and not technically enforced; nobody else may be expected to.",
        examples=[["spatial"]],
    )
    rules: tuple[Rule, ...] = Field(default=(), description="Automation rules for negotiations about these offers.")
    approval: Literal["auto", "manual"] = Field(default="auto", description="`manual` holds every request for a person.")
