"""Participants describe themselves: signed by themselves, attested by others, shown in the ledger as far as it is proven."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from connector.api.catalog import LedgerSearch
from connector.api.participants import SelfDescription
from connector.client import describing
from connector.controlplane.clock import SystemClock
from connector.describe import participant
from connector.errors import CallerError, Conflict
from connector.identity.formats import read_credential
from connector.testing.dataspace import Member
from tests.identity.hosts import host
from tests.identity.issuer import MEMBER, Issuer
from tests.scenarios.ledgers import LedgerSpace
from tests.scenarios.test_wallets import SCOPE, joined

GOLD = "GoldCredential"
FOAF_NAME = "http://xmlns.com/foaf/0.1/name"


def words(id_: str, **more: Any) -> dict[str, Any]:
    return participant.members(
        participant.Organisation(participant=id_, name=(("en", "North Data"),), legal_name="North Ltd", **more)
    )


class AheadClock(SystemClock):
    """The machine's clock, ahead by what a test says: jobs go on by themselves, and what would take a minute does not."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    async def wait_until(self, moment: datetime | None, wake: asyncio.Event) -> None:
        while not wake.is_set() and (moment is None or self.now() < moment):
            soon = datetime.now(UTC) + self.ahead + timedelta(seconds=0.05)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min((min(moment or soon, soon) - self.now()).total_seconds(), 0.05)):
                    await wake.wait()
        wake.clear()


async def test_a_member_describes_itself_and_the_ledger_shows_what_is_proven_of_it() -> None:
    async with host() as served:
        issuer = Issuer(served, types=(MEMBER, GOLD))
        membership = {"trusted_issuers": [{"id": issuer.did}], "scopes": [SCOPE]}
        clock = AheadClock()
        async with LedgerSpace(
            has_wallets=True,
            clock=clock,
            settings={
                "identity": {"membership": membership},
                "catalog": {"viewers": "everybody", "follow_s": 0.1, "interval_s": 90},
            },
        ) as space:
            ledger, nation = space.gather("ledger", ["north"]), space.gather("nation", ["ledger"])
            north = space.join("north")
            # what is attested beside the membership has a place of its own in the status list
            for type_, members in ((MEMBER, (ledger, nation, north)), (GOLD, (north,))):
                issuer.types, issuer.next_index = (type_,), issuer.next_index + 1
                for member in members:
                    await joined(member, issuer, type_)
            send, address = north.send, f"{north.app.public_url}/north/self-description"
            async with httpx.AsyncClient() as client:
                assert (await client.get(address)).status_code == 404
                wanted = SelfDescription(description=words(north.id), attestations=(MEMBER, GOLD))
                published = await send(describing.put_self_description("north", wanted))
                # 1. everybody reads it, signed by the participant's own key for assertions
                answer = await client.get(address)
                assert answer.headers["content-type"] == "application/vc+jwt"
                credential = read_credential(answer.text)
                assert (credential.issuer, credential.subject) == (north.id, north.id)
                assert answer.text == published.credential
                again = await client.get(address, headers={"if-none-match": answer.headers["etag"]})
                assert again.status_code == 304
                plain = (await client.get(address, headers={"accept": "application/ld+json"})).json()
                (service,) = plain[participant.SERVICE]
                assert service["https://schema.org/url"] == {"@id": north.address}
                # what a source of each kind can be served as, by this node as it is
                formats = ["HttpData-PULL", "HttpData-PUSH", "S3-PULL"]
                assert service["https://w3id.org/kontor/ns/transferFormat"] == formats

            # 2. the ledger has it within moments of an announcement, proven, with who attests what
            async def shown(by: Member = ledger) -> Any:
                async with httpx.AsyncClient() as client:
                    url = f"{by.app.public_url}/catalog/api/participants/{quote(north.id, safe='')}"
                    tree = (await client.get(url)).json().get("self")
                if tree is not None and tree["state"] == "unjudged" and clock.ahead < timedelta(minutes=5):
                    # a key that the ledger has not seen yet is believed when it looks up the document again
                    clock.ahead += timedelta(seconds=5)
                return tree

            attested = [([GOLD], issuer.did), ([MEMBER], issuer.did)]
            found = await north.until(shown, lambda tree: tree is not None and tree["state"] == "verified")
            assert (found["isSigned"], found["via"]) == (True, [])
            assert found["description"]["@id"] == north.id
            assert sorted((one["types"], one["issuer"]) for one in found["attestations"]) == attested
            # 3. and so has the ledger above it, which knows the member by the first one's word only, and proves it all the same
            above = await north.until(lambda: shown(nation), lambda tree: tree is not None and tree["state"] == "verified")
            assert above["description"] == found["description"]
            assert sorted((one["types"], one["issuer"]) for one in above["attestations"]) == attested
            assert (above["via"], above["member"]) == ([ledger.id], ledger.id)
            async with httpx.AsyncClient() as client:
                page = await client.get(f"{nation.app.public_url}/catalog/participants/{quote(north.id, safe='')}")
            assert "North Data" in page.text
            assert f"Told by {ledger.id}" in page.text
            # 4. what is revoked is shown no longer, though its catalogue is the same as before
            issuer.revoked = {issuer.next_index}
            clock.ahead += timedelta(seconds=91)
            for one in (ledger, nation):
                found = await north.until(lambda by=one: shown(by), lambda tree: len(tree["attestations"]) == 1)
                assert (found["state"], found["attestations"][0]["types"]) == ("verified", [MEMBER])
            # 5. its products are found under the name that it gives itself
            await north.publish("weather")
            wanted = LedgerSearch(catalog=f"{nation.app.public_url}/catalog", peer=nation.id, text="north data")

            async def names() -> Any:
                return [
                    (one["title"], one["origin"], one["endpointProof"])
                    for one in (await north.send(north.calls.search(wanted)))["items"]
                ]

            # and where it is fetched is as it has signed, whatever the ledger on the way could say
            await north.until(names, lambda items: items == [("weather", north.id, "proven")])
            # 6. what it says no longer is gone above too
            await north.send(describing.delete_self_description("north"))
            await north.until(lambda: shown(nation), lambda tree: tree is None)


async def test_a_description_that_is_another_s_breaks_a_rule_or_claims_too_much_is_refused() -> None:
    async with LedgerSpace() as space:
        north = space.join("north")
        for description, word in (
            (words("urn:somebody"), "is of `urn:somebody`"),
            ({**words(north.id), FOAF_NAME: "<b>North</b>"}, "a name holds markup"),
            ({**words(north.id), "more": "x" * 70_000}, "too long"),
        ):
            with pytest.raises(CallerError, match=word):
                await north.send(describing.put_self_description("north", SelfDescription(description=description)))
        claimed = SelfDescription(description=words(north.id), attestations=("Gold",))
        with pytest.raises(Conflict, match="the wallet holds no `Gold`"):
            await north.send(describing.put_self_description("north", claimed))
        kept = await north.send(describing.put_self_description("north", SelfDescription(description=words(north.id))))
        assert kept.credential is None
        catalog = await north.send(north.calls.catalog())
        assert catalog[participant.PROPERTY][FOAF_NAME] == [{"@value": "North Data", "@language": "en"}]
        await north.send(describing.delete_self_description("north"))
        assert participant.PROPERTY not in await north.send(north.calls.catalog())
