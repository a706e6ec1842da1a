"""What every section of the settings is made of: its model, secrets and files as values, ids and their limits.

Secrets may be written as `{ env = "NAME" }` or `{ file = "PATH" }`; nothing else in the product reads the environment.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

MOST_WAIT_S: Final = 10 * 365 * 86_400


class Section(BaseModel):
    """A table of the file: what it does not know is an error, and it never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def untouched(description: str | None = None, **said: Any) -> Any:
    """The default of a field that holds a section: a table that says `said`, judged as a part of the whole.

    A section that was made here would have its own check built at each start, beside that of the whole: a fifth of the start.
    """
    return Field(default_factory=lambda: dict(said), validate_default=True, description=description)


def _secret(value: object, info: ValidationInfo) -> object:
    """A text as it stands, or what the environment variable or file that it names holds."""
    if not isinstance(value, Mapping):
        return value
    match dict(value):
        case {"env": str(name)} if len(value) == 1:
            if name not in os.environ:
                raise ValueError(f"the environment variable `{name}` is not set")
            return os.environ[name]
        case {"file": str(path)} if len(value) == 1:
            try:
                return (_folder(info) / path).read_text().strip()
            except OSError as fault:
                raise ValueError(f"`{path}` cannot be read: {fault.strerror}") from fault
    raise ValueError('a secret is a text, `{ env = "NAME" }` or `{ file = "PATH" }`')


def _folder(info: ValidationInfo) -> pathlib.Path:
    return pathlib.Path((info.context or {}).get("folder", "."))


def _beside(path: pathlib.Path, info: ValidationInfo) -> pathlib.Path:
    """`path`, relative to the folder of the file that names it."""
    return (_folder(info) / path).absolute()


File = Annotated[pathlib.Path, AfterValidator(_beside)]
Secret = Annotated[str, BeforeValidator(_secret)]


def _participant_id(value: str) -> str:
    if 0 < len(value) <= 512 and not re.search(r"[\x00-\x20\x7f]", value):
        return value
    raise ValueError("an id has 1 to 512 characters and no blanks, such as `did:web:data.example.org`")


ParticipantId = Annotated[str, AfterValidator(_participant_id)]
