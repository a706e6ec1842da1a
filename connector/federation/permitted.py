"""What a viewer may do with what is offered: the policy engine, asked once for all products under equal terms.

What lives here: `Permitted`, which keeps the compiled terms, answers by digests of terms, which the index filters by, and shows of a
product the offers that are for its viewer. What does not: the engine (`connector.odrl`), and who may ask at all (`ledger.py`).

An offer grants nothing by itself: the question is what it would grant once agreed, at the moment of negotiating. Conditions that are
only looked at later (how often) are no reason to hide it; a condition on what is proven of the viewer is, and so is an end that has
passed. What the engine does not know it does not allow. Offers that differ only in what is looked at later are judged together.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from connector import strict
from connector.errors import BadMessage, PolicyError, TooLarge
from connector.federation.reading import addressed, addressees, last_part, readers, tree_of
from connector.federation.shapes import shaped
from connector.odrl import jsonld
from connector.odrl.compile import Compiled
from connector.odrl.compile import compile as compile_policy
from connector.odrl.evaluate import decide
from connector.odrl.model import Constraint, LogicalConstraint, Policy, PolicyType
from connector.odrl.truth import Decision, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from connector.ports.catalog import Product
from connector.ports.identity import Caller

_KEPT_ANSWERS: Final = 1_024
_KEPT_DIGESTS: Final = 1_000_000
"""In all answers that are kept: some tens of megabytes."""
_ASKED_AGAIN: Final = timedelta(minutes=5)
"""How long an answer is kept that the clock alone does not change."""
_MOST_KEPT_WORDS: Final = 64
_MOST_WORDS: Final = 200
"""Of one offer."""
TARGET: Final = "urn:kontor:product"
"""What the offers of equal terms are asked about: their own targets differ, and are left out of the terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody wants to do."""

    action: str = "use"
    purpose: str | None = None


@dataclass(slots=True)
class _Shape:
    """What many offers have in common, compiled once."""

    key: bytes
    compiled: Compiled
    actions: tuple[str, ...]
    """That its permissions name."""
    purposes: tuple[str, ...]
    users: int = 0


_Offer = tuple[bytes, datetime | None, frozenset[str]]
"""The shape of an offer, when it ends, and whom it names; nobody when it is for everybody."""


class Permitted:
    """Answers for terms, by their digest."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._terms: dict[str, tuple[_Offer, ...]] = {}
        self._offers: dict[str, bytes] = {}
        self._shapes: dict[bytes, _Shape] = {}
        self._answers: OrderedDict[tuple[object, ...], tuple[frozenset[str], datetime, datetime]] = OrderedDict()
        self._kept = 0
        self._named: dict[str, frozenset[str]] = {}
        """Of terms without an offer for everybody: whom their offers name."""
        self._for_some: set[str] = set()
        """Terms with an offer that names somebody, perhaps beside one for everybody."""
        self._open: frozenset[str] = frozenset()
        """The terms with an offer for everybody."""
        self.count = 0
        """How many different terms there are."""
        self._all_words: dict[str | None, tuple[Counter[str], Counter[str]]] = {}
        """What `named_words` says of all terms, by viewer."""

    def know(self, terms: Mapping[str, bytes], *, is_all: bool = True) -> None:
        """Take in terms: compile what is new, and where these are all that there are now forget what is not in use any more."""
        fresh = terms.keys() - self._terms.keys()
        gone = self._terms.keys() - terms.keys() if is_all else set()
        for digest in gone:
            for key, _, _ in self._terms.pop(digest):
                self._shapes[key].users -= 1
                if not self._shapes[key].users:
                    del self._shapes[key]
            del self._offers[digest]
            self._named.pop(digest, None)
            self._for_some.discard(digest)
        for digest in fresh:
            self._offers[digest] = terms[digest]
            trees = _read(terms[digest])
            offers = self._terms[digest] = tuple(self._shaped(trees))
            for key, _, _ in offers:
                self._shapes[key].users += 1
            # also of an offer that the engine cannot read: it is for those whom it names
            if any(addressees(tree) for tree in trees):
                self._for_some.add(digest)
            if (named := readers(trees)) is not None:
                self._named[digest] = named
        if fresh or gone:
            self._open, self.count = frozenset(self._terms.keys() - self._named.keys()), len(self._terms)
            self._answers.clear()
            self._all_words.clear()
            self._kept = 0

    def knows(self, digest: str) -> bool:
        """Whether these terms were taken in."""
        return digest in self._terms

    def offers(self, digest: str, viewer: str | None) -> tuple[Policy, ...]:
        """The offers behind terms, whole: those for everybody, and those that name `viewer`."""
        trees = [tree for tree in _read(self._offers.get(digest, b"[]")) if not (who := addressees(tree)) or viewer in who]
        return tuple(policy for number, tree in enumerate(trees) if (policy := _policy(tree, number)) is not None)

    def shown(self, product: Product, viewer: str | None) -> Product:
        """The product as `viewer` sees it: without the offers that name somebody else."""
        if product.entry.terms not in self._for_some:
            return product
        tree = addressed(tree_of(product), viewer)
        return replace(product, entry=replace(product.entry, tree=orjson.dumps(tree)))

    def addressed_to(self, viewer: str | None) -> frozenset[str]:
        """The terms that have an offer for everybody or for `viewer`; those whose offers all name somebody else are left out."""
        named = [digest for digest, who in self._named.items() if viewer in who]
        return self._open.union(named) if named else self._open

    def named(self, viewer: str | None) -> frozenset[str] | None:
        """The terms whose offers all name somebody, `viewer` among them; None where there are no such terms."""
        return frozenset(digest for digest, who in self._named.items() if viewer in who) if self._named else None

    def others(self, digests: frozenset[str]) -> frozenset[str]:
        """The terms that are not among these."""
        return frozenset(self._terms.keys() - digests)

    def hidden_from(self, viewer: str | None) -> frozenset[str]:
        """The terms whose offers all name somebody other than `viewer`."""
        return frozenset(digest for digest, who in self._named.items() if viewer not in who)

    def words(self, digest: str, viewer: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The actions and the purposes that the offers behind terms name, those for everybody and those for `viewer`."""
        shapes = [self._shapes[key] for key, _, who in self._terms.get(digest, ()) if not who or viewer in who]
        actions = dict.fromkeys(word for one in shapes for word in one.actions)
        return tuple(actions), tuple(dict.fromkeys(word for one in shapes for word in one.purposes))

    def named_words(self, counts: Mapping[str, int] | None, viewer: str | None) -> tuple[Counter[str], Counter[str]]:
        """How many products name each action, and each purpose, where there are so many under each of these terms; with None how many
        terms do: a word that one member has made up is not among the first."""
        who = viewer if self._for_some else None
        if counts is None and who in self._all_words:
            return self._all_words[who]
        actions: Counter[str] = Counter()
        purposes: Counter[str] = Counter()
        for digest, count in counts.items() if counts is not None else ((one, 1) for one in list(self._terms)):
            for words, said in zip((actions, purposes), self.words(digest, viewer), strict=True):
                for word in said:
                    words[word] += count
        if counts is None and len(self._all_words) < _MOST_KEPT_WORDS:
            self._all_words[who] = actions, purposes
        return actions, purposes

    def digests(self, question: Question, viewer: Caller | None, now: datetime) -> frozenset[str]:
        """The terms under which `viewer` may do it; None stands for somebody of whom nothing is proven."""
        claims = viewer.claims if viewer is not None else {}
        key = (question, viewer.id if viewer else "", orjson.dumps(dict(claims), option=orjson.OPT_SORT_KEYS, default=str))
        known = self._answers.get(key)
        if known is not None and known[1] <= now < known[2]:
            return known[0]
        until = now + _ASKED_AGAIN
        permitting: set[bytes] = set()
        for shape, it in list(self._shapes.items()):
            decision = self._decided(it.compiled, question, viewer, now)
            if decision.valid_until is not None and now < decision.valid_until < until:
                until = decision.valid_until
            if decision.is_permitted:
                permitting.add(shape)
        found: list[str] = []
        for digest, offers in list(self._terms.items()):
            for shape, ends, _ in offers:
                if shape in permitting and (ends is None or now < ends):
                    found.append(digest)
                    if ends is not None and ends < until:
                        until = ends
                    break
        answer = frozenset(found)
        self._answers[key] = (answer, now, until)
        self._kept += len(answer) - (len(known[0]) if known is not None else 0)
        while len(self._answers) > _KEPT_ANSWERS or self._kept > _KEPT_DIGESTS:
            _, (dropped, _, _) = self._answers.popitem(last=False)
            self._kept -= len(dropped)
        return answer

    def _decided(self, offer: Compiled, question: Question, viewer: Caller | None, now: datetime) -> Decision:
        params = {"purpose": question.purpose} if question.purpose is not None else {}
        party = viewer.id if viewer is not None else "urn:kontor:anybody"
        request = Request(action=question.action, target=TARGET, party=party, params=params)
        world = World(now=now, claims=viewer.claims if viewer is not None else {})
        return decide(offer, request, world, stage=Stage.NEGOTIATE, is_told=False)

    def _shaped(self, trees: Iterable[Any]) -> Iterator[_Offer]:
        """The shapes of the offers, compiled where they are new. An offer that the engine cannot read allows nothing."""
        for number, tree in enumerate(trees):
            shape, ends = shaped(tree, self._vocabulary) if isinstance(tree, dict) else (tree, None)
            key = orjson.dumps(shape, option=orjson.OPT_SORT_KEYS)
            if key not in self._shapes:
                policy = _policy(shape, number)
                if policy is None:
                    continue
                try:
                    compiled = compile_policy(replace(policy, type=PolicyType.AGREEMENT), self._vocabulary)
                except PolicyError:
                    continue
                actions = dict.fromkeys(action.name for rule in policy.permissions for action in rule.actions)
                purposes = dict.fromkeys(word for rule in policy.permissions for word in _purposes(rule.constraints))
                self._shapes[key] = _Shape(key, compiled, tuple(actions)[:_MOST_WORDS], tuple(purposes)[:_MOST_WORDS])
            yield self._shapes[key].key, ends, addressees(tree)


def _read(offers: bytes) -> list[Any]:
    """The offers of terms; none when they are beyond what the engine may be asked: their product is still found."""
    try:
        trees = strict.scan(offers, strict.Limits(max_bytes=1 << 20))
    except (BadMessage, TooLarge):
        return []
    return trees if isinstance(trees, list) else []


def _policy(tree: Any, number: int) -> Policy | None:
    try:
        return jsonld.read({"@type": "Offer", "@id": f"urn:kontor:offer:{number}", "target": TARGET, **tree}, "offer")
    except (PolicyError, TypeError):
        return None


def _purposes(constraints: Iterable[Any]) -> Iterator[str]:
    for one in constraints:
        if isinstance(one, LogicalConstraint):
            yield from _purposes(one.members)
        elif isinstance(one, Constraint) and last_part(one.left) == "purpose":
            yield from (value.text for value in one.right)
