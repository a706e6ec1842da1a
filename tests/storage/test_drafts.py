"""Of a backup that was killed nothing stays for longer than until the next one; what is somebody else's stays as it is."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.errors import ConfigurationError
from connector.storage import drafts

_WRITES = """
import os, pathlib, sys, time
from connector.storage import drafts
fd, draft = drafts.opened(pathlib.Path(sys.argv[1]))
os.write(fd, pathlib.Path(sys.argv[2]).read_bytes())
print(draft, flush=True)
time.sleep(60)
"""


def test_what_a_killed_backup_has_left_is_cleared_and_not_what_one_still_writes(tmp_path: Path) -> None:
    head = tmp_path / "head"
    head.write_bytes(gzip.compress(b'{"form":"kontor-archive","version":1}\n[1]\n', mtime=0)[:-12])
    command = [sys.executable, "-c", _WRITES, str(tmp_path / "a.archive"), str(head)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        draft = Path(writer.stdout.readline().strip())
        assert drafts.cleared(tmp_path) == ()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    (left,) = drafts.cleared(tmp_path)
    assert (left.path, left.byte_size, draft.exists()) == (draft, head.stat().st_size, False)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    archive = gzip.compress(b'{"form":"kontor-archive"}', mtime=0)
    kept = {
        "a.archive.part": archive,
        "a.archive.abcd1234.part": b"a letter",
        "b.archive.abcd1234.part": gzip.compress(b"other"),
    }
    for name, body in kept.items():
        (tmp_path / name).write_bytes(body)
        (tmp_path / name).chmod(0o600)
    shared = tmp_path / "c.archive.abcd1234.part"
    shared.write_bytes(archive)
    shared.chmod(0o644)
    (tmp_path / "d.archive.abcd1234.part").symlink_to(shared)
    os.mkfifo(tmp_path / "e.archive.abcd1234.part", 0o600)
    (tmp_path / "f.archive.abcd1234.part").mkdir()
    before = sorted(os.listdir(tmp_path))
    assert drafts.cleared(tmp_path) == ()
    assert sorted(os.listdir(tmp_path)) == before
    assert drafts.cleared(tmp_path / "none") == ()
    # one that was killed before it had written anything
    empty = tmp_path / "g.archive.abcd1234.part"
    empty.touch(0o600)
    assert [one.path for one in drafts.cleared(tmp_path)] == [empty]


def test_a_draft_can_be_had_nowhere_but_where_one_may_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be made"):
        drafts.opened(tmp_path / "none" / "a.archive")
