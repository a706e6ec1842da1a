"""Folders: what is in one, said in a manifest with the digest of each file, whether it lies on disk or in an object store.

What lives here: `Tree` and `Readable`, what every folder and file can do; `Manifest`; `Manifests`, which computes digests once.
What does not: how files are opened (`sources.py`, `objects.py`), and how a manifest travels (`pull.py`, `folders.py`).
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from connector.dataplane.disk import Disk
from connector.dataplane.kernel import Flow
from connector.dataplane.representation import Validators

MANIFEST_TYPE: Final = "application/vnd.kontor.manifest+json"
MOST_FILES: Final = 100_000


def is_plain(path: str) -> bool:
    """Whether `path` leads down only: each step has a name."""
    return not any(step in ("", ".", "..") or "\0" in step for step in path.split("/"))


class Readable(Protocol):
    """A file or object, open for reading in one state."""

    @property
    def byte_size(self) -> int: ...

    @property
    def version(self) -> int | str: ...

    @property
    def validators(self) -> Validators: ...

    @property
    def is_near(self) -> bool:
        """Whether reading it once more costs little: it lies on this machine."""
        ...

    def chunks(self, first: int, length: int, name: str) -> AsyncIterator[bytes]:
        """`length` bytes from `first`. Raises: SourceError when it is not the same any more."""
        ...

    def direct(self, first: int, length: int, name: str) -> Flow | None:
        """The same bytes, sent by the kernel; None where there is no such way, or it does not pay."""
        ...

    async def sha256(self, progress: Callable[[], None] | None = None, *, first: int = 0) -> str:
        """SHA-256 of the whole, or from `first` on, hexadecimal; `progress` is called now and then."""
        ...


class Tree(Protocol):
    """A folder, or what is below a prefix."""

    @property
    def root(self) -> str:
        """What tells it from all others."""
        ...

    async def walk(self) -> dict[str, Entry]:
        """Its files by path, in order, without digests. Raises: SourceError."""
        ...

    def opened(self, path: str) -> AbstractAsyncContextManager[Readable]:
        """One file. Raises, on entering: NotFound, SourceError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a folder."""

    byte_size: int
    version: int | str
    """What else tells one state of the file from another: its time of change in ns, the ETag of an object."""
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

    def digest_of(self, path: str, file: Readable) -> str | None:
        """The digest of `path`, when `file` is still what was published."""
        entry = self.entries.get(path)
        if entry is None or (entry.byte_size, entry.version) != (file.byte_size, file.version):
            return None
        return entry.digest


class Manifests:
    """The manifests of published folders, with digests computed once and kept below `folder`."""

    def __init__(self, folder: pathlib.Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._read: dict[str, Manifest] = {}

    async def describe(self, tree: Tree, progress: Callable[[], None] | None = None) -> Manifest:
        """The manifest of `tree` with the digest of every file; those of unchanged files are not computed again.

        Raises: SourceError when something cannot be read.
        """
        known = await self._known(tree.root)
        entries: dict[str, Entry] = {}
        for path, entry in (await tree.walk()).items():
            before = known.entries.get(path)
            digest = before.digest if before and _is_same(before, entry) else None
            entries[path] = Entry(
                byte_size=entry.byte_size,
                version=entry.version,
                digest=digest or await self._hash(tree, path, progress),
            )
        manifest = Manifest(entries=entries)
        await self._disk.run(self._keep, tree.root, manifest)
        self._remember(tree.root, manifest)
        return manifest

    async def current(self, tree: Tree) -> Manifest:
        """What `tree` holds now; digests of files that changed since `describe` are left out.

        Raises: SourceError when it cannot be read.
        """
        known = await self._known(tree.root)
        now = await tree.walk()
        return Manifest(
            entries={
                path: before if (before := known.entries.get(path)) and _is_same(before, entry) else entry
                for path, entry in now.items()
            }
        )

    async def digest_of(self, tree: Tree, path: str, file: Readable) -> str | None:
        """The digest of one file of `tree`, when it is known and the file unchanged."""
        return (await self._known(tree.root)).digest_of(path, file)

    async def _hash(self, tree: Tree, path: str, progress: Callable[[], None] | None) -> str:
        async with tree.opened(path) as file:
            return await file.sha256(progress)

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
        tree = {path: [e.byte_size, e.version, e.digest] for path, e in manifest.entries.items()}
        path = self._path(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        # the same folder may be looked through by another process of this node
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(orjson.dumps(tree))
        draft.replace(path)

    def _load(self, root: str) -> Manifest:
        try:
            tree = orjson.loads(self._path(root).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            tree = {}  # it only saves work: without it, digests are computed again when the folder is published
        return Manifest(
            entries={
                path: Entry(byte_size=size, version=version, digest=digest) for path, (size, version, digest) in tree.items()
            }
        )


def _is_same(a: Entry, b: Entry) -> bool:
    return (a.byte_size, a.version) == (b.byte_size, b.version)
