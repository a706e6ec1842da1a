"""Every act of an operator is in the trail: who, what, on what, from where, with which result; no secret is, and nothing is done unseen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector import client
from connector.api.access import NewKey
from connector.api.audit import AuditEntry
from connector.api.participants import NewParticipant
from connector.client import add_participant, create_api_key, verify_audit
from connector.controlplane import audit
from connector.controlplane.audit import Audit
from connector.controlplane.participants import NODE
from connector.errors import StoreUnavailable
from connector.testing.dataspace import USE, DataSpace, Member, api_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "Bearer 2YotnFZFEjr1zCsicMWpAA"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member() -> AsyncIterator[Member]:
    async with DataSpace() as space:
        found = space.join("acme")
        space.join("other", on=found)
        await space.begin()
        yield found


async def trail(member: Member, participant: str | None = "acme") -> list[AuditEntry]:
    return list(reversed((await member.send(client.audit(participant, limit=1000))).items))


async def request(member: Member, method: str, path: str, key: str = api_key(), **given: Any) -> int:
    async with httpx.AsyncClient(base_url=member.app.operator_url, trust_env=False, headers={"X-Api-Key": key}) as http:
        return (await http.request(method, f"/api/v1{path}", **given)).status_code


async def test_an_act_is_told_before_and_after_it_is_done(member: Member) -> None:
    before = await trail(member)
    assert await request(member, "POST", "/participants/acme/policies?token=hidden", json={"id": "told", "policy": USE}) == 201
    asked, answered = (await trail(member))[len(before) :]
    assert (asked.stage, asked.who, asked.source) == ("asked", "for-all", "127.0.0.1")
    assert asked.what == "POST /api/v1/participants/acme/policies"
    assert (answered.stage, answered.act, answered.status, answered.object) == ("answered", asked.act, 201, "told")


async def test_an_act_that_failed_is_told_with_its_cause(member: Member) -> None:
    assert await request(member, "DELETE", "/participants/acme/assets/nothing") == 404
    last = (await trail(member))[-1]
    assert (last.stage, last.status) == ("answered", 404)
    assert last.cause
    assert last.error_id


async def test_what_an_operator_may_not_do_is_told_where_it_was_tried(member: Member) -> None:
    assert await request(member, "GET", "/participants/other/assets", key=api_key("acme")) == 403
    last = (await trail(member, "other"))[-1]
    assert (last.stage, last.who, last.status) == ("refused", "for-acme", 403)


async def test_very_many_refusals_are_told_by_their_number(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MOST_REFUSED", 2)
    monkeypatch.setattr(audit, "_MINUTE_S", 3600.0)
    before = len(await trail(member))
    for _ in range(5):
        assert await request(member, "GET", f"/participants/acme/assets/{'x' * 5000}", key=api_key("other")) == 403
    told = (await trail(member))[before:]
    assert len(told) == 2
    assert len(told[-1].what) < 1100
    begun = time.monotonic()
    monkeypatch.setattr(audit, "time", SimpleNamespace(monotonic=lambda: begun + 3601))
    assert await request(member, "GET", "/participants/acme/assets", key=api_key("other")) == 403
    assert "3 refusals before it" in (await trail(member))[-1].cause


async def test_looking_leaves_no_trace_and_neither_do_strangers(member: Member) -> None:
    before = len(await trail(member)), len(await trail(member, None))
    assert await request(member, "GET", "/participants/acme/assets") == 200
    assert await request(member, "DELETE", "/participants/acme/assets/x", key="wrong") == 401
    assert (len(await trail(member)), len(await trail(member, None))) == before


async def test_acts_on_the_node_and_on_what_there_is_not_stand_in_the_nodes_own_trail(member: Member) -> None:
    await member.send(add_participant(NewParticipant(name="third", id="urn:third")))
    assert (await trail(member, None))[-1].object == "third"
    assert await request(member, "DELETE", "/participants/made-up/assets/x") == 404
    assert (await trail(member, None))[-2].what == "DELETE /api/v1/participants/made-up/assets/x"


async def test_no_secret_and_no_key_is_in_the_trail(member: Member) -> None:
    assert await request(member, "PUT", "/participants/acme/secrets/upstream", json={"value": SECRET}) == 204
    made = await member.send(create_api_key(NewKey(name="new", participants=("acme",))))
    told = str([await trail(member), await trail(member, None)])
    assert "upstream" in told
    assert [text for text in (SECRET, made.key, api_key()) if text in told] == []


async def test_a_trail_is_verified_against_what_was_noted(member: Member) -> None:
    assert await request(member, "DELETE", "/participants/acme/assets/x") == 404
    first = await member.send(verify_audit("acme"))
    assert (first.is_whole, first.checked) == (True, first.last_number)
    assert await request(member, "DELETE", "/participants/acme/assets/x") == 404
    assert (await member.send(verify_audit("acme", number=first.last_number, sha256=first.last_sha256))).is_whole
    other = await member.send(verify_audit("acme", number=first.last_number, sha256="0" * 64))
    assert (other.is_whole, f"entry {first.last_number}" in str(other.fault)) == (False, True)
    beyond = await member.send(verify_audit("acme", number=10_000, sha256="0" * 64))
    assert not beyond.is_whole
    assert await request(member, "GET", "/participants/acme/audit/verification?number=1") == 400
    assert await request(member, "GET", "/participants/acme/audit?since=2026-11-01T00:00:00") == 400


async def test_entries_come_in_parts(member: Member) -> None:
    for number in range(3):
        await request(member, "DELETE", f"/participants/acme/assets/{number}")
    whole, seen, cursor = await trail(member), [], None
    while True:
        part = await member.send(client.audit("acme", cursor=cursor, limit=2))
        seen += [entry.number for entry in part.items]
        cursor = part.next_cursor
        if cursor is None:
            break
    assert seen == [entry.number for entry in reversed(whole)]


async def test_nothing_is_done_that_cannot_be_told(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Audit, act: object) -> str:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Audit, "asked", full)
        assert await request(member, "POST", "/participants/acme/policies", json={"id": "unseen", "policy": USE}) == 503
    assert await request(member, "GET", "/participants/acme/policies/unseen") == 404


async def test_the_nodes_own_context_can_be_nobodys_name() -> None:
    from connector.settings import Settings

    assert Settings.local_name_fault(NODE) is not None
