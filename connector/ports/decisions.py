"""What is kept of a decision: an entry of the journal's stream `decisions`, and what it takes to make the decision again.

The body of an entry is a JSON tree:

    question    catalog | negotiate | terms | offer | agree | transfer | ongoing | request | collect: what was asked
    role        ours: provider | consumer
    effect      permit | deny | void
    policy      digest of the policy's canonical form, `sha256:` and hexadecimal digits
    about       id of the offer or of the agreement whose policy it is
    process     our pid of the negotiation or transfer; absent where there is none
    peer, dataset
    inputs      SHA-256, hexadecimal, over `case` as canonical JSON: the same inputs have the same hash, whatever the policy
    case        the inputs themselves, as a case file spells a case (`policies/README.md`), with the effect as `expect`:
                {stage, given: {now, claims, agreed_at, duties, duty_mode, ledger}, request: {action, target, party, params}, expect}.
                `odrl.cases.read(entry.body["case"], where, policy=another)` asks another policy the same.
                Absent where the participant's `decision_inputs` does not keep it; its hash is there anyway
    grounds     what let the peer in: which anchors, which versions of which lists of participants, issuers and status; absent for
                peers that are known by a text of the settings, and where our own people ask (`collect`)
    because     [{code, where, operand}] of what failed; empty for a permit
    deferred    [{code, operand, until}] of what was left for later, or for the law
    valid_until first instant at which the effect can change by the clock; absent when none
    micros      how long the engine took, in microseconds; 0 where the same was asked again before the clock could change the answer
    count       of one catalogue request, so many offers under this policy came to this effect; absent where it was one
    offers      their ids, the first `MOST_NAMED`; `about`, `dataset`, `case`, `because` are those of the first of them

`terms`, `offer` and `agree` compare two policies, and some refusals follow from a fact (an agreement that has ended, terms that
cannot be read). The evaluator is not asked then, there is no `case`, and

    policy      is the digest of the rules of our own terms: what we offer, asked for, or had on the table
    against     is the digest of the rules of the other side's; absent where they cannot be read
    inputs      is the hash of both trees and what else was looked at; the trees are on the process
    because     is [{code, text}], code one of near | outside | unknown | differs | ended | gone | unreadable

Questions that nobody has acted on are no decisions and leave no entry: an operator's `visible` and `explain`, the ledger's "what
may I use". A catalogue whose offers have no access policy asks none.

Entries that were made and never written (`lost`) leave one entry in their place: {"lost": N}.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson

from connector.dsp.tables import Role
from connector.dsp.values import Value
from connector.odrl import explain
from connector.odrl.truth import Decision, DutyMode, Effect, LedgerView, Reason, Request, Usage, World
from connector.ports.identity import GROUNDS
from connector.ports.journal import canonical

STREAM: Final = "decisions"


class Question(StrEnum):
    """What was asked."""

    CATALOG = "catalog"
    NEGOTIATE = "negotiate"
    """Would the terms permit this peer the use, as far as it can be judged before there is an agreement."""
    TERMS = "terms"
    """Do the terms that a consumer asks for lie within ours."""
    OFFER = "offer"
    """Is a provider's offer what we asked for: asked by a consumer."""
    AGREE = "agree"
    """Is the agreement what was on the table, between these parties: asked by a consumer."""
    TRANSFER = "transfer"
    ONGOING = "ongoing"
    REQUEST = "request"
    COLLECT = "collect"
    """May our own people have what a provider gave us: asked by a consumer of itself."""


COMPARING: Final = frozenset({Question.TERMS, Question.OFFER, Question.AGREE})
"""What is answered by comparing policies."""
MOST_NAMED: Final = 100


class KeptInputs(StrEnum):
    """Of which decisions the inputs are kept beside their hash."""

    ALL = "all"
    REFUSALS = "refusals"
    NONE = "none"


class Subject(Value, frozen=True, kw_only=True):
    """What a decision was about."""

    participant: str
    question: Question
    role: Role
    about: str
    peer: str
    dataset: str
    process: str | None = None
    kept: KeptInputs = KeptInputs.ALL


class Made(Value, frozen=True, kw_only=True):
    """A decision with what it was made from."""

    subject: Subject
    policy: str
    request: Request
    world: World
    decision: Decision
    duty_mode: DutyMode
    micros: int
    offers: tuple[str, ...] = ()
    """Of a catalogue request: the offers that this was decided of, at most `MOST_NAMED`."""
    count: int = 1

    @property
    def at(self) -> datetime:
        """When it was made."""
        return self.world.now


class Again(Value, frozen=True):
    """A decision that was asked for again, of the same inputs but for the moment, before the clock could change it: it is the same
    one, and the engine was not asked."""

    made: Made
    at: datetime

    @property
    def subject(self) -> Subject:
        """As of the decision itself."""
        return self.made.subject


class Ruled(Value, frozen=True, kw_only=True):
    """A decision that follows from a comparison or a fact, and not from the evaluator."""

    subject: Subject
    at: datetime
    policy: str | None
    against: str | None
    inputs: Mapping[str, Any]
    """A JSON tree."""
    is_permitted: bool
    code: str
    reasons: tuple[str, ...]
    micros: int
    grounds: tuple[str, ...] = ()
    """What let the peer in."""


def grounds_in(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """What let a peer in of whom `claims` are known; empty for who is known by a text of the settings."""
    found = claims.get(GROUNDS)
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def written(made: Made | Again | Ruled) -> bytes:
    """The entry's body, as canonical JSON."""
    if isinstance(made, Ruled):
        return canonical(_ruled(made))
    known = _forms.get(id(made.subject))
    if isinstance(made, Again):
        form = known if known is not None and known.made is made.made else _remembered(made.made)
        return form.filled(made.at, 0)
    if known is not None and known.fits(made):
        return known.filled(made.at, made.micros)
    # of a subject that is asked about once there is nothing to remember: the form is made when it comes again
    _remembered(made)
    return canonical(_made(made))


def _remembered(made: Made) -> _Form:
    if len(_forms) >= _MOST_FORMS:
        _forms.clear()
    form = _forms[id(made.subject)] = _Form(made)
    return form


class _Form:
    """How decisions are written that differ in nothing but the moment, and how long they took: a request for data comes again and
    again."""

    __slots__ = ("_body", "_case", "_claims", "made")

    def __init__(self, made: Made) -> None:
        # what is compared by identity is kept here, so that nothing else gets its identity meanwhile
        self.made = made
        self._claims = canonical(made.world.claims)
        self._case: list[bytes] = []
        self._body: list[bytes] = []

    def fits(self, made: Made) -> bool:
        """Whether `made` differs in nothing else."""
        ours, world, theirs = self.made, self.made.world, made.world
        return (
            made.subject is ours.subject
            and made.decision is ours.decision
            and made.request is ours.request
            and made.policy == ours.policy
            and made.duty_mode is ours.duty_mode
            and made.count == ours.count == 1
            and theirs.ledger is world.ledger
            and theirs.duties is world.duties
            and theirs.agreed_at is world.agreed_at
            and canonical(theirs.claims) == self._claims
        )

    def filled(self, at: datetime, micros: int) -> bytes:
        """The body for what fits: a decision at another moment, for which the engine took `micros`."""
        if not self._body:
            case, body = _case(self.made), _made(self.made)
            case["given"]["now"] = body["inputs"] = body["micros"] = _BLANK
            if "case" in body:
                body["case"] = _with_effect(canonical(case), self.made)
            self._case, self._body = canonical(case).split(_BLANKED), canonical(body).split(_BLANKED)
        now = b'"%b"' % (_moment(at) or "").encode()
        inputs = b'"%b"' % hashlib.sha256(now.join(self._case)).hexdigest().encode()
        # in the order of their names: the moment within the case, where that is kept, the hash, the micros
        *shown, before, between, behind = self._body
        first = (shown[0], now) if shown else ()
        return b"".join((*first, before, inputs, between, b"%d" % micros, behind))


_BLANK: Final = f"to be filled in {secrets.token_hex(16)}"
"""Stands in a form where something differs; nobody else can write it."""
_BLANKED: Final = b'"%b"' % _BLANK.encode()
_MOST_FORMS: Final = 256
_forms: Final[dict[int, _Form]] = {}
"""By the identity of the subject."""


def _ruled(ruled: Ruled) -> dict[str, Any]:
    tree = _about(ruled.subject) | {
        "effect": (Effect.PERMIT if ruled.is_permitted else Effect.DENY).value,
        "policy": ruled.policy,
        "against": ruled.against,
        "inputs": hashlib.sha256(canonical(ruled.inputs)).hexdigest(),
        "grounds": list(ruled.grounds) or None,
        "because": [] if ruled.is_permitted else [{"code": ruled.code, "text": reason} for reason in ruled.reasons],
        "deferred": [],
        "micros": ruled.micros,
    }
    return {name: value for name, value in tree.items() if value is not None}


def _about(subject: Subject) -> dict[str, Any]:
    return {
        "question": subject.question.value,
        "role": subject.role.value,
        "about": subject.about,
        "process": subject.process,
        "peer": subject.peer,
        "dataset": subject.dataset,
    }


def _made(made: Made) -> dict[str, Any]:
    subject, decision = made.subject, made.decision
    effect, is_permit = decision.effect.value, decision.effect is Effect.PERMIT
    case = canonical(_case(made))
    tree = _about(subject) | {
        "effect": effect,
        "policy": made.policy,
        "inputs": hashlib.sha256(case).hexdigest(),
        "because": [] if is_permit else [_because(one) for one in explain.telling(decision)],
        "deferred": [
            {"code": one.code.value, "operand": one.operand, "until": one.until.value if one.until else None}
            for one in decision.deferred
        ],
        "micros": made.micros,
    }
    if subject.process is None:
        del tree["process"]
    if grounds := grounds_in(made.world.claims):
        tree["grounds"] = list(grounds)
    if decision.valid_until is not None:
        tree["valid_until"] = _moment(decision.valid_until)
    if made.count > 1:
        tree |= {"count": made.count, "offers": list(made.offers)}
    if subject.kept is KeptInputs.ALL or (subject.kept is KeptInputs.REFUSALS and not is_permit):
        tree["case"] = _with_effect(case, made)
    return tree


def _with_effect(case: bytes, made: Made) -> orjson.Fragment:
    """A case, spelled once for its hash, with what came of it: `expect` is the first of its names."""
    return orjson.Fragment(b'{"expect":"%b",%b' % (made.decision.effect.value.encode(), case[1:]))


def _because(reason: Reason) -> dict[str, str]:
    named = (("code", reason.code.value), ("where", reason.where), ("operand", reason.operand))
    return {name: text for name, text in named if text}


def _case(made: Made) -> dict[str, Any]:
    """The inputs of a decision, as a case file spells them, without what came of it."""
    world, request = made.world, made.request
    given: dict[str, Any] = {"now": _moment(world.now), "duty_mode": made.duty_mode.value}
    if world.claims:
        given["claims"] = dict(world.claims)
    if world.agreed_at is not None:
        given["agreed_at"] = _moment(world.agreed_at)
    if world.duties:
        given["duties"] = {key: state.value for key, state in world.duties.items()}
    if world.ledger is not None:
        given["ledger"] = _spelled(world.ledger)
    asked = {"action": request.action, "target": request.target, "party": request.party, "params": dict(request.params)}
    return {
        "stage": made.decision.stage.value,
        "given": given,
        "request": {name: value for name, value in asked.items() if value},
    }


_MOST_SPELLED: Final = 256
_ledgers: Final[dict[int, tuple[LedgerView, orjson.Fragment]]] = {}
"""What was spelled last, by what it was: terms that ask for nothing on record are told the same view with every request."""


def _spelled(view: LedgerView) -> orjson.Fragment:
    found = _ledgers.get(id(view))
    if found is None:
        if len(_ledgers) >= _MOST_SPELLED:
            _ledgers.clear()
        # the view is kept beside its text: no other one gets its identity meanwhile
        found = _ledgers[id(view)] = view, orjson.Fragment(canonical(_ledger(view)))
    return found[1]


def _ledger(view: LedgerView) -> dict[str, Any]:
    return {
        "usages": {key: _usage(usage) for key, usage in view.usages.items()},
        "total": _usage(view.total) if view.total is not None else {},
        "events": {
            name: {side: text for side, text in (("began", _moment(one.began)), ("ended", _moment(one.ended))) if text}
            for name, one in view.events.items()
        },
    }


def _usage(usage: Usage) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "count": usage.count,
        "metered_s": usage.metered / timedelta(seconds=1),
        "paid": {currency: str(amount) for currency, amount in usage.paid.items()},
        "first_used_at": _moment(usage.first_used_at),
        "last_used_at": _moment(usage.last_used_at),
        "triggered_at": _moment(usage.triggered_at),
        "running": [_moment(since) for since in usage.running],
    }
    return {name: value for name, value in tree.items() if value}


def _moment(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None
