"""Laws that hold of every policy, request and world: round trips, order, doubt, containment, and no accident ever permits."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import PolicyError
from connector.odrl import canonical, compare, jsonld
from connector.odrl.compare import VerdictKind
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.jsonld import Shape
from connector.odrl.truth import Effect, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.examples import examples
from tests.odrl import strategies as some


def shuffled(tree: Any, rng: random.Random) -> Any:
    """The same policy with keys and unordered arrays in another order."""
    if isinstance(tree, dict):
        items = [(key, value if key == "andSequence" else shuffled(value, rng)) for key, value in tree.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(tree, list):
        items = [shuffled(item, rng) for item in tree]
        rng.shuffle(items)
        return items
    return tree


@given(tree=some.policies())
def test_reading_and_writing_are_inverse(tree: dict[str, Any]) -> None:
    policy = jsonld.read(tree)
    assert jsonld.read(jsonld.write(policy, Shape.ODRL)) == policy


@given(tree=some.policies(), seed=st.integers())
def test_the_canonical_form_knows_no_order(tree: dict[str, Any], seed: int) -> None:
    assert canonical.digest(tree) == canonical.digest(shuffled(tree, random.Random(seed)))


@given(tree=some.policies(), seed=st.integers(), request=some.requests(), world=some.worlds(), stage=some.STAGES)
def test_the_same_canonical_form_is_decided_alike(
    tree: dict[str, Any], seed: int, request: Request, world: World, stage: Stage, vocabulary: Vocabulary
) -> None:
    other = shuffled(tree, random.Random(seed))
    effects = [decide(jsonld.read(each), request, world, vocabulary, stage=stage).effect for each in (tree, other)]
    assert effects[0] is effects[1]


@given(tree=some.policies(), request=some.requests(), world=some.worlds(), stage=some.STAGES)
def test_a_trace_changes_no_decision(
    tree: dict[str, Any], request: Request, world: World, stage: Stage, vocabulary: Vocabulary
) -> None:
    compiled = compile(jsonld.read(tree), vocabulary)
    plain, traced = decide(compiled, request, world, stage=stage), decide(compiled, request, world, stage=stage, trace=True)
    assert (plain.effect, plain.rule, plain.valid_until) == (traced.effect, traced.rule, traced.valid_until)
    assert traced.reasons
    if plain.effect is not Effect.PERMIT:
        assert plain == traced


@given(rule=some.rules(), request=some.requests(), world=some.worlds())
def test_knowing_less_never_permits_more(rule: dict[str, Any], request: Request, world: World, vocabulary: Vocabulary) -> None:
    compiled = compile(jsonld.read({"permission": [rule]}), vocabulary)
    blind = Request(action=request.action, target=request.target, party=request.party)
    if decide(compiled, blind, World(now=world.now)).is_permitted:
        # what is permitted with nothing known does not depend on it
        assert decide(compiled, request, world).is_permitted


@given(rule=some.rules(), request=some.requests(), world=some.worlds())
def test_knowing_less_never_lifts_a_prohibition(
    rule: dict[str, Any], request: Request, world: World, vocabulary: Vocabulary
) -> None:
    tree = {"permission": [{"action": action} for action in some.ACTIONS], "prohibition": [rule], "conflict": "prohibit"}
    compiled = compile(jsonld.read(tree), vocabulary)
    blind = Request(action=request.action, target=request.target, party=request.party)
    if decide(compiled, blind, World(now=world.now)).is_permitted:
        assert decide(compiled, request, world).is_permitted


@given(tree=some.policies(), request=some.requests(), world=some.worlds(), extra=some.constraints())
def test_a_constraint_more_never_permits_more(
    tree: dict[str, Any], request: Request, world: World, extra: dict[str, Any], vocabulary: Vocabulary
) -> None:
    narrower = {
        **tree,
        "permission": [{**rule, "constraint": [*rule.get("constraint", []), extra]} for rule in tree["permission"]],
    }
    if decide(jsonld.read(narrower), request, world, vocabulary).is_permitted:
        assert decide(jsonld.read(tree), request, world, vocabulary).is_permitted


@given(tree=some.policies(), request=some.requests(), world=some.worlds(), stage=some.STAGES)
def test_nothing_flips_before_it_said(
    tree: dict[str, Any], request: Request, world: World, stage: Stage, vocabulary: Vocabulary
) -> None:
    compiled = compile(jsonld.read(tree), vocabulary)
    first = decide(compiled, request, world, stage=stage)
    for hours in range(0, 12 * 62, 6):
        now = some.START + timedelta(hours=hours)
        if now >= world.now and (first.valid_until is None or now < first.valid_until):
            later = World(now=now, claims=world.claims)
            assert decide(compiled, request, later, stage=stage).effect is first.effect
    if first.valid_until is not None:
        assert (
            decide(compiled, request, World(now=first.valid_until, claims=world.claims), stage=stage).effect is not first.effect
        )


@settings(max_examples=examples(15))
@given(
    terms=some.policies(),
    data=st.data(),
    asks=st.lists(st.tuples(some.requests(), some.worlds(), some.STAGES), min_size=8, max_size=20),
)
def test_within_is_a_promise(
    terms: dict[str, Any], data: st.DataObject, asks: list[tuple[Request, World, Stage]], vocabulary: Vocabulary
) -> None:
    asked = data.draw(some.variations(terms))
    if compare.within(jsonld.read(terms), jsonld.read(asked), vocabulary).kind is VerdictKind.WITHIN:
        _keeps_promise(terms, asked, asks, vocabulary)


@settings(max_examples=examples(20))
@given(
    known=st.lists(some.constraints(), min_size=1, max_size=3),
    asked=some.atoms(),
    asks=st.lists(st.tuples(some.requests(), some.worlds(), some.STAGES), min_size=10, max_size=30),
)
def test_implication_is_a_promise(
    known: list[dict[str, Any]], asked: dict[str, Any], asks: list[tuple[Request, World, Stage]], vocabulary: Vocabulary
) -> None:
    # constraints on one operand, where an implication is likely to be claimed
    left = asked["leftOperand"]
    near = [item if item.get("leftOperand") in (left, None) else {**asked, "operator": item["operator"]} for item in known]
    terms = {"@type": "Agreement", "permission": [{"action": "use", "constraint": [asked]}]}
    narrower = {"@type": "Agreement", "permission": [{"action": "use", "constraint": near}]}
    if compare.within(jsonld.read(terms), jsonld.read(narrower), vocabulary).kind is VerdictKind.WITHIN:
        _keeps_promise(terms, narrower, asks, vocabulary)


@settings(max_examples=examples(20))
@given(
    terms=st.lists(some.atoms(unknown=False), min_size=1, max_size=3),
    asked=st.lists(some.atoms(unknown=False), max_size=3),
    asks=st.lists(st.tuples(some.requests(), some.worlds(), some.STAGES), min_size=5, max_size=15),
)
def test_a_counter_offer_lies_within_our_terms(
    terms: list[Any], asked: list[Any], asks: list[tuple[Request, World, Stage]], vocabulary: Vocabulary
) -> None:
    ours = jsonld.read({"@type": "Agreement", "permission": [{"action": "use", "constraint": terms}]})
    theirs = jsonld.read({"@type": "Agreement", "permission": [{"action": "read", "constraint": asked}]})
    counter = compare.within(ours, theirs, vocabulary).counter
    if counter is not None:
        assert compare.within(ours, counter, vocabulary).kind is VerdictKind.WITHIN
        for request, world, stage in asks:
            if decide(counter, request, world, vocabulary, stage=stage).is_permitted:
                assert decide(ours, request, world, vocabulary, stage=stage).is_permitted


def _keeps_promise(
    terms: dict[str, Any], asked: dict[str, Any], asks: list[tuple[Request, World, Stage]], vocabulary: Vocabulary
) -> None:
    wide, narrow = compile(jsonld.read(terms), vocabulary), compile(jsonld.read(asked), vocabulary)
    for request, world, stage in asks:
        if decide(narrow, request, world, stage=stage).is_permitted:
            assert decide(wide, request, world, stage=stage).is_permitted


# --- malformed policies

_WORDS = (
    *(
        "@id",
        "@type",
        "@value",
        "@list",
        "@context",
        "uid",
        "type",
        "rdf:value",
        "profile",
        "conflict",
        "permission",
        "prohibition",
    ),
    *("action", "target", "assignee", "duty", "refinement", "source", "constraint", "odrl:constraint", "and", "or", "xone"),
    *("leftOperand", "operator", "rightOperand", "unit", "status"),
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(_WORDS),
                st.text(max_size=6),
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=30,
)


@settings(max_examples=examples(20))
@given(tree=_JSON)
def test_what_is_read_at_all_is_decided_without_a_crash(tree: Any, vocabulary: Vocabulary) -> None:
    try:
        policy = jsonld.read(tree)
        compiled = compile(policy, vocabulary)
    except PolicyError:
        return
    for stage in (Stage.NEGOTIATE, Stage.REQUEST):
        decision = decide(compiled, Request(target="urn:t"), World(now=some.START), stage=stage)
        if decision.is_permitted:
            # only a policy that says so permits
            assert policy.permissions
    canonical.digest(policy)
    jsonld.write(policy, Shape.ODRL)
    compare.within(policy, policy, vocabulary)


@settings(max_examples=examples(20))
@given(tree=some.policies(), data=st.data())
def test_a_damaged_policy_never_permits_by_accident(tree: dict[str, Any], data: st.DataObject, vocabulary: Vocabulary) -> None:
    guard = {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}
    guarded = {"@type": "Agreement", "permission": [{**rule, "constraint": [guard]} for rule in tree["permission"]]}
    key = data.draw(st.sampled_from(["leftOperand", "operator", "rightOperand"]))
    damage = data.draw(_JSON)
    for rule in guarded["permission"]:
        rule["constraint"] = [{**guard, key: damage}]  # type: ignore[index]
    try:
        policy = jsonld.read(guarded)
    except PolicyError:
        return
    request = Request(action="display", target=data.draw(st.sampled_from(["urn:t1", "urn:t2"])), party="did:a")
    decision = decide(policy, request, World(now=some.START), vocabulary, trace=True)
    # nothing is known of the caller, so whatever the damage made of the guard, it must not let anyone through,
    # unless it became a comparison with something that is known: the clock or the party
    assert not decision.is_permitted or any(reason.value is not None for reason in decision.reasons)
