"""What is left of the end of an agreement when the provider is killed (SIGKILL) and started again: nothing flows a second after it.

Twice a round: once the end comes after the restart, while a stream runs that was opened since; once it comes while the provider
lies dead, and the clock that is asked is the one from its first good answer on. Real processes, SQLite, a policy whose `dateTime`
ends seconds from now. By the clock.

python -m tests.bench expiry --rounds 3
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench import agreed, figures, reading
from tests.bench.asked import Asked
from tests.bench.nodes import Node
from tests.bench.processes import ServerError

_AHEAD = timedelta(seconds=8)
"""Of the end, when the agreement is made: time to begin, to be killed, and to be back."""
_DEAD_S = 1.0
"""How long the provider stays dead past the end."""
_SIZE = 200_000_000
_MUST_S = 1.0
_LONGEST_S = 20.0


@dataclass(slots=True)
class _Found:
    """Seconds, round by round."""

    stream: list[float] = field(default_factory=list)
    state: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    dead_state: list[float] = field(default_factory=list)
    served: int = 0
    """Requests for data that were answered past the end."""


def run(asked: Asked) -> list[figures.Figure]:
    """How long after the end data still flows, and transfers still say that it may."""
    found = _Found()
    source = agreed.sparse(asked.folder, _SIZE)
    with Node(asked, "provider", "consumer") as provider, Node(asked, "consumer", "provider") as consumer:
        # a first exchange, so that what is loaded by need is there
        agreed.opened(provider, consumer, "first", source)
        for number in range(asked.rounds):
            _after(provider, consumer, f"after-{number}", source, found)
            _dead(provider, consumer, f"dead-{number}", source, found)
            asked.tell(
                f"round {number + 1}: stream {found.stream[-1]:.2f} s, state {found.state[-1]:.2f} s after the end;"
                f" {found.dead_state[-1]:.2f} s after the restart"
            )
    return [
        figures.plain(12, "killed, restarted, then expired: stream ends", found.stream, unit="s", must=_MUST_S, ambition=0.1),
        figures.plain(12, "the same: the provider's transfer ends", found.state, unit="s", must=_MUST_S),
        figures.plain(12, "the same: the consumer knows", found.told, unit="s"),
        figures.plain(12, "expired while dead: transfer ends, from ready", found.dead_state, unit="s", must=_MUST_S),
        figures.plain(12, "requests for data answered past the end", [float(found.served)], unit="", must=0.0),
    ]


def _after(provider: Node, consumer: Node, dataset: str, source: dict[str, object], found: _Found) -> None:
    ends_at = datetime.now(UTC) + _AHEAD
    pid = agreed.opened(provider, consumer, dataset, source, ends_at=ends_at)
    at = agreed.address(consumer, pid)
    provider.kill()
    provider.start()
    if (left := _left_s(ends_at)) < 0.5:
        raise ServerError(f"the provider was back {-left:.1f} s after the end; this machine is too slow for {_AHEAD}")
    connection, _, _ = reading.opened(at)
    with connection:
        connection.settimeout(0.02)
        while _flows(connection) and _left_s(ends_at) > -_LONGEST_S:
            pass
        found.stream.append(-_left_s(ends_at))
    found.state.append(_ended(lambda: _theirs(provider, dataset), ends_at))
    found.told.append(_ended(lambda: consumer.api("GET", f"/transfers/{pid}"), ends_at))
    found.served += _is_served(at)


def _dead(provider: Node, consumer: Node, dataset: str, source: dict[str, object], found: _Found) -> None:
    ends_at = datetime.now(UTC) + _AHEAD * 3 / 4
    pid = agreed.opened(provider, consumer, dataset, source, ends_at=ends_at)
    at = agreed.address(consumer, pid)
    provider.kill()
    time.sleep(max(0.0, _left_s(ends_at)) + _DEAD_S)
    provider.start()
    ready_at = datetime.now(UTC)
    found.served += _is_served(at)
    found.dead_state.append(_ended(lambda: _theirs(provider, dataset), ready_at))


def _left_s(moment: datetime) -> float:
    return (moment - datetime.now(UTC)) / timedelta(seconds=1)


def _flows(connection: socket.socket) -> bool:
    """Whether more of the body comes; read slowly, so that it cannot end by itself."""
    try:
        some = connection.recv(1 << 13)
    except TimeoutError:
        return True
    except OSError:
        return False
    time.sleep(0.001)
    return bool(some)


def _theirs(provider: Node, dataset: str) -> dict[str, Any]:
    """The provider's transfer of `dataset`."""
    (one,) = (one for one in provider.api("GET", "/transfers?limit=500")["items"] if one["dataset"] == dataset)
    return dict(one)


def _ended(transfer: Callable[[], dict[str, Any]], since: datetime) -> float:
    """Seconds from `since` until a transfer was no longer STARTED, by its own record: a first question to a busy node takes longer."""
    while (found := transfer())["state"] == "STARTED":
        if _left_s(since) < -_LONGEST_S:
            return _LONGEST_S
        time.sleep(0.01)
    return max(0.0, (datetime.fromisoformat(found["updated_at"]) - since) / timedelta(seconds=1))


def _is_served(at: reading.Readable) -> bool:
    with contextlib.suppress(ServerError, OSError):
        connection, _, _ = reading.opened(at)
        connection.close()
        return True
    return False
