"""Calls about what participants say of themselves."""

from __future__ import annotations

from connector.api.participants import PublishedDescription, SelfDescription
from connector.client.calls import Call, deleted, get, written


def self_description(participant: str) -> Call[PublishedDescription]:
    """What the participant says of itself."""
    return get(PublishedDescription, "participants", participant, "self-description")


def put_self_description(participant: str, wanted: SelfDescription) -> Call[PublishedDescription]:
    """What it says of itself from now on."""
    return written("PUT", PublishedDescription, "participants", participant, "self-description", body=wanted)


def delete_self_description(participant: str) -> Call[None]:
    """Say nothing of it any more."""
    return deleted("participants", participant, "self-description")
