"""Asking issuers for credentials: the worker that sends requests, looks how they stand, and renews before the end.

What lives here: `Renewal`. What does not: taking in what is delivered (`deliveries.py`).
Source: DCP 1.0, sections 6.3 (discovery), 6.4 (request), 6.7 (metadata), 6.8 (status), 6.9 (renewal).

Of several replicas one sends: whoever writes first that it is about to. A replica that dies then costs a minute.
INVARIANT: an issuer that hangs holds up the participant that asks it, and no other: each is tended by a task of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit

from connector import observe
from connector.errors import ConfigurationError, Conflict, KontorError, PeerAnswer, PeerMessage
from connector.identity import issuance
from connector.identity.holder import Wallet, Wallets, issued
from connector.identity.issuance import Offered
from connector.identity.requests import Request, Requests, RequestState
from connector.identity.resolver import Resolver
from connector.outbound.client import Answer, OutboundClient
from connector.ports.clock import Clock

_LEASE: Final = timedelta(minutes=1)
_ASK_AGAIN: Final = timedelta(minutes=10)
"""When to look how an accepted request stands, of which nothing was delivered."""
_FIRST_DELAY: Final = timedelta(seconds=2)
_MOST_DELAY: Final = timedelta(hours=1)
_MOST_AT_ONCE: Final = 64
"""Participants that are tended at once."""
_LOOK_EVERY: Final = timedelta(minutes=1)
"""Requests written by another replica, or by a command that missed us, are found this late at most."""


@dataclass(slots=True)
class Renewal:
    """Sends what is due, for all participants."""

    requests: Requests
    wallets: Wallets
    resolver: Resolver
    outbound: OutboundClient
    clock: Clock
    new_id: Callable[[], str]
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[str] = field(default_factory=set, repr=False)
    """Participants that are being tended."""

    async def run(self) -> None:
        """Sends for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.clock.wait_until(await self._begin(tasks), self.woken)

    async def once(self) -> datetime:
        """Send what is due now; when to look again."""
        async with asyncio.TaskGroup() as tasks:
            await self._begin(tasks)
        return (await self._due())[1]

    async def _begin(self, tasks: asyncio.TaskGroup) -> datetime:
        """Begin to send what is due now; when to look again."""
        due, again = await self._due()
        for participant, requests in due.items():
            if participant not in self._busy and len(self._busy) < _MOST_AT_ONCE:
                self._busy.add(participant)
                tasks.create_task(self._tend(participant, requests))
        return again

    async def _due(self) -> tuple[dict[str, list[Request]], datetime]:
        """What is due now by participant, and when something else will be."""
        now, due = self.clock.now(), dict[str, list[Request]]()
        again = now + _LOOK_EVERY
        for participant in await self.requests.participants():
            for request in await self.requests.all(participant):
                if request.next_at is not None and request.next_at <= now:
                    due.setdefault(participant, []).append(request)
                elif request.next_at is not None:
                    again = min(again, request.next_at)
        return due, again

    async def _tend(self, participant: str, requests: list[Request]) -> None:
        try:
            for request in requests:
                await self._tended(participant, request, self.clock.now())
        finally:
            self._busy.discard(participant)
            # what comes of it may be due before anybody looks again, and somebody may have found no room
            self.woken.set()

    async def _tended(self, participant: str, request: Request, now: datetime) -> Request:
        """The request after one try to bring it on."""
        try:
            # 1. it is ours for a minute
            mine = await self.requests.put(participant, replace(request, next_at=now + _LEASE))
        except Conflict:
            return replace(request, next_at=None)
        try:
            # 2. ask the issuer
            wallet = await self.wallets(participant)
            if wallet is None:
                raise ConfigurationError("the participant has no wallet", where=participant, mend="give it a DID as its id")
            after = await self._asked(wallet, mine, now)
        except KontorError as fault:
            self.resolver.forgive(request.issuer)
            delay = min(_FIRST_DELAY * 2 ** min(mine.tries, 20), _MOST_DELAY)
            after = replace(mine, tries=mine.tries + 1, next_at=now + delay, error=str(fault))
            observe.warning("identity.request_failed", participant=participant, request=request.id, cause=str(fault))
        # 3. how it stands; a delivery that came meanwhile has written it already
        try:
            return await self.requests.put(participant, after)
        except Conflict:
            return replace(after, next_at=None)

    async def _asked(self, wallet: Wallet, request: Request, now: datetime) -> Request:
        issuer = request.issuer
        document = await self.resolver.resolve(issuer)
        base = document.endpoint("IssuerService")
        if request.state is RequestState.RECEIVED and request.location:
            return await self._looked(wallet, request, base, now)
        offered = issuance.read_metadata((await self._get(wallet, f"{base}/metadata", issuer)).body, issuer)
        if request.offered and request.state is RequestState.ISSUED:
            named = {one.type for one in offered if one.id in request.offered}
            is_due = request.renew_at is not None and request.renew_at <= now
            if named.isdisjoint(request.types) and not is_due:
                # nothing that it asks for was offered
                return replace(request, offered=(), renew_at=None, next_at=request.renew_at, tries=0, error="")
        ids = [_chosen(offered, type_, request.profile, issuer).id for type_ in request.types]
        body = json.dumps(issuance.request(request.id, ids)).encode()
        url = f"{base}/credentials"
        answer = await self.outbound.post(url, body, {**self._headers(wallet, issuer), "Content-Type": "application/json"})
        if answer.status not in (200, 201, 202):
            words = f"the issuer answers {answer.status}"
            raise PeerAnswer(words, answer_status=answer.status, where=url)
        observe.info("identity.requested", participant=wallet.did, request=request.id, issuer=issuer)
        location = urljoin(f"{base}/", answer.headers.get("location", ""))
        # where it tells how the request stands must be the issuer's own, or our token goes astray
        is_theirs = urlsplit(location)[:2] == urlsplit(base)[:2] and location.rstrip("/") != base
        return replace(
            request,
            state=RequestState.RECEIVED,
            location=location if is_theirs else "",
            next_at=now + _ASK_AGAIN,
            offered=(),
            renew_at=None,
            tries=0,
            error="",
        )

    async def _looked(self, wallet: Wallet, request: Request, base: str, now: datetime) -> Request:
        """The request after a look how it stands at the issuer."""
        state = issuance.read_status((await self._get(wallet, request.location, request.issuer)).body)
        if state == "REJECTED":
            return replace(request, state=RequestState.REJECTED, next_at=None, error="rejected by the issuer")
        if state == "ISSUED":
            # it says that it has delivered, and nothing has come: ask anew
            words = "the issuer says it has delivered, and nothing came"
            return replace(request, state=RequestState.REQUESTED, location="", next_at=now + _FIRST_DELAY, error=words)
        return replace(request, next_at=now + _ASK_AGAIN)

    async def _get(self, wallet: Wallet, url: str, issuer: str) -> Answer:
        answer = await self.outbound.get(url, self._headers(wallet, issuer), max_bytes=issuance.LIMITS.max_bytes)
        if answer.status != 200:
            raise PeerAnswer(f"the issuer answers {answer.status}", answer_status=answer.status, where=url)
        return answer

    def _headers(self, wallet: Wallet, issuer: str) -> dict[str, str]:
        token = issued(wallet, issuer, wallet.grants, now=self.clock.now(), new_id=self.new_id)
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _chosen(offered: tuple[Offered, ...], type_: str, profile: str, issuer: str) -> Offered:
    """What the issuer lists for `type_`. Raises: PeerMessage when it lists none."""
    fitting = [one for one in offered if one.type == type_ and (not profile or profile in one.profiles)]
    if not fitting:
        known = ", ".join(sorted({one.type for one in offered})) or "nothing"
        words = f"`{issuer}` does not issue `{type_}`{f' as `{profile}`' if profile else ''}; it issues {known}"
        raise PeerMessage(words, where=issuer)
    return fitting[0]
