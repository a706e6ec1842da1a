"""What peers have proven to our participants: kept a while, so that a message costs one check of a token; judged anew later.

What lives here: `Known`. What does not: asking a peer for presentations (`verifier.py`), judging (`credentials.py`).

Kept in memory, a presentation spares the question to its holder until the first of its ends, or `keep`; its credentials are judged
anew each `keep_judgement`: what was withdrawn passes no longer than that. They are sealed in the store, too: a decision that no
message of the peer sets off, such as a request for data long after the contract, or after a restart, or on another replica, judges
those again (dates, trust, keys, status lists) and never asks the peer.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector import observe, strict
from connector.errors import ConfigurationError, KontorError, Unproven
from connector.identity import credentials
from connector.identity.credentials import Asked, Failure, Proven, Trust
from connector.identity.evidence import EvidenceSource
from connector.identity.formats import Credential, read_credential
from connector.identity.senders import LOOK_AGAIN
from connector.ports.seal import Sealer
from connector.ports.store import Document, Store

KIND: Final = "proven"
_LIMITS: Final = strict.Limits(max_bytes=4 << 20, max_depth=4)
_Place = tuple[str, str, tuple[str, ...]]
"""Participant, holder, and the scopes that were asked for."""


@dataclass(slots=True)
class _Kept:
    proven: Proven
    shown_at: datetime
    shown_until: datetime
    """Until then the presentation counts."""
    judged_at: datetime
    judged_until: datetime
    """Until then the credentials need not be judged again."""

    # INVARIANT: a clock that is put back makes nothing last longer
    def is_shown(self, now: datetime) -> bool:
        return self.shown_at <= now < self.shown_until

    def is_judged(self, now: datetime) -> bool:
        return self.judged_at <= now < self.judged_until


def context_of(participant: str) -> str:
    """The context in the store of what is known of others: no participant has such a name, and nothing of its own changes."""
    return f"@{participant}"


class Known:
    """What is proven, by participant, holder and what was asked for."""

    def __init__(
        self,
        store: Store,
        seal: Sealer,
        evidence: EvidenceSource,
        *,
        keep: timedelta = timedelta(minutes=5),
        keep_judgement: timedelta = timedelta(minutes=1),
        most: int = 20_000,
    ) -> None:
        self._store = store
        self._seal = seal
        self._evidence = evidence
        self._keep = keep
        self._keep_judgement = keep_judgement
        self._most = most
        self._kept: OrderedDict[_Place, _Kept] = OrderedDict()

    def fresh(self, participant: str, asked: Asked, now: datetime) -> Proven | None:
        """What `asked.holder` has shown and was judged a moment ago, for the same scopes; None when more must be done."""
        place = _place(participant, asked)
        kept = self._kept.get(place)
        if kept is None or not kept.is_shown(now) or not kept.is_judged(now):
            return None
        self._kept.move_to_end(place)
        return kept.proven

    def is_shown(self, participant: str, asked: Asked, now: datetime) -> bool:
        """Whether what `asked.holder` has shown need not be asked for again, however it is judged now."""
        kept = self._kept.get(_place(participant, asked))
        return kept is not None and kept.is_shown(now)

    async def has_ever_proven(self, participant: str, asked: Asked) -> bool:
        """Whether `asked.holder` is no stranger: it has proven what is asked for some time, to this node or another one."""
        if _place(participant, asked) in self._kept:
            return True
        try:
            return await self._store.document(context_of(participant), KIND, _name(asked)) is not None
        except KontorError:
            return False

    async def put(self, participant: str, asked: Asked, proven: Proven, now: datetime) -> None:
        """Keep what was just proven, here and in the store. A store that is away costs the memory of it, not the proof."""
        shown = now, _first(now + self._keep, proven.valid_until)
        self._hold(participant, asked, proven, shown=shown, now=now)
        raws = [one.token.raw for one in proven.credentials if one.token is not None]
        try:
            if await self._raws(participant, asked) != raws:
                await self._write(participant, asked, raws, now)
        except KontorError as fault:
            observe.warning("identity.not_remembered", participant=participant, peer=asked.holder, cause=str(fault))

    async def still(self, participant: str, asked: Asked, trust: Trust, now: datetime) -> Proven | Failure | None:
        """What `asked.holder` has proven before, as far as it holds now, or why it does not; None when it never proved anything.

        Raises: StoreUnavailable.
        """
        place = _place(participant, asked)
        kept = self._kept.get(place)
        if kept is not None and kept.is_judged(now):
            self._kept.move_to_end(place)
            return kept.proven
        shown = kept.proven.credentials if kept is not None else await self._stored(participant, asked)
        opened = credentials.reopen(shown, asked=asked, trust=trust, now=now)
        found = credentials.prove(opened, await self._evidence.gather(opened))
        if isinstance(found, Failure) and found.check in LOOK_AGAIN:
            found = credentials.prove(opened, await self._evidence.gather(opened, anew=True))
        if isinstance(found, Failure):
            if not shown:
                return None
            observe.warning("identity.holds_no_longer", participant=participant, peer=asked.holder, words=found.words)
            if kept is not None:
                # nor does it spare the next message the question
                kept.shown_until = kept.judged_until = min(kept.shown_until, now)
            return found
        before = (kept.shown_at, kept.shown_until) if kept is not None else (now, now)
        self._hold(participant, asked, found, shown=before, now=now)
        return found

    def forget(self, holder: str | None = None) -> None:
        """Judge again what is kept of `holder`, or of everybody, before it counts: something was withdrawn."""
        for place, kept in self._kept.items():
            if holder is None or place[1] == holder:
                kept.shown_until = kept.judged_until = datetime.min.replace(tzinfo=kept.shown_until.tzinfo)

    def _hold(self, participant: str, asked: Asked, proven: Proven, *, shown: tuple[datetime, datetime], now: datetime) -> None:
        """Keep what was judged now, and was shown at the first moment of `shown`, until its second."""
        place = _place(participant, asked)
        judged_until = _first(now + self._keep_judgement, proven.valid_until)
        shown_at, shown_until = shown
        self._kept[place] = _Kept(
            proven=proven, shown_at=shown_at, shown_until=shown_until, judged_at=now, judged_until=judged_until
        )
        self._kept.move_to_end(place)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    async def _stored(self, participant: str, asked: Asked) -> tuple[Credential, ...]:
        found: list[Credential] = []
        for raw in await self._raws(participant, asked):
            try:
                found.append(read_credential(raw))
            except Unproven as fault:
                observe.warning("identity.not_read", participant=participant, peer=asked.holder, words=fault.words)
        return tuple(found)

    async def _raws(self, participant: str, asked: Asked) -> list[str]:
        name = _name(asked)
        kept = await self._store.document(context_of(participant), KIND, name)
        if kept is None:
            return []
        try:
            text = self._seal.unseal(participant, f"{KIND}/{name}", str(kept.body["sealed"]))
        except ConfigurationError as fault:
            observe.error("identity.not_remembered", participant=participant, peer=asked.holder, cause=str(fault))
            return []
        return [str(raw) for raw in strict.scan(text.encode(), _LIMITS)]

    async def _write(self, participant: str, asked: Asked, raws: list[str], now: datetime) -> None:
        name = _name(asked)
        body = {"sealed": self._seal.seal(participant, f"{KIND}/{name}", json.dumps(raws))}
        context = context_of(participant)
        await self._store.put_document(
            Document(participant=context, kind=KIND, id=name, body=body, created_at=now, updated_at=now)
        )


def _place(participant: str, asked: Asked) -> _Place:
    return participant, asked.holder, tuple(one.text for one in asked.scopes)


def _name(asked: Asked) -> str:
    """The name in the store of what `asked.holder` has shown for these scopes."""
    texts = "\n".join(one.text for one in asked.scopes)
    return f"{asked.holder} {hashlib.sha256(texts.encode()).hexdigest()[:16]}"


def _first(moment: datetime, end: datetime | None) -> datetime:
    return moment if end is None else min(moment, end)
