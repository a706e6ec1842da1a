"""Whether what a holder presents proves what was asked for: the whole check, as functions over values.

What lives here: `open_` (everything that can be judged without a key, and what must be fetched to judge the rest), `prove` (the
rest), `verify`, which is both, and `reopen` for what was shown earlier. Pure: the current time, documents and lists are arguments.
What does not: fetching (`verifier.py`), reading the formats (`formats.py`, `status.py`), and what the claims are worth to policies.

The eight steps of DCP 1.0, section 5.4.3.1, and where they are taken; any failure makes the whole presentation void:
 1. what was asked for is there             `prove`, at the end, over all presentations that hold
 2. the holder signed the presentation      `_prove_presentation`
 3. with a key for authentication           the same
 4. each credential names its issuer's key  `_judge`, by the DID in `kid`
 5. and that key, for assertions, signed it `_prove_credential`
 6. no status list withdraws it             `_prove_status`
 7. all dates are met                       `_judge`, and `TokenVerifier.open`
 8. the schemas it names are met            `_prove_credential`
Holder binding: the presentation's holder is the proven sender of the message, and so is each credential's subject. Besides: the
issuer is one that we believe, for every type that the credential has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from connector import strict
from connector.errors import Unproven
from connector.identity import formats, profiles, status
from connector.identity.did import Document, Relationship
from connector.identity.formats import Credential, Presentation, StatusEntry
from connector.identity.scopes import Scope
from connector.jose import PublicKey, Token, TokenVerifier

SchemaCheck = Callable[[Mapping[str, Any]], str | None]
"""What a JSON Schema finds wrong with a credential; None when it fits."""

_LEEWAY: Final = timedelta(seconds=5)
_MOST_PRESENTATIONS: Final = 16
_WITHDRAWS: Final = ("revocation", "suspension")
_INFORMS: Final = ("refresh", "message")
_UNREACHABLE: Final = "unreachable"
_Found = TypeVar("_Found")
_Rests = tuple[list[datetime], list[str]]
"""The ends of what something rests on, and the versions of the lists that it rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked whom for what."""

    verifier: str
    """Our DID."""
    holder: str
    """The proven sender of the message."""
    scopes: tuple[Scope, ...]
    instead: Mapping[str, tuple[Scope, ...]] = field(default_factory=dict)
    """By the text of a scope, others that do as well: what a space recognises under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom we believe, and what."""

    issuers: Mapping[str, frozenset[str]]
    """The types of credential that each issuer is believed for; `*` stands for every type."""
    unsigned_lists: frozenset[str] = frozenset()
    """Issuers whose status lists count without a signature, as those that connectors of the Eclipse family need."""
    must_declare: bool = False
    """Whether DID documents that declare no verification relationship are refused."""

    def believes(self, issuer: str, type_: str) -> bool:
        """Whether `issuer` may attest `type_`."""
        types = self.issuers.get(issuer, frozenset())
        return type_ in types or "*" in types


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Why something could not be fetched."""

    words: str
    is_passing: bool = True
    """Whether trying again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was fetched, by DID or address."""

    documents: Mapping[str, Document | Missing]
    lists: Mapping[str, bytes | Missing] = field(default_factory=dict)
    schemas: Mapping[str, SchemaCheck | Missing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The check that failed, for our own log; a stranger learns nothing of it."""

    check: str
    words: str
    is_passing: bool = False
    """Whether the cause may be over soon: then the peer should try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What may hold, and what must be known to say so."""

    asked: Asked
    trust: Trust
    now: datetime
    presentations: tuple[Presentation, ...]
    refused: tuple[Failure, ...]
    documents: frozenset[str]
    """DIDs of the holder and of believed issuers; nobody else's document needs to be looked at."""
    lists: frozenset[str]
    schemas: frozenset[str]
    shown_before: tuple[Credential, ...] = ()
    """Credentials of a presentation that was proven earlier, to be judged by themselves now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What is proven of the holder."""

    holder: str
    credentials: tuple[Credential, ...]
    valid_until: datetime | None
    """When the first of the credentials, or of the lists that spared them, ends; None for never."""
    warnings: tuple[str, ...] = ()
    refused: tuple[Failure, ...] = ()
    """Presentations that failed beside those that hold."""
    grounds: tuple[str, ...] = ()
    """The status lists that spared the credentials, each with its version: for the record of decisions."""


def verify(items: Sequence[object], *, asked: Asked, trust: Trust, evidence: Evidence, now: datetime) -> Proven | Failure:
    """What the presentations in `items` prove, or the exact check that failed."""
    return prove(open_(items, asked=asked, trust=trust, now=now), evidence)


def open_(items: Sequence[object], *, asked: Asked, trust: Trust, now: datetime) -> Opened:
    """The presentations that pass every check that needs no key; those that do not are out, and nothing is fetched for them."""
    presentations: list[Presentation] = []
    refused: list[Failure] = []
    for item in items[:_MOST_PRESENTATIONS]:
        try:
            found = formats.read_presentation(item, verifier=asked.verifier, holder=asked.holder, now=now)
            for credential in found.credentials:
                _judge(credential, asked, trust, now)
            presentations.append(found)
        except Unproven as fault:
            refused.append(Failure(check=fault.check, words=fault.words))
    if len(items) > _MOST_PRESENTATIONS:
        refused.append(Failure(check="size", words=f"only the first {_MOST_PRESENTATIONS} presentations are read"))
    credentials = [credential for one in presentations for credential in one.credentials]
    return Opened(
        asked=asked,
        trust=trust,
        now=now,
        presentations=tuple(presentations),
        refused=tuple(refused),
        documents=frozenset({asked.holder, *(one.issuer for one in credentials)} if presentations else ()),
        lists=_lists(credentials),
        schemas=_schemas(credentials),
    )


def reopen(shown: Sequence[Credential], *, asked: Asked, trust: Trust, now: datetime) -> Opened:
    """Credentials that the holder has shown in a presentation before, to be judged anew: dates, trust, signatures, status.

    What it proves is what the holder had proven then, as far as it still holds; who sends a message is proven by its token alone.
    """
    good: list[Credential] = []
    refused: list[Failure] = []
    for credential in shown:
        try:
            _judge(credential, asked, trust, now)
            good.append(credential)
        except Unproven as fault:
            refused.append(Failure(check=fault.check, words=fault.words))
    return Opened(
        asked=asked,
        trust=trust,
        now=now,
        presentations=(),
        refused=tuple(refused),
        documents=frozenset(one.issuer for one in good),
        lists=_lists(good),
        schemas=_schemas(good),
        shown_before=tuple(good),
    )


def _lists(credentials: Sequence[Credential]) -> frozenset[str]:
    return frozenset(entry.list_url for one in credentials for entry in one.status if entry.purpose in _WITHDRAWS)


def _schemas(credentials: Sequence[Credential]) -> frozenset[str]:
    return frozenset(url for one in credentials for url in one.schemas)


def lists_to_fetch(opened: Opened, documents: Mapping[str, Document | Missing]) -> frozenset[str]:
    """The lists of `opened`, without those that only credentials name which nobody has signed.

    INVARIANT: a stranger has us fetch nothing by writing an address, and an issuer's name, into a credential of its own making.
    """
    evidence = Evidence(documents=documents)
    signed: list[Credential] = []
    for presentation in opened.presentations:
        if _is_signed(profiles.PRESENTATION, presentation.token, presentation.holder, opened, evidence):
            signed += presentation.credentials
    signed = [
        one
        for one in (*signed, *opened.shown_before)
        if one.token is not None and _is_signed(profiles.CREDENTIAL, one.token, one.issuer, opened, evidence)
    ]
    named = [*opened.shown_before, *(one for presentation in opened.presentations for one in presentation.credentials)]
    return opened.lists - (_lists(named) - _lists(signed))


def _is_signed(verifier: TokenVerifier, token: Token, did: str, opened: Opened, evidence: Evidence) -> bool:
    use = Relationship.AUTHENTICATION if verifier is profiles.PRESENTATION else Relationship.ASSERTION
    try:
        _prove(verifier, token, _document(did, evidence), use, opened.trust)
    except Unproven:
        return False
    return True


def prove(opened: Opened, evidence: Evidence) -> Proven | Failure:
    """What is proven by the presentations that were opened, once everything they need is known.

    Source: DCP 1.0, section 5.4.3.1.
    """
    refused = list(opened.refused)
    held: list[Credential] = []
    ends: list[datetime] = []
    grounds: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for presentation in opened.presentations:
        try:
            found, spared = _prove_presentation(presentation, opened, evidence)
        except Unproven as fault:
            refused.append(Failure(check=fault.check, words=fault.words, is_passing=fault.check == _UNREACHABLE))
            continue
        held += presentation.credentials
        ends += found
        grounds |= dict.fromkeys(spared)
        for did in (presentation.holder, *(one.issuer for one in presentation.credentials)):
            warnings |= dict.fromkeys(_document(did, evidence).warnings)
    for credential in opened.shown_before:
        try:
            found, spared = _prove_credential(credential, opened, evidence)
            ends += found
            grounds |= dict.fromkeys(spared)
            held.append(credential)
        except Unproven as fault:
            refused.append(Failure(check=fault.check, words=fault.words, is_passing=fault.check == _UNREACHABLE))
    # 1. what was asked for is there; nothing asked for would be proven by nothing
    asked = opened.asked
    lacking = [
        one.text
        for one in asked.scopes
        if not any(way.matches(held_.types, held_.id) for way in (one, *asked.instead.get(one.text, ())) for held_ in held)
    ]
    if lacking or not opened.asked.scopes:
        if refused:
            return next((one for one in refused if one.is_passing), refused[0])
        words = f"no credential was presented for {', '.join(lacking)}" if lacking else "nothing was asked for"
        return Failure(check="scope", words=words)
    return Proven(
        holder=opened.asked.holder,
        credentials=tuple(held),
        valid_until=min(ends, default=None),
        warnings=tuple(warnings),
        refused=tuple(refused),
        grounds=tuple(grounds),
    )


def _judge(credential: Credential, asked: Asked, trust: Trust, now: datetime) -> None:
    """Raises: Unproven when a credential cannot count, whatever its signature is worth."""
    issuer = credential.issuer
    # holder binding: the one subject is the sender of the message
    if credential.subject != asked.holder:
        raise _refused("subject", f"the credential is about {strict.shown(credential.subject)}, not about the holder")
    if not credential.types:
        raise _refused("type", "the credential has no type of its own")
    for type_ in credential.types:
        if not trust.believes(issuer, type_):
            raise _refused("trust", f"{strict.shown(issuer)} is not believed for {strict.shown(type_)}")
    # 4. the key belongs to the issuer that the credential names: equal as text, never as a pattern or a beginning
    key_id = credential.token.key_id if credential.token else None
    if key_id is not None and key_id.partition("#")[0] != issuer:
        raise _refused("issuer", f"the credential of {strict.shown(issuer)} names the key {strict.shown(key_id)}")
    # 7. all dates are met
    _judge_dates(credential, now, "credential")
    for entry in credential.status:
        if entry.purpose not in _WITHDRAWS + _INFORMS:
            raise _refused("status", f"the status purpose {strict.shown(entry.purpose)} is not known here")


def _prove_presentation(presentation: Presentation, opened: Opened, evidence: Evidence) -> _Rests:
    """The ends of everything that it rests on, and the lists that spared its credentials. Raises: Unproven."""
    # 2. the holder signed it, 3. with a key for authentication
    document = _document(presentation.holder, evidence)
    _prove(profiles.PRESENTATION, presentation.token, document, Relationship.AUTHENTICATION, opened.trust)
    found = [_prove_credential(one, opened, evidence) for one in presentation.credentials]
    return [end for ends, _ in found for end in ends], [ground for _, grounds in found for ground in grounds]


def _prove_credential(credential: Credential, opened: Opened, evidence: Evidence) -> _Rests:
    # 5. the issuer's key for assertions signed it
    if credential.token is None:
        raise _refused("signature", "the credential is not signed")
    document = _document(credential.issuer, evidence)
    _prove(profiles.CREDENTIAL, credential.token, document, Relationship.ASSERTION, opened.trust)
    ends, grounds = [credential.valid_until], []
    # 6. no status list withdraws it
    for entry in credential.status:
        if entry.purpose in _WITHDRAWS:
            end, version = _prove_status(credential, entry, opened, evidence)
            ends.append(end)
            grounds.append(f"status list {entry.list_url} sha256 {version}")
    # 8. the schemas it names are met
    for url in credential.schemas:
        check = _fetched(evidence.schemas, url)
        found = check(credential.tree)
        if found is not None:
            raise _refused("schema", f"the credential does not fit `{url}`: {found}")
    return [end for end in ends if end is not None], grounds


def _prove_status(
    credential: Credential, entry: StatusEntry, opened: Opened, evidence: Evidence
) -> tuple[datetime | None, str]:
    """The end and the version of the list that spares `credential`. Raises: Unproven when it does not, or proves nothing."""
    found = status.read(_fetched(evidence.lists, entry.list_url), entry)
    listed = found.credential
    if listed.issuer != credential.issuer:
        raise _refused("status-list", f"the list is of {strict.shown(listed.issuer)}, not of the credential's issuer")
    if listed.token is not None:
        document = _document(credential.issuer, evidence)
        if listed.token.key_id is not None and listed.token.key_id.partition("#")[0] != listed.issuer:
            raise _refused("status-list", f"the list names the key {strict.shown(listed.token.key_id)}")
        key = document.key(listed.token.key_id, Relationship.ASSERTION, must_declare=opened.trust.must_declare)
        if key not in found.proven_by:
            profiles.STATUS_LIST.prove(listed.token, key)
            found.proven_by.append(key)
    elif credential.issuer not in opened.trust.unsigned_lists:
        raise _refused("status-list", f"the list at `{entry.list_url}` is not signed")
    _judge_dates(listed, opened.now, "status list")
    if status.value(found.bits, entry.index, entry.size) != 0:
        raise _refused(entry.purpose, f"the credential's entry {entry.index} at `{entry.list_url}` is set")
    return listed.valid_until, found.digest


def _judge_dates(credential: Credential, now: datetime, name: str) -> None:
    if credential.valid_from is not None and credential.valid_from > now + _LEEWAY:
        raise _refused("not-before", f"the {name} begins at {credential.valid_from.isoformat()}")
    if credential.valid_until is not None and credential.valid_until <= now - _LEEWAY:
        raise _refused("expired", f"the {name} ended at {credential.valid_until.isoformat()}")


def _prove(verifier: TokenVerifier, token: Token, document: Document, relationship: Relationship, trust: Trust) -> None:
    key: PublicKey = document.key(token.key_id, relationship, must_declare=trust.must_declare)
    verifier.prove(token, key)


def _document(did: str, evidence: Evidence) -> Document:
    return _fetched(evidence.documents, did)


def _fetched(found: Mapping[str, _Found | Missing], name: str) -> _Found:
    one = found.get(name)
    if one is None or isinstance(one, Missing):
        words = f"`{name}` could not be fetched: {one.words if one else 'nobody tried'}"
        raise _refused(_UNREACHABLE if one is None or one.is_passing else "fetch", words)
    return one


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
