"""`kontor get`: data of a peer on this disk, under a contract, verified.

1. Find the dataset in the peer's catalogue.          2. Reuse an agreement about it, or negotiate one.
3. Ask for the transfer, or take up one that runs.     4. Fetch the bytes through our node; a broken download is continued.
5. Compare the digest with the one in the catalogue.   6. Complete the transfer.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.cli import negotiate
from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.negotiate import Address, Dataset, OfferId, Peer, Purpose, Wait
from connector.cli.output import Output, console, note
from connector.errors import Conflict, DigestMismatch, KontorError, PeerError, RangeNotSatisfiable, Unreachable

if TYPE_CHECKING:
    from connector.api.transfers import Transfer
    from connector.cli.offers import Found
    from connector.client import Calls, Client

_PULL, _PUSH = "HttpData-PULL", "HttpData-PUSH"
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of it."""

    file: str
    byte_size: int
    sha256: str
    is_verified: bool
    """True when the description named a digest and this is it."""
    agreement: str
    transfer: str
    state: str | None
    """State of the transfer afterwards."""


def register(app: typer.Typer) -> None:
    """Add `get` to the commands."""
    example = (
        "kontor get https://data.example.org/weather/dsp/2025-1 urn:example:weather-2025 --purpose research -o weather.csv"
    )
    command(app, "get", get, example=example)


def get(
    access: Access,
    out: Output,
    address: Address,
    dataset: Dataset,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write; the dataset's name when left out.")
    ] = None,
    peer: Peer = None,
    purpose: Purpose = None,
    offer_id: OfferId = None,
    push: Annotated[bool, typer.Option("--push", help="Let the provider deliver to our node, and take it from there.")] = False,
    wait: Wait = 60,
) -> None:
    """Get a dataset of a peer: negotiate or reuse an agreement, transfer, download, verify the digest."""
    from connector.cli.offers import find

    with access.open() as (node, me):
        found = find(node, me, address, dataset, peer=peer, offer_id=offer_id)
        target = output or Path(_name(found.dataset.id))
        if target.exists():
            raise Conflict("there is such a file already", where=str(target), mend="name another with `-o`")
        done = fetch(node, me, found, target, purpose=purpose, push=push, within_s=wait, is_shown=not out.as_json)
    verified = "digest as in the catalogue" if done.is_verified else "the catalogue names no digest, so nothing to compare with"
    out.lines(
        asdict(done),
        f"{done.file}  {done.byte_size} bytes  sha-256 {done.sha256}  {verified}",
        f"transfer {done.transfer} {done.state} under agreement {done.agreement}",
    )


def fetch(
    node: Client,
    me: Calls,
    found: Found,
    target: Path,
    *,
    purpose: str | None,
    push: bool,
    within_s: float,
    is_shown: bool = True,
) -> Fetched:
    """The dataset in the file `target`, verified, its transfer completed.

    Raises: what went wrong, by whose fault it is; a partial download stays in `target` with `.part` at its end, and is
    continued by the next try. Bytes with a wrong digest do not stay.
    """
    agreement, transfer = _transfer(node, me, found, purpose, _PUSH if push else _PULL, within_s)
    part = target.with_name(f"{target.name}.part")
    size, digest = _download(node, me, transfer.pid, part, found.dataset.byte_size, is_shown=is_shown)
    expected = found.dataset.digest
    if expected is not None and digest != expected:
        part.unlink()
        raise DigestMismatch(
            f"the bytes have the digest {digest}, the catalogue says {expected}",
            where=found.dataset.id,
            mend="nothing was kept; try again, and tell the provider when it stays so",
        )
    part.replace(target)
    return Fetched(
        file=str(target), byte_size=size, sha256=digest, is_verified=expected is not None, agreement=agreement,
        transfer=transfer.pid, state=_complete(node, me, transfer, within_s).state,
    )  # fmt: skip


def _transfer(
    node: Client, me: Calls, found: Found, purpose: str | None, format_: str, within_s: float
) -> tuple[str, Transfer]:
    """The agreement, and a transfer under it that has data to give; steps 2 and 3.

    An agreement of the past may not be good any more for a reason that only its provider knows: then a new one is negotiated.
    """
    for known in _agreements(node, me, found, purpose):
        if running := _running(node, me, known, format_):
            return known, running
        with contextlib.suppress(PeerError):
            return known, _started(node, me, known, format_, purpose, within_s)
        note(f"agreement {known} gives nothing any more; negotiating a new one")
        break
    process = negotiate.begin(node, me, found, purpose=purpose, within_s=within_s)
    negotiate.check(process)
    fresh = process.agreement_id or ""
    return fresh, _started(node, me, fresh, format_, purpose, within_s)


def _agreements(node: Client, me: Calls, found: Found, purpose: str | None) -> Iterator[str]:
    """Ids of agreements in force about the dataset, for the same purpose, newest first."""
    page = node.send(me.agreements(role="consumer", peer=found.peer, dataset=found.dataset.id))
    for one in page.items:
        if one.ended_at is None and one.dataset == found.dataset.id and one.peer == found.peer and one.purpose == purpose:
            yield one.id


def _running(node: Client, me: Calls, agreement: str, format_: str) -> Transfer | None:
    """A transfer that an earlier, broken try has left open."""
    page = node.send(me.transfers(state="STARTED", role="consumer", agreement=agreement))
    fitting = (one for one in page.items if one.agreement_id == agreement and one.format == format_ == _PULL and one.is_open)
    return next(fitting, None)


def _started(node: Client, me: Calls, agreement: str, format_: str, purpose: str | None, within_s: float) -> Transfer:
    from connector.api.transfers import NewTransfer

    begun = node.send(me.begin_transfer(NewTransfer(agreement=agreement, format=format_, purpose=purpose)))
    ready = "STARTED" if format_ == _PULL else "COMPLETED"
    transfer = node.wait(me.transfer(begun.pid), lambda one: one.state in (ready, "COMPLETED", "TERMINATED"), within_s=within_s)
    if transfer.state in (ready, "COMPLETED"):
        return transfer
    look = f"`kontor show {transfer.pid}` tells the whole story"
    if transfer.state == "TERMINATED":
        why = "; ".join(filter(None, (transfer.code, *transfer.reasons, transfer.error))) or "no reason was given"
        raise PeerError(f"there is no transfer: {why}", where=transfer.pid, mend=look)
    last = f", the last failure: {transfer.error}" if transfer.error else ""
    raise Unreachable(f"the transfer is still in {transfer.state or 'no state'}{last}", where=transfer.pid, mend=look)


def _download(node: Client, me: Calls, pid: str, part: Path, expected: int | None, *, is_shown: bool) -> tuple[int, str]:
    """Size and digest of the whole, after `part` holds it; what `part` holds already is not fetched again."""
    with part.open("a+b") as file:
        # somebody else fetching into the same file would mix the bytes of both
        _lock(file, part)
        have = file.seek(0, os.SEEK_END)
        digest = hashlib.sha256()
        if have and have != expected:
            note(f"{part} has {have} bytes already; continuing there")
        if not have or have != expected:
            try:
                have = _append(node, me, pid, file, have, expected, is_shown=is_shown)
            except RangeNotSatisfiable:
                # it holds more than there is: whatever it was, it was something else
                file.truncate(0)
                have = _append(node, me, pid, file, 0, expected, is_shown=is_shown)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        while block := file.read(_BLOCK):
            digest.update(block)
    return have, digest.hexdigest()


def _append(node: Client, me: Calls, pid: str, file: Any, have: int, expected: int | None, *, is_shown: bool) -> int:
    """How much `file` holds when the stream has come to its end.

    Raises: Unreachable when the stream ended before that.
    """
    with node.download(me.data(pid), first_byte=have) as stream:
        if stream.first_byte != have:
            file.truncate(0)
            have = 0
        total = stream.total_bytes if stream.total_bytes is not None else expected
        with _progress(total, have, is_shown=is_shown) as advance:
            for chunk in stream.chunks:
                file.write(chunk)
                have += len(chunk)
                advance(len(chunk))
    if stream.total_bytes is not None and have != stream.total_bytes:
        raise Unreachable(
            f"the stream broke off after {have} of {stream.total_bytes} bytes",
            where=pid,
            mend="run the command again; it continues",
        )
    return have


def _complete(node: Client, me: Calls, transfer: Transfer, within_s: float) -> Transfer:
    """The transfer, completed; the data is here whatever becomes of it, so a failure is told and not raised."""
    try:
        if transfer.state == "STARTED":
            node.send(me.act_in_transfer(transfer.pid, "complete"))
        is_over = ("COMPLETED", "TERMINATED")
        return node.wait(me.transfer(transfer.pid), lambda one: one.state in is_over, within_s=min(within_s, 10))
    except KontorError as error:
        note(f"warning: the data is here, its transfer could not be completed: {error}")
        return transfer


@contextlib.contextmanager
def _progress(total: int | None, have: int, *, is_shown: bool) -> Iterator[Any]:
    """A function that is told of arriving bytes; it draws a bar where somebody can see one."""
    if not (is_shown and sys.stderr.isatty()):
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=have)
        yield lambda count: bar.advance(task, count)


def _lock(file: Any, part: Path) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:
        # not on this system: whoever starts two downloads into one file gets a wrong digest, which is noticed
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        raise Conflict("another download writes into it", where=str(part), mend="wait for it, or name another file") from fault


def _name(dataset: str) -> str:
    return re.sub("[^A-Za-z0-9._-]+", "-", re.split("[/:#]", dataset.rstrip("/"))[-1]).strip("-.") or "data"
