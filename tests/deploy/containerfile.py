"""A Containerfile as data: its stages, and what each instruction of a stage says. Enough of the format for ours.

Source: the Dockerfile reference; line continuations and heredocs are not used by us and refused here.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, kw_only=True)
class Stage:
    """One stage of a build."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """What each instruction `word` says, in order."""
        return [rest for found, rest in self.instructions if found == word]

    def last(self, word: str) -> str:
        """What the last one says: the one that holds."""
        return self.all(word)[-1]

    def words(self, word: str) -> list[str]:
        """The command of `ENTRYPOINT` or `CMD`, in its exec form."""
        return [str(part) for part in json.loads(self.last(word))]

    @property
    def environment(self) -> dict[str, str]:
        """What `ENV` sets."""
        return dict(part.split("=", 1) for line in self.all("ENV") for part in shlex.split(line))


def read(path: Path) -> list[Stage]:
    """The stages of the file, in order."""
    stages: list[Stage] = []
    given: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        assert not line.endswith("\\"), f"a continued line: {line}"
        word, _, rest = line.partition(" ")
        if word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            given[f"${{{name}}}"] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base=given.get(base, base), name=name))
        else:
            stages[-1].instructions.append((word, rest))
    return stages
