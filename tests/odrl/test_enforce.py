"""Who sees to each clause of a policy: nothing is left out, and what nobody would enforce is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from connector.app.parts import known_vocabulary
from connector.odrl import jsonld
from connector.odrl.analyse.contain import Answer, contains
from connector.odrl.compile import compile
from connector.odrl.enforce import Enforcement, Enforcers, enforceability, left_to_others, marked, operands_of
from connector.odrl.evaluate import decide
from connector.odrl.ledger import NO_PERIOD
from connector.odrl.model import Policy
from connector.odrl.terms import MOST_HINTS
from connector.odrl.truth import Code, Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from tests.odrl.casefile import NOON
from tests.odrl.strategies import policies

WORDS = known_vocabulary()
NOW, TRANSFER, RUNNING = Enforcement.NOW, Enforcement.TRANSFER, Enforcement.RUNNING


def constraint(left: str, operator: str = "eq", right: str = "x") -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def permit(*constraints: dict[str, Any], **members: Any) -> Policy:
    return jsonld.read({"permission": [{"action": "use", "constraint": list(constraints), **members}]})


@pytest.mark.parametrize(
    ("left", "right", "enforced"),
    [
        ("claim:membership", "active", (NOW, TRANSFER, RUNNING)),
        ("purpose", "research", (NOW, TRANSFER, RUNNING)),
        ("dateTime", "2027-01-01T00:00:00Z", (TRANSFER, RUNNING)),
        ("count", "3", (TRANSFER, RUNNING)),
        ("deliveryChannel", "HttpData-PULL", (TRANSFER, RUNNING)),
        ("spatial", "https://example.org/eu", (Enforcement.NOBODY,)),
        ("systemDevice", "urn:device", (Enforcement.NOBODY,)),
        ("acme:unknown", "x", (Enforcement.NOBODY,)),
    ],
)
def test_each_clause_has_somebody_who_sees_to_it_or_nobody(
    vocabulary: Vocabulary, left: str, right: str, enforced: tuple[Enforcement, ...]
) -> None:
    operator = "lteq" if left in ("count", "dateTime") else "eq"
    (clause,) = enforceability(permit(constraint(left, operator, right)), vocabulary, Enforcers())
    assert clause.enforced == enforced
    assert clause.is_open is (enforced == (Enforcement.NOBODY,))


def test_uses_in_one_period_are_seen_to_where_the_period_is_named(everything: Vocabulary) -> None:
    rated = constraint("tds:frequency", "lteq", "3")
    policy = permit(rated | {"unit": "P1D"}, rated, rated | {"unit": "P1M1D"})
    named, *others = enforceability(policy, everything, Enforcers())
    assert named.enforced == (TRANSFER, RUNNING)
    assert [(one.enforced, one.why) for one in others] == [((Enforcement.NOBODY,), NO_PERIOD)] * 2


def test_the_order_of_a_sequence_is_told_to_be_left_to_the_law(vocabulary: Vocabulary) -> None:
    sequence = {"andSequence": [constraint("purpose"), constraint("count", "lteq", "5")]}
    found = enforceability(permit(sequence), vocabulary, Enforcers())
    told = [(one.text, one.enforced) for one in found if one.text.startswith("the order")]
    assert told == [("the order of purpose, count", (Enforcement.LEGAL_ONLY,))]
    assert len(found) == 3
    inner = jsonld.read(
        {"permission": [{"action": "use", "duty": [{"action": "delete", "constraint": [{"or": [sequence, sequence]}]}]}]}
    )
    assert sum(one.text.startswith("the order") for one in enforceability(inner, vocabulary, Enforcers())) == 2


def test_words_without_end_are_listed_and_the_first_few_are_looked_up(vocabulary: Vocabulary) -> None:
    policy = permit(*(constraint(f"purpos{number}") for number in range(3000)))
    *found, last = enforceability(policy, vocabulary, Enforcers())
    assert len(found) == 3000
    assert sum("did you mean `purpose`" in one.why for one in found) == MOST_HINTS
    assert last.why == f"{3000 - MOST_HINTS} more, of which no like ones were looked for"


def test_what_nobody_knows_can_be_left_to_the_consumer_or_to_the_law(vocabulary: Vocabulary) -> None:
    policy = permit(constraint("spatial"), constraint("acme:unknown"))
    enforcers = Enforcers(consumer=frozenset({"spatial"}), legal_only=frozenset({"acme:unknown"}))
    found = enforceability(policy, vocabulary, enforcers)
    assert [clause.enforced for clause in found] == [(Enforcement.CONSUMER,), (Enforcement.LEGAL_ONLY,)]


def test_a_value_that_means_nothing_is_enforced_by_nobody(vocabulary: Vocabulary) -> None:
    (clause,) = enforceability(permit(constraint("count", "lteq", "many")), vocabulary, Enforcers())
    assert clause.is_open
    assert "many" in clause.why


@pytest.mark.parametrize(
    "policy",
    [
        permit(constraints=[constraint("purpose")]),
        permit(target={"@id": "urn:x", "refinements": [constraint("purpose")]}),
        permit(constraint("purpose") | {"unles": "x"}),
        permit(constraint("payAmount", "gteq", "5")),
        permit(constraint("payAmount", "gteq", "5") | {"unit": "EURO"}),
        jsonld.read({"permission": [{"action": "use"}], "prohibitions": [{"action": "use"}]}),
        jsonld.read({"permission": [{"action": "usee"}]}),
        jsonld.read(
            {"permission": [{"action": "use"}], "obligation": [{"@id": "urn:d", "action": one} for one in ("delete", "inform")]}
        ),
        jsonld.read({"profile": "urn:nobodys", "permission": [{"action": "use"}]}),
    ],
)
def test_what_is_misspelt_or_can_never_be_met_is_enforced_by_nobody(vocabulary: Vocabulary, policy: Policy) -> None:
    assert any(clause.is_open for clause in enforceability(policy, vocabulary, Enforcers()))


@pytest.mark.parametrize(
    "place", ["group", "deep", "duty", "duty-group", "consequence", "remedy", "party", "part-group", "policy"]
)
def test_a_word_that_odrl_does_not_have_is_named_wherever_it_stands(vocabulary: Vocabulary, place: str) -> None:
    def group(**more: Any) -> dict[str, Any]:
        return {"or": [constraint("purpose"), constraint("purpose", right="y")], **more}

    wrong = {"unles": "x"}
    duty: dict[str, Any] = {"action": "inform"}
    rule: dict[str, Any] = {"action": "use"}
    tree: dict[str, Any] = {"permission": [rule]}
    match place:
        case "group":
            rule["constraint"] = [group(**wrong)]
        case "deep":
            rule["constraint"] = [{"xone": [{"and": [constraint("purpose")], **wrong}, constraint("purpose")]}]
        case "duty":
            rule["duty"] = [duty | wrong]
        case "duty-group":
            rule["duty"] = [duty | {"constraint": [group(**wrong)]}]
        case "consequence":
            rule["duty"] = [duty | {"consequence": [duty | wrong]}]
        case "remedy":
            tree["prohibition"] = [{"action": "use", "constraint": [constraint("purpose")], "remedy": [duty | wrong]}]
        case "party":
            rule["duty"] = [duty | {"informedParty": {"@id": "urn:p"} | wrong}]
        case "part-group":
            rule["target"] = {"source": "urn:c", "@type": "AssetCollection", "refinement": [group(**wrong)]}
        case "policy":
            tree["target"] = {"@id": "urn:t"} | wrong
    found = [clause for clause in enforceability(jsonld.read(tree), vocabulary, Enforcers()) if clause.is_open]
    assert [clause.text for clause in found] == ["unles"]
    assert found[0].where


def test_what_a_compact_policy_asks_of_all_its_rules_is_listed(vocabulary: Vocabulary) -> None:
    tree = {
        "action": [{"rdf:value": "use", "refinement": [constraint("acme:unknown")]}],
        "permission": [{"target": "urn:x", "duty": [{"action": "inform", "consequence": [{"action": "payMuch"}]}]}],
    }
    policy = jsonld.read(tree)
    assert [one.text for one in enforceability(policy, vocabulary, Enforcers()) if one.is_open] == [
        "acme:unknown eq x",
        "payMuch",
    ]
    assert operands_of(policy) == {"acme:unknown"}


def test_duties_obligations_and_what_is_forbidden_after_delivery_are_listed(vocabulary: Vocabulary) -> None:
    tree = {
        "permission": [{"action": "use", "duty": [{"action": "attribute"}]}],
        "prohibition": [{"action": "distribute"}, {"action": "use", "constraint": [constraint("purpose", right="war")]}],
        "obligation": [{"action": "delete", "constraint": [constraint("acme:unknown")]}, {"action": "inform"}],
    }
    found = enforceability(jsonld.read(tree), vocabulary, Enforcers())
    assert [(one.kind, one.enforced) for one in found] == [
        ("condition", (TRANSFER, RUNNING)),
        ("rule", (Enforcement.LEGAL_ONLY,)),
        ("constraint", (NOW, TRANSFER, RUNNING)),
        ("obligation", (Enforcement.NOBODY,)),
        ("obligation", (Enforcement.CONSUMER,)),
    ]


@given(tree=policies())
def test_no_operand_of_a_permission_is_left_out(tree: dict[str, Any]) -> None:
    policy = jsonld.read(tree)
    said = {clause.text.split()[0] for clause in enforceability(policy, WORDS, Enforcers())}
    for rule in policy.permissions:
        for name in operands_of(Policy(permissions=(replace(rule, duties=()),))):
            known = WORDS.operand(name)
            assert (known.short if known is not None else name) in said


def test_what_is_marked_is_agreed_and_listed_and_not_judged(vocabulary: Vocabulary) -> None:
    policy = permit(constraint("spatial"), constraint("acme:unknown"), constraint("claim:role"))
    words = marked(vocabulary, operands_of(policy))
    decision = decide(compile(policy, words), Request(target="urn:x"), World(now=NOON), stage=Stage.REQUEST)
    assert decision.is_permitted
    assert [(one.operand, one.code) for one in decision.deferred] == [
        ("spatial", Code.LEGAL_ONLY),
        ("acme:unknown", Code.LEGAL_ONLY),
        ("claim:role", Code.LEGAL_ONLY),
    ]


def test_a_consumer_leaves_what_is_attested_of_it_to_the_provider(vocabulary: Vocabulary) -> None:
    policy = permit(*(constraint(name) for name in ("claim:role", "purpose", "spatial", "count", "dateTime")))
    assert left_to_others(policy, vocabulary) == {"claim:role", "spatial"}
    assert left_to_others(policy, vocabulary, frozenset({"purpose", "spatial"})) == {"claim:role"}


def test_a_policy_of_a_class_that_nobody_knows_permits_nothing_and_is_not_compared(vocabulary: Vocabulary) -> None:
    policy = jsonld.read({"@type": "Ofer", "permission": [{"action": "use"}]})
    compiled = compile(policy, vocabulary)
    assert not decide(compiled, Request(), World(now=NOON)).is_permitted
    assert "did you mean `Offer`" in enforceability(policy, vocabulary, Enforcers())[0].why
    assert contains(policy, policy, vocabulary).answer is Answer.UNKNOWN
