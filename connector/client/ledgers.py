"""Calls about what a participant leaves with a ledger of data products, and reads there beside searches."""

from __future__ import annotations

from connector.api.ledgers import (
    Demand,
    Demands,
    MadeSubscription,
    NewDemand,
    News,
    NewSubscription,
    Subscriptions,
    Suggestions,
)
from connector.client.calls import Call, deleted, get, written


def suggestions(participant: str, beginning: str, *, catalog: str | None = None, peer: str | None = None) -> Call[Suggestions]:
    """Words of the ledger that begin so."""
    return get(Suggestions, *_path(participant, "suggestions"), beginning=beginning, catalog=catalog, peer=peer)


def subscriptions(participant: str, *, catalog: str | None = None, peer: str | None = None) -> Call[Subscriptions]:
    """Our saved searches at a ledger."""
    return get(Subscriptions, *_path(participant, "subscriptions"), catalog=catalog, peer=peer)


def subscribe(participant: str, wanted: NewSubscription) -> Call[MadeSubscription]:
    """Be told of what is new; the result alone shows the key that messages to a webhook are signed with."""
    return written("POST", MadeSubscription, *_path(participant, "subscriptions"), body=wanted)


def news(participant: str, id_: str, after: int, *, catalog: str | None = None, peer: str | None = None) -> Call[News]:
    """What fits a saved search and came or changed after the number `after`."""
    return get(News, *_path(participant, "subscriptions", id_, "news"), after=after, catalog=catalog, peer=peer)


def unsubscribe(participant: str, id_: str, *, catalog: str | None = None, peer: str | None = None) -> Call[None]:
    """Take a saved search away."""
    return deleted(*_path(participant, "subscriptions", id_), catalog=catalog, peer=peer)


def demands(participant: str, *, catalog: str | None = None, peer: str | None = None) -> Call[Demands]:
    """What members want and we may see, the latest first."""
    return get(Demands, *_path(participant, "demands"), catalog=catalog, peer=peer)


def post_demand(participant: str, wanted: NewDemand) -> Call[Demand]:
    """Say what we want and do not find."""
    return written("POST", Demand, *_path(participant, "demands"), body=wanted)


def withdraw_demand(participant: str, id_: str, *, catalog: str | None = None, peer: str | None = None) -> Call[None]:
    """Take a notice away."""
    return deleted(*_path(participant, "demands", id_), catalog=catalog, peer=peer)


def _path(participant: str, *parts: str) -> tuple[str, ...]:
    return ("participants", participant, "catalog", *parts)
