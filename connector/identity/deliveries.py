"""What issuers send to our participants: credentials that were asked for, and offers of them.

What lives here: `Deliveries`. What does not: asking (`requests.py`, `renewal.py`), and the form of the messages (`issuance.py`).
Source: DCP 1.0, sections 6.5 (storage) and 6.6 (offer).

Who sends is taken from the proven key alone. A credential is kept when it was asked for from that very issuer, is about the
participant itself, and would hold before a verifier; of a delivery in which one does not hold, none is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from connector import observe, strict
from connector.errors import BadMessage, Conflict, KontorError, NotFound, Overloaded, Unproven
from connector.identity import credentials, issuance, tokens
from connector.identity.credentials import Asked, Failure, Trust
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import Credential, read_credential
from connector.identity.held import Held
from connector.identity.holder import Wallet, Wallets
from connector.identity.issuance import Delivery, Offer
from connector.identity.requests import Request, Requests, RequestState
from connector.identity.scopes import By, Scope
from connector.identity.senders import LOOK_AGAIN, Sender, Senders, refusal
from connector.identity.verifier import Memberships

_SOON: Final = timedelta(seconds=0.2)
_MOST_OFFERED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Takes in what issuers send."""

    wallets: Wallets
    memberships: Memberships
    senders: Senders
    requests: Requests
    held: Held
    evidence: EvidenceSource
    wake: Callable[[], None]
    """Called when a request has something to do."""
    offered: Callable[[str, str], Awaitable[bool]]
    """Whether a participant waits to be taken in by who offers it something; it looks at once then."""
    renew_before: timedelta = timedelta(days=7)

    async def receive(self, participant: str, authorization: str | None, body: bytes) -> None:
        """Takes in a CredentialMessage.

        Raises: NotFound for an unknown participant, Unauthenticated, the same for every cause, BadMessage for a delivery that
        was not asked for or does not hold, Overloaded when what it must be judged by cannot be had at the moment.
        """
        wallet, sender = await self._proven(participant, authorization)
        delivery = issuance.read_delivery(body)
        request = await self.requests.get(participant, delivery.holder_pid)
        # a foreign request is no other than an unknown one
        if (
            request is not None
            and request.issuer == sender.document.id
            and await self._is_repeated(participant, request, delivery)
        ):
            return
        if request is None or request.issuer != sender.document.id or not request.is_open:
            self._tell(participant, sender, "solicited", f"nothing named {strict.shown(delivery.holder_pid)} was asked of it")
            raise BadMessage("this was not asked for", where="holderPid", mend="deliver what a request of ours asked for")
        if delivery.is_rejected:
            await self._settle(participant, request, RequestState.REJECTED, None, delivery.reason or "rejected by the issuer")
            observe.warning("identity.rejected", participant=participant, request=request.id, cause=delivery.reason)
            return
        found = await self._judged(participant, wallet, sender, request, delivery)
        for credential in found:
            await self.held.put(participant, credential)
        # 6.9: what it brought is asked for anew before the first of it ends
        next_at = min((end for one in found if (end := self._renewal(one, sender.now)) is not None), default=None)
        await self._settle(participant, request, RequestState.ISSUED, next_at if request.is_standing else None, "")
        observe.info("identity.delivered", participant=participant, request=request.id, credentials=len(found))

    async def _is_repeated(self, participant: str, request: Request, delivery: Delivery) -> bool:
        """Whether all of it is here already: its sender missed our first answer."""
        if request.state is not RequestState.ISSUED or delivery.is_rejected:
            return False
        known = {one.token.raw for one in (await self.held.all(participant)).values() if one.token is not None}
        return {one.raw for one in delivery.credentials} <= known

    async def offer(self, participant: str, authorization: str | None, body: bytes) -> None:
        """Takes note of a CredentialOfferMessage: standing requests to that issuer are sent anew, others are told to the log.

        What it names by ids alone is looked up in the issuer's metadata later: nobody waits for that here.

        Raises: as `receive`.
        """
        _, sender = await self._proven(participant, authorization)
        offer = issuance.read_offer(body)
        if offer.issuer != sender.document.id:
            self._tell(participant, sender, "issuer", f"the offer is of {strict.shown(offer.issuer)}")
            raise BadMessage("the offer is another's", where="issuer", mend="send your own offers")
        is_wanted = await self._anew(participant, offer, sender.now)
        if not await self.offered(participant, offer.issuer) and not is_wanted:
            types = [one.type or one.id for one in offer.credentials]
            mend = f"ask for it with `kontor credentials request --issuer {offer.issuer}`"
            observe.info("identity.offered", participant=participant, issuer=offer.issuer, credentials=types, mend=mend)

    async def _proven(self, participant: str, authorization: str | None) -> tuple[Wallet, Sender]:
        wallet = await self.wallets(participant)
        if wallet is None:
            raise NotFound("there is no such participant")
        try:
            sender = await self.senders.prove(participant, authorization, receiver=wallet.did, needs_token=False)
            echoed = sender.token.claims.get("token")
            if echoed is not None:
                # the issuer gives back the access token of our request (6.5.1): it must be ours, and have been given to it
                tokens.granted(
                    echoed,
                    key=wallet.access_keys,
                    holder=wallet.did,
                    verifier=sender.document.id,
                    now=sender.now,
                    aliases=wallet.aliases,
                )
        except KontorError as fault:
            raise refusal(participant, fault, "send a self-issued token for this participant") from fault
        return wallet, sender

    async def _judged(
        self, participant: str, wallet: Wallet, sender: Sender, request: Request, delivery: Delivery
    ) -> list[Credential]:
        """The credentials of the delivery, each of which would hold before a verifier. Raises: BadMessage."""
        found: list[Credential] = []
        try:
            for one in delivery.credentials:
                credential = read_credential(one.raw)
                if one.type not in request.types or one.type not in credential.types:
                    raise Unproven(f"{strict.shown(one.type)} was not asked for, or is not what was sent", check="type")
                if credential.issuer != sender.document.id:
                    raise Unproven(f"the credential is of {strict.shown(credential.issuer)}", check="issuer")
                if not credential.claims:
                    # a credential that says nothing is refused by connectors of the Eclipse family, with all beside it
                    raise Unproven("the credential says nothing of its subject", check="subject")
                found.append(credential)
            await self._hold(participant, wallet, found, sender)
        except Unproven as fault:
            self._tell(participant, sender, fault.check, fault.words)
            raise BadMessage(f"a credential does not hold: {fault.words}", where="credentials") from fault
        return found

    async def _hold(self, participant: str, wallet: Wallet, found: list[Credential], sender: Sender) -> None:
        """Returns when all of `found` would hold before a verifier that believes their issuer.

        Raises: Unproven; Overloaded when that cannot be told at the moment.
        """
        types = sorted({type_ for one in found for type_ in one.types})
        asked = Asked(
            verifier=wallet.did,
            holder=wallet.did,
            scopes=tuple(Scope(by=By.TYPE, value=type_, text=type_) for type_ in types),
        )
        membership = await self.memberships(participant)
        # whether we believe the issuer is for those to judge that we show it to; how its documents and lists count, is not
        trust = replace(membership.trust if membership else Trust(issuers={}), issuers={sender.document.id: frozenset(types)})
        opened = credentials.reopen(found, asked=asked, trust=trust, now=sender.now)
        proven = credentials.prove(opened, await self.evidence.gather(opened))
        if isinstance(proven, Failure) and proven.check in LOOK_AGAIN:
            proven = credentials.prove(opened, await self.evidence.gather(opened, anew=True))
        fault = proven if isinstance(proven, Failure) else proven.refused[0] if proven.refused else None
        if fault is not None and fault.is_passing:
            # an issuer takes a 400 for the end of the request
            self._tell(participant, sender, fault.check, fault.words)
            raise Overloaded("a credential cannot be judged at the moment", where="credentials", mend="deliver it again later")
        if fault is not None:
            raise Unproven(fault.words, check=fault.check)

    async def _settle(
        self, participant: str, request: Request, state: RequestState, next_at: datetime | None, error: str
    ) -> None:
        """Write how the request stands now; the worker may have touched it meanwhile."""

        def settled(found: Request) -> Request:
            return replace(found, state=state, next_at=next_at, offered=(), renew_at=None, tries=0, error=error)

        await self._changed(participant, request, settled)

    async def _changed(self, participant: str, request: Request, change: Callable[[Request], Request]) -> None:
        """Write `change` of a request, as it is by now."""
        for _ in range(3):
            try:
                await self.requests.put(participant, change(request))
            except Conflict:
                again = await self.requests.get(participant, request.id)
                if again is None:
                    return
                request = again
            else:
                return

    def _renewal(self, credential: Credential, now: datetime) -> datetime | None:
        """When to ask for it anew: so long before its end, and never sooner than after three quarters of what is left."""
        if credential.valid_until is None:
            return None
        return credential.valid_until - min(self.renew_before, (credential.valid_until - now) / 4)

    async def _anew(self, participant: str, offer: Offer, now: datetime) -> bool:
        """Whether a standing request wants what is offered; it is sent again then.

        Source: DCP 1.0, section 6.6.1: what an entry with an id alone stands for must be taken from the issuer's metadata.
        """
        types = {one.type for one in offer.credentials if one.type}
        bare = tuple(one.id for one in offer.credentials if not one.type)
        is_wanted = is_looked_up = False
        for request in await self.requests.all(participant):
            if not request.is_standing or request.issuer != offer.issuer:
                continue
            wants = not types.isdisjoint(request.types)
            is_wanted = is_wanted or wants
            if request.state is not RequestState.ISSUED:
                continue
            if wants:
                await self._settle(participant, request, RequestState.REQUESTED, now + _SOON, "")
            elif bare:
                await self._changed(participant, request, lambda found: _to_look_up(found, bare, now))
                is_looked_up = True
        if is_wanted or is_looked_up:
            self.wake()
        return is_wanted

    def _tell(self, participant: str, sender: Sender, check: str, words: str) -> None:
        observe.warning("identity.not_kept", participant=participant, peer=sender.document.id, check=check, words=words)


def _to_look_up(request: Request, ids: tuple[str, ...], now: datetime) -> Request:
    """`request`, for which what `ids` name is looked up soon."""
    known = tuple(dict.fromkeys((*request.offered, *ids)))[:_MOST_OFFERED]
    renew_at = request.renew_at if request.offered else request.next_at
    return replace(request, offered=known, renew_at=renew_at, next_at=now + _SOON)
