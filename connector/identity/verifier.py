"""Peers proven by what they hold: the port `Verifier` over self-issued tokens and presentations.

What lives here: `WalletVerifier`, which gathers (the sender's document, its presentations, what these rest on) and lets pure
functions decide, and `claims_of`, what policies get to see.
What does not: the decisions (`tokens.py`, `credentials.py`), and how we prove ourselves to others.
Source: DCP 1.0, sections 4.3.3 and 5.4.

To the outside every refusal is the same; the failed check goes to the log. A cause that may pass is 503, so that peers try again:
a 401 ends a negotiation with connectors of the Eclipse family.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connector import observe
from connector.errors import KontorError, Overloaded, PeerAnswer, Unauthenticated, Unproven
from connector.identity import credentials, messages, tokens
from connector.identity.credentials import Failure, Proven, Trust
from connector.identity.did import Document
from connector.identity.evidence import EvidenceSource, is_passing
from connector.identity.scopes import ALIASES, By, parse_all
from connector.identity.senders import LOOK_AGAIN, Senders
from connector.jose import SigningKey, Token
from connector.ports.clock import Clock
from connector.ports.identity import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How one of our participants proves others."""

    did: str
    key: SigningKey
    """Signs what we ask credential services with."""
    scopes: tuple[str, ...]
    """What every sender must hold, as the space spells it."""
    trust: Trust
    aliases: Mapping[str, By] = field(default_factory=lambda: ALIASES)


class WalletVerifier:
    """Verifies senders by their DID documents and their credentials."""

    def __init__(
        self,
        memberships: Mapping[str, Membership],
        *,
        evidence: EvidenceSource,
        senders: Senders,
        clock: Clock,
        new_id: Callable[[], str],
        keep: timedelta = timedelta(minutes=5),
        most_kept: int = 20_000,
        most_s: float = 20.0,
    ) -> None:
        self._memberships = memberships
        self._evidence = evidence
        self._senders = senders
        self._clock = clock
        self._new_id = new_id
        self._keep = keep
        self._most_kept = most_kept
        self._most_s = most_s
        self._kept: OrderedDict[tuple[str, str], tuple[datetime, Proven]] = OrderedDict()

    async def verify(self, participant: str, authorization: str | None) -> Caller:
        """The proven sender of a message to `participant`, with what its credentials attest.

        Raises: Unauthenticated, the same for every cause; Overloaded when the cause may pass and the peer should come again.
        """
        try:
            async with asyncio.timeout(self._most_s):
                proven = await self._proven(participant, authorization)
        except (Unproven, TimeoutError, KontorError) as fault:
            check = fault.check if isinstance(fault, Unproven) else "unreachable"
            words = fault.words if isinstance(fault, Unproven) else str(fault)
            observe.warning("identity.refused", participant=participant, check=check, words=words)
            if isinstance(fault, TimeoutError) or (isinstance(fault, KontorError) and _may_pass(fault)):
                raise Overloaded("the sender cannot be proven at the moment", mend="try again later") from fault
            mend = "send a token that this participant accepts"
            raise Unauthenticated("no valid token", where="Authorization", mend=mend) from fault
        return Caller(id=proven.holder, claims=claims_of(proven))

    def known(self, participant: str, holder: str) -> Mapping[str, Any]:
        """What is proven of `holder` already, without asking; nothing when that is over."""
        kept = self._kept.get((participant, holder))
        return claims_of(kept[1]) if kept is not None and self._clock.now() < kept[0] else {}

    def forget(self, holder: str | None = None) -> None:
        """Drops what is kept of `holder`, or of everybody, with all status lists: when something was withdrawn."""
        for key in [key for key in self._kept if holder is None or key[1] == holder]:
            del self._kept[key]
        self._evidence.forget_lists()

    async def _proven(self, participant: str, authorization: str | None) -> Proven:
        # 1. for whom
        membership = self._memberships.get(participant)
        if membership is None:
            raise Unproven("this participant takes no part in a space with wallets", check="participant")
        # 2. the sender
        found = await self._senders.prove(
            participant, authorization, receiver=membership.did, needs_token=True, must_declare=membership.trust.must_declare
        )
        sender, now = found.document.id, found.now
        # 3. what it holds: kept from the last message, or asked for
        kept = self._kept.get((participant, sender))
        if kept is not None and now < kept[0]:
            self._kept.move_to_end((participant, sender))
            return kept[1]
        proven = await self._ask(membership, found.document, found.token, now)
        until = min(now + self._keep, proven.valid_until or now + self._keep)
        self._kept[participant, sender] = (until, proven)
        while len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return proven

    async def _ask(self, membership: Membership, document: Document, token: Token, now: datetime) -> Proven:
        holder = document.id
        url = messages.query_address(document.endpoint("CredentialService"))
        ours = tokens.self_issued(
            membership.key,
            sender=membership.did,
            receiver=holder,
            now=now,
            jti=self._new_id(),
            token=str(token.claims["token"]),
        )
        headers = {"Authorization": f"Bearer {ours}", "Content-Type": "application/json", "Accept": "application/json"}
        body = json.dumps(messages.query(membership.scopes)).encode()
        answer = await self._evidence.outbound.post(url, body, headers, max_bytes=messages.ANSWER_LIMITS.max_bytes)
        if not answer.is_success:
            words = f"the credential service answers {answer.status}"
            raise PeerAnswer(words, answer_status=answer.status, where=url)
        asked = credentials.Asked(
            verifier=membership.did, holder=holder, scopes=parse_all(membership.scopes, membership.aliases)
        )
        opened = credentials.open_(messages.read_answer(answer.body), asked=asked, trust=membership.trust, now=now)
        found = credentials.prove(opened, await self._evidence.gather(opened))
        if isinstance(found, Failure) and found.check in LOOK_AGAIN:
            found = credentials.prove(opened, await self._evidence.gather(opened, anew=True))
        if isinstance(found, Failure):
            if found.is_passing:
                raise Overloaded(found.words, where=holder)
            raise Unproven(found.words, check=found.check, where=holder)
        for warning in found.warnings:
            observe.info("identity.warning", words=warning)
        return found


def claims_of(proven: Proven) -> dict[str, Any]:
    """What policies see: each claim as `Type.claim`, and as `claim` where all credentials that make it agree.

    `credentials` are the types that are held, `issuers` who attests them. Objects and lists of them are left out.
    """
    found: dict[str, Any] = {
        "credentials": sorted({type_ for one in proven.credentials for type_ in one.types}),
        "issuers": sorted({one.issuer for one in proven.credentials}),
    }
    short: dict[str, list[Any]] = {}
    for one in proven.credentials:
        for name, value in one.claims.items():
            if not _is_plain(value):
                continue
            for type_ in one.types:
                found.setdefault(f"{type_}.{name}", value)
            # INVARIANT: no short name reads as the whole name of a claim of another type
            if "." not in name:
                short.setdefault(name, []).append(value)
    for name, values in short.items():
        if all(value == values[0] for value in values):
            found.setdefault(name, values[0])
    return found


def _is_plain(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, str | int | float | bool) for one in values)


def _may_pass(fault: KontorError) -> bool:
    return is_passing(fault) or fault.status == 503
