"""How the values of the store port become bytes and numbers, and the rules about them that hold in every adapter.

What lives here: JSON of processes, agreements and the small values beside them; moments as whole microseconds; cursors;
the checks of a `Change` before it is written. What does not: SQL, and keeping anything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from connector import tracing
from connector.dsp.negotiation import Agreement, Negotiation
from connector.dsp.process import Due, Outgoing, Process, Record
from connector.dsp.tables import Kind
from connector.dsp.transfer import Transfer
from connector.dsp.values import replace
from connector.errors import BadMessage, Conflict, InternalError
from connector.ports import ledger
from connector.ports.documents import MOST_BEHIND
from connector.ports.jobs import MOST_FAILURES, Failure, Job, NewJob
from connector.ports.journal import Entry
from connector.ports.ledger import Book, BookChange, Posting, PostingKind
from connector.ports.page import Page
from connector.ports.store import Attempt, Change, Decide, Filter, Key, Opening, PeerKey, Snapshot

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST_OPENINGS = 1000
PROBE_BYTES = 256 << 10
"""What is written to find out whether a store that refused something has room again."""

encode = msgspec.json.Encoder().encode
"""Any of the values below, or a JSON tree, as JSON."""
_NEGOTIATION = msgspec.json.Decoder(Negotiation)
_TRANSFER = msgspec.json.Decoder(Transfer)
_FAILURES = msgspec.json.Decoder(tuple[Failure, ...])
decode_agreement = msgspec.json.Decoder(Agreement).decode
decode_record = msgspec.json.Decoder(Record).decode
decode_records = msgspec.json.Decoder(tuple[Record, ...]).decode
decode_attempt = msgspec.json.Decoder(Attempt).decode
decode_outgoing = msgspec.json.Decoder(Outgoing).decode
decode_book = msgspec.json.Decoder(Book).decode
decode_due = msgspec.json.Decoder(Due).decode
decode_tree = msgspec.json.Decoder(dict[str, Any]).decode


def decode_process(kind: str, body: bytes) -> Process:
    """The process that `encode` wrote; `kind` is a `Kind` or its value."""
    if kind == Kind.NEGOTIATION:
        return _NEGOTIATION.decode(body)
    return _TRANSFER.decode(body)


class Openings:
    """Transfers with their agreements as they were last decoded: for the same bytes the same object, which nobody changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[bytes, bytes | None, Opening]] = {}

    def of(self, participant: str, pid: str, transfer: bytes, agreement: bytes | None) -> Opening:
        """What both bodies say."""
        known = self._known.get((participant, pid))
        if known is not None and known[0] == transfer and known[1] == agreement:
            return known[2]
        if len(self._known) >= _MOST_OPENINGS:
            self._known.clear()
        found = Opening(_TRANSFER.decode(transfer), decode_agreement(agreement) if agreement is not None else None)
        self._known[participant, pid] = transfer, agreement, found
        return found


# --- moments


def micros(moment: datetime) -> int:
    """`moment` as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """The moment that `micros` wrote."""
    return _EPOCH + value * _MICROSECOND


def moment(change: Change[Any], found: Process | None) -> datetime:
    """When `change` happens: the latest moment that it names, else the last one of the process."""
    process = change.process or found
    latest = process.updated_at if process is not None else _EPOCH
    for record in change.records:
        latest = max(latest, record.at)
    for attempt in change.attempts:
        latest = max(latest, attempt.at)
    return latest


# --- cursors


def cursor(last: str | int) -> str:
    """An opaque cursor behind the item with the key `last`."""
    return base64.urlsafe_b64encode(str(last).encode()).decode().rstrip("=")


def text_after(cursor_: str) -> str:
    """The key inside a cursor.

    Raises: BadMessage when it is none of ours.
    """
    try:
        return base64.b64decode(cursor_ + "=" * (-len(cursor_) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as fault:
        raise _foreign_cursor() from fault


def number_after(cursor_: str) -> int:
    """The number inside a cursor.

    Raises: BadMessage when it is none of ours.
    """
    text = text_after(cursor_)
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _foreign_cursor()
    return int(text)


def _foreign_cursor() -> BadMessage:
    return BadMessage("this is no cursor of this list", where="cursor", mend="pass `next_cursor` of the page before, unchanged")


# --- what every adapter checks and reads off


def agreement_id(process: Process) -> str | None:
    """The agreement that a process is about or led to."""
    return process.agreement_id if isinstance(process, Negotiation | Transfer) else None


def dataset(process: Process) -> str:
    """The dataset that a process is about."""
    return process.dataset if isinstance(process, Negotiation | Transfer) else ""


def traced(decide: Decide[Any]) -> Decide[Any]:
    """`decide`, so that a process with a new message keeps the trace in which this was called."""
    trace = tracing.headers().get("traceparent")
    if trace is None:
        return decide

    def inside(snapshot: Snapshot[Any]) -> Change[Any]:
        change = decide(snapshot)
        if change.process is None or not change.outgoing:
            return change
        return replace(change, process=replace(change.process, trace=trace))

    return inside


def checked(key: Key | PeerKey, found: Process | None, change: Change[Any]) -> None:
    """Nothing; a change that would write a process under another's key, or parts of a process that does not exist, is refused.

    Raises: InternalError: the decision function broke its promise; nothing is written.
    """
    process = change.process
    if process is None:
        if found is None and (
            change.outgoing or change.records or change.attempts or change.due or change.jobs or change.agreement is not None
        ):
            raise InternalError("a change without a process, where there is none", where=_name(key))
    elif found is not None:
        # INVARIANT: what identifies a process never changes
        if (process.pid, process.participant, process.role, process.peer, dataset(process)) != (
            found.pid,
            found.participant,
            found.role,
            found.peer,
            dataset(found),
        ):
            raise InternalError("a change that turns one process into another", where=_name(key))
    elif process.participant != key.participant or (
        process.pid != key.pid
        if isinstance(key, Key)
        else (process.role, process.peer, process.peer_pid) != (key.role, key.peer, key.peer_pid)
    ):
        raise InternalError("a new process that is not the one its key names", where=_name(key))
    if process is not None and not isinstance(process, Negotiation if key.kind is Kind.NEGOTIATION else Transfer):
        raise InternalError(f"a {key.kind} of another kind", where=_name(key))
    if change.agreement is not None and change.agreement.participant != key.participant:
        raise InternalError("an agreement of another context", where=_name(key))
    if any(job.participant != key.participant for job in change.jobs):
        raise InternalError("a job of another context", where=_name(key))


def _name(key: Key | PeerKey) -> str:
    return f"{key.participant}/{key.pid if isinstance(key, Key) else key.peer_pid}"


def same_origin(kept: Agreement, new: Agreement) -> None:
    """Nothing, when `new` is a version of `kept`.

    Raises: Conflict when it is another agreement with the same id: nobody overwrites what was agreed with someone else.
    """
    if (kept.peer, kept.role, kept.negotiation) != (new.peer, new.role, new.negotiation):
        raise agreement_exists(new.id)


def agreement_exists(id_: str) -> Conflict:
    return Conflict("there is another agreement with this id", where=id_, mend="agreements are imported once; ids are unique")


def pid_exists(pid: str) -> Conflict:
    return Conflict("there is another process with this pid", where=pid, mend="begin again with a new pid")


def message_exists(message_id: str) -> InternalError:
    return InternalError("a message with this id stands in the outbox already", where=message_id)


def version_differs(id_: str, expected: int, version: int) -> Conflict:
    if expected == 0:
        return Conflict("it exists already", where=id_, mend="choose another id, or change the one that is there")
    if version == 0:
        return Conflict("it does not exist any more", where=id_, mend="create it anew")
    return Conflict(
        f"it has version {version} by now, not {expected}", where=id_, mend="read it again and repeat your change on that"
    )


def fits_process(process: Process, filter_: Filter) -> bool:
    """True when `process` is one that `filter_` asks for."""
    return (
        (filter_.state is None or process.state is filter_.state)
        and (filter_.role is None or process.role is filter_.role)
        and (filter_.peer is None or process.peer == filter_.peer)
        and (filter_.dataset is None or dataset(process) == filter_.dataset)
        and (filter_.agreement_id is None or agreement_id(process) == filter_.agreement_id)
        and (filter_.is_held is None or (process.hold is not None) is filter_.is_held)
    )


def fits_agreement(agreement: Agreement, filter_: Filter) -> bool:
    """True when `agreement` is one that `filter_` asks for; agreements have no state and are never held."""
    return (
        filter_.state is None
        and not filter_.is_held
        and (filter_.role is None or agreement.role is filter_.role)
        and (filter_.peer is None or agreement.peer == filter_.peer)
        and (filter_.dataset is None or agreement.dataset == filter_.dataset)
        and (filter_.agreement_id is None or agreement.id == filter_.agreement_id)
    )


def tree(body: Mapping[str, Any]) -> bytes:
    """A document's body as JSON."""
    return encode(dict(body))


def ended(kind: Kind, rows: Sequence[tuple[int, bytes]], before: datetime, limit: int) -> tuple[tuple[Process, ...], int]:
    """What `Store.ended` gives back for rows of number and body, at most `limit`, in the order of their creation."""
    processes = [decode_process(kind, body) for _, body in rows]
    found = tuple(process for process in processes if process.created_at < before)
    # what was created later stands behind: when one is too young, so are all that follow
    return found, rows[-1][0] if len(rows) == limit and len(found) == limit else 0


# --- jobs and journal entries: the rows that SQL adapters select, in this order


def job_body(job: NewJob) -> bytes:
    """A job's body as JSON.

    Raises: BadMessage when it is none.
    """
    try:
        return tree(job.body)
    except (TypeError, ValueError) as fault:
        raise BadMessage(f"this cannot be the body of a job: {fault}", where=f"{job.kind} {job.id}") from fault


def failures(job: Job, failure: Failure) -> bytes:
    """The kept failures of `job` with another one, as JSON."""
    return encode((*job.failures, failure)[-MOST_FAILURES:])


def job_of(row: Any) -> Job:
    """The job in a row: number, participant, kind, id, order key, body, four counts and moments, failures, node, given up."""
    number, participant, kind, id_, order_key, body, created_at, not_before, tries, turn, failed, node, given_up_at = row
    return Job(
        number=number,
        participant=participant,
        kind=kind,
        id=id_,
        body=decode_tree(body),
        order_key=order_key,
        created_at=moment_of(created_at),
        not_before=moment_of(not_before),
        tries=tries,
        turn=turn,
        failures=_FAILURES.decode(failed),
        node=node,
        given_up_at=moment_of(given_up_at) if given_up_at is not None else None,
    )


def entry_of(participant: str, stream: str, row: Any) -> Entry:
    """The entry in a row: number, moment, digest before, digest, body."""
    number, at, previous, sha256, body = row
    return Entry(
        participant=participant,
        stream=stream,
        number=number,
        at=moment_of(at),
        body=decode_tree(body),
        previous=previous,
        sha256=sha256,
    )


# --- the usage ledger


def written(book: Book, key: str, change: BookChange) -> tuple[Book, bytes, bytes]:
    """The book after `change` with its posting counted in; it and the posting's facts as they are kept.

    Raises: InternalError for a change that does not say when it happened.
    """
    if change.book is None or change.at is None:
        raise InternalError("a posting without a book or a moment", where=key)
    facts = encode(dict(change.facts))
    after = replace(change.book, postings=book.postings + 1, evidence=ledger.evidence(book.evidence, key, change, facts))
    return after, encode(after), facts


def posting(number: int, key: str, kind: str, at: int, facts: bytes, evidence: str) -> Posting:
    """The posting in a row."""
    return Posting(
        number=number, key=key, kind=PostingKind(kind), at=moment_of(at), facts=decode_tree(facts), evidence=evidence
    )


def posting_page(rows: Sequence[tuple[Any, ...]], book: Book | None, limit: int) -> Page[Posting]:
    """The page of postings that `rows`, newest first and one more than fits, make of `book`."""
    items = tuple(posting(*row) for row in rows[:limit])
    more = cursor(items[-1].number) if len(rows) > limit else None
    return Page(items=items, total=book.postings if book is not None else 0, next_cursor=more)


def is_all_known(rows: Sequence[tuple[Any, ...]], since: int, limit: int) -> bool:
    """Whether rows of changes (revision now, kind, id, ...) are all that has happened since a revision.

    Without a kind is what schema 7 noted of deletions: that there was one.
    """
    return len(rows) <= limit and all(row[0] - since <= MOST_BEHIND and row[1] for row in rows)
