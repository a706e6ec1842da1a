"""The connector's routers of the operator API; loading them loads the framework."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from connector.web.operator import (
    agreements,
    approvals,
    catalog,
    decisions,
    events,
    ledgers,
    negotiations,
    offerings,
    participants,
    processes,
    reconciliation,
    secrets,
    transfers,
    usage,
    webhooks,
)
from connector.web.operator.parts import Parts

_ROOMS: Final = (
    participants.routes,
    offerings.assets,
    offerings.policies,
    offerings.definitions,
    secrets.routes,
    catalog.routes,
    ledgers.routes,
    negotiations.routes,
    usage.routes,
    agreements.routes,
    approvals.routes,
    transfers.routes,
    processes.routes,
    reconciliation.routes,
    decisions.routes,
    events.routes,
    webhooks.routes,
)


def routers(parts: Parts) -> list[APIRouter]:
    """All of them, in the order of the API's description."""
    return [routes(parts) for routes in _ROOMS]
