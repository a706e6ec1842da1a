"""What a policy is asked on this machine, and what is known then: from files and from options of the command line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from connector.cli.texts import moment
from connector.errors import PolicyError

if TYPE_CHECKING:
    from connector.cli.policy_request import Asking
    from connector.cli.policy_state import State
    from connector.odrl.truth import World


def asked(request: Path | None) -> Asking:
    """What is asked, from the file."""
    from connector.cli.policy_request import Asking, request_in
    from connector.odrl.compliance import Asked
    from connector.odrl.truth import Request

    return request_in(request) if request is not None else Asking(rules=(Asked(uid=None, request=Request()),))


def known_world(asking: Asking, state: State | None, claims: list[str], at: str | None) -> World:
    """What is known, from the state of the world, the request's file and the options."""
    from connector.odrl.truth import World

    attested = dict(asking.besides.get("claims", {}))
    for one in claims:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"`{one}` is not NAME=VALUE", param_hint="--claim")
        attested[name] = [value] if name not in attested else [*_list(attested[name]), value]
    stated = at or asking.besides.get("now")
    agreed = asking.besides.get("agreed_at")
    world = state.about(one.request for one in asking.rules) if state is not None else World(now=datetime.now(UTC))
    return replace(
        world,
        now=_stated(stated) if stated else world.now,
        claims=attested,
        agreed_at=moment(agreed, "agreed_at") if agreed else None,
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _stated(text: str) -> datetime:
    try:
        return moment(text, "--at")
    except PolicyError as fault:
        raise typer.BadParameter(f"{fault.what}; {fault.mend}", param_hint="--at") from fault
