"""How a peer says that a process stands: asked by the protocol's own means, and believed in nothing that it does not say plainly.

What lives here: `Told` and `asked`. What does not: what it means (`dsp/comparing.py`) and what is done then (`reconciling.py`).
Source: Dataspace Protocol 2025-1, Contract Negotiation HTTPS binding, `GET /negotiations/:providerPid` and `/:consumerPid`; Transfer
Process HTTPS binding, `GET /transfers/:providerPid`. That of a consumer's transfers is not in the standard; connectors answer it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from connector.dsp import messages as m
from connector.dsp import wire
from connector.dsp.process import Process, below, cut
from connector.dsp.tables import TABLES, Kind, State
from connector.errors import PeerAnswer, PeerMessage, Unreachable
from connector.ports.peers import Peers

_WITHIN_S: Final = 10.0
"""Longest wait for an answer that is one line long."""
_MOST_BYTES: Final = 64 << 10
_AGAIN: Final = frozenset({401, 403, 408, 425, 429})
"""What says something of the request, or of the moment, and nothing of the process."""
_GONE: Final = frozenset({404, 410})
_ANSWERS: Final = {
    Kind.NEGOTIATION: (m.ContractNegotiation, m.ContractNegotiationError),
    Kind.TRANSFER: (m.TransferProcess, m.TransferError),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a peer says of a process."""

    state: State | None = None
    """None: it does not know it, or did not say."""
    is_told: bool = True
    words: str = ""
    """Why it was not told."""


async def asked(peers: Peers, process: Process, kind: Kind) -> Told:
    """What the peer of `process`, whose id there is known, says of it now.

    Raises: Unreachable, PeerAnswer, Conflict, AddressRefused when it could not be asked, which says nothing: try again.
    """
    assert process.peer_pid is not None
    url = below(process.peer_address, f"{kind}s", process.peer_pid)
    try:
        async with asyncio.timeout(_WITHIN_S):
            answer = await peers.ask(
                "GET", url, None, participant=process.participant, peer=process.peer, max_bytes=_MOST_BYTES
            )
    except TimeoutError as fault:
        raise Unreachable(f"no answer within {_WITHIN_S:.0f} s", where=url) from fault
    except PeerMessage as fault:
        return Told(is_told=False, words=str(fault))
    except PeerAnswer as fault:
        return _refused(fault, kind)
    return _said(answer.body, process, kind)


def _refused(fault: PeerAnswer, kind: Kind) -> Told:
    """INVARIANT: that there is no such process is believed of the protocol's own error alone, and not of a wrong turn on the way."""
    if fault.answer_status in _AGAIN or fault.answer_status >= 500:
        raise fault
    error = _ANSWERS[kind][1]
    is_protocol = error.__name__.encode() in fault.body and wire.read_answer(fault.body, error) is not None
    if fault.answer_status in _GONE and is_protocol:
        return Told()
    return Told(
        is_told=False, words=f"it answered {fault.answer_status}, and not as the protocol says it of an unknown process"
    )


def _said(body: bytes, process: Process, kind: Kind) -> Told:
    answer = wire.read_answer(body, _ANSWERS[kind][0])
    if not isinstance(answer, m.ContractNegotiation | m.TransferProcess):
        return Told(is_told=False, words="its answer is none of the protocol")
    if (answer.provider_pid, answer.consumer_pid) != (process.provider_pid, process.consumer_pid):
        foreign = answer.consumer_pid if process.is_provider else answer.provider_pid
        return Told(is_told=False, words=f"its answer is about another process, `{cut(foreign, 120)}`")
    if answer.state not in TABLES[kind]:
        return Told(is_told=False, words=f"{answer.state} is no state of a {kind}")
    return Told(state=answer.state)
