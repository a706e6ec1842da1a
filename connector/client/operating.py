"""What can be asked of a node about its own work: background jobs, webhooks, what waits for a person, contracts in one call."""

from __future__ import annotations

from connector.api.approvals import Approval, Contract, ContractWish, Rejection
from connector.api.common import Listing
from connector.api.jobs import Job
from connector.api.processes import Process
from connector.api.reconciliation import Reconciliation, ReconciliationWish
from connector.api.webhooks import CreatedWebhook, NewWebhook, Webhook, WebhookTry
from connector.client.calls import Call, deleted, get, posted, written


def jobs(
    participant: str | None = None, *, of: str | None = None, kind: str | None = None, is_given_up: bool | None = None,
    cursor: str | None = None, limit: int | None = None,
) -> Call[Listing[Job]]:  # fmt: skip
    """The background work of a participant, newest first; without one, that of the node, or `of` its role `authority` or `catalog`."""
    given_up = None if is_given_up is None else str(is_given_up).lower()
    return get(Listing[Job], *_jobs(participant), of=of, kind=kind, given_up=given_up, cursor=cursor, limit=limit)


def retry_job(kind: str, id_: str, participant: str | None = None, *, of: str | None = None) -> Call[Job]:
    """Work that was given up, begun anew."""
    return posted(Job, *_jobs(participant), kind, id_, "retry", of=of)


def drop_job(kind: str, id_: str, participant: str | None = None, *, of: str | None = None) -> Call[None]:
    """Have work never done."""
    return deleted(*_jobs(participant), kind, id_, of=of)


def _jobs(participant: str | None) -> tuple[str, ...]:
    return ("jobs",) if participant is None else ("participants", participant, "jobs")


def approvals(
    participant: str, *, kind: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Listing[Approval]]:
    """Negotiations, or with `kind="transfer"` transfers, that wait for a person, newest first."""
    return get(Listing[Approval], "participants", participant, "approvals", kind=kind, cursor=cursor, limit=limit)


def approve(participant: str, pid: str) -> Call[Process]:
    """A process after it was let go on."""
    return posted(Process, "participants", participant, "approvals", pid, "approve")


def reject(participant: str, pid: str, said: Rejection) -> Call[Process]:
    """A process, ended; the peer is told why."""
    return written("POST", Process, "participants", participant, "approvals", pid, "reject", body=said)


def reconcile(participant: str, wanted: ReconciliationWish) -> Call[Reconciliation]:
    """A comparison of processes with what their peers hold them for, begun."""
    return written("POST", Reconciliation, "participants", participant, "reconciliations", body=wanted)


def reconciliation(participant: str, run: str = "latest") -> Call[Reconciliation]:
    """One comparison, as it stands; the latest without a run."""
    return get(Reconciliation, "participants", participant, "reconciliations", run)


def contract(participant: str, wanted: ContractWish) -> Call[Contract]:
    """A live agreement about a dataset of a peer; where there is none, one is negotiated."""
    return written("POST", Contract, "participants", participant, "contracts", body=wanted)


def webhooks(participant: str, *, cursor: str | None = None, limit: int | None = None) -> Call[Listing[Webhook]]:
    """The webhooks, by name."""
    return get(Listing[Webhook], "participants", participant, "webhooks", cursor=cursor, limit=limit)


def webhook(participant: str, name: str) -> Call[Webhook]:
    """One webhook."""
    return get(Webhook, "participants", participant, "webhooks", name)


def add_webhook(participant: str, wanted: NewWebhook) -> Call[CreatedWebhook]:
    """A webhook, told of what happens from now on; the result alone shows a key that was made for it."""
    return written("POST", CreatedWebhook, "participants", participant, "webhooks", body=wanted)


def remove_webhook(participant: str, name: str) -> Call[None]:
    """Tell it nothing any more."""
    return deleted("participants", participant, "webhooks", name)


def deliveries(
    participant: str, name: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[Listing[WebhookTry]]:
    """What was sent to a webhook and what came of it, newest first."""
    return get(Listing[WebhookTry], "participants", participant, "webhooks", name, "deliveries", cursor=cursor, limit=limit)
