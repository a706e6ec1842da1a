"""What a participant offers: assets, policies, and the contract definitions that join them.

An asset under a contract definition is a dataset of the catalogue with one offer. These models are also what is stored.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from connector.api.common import Asked, Id, Tree
from connector.settings import Rule


class AssetSource(Asked):
    """Where the data of an asset lies; a peer never sees it."""

    type: Literal["file", "folder", "http", "s3", "none"] = Field(
        description="`file` and `folder` lie on the node, `http` is an upstream, `s3` an object store, `none` is moved by others."
    )
    path: str | None = Field(None, description="`file`, `folder`: absolute path on the machine of the node.")
    url: str | None = Field(None, pattern=r"^https?://[^\s]+$", description="`http`: address of the upstream.")
    bucket: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{3,255}$", description="`s3`: the bucket.")
    key: str | None = Field(
        None, max_length=1024, description="`s3`: key of an object; a prefix that ends in `/`, or nothing, is a folder."
    )
    endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/?#@]+/?$", description="`s3`: address of the store; Amazon's when left out."
    )
    region: str | None = Field(None, pattern=r"^[a-z0-9-]{1,64}$", description="`s3`: region; `us-east-1` when left out.")
    proxied: bool = Field(
        False, description="`s3`: consumers never read from the store itself: `S3-PULL` goes through the node, too."
    )
    secret: Id | None = Field(
        None,
        description="Name of the stored secret. `http`: the whole value of `secret_header`;"
        " `s3`: `ACCESS_KEY:SECRET_KEY`, or with a session token `ACCESS_KEY:SECRET_KEY:TOKEN`.",
    )
    secret_header: str = Field(
        "Authorization", pattern=r"^[A-Za-z0-9-]{1,64}$", description="`http`: header that carries the secret."
    )

    @model_validator(mode="after")
    def _place_fits_type(self) -> Self:
        needed = {"file": "path", "folder": "path", "http": "url", "s3": "bucket", "none": None}[self.type]
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"a source of type `{self.type}` needs `{needed}`")
        stray = {"path", "url", "bucket", "key", "endpoint", "region"} - {needed}
        if self.type == "s3":
            stray = {"path", "url"}
        for member in sorted(stray):
            if getattr(self, member) is not None:
                raise ValueError(f"a source of type `{self.type}` has no `{member}`; leave it out")
        if self.path is not None and not self.path.startswith("/"):
            raise ValueError("`path` is not absolute; the node does not know your working directory")
        if self.key is not None and not _is_key(self.key):
            raise ValueError("`key` has an empty step, `.` or `..`; write it as `folder/file` or `folder/`")
        if self.proxied and self.type != "s3":
            raise ValueError(f"a source of type `{self.type}` is always read through the node; leave `proxied` out")
        if self.secret is not None and self.type not in ("http", "s3"):
            raise ValueError(f"a source of type `{self.type}` needs no `secret`; leave it out")
        return self


def _is_key(key: str) -> bool:
    return not key or not any(step in ("", ".", "..") for step in key.removesuffix("/").split("/"))


class Asset(Asked):
    """Data that can be offered: its description and where it lies."""

    id: Id = Field(examples=["urn:example:weather-2025"])
    title: str = Field("", max_length=300, examples=["Hourly weather, 2025"])
    description: str = Field("", max_length=20_000)
    keywords: tuple[str, ...] = Field((), max_length=100, description="Words to find it by.", examples=[["weather", "hourly"]])
    media_type: str | None = Field(None, max_length=200, description="IANA media type.", examples=["text/csv"])
    properties: dict[str, Any] = Field(
        default_factory=dict,
        description="Further description: members of the dataset in the catalogue; names have a prefix (`dct:creator`) or are IRIs.",
        examples=[{"dct:creator": "Example Weather Service"}],
    )
    source: AssetSource = Field(
        AssetSource(type="none"),
        description="Where the data lies.",
        examples=[{"type": "file", "path": "/srv/data/weather-2025.csv"}],
    )
    digest: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the data, hexadecimal; computed for a file when left out."
    )
    byte_size: int | None = Field(None, ge=0, description="Size in bytes; measured for a file when left out.")
    formats: tuple[str, ...] | None = Field(
        None,
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
    keywords: tuple[str, ...] = Field((), description="Only assets that have one of these keywords; none does not narrow.")
    policy: Id = Field(description="Id of the policy that is offered as contract.", examples=["members-only"])
    access_policy: Id | None = Field(
        None, description="Id of the policy that decides who sees the offer at all; without one every proven caller does."
    )
    offer_id: str = Field(
        "{definition}:{dataset}",
        min_length=1,
        max_length=512,
        description="Template of the offer's id; `{definition}` and `{dataset}` are filled in.",
    )
    rules: tuple[Rule, ...] = Field((), description="Automation rules for negotiations about these offers.")
    approval: Literal["auto", "manual"] = Field("auto", description="`manual` holds every request for a person.")
