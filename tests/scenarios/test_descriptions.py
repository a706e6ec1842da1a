"""Participants describe themselves: signed by themselves, attested by others, shown in the ledger as far as it is proven."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from connector.api.participants import SelfDescription
from connector.client import describing
from connector.controlplane.clock import SystemClock
from connector.describe import participant
from connector.errors import CallerError, Conflict
from connector.identity.formats import read_credential
from tests.identity.hosts import host
from tests.identity.issuer import MEMBER, Issuer
from tests.scenarios.ledgers import LedgerSpace
from tests.scenarios.test_wallets import SCOPE, joined

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
        issuer = Issuer(served)
        membership = {"trusted_issuers": [{"id": issuer.did}], "scopes": [SCOPE]}
        clock = AheadClock()
        async with LedgerSpace(
            has_wallets=True,
            clock=clock,
            settings={"identity": {"membership": membership}, "catalog": {"viewers": "everybody"}},
        ) as space:
            ledger = space.gather("ledger", ["north"])
            north = space.join("north")
            for member in (ledger, north):
                await joined(member, issuer)
            send, address = north.send, f"{north.app.public_url}/north/self-description"
            async with httpx.AsyncClient() as client:
                assert (await client.get(address)).status_code == 404
                wanted = SelfDescription(description=words(north.id), attestations=(MEMBER,))
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
                assert plain[participant.SERVICE][0]["https://schema.org/url"] == {"@id": north.address}
            # 2. the ledger has it within moments of an announcement, proven, with who attests what
            url = f"{ledger.app.public_url}/catalog/api/participants/{quote(north.id, safe='')}"

            looks: set[str] = set()

            async def shown() -> Any:
                async with httpx.AsyncClient() as client:
                    tree = (await client.get(url)).json()
                report = tree["member"]["report"] or {"at": "", "notes": []}
                if report["at"] not in looks and any("cannot be judged now" in note for note in report["notes"]):
                    # a key that the ledger has not seen yet is believed when it looks up the document again
                    looks.add(report["at"])
                    clock.ahead += timedelta(seconds=70)
                return tree["self"]

            found = await north.until(shown, lambda tree: tree is not None)
            assert found["isSigned"] is True
            assert found["description"]["@id"] == north.id
            assert [(one["types"], one["issuer"]) for one in found["attestations"]] == [([MEMBER], issuer.did)]


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
