"""An operator asks why somebody does not see an offer, and gets the rule for an answer."""

from __future__ import annotations

import pytest

from connector.errors import NotFound
from connector.testing.dataspace import DataSpace

MEMBERS = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "https://w3id.org/kontor/ns/membership", "operator": "eq", "rightOperand": "active"}
            ],
        }
    ]
}


async def test_who_does_not_see_an_offer_is_explained_by_the_rule(space: DataSpace) -> None:
    provider = space.join("provider")
    member, guest = space.join("member", claims={"membership": "active"}), space.join("guest")
    offer = await provider.publish("weather", access_policy=MEMBERS)
    seen = await provider.send(provider.calls.visibility(offer.dataset, member.id))
    assert [(one.is_visible, one.reasons) for one in seen.offers] == [(True, [])]
    unseen = await provider.send(provider.calls.visibility(offer.dataset, guest.id))
    (one,) = unseen.offers
    assert (one.offer, one.definition, one.access_policy, one.is_visible) == (
        offer.offer_id,
        "weather",
        "weather-access",
        False,
    )
    assert "membership" in " ".join(one.reasons)
    # what the answer says is what they see
    assert (await member.catalog(provider)).catalog["dataset"]
    assert not (await guest.catalog(provider)).catalog["dataset"]


async def test_what_is_not_offered_at_all_says_why(space: DataSpace) -> None:
    provider = space.join("provider")
    await space.begin()
    with pytest.raises(NotFound, match="no asset of this id"):
        await provider.send(provider.calls.visibility("urn:nothing", "urn:anybody"))
