"""Where pushes land: a folder for each transfer, a `part` that grows, and `data` once it is whole and its digest right.

What lives here: the files on disk, and nothing else: every function here blocks and is called in a thread of `disk.py`.
What does not: the conversation with the sender (`receive.py`).

    <folder>/<participant>/<pid>/part        what has arrived so far       part.json   what the sender announced of it
                                 data        the whole                     data.json   what it is

Of a folder (`shelf.py`) each file has a part of its own, in `items/`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import quote, unquote

import orjson

from connector.dataplane.digests import Check
from connector.errors import Conflict, InternalError, Overloaded, StoreUnavailable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SYNC_EACH_BYTES: Final = 256 << 20
_GONE: Final = ".gone"
"""Ends the name of a folder that is being removed; no id has a point in its folder's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a sender says about the whole; parts belong together only when it says the same."""

    byte_size: int | None = None
    digest: str | None = None
    """SHA-256, hexadecimal."""
    media_type: str | None = None
    name: str = "data"
    state: str | None = None
    """As `Cargo.state`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Data that is here completely."""

    path: pathlib.Path
    byte_size: int
    digest: str
    """SHA-256, hexadecimal."""
    media_type: str | None
    name: str


class Part:
    """An open `part`; one writer at a time."""

    def __init__(self, fd: int, offset: int, *, is_hashed: bool, keep_free_bytes: int = 0) -> None:
        self.fd = fd
        self._keep_free_bytes = keep_free_bytes
        self.offset = offset
        """Bytes that have been written."""
        self.hasher = hashlib.sha256() if is_hashed else None
        """None when a part is taken up again: the whole is hashed at the end then."""
        self._synced = offset
        self._first = offset
        self._check: Check | None = None
        self._is_shared = False

    def expect(self, check: Check | None) -> None:
        """What is written from now on is held against `check`."""
        self._check = check
        # one hash is enough for both where they are of the same bytes
        self._is_shared = check is not None and self.hasher is not None and check.algorithm == "sha-256"

    @property
    def is_expected(self) -> bool:
        """Whether what was written is what had to come."""
        if self._check is None:
            return True
        if self._is_shared and self.hasher is not None:
            return self.hasher.digest() == self._check.expected
        return self._check.is_right

    def undo(self) -> None:
        """Forget what was written since it was opened."""
        with mended():
            os.ftruncate(self.fd, self._first)
            self.offset = self._synced = self._first
            self.sync()

    def write(self, data: bytes | bytearray) -> None:
        """Append `data`; on disk at the latest 256 MiB later.

        Raises: Overloaded when the disk is full, but for what is kept free: what was written stays, the sender goes on from there
        later. Room is looked for with each piece: others write too, and not every sender says how much it brings.
        """
        view = memoryview(data)
        with mended():
            found = os.fstatvfs(self.fd)
            if view and found.f_bavail * found.f_frsize - len(view) < self._keep_free_bytes:
                raise _no_room()
            while view:
                count = os.write(self.fd, view)
                if self.hasher is not None:
                    self.hasher.update(view[:count])
                if self._check is not None and not self._is_shared:
                    self._check.add(view[:count])
                self.offset += count
                view = view[count:]
            if self.offset - self._synced >= _SYNC_EACH_BYTES:
                self.sync()

    def sync(self) -> None:
        """Have everything written on disk, so that the offset told to the sender is true after a crash."""
        with mended():
            os.fsync(self.fd)
        self._synced = self.offset

    def settle(self, here: pathlib.Path, target: pathlib.Path) -> None:
        """Have what lies at `here` at `target`: all that was written, and nothing else.

        Raises: Conflict when its sender has come again through another node meanwhile, and goes on or began anew there.
        """
        if self._lies_at(here):
            os.replace(here, target)
            if self._lies_at(target):
                return
            os.replace(target, here)
        raise Conflict("this data comes through another node of ours by now", mend="go on there")

    def _lies_at(self, path: pathlib.Path) -> bool:
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        return found.st_size == self.offset and os.path.samestat(found, os.fstat(self.fd))

    def close(self) -> None:
        os.close(self.fd)


class Inbox:
    """All transfers' folders below one."""

    def __init__(self, folder: pathlib.Path, *, keep_free_bytes: int = 0) -> None:
        self._folder = folder
        self._keep_free_bytes = keep_free_bytes

    def folder(self, participant: str, pid: str, item: str = "") -> pathlib.Path:
        """The folder of one transfer, or of one item of it; no id leads out of the inbox."""
        folder = self._folder / _plain(participant) / _plain(pid)
        return folder / "items" / hashlib.sha256(item.encode()).hexdigest() if item else folder

    def arrived(self, participant: str, pid: str) -> Arrived | None:
        """What is here completely; None before."""
        folder = self.folder(participant, pid)
        try:
            tree = orjson.loads((folder / "data.json").read_bytes())
            if not (folder / "data").is_file():
                return None
        except FileNotFoundError:
            return None
        return Arrived(path=folder / "data", **tree)

    def offset(self, participant: str, pid: str, item: str = "") -> int:
        """How many bytes of a push are here, and where its sender goes on.

        Of a part that came whole and was not judged before we were stopped, the last byte is asked for once more: there is no
        range without any bytes, and the judgement belongs into an exchange that lasts as long as it takes.
        """
        path = self.folder(participant, pid, item) / "part"
        try:
            here = path.stat().st_size
        except FileNotFoundError:
            return 0
        announced = self.announced(participant, pid, item)
        if announced is not None and here and here == announced.byte_size:
            with mended():
                os.truncate(path, here - 1)
            return here - 1
        return here

    def announced(self, participant: str, pid: str, item: str = "") -> Announced | None:
        """What the sender of the present part said about the whole; None when there is no part."""
        try:
            return Announced(**orjson.loads((self.folder(participant, pid, item) / "part.json").read_bytes()))
        except FileNotFoundError:
            return None

    def begin(self, announced: Announced, participant: str, pid: str, item: str = "") -> Part:
        """A new, empty part; an older one is dropped.

        Raises: Overloaded when there is no room for it.
        """
        folder = self.folder(participant, pid, item)
        with mended():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.check_room(announced.byte_size or 0)
            self.drop(participant, pid, item)
            keep(folder / "part.json", asdict(announced))
            fd = os.open(folder / "part", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return Part(fd, 0, is_hashed=True, keep_free_bytes=self._keep_free_bytes)

    def resume(self, participant: str, pid: str, item: str = "") -> Part:
        """The part that is here, to be written on at its end."""
        with mended():
            fd = os.open(self.folder(participant, pid, item) / "part", os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            return Part(fd, os.fstat(fd).st_size, is_hashed=False, keep_free_bytes=self._keep_free_bytes)

    def places(self) -> tuple[tuple[str, str], ...]:
        """Participant and pid of each transfer of which something lies here."""
        if not self._folder.is_dir():
            return ()
        return tuple(
            (_from_plain(home.name), _from_plain(place.name))
            for home in sorted(self._folder.iterdir())
            if home.is_dir()
            for place in sorted(home.iterdir())
            if place.is_dir()
        )

    def forget(self, participant: str, pid: str, *, is_whole_kept: bool) -> bool:
        """Remove what lies here of a transfer, or only what has not arrived wholly; True when something was removed."""
        folder = self.folder(participant, pid)
        # out of the way by one step first: a removal that is cut short leaves nothing that looks like data
        gone = folder.with_name(folder.name + _GONE)
        is_whole = (folder / "data").is_file() or (folder / "folder").is_dir()
        with mended():
            if gone.is_dir():
                shutil.rmtree(gone)
            if not folder.is_dir() or (is_whole and is_whole_kept):
                return False
            folder.rename(gone)
            shutil.rmtree(gone)
        return True

    def check_room(self, byte_size: int) -> None:
        """Raises: Overloaded when `byte_size` more bytes would not leave the disk what is kept free."""
        free = shutil.disk_usage(self._folder).free - self._keep_free_bytes
        if byte_size > free:
            raise Overloaded(
                f"there is no room for {byte_size} bytes",
                mend="come again later; the operator of this node has to free the disk",
            )

    def drop(self, participant: str, pid: str, item: str = "") -> None:
        """Forget the part."""
        for name in ("part", "part.json"):
            (self.folder(participant, pid, item) / name).unlink(missing_ok=True)

    def finish(self, participant: str, pid: str, part: Part, digest: str, announced: Announced) -> Arrived:
        """Make `part`, whose digest was found right, the data. It is on disk when this returns.

        Raises: Conflict, as `Part.settle`.
        """
        folder = self.folder(participant, pid)
        tree = {
            "byte_size": part.offset,
            "digest": digest,
            "media_type": announced.media_type,
            "name": announced.name,
        }
        part.sync()
        with mended():
            # INVARIANT: `data` appears last and by renaming, so it is never there in part
            keep(folder / "data.json", tree)
            part.settle(folder / "part", folder / "data")
            (folder / "part.json").unlink(missing_ok=True)
            sync_folder(folder)
        found = self.arrived(participant, pid)
        if found is None:
            raise InternalError("received data is not where it was put", where=str(folder))
        return found


def _from_plain(name: str) -> str:
    return unquote(name.removesuffix(_GONE))


def _plain(name: str) -> str:
    """`name` as one harmless step of a path."""
    return quote(name, safe="").replace(".", "%2E")


def keep(path: pathlib.Path, tree: object) -> None:
    """Write `tree` as JSON, whole or not at all."""
    draft = path.with_name(path.name + ".tmp")
    with draft.open("wb") as file:
        file.write(orjson.dumps(tree))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def sync_folder(folder: pathlib.Path) -> None:
    """Have on disk which names a folder holds."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def mended() -> Iterator[None]:
    """What the disk says, as one of our errors."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _FULL:
            raise _no_room() from fault
        raise StoreUnavailable(f"the inbox cannot be written: {fault.strerror}", where=str(fault.filename or "")) from fault


def _no_room() -> Overloaded:
    return Overloaded("the disk is full", mend="come again later; the operator of this node has to free it")
