"""Runs a program within the system calls that a systemd unit allows, as systemd would: an answer, or death, to all others.

    python confined.py CALLS COMMAND...     CALLS is a file that `allowed` made

`MemoryDenyWriteExecute` goes along where the kernel has it (6.3 and newer). It stands alone: the program's own Python runs it.
Source: systemd.exec(5), "System Call Filtering"; seccomp_rule_add(3), prctl(2).
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _NO_WRITE_AND_EXECUTE = 38, 65


def allowed(unit: Path, analyze: str) -> dict[str, object]:
    """What a unit says of system calls: those that it allows, and the number of the error that answers others, or none.

    `analyze` is the program `systemd-analyze`, which knows what its groups mean.
    """
    calls: set[str] = set()
    answer: int | None = None
    for line in unit.read_text().splitlines():
        name, _, words = line.partition("=")
        if name == "SystemCallErrorNumber":
            answer = getattr(errno, words)
        elif name == "SystemCallFilter":
            found = set().union(*(_members(word, analyze) for word in words.lstrip("~").split()))
            calls = calls - found if words.startswith("~") else calls | found
    return {"calls": sorted(calls), "answer": answer}


def _members(word: str, analyze: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run([analyze, "syscall-filter", word], capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in told.splitlines()[1:]]
    return set().union(*(_members(line, analyze) for line in lines if line and not line.startswith("#")))


def main(path: str, *command: str) -> None:
    """Become `command`, confined."""
    told = json.loads(Path(path).read_text())
    system, filters = ctypes.CDLL(None), ctypes.CDLL("libseccomp.so.2")
    filters.seccomp_init.restype = ctypes.c_void_p
    otherwise = _KILL if told["answer"] is None else _ERRNO | told["answer"]
    made = ctypes.c_void_p(filters.seccomp_init(ctypes.c_uint32(otherwise)))
    for name in told["calls"]:
        number = filters.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and filters.seccomp_rule_add(made, ctypes.c_uint32(_ALLOW), number, 0):
            raise SystemExit(f"no rule for `{name}`")
    system.prctl(_NO_WRITE_AND_EXECUTE, 1, 0, 0, 0)
    if system.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or filters.seccomp_load(made):
        raise SystemExit("this kernel takes no filter")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
