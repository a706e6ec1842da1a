"""Joining a data space: application, proof, the wait for its authority, the credential, the lists; and notices of the authority.

What lives here: `Joining`, for the participants of this node. What does not: the authority's side (`authority/`), and what counts in a
space that was joined (`admission.py`).

What an authority says of itself is believed as far as its own address goes: its DID and all addresses that it names must stand at the
host that the operator named.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from connector import observe, strict
from connector.errors import (
    BadMessage,
    Conflict,
    KontorError,
    NotFound,
    PeerAnswer,
    PeerMessage,
    TooLarge,
    Unproven,
)
from connector.identity import did as dids
from connector.identity import joined, notices, tokens
from connector.identity.authority.space import About, read_about
from connector.identity.holder import Wallet, Wallets
from connector.identity.joined import Joined, name_of
from connector.identity.listsource import ListSource
from connector.identity.requests import Request, Requests, RequestState
from connector.identity.senders import LOOK_AGAIN, Senders, refusal
from connector.outbound.client import Answer, OutboundClient
from connector.ports.clock import Clock
from connector.ports.jobs import Job, Jobs, NewJob
from connector.ports.store import Document, Store

JOB: Final = "space.join"
GOODBYE: Final = "space.leave"
_LIMITS: Final = strict.Limits(max_bytes=64 << 10, max_depth=8)
_SOON: Final = timedelta(seconds=0.2)
_LATEST: Final = timedelta(seconds=30)
_WAITING: Final = ("SUBMITTED", "VERIFIED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """Brings participants of this node into data spaces."""

    store: Store
    wallets: Wallets
    requests: Requests
    lists: ListSource
    senders: Senders
    outbound: OutboundClient
    jobs: Jobs
    clock: Clock
    new_id: Callable[[], str]
    address: Callable[[str], str]
    """The base of a participant's addresses, by its name."""
    forget: Callable[[str], None]
    """Called with a DID of which what was shown counts no longer."""
    governor: Callable[[str], str | None]
    """Who governs a space by the operator's own trust files; None for a space that none of them defines."""
    changed: Callable[[str], None]
    """Called with a participant of which something was written."""
    wake: Callable[[], None]
    """Called when a request for credentials has something to do."""
    entered: Callable[[str, str], Awaitable[None]] | None = None
    """Called with a participant and the space of which it has just become a member."""
    unsafe_local: bool = False
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict, repr=False)

    # --- for operators

    async def join(self, participant: str, url: str, attributes: Mapping[str, Any]) -> Joined:
        """The space that the authority at `url` governs, with the participant's application there, proven.

        Its operator decides; what follows goes on by itself, and `spaces` tells how far it is.

        Raises: Conflict when the participant has no wallet, takes part already, or has a file by which another governs; PeerError
        when the authority cannot be
        reached, refuses, or is none.
        """
        wallet = await self._wallet(participant)
        # 1. whose space it is
        about = await self._about(url)
        governor = self.governor(about.space)
        if governor not in (None, about.authority):
            mend = "join the authority that governs it, or mend the file"
            raise Conflict(f"`{about.space}` is governed by `{governor}` by a trust file here", where="authority", mend=mend)
        async with self._locks.setdefault(participant, asyncio.Lock()):
            known = await self._known(participant, about.space)
            if known is not None and known.is_member:
                raise Conflict(f"`{participant}` takes part in `{about.space}` already", where="authority")
            # 2. the application
            base = self.address(participant)
            wanted = {"id": wallet.did, "address": base, "notices": f"{base}/trust/notices", "attributes": dict(attributes)}
            taken = await self._post(about.applications, wanted, None)
            nonce, proof = taken.get("nonce"), taken.get("proof")
            if not isinstance(nonce, str) or not isinstance(proof, str) or _origin(proof) != _origin(about.applications):
                raise PeerMessage("the authority asks for no proof", where=about.applications)
            # 3. the proof
            answered = await self._post(proof, {}, self._token(wallet, about.authority, nonce))
            one = Joined(
                space=about.space,
                authority=about.authority,
                title=about.title,
                applications=about.applications,
                participants=about.participants,
                issuers=about.issuers,
                types=about.types,
                state=_waiting_as(answered),
                version=known.version if known is not None else 0,
            )
            kept = await self._put(participant, one)
        # 4. what follows
        now = self.clock.now()
        job = NewJob(
            participant=participant,
            kind=JOB,
            id=name_of(about.space),
            body={"space": about.space, "began": now.isoformat()},
            not_before=now + _SOON,
        )
        await self.jobs.put([job], now)
        observe.info("space.applied", participant=participant, space=about.space, authority=about.authority)
        return kept

    async def offered(self, participant: str, authority: str) -> bool:
        """Whether the participant waits for an authority that now offers it something: it looks at once how it stands there."""
        waiting = [one for one in await self.spaces(participant) if one.authority == authority and one.state in _WAITING]
        now = self.clock.now()
        for one in waiting:
            kept = await self.jobs.job(participant, JOB, name_of(one.space))
            # one that died between taking a job away and putting it again had not answered: the offer comes again
            body = kept.body if kept is not None else {"space": one.space, "began": now.isoformat()}
            if kept is None or await self.jobs.drop(participant, JOB, kept.id):
                await self.jobs.put([NewJob(participant=participant, kind=JOB, id=name_of(one.space), body=body)], now)
        return bool(waiting)

    async def spaces(self, participant: str) -> tuple[Joined, ...]:
        """The spaces that the participant has joined, or wants to."""
        return await joined.joined(self.store, participant)

    async def leave(self, participant: str, space: str) -> None:
        """Take no part in a space any more: its credentials are not asked for again, and count here no longer.

        It holds here at once, and the authority is told as soon as it can be reached: it withdraws what it gave.
        Raises: NotFound.
        """
        one = await self._known(participant, space)
        if one is None:
            raise NotFound(f"`{participant}` takes no part in `{space}`", mend="see `kontor spaces`")
        await self.jobs.drop(participant, JOB, name_of(space))
        if await self.requests.get(participant, name_of(space)) is not None:
            await self.requests.drop(participant, name_of(space))
        await self.store.delete_document(participant, joined.KIND, space)
        self.changed(participant)
        body = {"space": space, "authority": one.authority, "applications": one.applications}
        job = NewJob(participant=participant, kind=GOODBYE, id=f"{name_of(space)} {self.new_id()}", body=body)
        await self.jobs.put([job], self.clock.now())

    async def say_goodbye(self, job: Job) -> None:
        """Tell an authority that a participant has left its space.

        Raises: PeerError, so that it is tried again.
        """
        participant, where = job.participant, f"{job.body['applications']}/leave"
        if await self._known(participant, str(job.body["space"])) is not None:
            return  # it has joined again meanwhile
        wallet = await self._wallet(participant)
        headers = {"Authorization": self._token(wallet, str(job.body["authority"]), None)}
        answer = await self.outbound.post(where, b"", headers, max_bytes=_LIMITS.max_bytes)
        if not answer.is_success and answer.status != 404:
            raise PeerAnswer(
                f"the authority answers {answer.status}{_detail(answer)}", answer_status=answer.status, where=where
            )
        observe.info("space.left", participant=participant, space=job.body["space"])

    # --- the job that follows an application

    async def follow(self, job: Job) -> datetime | None:
        """Bring a participant's entry into a space on; when to look again, None when there is nothing left to do.

        Raises: PeerError or Unproven when the authority cannot be asked now.
        """
        participant, space = job.participant, str(job.body["space"])
        one = await self._known(participant, space)
        if one is None or one.is_member:
            return None
        wallet = await self._wallet(participant)
        answer = await self.outbound.get(
            one.applications, {"Authorization": self._token(wallet, one.authority, None)}, max_bytes=_LIMITS.max_bytes
        )
        state = _state(_tree(answer, one.applications))
        if state in (*_WAITING, "SUSPENDED"):
            await self._note(participant, one, state, "")
            return self._later(job)
        if state == "REVOKED":
            await self._note(participant, one, state, "the authority has refused")
            return None
        return await self._credentials(participant, one, job)

    async def _credentials(self, participant: str, one: Joined, job: Job) -> datetime | None:
        """Ask for the membership, once; the participant is a member when it is here."""
        name = name_of(one.space)
        request = await self.requests.get(participant, name)
        if request is None:
            await self.requests.add(participant, Request(id=name, issuer=one.authority, types=one.types[:1]))
            self.wake()
        elif request.state is RequestState.REJECTED:
            await self._note(participant, one, "APPROVED", f"no credential: {request.error}")
            return None
        elif request.state is RequestState.ISSUED:
            # with the lists at hand from the start: no message waits for them
            await self.lists.get(one.participant_list)
            await self._note(participant, one, "ACTIVE", "")
            if self.entered is not None:
                await self.entered(participant, one.space)
            observe.info("space.joined", participant=participant, space=one.space)
            return None
        if one.state != "APPROVED":
            await self._note(participant, one, "APPROVED", "")
        return self.clock.now() + _SOON / 2

    def _later(self, job: Job) -> datetime:
        """Soon at first, then as patiently as the operator there."""
        now = self.clock.now()
        waited = now - datetime.fromisoformat(str(job.body["began"]))
        return now + min(max(waited / 4, _SOON), _LATEST)

    # --- from authorities

    async def notice(self, participant: str, body: bytes) -> None:
        """Take in a notice: what its subject has shown counts no longer, and the lists are looked up anew.

        Raises: NotFound for an unknown participant; Unauthenticated, the same for every cause; Overloaded when the cause may pass.
        """
        wallet = await self.wallets(participant)
        if wallet is None:
            raise NotFound("there is no such participant")
        now = self.clock.now()
        try:
            notice = notices.open_(_ascii(body), receiver=wallet.did, now=now)
            one = await self._known(participant, notice.space)
            if one is None or one.authority != notice.governance:
                words = f"`{notice.governance}` governs no space of this participant"
                raise Unproven(words, check="space", where=notice.governance)
            try:
                notices.prove(notice, await self.senders.resolver.resolve(notice.governance))
            except Unproven as fault:
                if fault.check not in LOOK_AGAIN:
                    raise
                notices.prove(notice, await self.senders.resolver.resolve(notice.governance, anew=True))
            await self.senders.use_up(participant, notice.token, now)
        except KontorError as fault:
            raise refusal(
                participant, fault, "send a notice of an authority whose space this participant has joined"
            ) from fault
        self.forget(notice.about)
        self.lists.forget(notice.governance)
        observe.info("space.notice", participant=participant, about=notice.about, state=notice.state, seq=notice.seq)
        found = await self.lists.get(one.participant_list)
        if found.version.seq < notice.seq:
            raise PeerAnswer("the list is older than the notice", answer_status=409, where=one.participants)
        # who has applied again hears of its former standing, and is told of the new one by whom it asks
        ours = found.participant(wallet.did)
        if notice.about == wallet.did and ours is not None and one.state not in (*_WAITING, "APPROVED"):
            # INVARIANT: how we stand is what the list says, which is newer than a notice that was long on its way
            await self._note(participant, one, ours.state.value, "")

    # --- what these stand on

    async def _wallet(self, participant: str) -> Wallet:
        wallet = await self.wallets(participant)
        if wallet is None:
            mend = "its id must be a `did:web` identifier"
            raise Conflict(f"participant `{participant}` has no wallet", where=participant, mend=mend)
        return wallet

    async def _about(self, url: str) -> About:
        """What the authority at `url`, or below it, says of itself."""
        base = url.rstrip("/")
        base = base if base.endswith("/authority") else f"{base}/authority"
        answer = await self.outbound.get(base, {"Accept": "application/json"}, max_bytes=_LIMITS.max_bytes)
        found = read_about(_tree(answer, base))
        if found is None:
            raise PeerMessage("there is no authority", where=base, mend="name the address that the alliance gave you")
        http = base.startswith("http://")
        try:
            document = dids.url_of(found.authority, unsafe_http=http, unsafe_local=self.unsafe_local)
        except Unproven as fault:
            raise PeerMessage(f"the authority's DID is none: {fault.words}", where=base) from fault
        for named in (document, found.applications, found.participants, found.issuers):
            if _origin(named) != _origin(base):
                raise PeerMessage(f"the authority names `{named}`, which is not at its own address", where=base)
        if not found.types:
            raise PeerMessage("the authority issues no credentials", where=base)
        return found

    def _token(self, wallet: Wallet, authority: str, nonce: str | None) -> str:
        now = self.clock.now()
        token = tokens.self_issued(
            wallet.token_key, sender=wallet.did, receiver=authority, now=now, jti=self.new_id(), nonce=nonce
        )
        return f"Bearer {token}"

    async def _post(self, url: str, body: Mapping[str, Any], authorization: str | None) -> Mapping[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
        return _tree(await self.outbound.post(url, json.dumps(body).encode(), headers, max_bytes=_LIMITS.max_bytes), url)

    async def _known(self, participant: str, space: str) -> Joined | None:
        kept = await self.store.document(participant, joined.KIND, space)
        return joined.from_body(space, kept.body, kept.version) if kept is not None else None

    async def _note(self, participant: str, one: Joined, state: str, error: str) -> None:
        if (one.state, one.error) != (state, error):
            await self._put(participant, replace(one, state=state, error=error))

    async def _put(self, participant: str, one: Joined) -> Joined:
        now = self.clock.now()
        document = Document(
            participant=participant, kind=joined.KIND, id=one.space, body=joined.to_body(one), created_at=now, updated_at=now
        )
        kept = await self.store.put_document(document, expect=one.version)
        self.changed(participant)
        return replace(one, version=kept.version)


def _tree(answer: Answer, where: str) -> Mapping[str, Any]:
    """The object in an answer of an authority."""
    if not answer.is_success:
        raise PeerAnswer(f"the authority answers {answer.status}{_detail(answer)}", answer_status=answer.status, where=where)
    try:
        tree = strict.scan(answer.body, _LIMITS)
    except (BadMessage, TooLarge) as fault:
        raise PeerMessage(f"the authority's answer cannot be read: {fault}", where=where) from fault
    if not isinstance(tree, dict):
        raise PeerMessage("the authority's answer is no object", where=where)
    return tree


def _detail(answer: Answer) -> str:
    try:
        tree = strict.scan(answer.body, _LIMITS)
    except (BadMessage, TooLarge):
        return ""
    said = tree.get("detail") if isinstance(tree, dict) else None
    return f": {said[:200]}" if isinstance(said, str) else ""


def _state(tree: Mapping[str, Any]) -> str:
    found = tree.get("state")
    return found if isinstance(found, str) and len(found) < 20 else "SUBMITTED"


def _waiting_as(tree: Mapping[str, Any]) -> str:
    """How the application stands at first: nobody is a member before it holds its credential."""
    found = _state(tree)
    return "APPROVED" if found == "ACTIVE" else found


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _ascii(body: bytes) -> str:
    try:
        return body.strip().decode("ascii")
    except UnicodeDecodeError as fault:
        raise Unproven("the notice is no token", check="form") from fault
