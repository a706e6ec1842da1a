"""An archive under the name of a draft until it is whole, and what a run that was killed has left of one.

Whoever writes a draft holds a lock on it, which ends with the process however that ends; so what nobody holds is left over. Only what
is ours is cleared: a plain file of our user, readable by nobody else, with a draft's name and the beginning of an archive, or empty.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import stat
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from connector.errors import ConfigurationError

_NAME: Final = re.compile(r".+\.[a-z0-9_]{8}\.part")
_LOOKED_AT_BYTES: Final = 64 << 10
_BEGINNING: Final = b'{"form":"kontor-archive"'
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A draft that nobody writes any more."""

    path: pathlib.Path
    byte_size: int


def opened(path: pathlib.Path) -> tuple[int, pathlib.Path]:
    """A draft beside `path` that nobody else has, open to be written, and its name.

    Raises: ConfigurationError when there is such a file as `path` already, or none can be made.
    """
    if path.exists():
        raise ConfigurationError("there is such a file already", where=str(path), mend="name another one, or move it away")
    for _ in range(_TRIES):
        try:
            # sealed secrets are in it, and what peers agreed: new, for our user alone, and never through a link
            fd, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
        except OSError as fault:
            mend = "name a file in a folder that you may write to"
            raise ConfigurationError(f"the file cannot be made: {fault.strerror}", where=str(path), mend=mend) from fault
        with contextlib.suppress(OSError):
            # a share that knows no locks: nothing of it is ever cleared
            _lock(fd)
        # whoever clears may have taken it for left over a moment ago
        if os.fstat(fd).st_nlink:
            return fd, pathlib.Path(name)
        os.close(fd)
    raise ConfigurationError(
        "the file cannot be made: drafts of it go away", where=str(path), mend="name one in another folder"
    )


def publish(draft: pathlib.Path, path: pathlib.Path) -> None:
    """Give the whole file its name, never over one that appeared meanwhile; a crash leaves the file or nothing.

    Raises: FileExistsError, OSError.
    """
    try:
        os.link(draft, path)
    except OSError as fault:
        if fault.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        # a share without links: the name is taken first, and then filled
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def cleared(folder: pathlib.Path) -> tuple[Left, ...]:
    """What was left of drafts in `folder` and is gone now; what cannot be looked at stays."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if _NAME.fullmatch(entry.name))
    except OSError:
        return ()
    return tuple(left for name in names for left in _cleared(folder / name))


def _cleared(path: pathlib.Path) -> Iterator[Left]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(fd)
        is_private = stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
        if not is_private or not _is_archive(os.pread(fd, _LOOKED_AT_BYTES, 0)):
            return
        _lock(fd)
        path.unlink()
    except OSError:
        # somebody writes it, or was quicker
        return
    finally:
        os.close(fd)
    yield Left(path=path, byte_size=found.st_size)


def _lock(fd: int) -> None:
    """Raises: OSError when somebody has it, or nobody can."""
    try:
        import fcntl
    except ModuleNotFoundError as fault:
        raise OSError("this system has no such locks") from fault
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_archive(beginning: bytes) -> bool:
    try:
        text = zlib.decompressobj(31).decompress(beginning, len(_BEGINNING))
    except zlib.error:
        return False
    # of what was hardly begun there is no more than the compressor had let go of
    return text == _BEGINNING[: len(text)]
