"""The typed Python client of the operator API.

What lives here: `calls.py` says what can be asked (one value a call, nothing sent), `client.py` sends it, waiting or not.
What does not: files, progress bars and configuration (`cli/`).

    with Client("http://127.0.0.1:8081", api_key) as node:
        acme = Calls("acme")
        for negotiation in node.send(acme.negotiations(state="FINALIZED")).items:
            print(negotiation.dataset)

`AsyncClient` takes the same calls: `await node.send(acme.negotiations())`.
"""

from connector.client.calls import Call, Calls
from connector.client.client import AsyncClient, Client, Download
from connector.client.node import (
    add_participant,
    api_keys,
    audit,
    create_api_key,
    examine_node,
    participants,
    remove_participant,
    revoke_api_key,
    verify_audit,
)
from connector.client.operating import (
    add_webhook,
    approvals,
    approve,
    contract,
    deliveries,
    drop_job,
    jobs,
    reject,
    remove_webhook,
    retry_job,
    webhook,
    webhooks,
)

__all__ = [
    "AsyncClient",
    "Call",
    "Calls",
    "Client",
    "Download",
    "add_participant",
    "add_webhook",
    "api_keys",
    "approvals",
    "approve",
    "audit",
    "contract",
    "create_api_key",
    "deliveries",
    "drop_job",
    "examine_node",
    "jobs",
    "participants",
    "reject",
    "remove_participant",
    "remove_webhook",
    "retry_job",
    "revoke_api_key",
    "verify_audit",
    "webhook",
    "webhooks",
]
