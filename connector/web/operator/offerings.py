"""Routes: assets, policies and contract definitions, as documents: written whole, read whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from connector.api.common import Listing
from connector.api.offerings import Asset, ContractDefinition, Policy
from connector.api.usage import ClauseOf
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY
from connector.web.operator import views
from connector.web.operator.keys import Participant
from connector.web.operator.parts import Parts
from connector.web.operator.queries import Cursor, Limit
from connector.web.operator.rooms import room
from connector.web.operator.usage import clause

DocumentId = Annotated[str, Path(max_length=512, description="Its id; escape it, slashes included.")]
_MUST_NOT_EXIST = 0


def assets(parts: Parts) -> APIRouter:
    """`/assets`, below a participant."""
    router = room("assets", "/participants/{participant}/assets")
    offerings = parts.offerings

    @router.get("")
    async def list_assets(participant: Participant, cursor: Cursor = None, limit: Limit = 100) -> Listing[Asset]:
        """Assets by id."""
        page = await offerings.list(participant, ASSET, cursor, limit)
        return views.listing(page, lambda found: Asset.model_validate(found.body))

    @router.post("", status_code=201)
    async def add_asset(participant: Participant, asset: Asset) -> Asset:
        """A new asset; a file of the node is measured and digested."""
        return await _keep_asset(parts, participant, asset, expect=_MUST_NOT_EXIST)

    @router.get("/{id:path}")
    async def get_asset(participant: Participant, id: DocumentId) -> Asset:
        """One asset, with digest and size where they are known."""
        return Asset.model_validate((await offerings.get(participant, ASSET, id)).body)

    @router.put("/{id:path}")
    async def put_asset(participant: Participant, id: DocumentId, asset: Asset) -> Asset:
        """An asset, new or in place of the one with its id."""
        return await _keep_asset(parts, participant, asset, id=id)

    @router.delete("/{id:path}", status_code=204)
    async def delete_asset(participant: Participant, id: DocumentId) -> None:
        """Take an asset away. Agreements about it stay; nothing can be transferred under them any more."""
        await offerings.delete(participant, ASSET, id)

    return router


async def _keep_asset(
    parts: Parts, participant: str, asset: Asset, *, id: str | None = None, expect: int | None = None
) -> Asset:
    body = asset.model_dump(mode="json")
    kept = await parts.offerings.put(participant, ASSET, id or asset.id, body, expect=expect)
    return Asset.model_validate(kept.body)


def policies(parts: Parts) -> APIRouter:
    """`/policies`, below a participant."""
    router = room("policies", "/participants/{participant}/policies")
    offerings = parts.offerings

    @router.get("")
    async def list_policies(participant: Participant, cursor: Cursor = None, limit: Limit = 100) -> Listing[Policy]:
        """Policies by id."""
        page = await offerings.list(participant, POLICY, cursor, limit)
        return views.listing(page, lambda found: Policy.model_validate(found.body))

    @router.post("", status_code=201)
    async def add_policy(participant: Participant, policy: Policy) -> Policy:
        """A new policy."""
        body = policy.model_dump(mode="json")
        return Policy.model_validate((await offerings.put(participant, POLICY, policy.id, body, expect=_MUST_NOT_EXIST)).body)

    @router.get("/{id:path}/clauses")
    async def get_clauses_of_policy(participant: Participant, id: str) -> list[ClauseOf]:
        """Who would see to each clause of a policy if it were published: now, at a transfer, the consumer, the law, or nobody."""
        return [clause(one) for one in await offerings.clauses(participant, id, ())]

    @router.get("/{id:path}")
    async def get_policy(participant: Participant, id: DocumentId) -> Policy:
        """One policy."""
        return Policy.model_validate((await offerings.get(participant, POLICY, id)).body)

    @router.put("/{id:path}")
    async def put_policy(participant: Participant, id: DocumentId, policy: Policy) -> Policy:
        """A policy, new or in place of the one with its id; what was agreed on keeps its own text."""
        return Policy.model_validate((await offerings.put(participant, POLICY, id, policy.model_dump(mode="json"))).body)

    @router.delete("/{id:path}", status_code=204)
    async def delete_policy(participant: Participant, id: DocumentId) -> None:
        """Take away a policy that no contract definition uses."""
        await offerings.delete(participant, POLICY, id)

    return router


def definitions(parts: Parts) -> APIRouter:
    """`/contract-definitions`, below a participant."""
    router = room("contract definitions", "/participants/{participant}/contract-definitions")
    offerings = parts.offerings
    Definition = ContractDefinition

    @router.get("")
    async def list_definitions(
        participant: Participant, cursor: Cursor = None, limit: Limit = 100
    ) -> Listing[ContractDefinition]:
        """Contract definitions by id."""
        page = await offerings.list(participant, DEFINITION, cursor, limit)
        return views.listing(page, lambda found: Definition.model_validate(found.body))

    @router.post("", status_code=201)
    async def add_definition(participant: Participant, definition: ContractDefinition) -> ContractDefinition:
        """A new contract definition: from now on its assets are offered."""
        body = definition.model_dump(mode="json")
        kept = await offerings.put(participant, DEFINITION, definition.id, body, expect=_MUST_NOT_EXIST)
        return Definition.model_validate(kept.body)

    @router.get("/{id:path}/clauses")
    async def get_clauses(participant: Participant, id: str) -> list[ClauseOf]:
        """Who sees to each clause of a contract definition's policy: now, at a transfer, the consumer, or the law."""
        return [clause(one) for one in await offerings.clauses(participant, id)]

    @router.get("/{id:path}")
    async def get_definition(participant: Participant, id: DocumentId) -> ContractDefinition:
        """One contract definition."""
        return Definition.model_validate((await offerings.get(participant, DEFINITION, id)).body)

    @router.put("/{id:path}")
    async def put_definition(participant: Participant, id: DocumentId, definition: ContractDefinition) -> ContractDefinition:
        """A contract definition, new or in place of the one with its id."""
        body = definition.model_dump(mode="json")
        return Definition.model_validate((await offerings.put(participant, DEFINITION, id, body)).body)

    @router.delete("/{id:path}", status_code=204)
    async def delete_definition(participant: Participant, id: DocumentId) -> None:
        """Offer its assets no longer; what was agreed stays."""
        await offerings.delete(participant, DEFINITION, id)

    return router
