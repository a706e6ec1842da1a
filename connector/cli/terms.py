"""A policy by name or by file: of the library that ships with the product, or written by the operator (YAML or JSON).

What lives here: finding and opening the file. What its words mean is the policy engine's business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import ConfigurationError, PolicyError

if TYPE_CHECKING:
    from connector.odrl.model import Policy
    from connector.odrl.vocabulary import Vocabulary

_SUFFIXES = (".yaml", ".yml", ".json", ".jsonld")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A policy, ready for the engine and for the operator API."""

    name: str
    """Its id on the node: the file's name without suffix, or its name in the library."""
    policy: Policy
    tree: dict[str, Any]
    """ODRL as JSON, spelled as in offers of the Dataspace Protocol."""


def is_file(named: str) -> bool:
    """True when `named` means a file of the operator, not a name in the library."""
    return named.endswith(_SUFFIXES) or ("/" in named and Path(named).exists())


def vocabulary() -> Vocabulary:
    """What the words of policies mean: ODRL and the profiles that ship with the product."""
    from connector.odrl.vocabulary import load as loaded
    from connector.packaged import folder, vocab_file

    profiles = sorted((folder("vocab") / "profiles").glob("*.json"))
    return loaded(*(json.loads(path.read_text(encoding="utf-8")) for path in (vocab_file("odrl.json"), *profiles)))


def load(named: str) -> Loaded:
    """The policy in the file `named`, or of that name in the library.

    Raises: ConfigurationError when there is none; PolicyError with file and place when it means nothing.
    """
    from connector.odrl import jsonld, yamlfmt
    from connector.odrl.wire import write
    from connector.packaged import policy_file, policy_names

    if not is_file(named) and named not in policy_names():
        known = ", ".join(f"`{name}`" for name in policy_names())
        raise ConfigurationError("there is no such policy", where=named, mend=f"name a file, or one of the library: {known}")
    path = Path(named) if is_file(named) else policy_file(named)
    text = read(path)
    if path.suffix not in (".json", ".jsonld"):
        policy = yamlfmt.read(text, vocabulary(), str(path))
        return Loaded(name=path.stem, policy=policy, tree=write(policy))
    tree = json_object(text, path)
    return Loaded(name=path.stem, policy=jsonld.read(tree, str(path)), tree=tree)


def read(path: Path) -> str:
    """The text of a file of the operator.

    Raises: ConfigurationError when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        said = getattr(fault, "strerror", None) or str(fault)
        raise ConfigurationError(
            f"the file cannot be read: {said}", where=str(path), mend="name a readable text file"
        ) from fault


def json_object(text: str, path: Path) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises: PolicyError when it is none.
    """
    try:
        tree = json.loads(text)
    except ValueError as fault:
        raise PolicyError(f"this is no JSON: {fault}", where=str(path), mend="mend it, or write it as YAML") from fault
    if not isinstance(tree, dict):
        raise PolicyError("this is no JSON object", where=str(path), mend="begin it with `{`")
    return tree
