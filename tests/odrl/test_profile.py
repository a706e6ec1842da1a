"""What a profile lets a policy say: ours, what travels over DSP, Catena-X and the trusted data space."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from connector.errors import ConfigurationError
from connector.odrl import compare, jsonld, profile, wire
from connector.odrl.analyse.contain import Answer, contains
from connector.odrl.cases import NOON
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import Constraint, Policy
from connector.odrl.profile import Profile
from connector.odrl.truth import Request, Stage, World
from connector.odrl.vocabulary import Vocabulary
from connector.packaged import folder, vocab_file
from tests.examples import examples
from tests.odrl import whole

NAMES = ("base", "dsp", "catena-x", "tds")


def tree(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vocab_file(f"profiles/{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def words(everything: Vocabulary) -> Vocabulary:
    return everything


@pytest.fixture(scope="module")
def catena(words: Vocabulary) -> Profile:
    return profile.load(tree("catena-x"), words)


def codes(policy: dict[str, Any], found: Profile, words: Vocabulary) -> list[tuple[str, str]]:
    return [(str(one.code), one.where) for one in profile.check(jsonld.read(policy), found, words) if one.severity == "error"]


def said(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


FRAMEWORK = said("FrameworkAgreement", "eq", "DataExchangeGovernance:1.0")
PURPOSE = said("UsagePurpose", "isAnyOf", ["cx.pcf.base:1"])


RESTRICTION = said("UsageRestriction", "isAllOf", ["cx.thirdParty.forbidden:1"])
PROVISION = said("DataProvisioningEndDurationDays", "eq", "30")


def usage(*constraints: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"@type": "Set", "permission": [{"action": "use", "constraint": [{"and": list(constraints)}]}], **more}


def test_every_profile_that_ships_is_tested_here() -> None:
    assert sorted(path.stem for path in (folder("vocab") / "profiles").glob("*.json")) == sorted(NAMES)


def test_every_term_of_a_profile_says_what_it_is_in_three_languages() -> None:
    for name in ("catena-x", "tds"):
        found = tree(name)
        rows = [found, *found["operands"].values(), *found["actions"].values()]
        rows += [row for entries in found["lists"].values() for row in entries.values()]
        assert [row for row in rows if set(row["text"]) != {"en", "de", "zh"} or not all(row["text"].values())] == []


def test_catena_x_has_its_operands_and_purposes(words: Vocabulary) -> None:
    found = tree("catena-x")
    assert len(found["operands"]) == 29
    # the schema lists 28 and defines a 29th, which its samples use
    assert len(found["lists"]["cx-purposes"]) == 29
    for iri in found["operands"]:
        short = iri.rpartition("/")[2]
        assert words.operand(short) is words.operand(iri) is words.operand(f"cx-policy:{short}")


def test_the_trusted_data_space_has_its_dictionaries(words: Vocabulary) -> None:
    contract = tree("tds")["contract"]
    assert {name: len(contract[name]) for name in ("actions", "constraints", "operators", "decisions")} == {
        "actions": 20, "constraints": 18, "operators": 12, "decisions": 4,
    }  # fmt: skip
    assert list(contract["operators"]) == [f"{number:02}" for number in range(1, 13)]
    assert all(words.action(name) for name in contract["actions"].values())
    assert all(words.operand(name) for name in contract["constraints"].values())


@pytest.mark.parametrize(
    ("policy", "flaws"),
    [
        (usage(FRAMEWORK, PURPOSE), []),
        ({"@type": "Offer", "permission": [{"action": "cx-policy:access", "constraint": [said("Membership", "eq", "active")]}]}, []),
        ({"@type": "Set", "permission": [{"action": "access", "constraint": [said("Membership", "eq", "active")]}]}, []),
        (usage(PURPOSE), ["too-few"]),
        (usage(FRAMEWORK, said("UsagePurpose", "eq", ["cx.pcf.base:1"])), ["operator-not-allowed"]),
        (usage(FRAMEWORK, said("UsagePurpose", "isAnyOf", ["cx.pcf.bas:1"])), ["value-type"]),
        (usage(FRAMEWORK, said("UsagePurpose", "isAnyOf", ["Our own purpose"])), []),
        (usage(FRAMEWORK, said("BusinessPartnerNumber", "isAnyOf", ["BPNL00000000000A"])), ["not-in-profile"]),
        (usage(FRAMEWORK, said("AffiliatesBpnl", "isAnyOf", ["BPNL1"])), ["value-type"]),
        (usage(FRAMEWORK, said("AffiliatesRegion", "isAnyOf", ["cx.region.moon:1"])), ["value-type"]),
        (usage(FRAMEWORK, said("purpose", "eq", "research")), ["not-in-profile"]),
        (usage(FRAMEWORK, said("UsagePorpose", "eq", "x")), ["operand-unknown"]),
        (usage(said("DataUsageEndDate", "eq", "2027-01-01T00:00:00Z"), said("DataUsageEndDurationDays", "eq", "30")), ["exclusive"]),
        (usage(FRAMEWORK, PURPOSE, prohibition=[{"action": "use", "constraint": [RESTRICTION]}]), []),
        (usage(FRAMEWORK, PURPOSE, prohibition=[{"action": "use", "constraint": [PURPOSE]}]), ["not-in-profile"]),
        (usage(FRAMEWORK, PURPOSE, obligation=[{"action": "use", "constraint": [PROVISION]}]), []),
        (usage(FRAMEWORK, PURPOSE, obligation=[{"action": "delete"}]), ["not-in-profile"]),
        ({"permission": [{"action": "use", "constraint": [{"or": [FRAMEWORK, PURPOSE]}]}]}, ["not-in-profile"]),
        ({"permission": [{"action": "use", "duty": [{"action": "inform"}], "constraint": [FRAMEWORK, PURPOSE]}]}, ["not-in-profile"]),
        ({"@type": "Ticket", "permission": [{"action": "use", "constraint": [FRAMEWORK, PURPOSE]}]}, ["type-differs"]),
        ({"permission": [{"action": "read", "constraint": [FRAMEWORK, PURPOSE]}]}, ["not-in-profile"]),
    ],
)  # fmt: skip
def test_a_policy_is_held_against_catena_x(
    policy: dict[str, Any], flaws: list[str], catena: Profile, words: Vocabulary
) -> None:
    assert [code for code, _ in codes(policy, catena, words)] == flaws


def test_clauses_for_the_law_are_told(catena: Profile, words: Vocabulary) -> None:
    found = profile.check(jsonld.read(usage(FRAMEWORK, PURPOSE)), catena, words)
    assert [(one.code, one.where) for one in found] == [("legal-only", "policy.permission[0].constraint[0].and[1]")]


@pytest.mark.parametrize(
    ("left", "right", "days", "claims", "effect"),
    [
        ("DataUsageEndDate", "2026-11-23T00:00:00Z", 0, {}, "permit"),
        ("DataUsageEndDate", "2026-11-21T00:00:00Z", 0, {}, "deny"),
        ("DataUsageEndDurationDays", "30", 29, {}, "permit"),
        ("DataUsageEndDurationDays", "30", 31, {}, "deny"),
        ("Membership", "active", 0, {"membership": "active"}, "permit"),
        ("Membership", "active", 0, {"credentials": ["MembershipCredential"]}, "permit"),
        ("Membership", "active", 0, {"credentials": ["OtherCredential"], "membership": "revoked"}, "deny"),
        ("Membership", "active", 0, {}, "deny"),
        ("FrameworkAgreement", "DataExchangeGovernance:1.0", 0, {"DataExchangeGovernanceCredential.contractVersion": "1.0"}, "permit"),
        ("FrameworkAgreement", "DataExchangeGovernance:1.0", 0, {"DataExchangeGovernanceCredential.contractVersion": "0.9"}, "deny"),
        ("Warranty", "cx.warranty.none:1", 0, {}, "permit"),
    ],
)  # fmt: skip
def test_what_a_machine_can_judge_of_catena_x_is_judged(
    left: str, right: str, days: int, claims: dict[str, Any], effect: str, words: Vocabulary
) -> None:
    from datetime import timedelta

    policy = jsonld.read({"permission": [{"action": "use", "constraint": [said(left, "eq", right)]}]})
    world = World(now=NOON, claims=claims, agreed_at=NOON - timedelta(days=days))
    assert decide(compile(policy, words), Request(), world, stage=Stage.REQUEST).effect == effect


def test_what_a_constraint_stands_for_is_compared(words: Vocabulary) -> None:
    def until(day: str) -> Policy:
        return jsonld.read(
            {"permission": [{"action": "use", "constraint": [said("DataUsageEndDate", "eq", f"{day}T00:00:00Z")]}]}
        )

    assert contains(until("2027-01-01"), until("2026-12-01"), words).answer is Answer.YES
    assert contains(until("2026-12-01"), until("2027-01-01"), words).answer is Answer.NO


def test_a_counter_offer_is_in_the_words_that_were_used(words: Vocabulary) -> None:
    def days(number: str) -> Policy:
        end = said("DataUsageEndDurationDays", "eq", number)
        return jsonld.read({**usage(FRAMEWORK, PURPOSE, end), "@type": "Offer"})

    verdict = compare.within(days("365"), days("500"), words)
    assert verdict.kind is compare.VerdictKind.NEAR
    assert verdict.counter is not None
    catena = profile.load(tree("catena-x"), words)
    assert [one for one in profile.check(verdict.counter, catena, words) if one.severity == "error"] == []
    assert "365" in [one.right[0].text for one in verdict.counter.permissions[0].constraints if isinstance(one, Constraint)]


@given(policy=whole.policies())
@settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_profile_dsp_says_what_the_writer_of_the_wire_says(policy: Policy, words: Vocabulary) -> None:
    own = {"operand-unknown", "action-unknown", "operator-not-allowed", "value-type", "unit-mismatch"}
    found = profile.check(policy, profile.load(tree("dsp"), words), words)
    errors = [one for one in found if one.severity == "error" and one.code not in own]
    assert bool(errors) is any(one.severity == "error" for one in wire.cannot_travel(policy))


@pytest.mark.parametrize(
    "says",
    [
        {"rules": [{"rule": "permit", "actions": ["use"]}]},
        {"rules": [{"rule": "permission", "actions": ["uze"]}]},
        {"rules": [{"rule": "permission", "actions": ["use"], "operands": ["porpose"]}]},
        {"parts": {"dutie": "yes"}},
        {"exclusive": [["porpose"]]},
    ],
)
def test_a_profile_that_means_nothing_is_refused_by_name(says: dict[str, Any], words: Vocabulary) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("`")):
        profile.load({"profile": "urn:p", "says": says}, words)
