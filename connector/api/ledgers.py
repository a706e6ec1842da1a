"""What a participant leaves with a ledger of data products: searches that tell what is new, and notices of what it wants."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from connector.api.catalog import LedgerSearch
from connector.api.common import Address, Asked, Id, Shown, Tree


class NewSubscription(LedgerSearch):
    """A search that tells of each product that fits it and comes or changes from now on."""

    webhook: str | None = Field(
        default=None,
        max_length=2048,
        description="Where the ledger posts what is new, signed (Standard Webhooks); without it ask for the news.",
        examples=["https://erp.example.org/new-data"],
    )


class Subscription(Shown):
    """A saved search of ours."""

    id: str
    fields: dict[str, list[str]] = Field(description="What is searched, as the ledger spells it.")
    webhook: str | None = None
    created_at: datetime
    news: str = Field(description="Address of what is new, at the ledger.")


class MadeSubscription(Subscription):
    """A saved search that was just made."""

    key: str | None = Field(
        default=None, description="The key that messages to the webhook are signed with: note it now, it is shown never again."
    )


class Subscriptions(Shown):
    """Our saved searches."""

    items: list[Subscription]


class News(Shown):
    """What came or changed, and fits a saved search."""

    items: list[Tree] = Field(description="Products, as the ledger spells them.")
    sequence: int = Field(description="Up to which change this is: give it as `after` the next time.")
    has_more: bool = Field(description="Ask again at once.")


class NewDemand(Asked):
    """A notice of what is wanted and not found."""

    title: str = Field(min_length=1, max_length=300, description="What is looked for, in the words of those who may have it.")
    text: str = Field(default="", max_length=4000, description="More about it, and whom to answer.")
    readers: Literal["matching", "everybody"] = Field(
        default="matching",
        description="Who sees it: members with a product that fits its title, or whoever may ask the ledger.",
    )
    catalog: Address | None = Field(
        default=None, description="The ledger's address; without it the participant's first catalogue."
    )
    peer: Id | None = Field(default=None, description="The ledger's participant id, where its token depends on it.")


class Demand(Shown):
    """A notice of what somebody wants."""

    id: str
    owner: str = Field(description="Participant id of who wants it.")
    title: str
    text: str = ""
    readers: str = "matching"
    created_at: datetime
    fits: bool | None = Field(default=None, description="Whether a product of ours fits.")


class Demands(Shown):
    """The notices that we see."""

    items: list[Demand]


class Suggestions(Shown):
    """Words that begin so."""

    suggestions: list[str]
