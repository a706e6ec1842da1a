"""Equal terms are judged once, for each viewer by what is proven of it, and what the engine does not know it does not allow."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connector.app.parts import known_vocabulary
from connector.errors import PolicyError
from connector.federation.permitted import Permitted, Question
from connector.odrl import jsonld
from connector.odrl.compile import compile
from connector.odrl.evaluate import decide
from connector.odrl.model import PolicyType
from connector.odrl.truth import Request, Stage, World
from connector.ports.identity import Caller

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MEMBER = Caller(id="did:web:m", claims={"membership": "active"})


def when(operand: str, operator: str, value: Any, action: str = "use") -> dict[str, Any]:
    return {
        "permission": [
            {"action": action, "constraint": [{"leftOperand": operand, "operator": operator, "rightOperand": value}]}
        ]
    }


TERMS: dict[str, list[Any]] = {
    "open": [{"permission": [{"action": "use"}]}],
    "research": [when("purpose", "eq", "research")],
    "members": [when("https://w3id.org/kontor/ns/membership", "eq", "active")],
    "until": [when("dateTime", "lt", "2027-01-01T00:00:00Z")],
    "counted": [when("count", "lteq", "5")],
    "reading": [{"permission": [{"action": "read"}]}],
    "strange": [when("https://strange.example/mood", "eq", "good")],
    "never": [{"permission": [{"action": "use"}], "prohibition": [{"action": "use"}]}],
    "mine": [{"permission": [{"action": "use"}], "assignee": "did:web:m"}],
    "theirs": [{"permission": [{"action": "use"}], "assignee": "did:web:other"}],
    "either": [when("purpose", "eq", "research"), {"permission": [{"action": "use"}]}],
    "unread": [{"permission": [{"action": "use", "constraint": "nonsense"}]}],
    "empty": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def permitted() -> Permitted:
    found = Permitted(known_vocabulary())
    found.know({name: orjson.dumps(offers) for name, offers in TERMS.items()})
    return found


def allowed(permitted: Permitted, viewer: Caller | None, at: datetime = NOW, **question: Any) -> set[str]:
    return set(permitted.digests(Question(**question), viewer, at))


def test_what_a_stranger_and_a_member_may_use(permitted: Permitted) -> None:
    assert allowed(permitted, None) == {"open", "until", "counted", "either"}
    assert allowed(permitted, MEMBER) == {"open", "until", "counted", "either", "members", "mine"}
    assert allowed(permitted, MEMBER, purpose="research") == {
        "open",
        "until",
        "counted",
        "either",
        "members",
        "mine",
        "research",
    }
    assert allowed(permitted, MEMBER, purpose="marketing") == {"open", "until", "counted", "either", "members", "mine"}
    assert "reading" in allowed(permitted, MEMBER, action="read")


def test_an_offer_counts_until_its_end_and_what_is_only_counted_later_hides_nothing(permitted: Permitted) -> None:
    assert "until" not in allowed(permitted, None, datetime(2027, 6, 1, tzinfo=UTC))
    assert "counted" in allowed(permitted, None)
    # an answer that was kept is asked again at the first end
    assert "until" in allowed(permitted, None, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert "until" not in allowed(permitted, None, datetime(2027, 1, 1, tzinfo=UTC))


def test_only_what_is_plain_beyond_doubt_is_taken_out_of_an_offer() -> None:
    """Whatever shape is asked in place of an offer, the answer is the engine's on the whole offer, up to its end."""
    odd: list[Any] = [
        "2027-01-01T00:00:00Z", "2027-01-01", "2027-01-01T00:00:00", "yesterday", "2027-13-01", 7, None, ["2027-01-01T00:00:00Z"],
        {"@value": "2027-01-01T00:00:00Z", "@type": "xsd:dateTime"}, {"@value": "2027-01-01", "@type": "xsd:integer"}, {"@id": "urn:a"},
    ]  # fmt: skip
    vocabulary = known_vocabulary()
    for operand in ("dateTime", "count", "odrl:dateTime", "purpose", "mood"):
        for operator in ("lt", "lteq", "eq", "gt", "isAnyOf", "approximately"):
            for value in odd:
                offer = when(operand, operator, value)
                found = Permitted(vocabulary)
                found.know({"a": orjson.dumps([offer])})
                assert bool(allowed(found, None)) is _by_engine(offer, vocabulary), offer


def _by_engine(offer: dict[str, Any], vocabulary: Any) -> bool:
    try:
        policy = jsonld.read({"@type": "Offer", "@id": "urn:o", "target": "urn:kontor:product", **offer}, "offer")
    except PolicyError:
        return False
    request = Request(action="use", target="urn:kontor:product", party="urn:kontor:anybody", params={})
    compiled = compile(replace(policy, type=PolicyType.AGREEMENT), vocabulary)
    return decide(compiled, request, World(now=NOW, claims={}), stage=Stage.NEGOTIATE).is_permitted


def test_offers_to_somebody_else_are_not_shown(permitted: Permitted) -> None:
    everything = set(TERMS)
    assert permitted.addressed_to("did:web:m") == everything - {"theirs"}
    assert permitted.addressed_to(None) == everything - {"theirs", "mine"}


def test_the_words_of_the_offers_are_known_by_how_many_name_them(permitted: Permitted) -> None:
    assert permitted.words("research", None) == (("use",), ("research",))
    assert permitted.words("nobody-knows", None) == ((), ())
    actions, purposes = permitted.named_words({"open": 7, "research": 2, "reading": 1, "either": 1, "theirs": 9}, None)
    assert (actions.most_common(), purposes) == ([("use", 10), ("read", 1)], {"research": 3})
    every, _ = permitted.named_words(None, None)
    # an offer that names somebody says nothing to others
    more = [permitted.named_words(None, f"did:web:{name}")[0]["use"] - every["use"] for name in ("nobody", "m", "other")]
    assert (every["read"], more) == (1, [0, 1, 1])


def test_what_is_no_longer_in_use_is_forgotten() -> None:
    found = Permitted(known_vocabulary())
    found.know({"a": b'[{"permission":[{"action":"use"}]}]'})
    assert allowed(found, None) == {"a"}
    found.know({"b": b'[{"permission":[{"action":"use"}]}]'})
    assert allowed(found, None) == {"b"}
    assert not found.knows("a")


def test_thirty_eight_thousand_different_offers_are_judged_within_a_second() -> None:
    """CPU time of one question: offers that differ in purposes, which are all asked, and in ends, which are compared."""
    count = 3_800  # a tenth of them, for a tenth of the time
    found = Permitted(known_vocabulary())
    found.know({str(n): orjson.dumps([when("purpose", "isAnyOf", ["research", f"p{n}"])]) for n in range(count)})
    for purpose, most in (("research", count), ("marketing", 0)):
        begun = time.process_time()
        assert len(allowed(found, MEMBER, purpose=purpose)) == most
        assert time.process_time() - begun < 0.2
    ends = {
        f"end-{n}": orjson.dumps([when("dateTime", "lt", f"2027-01-{1 + n % 28:02}T00:00:{n % 60:02}.{n:06}Z")])
        for n in range(count)
    }
    found.know(ends)
    begun = time.process_time()
    assert len(allowed(found, MEMBER)) == count
    assert time.process_time() - begun < 0.02
