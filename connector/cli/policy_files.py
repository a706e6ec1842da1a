"""Policies and requests in Turtle or JSON-LD, as the policy engine reads them.

What lives here: which node of a graph is the policy, its parents beside it, and what a request says. The engine itself knows no
RDF: a graph becomes the JSON-LD tree that `odrl.jsonld` reads. The state of the world is read in `policy_state`.
Source: ODRL Information Model 2.2, sections 2.1 to 2.3; ODRL Vocabulary & Expression 2.2, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from connector.cli.texts import json_object, read
from connector.errors import BadMessage, PolicyError

if TYPE_CHECKING:
    from connector import rdf
    from connector.odrl.model import Policy

_ODRL = "http://www.w3.org/ns/odrl/2/"
_XSD = "http://www.w3.org/2001/XMLSchema#"
_RULES = tuple(_ODRL + name for name in ("permission", "prohibition", "obligation"))
_KINDS = ("Policy", "Set", "Offer", "Agreement", "Ticket", "Assertion", "Privacy", "Request")
# what an asset or a party says of a policy, and what the policy then says of it (Information Model 2.2, 2.3)
_INFERRED = (("hasPolicy", "target"), ("assignerOf", "assigner"), ("assigneeOf", "assignee"))
_OWN_KEYS = frozenset({"action", "target", "party", "params", "claims", "now", "agreed_at"})
MAX_CHARACTERS = 1 << 20
"""Of a policy: as much as a message may have."""
MAX_WORDS = 10_000
MAX_VALUES = 20_000
"""Of a policy in Turtle, and of one in JSON-LD with contexts of its own, see `rdf.Bounds`: about a second at worst."""
_NO_PARENTS: Mapping[str, Policy] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A policy, and those that it may inherit from."""

    policy: Policy
    parents: Mapping[str, Policy] = field(default_factory=lambda: _NO_PARENTS)


def policy_in(path: Path) -> Family:
    """The policy in a file of Turtle or JSON-LD; where there are several, the one that no other refers to.

    Raises: PolicyError or BadMessage naming the file and what is wrong in it.
    """
    return policy_of(read(path), str(path))


def policy_of(text: str, where: str) -> Family:
    """The policy in a text of Turtle or JSON-LD, see `policy_in`."""
    from connector.odrl import jsonld

    graph = graph_of(text, where)
    if graph is None:
        return Family(policy=jsonld.read(json_object(text, Path(where)), where))
    return family_in(graph, where, is_request=False)


def graph_of(text: str, where: str) -> rdf.Graph | None:
    """The triples of a text; None for a JSON object that can be read as it stands."""
    from connector import rdf
    from connector.odrl.terms import PROPERTIES, nearest, stranger

    bounds = rdf.Bounds(max_words=MAX_WORDS, max_values=MAX_VALUES)
    if len(text) > MAX_CHARACTERS:
        raise PolicyError(f"a policy of more than {MAX_CHARACTERS} characters", where=where, mend="split it", flaw="too-large")
    if not text.lstrip().startswith("{"):
        return rdf.parse(text, where, bounds)
    tree = json_object(text, Path(where))
    context = tree.get("@context")
    own = [part for part in (context if isinstance(context, list) else [context]) if isinstance(part, dict)]
    if not own and "@graph" not in tree:
        return None
    dropped: list[str | None] = []
    try:
        # prefixes of its own: its identifiers are whole only after JSON-LD processing
        graph = rdf.from_json_ld(tree, where, dropped.append, bounds=bounds)
    except BadMessage:
        if "@graph" in tree:
            raise
        return None
    # the processor leaves out what no context defines, and that may have been a condition
    strange = stranger((name, "") for name in dropped if name is not None)
    if strange is not None:
        what = f"no context defines `{strange[:80]}`, and ODRL has no such property"
        raise PolicyError(what, where=where, mend=nearest(strange, PROPERTIES) or "define it in the `@context`")
    return graph


# --- from a graph


def family_in(graph: rdf.Graph, where: str, *, is_request: bool) -> Family:
    from connector import rdf
    from connector.odrl import jsonld

    asking = rdf.Iri(f"{_ODRL}Request")
    found = [
        node
        for node, row in graph.rows.items()
        if any(rule in row for rule in _RULES) or any(rdf.Iri(_ODRL + kind) in row.get(rdf.TYPE, ()) for kind in _KINDS)
    ]
    if is_request:
        found = [node for node in found if asking in graph.values(node, rdf.TYPE)] or found
    else:
        found = [node for node in found if asking not in graph.values(node, rdf.TYPE)]
    # its own `odrl:uid` refers to a policy, too
    below = {value for subject, _, value in graph.triples if value != subject}
    mains = [node for node in found if node not in below] or found
    what = "request" if is_request else "policy"
    if len(mains) != 1:
        names = ", ".join(f"`{getattr(node, 'text', '[]')}`" for node in mains[:5])
        said = f"{len(mains)} where one {what} belongs: {names}" if mains else f"no {what}"
        raise PolicyError(said, where=where, mend=f"put one odrl:{'Request' if is_request else 'Policy'} into the file")
    policies = {}
    for node in found:
        tree = _named(rdf.tree(graph, node), where)
        for link, part in _INFERRED:
            inferred = [
                {"@id": subject.text}
                for subject, to in graph.pairs(_ODRL + link)
                if to == node and isinstance(subject, rdf.Iri)
            ]
            if inferred:
                stated = tree.get(_ODRL + part, [])
                tree[_ODRL + part] = [*(stated if isinstance(stated, list) else [stated]), *inferred]
        policies[node] = jsonld.read(tree, "policy" if node == mains[0] else getattr(node, "text", "policy"))
    main = policies.pop(mains[0])
    return Family(policy=main, parents={policy.uid: policy for policy in policies.values() if policy.uid})


def _named(tree: Any, where: str) -> Any:
    """The tree with `odrl:uid` as the name of its node, which is what the standard's own JSON-LD context makes of it."""
    if isinstance(tree, list):
        return [_named(item, where) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "@value" in tree:
        return _plain(tree)
    found = {key: _named(value, where) for key, value in tree.items()}
    names = {name.get("@id") if isinstance(name, dict) else name for name in found.pop(f"{_ODRL}uid", [])} | {found.get("@id")}
    names -= {None}
    if len(names) > 1:
        raise PolicyError(f"a node with {len(names)} identifiers", where=where, mend="keep one, as node or as odrl:uid")
    if names and "@id" not in found:
        found = {"@id": names.pop(), **found}
    # one value as a value, so that a property is kept as JSON-LD writes it
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 and key[0] != "@" else value
        for key, value in found.items()
    }


def _plain(literal: Mapping[str, str]) -> Any:
    """A literal as JSON has it, where that has its type by itself."""
    text, kind = literal["@value"], literal.get("@type", "")
    if set(literal) == {"@value"}:
        return text
    if kind == f"{_XSD}boolean" and text in ("true", "false"):
        return text == "true"
    if (
        kind == f"{_XSD}integer"
        and text.isascii()
        and text.removeprefix("-").isdigit()
        and len(text) < 16
        and str(int(text)) == text
    ):
        return int(text)
    return dict(literal)
