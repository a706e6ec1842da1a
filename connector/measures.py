"""How long things take and how large they are: histograms with fixed buckets, each declared here, whoever adds to them.

One value costs the search for its bucket and two additions. Labels have closed sets of words, and what is none of them counts as
`other`: whatever peers send, there are only so many series. Values are added in the event loop's thread.
`web/operator/health.py` shows them to Prometheus. What does not live here: plain counts and gauges (`observe.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Final

OTHER: Final = "other"
Values = tuple[str, ...]
"""One word for each label, in their order."""
Sums = list[float]
"""How many values fell into each bucket, then how many lay above the last one, then the sum of all."""
Taken = dict[str, dict[Values, Sums]]
"""By name of the histogram."""


class Histogram:
    """Values of one kind, sorted into buckets."""

    __slots__ = ("_series", "_words", "bounds", "help", "labels", "name")

    def __init__(self, name: str, help_: str, bounds: Sequence[float], **labels: Sequence[str]) -> None:
        """`bounds` are the highest values of the buckets, rising; `labels` the words that each may have."""
        self.name = name
        """Without the product's name in front; it ends in its unit."""
        self.help = help_
        self.bounds = tuple(bounds)
        self.labels = tuple(labels)
        self._words = tuple(frozenset(words) for words in labels.values())
        self._series: dict[Values, Sums] = {}
        assert self.name not in ALL, name
        ALL[name] = self

    @property
    def most_series(self) -> int:
        """How many there can be."""
        return prod(len(words) + 1 for words in self._words)

    def add(self, value: float, *values: str) -> None:
        """Count `value` under the labels' `values`."""
        found = self._series.get(values) or self._of(values)
        found[bisect_left(self.bounds, value)] += 1
        found[-1] += value

    def shown(self) -> Mapping[Values, tuple[tuple[int, ...], float]]:
        """By labels: how many values were at most each bound, then all of them; and their sum."""
        # a copy: somebody may add meanwhile
        return {key: (tuple(map(int, accumulate(sums[:-1]))), sums[-1]) for key, sums in self._series.copy().items()}

    def take(self) -> dict[Values, Sums]:
        """All that was added since this was asked the last time; it begins anew."""
        found, self._series = self._series, {}
        return found

    def put(self, more: Mapping[Values, Sums]) -> None:
        """Add what was taken in another process."""
        for values, sums in more.items():
            found = self._of(values)
            found[:] = [here + there for here, there in zip(found, sums, strict=True)]

    def _of(self, values: Values) -> Sums:
        known = tuple([str(value) if value in words else OTHER for value, words in zip(values, self._words, strict=True)])
        found = self._series.get(known)
        if found is None:
            found = self._series[known] = [0.0] * (len(self.bounds) + 2)
        return found


ALL: Final[dict[str, Histogram]] = {}
"""By name."""


def taken() -> Taken:
    """All that was added since this was asked the last time, for a process whose figures another one shows."""
    return {name: found for name, one in ALL.items() if (found := one.take())}


def put(more: Taken) -> None:
    """Add what another process of this node has `taken`."""
    for name, series in more.items():
        ALL[name].put(series)


# --- what is measured

_MICROS: Final = (5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 0.1)
_ANSWERS: Final = (1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COURSES: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 86_400)
"""From machines among themselves to people who look at it tomorrow."""
_FLOWS: Final = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600)
_SIZES: Final = (1024, 16_384, 262_144, 4_194_304, 67_108_864, 1_073_741_824, 17_179_869_184, 274_877_906_944)
"""Each sixteen times the one before: 1 KiB to 256 GiB."""

_ROLES: Final = ("provider", "consumer")
_EVENTS: Final = (
    "request", "offer", "agree", "accept", "verify", "finalize", "terminate", "start", "suspend", "complete",
)  # fmt: skip
_FORMATS: Final = (
    "HttpData-PULL", "HttpData-PUSH", "S3-PULL", "S3-PUSH", "AzureStorage-PUSH", "GoogleCloudStorage-PUSH", "NATS-PUSH",
)  # fmt: skip
ROUTES: Final = (
    "catalog", "negotiations", "transfers", "version", "pull", "push", "renew", "identity", "authority", "ledger", "planes", "api",
    "events", "watch", "none",
)  # fmt: skip
"""What an address is for; `none` where there is no such address."""

REQUESTS: Final = Histogram(
    "http_request_seconds",
    "Time until a request was answered to the last byte, by listener, what its address is for, and class of status.",
    _ANSWERS,
    listener=("public", "operator", "signaling"),
    route=ROUTES,
    status=("2xx", "3xx", "4xx", "5xx"),
)
SENDINGS: Final = Histogram(
    "message_send_seconds",
    "Time of one attempt to send a protocol message, from taking it in hand to the peer's answer, by event and outcome.",
    _ANSWERS,
    event=_EVENTS,
    outcome=("ok", "put-off", "given-up"),
)
OUTBOX: Final = Histogram(
    "outbox_wait_seconds",
    "Time from the commit of a protocol message until it was taken in hand the first time, by kind of process.",
    _ANSWERS,
    kind=("negotiation", "transfer"),
)
NEGOTIATIONS: Final = Histogram(
    "negotiation_seconds",
    "Time from the first message of a negotiation to its end, by our role and the state in which it ended.",
    _COURSES,
    role=_ROLES,
    state=("FINALIZED", "TERMINATED"),
)
TRANSFERS: Final = Histogram(
    "transfer_seconds",
    "Time from the request of a transfer to its end, by our role, format and the state in which it ended.",
    _COURSES,
    role=_ROLES,
    format=_FORMATS,
    state=("COMPLETED", "TERMINATED"),
)
TRANSFER_BYTES: Final = Histogram(
    "transfer_bytes",
    "Bytes that a transfer had moved when it ended, where that is known: of pushes, and pulls that the node fetched by itself.",
    _SIZES,
    role=_ROLES,
    format=_FORMATS,
)
PULLS: Final = Histogram(
    "pull_seconds", "Time in which data flowed in answer to one request for it, by our role.", _FLOWS, role=_ROLES
)
PULL_BYTES: Final = Histogram(
    "pull_bytes", "Bytes that flowed in answer to one request for data, by our role.", _SIZES, role=_ROLES
)
TRANSACTIONS: Final = Histogram(
    "store_transaction_seconds",
    "Time of one write transaction of the state store until it was durable, or refused; SQLite puts the writes of many into one.",
    _ANSWERS,
    store=("sqlite", "postgres"),
    outcome=("committed", "undone", "refused"),
)
DECISIONS: Final = Histogram(
    "policy_decision_seconds",
    "Time of one decision of the policy engine, by the stage it was made at and its effect.",
    _MICROS,
    stage=("publish", "catalog", "negotiate", "agree", "transfer", "ongoing", "request"),
    effect=("permit", "deny", "void"),
)
