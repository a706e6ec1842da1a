"""The data plane of a node: the built-in one, and the processes that move bytes for it where the settings want some."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from connector.app.assembly.ground import Ground, Worker
from connector.app.listening import Listening, bound, with_port
from connector.settings import Bounds, Settings

if TYPE_CHECKING:
    from connector.dataplane.plane import BuiltInDataPlane, DataPlaneConfig
    from connector.dataplane.workers import Crew
    from connector.ports.dataplane import Authorizer, TransferEvents


@dataclass(slots=True, kw_only=True)
class DataSide:
    """The data plane, not connected yet."""

    settings: Settings
    plane: BuiltInDataPlane
    at: Listening | None
    """Where the workers listen; None when there are none."""
    crew: Crew | None = None
    """All workers, once it is connected."""

    def leave(self) -> None:
        """The node begins to stop."""
        if self.crew is not None:
            self.crew.leave()

    def faults(self) -> tuple[str, ...]:
        """How many workers do not listen, in words."""
        missing = self.settings.data.workers - self.crew.ready if self.crew is not None else 0
        return (f"{missing} of {self.settings.data.workers} data workers do not listen",) if missing else ()

    def connected(self, authorizer: Authorizer, events: TransferEvents) -> Mapping[str, Worker]:
        """Let the data plane ask and tell the control plane; what has to run as long as the node, by name."""
        if self.at is None:
            self.plane.connect(authorizer, events)
            return {}
        from connector.app.crew import employ
        from connector.dataplane.workers import Crew

        self.crew = crew = Crew(authorizer, events)
        self.plane.connect(authorizer, events, crew)
        return {
            f"data-{number}": partial(employ, crew, self.settings, self.at, number)
            for number in range(1, self.settings.data.workers + 1)
        }


def opened_data_side(ground: Ground, stack: AsyncExitStack, *, home: str | None = None) -> DataSide:
    """The data plane of the settings, of one context alone when `home` names it; the workers' port is bound while `stack` is open.

    Raises: ConfigurationError.
    """
    from connector.dataplane.plane import BuiltInDataPlane

    settings, at, url = ground.settings, None, ground.public_url
    if settings.data.workers and settings.data.public_url is not None and home == home_of_workers(settings):
        at = stack.enter_context(bound(settings.data.listener, "data.listener"))
        url = with_port(settings.data.public_url, at)
    config = plane_config(settings, url, home=home)
    plane = BuiltInDataPlane(config, peers=ground.outbound, upstreams=ground.upstreams, clock=ground.clock)
    return DataSide(settings=settings, plane=plane, at=at)


def home_of_workers(settings: Settings) -> str | None:
    """The one context whose data the workers move: that of the role `dataplane`; None: of all participants of a connector.

    A node with both roles has them move its participants' data, and what it serves for control planes of others by itself.
    """
    if "connector" in settings.node.roles:
        return None
    from connector.signaling.flows import HOME

    return HOME


def plane_config(settings: Settings, url: str, *, home: str | None = None, shared_by: int = 1) -> DataPlaneConfig:
    """How the data plane works whose addresses begin with `url`; bounds of streams are `shared_by` so many processes."""
    from connector.dataplane.plane import DataPlaneConfig

    return DataPlaneConfig(
        public_url=url,
        # a folder of its own, should the same node be a connector, too: each looks after all that lies in its folder
        data_dir=settings.node.data_dir / home if home is not None else settings.node.data_dir,
        pull_token_ttl_s=settings.data.pull_token_ttl_s,
        max_push_bytes=settings.data.max_push_bytes,
        max_request_bytes=settings.data.max_request_bytes,
        allowed_object_endpoints=settings.data.allowed_object_endpoints,
        allowed_event_endpoints=settings.data.allowed_event_endpoints,
        push_attempts=settings.data.push_attempts,
        push_first_delay_s=settings.data.push_first_delay_s,
        bounds=settings.bounds if shared_by == 1 else partial(_shared, settings, shared_by),
    )


def _shared(settings: Settings, by: int, participant: str, peer: str | None) -> Bounds:
    found = settings.bounds(participant, peer)
    streams, pace = found.streams_at_once, found.bytes_per_s
    return found.model_copy(
        update={
            "streams_at_once": -(-streams // by) if streams is not None else None,
            "bytes_per_s": pace // by if pace is not None else None,
        }
    )
