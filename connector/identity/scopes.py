"""Scopes: which credentials a verifier asks for, and an access token grants.

What lives here: `Scope`, `parse`, `parse_all`, `covered`. Pure.
What does not: who may ask for what (the holder's service), and what is asked for with which message (settings).
Source: DCP 1.0, section 5.4.1.2 ("Scopes"). In the field an operation follows the discriminator (`:read`); it is optional here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from connector import strict
from connector.errors import BadMessage

_MOST_SCOPES: Final = 64
_MOST_CHARACTERS: Final = 512


class By(StrEnum):
    """What the discriminator of a scope names."""

    TYPE = "type"
    ID = "id"


ALIASES: Final[Mapping[str, By]] = MappingProxyType(
    {
        "org.eclipse.dspace.dcp.vc.type": By.TYPE,
        "org.eclipse.dspace.dcp.vc.id": By.ID,
        "org.eclipse.edc.vc.type": By.TYPE,
        "org.eclipse.tractusx.vc.type": By.TYPE,
    }
)
"""Those of the specification, of EDC's wallet, and of Tractus-X."""

_READS: Final = ("read", "*", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One scope that lets credentials be read."""

    by: By
    value: str
    """The type, or the id, without an operation."""
    text: str
    """As it was written."""

    def matches(self, types: Iterable[str], id_: str | None) -> bool:
        """Whether a credential is one that this scope means: by the whole name, never a part of it."""
        return self.value == id_ if self.by is By.ID else self.value in types


def parse(text: str, aliases: Mapping[str, By] = ALIASES) -> Scope:
    """The scope that `alias:discriminator[:operation]` means.

    Raises: BadMessage for an unknown alias, no discriminator, or an operation that does not read.
    """
    if len(text) > _MOST_CHARACTERS or not text.isascii() or not text.isprintable() or " " in text:
        raise _unreadable(text, "it has characters that no scope has, or is too long")
    alias, _, rest = text.partition(":")
    by = aliases.get(alias)
    if by is None:
        raise _unreadable(text, "its alias is not known here", mend=f"known here: {', '.join(f'`{one}`' for one in aliases)}")
    value, colon, operation = rest.rpartition(":")
    if not colon:
        value = rest
    elif operation not in _READS:
        # an id may hold colons itself (`urn:uuid:...`), a type may not
        if by is By.TYPE:
            raise _unreadable(
                text, f"its operation {strict.shown(operation)} does not read", mend="use `read`, or leave it out"
            )
        value = rest
    if not value or (by is By.TYPE and ":" in value):
        raise _unreadable(text, "it names no credential", mend="write `alias:discriminator`")
    return Scope(by=by, value=value, text=text)


def parse_all(scopes: object, aliases: Mapping[str, By] = ALIASES) -> tuple[Scope, ...]:
    """The scopes in a list of texts, or in one text with blanks between them; at least one.

    Raises: BadMessage.
    """
    texts = scopes.split() if isinstance(scopes, str) else scopes
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(one, str) for one in texts):
        raise BadMessage("there is no scope", where="scope", mend="name at least one, as a list of texts")
    if len(texts) > _MOST_SCOPES:
        raise BadMessage(f"there are {len(texts)} scopes", where="scope", mend=f"ask for at most {_MOST_SCOPES}")
    return tuple(parse(one, aliases) for one in dict.fromkeys(texts))


def covered(asked: Sequence[Scope], granted: Sequence[Scope]) -> tuple[Scope, ...]:
    """Those of `asked` that `granted` means too: asking for more than was granted gets less, not an error (DCP 1.0.1, 5.4.1)."""
    known = {(scope.by, scope.value) for scope in granted}
    return tuple(scope for scope in asked if (scope.by, scope.value) in known)


def write(type_: str, alias: str = "org.eclipse.dspace.dcp.vc.type", operation: str = "") -> str:
    """The scope for a type of credential, as a trust framework wants it spelled."""
    return f"{alias}:{type_}:{operation}" if operation else f"{alias}:{type_}"


def _unreadable(text: str, what: str, mend: str = "") -> BadMessage:
    return BadMessage(f"scope {strict.shown(text)} cannot be granted: {what}", where="scope", mend=mend)
