"""The operator API: keys, its description, lists, problems, and what watches the node."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from connector.api.participants import NewParticipant, Rules
from connector.client import add_participant, participants
from connector.errors import Conflict, NotFound
from connector.settings import Rule
from connector.testing.dataspace import DataSpace, Member, api_key

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member() -> AsyncIterator[Member]:
    """Somebody with a node of its own and three things to offer."""
    async with DataSpace() as space:
        found = space.join("acme")
        for name in "abc":
            await found.publish(name)
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def http(member: Member) -> AsyncIterator[httpx.AsyncClient]:
    """Requests to the operator listener, without a key."""
    async with httpx.AsyncClient(base_url=member.app.operator_url, trust_env=False) as found:
        yield found


KEY = {"X-Api-Key": api_key()}
ASSETS = "/api/v1/participants/acme/assets"


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Api-Key": ""}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {api_key()}"},
     {"Authorization": "Bearer"}],
)  # fmt: skip
async def test_without_a_good_key_nobody_gets_in(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for path in (ASSETS, "/api/v1/participants", "/api/v1/nothing"):
        answer = await http.get(path, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.json()["type"] == "urn:kontor:error:unauthenticated"


@pytest.mark.parametrize("headers", [KEY, {"Authorization": f"Bearer {api_key()}"}, {"Authorization": f"bearer  {api_key()}"}])
async def test_a_good_key_is_taken_from_either_header(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await http.get(ASSETS, headers=headers)).status_code == 200


async def test_what_is_built_at_the_first_request_is_built_without_a_word() -> None:
    app = FastAPI()

    @app.post("/")
    def ask(wanted: NewParticipant) -> None:
        """Nothing."""

    body = app.router.routes[-1].body_field  # type: ignore[attr-defined]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        body.validate({})
    assert said == []


async def test_the_description_names_every_route_with_words_examples_and_errors(http: httpx.AsyncClient) -> None:
    api = (await http.get("/api/v1/openapi.json")).json()
    operations = [(path, method, one) for path, methods in api["paths"].items() for method, one in methods.items()]
    assert len(operations) > 30
    names = [one["operationId"] for _, _, one in operations]
    assert len(set(names)) == len(names)
    assert {"add_asset", "explain_visibility"} <= set(names)
    assert [name for name in names if "participant__" in name] == []
    for path, method, one in operations:
        assert path.startswith("/api/v1/"), path
        assert one["description"], (path, method)
        assert {"4XX", "5XX"} <= set(one["responses"]), (path, method)
        assert one["security"], (path, method)
    assert {"APIKeyHeader", "HTTPBearer"} <= set(api["components"]["securitySchemes"])
    for name, model in api["components"]["schemas"].items():
        if "enum" not in model and not name.startswith("Listing_"):
            assert model.get("description"), name
    for name in ("Asset", "Policy", "NewNegotiation", "NewTransfer"):
        assert any("examples" in member for member in api["components"]["schemas"][name]["properties"].values()), name


async def test_lists_come_in_parts_and_say_how_to_go_on(http: httpx.AsyncClient) -> None:
    seen, cursor = [], None
    for _ in range(3):
        part = (await http.get(ASSETS, headers=KEY, params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        assert part["total"] == 3
        seen += [asset["id"] for asset in part["items"]]
        cursor = part["next_cursor"]
    assert (seen, cursor) == (["urn:acme:a", "urn:acme:b", "urn:acme:c"], None)


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("assets?limit=0", "limit"),
        ("assets?limit=x", "limit"),
        ("negotiations?state=ASLEEP", "state"),
        ("transfers?role=king", "role"),
    ],
)
async def test_a_wrong_parameter_is_named(http: httpx.AsyncClient, path: str, where: str) -> None:
    answer = await http.get(f"/api/v1/participants/acme/{path}", headers=KEY)
    assert (answer.status_code, answer.json()["where"]) == (400, where)


async def test_unknown_addresses_and_methods_are_problems(http: httpx.AsyncClient) -> None:
    missing = await http.get("/api/v1/nothing", headers=KEY)
    assert (missing.status_code, missing.json()["status"]) == (404, 404)
    wrong = await http.patch(ASSETS, headers=KEY)
    assert wrong.status_code == 405
    assert {"GET", "POST"} & set(wrong.headers["Allow"].replace(" ", "").split(","))
    unknown = await http.get("/api/v1/participants/nobody/assets", headers=KEY)
    assert unknown.status_code == 404
    for answer in (missing, wrong, unknown):
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["error_id"]


async def test_an_act_that_does_not_exist_says_which_do(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/participants/acme/negotiations/x/dance", headers=KEY)
    assert answer.status_code == 400
    assert "terminate" in answer.json()["detail"]


async def test_an_asset_is_new_or_replaced_as_the_method_says(http: httpx.AsyncClient) -> None:
    body = {"id": "urn:acme:new/one", "formats": ["HttpData-PULL"]}
    assert (await http.post(ASSETS, headers=KEY, json=body)).status_code == 201
    again = await http.post(ASSETS, headers=KEY, json=body)
    assert (again.status_code, again.json()["type"]) == (409, "urn:kontor:error:conflict")
    path = f"{ASSETS}/urn:acme:new%2Fone"
    assert (await http.put(path, headers=KEY, json=body | {"title": "renamed"})).status_code == 200
    assert (await http.get(path, headers=KEY)).json()["title"] == "renamed"
    other = await http.put(path, headers=KEY, json=body | {"id": "urn:acme:other"})
    assert (other.status_code, other.json()["where"]) == (400, "id")
    assert (await http.delete(path, headers=KEY)).status_code == 204
    assert (await http.get(path, headers=KEY)).status_code == 404


async def test_a_file_that_is_not_there_is_not_published(http: httpx.AsyncClient) -> None:
    answer = await http.post(ASSETS, headers=KEY, json={"id": "x", "source": {"type": "file", "path": "/nowhere/at/all"}})
    assert answer.status_code >= 400
    assert answer.json()["where"] == "/nowhere/at/all"
    assert (await http.get(f"{ASSETS}/x", headers=KEY)).status_code == 404


async def test_a_secret_goes_in_and_never_comes_out(http: httpx.AsyncClient) -> None:
    path = "/api/v1/participants/acme/secrets"
    assert (await http.put(f"{path}/upstream", headers=KEY, json={"value": "hush"})).status_code == 204
    listed = await http.get(path, headers=KEY)
    assert [secret["name"] for secret in listed.json()["items"]] == ["upstream"]
    assert "hush" not in listed.text
    assert (await http.get(f"{path}/upstream", headers=KEY)).status_code == 405
    assert (await http.delete(f"{path}/upstream", headers=KEY)).status_code == 204
    assert (await http.delete(f"{path}/upstream", headers=KEY)).status_code == 404


async def test_a_participant_is_added_and_served_at_once(member: Member) -> None:
    added = await member.send(add_participant(NewParticipant(name="new", id="urn:member:new", title="New")))
    assert added.address == f"{member.app.public_url}/new/dsp/2025-1"
    assert [p.name for p in (await member.send(participants())).items] == ["acme", "new"]
    async with httpx.AsyncClient(trust_env=False) as public:
        assert (await public.get(f"{member.app.public_url}/new/.well-known/dspace-version")).status_code == 200
    with pytest.raises(Conflict):
        await member.send(add_participant(NewParticipant(name="new", id="urn:other")))


async def test_rules_are_replaced_as_a_whole_and_shown(member: Member) -> None:
    await member.send(member.calls.set_rules(Rules((Rule(on="REQUESTED", do="hold"), Rule(on="OFFERED", do="hold")))))
    assert [rule.on for rule in (await member.send(member.calls.context())).rules] == ["REQUESTED", "OFFERED"]
    await member.send(member.calls.set_rules(Rules(())))
    assert (await member.send(member.calls.context())).rules == []


async def test_a_process_that_is_not_there_is_404_everywhere(member: Member) -> None:
    calls = member.calls
    for call in (calls.negotiation("x"), calls.transfer("x"), calls.timeline("x"), calls.data("x"), calls.data_address("x")):
        with pytest.raises(NotFound):
            await member.send(call)  # type: ignore[arg-type]


async def test_who_watches_needs_no_key(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json()["status"] == "alive"
    ready = await http.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    metrics = await http.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert 'kontor_http_requests_total{listener="operator",status="2xx"}' in metrics.text
    assert "process_resident_memory_bytes" in metrics.text


async def test_every_metric_has_words(http: httpx.AsyncClient) -> None:
    import re

    from connector.web.operator import health
    from tests.house.tree import CONNECTOR

    counted = {
        name
        for path in CONNECTOR.rglob("*.py")
        for kind, name in re.findall(r'observe\.(count|gauge)\(\s*"([a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert counted - set(health._WHAT) == set()
    shown = (await http.get("/metrics")).text
    assert 'kontor_worker_at_work_seconds{worker="timers"} 0.0' in shown
    for name in ("kontor_http_request_seconds_bucket", "kontor_deliveries_waiting 0.0", "process_resident_memory_bytes"):
        assert name in shown


async def test_every_list_comes_in_pages(http: httpx.AsyncClient) -> None:
    described = (await http.get("/api/v1/openapi.json")).json()
    lists = {
        path: {one["name"] for one in methods["get"].get("parameters", ())}
        for path, methods in described["paths"].items()
        if "get" in methods and "/Listing" in str(methods["get"]["responses"]["200"])
    }
    assert len(lists) > 15
    assert {path for path, names in lists.items() if not {"cursor", "limit"} <= names} == set()
