"""What was agreed: the agreement's text as the provider makes it, what is kept of it, import, and its end.

Source: Dataspace Protocol 2025-1, Contract Negotiation Protocol, "Contract Agreement Message".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from connector import observe
from connector.controlplane.inheriting import NONE, Known, read, spelled_out
from connector.controlplane.jobs import Pace
from connector.controlplane.offerings import Offerings
from connector.controlplane.participants import Participants
from connector.dsp.negotiation import Agreement, Negotiation, rules_of
from connector.dsp.tables import Event, Kind, Role, State
from connector.dsp.values import replace
from connector.errors import CallerError, Conflict, NotFound, PolicyError
from connector.odrl.wire import Shape
from connector.ports.clock import Clock
from connector.ports.jobs import Job, NewJob
from connector.ports.store import Filter, Store

ENDING: Final = "agreement-ending"
"""The kind of the jobs that see to it that nothing runs on under an agreement which was ended."""
ENDING_PACE: Final = Pace(attempts=1_000_000, first_delay_s=1, max_delay_s=60, timeout_s=None)
_LOOKED_AFTER: Final = timedelta(seconds=10)


def agreed_tree(negotiation: Negotiation, id_: str, *, provider: str, now: datetime, known: Known = NONE) -> dict[str, Any]:
    """The agreement on the terms of the table: the same rules, those of parents included, with parties, target and time.

    Raises: PolicyError when they inherit from what is not `known`.
    """
    return {
        "@id": id_,
        "@type": "Agreement",
        "target": negotiation.dataset,
        "assigner": provider,
        "assignee": negotiation.peer,
        "timestamp": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **rules_of(spelled_out(negotiation.offer, known)),
    }


def agreement_of(
    negotiation: Negotiation,
    legal_only: tuple[str, ...] = (),
    consumer_operands: tuple[str, ...] = (),
    known: Known = NONE,
) -> Agreement:
    """What is kept of the agreement that `negotiation` has reached; the operands `legal_only` are judged by nobody, and
    `consumer_operands` at the consumer. What it inherits from policies that are `known` stands in it from now on."""
    tree = negotiation.agreement or (negotiation.in_flight.cargo.agreement if negotiation.in_flight else None)
    assert tree is not None
    return Agreement(
        participant=negotiation.participant,
        id=str(tree["@id"]),
        role=negotiation.role,
        peer=negotiation.peer,
        peer_address=negotiation.peer_address,
        provider=str(tree["assigner"]),
        consumer=str(tree["assignee"]),
        dataset=negotiation.dataset,
        policy=_kept(tree, known),
        purpose=negotiation.purpose,
        negotiation=negotiation.pid,
        signed_at=moment(tree.get("timestamp")) or negotiation.updated_at,
        legal_only=legal_only,
        consumer_operands=consumer_operands,
    )


def _kept(tree: Mapping[str, Any], known: Known) -> Mapping[str, Any]:
    """The text that is judged by from now on. Where a parent is not known any more it permits nothing, and says why."""
    try:
        return spelled_out(tree, known, Shape.ODRL)
    except PolicyError:
        return tree


def lost_agreement(before: Negotiation, after: Negotiation, reason: str, now: datetime) -> Agreement | None:
    """The agreement, ended, that was kept as its finalisation left, when the negotiation came to another end than that."""
    flight, following = before.in_flight, after.in_flight
    if flight is None or flight.event is not Event.FINALIZE:
        return None
    if after.state is State.TERMINATED or (following is not None and following.event is Event.TERMINATE):
        return replace(agreement_of(before), ended_at=now, end_reason=reason)
    return None


def moment(text: object) -> datetime | None:
    """The instant that an `xsd:dateTime` names, in UTC when it says no zone; None when it names none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Ender(Protocol):
    """Ends what runs under an agreement."""

    async def end(self, participant: str, pid: str, reason: str) -> None:
        """Terminate a transfer because its agreement has ended.

        Raises: IllegalTransition, Conflict when it has ended, or is about to.
        """
        ...


class Agreements:
    """The agreements of all contexts."""

    def __init__(self, store: Store, participants: Participants, offerings: Offerings, clock: Clock) -> None:
        self._store = store
        self._participants = participants
        self._offerings = offerings
        self._clock = clock
        self._ender: Ender | None = None
        self._begun: Callable[[Agreement], Awaitable[None]] | None = None

    def connect(self, ender: Ender) -> None:
        """Name the use case that ends transfers."""
        self._ender = ender

    def tell(self, begun: Callable[[Agreement], Awaitable[None]]) -> None:
        """Name who is told of each agreement that has just been kept."""
        self._begun = begun

    async def begun(self, agreement: Agreement) -> None:
        """Tell of an agreement that has just been kept."""
        if self._begun is not None:
            await self._begun(agreement)

    async def get(self, participant: str, id_: str) -> Agreement:
        """The agreement.

        Raises: NotFound.
        """
        agreement = await self._store.agreement(participant, id_)
        if agreement is None:
            raise NotFound(f"there is no agreement `{id_}`", where=id_)
        return agreement

    async def import_(
        self, participant: str, *, role: Role, peer: str, address: str, tree: Mapping[str, Any], purpose: str | None = None
    ) -> Agreement:
        """An agreement that was reached elsewhere, kept from now on.

        Raises: PolicyError for terms that cannot be read, or inherit from what is not known; CallerError when a member is missing or the
        parties are others;
        Conflict when there is one with that id.
        """
        context = await self._participants.context(participant)
        known = (await self._offerings.shelf(participant)).known
        read(tree, "agreement", known)
        missing = [name for name in ("@id", "target", "assigner", "assignee") if not isinstance(tree.get(name), str)]
        if missing:
            raise CallerError(f"the agreement lacks `{missing[0]}`", where=f"agreement.{missing[0]}", mend="give it as a text")
        provider, consumer = (context.id, peer) if role is Role.PROVIDER else (peer, context.id)
        for name, party in (("assigner", provider), ("assignee", consumer)):
            if tree[name] != party:
                raise CallerError(
                    f"`{name}` is `{tree[name]}`", where=f"agreement.{name}", mend=f"with this role and peer it is `{party}`"
                )
        agreement = Agreement(
            participant=participant,
            id=str(tree["@id"]),
            role=role,
            peer=peer,
            peer_address=address.rstrip("/"),
            provider=provider,
            consumer=consumer,
            dataset=str(tree["target"]),
            policy=spelled_out(tree, known, Shape.ODRL),
            purpose=purpose,
            signed_at=moment(tree.get("timestamp")) or self._clock.now(),
        )
        await self._store.put_agreement(agreement, is_new=True)
        await self.begun(agreement)
        return agreement

    async def end(self, participant: str, id_: str, reason: str) -> Agreement:
        """The agreement, ended now: no transfer begins under it any more, and those that run are terminated.

        Raises: NotFound; Conflict when it has ended already.
        """
        agreement = await self.get(participant, id_)
        if agreement.ended_at is not None:
            raise Conflict(f"the agreement ended at {agreement.ended_at.isoformat()}", where=id_)
        now = self._clock.now()
        ended = replace(agreement, ended_at=now, end_reason=reason)
        # INVARIANT: once it is ended, what runs under it ends, whatever becomes of this node or its store meanwhile
        name = f"{id_} {now.isoformat()}"
        net = NewJob(participant=participant, kind=ENDING, id=name, body={"agreement": id_}, not_before=now + _LOOKED_AFTER)
        await self._store.jobs.put([net], now)
        await self._store.put_agreement(ended, is_new=False)
        await self.end_transfers(ended)
        return ended

    async def end_transfers(self, agreement: Agreement) -> int:
        """Terminate what runs under an agreement that has ended; how many transfers there were."""
        assert self._ender is not None
        count, cursor = 0, None
        reason = agreement.end_reason or "the agreement has ended"
        while True:
            # of all states: a transfer moves from one to another while we look
            page = await self._store.processes(
                Kind.TRANSFER, agreement.participant, Filter(agreement_id=agreement.id), cursor=cursor
            )
            for process in page.items:
                if process.is_ended:
                    continue
                count += 1
                try:
                    await self._ender.end(agreement.participant, process.pid, reason)
                except CallerError as fault:
                    # it has ended, or completes, at this moment: no reason to let the others run
                    observe.info("agreements.not_ended", pid=process.pid, cause=fault)
            cursor = page.next_cursor
            if cursor is None:
                return count

    async def ending(self, job: Job) -> None:
        """End what still runs under an agreement that was ended a moment ago."""
        await self.end_if_over(job.participant, str(job.body["agreement"]))

    async def end_if_over(self, participant: str, id_: str) -> None:
        """Terminate what has just begun under an agreement that ended between the look at it and the beginning."""
        agreement = await self._store.agreement(participant, id_)
        if agreement is not None and agreement.ended_at is not None:
            await self.end_transfers(agreement)
