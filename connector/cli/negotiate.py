"""`kontor negotiate`: from a dataset in a peer's catalogue to a contract agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import Conflict, PeerError, Unreachable

if TYPE_CHECKING:
    from connector.api.negotiations import Negotiation
    from connector.cli.offers import Found
    from connector.client import Calls, Client

Address = Annotated[str, typer.Argument(help="Address of the peer's connector.")]
Dataset = Annotated[str, typer.Argument(help="Id of the dataset, as in the catalogue.")]
Peer = Annotated[str | None, typer.Option("--peer", help="The peer's participant id, where its token depends on it.")]
Purpose = Annotated[str | None, typer.Option("--purpose", help="What the data is wanted for.")]
OfferId = Annotated[str | None, typer.Option("--offer-id", help="Which offer; needed when the dataset has several.")]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Longest wait for the outcome, in seconds.")]


def register(app: typer.Typer) -> None:
    """Add `negotiate` to the commands."""
    example = "kontor negotiate https://data.example.org/weather/dsp/2025-1 urn:example:weather-2025 --purpose research"
    command(app, "negotiate", negotiate, example=example)


def negotiate(
    access: Access,
    out: Output,
    address: Address,
    dataset: Dataset,
    peer: Peer = None,
    purpose: Purpose = None,
    offer_id: OfferId = None,
    terms: Annotated[str | None, typer.Option(help="Ask for other terms: name or file of a policy.")] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take a live agreement for the same purpose and terms, or a negotiation under way.")
    ] = False,
    wait: Wait = 60,
) -> None:
    """Negotiate a contract about a dataset of a peer and print the agreement's id."""
    from connector.cli.offers import find
    from connector.cli.terms import load

    with access.open() as (node, me):
        if reuse and peer is not None:
            wish = {"address": address, "peer": peer, "dataset": dataset, "offer_id": offer_id, "purpose": purpose}
            _get_or_negotiate(node, me, out, wish | ({"offer": load(terms).tree} if terms else {}), wait)
            return
        if reuse:
            raise typer.BadParameter("it has to be known with whom the agreement is", param_hint="--peer")
        found = find(node, me, address, dataset, peer=peer, offer_id=offer_id)
        asked = {**load(terms).tree, "@id": found.offer.get("@id")} if terms else None
        process = begin(node, me, found, purpose=purpose, asked=asked, within_s=wait)
        if out.as_json or process.state == "FINALIZED":
            out.lines(
                process.model_dump(mode="json"), f"{process.state}  negotiation {process.pid}  agreement {process.agreement_id}"
            )
    check(process)


def _get_or_negotiate(node: Client, me: Calls, out: Output, wish: dict[str, object], within_s: float) -> None:
    from connector.api.approvals import ContractWish
    from connector.client import operating

    found = node.send(operating.contract(me.participant, ContractWish.model_validate(wish)))
    process = found.negotiation
    if process is not None and found.agreement is None:
        process = node.wait(me.negotiation(process.pid), is_settled, within_s=within_s)
    agreement = found.agreement.id if found.agreement is not None else process.agreement_id if process is not None else None
    if out.as_json or agreement is not None:
        how = "in force" if process is None else f"{process.state}  negotiation {process.pid}"
        tree = {"agreement": agreement, "negotiation": process.model_dump(mode="json") if process is not None else None}
        out.lines(tree, f"{how}  agreement {agreement}")
    if process is not None:
        check(process)


def begin(
    node: Client, me: Calls, found: Found, *, purpose: str | None, asked: dict[str, object] | None = None, within_s: float
) -> Negotiation:
    """The negotiation about `found`, when it has come to an end, waits for a person here, or `within_s` are over."""
    from connector.api.negotiations import NewNegotiation

    wanted = NewNegotiation(
        address=found.address, peer=found.peer, dataset=found.dataset.id, offer=asked or dict(found.offer), purpose=purpose
    )
    begun = node.send(me.negotiate(wanted))
    return node.wait(me.negotiation(begun.pid), is_settled, within_s=within_s)


def is_settled(process: Negotiation) -> bool:
    """True when nothing further happens by itself."""
    return process.state in ("FINALIZED", "TERMINATED") or process.hold is not None


def check(process: Negotiation) -> None:
    """Nothing, when there is an agreement.

    Raises: PeerError when it was ended, Conflict when a person here is waited for, Unreachable when it goes on.
    """
    if process.state == "FINALIZED":
        return
    look = f"`kontor show {process.pid}` tells the whole story"
    if process.state == "TERMINATED":
        why = "; ".join(filter(None, (process.code, *process.reasons, process.error))) or "no reason was given"
        raise PeerError(f"there is no agreement: {why}", where=process.pid, mend=look)
    if process.hold is not None:
        mend = f"`kontor approve {process.pid}` goes on, `kontor counter` and `kontor terminate` do not"
        raise Conflict(f"it waits for a person here: {process.hold}", where=process.pid, mend=mend)
    last = f", the last failure: {process.error}" if process.error else ""
    raise Unreachable(
        f"still in {process.state or 'no state'}{last}", where=process.pid, mend=f"{look}; the peer may have to approve"
    )
