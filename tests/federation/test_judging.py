"""What carries a signature is proven or isolated; what a member says of itself is shown as far as it is proven."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from connector.describe import participant
from connector.errors import Overloaded, Unproven
from connector.federation import feed, origins
from connector.ports.attesting import Attested
from connector.ports.catalog import ITSELF
from tests.describe import participants
from tests.federation.foreign import Scene, answer, catalog, dataset, scene
from tests.federation.test_crawl import speaks

NOW = datetime(2026, 11, 22, tzinfo=UTC)
_DATA = "data:application/vc+jwt,"


class Signatures:
    """Proves what a test says is proven: a signature is the name of who made it, and of what is wrong with it."""

    is_away = False
    withdrawn: frozenset[str] = frozenset()
    """Credentials that do not hold any more."""
    places: Mapping[str, tuple[str, ...]] = {}
    """Where DID documents say that their subjects answer."""

    async def signer(self, tree: Mapping[str, Any], allowed: Collection[str]) -> str:
        name, _, fault = str(tree["proof"]).partition(" ")
        if name not in allowed and fault != "kind":
            raise Unproven(f"signed by `{name}`", check="signer")
        if self.is_away:
            raise Overloaded("the document cannot be had")
        if fault:
            raise Unproven(f"it is {fault}", check=fault)
        return name

    async def services(self, did: str) -> tuple[str, ...]:
        return self.places.get(did, ())

    async def credential(self, raw: str, *, subject: str) -> Attested:
        if self.is_away:
            raise Overloaded("the document cannot be had")
        issuer, _, type_ = raw.partition("|")
        if type_ == "forged":
            raise Unproven("the signature is wrong", check="signature")
        if raw in self.withdrawn:
            raise Unproven("it is revoked", check="status")
        claims = (
            {"type": participant.ORGANISATION, **participants.whole()}
            if type_ == participant.CREDENTIAL_TYPE
            else {"level": "gold"}
        )
        claims = {name: value for name, value in claims.items() if name not in ("@id", "@type")}
        return Attested(issuer=issuer, subject=subject, types=(type_,), claims=claims, valid_until=NOW)


def enveloped(raw: str) -> dict[str, Any]:
    return {"@id": _DATA + raw}


async def test_a_signature_is_proven_and_who_claims_another_is_isolated(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        signed = [
            dataset("urn:good", proof="a"),
            dataset("urn:publisher", proof="did:web:p", **{"dct:publisher": {"@id": "did:web:p"}}),
            dataset("urn:other", proof="did:web:somebody"),
            dataset("urn:changed", proof="a signature"),
            dataset("urn:foreign", proof="a kind"),
            dataset("urn:plain"),
        ]
        speaks(here, "a", answer(catalog("a", *signed)))
        await here.list("a")
        report = (await here.report("a")).report
        assert report is not None
        shown = {c.key[1]: c.product.entry.signed for c in await here.records.changes(0, 99) if c.product is not None}
        assert shown == {"urn:good": "a", "urn:publisher": "did:web:p", "urn:foreign": "", "urn:plain": ""}
        told = "\n".join(report.left_out)
        assert "`urn:other` is signed by `did:web:somebody`" in told
        assert "the signature of `urn:changed` proves nothing: it is signature" in told
        assert any("`urn:foreign` is shown as not signed" in note for note in report.notes)


async def test_a_ledger_proves_what_another_passes_on_and_passes_it_on_as_the_origin_wrote_it(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        trees = {
            "good": dataset("urn:good", proof="did:web:o"),
            "changed on the way": dataset("urn:changed", proof="did:web:o signature"),
            "signed by the ledger": dataset("urn:claimed", proof="region"),
            "not signed": dataset("urn:plain"),
        }
        way = {"origin": "did:web:o", "endpoint": "https://o.example/dsp", "via": ["town"], "seenAt": NOW.isoformat()}
        changes = [{**way, "sequence": n, "id": t["@id"], "dataset": t} for n, t in enumerate(trees.values(), start=1)]
        page = {"participantId": "region", "sequence": 4, "hasMore": False, "changes": changes}
        here.foreign.tell("/region/feed?after=0&limit=500", answer(page))
        await here.list(region="catalog")
        report = (await here.report("region")).report
        assert report is not None
        assert len(report.left_out) == 2
        assert "the signature of `urn:changed` proves nothing" in report.left_out[0]
        assert "`urn:claimed` is signed by `region`" in report.left_out[1]
        taken = await here.records.changes(0, 9)
        passed = orjson.loads(feed.page("nation", "e", taken, 9, 0))["changes"]
        signed = [c.product.entry.signed for c in taken if c.product is not None]
        assert [(one["dataset"], one["via"], one["seenAt"], one["origin"]) for one in passed] == [
            (trees[name], ["town", "region"], NOW.isoformat(), "did:web:o") for name in ("good", "not signed")
        ]
        assert signed == ["did:web:o", ""]


async def test_what_a_stranger_has_signed_is_refused_and_waits_for_no_key(tmp_path: Path) -> None:
    prover = Signatures()
    prover.is_away = True
    async with scene(tmp_path, prover=prover) as here:
        speaks(here, "a", answer(catalog("a", dataset("urn:other", proof="did:web:victim"), dataset("urn:mine", proof="a"))))
        await here.list("a")
        report = (await here.report("a")).report
        assert report is not None
        assert ["`urn:other` is signed by `did:web:victim`" in one for one in report.left_out] == [True]
        assert await here.records.waiting() == ["?a"]


async def signed_by(here: Scene) -> list[str]:
    return [c.product.entry.signed for c in await here.records.changes(0, 9) if c.product is not None]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (participants.whole(), "it describes `did:web:weather.example`"),
        ({**participants.whole(), "@id": "a", "http://xmlns.com/foaf/0.1/name": "<script>"}, "a name holds markup"),
        ({**participants.whole(), "@id": "a", "more": "x" * 200_000}, "too long"),
        (enveloped("a|forged"), "proves nothing"),
        (enveloped(f"somebody|{participant.CREDENTIAL_TYPE}"), "signed by somebody else"),
        (enveloped("a|MembershipCredential"), "signed by somebody else"),
    ],
)
async def test_what_a_member_falsely_says_of_itself_is_left_out_and_its_products_stay(
    tmp_path: Path, said: Any, fault: str
) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        speaks(here, "a", answer(catalog("a", dataset("urn:x"), **{participant.PROPERTY: said})))
        await here.list("a")
        row = await here.report("a")
        assert row.report is not None
        assert fault in row.report.left_out[0]
        assert row.entries == 1
        shown = await here.records.product("a", ITSELF)
        # nothing of it is shown or passed on, but why
        if shown is not None:
            found = origins.read(shown.entry)
            assert (found.state, found.description, found.carried) == ("refused", None, {})
            assert fault in found.reason


async def test_what_a_member_says_of_itself_is_kept_with_who_attests_it(tmp_path: Path) -> None:
    async with scene(tmp_path, prover=Signatures()) as here:
        said = {
            participant.PROPERTY: enveloped(f"a|{participant.CREDENTIAL_TYPE}"),
            participant.ATTESTATION: [enveloped("did:web:authority|MembershipCredential"), enveloped("x|forged"), "odd"],
        }
        speaks(here, "a", answer(catalog("a", **said)), answer(catalog("a")))
        speaks(here, "b", answer(catalog("b", **{participant.PROPERTY: {**participants.whole(), "@id": "b"}})))
        await here.list("a", "b")
        rows = [await here.report(name) for name in ("a", "b")]
        a, b = await here.said("a"), await here.said("b")
        assert (a.state, b.state, b.reason) == ("verified", "unsigned", "it is not signed")
        assert a.description is not None
        assert a.description["@id"] == "a"
        assert [one["issuer"] for one in a.attestations] == ["did:web:authority"]
        # it was judged once; when its time is over it is shown no longer, though nobody says anything else
        entry = (await here.records.product("a", ITSELF)).entry  # type: ignore[union-attr]
        before, after = (origins.read(entry, NOW + timedelta(seconds=more)) for more in (-1, 0))
        assert (before.state, len(before.attestations)) == ("verified", 1)
        assert (after.state, after.description, after.attestations, after.carried) == ("refused", None, (), {})
        assert after.reason == "what it says of itself held until 2026-11-22T00:00"
        report = rows[0].report
        assert report is not None
        assert any("an attestation is left out" in note for note in report.notes)
        # what is said no longer is shown no longer
        await here.look_again("a")
        assert await here.records.product("a", ITSELF) is None
