"""Comparing policies case by case: words of a change, flaws, what both permit, what is still needed, the counter-offer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt
from typing import Any

import pytest

from connector.odrl import jsonld
from connector.odrl.analyse.boxes import MOST_BOXES, MOST_WORK, Beyond, difference, intersection
from connector.odrl.analyse.conflict import Flaw, check
from connector.odrl.analyse.contain import Answer, contains, disjoint, equivalent
from connector.odrl.analyse.counter import counter_offer
from connector.odrl.analyse.diff import diff
from connector.odrl.analyse.meet import meet
from connector.odrl.analyse.residual import residual
from connector.odrl.compare import VerdictKind, within
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Policy
from connector.odrl.truth import Request, World
from connector.odrl.vocabulary import Vocabulary

Tree = dict[str, Any]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2026-12-31"}
MEMBER = {"leftOperand": "membership", "operator": "eq", "rightOperand": "active"}
DUTY = {"action": "attribute"}


def c(left: str, operator: str, right: Any) -> Tree:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def rule(*constraints: Tree, action: str = "use", **more: Any) -> Tree:
    return {"action": action, "constraint": list(constraints), **more} if constraints else {"action": action, **more}


def policy(*permissions: Tree, **more: Any) -> Policy:
    return jsonld.read({"@type": "Offer", "@id": "urn:p", "permission": list(permissions), **more})


def counted(left: str, right: str, **members: str) -> Policy:
    return policy(rule({**c(left, "lteq", right), **members}))


def test_a_change_is_told_in_words(vocabulary: Vocabulary) -> None:
    old = policy(rule(c("spatial", "eq", "DE"), action="read"))
    new = policy(rule(c("spatial", "isAnyOf", ["DE", "FR"]), UNTIL, action="read"))
    found = diff(old, new, vocabulary)
    assert found.sentence() == "gains: everything with spatial FR; loses: everything from 2027-01-01"
    assert diff(old, old, vocabulary).sentence() == "nothing changes"
    wider = diff(policy(rule(action="read")), policy(rule(action="read"), rule(action="print")), vocabulary)
    assert wider.gains == "print"


def test_a_change_of_obligations_is_told_too(vocabulary: Vocabulary) -> None:
    found = diff(policy(rule()), policy(rule(), obligation=[{"action": "delete"}]), vocabulary)
    assert not found.is_same
    assert found.obligations == ("the obligation `policy.obligation[0]` is new",)


@pytest.mark.parametrize(
    ("terms", "asked", "answer"),
    [
        (policy(rule(duty=[DUTY])), policy(rule(UNTIL, duty=[DUTY])), Answer.YES),
        (policy(rule(duty=[DUTY])), policy(rule(UNTIL)), Answer.NO),
        (policy(rule(UNTIL)), policy(rule(UNTIL, duty=[DUTY])), Answer.YES),
        (policy(rule(), obligation=[{"action": "delete"}]), policy(rule()), Answer.NO),
        (policy(rule(UNTIL), rule(c("dateTime", "gt", "2026-12-31"))), policy(rule(c("dateTime", "neq", "2020-01-01"))), Answer.YES),
        (policy(rule(), prohibition=[rule(action="sell")]), policy(rule(action="read")), Answer.YES),
        (policy(rule(), prohibition=[rule(action="read")]), policy(rule()), Answer.NO),
        (policy(rule(), prohibition=[rule(action="read")], conflict="perm"), policy(rule()), Answer.YES),
        (policy(rule(), prohibition=[rule(c("purpose", "eq", "marketing"))]), policy(rule(c("purpose", "eq", "research"))), Answer.YES),
        (policy(rule({"xone": [UNTIL, MEMBER]})), policy(rule(UNTIL, c("membership", "neq", "active"))), Answer.YES),
        (policy(rule({"xone": [UNTIL, MEMBER]})), policy(rule(UNTIL, MEMBER)), Answer.NO),
        (policy(rule(c("count", "lteq", 10))), policy(rule(c("count", "lteq", 5))), Answer.YES),
        (policy(rule(c("count", "lteq", 10))), policy(rule(c("count", "lteq", 5)), rule(c("count", "lteq", 10))), Answer.UNKNOWN),
        (policy(rule(UNTIL), inheritFrom="urn:x"), policy(rule(UNTIL)), Answer.UNKNOWN),
    ],
)  # fmt: skip
def test_containment_knows_duties_prohibitions_and_alternatives(
    terms: Policy, asked: Policy, answer: Answer, vocabulary: Vocabulary
) -> None:
    found = contains(terms, asked, vocabulary)
    assert found.answer is answer, found.reasons
    assert found.reasons


def test_the_same_in_other_words_is_equivalent_and_what_excludes_each_other_disjoint(vocabulary: Vocabulary) -> None:
    assert equivalent(policy(rule(UNTIL)), policy(rule(c("dateTime", "lt", "2027-01-01"))), vocabulary).answer is Answer.YES
    research, marketing = (policy(rule(c("purpose", "eq", one))) for one in ("research", "marketing"))
    # before a purpose is judged both permit: the answer is about every stage
    found = disjoint(research, marketing, vocabulary)
    assert found.answer is Answer.NO
    assert found.witness is not None
    assert found.witness.stage in ("catalog", "publish")
    read, sell = policy(rule(action="read")), policy(rule(action="sell"))
    assert disjoint(read, sell, vocabulary).answer is Answer.YES


def test_flaws_are_found_with_the_rules_and_a_request(vocabulary: Vocabulary) -> None:
    never = rule(c("purpose", "eq", "research"), c("purpose", "eq", "marketing"))
    narrow, wide = rule(UNTIL, action="read"), rule(action="use")
    found = check(policy(wide, narrow, never, prohibition=[rule(action="print"), rule(action="sell")]), vocabulary)
    assert [(one.flaw, one.where, one.other) for one in found] == [
        (Flaw.REDUNDANT, "policy.permission[1]", ""),
        (Flaw.NEVER, "policy.permission[2]", ""),
        (Flaw.IDLE, "policy.prohibition[1]", ""),
        (Flaw.CONFLICT, "policy.permission[0]", "policy.prohibition[0]"),
    ]
    assert found[-1].witness is not None
    assert found[-1].witness.request.action == "print"
    assert found[-1].what == "both meet print; there the whole policy is void"
    assert check(policy(narrow), vocabulary) == ()
    assert check(policy(narrow, prohibition=[rule()]), vocabulary)[0].flaw is Flaw.FORBIDDEN


def test_what_both_permit_is_a_policy(vocabulary: Vocabulary) -> None:
    a = policy(rule(UNTIL, c("purpose", "isAnyOf", ["research", "education"])))
    b = policy(rule(c("purpose", "isAnyOf", ["research", "marketing"]), MEMBER, action="read"))
    found = meet(a, b, vocabulary).policy
    assert found is not None
    written = jsonld.write(found)["permission"]
    assert written == [{"action": "read", "constraint": [UNTIL, c("purpose", "isAnyOf", "research"), MEMBER]}]
    nothing = meet(policy(rule(action="read")), policy(rule(action="sell")), vocabulary)
    assert nothing.policy is None
    assert nothing.is_empty


def test_a_counter_offer_is_what_both_permit_in_words_both_know(vocabulary: Vocabulary, widened: Vocabulary) -> None:
    terms, asked = policy(rule(UNTIL, c("Membership", "eq", "active"))), policy(rule(action="read"))
    found = counter_offer(terms, asked, widened)
    assert found.is_common
    assert found.policy.permissions[0].actions[0].name == "read"
    shy = counter_offer(terms, asked, widened, theirs=vocabulary)
    assert not shy.is_common
    assert shy.policy.permissions == terms.permissions
    assert "is not known to both" in shy.reasons[0]


def test_what_is_still_needed_is_said(vocabulary: Vocabulary) -> None:
    terms = policy(rule(UNTIL, MEMBER, c("purpose", "eq", "research")))
    asked = Request(action="read", params={"purpose": "research"})
    found = residual(terms, asked, World(now=NOW), vocabulary)
    assert found.answer is Answer.UNKNOWN
    assert [[need.how for need in way] for way in found.ways] == [["present a MembershipCredential"]]
    assert residual(terms, asked, World(now=NOW, claims={"membership": "active"}), vocabulary).answer is Answer.YES
    late = World(now=datetime(2027, 6, 1, tzinfo=UTC))
    assert residual(terms, asked, late, vocabulary).answer is Answer.NO
    dutiful = residual(policy(rule(duty=[DUTY])), Request(), World(now=NOW), vocabulary)
    assert [[need.how for need in way] for way in dutiful.ways] == [["fulfil the duty"]]


def test_what_would_have_to_be_other_is_said_with_what_it_is(vocabulary: Vocabulary) -> None:
    terms = policy(rule(UNTIL, MEMBER, c("purpose", "eq", "research")), rule(c("purpose", "eq", "education"), action="read"))
    asked = Request(action="print", params={"purpose": "marketing"})
    found = residual(terms, asked, World(now=NOW, claims={"membership": "expired"}), vocabulary)
    assert found.answer is Answer.NO
    changed = [[(need.how, need.now) for need in way] for way in found.ways]
    # the fewest changes first, and each way is one that the evaluator permits
    assert changed == [
        [("name the action", "print"), ("state `purpose`", "marketing")],
        [("present a MembershipCredential", "expired"), ("state `purpose`", "marketing")],
    ]
    late = residual(policy(rule(UNTIL)), Request(), World(now=datetime(2027, 6, 1, tzinfo=UTC)), vocabulary)
    assert [[(need.how, need.now) for need in way] for way in late.ways] == [
        [("ask at another time", "2027-06-01T00:00:00+00:00")]
    ]
    assert residual(policy(rule(action="urn:x")), Request(), World(now=NOW), vocabulary).ways == ()


def test_beyond_the_cap_nothing_is_claimed(vocabulary: Vocabulary) -> None:
    with pytest.raises(Beyond):
        intersection([(1, 1)] * 1000, [(1, 1)] * 1000)
    holes = [tuple(1 if n // 4 == hole else 3 for n in range(28)) for hole in range(7)]
    with pytest.raises(Beyond, match=str(MOST_BOXES)):
        difference([(3,) * 28], holes)
    many = [{"or": [c(f"urn:x{n}", "eq", "1"), c(f"urn:y{n}", "eq", "1")]} for n in range(16)]
    found = contains(policy(rule(*many)), policy(rule(*many, UNTIL)), vocabulary)
    assert found.answer is Answer.UNKNOWN
    assert str(MOST_BOXES) in found.reasons[0]


def test_a_question_takes_no_more_work_than_it_may_however_it_is_put(vocabulary: Vocabulary) -> None:
    # seven thousand characters that took a quarter of a minute, each of their steps below its cap
    late = [{"and": [c("dateTime", "gteq", f"20{26 + n}-01-01Z"), c(f"claim:x{n % 30}", "eq", str(n))]} for n in range(40)]
    asked = policy(rule({"xone": late}, UNTIL))
    begin = time.process_time()
    assert within(policy(rule(UNTIL)), asked, vocabulary).kind is VerdictKind.UNKNOWN
    found = contains(policy(rule(UNTIL)), asked, vocabulary)
    assert (found.answer, str(MOST_WORK) in found.reasons[0]) == (Answer.UNKNOWN, True)
    assert time.process_time() - begin < 5
    # what one question has spent the next one may spend again
    assert contains(policy(rule(UNTIL)), policy(rule(UNTIL, MEMBER)), vocabulary).answer is Answer.YES


def test_hundreds_of_windows_are_compared(vocabulary: Vocabulary) -> None:
    def windows(last: int) -> Policy:
        days = [f"20{26 + n // 300}-{n // 25 % 12 + 1:02}-{n % 25 + 1:02}" for n in range(0, last * 2, 2)]
        return policy(*(rule(c("dateTime", "gteq", day), c("dateTime", "lteq", day)) for day in days))

    assert contains(windows(262), windows(250), vocabulary).answer is Answer.YES
    assert contains(windows(250), windows(262), vocabulary).answer is Answer.NO


@pytest.mark.parametrize(
    ("terms", "asked", "answer"),
    [
        (counted("count", "5"), counted("count", "6"), Answer.NO),
        (counted("count", "6"), counted("count", "5"), Answer.YES),
        (counted("payAmount", "5", unit="EUR"), counted("payAmount", "6", unit="EUR"), Answer.NO),
        (counted("meteredTime", "PT1H"), counted("meteredTime", "PT2H"), Answer.NO),
        (counted("elapsedTime", "P30D"), counted("elapsedTime", "P31D"), Answer.NO),
        (counted("tds:frequency", "5", unit="P1D"), counted("tds:frequency", "6", unit="PT24H"), Answer.NO),
        (counted("tds:frequency", "6", unit="P1D"), counted("tds:frequency", "5", unit="PT24H"), Answer.YES),
        # there are never more uses in a day than in its week, and in either than in all
        (counted("tds:frequency", "5", unit="P1D"), counted("tds:frequency", "5", unit="P7D"), Answer.YES),
        (counted("tds:frequency", "5", unit="P7D"), counted("tds:frequency", "5", unit="P1D"), Answer.NO),
        (counted("tds:frequency", "5", unit="P1M"), counted("tds:frequency", "5", unit="P7D"), Answer.NO),
        (counted("tds:frequency", "5", unit="P1D"), counted("count", "5"), Answer.YES),
        (counted("tds:frequency", "5", unit="P1D"), counted("count", "6"), Answer.NO),
        (counted("count", "5"), counted("tds:frequency", "5", unit="P1D"), Answer.NO),
        # uses are whole
        (counted("count", "5"), counted("count", "5.5"), Answer.YES),
    ],
)
def test_limits_of_use_are_compared_and_a_record_shows_the_difference(
    terms: Policy, asked: Policy, answer: Answer, everything: Vocabulary
) -> None:
    found = contains(terms, asked, everything)
    assert found.answer is answer
    assert (found.witness is not None) is (answer is Answer.NO)
    if found.witness is not None:
        world, request, stage = found.witness.world, found.witness.request, found.witness.stage
        for policy, permits in ((terms, False), (asked, True)):
            agreed = compile(replace(policy, type="Agreement"), everything, has_ledger=True)
            assert decide(agreed, request, world, stage=stage).is_permitted is permits


def _uses(rng: random.Random) -> tuple[dict[str, Any], Callable[[tuple[int, int, int]], bool]]:
    """A limit of uses in a day, in its week, or in all, and whether it is kept to."""
    which, operator, most = rng.randrange(3), rng.choice(["lt", "lteq", "eq", "gt", "gteq"]), rng.choice([0, 1, 2, 2.5, 3])
    left, unit = (("tds:frequency", "P1D"), ("tds:frequency", "P7D"), ("count", None))[which]
    keeps = {"lt": gt, "lteq": ge, "eq": eq, "gt": lt, "gteq": le}[operator]
    limit = {**c(left, operator, str(most)), **({"unit": unit} if unit else {})}
    return limit, lambda uses: bool(keeps(most, uses[which]))


def test_limits_of_several_periods_are_compared_as_all_small_records_compare(everything: Vocabulary) -> None:
    rng = random.Random(7)
    records = [(day, week, all_) for all_ in range(6) for week in range(all_ + 1) for day in range(week + 1)]
    answers = set()
    for _ in range(60):
        ours, theirs = ([_uses(rng) for _ in range(rng.randint(1, 3))] for _ in range(2))
        found = contains(*(policy(rule(*(limit for limit, _ in those))) for those in (ours, theirs)), everything)
        kept = [[all(keeps(uses) for _, keeps in those) for those in (ours, theirs)] for uses in records]
        is_within = all(mine or not asked for mine, asked in kept)
        assert found.answer is (Answer.YES if is_within else Answer.NO), (ours, theirs)
        answers.add(found.answer)
    assert answers == {Answer.YES, Answer.NO}


def test_events_are_before_during_or_after_and_apart_from_each_other(everything: Vocabulary) -> None:
    def at(*ways: str) -> Policy:
        """Ways such as `lt a`, of which one is enough."""
        return policy(*(rule(c("event", way.split()[0], way.split()[1])) for way in ways))

    for terms, asked, answer in (
        (at("lteq a"), at("lt a"), Answer.YES),
        (at("lt a"), at("lteq a"), Answer.YES),
        (at("gteq a", "eq a"), at("gt a"), Answer.YES),
        (at("lt a"), at("lt a", "eq a"), Answer.NO),
        (at("lt a"), at("gt a"), Answer.NO),
        (at("lt a"), at("lt b"), Answer.NO),
        # nobody keeps a record of some events
        (at("lt a", "eq a", "gt a"), policy(rule()), Answer.NO),
        (at("lt policyUsage"), at("lteq policyUsage"), Answer.YES),
        (at("lt policyUsage"), at("gt policyUsage"), Answer.NO),
    ):
        found = contains(terms, asked, everything)
        assert found.answer is answer
        assert (found.witness is not None) is (answer is Answer.NO)
