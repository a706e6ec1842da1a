"""Rules made whole: a duty that is only referred to, a rule that is said twice, what a policy says for all of its rules."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import PolicyError
from connector.odrl import jsonld
from connector.odrl.compile import Compiled, compile
from connector.odrl.duties import Phase, prices, standings
from connector.odrl.evaluate import decide
from connector.odrl.expand import composed
from connector.odrl.truth import Code, DutyState, Effect, LedgerView, Request, Usage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON

Tree = dict[str, Any]
TEN: Tree = {"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "10"}]}
PAY: Tree = {
    "@id": "urn:pay",
    "action": {
        "rdf:value": {"@id": "odrl:compensate"},
        "refinement": [{"leftOperand": "payAmount", "operator": "eq", "rightOperand": "500", "unit": "EUR"}],
    },
}


def made(vocabulary: Vocabulary, *permissions: Tree, **more: Any) -> Compiled:
    tree = {"@type": "Agreement", "@id": "urn:p", "permission": [*permissions], **more}
    return compile(jsonld.read(tree), vocabulary, has_ledger=True)


def used(compiled: Compiled, **counts: int) -> Effect:
    usages = {key: Usage(count=count) for key, count in counts.items()}
    world = World(now=NOON, ledger=LedgerView(usages=usages, total=Usage()))
    return decide(compiled, Request(target="urn:t", party="did:a"), world).effect


# INVARIANT: `canonical.same` leaves duplicates aside, so whoever compares by it must not count them apart
@pytest.mark.parametrize(
    "again",
    [
        TEN,
        {**TEN, "@id": "_:b1"},
        {**TEN, "constraint": [{"and": TEN["constraint"]}]},
        {**TEN, "constraint": TEN["constraint"] * 2},
        {**TEN, "constraint": [{**TEN["constraint"][0], "rightOperand": {"@id": "10"}}]},
    ],
)
def test_a_rule_that_is_said_twice_gives_no_second_count(again: Tree, vocabulary: Vocabulary) -> None:
    compiled = made(vocabulary, TEN, again)
    (first,) = compiled.rules
    assert used(compiled, **{first.key: 10}) is Effect.PERMIT
    assert used(compiled, **{first.key: 11}) is Effect.DENY


def test_a_rule_of_another_name_or_with_another_condition_is_another_rule(vocabulary: Vocabulary) -> None:
    named = {**TEN, "@id": "urn:r"}
    research = {**TEN, "constraint": [*TEN["constraint"], {"leftOperand": "purpose", "operator": "eq", "rightOperand": "x"}]}
    assert len(made(vocabulary, TEN, named, research).rules) == 3


def test_a_duty_that_is_only_referred_to_is_the_one_that_is_written_out(vocabulary: Vocabulary) -> None:
    compiled = made(vocabulary, {"action": "use", "duty": [{"@id": "urn:pay"}]}, {"action": "transfer", "duty": [PAY]})
    world = World(now=NOON, ledger=LedgerView(total=Usage()))
    (found,) = standings(compiled, Request(), world)
    assert (found.key, found.actions, found.phase) == ("urn:pay", ("compensate",), Phase.DUE)
    duties = [duty for rule in compiled.rules for duty in rule.duties]
    assert {prices(duty, vocabulary) for duty in duties} == {prices(duties[-1], vocabulary)} != {()}


def test_a_consequence_that_refers_to_its_own_duty_ends_there(vocabulary: Vocabulary) -> None:
    owed = {"@id": "urn:d", "action": "delete", "consequence": [{"@id": "urn:d"}]}
    (duty,) = made(vocabulary, {"action": "use"}, obligation=[owed]).obligations
    assert [one.key for one in duty.consequences] == ["urn:d"]
    assert duty.consequences[0].consequences == ()


def test_two_duties_of_one_name_leave_the_policy_in_doubt(vocabulary: Vocabulary) -> None:
    # a consent on record would have been taken for the payment
    other = {"@id": "urn:pay", "action": "obtainConsent"}
    compiled = made(vocabulary, {"action": "use", "duty": [PAY]}, obligation=[other])
    world = World(now=NOON, duties={"urn:pay": DutyState.FULFILLED})
    found = decide(compiled, Request(target="urn:t"), world)
    assert (found.effect, found.reasons[0].code) == (Effect.DENY, Code.REFERENCE_UNRESOLVABLE)
    assert "urn:pay" in found.reasons[0].detail
    same = made(vocabulary, {"action": "use", "duty": [PAY]}, {"action": "transfer", "duty": [PAY]})
    assert decide(same, Request(target="urn:t"), world).effect is Effect.PERMIT


@pytest.mark.parametrize("key", ["permission", "prohibition"])
def test_a_rule_that_is_only_referred_to_is_refused(key: str) -> None:
    # read as it stands it would permit everything to everybody
    with pytest.raises(PolicyError, match="only referred to"):
        jsonld.read({"@type": "Set", key: [{"@id": "urn:elsewhere"}]})
    # one that says what it is is written out, as public test cases have it
    jsonld.read({"@type": "Set", key: [{"@id": "urn:here", "@type": key.capitalize()}]})


def test_what_a_policy_says_for_all_of_its_rules_holds_for_its_obligations_too() -> None:
    tree = {
        "action": "delete",
        "informedParty": "did:p",
        "permission": [{"action": "use", "informedParty": "did:q"}],
        "obligation": [{"constraint": [{"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01Z"}]}],
    }
    found = composed(jsonld.read(tree))
    assert [action.name for action in found.obligations[0].actions] == ["delete"]
    assert [one.party.uid for one in found.obligations[0].functions] == ["did:p"]
    assert [action.name for action in found.permissions[0].actions] == ["use"]
    assert [one.party.uid for one in found.permissions[0].functions] == ["did:q"]


def test_a_policy_that_is_whole_stays_as_it_is() -> None:
    policy = jsonld.read({"permission": [TEN, {"action": "read", "duty": [PAY]}], "prohibition": [{"action": "sell"}]})
    assert composed(policy) is policy
