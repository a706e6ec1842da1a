"""One file out of a transfer onto this disk: continued where a broken try has stopped, and kept only when its digest is right.

What grows is `NAME.part`; it becomes `NAME` at the end, so that a file of that name is always whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from connector.cli.output import console, note
from connector.errors import Conflict, DigestMismatch, RangeNotSatisfiable, Unreachable

if TYPE_CHECKING:
    from connector.client import Call, Client

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be fetched, and what is known of it before."""

    call: Call[bytes]
    name: str
    """What it is called in messages: a dataset, a file of a folder."""
    byte_size: int | None = None
    digest: str | None = None
    """SHA-256 in hexadecimal; None when nobody has said."""
    is_shown: bool = True
    """A bar is drawn where somebody can see it."""


def fetch(node: Client, wanted: Wanted, target: Path) -> tuple[int, str]:
    """Size and digest of the whole, after it is in `target`.

    Raises: DigestMismatch (nothing stays), Unreachable when the stream broke off (`target` with `.part` stays and is continued
    by the next try), Conflict when somebody else writes into it, and what the node answers.
    """
    part = target.with_name(f"{target.name}.part")
    with part.open("a+b") as file:
        _lock(file, part)
        have = file.seek(0, os.SEEK_END)
        if have != wanted.byte_size or not have:
            if have:
                note(f"{part} has {have} bytes already; continuing there")
            try:
                have = _append(node, wanted, file, have)
            except RangeNotSatisfiable:
                # it holds as much as there is, or more: in the first case its digest says so
                if not have or wanted.digest is None or _digest(file) != wanted.digest:
                    have = _append(node, wanted, file, 0)
        file.flush()
        os.fsync(file.fileno())
        digest = _digest(file)
    if wanted.digest is not None and digest != wanted.digest:
        part.unlink()
        raise DigestMismatch(
            f"the bytes have the digest {digest}, the description says {wanted.digest}",
            where=wanted.name,
            mend="nothing was kept; try again, and tell the provider when it stays so",
        )
    part.replace(target)
    return have, digest


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _append(node: Client, wanted: Wanted, file: IO[bytes], have: int) -> int:
    """How much `file` holds when the stream has come to its end.

    Raises: Unreachable when the stream ended before that.
    """
    with node.download(wanted.call, first_byte=have) as stream:
        if stream.first_byte != have or not have:
            file.truncate(0)
            have = 0
        total = stream.total_bytes if stream.total_bytes is not None else wanted.byte_size
        with _progress(total, have, is_shown=wanted.is_shown) as advance:
            try:
                for chunk in stream.chunks:
                    file.write(chunk)
                    have += len(chunk)
                    advance(len(chunk))
            except Unreachable as fault:
                # our node answered and then broke off: it has stopped, or whoever it fetches the data from has
                raise _broken_off(wanted, have, total) from fault
    if stream.total_bytes is not None and have != stream.total_bytes:
        raise _broken_off(wanted, have, total)
    return have


def _broken_off(wanted: Wanted, have: int, total: int | None) -> Unreachable:
    of = f" of {total}" if total is not None else ""
    return Unreachable(
        f"the stream broke off after {have}{of} bytes", where=wanted.name, mend="run the command again; it continues there"
    )


def _digest(file: IO[bytes]) -> str:
    file.flush()
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _progress(total: int | None, have: int, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """A function that is told of arriving bytes; it draws a bar where somebody can see one."""
    if not (is_shown and sys.stderr.isatty()):
        yield lambda count: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=have)
        yield lambda count: bar.advance(task, count)


def _lock(file: IO[bytes], part: Path) -> None:
    """Keep others from writing into the same file: the bytes of both would mix."""
    try:
        import fcntl
    except ModuleNotFoundError:
        # not on this system; a mixed file has a wrong digest, which is noticed
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        raise Conflict("another download writes into it", where=str(part), mend="wait for it, or name another file") from fault
