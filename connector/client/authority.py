"""What can be asked of the node of an authority: its register, the decisions about members, and its keys."""

from __future__ import annotations

from dataclasses import replace

from connector.api.authority import Approval, Decision, Member, NewMember, OfferWish, Reinstatement
from connector.api.common import Listing
from connector.api.identity import IdentityKey, NewAuthorityKey, RevokedKey
from connector.client.calls import Call, get, sent, written


def applications(*, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Member]]:
    """Who wants to take part, by DID."""
    return get(Listing[Member], "authority", "applications", cursor=cursor, limit=limit)


def members(state: str | None = None, *, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Member]]:
    """Every member, by DID."""
    return get(Listing[Member], "authority", "members", state=state, cursor=cursor, limit=limit)


def member(did: str) -> Call[Member]:
    """One member, with what it was given."""
    return get(Member, "authority", "members", did)


def enrol(wanted: NewMember) -> Call[Member]:
    """A member, taken in by the operator's word."""
    return written("POST", Member, "authority", "members", body=wanted)


def approve(did: str, wanted: Approval) -> Call[Member]:
    """An applicant, taken in."""
    return written("POST", Member, "authority", "members", did, "approve", body=wanted)


def decide(did: str, act: str, wanted: Decision) -> Call[Member]:
    """A member after `act`: `reject`, `suspend` or `revoke`."""
    return written("POST", Member, "authority", "members", did, act, body=wanted)


def reinstate(did: str, wanted: Reinstatement) -> Call[Member]:
    """A member whose suspension has ended."""
    return written("POST", Member, "authority", "members", did, "reinstate", body=wanted)


def offer(did: str, wanted: OfferWish) -> Call[None]:
    """Credentials offered to a member."""
    return sent("POST", "authority", "members", did, "offer", body=wanted)


def keys() -> Call[Listing[IdentityKey]]:
    """The authority's keys."""
    return get(Listing[IdentityKey], "authority", "keys")


def rotate_key(wanted: NewAuthorityKey) -> Call[IdentityKey]:
    """A new key, which signs when everybody has seen it."""
    return written("POST", IdentityKey, "authority", "keys", body=wanted)


def revoke_key(name: str) -> Call[RevokedKey]:
    """A key that counts no more."""
    return replace(get(RevokedKey, "authority", "keys", name), method="DELETE")
