"""From what the house remembers to what the operator API shows. Pure; tokens and sealed texts have no way through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from connector.api import agreements, catalog, negotiations, participants, processes, transfers
from connector.api.common import Listing
from connector.controlplane.catalog import PeerCatalog, PeerDataset, Visibility
from connector.controlplane.describing import Published
from connector.controlplane.participants import Context
from connector.dsp.messages import DataAddress, EndpointProperty
from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.process import Process
from connector.dsp.transfer import Transfer
from connector.ports.store import Page, Timeline
from connector.web.refusals import Refusal

A = TypeVar("A")
B = TypeVar("B")


def listing(page: Page[A], view: Callable[[A], B]) -> Listing[B]:
    """A page of the store as the API lists it."""
    return Listing(items=[view(item) for item in page.items], total=page.total, next_cursor=page.next_cursor)


def part(found: Iterable[A], key: Callable[[A], str], cursor: str | None, limit: int) -> Page[A]:
    """A page of what is known whole, by `key`, which nothing else in it has; the cursor is the key of the last one shown."""
    known = sorted(found, key=key)
    left = [one for one in known if cursor is None or key(one) > cursor]
    shown = tuple(left[:limit])
    return Page(items=shown, total=len(known), next_cursor=key(shown[-1]) if len(left) > limit else None)


def participant(context: Context) -> participants.Participant:
    """A participant context."""
    return participants.Participant(
        name=context.name,
        id=context.id,
        title=context.title,
        address=context.address,
        approval="manual" if context.is_approval_manual else "auto",
        rules=list(context.rules),
    )


def self_description(found: Published, context: Context) -> participants.PublishedDescription:
    """What a participant says of itself."""
    return participants.PublishedDescription(
        description=dict(found.tree),
        credential=found.credential,
        attestations=list(found.attestations),
        address=f"{context.address.removesuffix('/dsp/2025-1')}/self-description",
    )


def peer_catalog(found: PeerCatalog) -> catalog.PeerCatalog:
    """A peer's catalogue."""
    return catalog.PeerCatalog(catalog=dict(found.tree), base=found.base, pages=found.pages, warnings=list(found.warnings))


def visibility(dataset: str, party: str, found: tuple[Visibility, ...]) -> catalog.Visibility:
    """What somebody sees of a dataset."""
    offers = [
        catalog.OfferVisibility(
            offer=one.offer,
            definition=one.definition,
            access_policy=one.access_policy,
            is_visible=one.is_visible,
            reasons=list(one.reasons),
        )
        for one in found
    ]
    return catalog.Visibility(dataset=dataset, party=party, offers=offers)


def peer_dataset(found: PeerDataset) -> catalog.PeerDataset:
    """One dataset of a peer."""
    return catalog.PeerDataset(dataset=dict(found.tree), base=found.base)


def agreement(found: Agreement) -> agreements.Agreement:
    """An agreement."""
    return agreements.Agreement(
        id=found.id,
        role=found.role.value,
        peer=found.peer,
        peer_address=found.peer_address,
        provider=found.provider,
        consumer=found.consumer,
        dataset=found.dataset,
        policy=dict(found.policy),
        purpose=found.purpose,
        negotiation=found.negotiation,
        signed_at=found.signed_at,
        ended_at=found.ended_at,
        end_reason=found.end_reason,
    )


def negotiation(found: Negotiation) -> negotiations.Negotiation:
    """A negotiation."""
    return negotiations.Negotiation(
        **_common(found),
        dataset=found.dataset,
        offer=dict(found.offer),
        offered_by=found.offered_by.value if found.offered_by else None,
        agreement_id=found.agreement_id,
    )


def transfer(found: Transfer) -> transfers.Transfer:
    """A transfer, without what opens its data."""
    return transfers.Transfer(
        **_common(found),
        dataset=found.dataset,
        agreement_id=found.agreement_id,
        format=found.format,
        has_address=(found.destination if found.is_push else found.address) is not None,
        is_open=found.is_open,
        data_plane=found.flow.plane if found.flow is not None else None,
        flow_state=found.flow.state or None if found.flow is not None else None,
        moved_bytes=found.moved_bytes,
        digest=found.digest,
    )


def either(found: Process) -> negotiations.Negotiation | transfers.Transfer:
    """A process of either kind."""
    return negotiation(found) if isinstance(found, Negotiation) else transfer(_as_transfer(found))


def _as_transfer(found: Process) -> Transfer:
    assert isinstance(found, Transfer)
    return found


def _common(found: Process) -> dict[str, Any]:
    return {
        "pid": found.pid,
        "role": found.role.value,
        "peer": found.peer,
        "peer_address": found.peer_address,
        "peer_pid": found.peer_pid,
        "state": found.state.value if found.state else None,
        "in_flight": found.in_flight.event.value if found.in_flight else None,
        "hold": found.hold,
        "in_doubt": found.is_doubted,
        "error": found.error,
        "code": found.code,
        "reasons": list(found.reasons),
        "warnings": list(found.warnings),
        "purpose": found.purpose,
        "entries": dict(found.entries),
        "created_at": found.created_at,
        "updated_at": found.updated_at,
    }


def timeline(found: Process, kept: Timeline, refused: Sequence[Refusal] = ()) -> processes.Timeline:
    """A process and everything kept about it; of messages their outside only."""
    return processes.Timeline(
        process=either(found),
        records=[
            processes.TimelineRecord(
                at=r.at, by=r.by.value, event=r.event, state=r.state.value if r.state else None, note=r.note
            )
            for r in kept.records
        ],
        attempts=[
            processes.DeliveryAttempt(
                at=a.at,
                message_id=a.message_id,
                event=a.event,
                url=a.url,
                status=a.status,
                cause=a.cause,
                is_final=a.is_final,
            )
            for a in kept.attempts
        ],
        pending=[
            processes.PendingMessage(
                message_id=p.outgoing.message_id,
                event=p.outgoing.event.value,
                url=p.outgoing.url,
                tries=p.tries,
                created_at=p.created_at,
            )
            for p in kept.pending
        ],
        due=[processes.DueAct(at=d.at, act=d.act, state=d.state.value if d.state else None, reason=d.reason) for d in kept.due],
        refused=[processes.RefusedRequest(at=r.at, source=r.source, check=r.check, words=r.words) for r in refused],
    )


def address(found: DataAddress) -> transfers.DataAddress:
    """A data address, with what opens it: for the one route that is asked for it."""
    return transfers.DataAddress(
        endpoint_type=found.endpoint_type,
        endpoint=found.endpoint_url(),
        properties={entry.name: entry.value for entry in found.endpoint_properties},
    )


def destination(wanted: transfers.DataAddress) -> DataAddress:
    """A data address that an operator wrote, as a message carries it."""
    return DataAddress(
        endpoint_type=wanted.endpoint_type,
        endpoint=wanted.endpoint,
        endpoint_properties=tuple(EndpointProperty(name=name, value=value) for name, value in wanted.properties.items()),
    )
