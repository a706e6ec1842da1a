"""What can be asked of a node itself: the contexts that it serves, its keys, its trail, how it is."""

from __future__ import annotations

from connector.api.access import ApiKey, CreatedKey, NewKey
from connector.api.audit import AuditEntry, AuditVerdict
from connector.api.common import Listing
from connector.api.doctor import Findings
from connector.api.participants import NewParticipant, Participant
from connector.client.calls import Call, deleted, get, written


def participants(*, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Participant]]:
    """The participant contexts that the key is good for, by name."""
    return get(Listing[Participant], "participants", cursor=cursor, limit=limit)


def remove_participant(name: str, *, is_ending: bool = False) -> Call[None]:
    """Serve a context no longer; with `is_ending` what it has open is ended first, and its peers are told."""
    return deleted("participants", name, end="true" if is_ending else None)


def add_participant(wanted: NewParticipant) -> Call[Participant]:
    """A participant context, added to the node."""
    return written("POST", Participant, "participants", body=wanted)


def api_keys(*, cursor: str | None = None, limit: int | None = None) -> Call[Listing[ApiKey]]:
    """The keys of the contexts that our key administers, by name."""
    return get(Listing[ApiKey], "keys", cursor=cursor, limit=limit)


def create_api_key(wanted: NewKey) -> Call[CreatedKey]:
    """A key, good from now on; the result alone shows it."""
    return written("POST", CreatedKey, "keys", body=wanted)


def revoke_api_key(name: str) -> Call[None]:
    """Make a key good for nothing, at once."""
    return deleted("keys", name)


def audit(
    participant: str | None = None, *, since: str | None = None, until: str | None = None, cursor: str | None = None,
    limit: int | None = None,
) -> Call[Listing[AuditEntry]]:  # fmt: skip
    """The audit trail of a participant, or of the node itself, newest first."""
    where = ("audit",) if participant is None else ("participants", participant, "audit")
    return get(Listing[AuditEntry], *where, since=since, until=until, cursor=cursor, limit=limit)


def verify_audit(participant: str | None = None, *, number: int | None = None, sha256: str | None = None) -> Call[AuditVerdict]:
    """Whether a trail is whole, and still holds the entry that was noted earlier."""
    where = ("audit",) if participant is None else ("participants", participant, "audit")
    return get(AuditVerdict, *where, "verification", number=number, sha256=sha256)


def examine_node() -> Call[Findings]:
    """What the node finds when it looks at itself."""
    return get(Findings, "doctor")
