"""What the connector's routes of the operator API stand on, put together by `app/assembly/connector.py`."""

from __future__ import annotations

from dataclasses import dataclass

from connector.controlplane.access import DataAccess
from connector.controlplane.agreements import Agreements
from connector.controlplane.catalog import Catalogs
from connector.controlplane.collecting import Collecting
from connector.controlplane.decision_log import DecisionLog
from connector.controlplane.describing import Describing
from connector.controlplane.events import Events
from connector.controlplane.explaining import Explaining
from connector.controlplane.leaving import Leaving
from connector.controlplane.ledgers import Ledgers
from connector.controlplane.negotiation import Negotiations
from connector.controlplane.obtaining import Obtaining
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants
from connector.controlplane.reconciling import Reconciling
from connector.controlplane.records import Records
from connector.controlplane.secrets import Secrets
from connector.controlplane.strays import Strays
from connector.controlplane.transfer import Transfers
from connector.controlplane.webhooks import Webhooks
from connector.ports.dataplane import DataPlane
from connector.ports.store import Store
from connector.web.refusals import Refusals


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The use cases and the seams behind the operator API."""

    store: Store
    participants: Participants
    offerings: Offerings
    secrets: Secrets
    catalogs: Catalogs
    ledgers: Ledgers
    describing: Describing
    negotiations: Negotiations
    transfers: Transfers
    agreements: Agreements
    events: Events
    data_plane: DataPlane
    collecting: Collecting
    access: DataAccess
    records: Records
    decisions: DecisionLog
    refusals: Refusals
    explaining: Explaining
    webhooks: Webhooks
    obtaining: Obtaining
    leaving: Leaving
    reconciling: Reconciling
    strays: Strays
