"""The laws of comparing policies, against 10,000 sampled requests for each pair of policies: slower than the suite may be.

python -m tests.odrl.laws                   40 pairs, 10,000 requests each
python -m tests.odrl.laws --pairs 400       more of them
python -m tests.odrl.laws --seed 7          other ones

For each pair: what is contained permits nothing more, and a no is shown by its witness; what is disjoint has no request in
common; what both permit is what their meet permits, when everything is judged. And of pairs whose rules count, histories of use:
what is contained grants nothing more at any step (`histories`). Exit code 1 at the first law that is broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from connector.cli.terms import vocabulary
from connector.odrl import jsonld
from connector.odrl.analyse.contain import Answer, Comparison, contains, disjoint
from connector.odrl.analyse.meet import meet
from connector.odrl.analyse.normal import named
from connector.odrl.compile import Compiled, compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.truth import DutyState, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl import histories
from tests.odrl import strategies as some
from tests.odrl.analyse import strategies as pairs_of

Ask = tuple[Request, World, Stage]
_HISTORIES = 6
# so many of each pair, and so many times as many pairs as there are pairs of which requests are asked


def sampled(rng: random.Random, count: int) -> list[Ask]:
    """So many requests over everything that the random policies speak of."""
    return [_ask(rng) for _ in range(count)]


def _ask(rng: random.Random) -> Ask:
    def maybe(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if rng.random() < 0.7}

    roles = [role for role in some.ROLES if rng.random() < 0.5]
    request = Request(
        action=rng.choice(some.ACTIONS),
        target=rng.choice(["urn:t1", "urn:t2", None]),
        party=rng.choice(["did:a", "did:b", None]),
        params=maybe(purpose=rng.choice(some.PURPOSES), spatial=rng.choice(some.REGIONS), resolution=rng.choice(some.NUMBERS)),
    )
    moment = some.START + timedelta(hours=12 * rng.randint(0, 60), microseconds=rng.choice([0, 0, -1, 1]))
    if rng.random() < 0.05:
        moment = moment.replace(year=rng.choice([1, 9999]))
    claims = maybe(
        region=rng.choice([rng.choice(some.REGIONS), rng.sample(some.REGIONS, 2)]),
        role=roles,
        level=rng.choice([1, "2", 3.5, "high", True]),
        securityLevel=rng.randint(0, 5),
    )
    world = World(
        now=moment,
        claims=claims,
        duties={key: rng.choice(list(DutyState)) for key in ("urn:d1", "urn:d2") if rng.random() < 0.6},
        agreed_at=rng.choice([None, some.START, some.START.replace(day=5)]),
        memberships=rng.choice(pairs_of.MEMBERSHIPS),
        taxonomies=rng.choice(pairs_of.TAXONOMIES),
    )
    return request, world, rng.choice(list(Stage))


class BrokenLaw(Exception):
    """A law that does not hold, with what shows it."""

    def __init__(self, law: str, first: dict[str, Any], second: dict[str, Any], ask: Ask | None) -> None:
        super().__init__(f"{law}\n  first: {first}\n  second: {second}\n  request: {ask}")


def checked(first: dict[str, Any], second: dict[str, Any], asks: Sequence[Ask], words: Vocabulary) -> Counter[str]:
    """How the questions about a pair are answered.

    Raises: BrokenLaw when an answer is not so.
    """
    terms, asked = jsonld.read(first), jsonld.read(second)
    wide, narrow = _agreed(terms, words), _agreed(asked, words)
    permits = [(_permits(wide, ask), _permits(narrow, ask)) for ask in asks]

    def require(holds: bool, law: str, ask: Ask | None = None) -> None:
        if not holds:
            raise BrokenLaw(law, first, second, ask)

    inside = contains(terms, asked, words)
    apart = disjoint(terms, asked, words)
    for (by_terms, by_asked), ask in zip(permits, asks, strict=True):
        if inside.answer is Answer.YES:
            require(by_terms or not by_asked, "what is contained permits nothing more", ask)
        if apart.answer is Answer.YES:
            require(not (by_terms and by_asked), "what is disjoint has nothing in common", ask)
    for found, wanted in ((inside, (False, True)), (apart, (True, True))):
        if found.witness is not None:
            shown = _witnessed(found)
            require((_permits(wide, shown), _permits(narrow, shown)) == wanted, "a witness shows what it is given for", shown)
    both = meet(terms, asked, words)
    if both.policy is not None:
        result = _agreed(both.policy, words)
        for request, world, _ in asks:
            # when data is asked for, everything is judged
            ask = (request, world, Stage.REQUEST)
            of_both = _permits(wide, ask) and _permits(narrow, ask)
            require(_permits(result, ask) is of_both, "the meet permits what both permit", ask)
    return Counter([f"contains: {inside.answer}", f"disjoint: {apart.answer}", f"meet: {'found' if both.policy else 'none'}"])


def _agreed(policy: Policy, words: Vocabulary) -> Compiled:
    return compile(named(policy), words, has_ledger=True)


def _permits(policy: Compiled, ask: Ask) -> bool:
    request, world, stage = ask
    return decide(policy, request, world, stage=stage).is_permitted


def _witnessed(found: Comparison) -> Ask:
    seen = found.witness
    assert seen is not None
    return seen.request, seen.world, seen.stage


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.odrl.laws", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=40, help="pairs of policies (40)")
    parser.add_argument("--requests", type=int, default=10_000, help="requests for each pair (10,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the random policies and requests (1)")
    asked = parser.parse_args(arguments)
    words = vocabulary()
    asks = sampled(random.Random(asked.seed), asked.requests)
    answers: Counter[str] = Counter()
    begin = time.perf_counter()

    @seed(asked.seed)
    @settings(
        max_examples=asked.pairs,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(pair=pairs_of.pairs())
    def hold(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
        answers.update(checked(*pair, asks, words))

    @seed(asked.seed)
    @settings(
        max_examples=asked.pairs * _HISTORIES,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(pair=histories.pairs())
    def go_on(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
        for number in range(_HISTORIES):
            step = histories.first_step_beyond(*pair, words, random.Random(number))
            if step is not None:
                raise BrokenLaw(f"what is contained grants nothing more, and does at step {step} of {number}", *pair, None)

    try:
        hold()
        go_on()
    except BrokenLaw as broken:
        print(broken, file=sys.stderr)
        return 1
    told = ", ".join(f"{name} {count}" for name, count in sorted(answers.items()))
    took = time.perf_counter() - begin
    print(f"laws hold: {asked.pairs} pairs, {asked.requests} requests each, {took:.0f} s; {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
