"""The register of members: applications, proof of control, and the operator's decisions.

What lives here: `Registry`. Every change of a state goes through the one table (`members.py`).
What does not: credentials (`issuer.py`), status lists, signed lists, and the form of what is received (`applications.py`).

An application that nobody has proven touches no member: it stands apart, under an id that only its sender knows, until a token of the
DID's own key names its nonce. Then, and not before, it becomes the member's record.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from connector import observe
from connector.errors import Conflict, KontorError, NotFound, Unproven
from connector.identity.authority import kinds
from connector.identity.authority.announcing import Announcing
from connector.identity.authority.applications import Application
from connector.identity.authority.members import Event, Member, State, Step, follow, stepped
from connector.identity.authority.records import AUTHORITY, Records
from connector.identity.authority.signing import Signing
from connector.identity.authority.space import Space
from connector.identity.authority.withdrawal import Withdrawal
from connector.identity.senders import Senders, refusal
from connector.ports.asker import ASKER, asker
from connector.ports.clock import Clock
from connector.ports.journal import Journal, Line

HISTORY: Final = "members"
"""The stream of the journal that holds every change of a member's state."""
NONCE_LIFE: Final = timedelta(hours=1)
_MOST_OPEN: Final = 10_000
"""Applications that wait for their proof."""
_MOST_OF_ONE: Final = 50
"""Of them from one machine."""
_MOST_ASKERS: Final = 10_000
_MOST_RETURNS: Final = 10
"""How often somebody may have left and be taken in as everybody is; each time is a part of its record, and of the lists."""
_ROOM: Final = 10
"""What part of the open applications makes room at once, the oldest ones: each is looked at to find them."""
_PROOF: Final = "send a self-issued token of the applicant for this authority, with the nonce of the application"


class Registry:
    """The members of one space."""

    def __init__(
        self,
        records: Records,
        space: Space,
        *,
        signing: Signing,
        senders: Senders,
        withdrawal: Withdrawal,
        announcing: Announcing,
        journal: Journal,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._space = space
        self._signing = signing
        self._senders = senders
        self._withdrawal = withdrawal
        self._announcing = announcing
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._askers: OrderedDict[str, deque[str]] = OrderedDict()
        """The last applications from each machine, oldest first, proven or not."""

    # --- from applicants

    async def apply(self, application: Application) -> Member:
        """The application, SUBMITTED, with the nonce that its proof must name.

        Nobody is refused for what others send: where too many wait for their proof, the oldest of the same machine make room, and
        then the oldest of all. Who joins proves itself a moment after it applied, and what is proven is no open application any more.
        """
        if await self._records.count_applications() >= _MOST_OPEN:
            await self._make_room()
        member = self._begun(application, Event.APPLY, nonce=self._new_id(), by=application.did)
        await self._records.put_application(member)
        await self._note_asker(member.application)
        observe.info("authority.applied", did=member.did, application=member.application)
        return member

    async def prove(self, id_: str, authorization: str | None) -> Member:
        """The member whose application it was, VERIFIED, or further when everybody is taken in.

        Raises: NotFound; Unauthenticated, the same for every cause; Conflict when the DID is a member's already.
        """
        application = await self._records.application(id_)
        if application is None:
            raise NotFound("there is no such application", mend="apply anew")
        did = await self._proven(authorization, application)
        now = self._clock.now()
        verified = stepped(application, Event.PROVE, now=now, by=did)

        def change(found: Member | None) -> Member:
            if found is None:
                return replace(verified, version=0)
            if found.state not in (State.VERIFIED, State.REVOKED) or (found.since is not None and not _may_return(found)):
                mend = "ask the authority; nothing was changed"
                raise Conflict(f"the DID is a member's, which is {found.state}", where="id", mend=mend)
            # applied again before anybody decided, after a refusal, or after it had left: what others did about it stays known
            return replace(verified, steps=(*_lasting(found), *verified.steps), version=found.version)

        member = await self._records.change(did, change)
        await self._records.drop_application(id_)
        observe.info("authority.verified", did=did, application=id_)
        await self._written_down(member)
        # whom an operator has put out comes in by an operator again, also where everybody else is taken in; so does who comes and goes
        if self._space.is_automatic and not _was_put_out(member) and _times_left(member) < _MOST_RETURNS:
            # what somebody says of itself is attested only when somebody has looked at it; a name is no more than a name
            kept = {name: value for name, value in member.attributes.items() if name == "name"}
            return await self.approve(did, by=AUTHORITY, reason="everybody is taken in", attributes=kept, is_whole=True)
        return member

    async def standing(self, authorization: str | None) -> Member:
        """The sender's own record. Raises: Unauthenticated, the same for every cause; NotFound."""
        return await self._records.known(await self._proven(authorization, None))

    async def follow(self, authorization: str | None) -> Member:
        """The sender, which is told of whoever joins from now on.

        Raises: Unauthenticated, the same for every cause; NotFound, Conflict, Overloaded.
        """
        member = await self._records.known(await self._proven(authorization, None))
        await self._announcing.follow(member)
        return member

    async def leave(self, authorization: str | None) -> Member:
        """The sender, which is no member any more by its own word: REVOKED; it may apply again.

        Raises: Unauthenticated, the same for every cause; NotFound.
        """
        did = await self._proven(authorization, None)
        member = await self._records.known(did)
        return member if member.state is State.REVOKED else await self._step(did, Event.REVOKE, did, "has left")

    async def _proven(self, authorization: str | None, application: Member | None) -> str:
        """The DID that sent a request, which names the application's nonce where there is one."""
        try:
            sender = await self._senders.prove(AUTHORITY, authorization, receiver=self._space.did, needs_token=False)
        except KontorError as fault:
            raise refusal(AUTHORITY, fault, _PROOF) from fault
        if application is not None:
            nonce = sender.token.claims.get("nonce")
            if (
                sender.document.id != application.did
                or not isinstance(nonce, str)
                or not hmac.compare_digest(nonce.encode(), application.nonce.encode())
                or sender.now >= application.nonce_until
            ):
                words = "the token is another's, or does not name the nonce of the application in time"
                raise refusal(AUTHORITY, Unproven(words, check="nonce", where=sender.document.id), _PROOF)
        return sender.document.id

    # --- from operators

    async def enrol(self, application: Application, *, by: str, reason: str = "") -> Member:
        """A member, APPROVED by the operator's word alone. Raises: Conflict when there is one."""
        member = self._begun(application, Event.ENROL, nonce="", by=by, reason=reason)
        self._attestable(member)

        def change(found: Member | None) -> Member:
            if found is not None:
                raise Conflict(f"`{application.did}` is {found.state} already", where="id")
            return member

        return await self._changed(application.did, change, by)

    async def approve(
        self,
        did: str,
        *,
        by: str,
        reason: str = "",
        attributes: Mapping[str, Any] | None = None,
        is_whole: bool = False,
        application: str | None = None,
    ) -> Member:
        """The member, APPROVED; `attributes` correct what it said of itself, or replace all of it.

        `application` is the one that was looked at: an applicant may apply again, and say something else, until it is decided.

        Raises: NotFound, IllegalTransition; Conflict when its membership could not be attested, or another application waits.
        """

        def change(found: Member | None) -> Member:
            member = _there(found, did)
            if application is not None and member.application != application:
                mend = "look at what it says now: `kontor authority applications`"
                raise Conflict(f"`{did}` has applied again since", where="application", mend=mend)
            said = {**({} if is_whole else member.attributes), **(attributes or {})}
            changed = stepped(replace(member, attributes=said), Event.APPROVE, now=self._clock.now(), by=by, reason=reason)
            self._attestable(changed)
            return changed

        return await self._changed(did, change, by)

    async def reject(self, did: str, *, by: str, reason: str) -> Member:
        """The applicant, refused. Raises: NotFound, IllegalTransition."""
        return await self._step(did, Event.REJECT, by, reason)

    async def suspend(self, did: str, *, by: str, reason: str) -> Member:
        """The member, SUSPENDED; its credentials hold no longer, and all connectors of the space are told.

        Raises: NotFound, IllegalTransition.
        """
        return await self._step(did, Event.SUSPEND, by, reason)

    async def reinstate(self, did: str, *, by: str, reason: str = "") -> Member:
        """The member, ACTIVE again. Raises: NotFound, IllegalTransition."""
        return await self._step(did, Event.REINSTATE, by, reason)

    async def revoke(self, did: str, *, by: str, reason: str) -> Member:
        """The member, REVOKED for ever. Raises: NotFound, IllegalTransition."""
        return await self._step(did, Event.REVOKE, by, reason)

    async def activate(self, did: str) -> Member:
        """The member, ACTIVE; one that is already stays so. Raises: NotFound, IllegalTransition."""

        def change(found: Member | None) -> Member:
            member = _there(found, did)
            if member.is_active:
                return member
            return stepped(member, Event.ACTIVATE, now=self._clock.now(), by=AUTHORITY)

        return await self._changed(did, change, AUTHORITY)

    async def member(self, did: str) -> Member:
        """One member. Raises: NotFound."""
        return await self._records.known(did)

    async def applications(self) -> tuple[Member, ...]:
        """Who wants to become a member: unproven, and proven and not decided."""
        waiting = [one async for one in self._records.applications()]
        return (*waiting, *(one for one in await self.members() if one.state is State.VERIFIED))

    async def members(self, state: State | None = None) -> tuple[Member, ...]:
        """The members, by DID."""
        return tuple([one async for one in self._records.members() if state is None or one.state is state])

    async def _step(self, did: str, event: Event, by: str, reason: str) -> Member:
        def change(found: Member | None) -> Member:
            return stepped(_there(found, did), event, now=self._clock.now(), by=by, reason=reason)

        return await self._changed(did, change, by)

    async def _changed(self, did: str, change: Callable[[Member | None], Member], by: str) -> Member:
        # 1. what must follow is noted before the state is written: whatever happens in between, it will be made to follow
        await self._withdrawal.note(did)
        # 2. the state
        before = await self._records.member(did)
        member = await self._records.change(did, change)
        if before is not None and before.state is member.state:
            return member
        observe.info("authority.member", did=did, state=member.state, by=by)
        await self._written_down(member)
        # 3. at once what takes effect outside: bits first, so that whoever is told finds them set
        await self._withdrawal.settle(did)
        await self._signing.changed()
        if before is not None and member.state is State.APPROVED:
            await self._announcing.invite(member)
        if before is not None and before.since is not None:
            await self._announcing.announce(member)
        elif member.is_active:
            await self._announcing.announce_newcomer(member)
        return member

    async def _written_down(self, member: Member) -> None:
        """Append the last step to the chained history of the register; the member's record has it already."""
        step = member.steps[-1]
        body = {"did": member.did, "event": step.event.value, "state": step.state.value, "by": step.by, "reason": step.reason}
        try:
            await self._journal.append(AUTHORITY, HISTORY, [Line(at=step.at, body=body)])
        except KontorError as fault:
            # what follows from the state must not wait for its history
            observe.error("authority.history_not_written", did=member.did, state=member.state, cause=str(fault))

    def _begun(self, application: Application, event: Event, *, nonce: str, by: str, reason: str = "") -> Member:
        now, state = self._clock.now(), follow(None, event)
        return Member(
            did=application.did,
            application=self._new_id(),
            state=state,
            nonce=nonce,
            nonce_until=now + NONCE_LIFE,
            attributes=application.attributes,
            address=application.address,
            notices=application.notices,
            steps=(Step(at=now, event=event, state=state, by=by, reason=reason),),
        )

    def _attestable(self, member: Member) -> None:
        """Raises: Conflict when the membership credential could not be written from the register."""
        if self._space.kinds:
            kinds.claims_of(self._space.kinds[0], member.attributes)

    async def _note_asker(self, application: str) -> None:
        """Let the oldest application of a machine that sends many make room; each replica counts for itself."""
        name = asker(ASKER.get())
        theirs = self._askers.setdefault(name, deque())
        self._askers.move_to_end(name)
        theirs.append(application)
        if name and len(theirs) > _MOST_OF_ONE:
            await self._records.drop_application(theirs.popleft())
        while len(self._askers) > _MOST_ASKERS:
            self._askers.popitem(last=False)

    async def _make_room(self) -> None:
        """Forget what was not proven in time, and the oldest besides."""
        now = self._clock.now()
        found = sorted([(one.nonce_until, one.application) async for one in self._records.applications()])
        late = sum(until <= now for until, _ in found)
        for _, application in found[: max(late, len(found) // _ROOM, 1)]:
            await self._records.drop_application(application)


def _may_return(member: Member) -> bool:
    """Whether it took itself out, or was no more than refused: whom an operator has revoked stays so."""
    ends = [step for step in member.steps if step.state is State.REVOKED]
    return bool(ends) and (ends[-1].by == member.did or ends[-1].event is Event.REJECT)


def _lasting(member: Member) -> tuple[Step, ...]:
    """Its steps but for applications at the end that came to nothing by its own doing: it may make as many as it likes."""
    mine = (Event.APPLY, Event.PROVE, Event.REVOKE)
    kept = max((n for n, step in enumerate(member.steps, 1) if step.by != member.did or step.event not in mine), default=0)
    if member.steps[kept:] and member.steps[kept].event is Event.REVOKE:
        # how it left, having been more than an applicant
        kept += 1
    return member.steps[:kept]


def _times_left(member: Member) -> int:
    return sum(step.event is Event.REVOKE and step.by == member.did for step in member.steps)


def _was_put_out(member: Member) -> bool:
    """Whether an operator has refused it, or has suspended it and it left to apply anew."""
    before: State | None = None
    for step in member.steps:
        if step.state is State.REVOKED and (step.by != member.did or before is State.SUSPENDED):
            return True
        before = step.state
    return False


def _there(found: Member | None, did: str) -> Member:
    if found is None:
        raise NotFound(f"there is no member `{did}`", mend="`kontor authority participants` lists them")
    return found
