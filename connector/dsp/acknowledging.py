"""What the answer to a message of ours teaches about the peer's process: its id, and what is odd enough for a person to see.

An acknowledgement is its status; its body is read for the one thing that only it can say, the peer's process id, and it is read
patiently: real connectors answer with empty bodies (Dataspace Protocol 2025-1 asks for the process in the answer to a first
message only). A body that speaks of another process is believed in nothing.
Source: Dataspace Protocol 2025-1, "ACK - Contract Negotiation" and "ACK - Transfer Process".
"""

from __future__ import annotations

from typing import Final, TypeVar

from connector.dsp import messages as m
from connector.dsp.process import Process, cut, warned
from connector.dsp.values import replace

P = TypeVar("P", bound=Process)
_SHOWN: Final = 120


def learned(process: P, answer: m.ContractNegotiation | m.TransferProcess | None) -> P:
    """The process with the peer's id for it, where `answer` tells it, and with a warning where the answer is odd.

    `answer` is None when nothing could be made of the body.
    """
    if answer is None:
        if process.peer_pid is None:
            return _warned(process, "the peer acknowledged our first message without a process id of its own")
        return process
    pids = (answer.provider_pid, answer.consumer_pid)
    ours, theirs = pids if process.is_provider else (pids[1], pids[0])
    if ours != process.pid:
        return _warned(process, f"an answer of the peer is about the process `{cut(ours, _SHOWN)}` and not about ours")
    if process.peer_pid is None:
        return replace(process, peer_pid=theirs or None)
    if theirs != process.peer_pid:
        return _warned(process, f"the peer calls its process `{cut(theirs, _SHOWN)}` now, and began with another id")
    return process


def _warned(process: P, warning: str) -> P:
    return replace(process, warnings=warned(process, (warning,)))
