"""Damaged policies: none hangs, crashes or permits by accident, whatever language it is written in.

python -m tests.odrl.fuzz                   5,000 damaged policies
python -m tests.odrl.fuzz --count 100000    more of them
python -m tests.odrl.fuzz --seed 7          other ones

Policies in JSON-LD, YAML and Turtle are damaged as trees (values, keys, types, nesting) and as texts (bytes, brackets, whole
parts doubled), and a few monsters are always among them. Each is read, compiled, asked, written and compared with what it was made
of. It may be refused with an error of ours; anything else that is raised, and anything that takes longer than its limit, is a
finding. A policy whose every permission asks for a proof that nobody has is damaged inside that condition as well, and the word
`constraint` is written in ways that other readers may follow: it must never permit.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from types import FrameType
from typing import Any

import yaml

from connector.cli.policy_files import policy_of
from connector.cli.policy_turtle import turtle
from connector.cli.terms import vocabulary
from connector.errors import KontorError
from connector.odrl import canonical, compare, jsonld, yamlfmt
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.jsonld import Shape
from connector.odrl.model import Policy
from connector.odrl.truth import Decision, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.monsters import GUARD as _GUARD
from tests.odrl.monsters import heavy, monsters

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_LIMIT_S = 20.0
# of CPU time for all that is done with one input
_HEAVY_S = 2.0
# of CPU time to read and compile the heaviest that may be read; on an idle machine none takes a second
_TREE: dict[str, Any] = {
    "@context": "http://www.w3.org/ns/odrl.jsonld",
    "@type": "Agreement",
    "@id": "urn:p",
    "profile": "https://w3id.org/kontor/profile/base",
    "conflict": "prohibit",
    "target": "urn:t1",
    "permission": [
        {"@id": "urn:r1", "action": "use", "constraint": [_GUARD, {"or": [_GUARD, {**_GUARD, "operator": "isAnyOf"}]}]},
        {
            "action": [{"rdf:value": {"@id": "odrl:print"}, "refinement": [{**_GUARD, "unit": "urn:u", "status": 3}]}],
            "assignee": {"@type": "PartyCollection", "source": "urn:g", "refinement": [_GUARD]},
            "constraint": [{"xone": [_GUARD, {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2020-01-01Z"}]}],
            "duty": [{"action": "attribute", "consequence": [{"action": "compensate"}]}],
        },
    ],
    "prohibition": [{"action": "sell", "remedy": [{"action": "inform"}]}],
    "obligation": [
        {"action": "delete", "constraint": [{"leftOperand": "elapsedTime", "operator": "eq", "rightOperand": "P30D"}]}
    ],
}
_YAML = """
policy: urn:p
type: agreement
target: urn:t1
permit:
  - action: use
    when:
      - membership == active
      - any: [membership == active, "membership in [active, a b]"]
  - {action: {print: [percentage <= 50]}, when: [membership == active], duty: [{action: attribute}]}
forbid:
  - {action: sell, remedy: [inform]}
"""
_JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        10**30,
        1e308,
        -0.0,
        "",
        " ",
        "\0",
        "\ud800",
        "active",
        "use",
        "urn:x",
        "_:b",
        "@id",
        "P1D",
        "and",
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"@id": ""},
        {"@value": "active"},
        {"@list": []},
        {"@id": "active"},
        {"@set": ["active"]},
        {"and": []},
    ),
    *(
        "9999-12-31",
        "9999-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01+14:00",
        "1e-999",
        "10." + "0" * 30 + "1",
    ),
    *("2026-13-45", "9999-12-31T23:59:60Z", "P999999Y", "1e999", "∞", "أ", "a" * 5_000, "${x}", "{{x}}", "__import__('os')"),
)
_WORDS = (
    *(
        "@id",
        "@type",
        "@value",
        "@list",
        "@context",
        "@graph",
        "@reverse",
        "uid",
        "type",
        "permission",
        "prohibition",
        "action",
    ),
    *(
        "constraint",
        "and",
        "or",
        "xone",
        "andSequence",
        "leftOperand",
        "operator",
        "rightOperand",
        "rightOperandReference",
        "duty",
        "remedy",
        "consequence",
        "obligation",
        "assignee",
        "compensatingParty",
    ),
    *(
        "refinement",
        "source",
        "unit",
        "status",
        "dataType",
        "inheritFrom",
        "conflict",
        "profile",
        "dct:isReplacedBy",
        "x:y",
        "",
    ),
)


_CONSTRAINTS: tuple[tuple[str, Any], ...] = (
    *((name, None) for name in ("constraint", "odrl:constraint", "http://www.w3.org/ns/odrl/2/constraint")),
    *((name, None) for name in ("https://www.w3.org/ns/odrl/2/constraint", "https://w3id.org/gaia-x/ovc/1/constraint")),
    *((name, None) for name in ("constraints", "Constraint", "odrl:Constraint", "x:constraint", "w:odrl/2/constraint")),
    ("c", {"c": "odrl:constraint"}),
    ("c", {"c": {"@id": "o:constraint"}, "o": "http://www.w3.org/ns/odrl/2/"}),
    ("constraint", {"constraint": None}),
    ("constraint", {"constraint": "urn:x"}),
    ("q:constraint", {"q": "http://www.w3.org/ns/odrl/2/"}),
)
"""Ways to write the word, each with a context that goes with it."""


class FindingError(Exception):
    """What a damaged policy did that it must not do."""


# --- damage


def damaged(tree: Any, rng: random.Random, times: int) -> Any:
    """A tree with so many places of it changed."""
    found = copy.deepcopy(tree)
    for _ in range(times):
        places = list(_places(found))
        if not places:
            return rng.choice(_JUNK)
        holder, key = rng.choice(places)
        _damage(holder, key, rng)
    return found


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    rows = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in rows:
        yield tree, key
        yield from _places(value)


def _damage(holder: Any, key: Any, rng: random.Random) -> None:
    kind = rng.randrange(7)
    if kind <= 1:
        holder[key] = copy.deepcopy(rng.choice(_JUNK))
    elif kind == 2:
        holder[key] = [copy.deepcopy(holder[key])] * rng.choice([1, 2, 3])
    elif kind == 3:
        value = holder[key]
        for _ in range(rng.choice([1, 5, 40, 90])):
            value = {rng.choice(["and", "or", "xone", "@list", "constraint"]): [value]}
        holder[key] = value
    elif kind == 4 and isinstance(holder, dict):
        holder[rng.choice(_WORDS)] = holder.pop(key)
    elif kind == 5 and isinstance(holder, dict):
        holder[rng.choice(_WORDS)] = copy.deepcopy(rng.choice(_JUNK))
    else:
        del holder[key]


def scratched(text: str, rng: random.Random) -> str:
    """A text with bytes of it changed, dropped or doubled."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(text) + 1)
        upto = min(len(text), at + rng.choice([1, 1, 3, 30]))
        piece = rng.choice(
            [
                "",
                text[at:upto] * 2,
                rng.choice("{}[]<>:;,.\"'\\@#&*!|%^ \n\t\0é"),
                rng.choice(["<<", "- - -", "&a ", "*a", "!!python/object"]),
            ]
        )
        text = text[:at] + piece + text[upto:]
    return text


# --- what is asked of each


def read(language: str, text: str, words: Vocabulary) -> Policy:
    """The policy that a text of one of the languages spells.

    Raises: an error of ours when it spells none.
    """
    if language == "yaml":
        return yamlfmt.read(text, words, "fuzz.yaml")
    return policy_of(text, "fuzz").policy


def asked(policy: Policy, words: Vocabulary) -> list[Decision]:
    """The policy put through everything that the product does with one; its decisions about someone of whom nothing is known.

    Raises: an error of ours when it expands beyond all measure.
    """
    compiled = compile(policy, words)
    requests = [Request(action="use", target="urn:t1", party="did:a"), Request(action="print")]
    decisions = [decide(compiled, request, World(now=_NOW), trace=True) for request in requests]
    decide(compiled, requests[0], World(now=_NOW), stage=Stage.NEGOTIATE)
    canonical.digest(policy)
    jsonld.read(jsonld.write(policy, Shape.ODRL))
    for one, other in ((policy, policy), (policy, _whole()), (_whole(), policy)):
        compare.within(one, other, words)
    with contextlib.suppress(KontorError):
        # what has no name in a graph is refused
        turtle(policy)
    return decisions


@cache
def _whole() -> Policy:
    return jsonld.read(_TREE)


def is_by_accident(decision: Decision) -> bool:
    """Whether a permit rests on nothing that is known: every proof was damaged, and none was given."""
    return decision.is_permitted and not any(reason.value is not None for reason in decision.reasons)


def check(language: str, text: str, words: Vocabulary, *, is_guarded: bool) -> str:
    """What became of one damaged policy: `refused`, or what was decided.

    Raises: FindingError when it did what it must not do.
    """
    try:
        with _within(_LIMIT_S):
            decisions = asked(read(language, text, words), words)
    except KontorError:
        return "refused"
    except Exception as fault:
        raise FindingError(f"{type(fault).__name__}: {str(fault)[:200]}") from fault
    if is_guarded and any(map(is_by_accident, decisions)):
        raise FindingError("it permits by accident")
    return "permitted" if decisions[0].is_permitted else "denied"


@contextlib.contextmanager
def _within(limit_s: float) -> Iterator[None]:
    """Whatever runs longer is broken off: the point is to find what never ends."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise FindingError(f"it takes longer than {limit_s:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def inputs(rng: random.Random, count: int) -> Iterator[tuple[str, str, bool]]:
    """Damaged policies: language, text, and whether only the condition was damaged, so that it must not permit."""
    valid = turtle(jsonld.read({key: value for key, value in _TREE.items() if key != "@context"}))
    yaml_tree = yaml.safe_load(_YAML)
    makers: tuple[Callable[[], tuple[str, str, bool]], ...] = (
        lambda: ("json", _json(damaged(_TREE, rng, rng.choice([1, 1, 2, 4]))), False),
        lambda: ("json", _json(_guarded(rng)), True),
        lambda: ("json", _json(_renamed(rng)), True),
        lambda: ("json", scratched(json.dumps(_TREE), rng), False),
        lambda: ("yaml", json.dumps(damaged(yaml_tree, rng, rng.choice([1, 1, 2])), indent=1), False),
        lambda: ("yaml", scratched(_YAML, rng), False),
        lambda: ("turtle", scratched(valid, rng), False),
    )
    for _ in range(count):
        yield rng.choice(makers)()


def _json(tree: Any) -> str:
    return json.dumps(tree if isinstance(tree, dict) else {"permission": tree})


def _guarded(rng: random.Random) -> dict[str, Any]:
    constraint = damaged([copy.deepcopy(_GUARD)], rng, rng.choice([1, 1, 2, 3]))
    # a constraint that is gone altogether is no damage to it
    rule = {"action": "use", "constraint": constraint if constraint not in ([], None) else [{}]}
    return {"@type": "Agreement", "permission": [rule]}


def _renamed(rng: random.Random) -> dict[str, Any]:
    name, context = rng.choice(_CONSTRAINTS)
    rule: dict[str, Any] = {"action": "use", name: [copy.deepcopy(_GUARD)]}
    inside = context if context is not None and rng.random() < 0.3 else None
    tree = {"@type": "Agreement", "permission": [{**rule, "@context": inside} if inside else rule]}
    return {"@context": context, **tree} if context is not None and inside is None else tree


def read_s(language: str, text: str, words: Vocabulary) -> float:
    """CPU seconds to read and compile a text, or to refuse it."""
    begin = time.process_time()
    with contextlib.suppress(KontorError):
        compile(read(language, text, words), words)
    return time.process_time() - begin


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.odrl.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=5_000, help="damaged policies (5,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the damage (1)")
    given = parser.parse_args(arguments)
    words = vocabulary()
    found: Counter[str] = Counter()
    failures = 0
    begin = time.perf_counter()
    rows = [(language, text, False) for language, text in monsters()] + list(inputs(random.Random(given.seed), given.count))
    for language, text, is_guarded in rows:
        try:
            found[check(language, text, words, is_guarded=is_guarded)] += 1
        except FindingError as finding:
            failures += 1
            print(f"{language}: {finding}\n  {text[:600]!r}", file=sys.stderr)
    slowest = 0.0
    for number, (language, text) in enumerate(heavy()):
        took = read_s(language, text, words)
        slowest = max(slowest, took)
        if took > _HEAVY_S:
            failures += 1
            print(f"{language}: heavy text {number} takes {took:.1f} s to read and compile\n  {text[:100]!r}", file=sys.stderr)
    print(f"the heaviest texts that may be read take at most {slowest:.2f} s of CPU time to read and compile")
    told = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    print(f"{len(rows)} damaged policies in {time.perf_counter() - begin:.0f} s: {told}; {failures} findings")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
