"""Folders that a push brings: the manifest of each, its files as they arrive, and the whole once nothing is missing.

What lives here: the files on disk, and reading a manifest that a peer sent. As in `inbox.py`, every function blocks.
What does not: the conversation with the sender (`receive.py`), parts of files (`inbox.py`).

    <pid>/manifest.json    what was announced last     arriving/<path>   a file, whole and its digest right
          folder.json      what has arrived            folder/<path>     all of them
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
from dataclasses import dataclass
from typing import Final

from connector.dataplane.inbox import Inbox, Part, keep, mended, sync_folder
from connector.dataplane.manifests import MOST_FILES, Entry, Manifest, is_plain
from connector.errors import BadMessage
from connector.strict import Limits, scan

MOST_MANIFEST_BYTES: Final = 32 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_STEP_BYTES: Final = 255
_KNOWN: Final = 8


def manifest_in(body: bytes) -> Manifest:
    """The manifest that a sender announces: every path can stand on a disk, every file has a digest.

    Raises: BadMessage, TooLarge.
    """
    tree = scan(body, Limits(max_bytes=MOST_MANIFEST_BYTES))
    files = tree.get("files") if isinstance(tree, dict) else None
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise BadMessage(f"a manifest lists `files`, at most {MOST_FILES}", where="files")
    entries: dict[str, Entry] = {}
    folders: set[str] = set()
    for number, file in enumerate(files):
        match file:
            case {"path": str(path), "byte_size": int(size), "sha256": str(digest)} if size >= 0 and _SHA256.fullmatch(digest):
                if not is_plain(path) or any(len(step.encode()) > _MOST_STEP_BYTES for step in path.split("/")):
                    raise BadMessage("this path leads out of the folder or is too long", where=f"files[{number}].path")
                if path in entries:
                    raise BadMessage("a path stands here twice", where=f"files[{number}].path")
                entries[path] = Entry(byte_size=size, version=digest, digest=digest)
                folders.update(path[:at] for at, letter in enumerate(path) if letter == "/")
            case _:
                raise BadMessage("a file has a `path`, a `byte_size` and a `sha256`", where=f"files[{number}]")
    if both := folders & entries.keys():
        raise BadMessage(f"`{min(both)}` is a file and a folder", where="files", mend="rename one of them")
    return Manifest(entries=dict(sorted(entries.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much of a folder is here."""

    here_bytes: int
    is_complete: bool
    is_new: bool


class Shelf:
    """The folders of all transfers, inside the inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._read: dict[pathlib.Path, Manifest] = {}

    def arrived(self, participant: str, pid: str) -> tuple[pathlib.Path, Manifest] | None:
        """The folder that is here completely, and its manifest; None before."""
        home = self._inbox.folder(participant, pid)
        # only a folder that is whole has its name; what says what it is was written before
        manifest = self._manifest(home / "folder.json") if (home / "folder").is_dir() else None
        return (home / "folder", manifest) if manifest is not None else None

    def announced(self, participant: str, pid: str) -> Manifest | None:
        """What the sender announced last; None before."""
        return self._manifest(self._inbox.folder(participant, pid) / "manifest.json")

    def announce(self, participant: str, pid: str, manifest: Manifest) -> Standing:
        """Take a manifest; what has arrived and is not in it is dropped, and when nothing is missing it is all here.

        Raises: Overloaded when there is no room for the rest.
        """
        home = self._inbox.folder(participant, pid)
        before = self.announced(participant, pid)
        with mended():
            (home / "arriving").mkdir(parents=True, exist_ok=True, mode=0o700)
            if before is None or before.digest() != manifest.digest():
                self._inbox.check_room(manifest.byte_size)
                if before is not None:
                    self._prune(home, before, manifest)
                keep(home / "manifest.json", _tree(manifest))
                self._remember(home / "manifest.json", manifest)
            is_complete, here = True, 0
            for path, entry in manifest.entries.items():
                if self.has(participant, pid, path):
                    here += entry.byte_size
                else:
                    is_complete = False
                    here += self._inbox.offset(participant, pid, path) if before is not None else 0
            if is_complete:
                self._complete(home, manifest)
        return Standing(here_bytes=here, is_complete=is_complete, is_new=before is None)

    def has(self, participant: str, pid: str, path: str) -> bool:
        """Whether the file at `path` of the announced folder is here, whole."""
        return (self._inbox.folder(participant, pid) / "arriving" / path).is_file()

    def finish(self, participant: str, pid: str, path: str, part: Part) -> None:
        """Make `part`, whose digest was found right, the file at `path`.

        Raises: Conflict, as `Part.settle`.
        """
        item = self._inbox.folder(participant, pid, path)
        target = self._inbox.folder(participant, pid) / "arriving" / path
        part.sync()
        with mended():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # INVARIANT: a file appears by renaming, after its digest was found right, so it is never there in part
            part.settle(item / "part", target)
            sync_folder(target.parent)
            shutil.rmtree(item, ignore_errors=True)

    def _complete(self, home: pathlib.Path, manifest: Manifest) -> None:
        keep(home / "folder.json", _tree(manifest))
        os.replace(home / "arriving", home / "folder")
        sync_folder(home)
        shutil.rmtree(home / "items", ignore_errors=True)
        (home / "manifest.json").unlink(missing_ok=True)
        self._read.pop(home / "manifest.json", None)

    def _prune(self, home: pathlib.Path, before: Manifest, now: Manifest) -> None:
        """Drop what has arrived of an older state of the folder."""
        for path, entry in before.entries.items():
            if (kept := now.entries.get(path)) is None or kept.digest != entry.digest:
                (home / "arriving" / path).unlink(missing_ok=True)
        # a folder may have to make room for a file of its name
        for folder, _, _ in os.walk(home / "arriving", topdown=False):
            if folder != str(home / "arriving") and not os.listdir(folder):
                os.rmdir(folder)

    def _manifest(self, path: pathlib.Path) -> Manifest | None:
        if path not in self._read:
            try:
                self._remember(path, manifest_in(path.read_bytes()))
            except FileNotFoundError:
                return None
        return self._read[path]

    def _remember(self, path: pathlib.Path, manifest: Manifest) -> None:
        while len(self._read) >= _KNOWN:
            self._read.pop(next(iter(self._read)), None)
        self._read[path] = manifest


def _tree(manifest: Manifest) -> dict[str, object]:
    return {
        "byte_size": manifest.byte_size,
        "files": [{"path": path, "byte_size": e.byte_size, "sha256": e.digest} for path, e in manifest.entries.items()],
    }
