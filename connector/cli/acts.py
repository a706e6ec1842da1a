"""What a person does with a process: approve, counter, terminate, suspend, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import PeerError

if TYPE_CHECKING:
    from connector.api.negotiations import Negotiation, NegotiationAct
    from connector.api.transfers import Transfer, TransferAct
    from connector.client import Call, Calls, Client

P = TypeVar("P", "Negotiation", "Transfer")

Pid = Annotated[
    str, typer.Argument(metavar="PROCESS", help="Our process id, as `kontor negotiations` and `kontor transfers` list it.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, in words that the peer gets to read.")]
Code = Annotated[str | None, typer.Option("--code", help="A code for the peer's program.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Longest wait until the peer has it, in seconds.")]


def register(app: typer.Typer) -> None:
    """Add the acts to the commands."""
    command(app, "approve", approve, example="kontor approve urn:uuid:4c7c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10")
    command(app, "counter", counter, example="kontor counter urn:uuid:4c7c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10 --terms terms.yaml")
    command(app, "terminate", terminate, example='kontor terminate urn:uuid:4c7c... --reason "the project has ended"')
    command(app, "suspend", suspend, example='kontor suspend urn:uuid:4c7c... --reason "maintenance until noon"')
    command(app, "resume", resume, example="kontor resume urn:uuid:4c7c7c3e-2f9c-4d0e-8b57-5d3c1d1e7a10")


def approve(access: Access, out: Output, process: Pid, wait: Wait = 10) -> None:
    """Let a negotiation that waits for a person go on: agree, accept, verify or finalize, whichever is its turn."""
    with access.open() as (node, me):
        _show(out, _in_negotiation(node, me, process, "approve", wait))


def counter(
    access: Access,
    out: Output,
    process: Pid,
    terms: Annotated[str, typer.Option(help="The terms instead: name or file of a policy.")],
    wait: Wait = 10,
) -> None:
    """Answer the terms on the table with others: a counter-offer as provider, a counter-request as consumer."""
    from connector.cli.terms import load

    with access.open() as (node, me):
        _show(out, _in_negotiation(node, me, process, "counter", wait, offer=load(terms).tree))


def terminate(access: Access, out: Output, process: Pid, reason: Reason = None, code: Code = None, wait: Wait = 10) -> None:
    """End a negotiation or a transfer for good, and tell the peer why."""
    with access.open() as (node, me):
        if _kind(node, me, process) == "negotiation":
            _show(out, _in_negotiation(node, me, process, "terminate", wait, reason=reason, code=code))
        else:
            _show(out, _in_transfer(node, me, process, "terminate", wait, reason=reason, code=code))


def suspend(access: Access, out: Output, process: Pid, reason: Reason = None, code: Code = None, wait: Wait = 10) -> None:
    """Stop a running transfer, to be taken up again later."""
    with access.open() as (node, me):
        _show(out, _in_transfer(node, me, process, "suspend", wait, reason=reason, code=code))


def resume(access: Access, out: Output, process: Pid, wait: Wait = 10) -> None:
    """Take up a suspended transfer again."""
    with access.open() as (node, me):
        _show(out, _in_transfer(node, me, process, "resume", wait))


def _kind(node: Client, me: Calls, pid: str) -> Literal["negotiation", "transfer"]:
    return "negotiation" if node.send(me.timeline(pid)).process.kind == "negotiation" else "transfer"


def _in_negotiation(node: Client, me: Calls, pid: str, act: NegotiationAct, wait_s: float, **step: object) -> Negotiation:
    from connector.api.negotiations import NegotiationStep

    after = node.send(me.act_in_negotiation(pid, act, NegotiationStep.model_validate(step)))
    return _delivered(node, me.negotiation(pid), after, wait_s)


def _in_transfer(node: Client, me: Calls, pid: str, act: TransferAct, wait_s: float, **step: object) -> Transfer:
    from connector.api.transfers import TransferStep

    after = node.send(me.act_in_transfer(pid, act, TransferStep.model_validate(step)))
    return _delivered(node, me.transfer(pid), after, wait_s)


def _delivered(node: Client, look: Call[P], after: P, wait_s: float) -> P:
    """The process once the peer has our message, or as it stands when `wait_s` are over."""
    if after.in_flight is None:
        return after
    return node.wait(look, lambda process: process.in_flight is None, within_s=wait_s)


def _show(out: Output, process: Negotiation | Transfer) -> None:
    """Print where the process stands.

    Raises: PeerError when the peer does not have our message yet.
    """
    if out.as_json or process.in_flight is None:
        held = f"  waits for a person: {process.hold}" if process.hold else ""
        out.lines(process.model_dump(mode="json"), f"{process.state}  {process.kind} {process.pid}{held}")
    if process.in_flight is not None:
        raise PeerError(
            f"`{process.in_flight}` has not reached the peer yet: {process.error or 'no answer so far'}",
            where=process.pid,
            mend="it is tried again by itself; `kontor show` lists the attempts",
        )
