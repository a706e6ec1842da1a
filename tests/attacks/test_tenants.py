"""Attacks of one participant on another of the same node (M1), at every address that the running node has.

The addresses are read off the node: of the operator API from its description, of the public listener and of that for planes from their
routes. One that is neither below a participant nor listed here fails: nothing new is out of reach of these attacks by being new.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from connector.testing.dataspace import api_key
from tests.attacks.tenants import DRIVERS, MARK, SECRETS, Tenants, bearer, opened_tenants, unlike

pytestmark = pytest.mark.asyncio(loop_scope="module")
Seen = list[tuple[str, httpx.Response]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants() -> AsyncIterator[Tenants]:
    async with opened_tenants() as found:
        yield found


OPEN = {
    "/{participant}/did.json", "/{participant}/.well-known/dspace-version", "/{participant}/self-description",
    "/authority", "/authority/did.json", "/authority/participants", "/authority/issuers", "/authority/status/{name}",
    "/authority/schemas/{type}", "/authority/issuer/metadata", "/authority/oauth2/jwks",
    "/authority/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/authority",
    "/catalog/.well-known/dspace-version", "/catalog/style.css",
}  # fmt: skip
"""What is published: documents, keys, signed lists."""
MEMBERS = {
    "/catalog", "/catalog/", "/catalog/products/{number}", "/catalog/participants/{id}", "/catalog/reports/{id}", "/catalog/statistics",
    "/catalog/wanted", "/catalog/api/search", "/catalog/api/suggest", "/catalog/api/products/{number}", "/catalog/api/participants/{id}",
    "/catalog/api/statistics", "/catalog/api/members", "/catalog/api/reports/{id}", "/catalog/feed",
    "/catalog/dsp/2025-1/catalog/request", "/catalog/dsp/2025-1/catalog/datasets/*",
}  # fmt: skip
"""What all members read alike: nobody's own."""
OWN = {
    "/authority/applications", "/authority/applications/leave", "/authority/applications/follow", "/authority/applications/{id}",
    "/authority/issuer/credentials",
    "/authority/issuer/requests/{id}", "/authority/oauth2/token", "/authority/oauth2/introspect", "/authority/oauth2/revoke",
    "/catalog/announcements", "/catalog/agreements", "/catalog/api/searches", "/catalog/api/searches/{id}",
    "/catalog/api/searches/{id}/news", "/catalog/api/demands", "/catalog/api/demands/{id}",
}  # fmt: skip
"""Where whoever proves itself acts for itself."""
DRIVEN = re.compile(r"/(v1/(dataflows|controlplanes)|dataplane/(data|refresh))(/|$)")
"""Our data plane under the control plane of others, whose flows are by control plane."""
METHODS = ("GET", "POST", "PUT", "DELETE")


AT_A_LEDGER = {"catalog"}
"""What has its ids at a ledger, which is asked in a participant's own name: attacked there, as the ledger's own addresses are."""


async def test_m1_every_address_is_of_a_kind_that_is_attacked_here(tenants: Tenants) -> None:
    found = {*tenants.addresses("public"), *tenants.addresses("signaling")}
    assert [one for one in found - OPEN - MEMBERS - OWN if "{participant}" not in one and not DRIVEN.match(one)] == []
    assert found >= OPEN | MEMBERS | OWN, "an address is listed that the node does not have"
    assert sum("{participant}" in one for one in found) > 30
    operations = await tenants.operations()
    assert {path.split("/")[1] for path, _, _ in operations if "{participant}" not in path} == {
        "authority", "keys", "audit", "jobs", "doctor", "dataflows", "participants",
    }  # fmt: skip
    # nothing that the other one has is without an attack by its id
    subjects = {
        path.split("/")[3]
        for path, _, _ in operations
        if re.search(r"\{(id|pid|name|plane)\}", path.partition("{participant}")[2])
    }
    assert subjects - AT_A_LEDGER <= tenants.things.keys()


# --- the operator API: acme's key, and the ids of the other one


async def another_in_the_path(tenants: Tenants) -> Seen:
    """acme's own key at every address of the other one, and of nobody."""
    return [
        (
            f"{method} {path}",
            await tenants.ask(method, f"{tenants.operator}{tenants.filled(path, name)}", key="acme", **_body(method)),
        )
        for path, method, _ in await tenants.operations()
        if "{participant}" in path
        for name in ("other", "nobody")
    ]


async def the_node_itself(tenants: Tenants) -> Seen:
    """acme's own key at every address that is about no participant, but for those that show each operator its part."""
    return [
        (
            f"{method} {path}",
            await tenants.ask(method, f"{tenants.operator}{tenants.filled(path, 'other')}", key="acme", **_body(method)),
        )
        for path, method, _ in await tenants.operations()
        if "{participant}" not in path and (path, method) not in {("/keys", "get"), ("/participants", "get"), ("/keys", "post")}
        if not path.startswith("/keys/")
    ]


async def keys_of_another(tenants: Tenants) -> Seen:
    url = f"{tenants.operator}/keys"
    wishes = [
        {"name": f"x{n}", "role": "read", "participants": one} for n, one in enumerate((["other"], ["acme", "other"], ["*"]))
    ]
    return [(str(wish), await tenants.ask("POST", url, key="acme", json=wish)) for wish in wishes]


PLACED = re.compile(r"\{(id|pid|name|plane)\}")


async def ids_of_another(tenants: Tenants) -> Seen:
    """The other one's ids below acme, with a key that opens both: a process, a secret, a DID key, a request, whatever has an id."""
    found: Seen = []
    for path, method, _ in await tenants.operations():
        if AT_A_LEDGER.intersection(path.split("/")[3:4]):
            continue
        if PLACED.search(path) and "{participant}" in path and method != "put":
            body = {"kind": "event", "event": "urn:x"} if path.endswith("/postings") else {"reason": "x"}
            more = {"json": body} if method == "post" else {}
            found.append(
                (
                    f"{method} {path}",
                    await tenants.ask(method, f"{tenants.operator}{tenants.filled(path, 'acme')}", key="*", **more),
                )
            )
    assert len(found) >= 25, "the attack was not played"
    return found


NAMED = ("participantContextId", "participant", "context", "owner")


async def another_in_the_body(tenants: Tenants) -> Seen:
    """Bodies that name the other one as their context, at every address of acme that takes one."""
    whole: Mapping[str, dict[str, Any]] = {
        "/participants/{participant}/assets": {"id": "x-of-acme", "source": {"type": "none"}},
        "/participants/{participant}/policies": {"id": "x-of-acme", "policy": {"permission": [{"action": "use"}]}},
        "/participants/{participant}/contract-definitions": {"id": "x-of-acme", "assets": ["x-of-acme"], "policy": "x-of-acme"},
        "/participants/{participant}/webhooks": {
            "name": "x-of-acme",
            "url": "http://127.0.0.1:9/x",
            "events": ["transfer.suspend"],
        },
        "/participants/{participant}/keys": {"purpose": "token"},
    }
    found: Seen = []
    for path, method, _ in await tenants.operations():
        # what takes no body takes none of this one either; acts on ids of acme's are tried with ids that are not there
        if (
            method in ("post", "put")
            and "{participant}" in path
            and not path.endswith(("/retry", "/doctor", "/approve", "/reject"))
        ):
            address = PLACED.sub("nothing", path.replace("{participant}", "acme").replace("{act}", "terminate"))
            for name in NAMED:
                answer = await tenants.ask(
                    method, f"{tenants.operator}{address}", key="acme", json={**whole.get(path, {}), name: "other"}
                )
                found.append((f"{method} {path} {name}", answer))
    return found


async def another_in_the_query(tenants: Tenants) -> Seen:
    """Every list of acme, asked for the other one and by each parameter for the other one's things."""
    stage, things, found = tenants.stage, tenants.things, Seen()
    values = {
        "peer": tenants.peer.did, "dataset": things["assets"], "agreement": things["agreements"], "process": things["transfers"],
        "about": things["agreements"], "party": tenants.peer.did, "of": "other", "space": "urn:x", "path": "x", "kind": "transfer",
        "state": "STARTED", "role": "provider", "held": "true", "question": "negotiate", "wait_s": "0", "limit": "1000",
    }  # fmt: skip
    for path, method, parameters in await tenants.operations():
        if method != "get" or "{participant}" not in path or PLACED.search(path) or path.endswith("/stream"):
            continue
        url = f"{tenants.operator}{path.replace('{participant}', 'acme')}"
        known = [one["name"] for one in parameters if one["in"] == "query"]
        tried = [dict.fromkeys(NAMED, one) for one in ("other", stage.other.id)]
        tried += [{name: values[name]} for name in known if name in values]
        answers = [(f"{path} {query}", await tenants.ask("GET", url, key="acme", params=query)) for query in tried]
        if path.endswith("/audit"):
            # the trail of acme has what its own operators have tried, by the ids that they tried
            assert all("/participants/other" not in answer.text for _, answer in answers)
        else:
            found += answers
    return found


async def lists_of_all(tenants: Tenants) -> Seen:
    """The lists of the node that show each operator its part."""
    found = [(path, await tenants.ask("GET", f"{tenants.operator}{path}", key="acme")) for path in ("/participants", "/keys")]
    assert all('"other"' not in answer.text for _, answer in found)
    return found


def _body(method: str) -> dict[str, Any]:
    return {"json": {}} if method in ("post", "put") else {}


OPERATED: dict[str, tuple[Callable[[Tenants], Awaitable[Seen]], tuple[int, ...]]] = {
    "M1 path": (another_in_the_path, (403,)),
    "M1 node": (the_node_itself, (403,)),
    "M1 keys for another": (keys_of_another, (403,)),
    "M1 ids": (ids_of_another, (404,)),
    "M1 body": (another_in_the_body, (400, 403, 404)),
    "M1 query": (another_in_the_query, (200, 400, 403, 404)),
    "M1 lists": (lists_of_all, (200,)),
}


@pytest.mark.parametrize("attack", OPERATED.values(), ids=OPERATED)
async def test_m1_no_operator_of_one_participant_reaches_another(
    tenants: Tenants, attack: tuple[Callable[[Tenants], Awaitable[Seen]], tuple[int, ...]]
) -> None:
    seen = await attack[0](tenants)
    assert seen
    assert unlike(seen, *attack[1]) == []
    assert await tenants.shown() == tenants.before
    assert tenants.stage.canary.connections == 0


# --- what peers, wallets and planes reach: what opens acme, and what opens the other one, each at the wrong place


def of_acme(tenants: Tenants) -> dict[str, dict[str, str]]:
    """Everything that opens something of acme's."""
    return {
        "a token for acme": bearer(tenants.peer.token()),
        "a plane of acme's": bearer(SECRETS["acme"]),
        "a key for acme": {"X-Api-Key": api_key("acme")},
        "a key for acme as a token": bearer(api_key("acme")),
        "data of another participant": bearer(tenants.token.split()[-1].swapcase()),
        "nothing": {},
    }


@pytest.mark.parametrize("listener", ["public", "signaling"])
async def test_m1_what_opens_one_participant_opens_no_address_of_another(tenants: Tenants, listener: str) -> None:
    seen = Seen()
    for pattern in tenants.addresses(listener):
        if "{participant}" not in pattern or pattern in OPEN:
            continue
        address = pattern.replace("{participant}", "other").replace("{report}", "completed")
        subject = "negotiations" if "negotiations" in address else "transfers"
        address = re.sub(r"\*|\{\w+\}", quote(tenants.things[subject], safe=":"), address)
        for name, headers in of_acme(tenants).items():
            # which method it is matters to what opens something, if at all
            for method in METHODS if name.startswith("a token") or name.startswith("a plane") else ("POST",):
                url = f"{tenants.public if listener == 'public' else tenants.signaling}{address}"
                seen.append(
                    (
                        f"{method} {pattern} with {name}",
                        await tenants.ask(method, url, headers=headers, **_body(method.lower())),
                    )
                )
    assert len(seen) > 100
    # a body that can be nobody's may be refused before its sender is looked at
    assert unlike(seen, 400, 401, 403, 404, 405, 415) == []
    assert all(one.status_code != 400 for what, one in seen if "/dsp/" in what or "/data/" in what or listener == "signaling")
    assert await tenants.shown() == tenants.before
    assert tenants.stage.canary.connections == 0


async def test_m1_a_control_plane_moves_no_flow_of_another(tenants: Tenants) -> None:
    flow, base = quote(tenants.flow, safe=""), f"{tenants.signaling}/v1"
    own = bearer(DRIVERS["cp-other"])
    assert (await tenants.ask("GET", f"{base}/dataflows/{flow}/status", headers=own)).json()["state"] == "STARTED"
    seen = Seen()
    for pattern in tenants.addresses("signaling"):
        if not DRIVEN.match(pattern) or pattern.endswith(("/check", "/prepare", "/start", "/dataflows")):
            continue
        for call in ("suspend", "resume", "terminate", "completed", "started"):
            address = (
                pattern.replace("/controlplanes/{id}", "/controlplanes/cp-other").replace("{id}", flow).replace("{call}", call)
            )
            for method in METHODS:
                body = {"controlplaneId": "cp-other", "endpoint": "http://127.0.0.1:1/x", "authorization": {}}
                sent = body if "controlplanes" in address else {"messageId": "x"}
                more = {"json": sent} if method in ("POST", "PUT") else {}
                seen.append(
                    (
                        f"{method} {address}",
                        await tenants.ask(method, f"{tenants.signaling}{address}", headers=bearer(DRIVERS["cp-acme"]), **more),
                    )
                )
    assert unlike(seen, 404, 405, 409) == []
    assert (await tenants.ask("GET", f"{base}/dataflows/{flow}/status", headers=own)).json()["state"] == "STARTED"


async def test_m1_at_the_authority_and_in_the_ledger_everybody_acts_for_itself(tenants: Tenants) -> None:
    stage, http = tenants.stage, tenants.stage.http
    victim, mallory = stage.party(), stage.party()
    did = stage.acme.app.public_url.replace("http://", "did:web:").replace("localhost:", "localhost%3A") + ":authority"
    # 1. an application, and a member's record: known by whose token asks
    taken = (await http.post(f"{tenants.public}/authority/applications", json={"id": victim.did})).json()
    proof = bearer(mallory.token(aud=did, nonce=taken["nonce"]))
    assert (await http.post(taken["proof"], headers=proof)).status_code in (401, 403, 404)
    for path, method in (("applications", "GET"), ("applications/leave", "POST"), ("applications/follow", "POST")):
        answer = await http.request(method, f"{tenants.public}/authority/{path}", headers=bearer(mallory.token(aud=did)))
        assert answer.status_code == 404
        assert victim.did not in answer.text
    proven = await http.post(taken["proof"], headers=bearer(victim.token(aud=did, nonce=taken["nonce"])))
    assert proven.json()["state"] == "VERIFIED", "somebody has used up the nonce"
    # 2. what a member has left in the ledger: there for nobody else
    base = f"{tenants.public}/catalog/api"
    for subject, wish in (("searches", {"fields": {"q": [MARK]}}), ("demands", {"title": MARK, "text": MARK})):
        made = (await http.post(f"{base}/{subject}", json=wish, headers=bearer(tenants.peer.token()))).json()
        for method, path in (("GET", ""), ("GET", f"/{made['id']}/news"), ("DELETE", f"/{made['id']}")):
            answer = await http.request(method, f"{base}/{subject}{path}", headers=bearer(mallory.token()))
            assert answer.status_code in (200, 204, 404), answer.text
            # a demand is made to be read by all
            assert subject == "demands" or MARK not in answer.text
        kept = (await http.get(f"{base}/{subject}", headers=bearer(tenants.peer.token()))).json()["items"]
        assert [one["id"] for one in kept] == [made["id"]]
    assert stage.canary.connections == 0
