"""A policy by name or by file: of the library that ships with the product, or written by the operator (YAML, JSON or Turtle).

What lives here: finding and opening the file. What its words mean is the policy engine's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.cli.texts import json_object, read
from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from connector.odrl.model import Policy
    from connector.odrl.profile import Profile
    from connector.odrl.tds import Dictionary
    from connector.odrl.vocabulary import Vocabulary

_GRAPHS = (".ttl", ".turtle", ".nt")
OWN: ContextVar[Path | None] = ContextVar("kontor.policy.config", default=None)
"""The configuration whose profiles and entry points count besides what ships with the product; each command line sets it."""
_SUFFIXES = (".yaml", ".yml", ".json", ".jsonld", *_GRAPHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A policy, ready for the engine and for the operator API."""

    name: str
    """Its id on the node: the file's name without suffix, or its name in the library."""
    policy: Policy
    tree: dict[str, Any]
    """ODRL as JSON, spelled as in offers of the Dataspace Protocol; all of ODRL where that cannot hold it."""
    parents: Mapping[str, Policy] = field(default_factory=dict)
    """Other policies in the same file, by identifier: those that it may inherit from."""


def is_file(named: str) -> bool:
    """True when `named` means a file of the operator, not a name in the library."""
    return named.endswith(_SUFFIXES) or ("/" in named and Path(named).exists())


def vocabulary() -> Vocabulary:
    """What the words of policies mean: ODRL, the profiles that ship with the product, and those of the configuration that
    `kontor policy --config` names.

    Raises: ConfigurationError when a profile or an entry point of it is not there, or means nothing.
    """
    from connector import plugins
    from connector.odrl.vocabulary import load as loaded
    from connector.packaged import folder, vocab_file

    own = OWN.get()
    paths = [vocab_file("odrl.json"), *sorted((folder("vocab") / "profiles").glob("*.json"))]
    names: tuple[str, ...] = ()
    if own is not None:
        from connector.settings import read as configured

        settings = configured(own)
        paths += settings.profiles
        names = settings.plugins
    return loaded(*(json_object(read(path), path) for path in paths), functions=plugins.load(names)[plugins.OPERANDS])


def profile(named: str, words: Vocabulary) -> Profile:
    """What policies under a profile may say: one that ships with the product, by name, or in a file of the operator.

    Raises: ConfigurationError when there is none, or it means nothing.
    """
    from connector.odrl.profile import load as loaded
    from connector.packaged import folder

    shipped = {path.stem: path for path in sorted((folder("vocab") / "profiles").glob("*.json"))}
    if named not in shipped and not is_file(named):
        known = ", ".join(f"`{name}`" for name in shipped)
        raise ConfigurationError("there is no such profile", where=named, mend=f"name a file, or one of {known}")
    path = shipped.get(named, Path(named))
    return loaded(json_object(read(path), path), words)


def contract_dictionary(words: Vocabulary) -> Dictionary:
    """The names and codes of digital contracts."""
    from connector.odrl import tds
    from connector.packaged import vocab_file

    path = vocab_file("profiles/tds.json")
    return tds.load(json_object(read(path), path), words)


def load(named: str) -> Loaded:
    """The policy in the file `named`, or of that name in the library.

    Raises: ConfigurationError when there is none; PolicyError with file and place when it means nothing.
    """
    from connector.cli.policy_files import policy_in
    from connector.odrl import yamlfmt
    from connector.packaged import policy_file, policy_names

    if not is_file(named) and named not in policy_names():
        known = ", ".join(f"`{name}`" for name in policy_names())
        raise ConfigurationError("there is no such policy", where=named, mend=f"name a file, or one of the library: {known}")
    path = Path(named) if is_file(named) else policy_file(named)
    text = read(path)
    # expanded JSON-LD is an array; an empty one is nothing
    if path.suffix in _GRAPHS or (
        path.suffix in (".json", ".jsonld") and text.strip().startswith("[") and text.strip() != "[]"
    ):
        return _from_graph(path)
    if path.suffix not in (".json", ".jsonld"):
        policy = yamlfmt.read(text, vocabulary(), str(path))
        return Loaded(name=path.stem, policy=policy, tree=_tree(policy))
    tree = json_object(text, path)
    if "contractId" in tree:
        # a digital contract of the trusted data space
        from connector.odrl import tds

        policy = tds.read(tree, contract_dictionary(vocabulary()), str(path))
        return Loaded(name=path.stem, policy=policy, tree=_tree(policy))
    family = policy_in(path)
    return Loaded(name=path.stem, policy=family.policy, tree=tree, parents=family.parents)


def whole(loaded: Loaded) -> Policy:
    """The policy that holds, with all that it inherits; as it is where a parent is not in its file, so that nothing is guessed."""
    from connector.odrl import inherit
    from connector.odrl.model import Policy

    found = inherit.whole(loaded.policy, loaded.parents)
    return found if isinstance(found, Policy) else loaded.policy


def _from_graph(path: Path) -> Loaded:
    """The policy in a file of Turtle or expanded JSON-LD."""
    from connector.cli.policy_files import policy_in

    family = policy_in(path)
    return Loaded(name=path.stem, policy=family.policy, tree=_tree(family.policy), parents=family.parents)


def _tree(policy: Policy) -> dict[str, Any]:
    """The policy as it is sent; all of ODRL where the protocol cannot hold it."""
    from connector.odrl.wire import Shape, cannot_travel, write

    is_narrow = all(found.severity != "error" for found in cannot_travel(policy))
    return write(policy, Shape.DSP if is_narrow else Shape.ODRL)
