"""Equal terms are judged once, for each viewer by what is proven of it, and what the engine does not know it does not allow."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connector.app.parts import known_vocabulary
from connector.federation.permitted import Permitted, Question
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
    assert allowed(permitted, None) == {"open", "until", "either"}
    assert allowed(permitted, MEMBER) == {"open", "until", "either", "members", "mine"}
    assert allowed(permitted, MEMBER, purpose="research") == {"open", "until", "either", "members", "mine", "research"}
    assert allowed(permitted, MEMBER, purpose="marketing") == {"open", "until", "either", "members", "mine"}
    assert "reading" in allowed(permitted, MEMBER, action="read")


def test_what_is_only_looked_at_later_hides_nothing_now(permitted: Permitted) -> None:
    assert "until" in allowed(permitted, None, datetime(2027, 6, 1, tzinfo=UTC))


def test_offers_to_somebody_else_are_not_shown(permitted: Permitted) -> None:
    everything = set(TERMS)
    assert permitted.addressed_to("did:web:m") == everything - {"theirs"}
    assert permitted.addressed_to(None) == everything - {"theirs", "mine"}


def test_the_words_of_the_offers_are_known(permitted: Permitted) -> None:
    actions, purposes = permitted.words()
    assert {"use", "read"} <= set(actions)
    assert purposes == ("research",)


def test_what_is_no_longer_in_use_is_forgotten() -> None:
    found = Permitted(known_vocabulary())
    found.know({"a": b'[{"permission":[{"action":"use"}]}]'})
    assert allowed(found, None) == {"a"}
    found.know({"b": b'[{"permission":[{"action":"use"}]}]'})
    assert allowed(found, None) == {"b"}
    assert not found.knows("a")


def test_thirty_eight_thousand_offers_are_judged_within_a_second() -> None:
    """All of them different, which no alliance has: CPU time of one question once they are compiled."""
    count = 3_800  # a tenth of them, for a tenth of the time
    found = Permitted(known_vocabulary())
    found.know({str(n): orjson.dumps([when("purpose", "isAnyOf", ["research", f"p{n}"])]) for n in range(count)})
    begun = time.process_time()
    assert len(allowed(found, MEMBER, purpose="research")) == count
    assert time.process_time() - begun < 0.4
