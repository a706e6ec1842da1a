"""Where data is read from: local files and folders here, objects in stores by `objects.py`; `Places` finds the right one.

What lives here: opening a file so that nothing outside a published folder can be reached; walking a folder.
What does not: manifests (`manifests.py`), upstreams (`upstream.py`), HTTP's ranges and conditions (`representation.py`).

A path below a folder is walked one step at a time from the opened root and never through a symbolic link, so neither `..` nor a
link nor a race between check and use leads out. Links inside a folder are not served and not listed; the root may be one.
"""

from __future__ import annotations

import errno
import mimetypes
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connector.dataplane import kernel
from connector.dataplane.disk import Disk
from connector.dataplane.manifests import MOST_FILES, Entry, Readable, Tree, is_plain
from connector.dataplane.objects import Objects, ObjectTree
from connector.dataplane.representation import Validators
from connector.errors import NotFound, SourceError
from connector.ports.dataplane import Source

UNKNOWN_TYPE: Final = "application/octet-stream"
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EMLINK})
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A regular file, open for reading; `close` it."""

    fd: int
    byte_size: int
    modified_ns: int
    inode: int

    @property
    def validators(self) -> Validators:
        return Validators(
            etag=f'"{self.byte_size:x}-{self.modified_ns:x}-{self.inode:x}"',
            modified=datetime.fromtimestamp(self.modified_ns // 1_000_000_000, UTC),
        )

    def close(self) -> None:
        os.close(self.fd)


def open_file(path: str) -> OpenFile:
    """The published file `path`; the operator named it, so links are followed.

    Raises: SourceError when there is none.
    """
    try:
        return _regular(os.open(path, _FILE))
    except OSError as fault:
        raise SourceError(f"the file cannot be opened: {fault.strerror}", where=path, mend="publish the data anew") from fault
    except NotFound as fault:
        raise SourceError("this is no regular file", where=path, mend="publish a file") from fault


def open_below(root: str, path: str) -> OpenFile:
    """The file at `path` below the published folder `root`.

    Raises: NotFound when there is no such file inside; SourceError when the folder itself cannot be read.
    """
    if not is_plain(path):
        raise NotFound("there is no such file in this data", mend="see the manifest at the root")
    steps = path.split("/")
    try:
        folder = os.open(root, _FOLDER)
    except OSError as fault:
        raise SourceError(f"the folder cannot be opened: {fault.strerror}", where=root, mend="publish the data anew") from fault
    try:
        for step in steps[:-1]:
            below = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        return _regular(os.open(steps[-1], _FILE | os.O_NOFOLLOW, dir_fd=folder))
    except (OSError, UnicodeEncodeError) as fault:
        if isinstance(fault, UnicodeEncodeError) or fault.errno in _ABSENT:
            raise NotFound("there is no such file in this data", mend="see the manifest at the root") from fault
        raise SourceError(f"a file cannot be opened: {fault.strerror}", where=f"{root}/{path}") from fault
    finally:
        os.close(folder)


def _regular(fd: int) -> OpenFile:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise NotFound("there is no such file in this data", mend="see the manifest at the root")
    return OpenFile(fd=fd, byte_size=found.st_size, modified_ns=found.st_mtime_ns, inode=found.st_ino)


def media_type_of(name: str) -> str:
    """The media type that the ending of a name suggests."""
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    return guessed if guessed and not encoding else UNKNOWN_TYPE


class LocalFile:
    """An open file as a `Readable`."""

    is_near = True

    def __init__(self, disk: Disk, file: OpenFile) -> None:
        self._disk = disk
        self._file = file
        self.byte_size = file.byte_size
        self.version: int | str = file.modified_ns
        self.validators = file.validators

    def chunks(self, first: int, length: int, name: str) -> AsyncIterator[bytes]:
        """`length` bytes from `first`; raises as `Disk.chunks`."""
        return self._disk.chunks(self._file.fd, first, length, name)

    def direct(self, first: int, length: int, name: str) -> kernel.Flow | None:
        """The same bytes, for the kernel to send; None where it cannot or need not."""
        if not kernel.IS_HERE or length < kernel.WORTH_BYTES:
            return None
        return kernel.from_file(self._file.fd, first, length, name, self._disk.move)

    async def sha256(self, progress: Callable[[], None] | None = None, *, first: int = 0) -> str:
        """The SHA-256 of the whole, or from `first` on, hexadecimal."""
        return await self._disk.sha256(self._file.fd, self.byte_size, progress, first=first)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTree:
    """A published folder."""

    root: str
    disk: Disk

    async def walk(self) -> dict[str, Entry]:
        """The regular files below, by path, in order; without digests."""
        return await self.disk.run(walk, self.root)

    @asynccontextmanager
    async def opened(self, path: str) -> AsyncIterator[Readable]:
        """The file at `path`; raises as `open_below`."""
        async with self.disk.opened(open_below, self.root, path) as file:
            yield LocalFile(self.disk, file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Opens what a source names."""

    disk: Disk
    objects: Objects

    @asynccontextmanager
    async def opened(self, source: Source) -> AsyncIterator[Readable]:
        """The one file or object of `source`.

        Raises: SourceError.
        """
        if source.objects is not None:
            async with self.objects.opened(source.objects) as found:
                yield found
            return
        async with self.disk.opened(open_file, source.path or "") as file:
            yield LocalFile(self.disk, file)

    def tree(self, source: Source) -> Tree:
        """The folder or prefix of `source`."""
        if source.objects is not None:
            return ObjectTree(place=source.objects, objects=self.objects)
        return LocalTree(root=source.path or "", disk=self.disk)


def walk(root: str) -> dict[str, Entry]:
    """The regular files below `root`, by path, sorted; without digests."""
    try:
        found = dict(_files(root, ""))
    except OSError as fault:
        raise SourceError(f"the folder cannot be read: {fault.strerror}", where=str(fault.filename or root)) from fault
    return dict(sorted(found.items()))


def _files(root: str, below: str) -> Iterator[tuple[str, Entry]]:
    waiting, count = [below], 0
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(root, folder)) as listing:
            for item in listing:
                path = f"{folder}/{item.name}" if folder else item.name
                if item.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif item.is_file(follow_symlinks=False):
                    count += 1
                    if count > MOST_FILES:
                        raise SourceError(f"the folder has more than {MOST_FILES} files", where=root, mend="publish parts")
                    if not _is_utf8(path):
                        raise SourceError("a file name is not UTF-8", where=repr(path), mend="rename it")
                    found = item.stat(follow_symlinks=False)
                    yield path, Entry(byte_size=found.st_size, version=found.st_mtime_ns, digest=None)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
