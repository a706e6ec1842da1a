"""Local sources: one file, or a folder with its manifest and the files below it.

What lives here: opening a file so that nothing outside a published folder can be reached; the manifest of a folder.
What does not: upstreams (`upstream.py`), HTTP's ranges and conditions (`representation.py`).

A path below a folder is walked one step at a time from the opened root and never through a symbolic link, so neither `..` nor a
link nor a race between check and use leads out. Links inside a folder are not served and not listed; the root may be one.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import pathlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from connector.dataplane.disk import Disk
from connector.dataplane.representation import Validators
from connector.errors import NotFound, SourceError

MANIFEST_TYPE: Final = "application/vnd.kontor.manifest+json"
UNKNOWN_TYPE: Final = "application/octet-stream"
_MOST_FILES = 100_000
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
    steps = path.split("/")
    if any(step in ("", ".", "..") or "\0" in step for step in steps):
        raise NotFound("there is no such file in this data", mend="see the manifest at the root")
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


# --- folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a folder."""

    byte_size: int
    modified_ns: int
    digest: str | None
    """SHA-256, hexadecimal; None when the file changed after the folder was published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder holds."""

    entries: Mapping[str, Entry]
    """By path, in order."""

    @property
    def byte_size(self) -> int:
        return sum(entry.byte_size for entry in self.entries.values())

    def written(self) -> bytes:
        """The manifest as consumers get it; equal folders give equal bytes."""
        files = [
            {"path": path, "byte_size": e.byte_size} | ({"sha256": e.digest} if e.digest else {})
            for path, e in self.entries.items()
        ]
        return orjson.dumps({"byte_size": self.byte_size, "files": files})

    def digest(self) -> str:
        """SHA-256 of the manifest as it is written, hexadecimal."""
        return hashlib.sha256(self.written()).hexdigest()

    def digest_of(self, path: str, file: OpenFile) -> str | None:
        """The digest of `path`, when `file` is still what was published."""
        entry = self.entries.get(path)
        if entry is None or (entry.byte_size, entry.modified_ns) != (file.byte_size, file.modified_ns):
            return None
        return entry.digest


class Manifests:
    """The manifests of published folders, with digests computed once and kept below `folder`."""

    def __init__(self, folder: pathlib.Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._read: dict[str, Manifest] = {}

    async def describe(self, root: str) -> Manifest:
        """The manifest of `root` with the digest of every file; those of unchanged files are not computed again.

        Raises: SourceError when something cannot be read.
        """
        known = await self._known(root)
        entries: dict[str, Entry] = {}
        for path, entry in (await self._disk.run(_walk, root)).items():
            before = known.entries.get(path)
            digest = before.digest if before and _is_same(before, entry) else None
            entries[path] = Entry(
                byte_size=entry.byte_size,
                modified_ns=entry.modified_ns,
                digest=digest or await self._hash(root, path, entry),
            )
        manifest = Manifest(entries=entries)
        await self._disk.run(self._keep, root, manifest)
        self._remember(root, manifest)
        return manifest

    async def current(self, root: str) -> Manifest:
        """What `root` holds now; digests of files that changed since `describe` are left out.

        Raises: SourceError when the folder cannot be read.
        """
        known = await self._known(root)
        now = await self._disk.run(_walk, root)
        return Manifest(
            entries={
                path: before if (before := known.entries.get(path)) and _is_same(before, entry) else entry
                for path, entry in now.items()
            }
        )

    async def digest_of(self, root: str, path: str, file: OpenFile) -> str | None:
        """The digest of one file below `root`, when it is known and the file unchanged."""
        return (await self._known(root)).digest_of(path, file)

    async def _hash(self, root: str, path: str, entry: Entry) -> str:
        async with self._disk.opened(open_below, root, path) as file:
            return await self._disk.sha256(file.fd, entry.byte_size)

    async def _known(self, root: str) -> Manifest:
        if root not in self._read:
            self._remember(root, await self._disk.run(self._load, root))
        return self._read[root]

    def _remember(self, root: str, manifest: Manifest) -> None:
        if len(self._read) >= 64:
            self._read.pop(next(iter(self._read)))
        self._read[root] = manifest

    def _path(self, root: str) -> pathlib.Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(root)).hexdigest()}.json"

    def _keep(self, root: str, manifest: Manifest) -> None:
        tree = {path: [e.byte_size, e.modified_ns, e.digest] for path, e in manifest.entries.items()}
        path = self._path(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_bytes(orjson.dumps(tree))
        draft.replace(path)

    def _load(self, root: str) -> Manifest:
        try:
            tree = orjson.loads(self._path(root).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            tree = {}  # it only saves work: without it, digests are computed again when the folder is published
        return Manifest(
            entries={path: Entry(byte_size=size, modified_ns=ns, digest=digest) for path, (size, ns, digest) in tree.items()}
        )


def _is_same(a: Entry, b: Entry) -> bool:
    return (a.byte_size, a.modified_ns) == (b.byte_size, b.modified_ns)


def _walk(root: str) -> dict[str, Entry]:
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
                    if count > _MOST_FILES:
                        raise SourceError(f"the folder has more than {_MOST_FILES} files", where=root, mend="publish parts")
                    if not _is_utf8(path):
                        raise SourceError("a file name is not UTF-8", where=repr(path), mend="rename it")
                    found = item.stat(follow_symlinks=False)
                    yield path, Entry(byte_size=found.st_size, modified_ns=found.st_mtime_ns, digest=None)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
