"""Who runs the node: keys and tokens, the trail of acts, background work, and the routes about them. Every node has this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.app.assembly.ground import Ground, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from connector.controlplane.audit import Audit
    from connector.controlplane.operators import Operators
    from connector.ports.operators import OperatorTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The open parts of the subject that others use."""

    operators: Operators
    audit: Audit
    role: Role


def opened_access(ground: Ground) -> Access:
    """The operators of the node.

    Raises: ConfigurationError.
    """
    from connector.controlplane.audit import Audit
    from connector.controlplane.operators import Operators

    settings = ground.settings.operator
    operators = Operators(ground.store, ground.revisions, ground.clock, settings.api_keys, _tokens(ground))

    audit = Audit(ground.store.journal, ground.participants, ground.clock)

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator import access, jobs
        from connector.web.operator import audit as trail

        work = jobs.routes(ground.store.jobs, ground.participants, ground.clock)
        return [access.routes(operators), trail.routes(audit), work]

    return Access(operators=operators, audit=audit, role=Role(rooms=[rooms]))


def _tokens(ground: Ground) -> OperatorTokens | None:
    oidc = ground.settings.operator.oidc
    if oidc is None:
        return None
    from connector.app.parts import vet_providers
    from connector.identity.oidc import OidcOperators

    vet_providers(ground.settings)
    # the provider is named by the operator and may stand on our private network
    return OidcOperators(oidc, ground.upstreams, ground.clock)
