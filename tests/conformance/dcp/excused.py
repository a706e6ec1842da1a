"""What release 1.0.0-RC6 of the kit gets wrong in the documents that it makes itself, and the checks that are left out for it.

The product has no switch for any of this: the composition stands here, and the nodes that the kit talks to are the only ones that
run it. Every check left out is one line below; against correct documents the product's own tests hold it to each.
Mended in the kit at its tag v1.0.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connector import jose
from connector.identity import formats

_need_same = formats._need_same


def _any_context(tree: Mapping[str, Any], model: formats.Model) -> None:
    """Credentials have their own id in `@context`, presentations write `context`."""


def _any_type(tree: Mapping[str, Any], types: tuple[str, ...]) -> None:
    """Credentials have no type `VerifiableCredential`."""


def _any_subject(token: jose.Token, said: Mapping[str, str | None]) -> None:
    """The `sub` of a credential's token is the credential's id."""
    _need_same(token, {name: value for name, value in said.items() if name != "sub"})


LEFT_OUT: Final[Mapping[str, tuple[str, Callable[..., None]]]] = {
    "credentials and presentations name their data model in `@context`": ("_need_context", _any_context),
    "credentials have the type `VerifiableCredential`": ("_need_type", _any_type),
    "the `sub` of a credential's token is its subject": ("_need_same", _any_subject),
}


def names() -> tuple[str, ...]:
    """The checks that are left out, in words."""
    return tuple(LEFT_OUT)


def leave_out() -> None:
    """Compose the reader of credentials in this process without them."""
    for name, stand_in in LEFT_OUT.values():
        assert callable(getattr(formats, name)), "the product has no such check any more"
        setattr(formats, name, stand_in)
