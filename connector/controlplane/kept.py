"""A policy as the node keeps it for deciding: compiled, with what the use cases want to know of it besides.

What lives here: what a policy asks of the usage ledger, which rules a permitted act is a use of, and how many are kept. Nothing waits here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from connector.odrl import canonical, enforce
from connector.odrl.compile import Compiled, CompiledDuty
from connector.odrl.compile import compile as compile_policy
from connector.odrl.cycles import FREQUENCY, Cycle
from connector.odrl.duties import duties_of, prices, with_consequences
from connector.odrl.expand import rule_key
from connector.odrl.ledger import period_of
from connector.odrl.model import Policy, PolicyType
from connector.odrl.premises import Atom, atoms
from connector.odrl.truth import Decision
from connector.odrl.vocabulary import SourceKind, Vocabulary

_MOST = 500
"""Policies at once: some 10 kB each. One that comes back after so many others is read again, in about a millisecond."""
_MOST_WORDS = 64
_CONSENT, _TIME = "obtainConsent", "meteredTime"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One policy, ready to be asked."""

    policy: Policy
    """As it was written."""
    compiled: Compiled

    @cached_property
    def digest(self) -> str:
        """The digest of its canonical form."""
        return canonical.digest(self.policy)

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The keys under which the use of its permissions and prohibitions is recorded."""
        return tuple(dict.fromkeys(rule_key(one.atomic.rule) for one in self.compiled.rules))

    @cached_property
    def duties(self) -> tuple[CompiledDuty, ...]:
        """Its duties, consequences included."""
        return tuple(with_consequences(duties_of(self.compiled)))

    @cached_property
    def prices(self) -> Mapping[str, tuple[tuple[str, Decimal], ...]]:
        """By duty key: currency and amount that fulfil it."""
        found = {duty.key: prices(duty, self.compiled.vocabulary) for duty in self.duties}
        return {key: price for key, price in found.items() if price}

    @cached_property
    def consents(self) -> frozenset[str]:
        """Keys of the duties that a consent fulfils."""
        return frozenset(duty.key for duty in self.duties if any(action.name == _CONSENT for action in duty.duty.actions))

    @cached_property
    def asks_ledger(self) -> bool:
        """Whether a decision can depend on what is on record; if not, uses are recorded after the fact."""
        return bool(self.duties) or any(
            one.operand is not None and one.operand.sources[0].kind is SourceKind.LEDGER for one in self._atoms
        )

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """The periods in which it has uses counted anew."""
        rated = (one for one in self._atoms if one.operand is not None and one.operand.on_record == FREQUENCY)
        return tuple(dict.fromkeys(cycle for one in rated if (cycle := period_of(one.constraint)) is not None))

    @cached_property
    def asks_time(self) -> bool:
        """Whether it limits the time of use, so that time has to be watched while data flows."""
        return any(one.operand is not None and one.operand.name == _TIME for one in self._atoms)

    @cached_property
    def asks_each_time(self) -> bool:
        """Whether a decision once made can change by anything but the clock: by what is on record, or is attested about a party."""
        by_others = (SourceKind.LEDGER, SourceKind.CLAIM, SourceKind.COMPUTED)
        return self.asks_ledger or any(one.operand is None or one.operand.sources[0].kind in by_others for one in self._atoms)

    @cached_property
    def is_steady(self) -> bool:
        """Whether the same question has the same answer until the clock changes it (`Decision.valid_until`): nothing on record
        decides, and nothing that a function of the operator's computes, which may look at anything."""
        return not (self.asks_ledger or self.cycles) and not any(
            one.operand is None or any(source.compute is not None for source in one.operand.sources) for one in self._atoms
        )

    @cached_property
    def asks_target(self) -> bool:
        """Whether a decision can depend on which dataset is asked about; if not, one holds for all of them."""
        trees = (tree for duty in self.duties for tree in duty.trees)
        every = (*self._atoms, *(atom for tree in trees for atom in atoms(tree)))
        # whoever computes a value is given the whole request
        is_computed = any(source.compute for one in every if one.operand is not None for source in one.operand.sources)
        return is_computed or any(one.atomic.target is not None for one in self.compiled.rules)

    @property
    def _atoms(self) -> Iterator[Atom]:
        for rule in self.compiled.rules:
            trees = (*rule.trees, *rule.about, *(tree for duty in rule.duties for tree in duty.trees))
            yield from (atom for tree in trees for atom in atoms(tree))
        yield from (atom for duty in self.compiled.obligations for tree in duty.trees for atom in atoms(tree))

    def used(self, decision: Decision, action: str) -> tuple[str, ...]:
        """The keys of the rules that what `decision` permits is a use of: the permission that grants it, and every prohibition
        of the same action: what is forbidden from the eleventh time on is counted, too."""
        words = self.compiled.vocabulary
        known = words.action(action)
        meeting = words.forbidden_by[known.name] if known is not None else ()
        return tuple(
            dict.fromkeys(
                rule_key(one.atomic.rule)
                for one in self.compiled.rules
                if (
                    one.atomic.rule.where == decision.rule if one.is_permission else one.action is None or one.action in meeting
                )
            )
        )


def kept(policy: Policy, vocabulary: Vocabulary) -> Kept:
    """`policy` as it would be once agreed: an offer grants nothing by itself, and the question is what it would grant.

    Raises: PolicyError when it expands beyond all measure.
    """
    agreed = replace(policy, type=PolicyType.AGREEMENT)
    return Kept(policy=policy, compiled=compile_policy(agreed, vocabulary, has_ledger=True))


class ReadPolicies:
    """Policies that were read already, those asked for of late; each is compiled once for its key while it is here."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._marked: OrderedDict[tuple[frozenset[str], frozenset[str]], Vocabulary] = OrderedDict()

    def found(self, key: str) -> Kept | None:
        """The policy of `key`, or None."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def compiled(self, key: str, policy: Policy, legal_only: Iterable[str] = (), theirs: Iterable[str] = ()) -> Kept:
        """`policy`, compiled once for each `key`; the operands `legal_only` and `theirs` are agreed, and not judged here."""
        found = self.found(key)
        if found is None:
            found = self._kept[key] = kept(policy, self._words(frozenset(legal_only), frozenset(theirs)))
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return found

    def _words(self, law: frozenset[str], theirs: frozenset[str]) -> Vocabulary:
        """The vocabulary for policies that leave operands to the law and to others: one for all that leave the same, as each is
        a copy of the whole."""
        if not law and not theirs:
            return self._vocabulary
        found = self._marked.get((law, theirs))
        if found is None:
            found = self._marked[law, theirs] = enforce.marked(self._vocabulary, law - theirs, theirs)
            if len(self._marked) > _MOST_WORDS:
                self._marked.popitem(last=False)
        return found
