"""What agreeing to somebody's terms would bind us to, however little they permit."""

from __future__ import annotations

from typing import Any

import pytest

from connector.odrl import jsonld
from connector.odrl.burdens import burdens

US, THEM = "did:web:provider.example", "did:web:consumer.example"
OURS: dict[str, Any] = {
    "@type": "Offer",
    "assigner": US,
    "permission": [{"action": "use", "duty": [{"action": "inform", "informedParty": US}]}],
    "obligation": [{"action": "delete", "informedParty": US}],
    "dct:title": "Wind",
}


def test_who_grants_in_a_rule_of_ours_may_grant_less_of_it() -> None:
    rule = {"action": "use", "assigner": US}
    ours = jsonld.read({"permission": [rule]})
    assert list(burdens(ours, jsonld.read({"permission": [{**rule, "action": "read"}]}), THEM)) == []
    assert list(burdens(ours, jsonld.read({"permission": [{**rule, "action": "read", "assigner": THEM}]}), THEM)) != []


def test_what_binds_us_in_one_place_does_not_in_another() -> None:
    owed = {"action": "compensate", "assignee": US}
    sold = {"action": "sell", "assignee": US}
    duty = {"action": "attribute", "consequence": [owed]}
    ours = jsonld.read({"permission": [sold], "prohibition": [{"action": "give", "remedy": [owed]}], "obligation": [duty]})

    def told(**asked: Any) -> bool:
        return any(burdens(ours, jsonld.read({"permission": [{"action": "use"}], **asked}), THEM))

    assert not told(prohibition=[{"action": "give", "remedy": [owed]}], obligation=[duty])
    # what we would pay if something happens is no debt, nor one for something else, and what we may do is not what we must not
    assert told(obligation=[owed])
    assert told(obligation=[{"action": "inform", "consequence": [owed]}])
    assert told(prohibition=[{"action": "print", "remedy": [owed]}])
    assert told(prohibition=[sold])


def found(**asked: Any) -> list[str]:
    return list(burdens(jsonld.read(OURS), jsonld.read({**OURS, **asked}), THEM))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"obligation": [*OURS["obligation"], {"action": "attribute"}]},
        {"obligation": [*OURS["obligation"], {"action": "attribute", "assignee": THEM, "assigner": US}]},
        {"prohibition": [{"action": "sell", "remedy": [{"action": "delete"}]}]},
        {"permission": [{"action": "read", "duty": OURS["permission"][0]["duty"]}]},
        {"assignee": THEM},
    ],
)
def test_what_binds_the_consumer_alone_binds_nobody_else(asked: dict[str, Any]) -> None:
    assert found(**asked) == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"obligation": [*OURS["obligation"], {"action": "compensate", "assignee": US}]},
            "`policy.obligation[1]` makes `did:web:prov",
        ),
        ({"obligation": [{**OURS["obligation"][0], "assignee": US}]}, "its `assignee`"),
        ({"obligation": [*OURS["obligation"], {"action": "compensate", "compensatingParty": US}]}, "its `compensatingParty`"),
        ({"obligation": [*OURS["obligation"], {"action": "delete", "assigner": THEM}]}, "its `assigner`"),
        ({"prohibition": [{"action": "sell", "assignee": US}]}, "`policy.prohibition[0]` makes"),
        ({"prohibition": [{"action": "sell", "remedy": [{"action": "compensate", "assignee": US}]}]}, "remedy[0]` makes"),
        ({"permission": [{"action": "use", "duty": [{"action": "compensate", "assignee": US}]}]}, "duty[0]` makes"),
        (
            {"obligation": [{"action": "attribute", "consequence": [{"action": "compensate", "assignee": US}]}]},
            "consequence[0]` makes",
        ),
        ({"prohibition": [{"action": "sell", "assignee": {"@type": "PartyCollection", "source": THEM}}]}, "its `assignee`"),
        ({"compensatingParty": US}, "its `compensatingParty`"),
        ({"dct:description": "The provider pays."}, "the `description` of what is asked is not ours"),
        ({"dct:title": "Wind and sun"}, "the `title` of what is asked is not ours"),
    ],
)
def test_what_names_us_or_anybody_else_is_told_with_its_place(asked: dict[str, Any], says: str) -> None:
    told = found(**asked)
    assert any(says in one for one in told), told
