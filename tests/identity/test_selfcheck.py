"""What is held is judged as its verifiers would: withdrawn credentials and revoked keys are said, whatever the dates say."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from connector import jose
from connector.identity import selfcheck
from connector.identity.evidence import EvidenceSource
from tests.identity import test_known
from tests.identity.space import HOLDER, NOW
from tests.identity.test_known import Scene

scene = test_known.scene


async def found(scene: Scene, ends: datetime = NOW + timedelta(days=90)) -> tuple[str, str]:
    credential = replace(scene.proven().credentials[0], valid_until=ends)
    # lists that a message had looked up a moment ago do not answer for now
    evidence = EvidenceSource(scene.client, scene.resolver)
    await selfcheck.findings(HOLDER.did, {"c1": credential}, evidence, unsigned_lists=frozenset(), now=NOW)
    (one,) = await selfcheck.findings(
        HOLDER.did, {"c1": credential}, evidence, unsigned_lists=frozenset(), now=scene.clock.now()
    )
    assert (one.check, one.where, bool(one.mend)) == ("credentials", "c1", one.state != "ok")
    return one.state, one.what


async def test_a_credential_that_all_accept_is_good(scene: Scene) -> None:
    assert (await found(scene))[0] == "ok"


async def test_a_revoked_credential_is_an_error_within_its_dates(scene: Scene) -> None:
    scene.revoked = (7,)
    state, what = await found(scene)
    assert (state, "revo" in what) == ("error", True)


async def test_a_credential_whose_key_was_revoked_is_an_error(scene: Scene) -> None:
    assert (await found(scene))[0] == "ok"
    scene.issuer, kept = jose.generate(f"{scene.issuer_did}#key-2"), scene.issuer
    scene.publish()
    scene.issuer = kept
    scene.clock.move(seconds=60)
    state, what = await found(scene)
    assert (state, "key" in what) == ("error", True)


@pytest.mark.parametrize(("days", "state"), [(-1, "error"), (6, "warning"), (8, "ok")])
async def test_dates_are_judged(scene: Scene, days: int, state: str) -> None:
    assert (await found(scene, ends=NOW + timedelta(days=days)))[0] == state


async def test_an_issuer_that_is_away_says_nothing_about_the_credential(scene: Scene) -> None:
    scene.served.statuses["/status"] = 503
    assert (await found(scene))[0] == "warning"


async def test_nothing_held_is_said(scene: Scene) -> None:
    evidence = EvidenceSource(scene.client, scene.resolver)
    (one,) = await selfcheck.findings(HOLDER.did, {}, evidence, unsigned_lists=frozenset(), now=NOW)
    assert (one.state, "none is held" in one.what) == ("warning", True)
