"""The SQL of the adapters, read from the files beside this one: named statements, and migrations in order.

`sql/DIALECT/queries.sql` holds every statement under a line `-- name: NAME`; `sql/DIALECT/NNNN_what.sql` brings the schema
from version NNNN - 1 to NNNN. What does not live here: running any of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema."""

    version: int
    """The schema's version after it."""
    name: str
    script: str


def statements(dialect: str) -> Mapping[str, str]:
    """The named statements of `dialect`."""
    text = (resources.files(__package__) / "sql" / dialect / "queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return MappingProxyType({name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)})


def migrations(dialect: str) -> tuple[Migration, ...]:
    """The migrations of `dialect`, in the order in which they are run."""
    found = []
    for file in (resources.files(__package__) / "sql" / dialect).iterdir():
        if match := _MIGRATION.fullmatch(file.name):
            found.append(Migration(version=int(match[1]), name=file.name, script=file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))
