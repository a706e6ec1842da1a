"""The issuer service: requests for credentials, their delivery, their status, and offers.

What lives here: `Issuer`. What does not: the form of messages (`messages.py`) and credentials (`issuing.py`), and who is a member
(`registry.py`).
Source: DCP 1.0, sections 6.4 to 6.9.

A request is taken and answered 201; a job makes the credentials and delivers all of them in one message, again and again until the
holder has it. What was signed for a request is kept with it: a second try delivers the same credentials.
INVARIANT: the subject is the DID that sent the request, whatever anybody writes.
INVARIANT: a credential is signed only for a member that is ACTIVE, and written down before it is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from connector import observe
from connector.errors import BeyondGrant, CallerError, Conflict, KontorError, NotFound, PeerAnswer, TooMany, Unproven
from connector.identity import tokens
from connector.identity.authority import announcing, issuing, kinds, messages
from connector.identity.authority.kinds import CredentialType
from connector.identity.authority.members import Member, State
from connector.identity.authority.messages import RequestStatus
from connector.identity.authority.records import AUTHORITY, ISSUED, Body, Records
from connector.identity.authority.registry import Registry
from connector.identity.authority.space import Space
from connector.identity.authority.statuslists import StatusLists
from connector.identity.authority.withdrawal import Withdrawal
from connector.identity.keys import Keys, Purpose
from connector.identity.senders import Sender, Senders, refusal
from connector.outbound.client import OutboundClient
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob

DELIVERY: Final = "authority.delivery"
OFFER: Final = announcing.OFFER
ATTEMPTS: Final = 12
"""How often a delivery is tried before the request counts as rejected."""
MOST_VALID: Final = 1_000
"""Credentials of one member that are not over: each is a place on a status list, and all of them are settled with each change of it."""
_ONE_HOUR_S: Final = 3600
_REQUEST: Final = "request"
_PROOF: Final = "send a self-issued token for this issuer"
_MAY_ASK: Final = (State.APPROVED, State.ACTIVE)
_PASSING: Final = frozenset({401, 404, 408, 409, 425, 429})


class Issuer:
    """Issues credentials to members."""

    def __init__(
        self,
        records: Records,
        space: Space,
        registry: Registry,
        *,
        keys: Keys,
        lists: StatusLists,
        withdrawal: Withdrawal,
        senders: Senders,
        outbound: OutboundClient,
        jobs: Jobs,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._space = space
        self._registry = registry
        self._keys = keys
        self._lists = lists
        self._withdrawal = withdrawal
        self._senders = senders
        self._outbound = outbound
        self._jobs = jobs
        self._clock = clock
        self._new_id = new_id

    def metadata(self) -> dict[str, Any]:
        """The IssuerMetadata, for everybody."""
        return kinds.metadata(self._space.did, self._space.kinds)

    async def request(self, authorization: str | None, body: bytes) -> str:
        """The address of the request that was taken.

        Raises: Unauthenticated, the same for every cause; BadMessage; CallerError for a credential that is not issued here;
        BeyondGrant for who is no member that may ask; TooMany for who holds too many already.
        """
        sender = await self._proven(authorization)
        wanted = messages.read_request(body)
        chosen = kinds.chosen(self._space.kinds, wanted.ids)
        member = await self._records.member(sender.document.id)
        if member is None or member.state not in _MAY_ASK:
            observe.warning(
                "authority.refused",
                did=sender.document.id,
                check="member",
                words=f"it is {member.state if member else 'unknown'}",
            )
            raise BeyondGrant("no credentials are issued to this holder", mend="join the space first")
        self._senders.resolver.acquaint(member.did)
        await self._bound(member.did, len(chosen))
        id_, now = self._new_id(), self._clock.now()
        record = {
            "holder": sender.document.id,
            "holder_pid": wanted.holder_pid,
            "types": [kind.type for kind in chosen],
            "token": sender.token.claims.get("token"),
            "status": RequestStatus.RECEIVED.value,
            "message": None,
            "reason": "",
        }
        await self._records.put(ISSUED, _REQUEST, id_, record, 0)
        job = NewJob(participant=AUTHORITY, kind=DELIVERY, id=id_, body={}, order_key=sender.document.id)
        await self._jobs.put([job], now)
        return f"{self._space.issuer_address}/requests/{id_}"

    async def status(self, authorization: str | None, id_: str) -> dict[str, Any]:
        """The CredentialStatus of a request, for its sender alone.

        Raises: Unauthenticated; NotFound, also for the request of another.
        """
        sender = await self._proven(authorization)
        kept = await self._records.get(ISSUED, _REQUEST, id_)
        if kept is None or kept.body["holder"] != sender.document.id:
            raise NotFound("there is no such request")
        return messages.status(id_, kept.body["holder_pid"], RequestStatus(kept.body["status"]))

    async def offer(self, did: str, types: Sequence[str] = (), reason: str = "reissue") -> None:
        """Have a member offered credentials, all types when none is named; it asks for them if it likes.

        Raises: NotFound, Conflict when it is not active, CallerError for an unknown type.
        """
        member = await self._records.known(did)
        if not member.is_active:
            raise Conflict(f"`{did}` is {member.state}", where="state", mend="offer to active members")
        for type_ in types:
            if self._space.kind(type_) is None:
                raise CallerError(f"no `{type_}` is issued here", where="types", mend="see the issuer's metadata")
        body = {"holder": did, "types": list(types), "reason": reason}
        job = NewJob(participant=AUTHORITY, kind=OFFER, id=self._new_id(), body=body, order_key=did)
        await self._jobs.put([job], self._clock.now())

    async def work_offer(self, job: Job) -> None:
        """Sends one offer. Raises: PeerError or Unproven, so that it is tried again."""
        did, types = str(job.body["holder"]), job.body["types"]
        chosen = [kind for kind in self._space.kinds if not types or kind.type in types]
        message = messages.offer(self._space.did, chosen, str(job.body["reason"]))
        answer = await self._send(did, "offers", message, None)
        if not 200 <= answer < 300:
            raise PeerAnswer(f"the offer is answered {answer}", answer_status=answer, where=did)

    async def work_delivery(self, job: Job) -> None:
        """Makes the credentials of one request, or the refusal, and delivers them.

        Raises: PeerError or Unproven when the holder cannot be reached, so that it is tried again.
        """
        kept = await self._records.get(ISSUED, _REQUEST, job.id)
        if kept is None or kept.body["status"] != RequestStatus.RECEIVED:
            return
        holder = str(kept.body["holder"])
        record = kept.body
        if record["message"] is None:
            record = await self._written(job.id, record)
        member = await self._records.member(holder)
        if record["message"]["status"] == RequestStatus.ISSUED and (member is None or not member.is_active):
            # withdrawn between signing and sending: what was signed stands on the lists as withdrawn, and is not sent
            message = messages.rejected(job.id, record["holder_pid"], "no credentials are issued to this holder")
            record = await self._noted(job.id, message=message)
        try:
            answer = await self._send(holder, "credentials", record["message"], record["token"])
            if not 200 <= answer < 300:
                raise PeerAnswer(f"the delivery is answered {answer}", answer_status=answer, where=holder)
        except KontorError as fault:
            if not _is_final(fault) and job.tries < ATTEMPTS:
                raise
            await self._noted(job.id, status=RequestStatus.REJECTED, reason=_words(fault))
            observe.warning("authority.not_delivered", did=holder, request=job.id, cause=_words(fault))
            return
        await self._noted(job.id, status=RequestStatus(record["message"]["status"]))
        observe.info("authority.delivered", did=holder, request=job.id, status=record["message"]["status"])

    async def _written(self, id_: str, record: Body) -> Body:
        """The request with the message that answers it."""
        holder, holder_pid = str(record["holder"]), str(record["holder_pid"])
        try:
            member = await self._records.known(holder)
            chosen = [kind for type_ in record["types"] if (kind := self._space.kind(type_)) is not None]
            if len(chosen) < len(record["types"]):
                raise Conflict("a type that was asked for is issued no longer")
            # all or none: nothing is signed before everything could be
            said = [kinds.claims_of(kind, member.attributes) for kind in chosen]
            if member.state is State.APPROVED:
                member = await self._registry.activate(holder)
            if not member.is_active:
                raise BeyondGrant(f"`{holder}` is {member.state}")
            # asked again here: of many requests at once each has seen as many as the first
            await self._bound(holder, len(chosen))
            written = [(kind, await self._signed(kind, claims, member)) for kind, claims in zip(chosen, said, strict=True)]
            message = messages.issued(id_, holder_pid, written)
            reason = ""
        except (CallerError, Conflict) as fault:
            # the holder learns that there is nothing, the operator why
            observe.warning("authority.rejected", did=holder, request=id_, cause=str(fault))
            message, reason = messages.rejected(id_, holder_pid, "this holder is not given what it asks for"), str(fault)
        return await self._noted(id_, message=message, reason=reason)

    async def _bound(self, holder: str, more: int) -> None:
        """Returns when a member may have so many credentials more. Raises: TooMany."""
        now = self._clock.now()
        valid = [one for one in await self._withdrawal.credentials(holder) if datetime.fromisoformat(one["ends"]) > now]
        if len(valid) + more > MOST_VALID:
            mend = "use those that you have until they end"
            raise TooMany(f"{MOST_VALID} credentials of yours are valid", mend=mend, retry_after_s=_ONE_HOUR_S)

    async def _signed(self, kind: CredentialType, claims: Mapping[str, Any], member: Member) -> str:
        now, id_ = self._clock.now(), f"urn:uuid:{self._new_id()}"
        entries = await self._lists.allot(kind, id_)
        await self._withdrawal.given(member.did, id_, kind.type, entries, now + kind.life)
        key = await self._keys.signing(AUTHORITY, Purpose.CREDENTIAL)
        return issuing.credential(
            kind, claims, key=key, issuer=self._space.did, subject=member.did, entries=entries, id_=id_, now=now
        )

    async def _noted(self, id_: str, **changes: Any) -> Body:
        def change(body: Body | None) -> Body:
            return {**(body or {}), **changes}

        return await self._records.update(ISSUED, _REQUEST, id_, change)

    async def _send(self, holder: str, path: str, message: Mapping[str, Any], echoed: object) -> int:
        """How the holder's credential service answers `message`."""
        document = await self._senders.resolver.resolve(holder)
        url = f"{document.endpoint('CredentialService')}/{path}"
        token = tokens.self_issued(
            await self._keys.signing(AUTHORITY, Purpose.TOKEN),
            sender=self._space.did,
            receiver=holder,
            now=self._clock.now(),
            jti=self._new_id(),
            token=str(echoed) if echoed is not None else None,
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return (await self._outbound.post(url, orjson.dumps(dict(message)), headers)).status

    async def _proven(self, authorization: str | None) -> Sender:
        try:
            return await self._senders.prove(AUTHORITY, authorization, receiver=self._space.did, needs_token=False)
        except KontorError as fault:
            raise refusal(AUTHORITY, fault, _PROOF) from fault


def _is_final(fault: KontorError) -> bool:
    """Whether the holder has answered once and for all."""
    return isinstance(fault, PeerAnswer) and 400 <= fault.answer_status < 500 and fault.answer_status not in _PASSING


def _words(fault: KontorError) -> str:
    return fault.words if isinstance(fault, Unproven) else str(fault)
