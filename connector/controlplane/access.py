"""Who may read or write the data of a transfer: asked by the data plane, for each request anew.

A token proves who; the transfer's state, the agreement and the policy engine decide whether, now.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from connector.controlplane.cases import Case
from connector.controlplane.offerings import Found, Offerings
from connector.controlplane.participants import Participants
from connector.controlplane.policy import Judge
from connector.controlplane.usage import Usages
from connector.dsp.negotiation import Agreement
from connector.dsp.tables import Kind, State
from connector.dsp.transfer import Access, Transfer, promoted
from connector.dsp.values import replace
from connector.errors import Conflict, Forbidden, Gone, Overloaded, PolicyError, Unauthenticated
from connector.odrl.enforce import SUPPLIED
from connector.odrl.truth import Stage
from connector.ports.clock import Clock
from connector.ports.dataplane import Event, Grant, Use
from connector.ports.identity import ACTIVE, STANDING, UNPROVEN, TokenSource
from connector.ports.store import Change, Key, Snapshot, Store

_MOST_CASES: Final = 1000


class _Standing(NamedTuple):
    """What was gathered about a pull: from the same it is gathered once."""

    transfer: Transfer
    case: Case
    found: Found


class DataAccess:
    """Implements the port `Authorizer`."""

    def __init__(
        self,
        store: Store,
        participants: Participants,
        offerings: Offerings,
        judge: Judge,
        usages: Usages,
        tokens: TokenSource,
        clock: Clock,
    ) -> None:
        self._store = store
        self._participants = participants
        self._offerings = offerings
        self._judge = judge
        self._usages = usages
        self._tokens = tokens
        self._clock = clock
        self._cases: dict[tuple[str, str], Case] = {}
        """Of transfers that were asked about of late."""
        self._standings: dict[tuple[str, str], _Standing] = {}
        """Likewise, of pulls."""

    async def may_pull(self, participant: str, pid: str, token: str | None, *, is_look: bool = False) -> Grant:
        """What a consumer that shows `token` may read from our transfer `pid`; a look hands out no data and is no use of it.

        Raises: Unauthenticated, Forbidden with the reason, Gone, NotFound when the asset was deleted; Overloaded while the transfer
        is in doubt after a restore.
        """
        transfer, agreement = await self._proven(participant, pid, token)
        if not transfer.is_provider or transfer.is_push:
            raise Unauthenticated("no such data")
        claims = await self._tokens.claims_of(participant, transfer.peer)
        place = participant, pid
        standing = self._standings.get(place)
        if standing is None or not self._holds(standing, transfer, agreement, claims):
            if len(self._standings) >= _MOST_CASES:
                self._standings.clear()
            # the context before the source: what is written in between is seen to be newer than the context
            case = await self._judged(transfer, agreement, claims)
            standing = _Standing(transfer, case, await self._offerings.found(participant, transfer.dataset))
            self._standings[place] = standing
        source, case = standing.found.source, standing.case
        if is_look:
            await self._look(transfer, case)
            return Grant(transfer=transfer, source=source)
        if source.events is not None:
            return Grant(transfer=transfer, source=source, use=await self._streamed(transfer, case))
        use = await self._usages.reserve(transfer, case)
        return Grant(transfer=transfer, source=source, use=use, free_until=use.free_until)

    def _holds(self, standing: _Standing, transfer: Transfer, agreement: Agreement | None, claims: Mapping[str, Any]) -> bool:
        """Whether the same would be gathered again."""
        case = standing.case
        is_same = standing.transfer is transfer and case.agreement is agreement and case.claims is claims
        return is_same and standing.found.is_lasting and self._participants.is_current(case.context)

    async def may_send(self, transfer: Transfer) -> None:
        """Let a push count from its start on: of many that start at once no more go on than the terms allow.

        Raises: Forbidden with the reason.
        """
        case = await self._case(transfer, await self._tokens.claims_of(transfer.participant, transfer.peer))
        await self._usages.reserve(transfer, case, is_push=True)

    async def let_go(self, transfer: Transfer, nth: int) -> None:
        """Free what `may_send` has reserved for the `nth` start of a push that moves nothing any more. Again: nothing happens."""
        await self._usages.let_go(transfer, nth)

    async def may_stream(self, transfer: Transfer) -> Use | None:
        """What a push of events is a use as, from its beginning to its end; None when its messages alone are.

        Raises: Forbidden with the reason.
        """
        case = await self._case(transfer, await self._tokens.claims_of(transfer.participant, transfer.peer))
        return await self._streamed(transfer, case)

    async def _streamed(self, transfer: Transfer, case: Case) -> Use | None:
        if self._judge.terms_of(case.agreement).asks_time:
            return await self._usages.reserve(transfer, case)
        await self._look(transfer, case)
        return None

    async def may_pass(self, transfer: Transfer, events: Sequence[Event]) -> int:
        """How many of `events`, from the first on, may be handed over; each that may is a use, once, however often it is asked about.

        Raises: Forbidden with the reason when not even the first may.
        """
        case = await self._case(transfer, await self._tokens.claims_of(transfer.participant, transfer.peer))
        if not self._judge.terms_of(case.agreement).asks_ledger:
            # nothing but the moment and the peer decide: one question for all of them
            use = await self._usages.reserve(transfer, case)
            for _ in events:
                await use.begin()
            use.end(sum(event.byte_size for event in events))
            return len(events)
        count = 0
        for event in events:
            try:
                await self._passed(transfer, case, event)
            except Forbidden:
                if not count:
                    raise
                break
            count += 1
        return count

    async def _passed(self, transfer: Transfer, case: Case, event: Event) -> None:
        use = await self._usages.reserve(transfer, case, key=f"event:{transfer.pid}:{event.id}")
        try:
            await use.begin()
        except Conflict:
            # the node that had reserved it died before it was handed over
            use = await self._usages.reserve(transfer, case)
            await use.begin()
        use.end(event.byte_size)

    async def may_collect(self, participant: str, transfer: Transfer) -> Use:
        """The use that our own people make of the data of `transfer`, as its consumer: judged by our own book.

        Raises: Forbidden with the reason.
        """
        return await self._usages.reserve(transfer, await self._case(transfer, {}))

    async def may_read_on(self, transfer: Transfer) -> bool:
        """Whether our own people may go on reading what a push has delivered; nobody is told, and nothing is counted."""
        try:
            case = await self._case(transfer, {})
            terms = self._judge.terms_of(case.agreement, SUPPLIED.union(case.context.environment))
        except (Forbidden, PolicyError):
            return False
        if case.agreement.ended_at is not None:
            return False
        case, now = replace(case, book=await self._usages.book(case.agreement)), self._clock.now()
        return self._judge.on_agreement(terms, transfer, case, now, Stage.ONGOING, also=0, is_noted=False).is_permitted

    async def _case(self, transfer: Transfer, claims: Mapping[str, Any]) -> Case:
        agreement = await self._store.agreement(transfer.participant, transfer.agreement_id)
        return await self._judged(transfer, agreement, claims)

    async def _judged(self, transfer: Transfer, agreement: Agreement | None, claims: Mapping[str, Any]) -> Case:
        """What a decision about `transfer` looks at: the same object as the last time, while all of it is the same.

        Raises: Forbidden when the agreement is gone, or the peer may do nothing in its data space.
        """
        if agreement is None:
            raise Forbidden("the agreement is gone", where=transfer.agreement_id)
        # whatever the terms say: who may do nothing in the space gets no data in it
        if claims.get(STANDING, ACTIVE) != ACTIVE:
            mend = "send any message: it proves you anew" if claims[STANDING] == UNPROVEN else ""
            raise Forbidden(f"the peer is {claims[STANDING]} in its data space", where=transfer.peer, mend=mend)
        context = await self._participants.context(transfer.participant)
        place = transfer.participant, transfer.pid
        case = self._cases.get(place)
        if case is None or case.agreement is not agreement or case.claims is not claims or case.context is not context:
            if len(self._cases) >= _MOST_CASES:
                self._cases.clear()
            case = self._cases[place] = Case(context=context, agreement=agreement, claims=claims)
        return case

    async def _look(self, transfer: Transfer, case: Case) -> None:
        book = await self._usages.book(case.agreement)
        answer = self._judge.transfer(transfer, replace(case, book=book), self._clock.now(), Stage.REQUEST, also=1)
        if not answer.judgement.is_acceptable:
            raise Forbidden("; ".join(answer.judgement.reasons), where=transfer.agreement_id)

    async def renew(self, participant: str, pid: str, token: str | None, access: Access) -> None:
        """Let `access` open transfer `pid`, too, for whoever shows `token`; when it is first used, it alone does.

        Raises: as `may_pull`; Conflict while a start with a fresh address is on its way.
        """
        await self.may_pull(participant, pid, token, is_look=True)

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            if snapshot.process is None or not snapshot.process.is_open:
                raise Forbidden("the transfer was stopped", where=pid)
            if snapshot.process.renewal is not None:
                raise Conflict("a fresh data address is on its way", where=pid, mend="use the token that it brings")
            return Change(process=replace(snapshot.process, upcoming=access))

        await self._store.advance(_key(participant, pid), decide)

    async def may_push(self, participant: str, pid: str, token: str | None) -> Transfer:
        """The transfer of ours, as consumer, into which a provider that shows `token` may write.

        Raises: as `may_pull`.
        """
        transfer, _ = await self._proven(participant, pid, token)
        if transfer.is_provider or not transfer.is_push:
            raise Unauthenticated("no such data")
        return transfer

    async def _proven(self, participant: str, pid: str, token: str | None) -> tuple[Transfer, Agreement | None]:
        """The transfer that `token` opens now, and its agreement; raises as `may_pull`."""
        opening = await self._store.opening(participant, pid)
        shown = hashlib.sha256((token or "").encode()).hexdigest()
        access = _shown(opening.transfer, shown) if opening is not None else None
        if opening is None or access is None:
            # the same answer for an unknown transfer and a wrong token
            raise Unauthenticated("this token opens nothing here", mend="use the token of the latest data address")
        process = opening.transfer
        if process.is_ended:
            raise Gone(f"the transfer is {process.state}", where=pid)
        if process.is_doubted:
            mend = "come again: the transfer is being compared with yours"
            raise Overloaded("the store of this node was restored a moment ago", where=pid, mend=mend)
        if not process.is_open:
            state = process.state.value if process.state is not State.STARTED and process.state else "being stopped"
            raise Forbidden(f"the transfer is {state}", where=pid, mend="wait for it to be started")
        if access.expires_at <= self._clock.now():
            raise Gone("the token's time is over", where=pid, mend="suspend and resume the transfer for a fresh one")
        if access is process.upcoming:
            process = await self._promoted(process, shown)
        return process, opening.agreement

    async def _promoted(self, process: Transfer, shown: str) -> Transfer:
        """The transfer after the first use of a renewed token, which ends the one before."""

        def decide(snapshot: Snapshot[Transfer]) -> Change[Transfer]:
            assert snapshot.process is not None
            return Change(process=promoted(snapshot.process, shown))

        change = await self._store.advance(_key(process.participant, process.pid), decide)
        return change.process or process


def _shown(transfer: Transfer, token_sha256: str) -> Access | None:
    """What of `transfer` a token opens."""
    for access in (transfer.access, transfer.former, transfer.upcoming):
        if access is not None and hmac.compare_digest(token_sha256, access.token_sha256):
            return access
    return None


def _key(participant: str, pid: str) -> Key:
    return Key(kind=Kind.TRANSFER, participant=participant, pid=pid)
