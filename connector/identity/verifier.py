"""Peers proven by what they hold: the port `Verifier` over self-issued tokens and presentations.

What lives here: `WalletVerifier`, which gathers (the sender's document, its presentations, what these rest on) and lets pure
functions decide.
What does not: the decisions (`tokens.py`, `credentials.py`), and how we prove ourselves to others.
Source: DCP 1.0, sections 4.3.3 and 5.4.

To the outside every refusal is the same; the failed check goes to the log. A cause that may pass is 503, so that peers try again:
a 401 ends a negotiation with connectors of the Eclipse family.

INVARIANT: wallets that answer slowly, however many a stranger has, hold up nobody else: so many are waited for at once (`places.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from connector import observe
from connector.errors import KontorError, Overloaded, PeerAnswer, Unproven, Unreachable
from connector.identity import credentials, messages, tokens
from connector.identity.admission import Spaces
from connector.identity.credentials import Asked, Failure, Proven, Trust
from connector.identity.did import Document
from connector.identity.evidence import EvidenceSource
from connector.identity.known import Known
from connector.identity.places import PlaceRules, Places
from connector.identity.remote import Remote
from connector.identity.scopes import ALIASES, By, parse_all
from connector.identity.senders import LOOK_AGAIN, Senders, refusal
from connector.identity.trustlists import Standing
from connector.jose import SigningKey, Token
from connector.outbound.client import Answer
from connector.ports.clock import Clock
from connector.ports.identity import STANDING, UNKNOWN, Caller, MessageKind

_WITHDRAWN: Final = {"revocation": Standing.REVOKED.value, "suspension": Standing.SUSPENDED.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How one of our participants proves others."""

    did: str
    key: SigningKey | Remote
    """Signs what we ask credential services with: a key of ours, or the wallet that somebody else runs for it."""
    scopes: tuple[str, ...]
    """What every sender must hold, as the space spells it."""
    by_kind: Mapping[MessageKind, tuple[str, ...]] = field(default_factory=dict)
    """What the sender of a kind of message must hold instead."""
    trust: Trust
    aliases: Mapping[str, By] = field(default_factory=lambda: ALIASES)
    spaces: Spaces = field(default_factory=Spaces)
    """The data spaces that it takes part in, besides what `trust` says of itself."""

    def asked(self, holder: str, kind: MessageKind) -> Asked:
        """What `holder` is asked for with a message of `kind`."""
        return self._asked(holder, self.by_kind.get(kind, self.scopes))

    def all_asked(self, holder: str) -> tuple[Asked, ...]:
        """What `holder` is asked for with one message or another, each once."""
        sets = dict.fromkeys(self.by_kind.get(kind, self.scopes) for kind in MessageKind)
        return tuple(self._asked(holder, scopes) for scopes in sets)

    def _asked(self, holder: str, texts: tuple[str, ...]) -> Asked:
        scopes = parse_all(texts, self.aliases)
        return Asked(verifier=self.did, holder=holder, scopes=scopes, instead=self.spaces.instead(scopes))


Memberships = Callable[[str], Awaitable[Membership | None]]
"""How a participant of this node proves others; None for who takes no part."""


class WalletVerifier:
    """Verifies senders by their DID documents and their credentials."""

    def __init__(
        self,
        memberships: Memberships,
        *,
        evidence: EvidenceSource,
        senders: Senders,
        known: Known,
        clock: Clock,
        new_id: Callable[[], str],
        most_s: float = 20.0,
        places: PlaceRules | None = None,
    ) -> None:
        """`most_s` is the longest time for one proof; `places` says how many wallets are waited for at once."""
        self._memberships = memberships
        self._evidence = evidence
        self._senders = senders
        self._known = known
        self._clock = clock
        self._new_id = new_id
        self._most_s = most_s
        self._place_rules = places or PlaceRules()
        self._places = Places()

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        """The proven sender of a message of `kind` to `participant`, with what its credentials attest.

        Raises: Unauthenticated, the same for every cause; Overloaded when the cause may pass and the peer should come again.
        """
        try:
            async with asyncio.timeout(self._most_s):
                proven, claims = await self._proven(participant, authorization, kind)
        except (Unproven, TimeoutError, KontorError) as fault:
            raise refusal(participant, fault, "send a token that this participant accepts") from fault
        return Caller(id=proven.holder, claims=claims)

    async def known(self, participant: str, holder: str) -> Mapping[str, Any]:
        """What `holder` has proven to `participant` before, as far as it still holds, and how it stands in their spaces.

        Its standing is `UNKNOWN` when that cannot be told at the moment, and no longer ACTIVE when what it proved was withdrawn.
        """
        try:
            async with asyncio.timeout(self._most_s):
                membership = await self._memberships(participant)
                if membership is None:
                    return {}
                now = self._clock.now()
                trust = await membership.spaces.trust(membership.trust, now)
                sets = membership.all_asked(holder)
                found = [(one, await self._known.still(participant, one, trust, now)) for one in sets]
                # INVARIANT: what was withdrawn of one proof is not made good by another
                fallen = next((state for _, one in found if (state := _fallen(one))), {})
                holding = [(one, proven) for one, proven in found if isinstance(proven, Proven)]
                if holding and not fallen:
                    with contextlib.suppress(Unproven):
                        asked, proven = _joint(holding)
                        return await membership.spaces.worth(membership.trust, proven, asked, now)
                # what a space's list says is newer than a credential that was shown some day
                return {**fallen, **await membership.spaces.standing(holder)}
        except (TimeoutError, KontorError) as fault:
            cause = fault.words if isinstance(fault, Unproven) else str(fault) or "it took too long"
            observe.warning("identity.unknown", participant=participant, peer=holder, cause=cause)
            # INVARIANT: who cannot be looked up is not taken for somebody in good standing
            return {STANDING: UNKNOWN}

    def forget(self, holder: str | None = None) -> None:
        """Drops what is kept of `holder`, or of everybody, with all status lists: when something was withdrawn."""
        self._known.forget(holder)
        self._evidence.forget_lists()

    async def _proven(self, participant: str, authorization: str | None, kind: MessageKind) -> tuple[Proven, Mapping[str, Any]]:
        # 1. for whom
        membership = await self._memberships(participant)
        if membership is None:
            raise Unproven("this participant takes no part in a space with wallets", check="participant")
        # 2. the sender
        found = await self._senders.prove(
            participant, authorization, receiver=membership.did, needs_token=True, must_declare=membership.trust.must_declare
        )
        sender, now = found.document.id, found.now
        # 3. what it holds: kept from the last message, or asked for
        asked = membership.asked(sender, kind)
        proven = self._known.fresh(participant, asked, now)
        if proven is None and self._known.is_shown(participant, asked, now):
            again = await self._known.still(participant, asked, await membership.spaces.trust(membership.trust, now), now)
            proven = again if isinstance(again, Proven) else None
        if proven is None:
            is_known = await self._known.has_ever_proven(participant, asked)
            proven = await self._ask(membership, asked, found.document, found.token, now, is_known=is_known)
            await self._known.put(participant, asked, proven, now)
        # 4. what that is worth in our spaces, as their lists stand now
        return proven, await membership.spaces.worth(membership.trust, proven, asked, now)

    async def _ask(
        self, membership: Membership, asked: Asked, document: Document, token: Token, now: datetime, *, is_known: bool
    ) -> Proven:
        holder = document.id
        url = messages.query_address(document.endpoint("CredentialService"))
        theirs = str(token.claims["token"])
        if isinstance(membership.key, Remote):
            ours = await membership.key.issue(holder, token=theirs)
        else:
            ours = tokens.self_issued(
                membership.key, sender=membership.did, receiver=holder, now=now, jti=self._new_id(), token=theirs
            )
        headers = {"Authorization": f"Bearer {ours}", "Content-Type": "application/json", "Accept": "application/json"}
        besides = [one.text for ways in asked.instead.values() for one in ways]
        body = json.dumps(messages.query([*(one.text for one in asked.scopes), *besides])).encode()
        answer = await self._answered(holder, url, body, headers, is_known=is_known)
        if not answer.is_success:
            # why, as it says itself: for our log alone, where the operators of both sides look for the cause
            said = answer.body[:300].decode("utf-8", "replace")
            shown = "".join(one if one.isprintable() else " " for one in said)
            words = f"the credential service answers {answer.status}: {shown}"
            raise PeerAnswer(words, answer_status=answer.status, where=url)
        trust = await membership.spaces.trust(membership.trust, now)
        opened = credentials.open_(messages.read_answer(answer.body), asked=asked, trust=trust, now=now)
        found = credentials.prove(opened, await self._evidence.gather(opened))
        if isinstance(found, Failure) and found.check in LOOK_AGAIN:
            found = credentials.prove(opened, await self._evidence.gather(opened, anew=True))
        if isinstance(found, Failure):
            if found.is_passing:
                raise Overloaded(found.words, where=holder)
            raise Unproven(found.words, check=found.check, where=holder)
        for warning in found.warnings:
            observe.info("identity.warning", words=warning)
        self._evidence.resolver.acquaint(holder, *(one.issuer for one in found.credentials))
        return found

    async def _answered(self, holder: str, url: str, body: bytes, headers: Mapping[str, str], *, is_known: bool) -> Answer:
        """What the wallet of `holder` answers. Raises: Overloaded, Unreachable; as `OutboundClient.post`."""
        outbound = self._evidence.outbound
        place = self._places.take(holder, outbound.vet(url).host, self._place_rules, is_known=is_known)
        try:
            async with asyncio.timeout(self._most_s) as place.end:
                return await outbound.post(url, body, headers, max_bytes=messages.ANSWER_LIMITS.max_bytes)
        except TimeoutError as fault:
            raise Unreachable("the credential service did not answer in time", where=url) from fault
        finally:
            self._places.leave(place)


def _joint(holding: list[tuple[Asked, Proven]]) -> tuple[Asked, Proven]:
    """What a peer has proven with its messages of all kinds, as one."""
    first, proven = holding[0]
    if len(holding) == 1:
        return first, proven
    held = {one.token.raw if one.token is not None else one.id: one for _, two in holding for one in two.credentials}
    ends = [two.valid_until for _, two in holding if two.valid_until is not None]
    asked = replace(
        first,
        scopes=tuple({scope.text: scope for one, _ in holding for scope in one.scopes}.values()),
        instead={text: ways for one, _ in holding for text, ways in one.instead.items()},
    )
    grounds = dict.fromkeys(ground for _, two in holding for ground in two.grounds)
    return asked, replace(proven, credentials=tuple(held.values()), valid_until=min(ends, default=None), grounds=tuple(grounds))


def _fallen(found: Failure | Proven | None) -> dict[str, str]:
    """How a peer stands whose proof holds no longer; nothing where that says nothing of it, as when a credential is over."""
    if not isinstance(found, Failure):
        return {}
    state = UNKNOWN if found.is_passing else _WITHDRAWN.get(found.check)
    return {STANDING: state} if state is not None else {}
