"""Who runs the node: keys and tokens of its operators, and the routes about them. Every node has this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.app.assembly.ground import Ground, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from connector.controlplane.operators import Operators
    from connector.ports.operators import OperatorTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The open parts of the subject that others use."""

    operators: Operators
    role: Role


def opened_access(ground: Ground) -> Access:
    """The operators of the node.

    Raises: ConfigurationError.
    """
    from connector.controlplane.operators import Operators

    settings = ground.settings.operator
    operators = Operators(ground.store, ground.revisions, ground.clock, settings.api_keys, _tokens(ground))

    def rooms() -> Iterable[APIRouter]:
        from connector.web.operator import access

        return [access.routes(operators)]

    return Access(operators=operators, role=Role(rooms=[rooms]))


def _tokens(ground: Ground) -> OperatorTokens | None:
    oidc = ground.settings.operator.oidc
    if oidc is None:
        return None
    from connector.app.parts import vet_provider
    from connector.identity.oidc import OidcOperators

    vet_provider(ground.settings)
    # the provider is named by the operator and may stand on our private network
    return OidcOperators(oidc, ground.upstreams, ground.clock)
