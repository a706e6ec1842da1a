"""Our control plane and the planes under it: which one serves, what proves us to it, and how the older dialect is spoken."""

from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest

from connector import jose
from connector.controlplane.secrets import Seal
from connector.dps.flow import Call, FlowState
from connector.dps.messages import Dialect, Note
from connector.errors import AddressRefused, ConfigurationError, PeerAnswer, PeerMessage, SourceError, Unreachable
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.ports.dataplane import ObjectPlace, Source
from connector.ports.signaling import PlaneWish, Telling
from connector.signaling.book import DATA_PLANE, Book
from connector.signaling.entries import Authorization, Entry, Owner
from connector.signaling.logins import Logins
from connector.signaling.planes import DataPlanes
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock
from tests.dps.samples import ADDRESS, order
from tests.signaling.foreign import SECRET, DataPlane, Heard, Plane, listening

HTTP = Source(type="http", url="https://up.example/data", headers={"X-Key": "s3cret"})


@dataclass
class Scene:
    store: MemoryStore
    clock: MovedClock
    planes: DataPlanes
    plane: DataPlane

    async def register(self, id_: str, **changes: Any) -> Entry:
        """A plane of ours, at the foreign one's address where nothing else is said."""
        given = {
            "participant": "acme",
            "id": id_,
            "endpoint": self.plane.url,
            "profiles": ("HttpData-PULL", "HttpData-PUSH"),
            "authorization": Authorization(secret=SECRET),
            "hosts": ("127.0.0.1",),
            "allows_http": True,
        }
        return await self.planes.book.put(Entry(**{**given, **changes}))

    async def tell(
        self, id_: str, call: Call, *, is_provider: bool = True, source: Source | None = None, **said: Any
    ) -> FlowState:
        sent = order(Call.START if is_provider else Call.PREPARE, **said)
        note = None if call in (Call.START, Call.PREPARE) else Note(call=call, message_id="m")
        telling = Telling(order=sent, note=note, is_provider=is_provider, source=source)
        return (await self.planes.tell("acme", id_, telling)).state


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = MovedClock(datetime(2026, 3, 1, tzinfo=UTC))
    store = MemoryStore(node="n", lease_s=30, memory=Memory())
    book = Book(store, Seal(b"k" * 32), clock, DATA_PLANE, allows_http=True, written=lambda _: None)
    rules = OutboundRules(allow_http=True, allow_loopback=True, read_s=0.3)
    async with OutboundClient(rules) as outbound, listening(DataPlane()) as plane:
        assert isinstance(plane, DataPlane)
        planes = DataPlanes(book, outbound, Logins(outbound, clock), clock, url="http://cp.example", id_="cp")
        yield Scene(store=store, clock=clock, planes=planes, plane=plane)


# --- which one


async def test_a_plane_is_chosen_by_profile_label_kind_of_source_and_name(scene: Scene) -> None:
    await scene.register("a", labels=("eu",))
    await scene.register("b", labels=("eu", "fast"))
    await scene.register("edc", dialect=Dialect.EDC, source_types=("HttpData",))
    await scene.register("mqtt", profiles=("mqtt-push",))

    async def chosen(profile: str = "HttpData-PULL", **wish: Any) -> str | None:
        return await scene.planes.choose("acme", PlaneWish(profile=profile, **wish))

    assert await chosen() == "a"
    assert await chosen(labels=("fast",)) == "b"
    assert await chosen(labels=("fast", "us")) is None
    assert await chosen(source_type="none") == "a"
    assert await chosen(source_type="http") == "edc"
    assert await chosen(source_type="file") is None
    assert await chosen("mqtt-push") == "mqtt"
    # one way of moving data has several names
    assert await chosen("https://w3id.org/dspace-sig/profile/http-pull", plane="b") == "b"
    assert await chosen("mqtt-push", plane="b") is None
    assert await scene.planes.choose("somebody else", PlaneWish(profile="HttpData-PULL")) is None
    assert set(await scene.planes.profiles("acme", "none")) == {"HttpData-PULL", "HttpData-PUSH", "mqtt-push"}
    assert set(await scene.planes.profiles("acme", "http")) == {"HttpData-PULL", "HttpData-PUSH"}


async def test_a_plane_that_is_down_keeps_its_offers_and_comes_last(scene: Scene) -> None:
    await scene.register("a", endpoint="http://127.0.0.1:1")
    await scene.register("b")
    with pytest.raises(Unreachable):
        await scene.tell("a", Call.START)
    health = scene.planes.health("acme", "a")
    assert health is not None
    assert health.fault
    assert await scene.planes.choose("acme", PlaneWish(profile="HttpData-PULL")) == "b"
    assert "HttpData-PULL" in await scene.planes.profiles("acme", "none")


async def test_what_a_plane_holds_is_sealed_in_the_store(scene: Scene) -> None:
    await scene.register("a", owner=Owner.PLANE)
    document = await scene.store.document("acme", DATA_PLANE, "a")
    assert document is not None
    assert SECRET not in str(document.body)
    # another place does not open it
    await scene.store.put_document(
        type(document)(
            participant="acme",
            kind=DATA_PLANE,
            id="b",
            body=document.body,
            created_at=document.created_at,
            updated_at=document.updated_at,
        )
    )
    with pytest.raises(Exception, match="does not open"):
        await scene.planes.book.get("acme", "b")


# --- what proves us


def token_server(plane: Plane, **claims: Any) -> list[Heard]:
    key, asked = jose.generate("k"), []

    def answer(heard: Heard) -> tuple[int, Any]:
        asked.append(heard)
        return 200, {"access_token": jose.sign(key, {"n": len(asked), **claims}), "token_type": "Bearer", "expires_in": 300}

    plane.answers["token"] = answer
    return asked


@pytest.mark.parametrize(("claims", "times"), [({}, 1), ({"jti": "once"}, 2)])
async def test_a_token_is_kept_until_it_ends_unless_it_is_good_once(scene: Scene, claims: dict[str, Any], times: int) -> None:
    asked = token_server(scene.plane, **claims)
    login = Authorization(
        token_endpoint=f"{scene.plane.url}/token", client_id="us", client_secret="s", jwks_uri=f"{scene.plane.url}/k"
    )
    await scene.register("a", authorization=login)
    for _ in range(2):
        assert await scene.tell("a", Call.START) is FlowState.STARTED
    assert len(asked) == times
    shown = [one.headers["authorization"] for one in scene.plane.of("start")]
    assert all(header.startswith("Bearer ey") for header in shown)
    assert len(set(shown)) == times
    scene.clock.move(seconds=400)
    await scene.tell("a", Call.START)
    assert len(asked) == times + 1


async def test_a_broker_exchanges_what_the_runtime_keeps_fresh(scene: Scene, tmp_path: pathlib.Path) -> None:
    asked, file = token_server(scene.plane), tmp_path / "token"
    broker = Authorization(
        exchange_endpoint=f"{scene.plane.url}/token",
        issuer="https://broker.internal",
        jwks_uri=f"{scene.plane.url}/k",
        resource="urn:us",
        scope="flows",
    )
    entry = await scene.register("a", authorization=broker)
    async with OutboundClient(OutboundRules(allow_http=True, allow_loopback=True)) as outbound:
        with pytest.raises(ConfigurationError, match="nothing that could be exchanged"):
            await Logins(outbound, scene.clock).headers(entry)
        logins = Logins(outbound, scene.clock, file)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            await logins.headers(entry)
        file.write_text("workload.jwt.1\n")
        shown = [(await logins.headers(entry))["Authorization"] for _ in range(2)]
        assert len(set(shown)) == len(asked) == 1
        # another plane is another audience; and what proves us is read anew
        file.write_text("workload.jwt.2\n")
        await logins.headers(replace(entry, id="b"))
        with pytest.raises(ConfigurationError, match="whom we speak for"):
            await logins.headers(replace(entry, authorization=replace(broker, resource=None)))
    first, second = ({name: one[0] for name, one in parse_qs(heard.body.decode()).items()} for heard in asked)
    jwt = "urn:ietf:params:oauth:token-type:jwt"
    assert first == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "workload.jwt.1",
        "subject_token_type": jwt,
        "requested_token_type": jwt,
        "resource": "urn:us",
        "audience": "a",
        "scope": "flows",
    }
    assert (second["subject_token"], second["audience"]) == ("workload.jwt.2", "b")
    # no client of ours is shown beside it
    assert all("authorization" not in heard.headers for heard in asked)


async def test_a_token_that_the_plane_does_not_take_is_not_shown_again(scene: Scene) -> None:
    asked = token_server(scene.plane)
    login = Authorization(
        token_endpoint=f"{scene.plane.url}/token", client_id="us", client_secret="s", jwks_uri=f"{scene.plane.url}/k"
    )
    await scene.register("a", authorization=login)
    scene.plane.answers["start"] = lambda _: (401, None)
    for _ in range(2):
        with pytest.raises(PeerAnswer):
            await scene.tell("a", Call.START)
    assert len(asked) == 2


async def test_what_a_stricter_setting_does_not_allow_any_more_is_not_reached(scene: Scene) -> None:
    entry = await scene.register("a")
    book = Book(scene.store, Seal(b"k" * 32), scene.clock, DATA_PLANE, allows_http=False, written=lambda _: None)
    async with OutboundClient(OutboundRules(allow_http=True, allow_loopback=True)) as outbound:
        logins = Logins(outbound, scene.clock)
        stricter = DataPlanes(book, outbound, logins, scene.clock, url="http://cp.example", id_="cp")
        with pytest.raises(AddressRefused, match="plain http"):
            await stricter.tell("acme", "a", Telling(order=order(Call.START), is_provider=True))
        # nor does a token server get our secret that is not on the list
        login = Authorization(token_endpoint="http://localhost:1/token", client_id="us", client_secret="s")
        with pytest.raises(AddressRefused, match="not on the list"):
            await logins.headers(replace(entry, authorization=login))
    assert scene.plane.heard == []


# --- how it answers


async def test_a_redirect_is_a_refusal_and_is_not_followed(scene: Scene) -> None:
    async with listening(Plane()) as trap:
        await scene.register("a")
        scene.plane.answers["start"] = lambda _: (307, {"location": trap.url})
        with pytest.raises(PeerAnswer) as caught:
            await scene.tell("a", Call.START)
        assert caught.value.answer_status == 307
        assert trap.heard == []


@pytest.mark.parametrize("said", [None, [], {"state": "RUNNING"}, {"dataFlowId": "f"}])
async def test_an_answer_that_says_no_state_is_no_success(scene: Scene, said: Any) -> None:
    await scene.register("a")
    scene.plane.answers["start"] = lambda _: (200, said)
    with pytest.raises(PeerMessage):
        await scene.tell("a", Call.START)


async def test_a_plane_that_hangs_takes_no_turn_from_others(scene: Scene) -> None:
    hung, calls = asyncio.Event(), 40

    async def hang(_: object) -> None:
        await hung.wait()

    async with listening(Plane()) as hanging:
        hanging.before["start"] = hang
        await scene.register("hangs", endpoint=hanging.url)
        await scene.register("b")
        waiting = [asyncio.create_task(scene.tell("hangs", Call.START)) for _ in range(calls)]
        # those beyond what one plane may hold know at once, and the other plane hears what it is told meanwhile
        first, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert await scene.tell("b", Call.START) is FlowState.STARTED
        assert {type(one.exception()) for one in first} == {Unreachable}
        assert scene.planes.health("acme", "hangs") is None
        answered = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in answered} == {Unreachable}
        assert scene.planes.health("acme", "hangs") is not None
        # by now it is known, and a few ask whether it is back
        waiting = [asyncio.create_task(scene.tell("hangs", Call.START)) for _ in range(calls)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        assert 0 < sum(not one.done() for one in waiting) < 8
        hung.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_the_state_counts_and_not_200_or_202(scene: Scene) -> None:
    await scene.register("a")
    for status, said in ((200, "STARTING"), (202, "STARTED")):
        scene.plane.answers["start"] = lambda _, status=status, said=said: (status, {"state": said})
        assert await scene.tell("a", Call.START) is FlowState(said)


async def test_ids_travel_as_one_step_of_the_path(scene: Scene) -> None:
    await scene.register("a")
    await scene.tell("a", Call.SUSPEND, flow_id="urn:uuid:1/../2")
    (heard,) = scene.plane.of("suspend")
    assert heard.raw_path == "/dataflows/urn:uuid:1%2F..%2F2/suspend"
    assert json.loads(heard.body)["messageId"] == "m"


async def test_we_announce_ourselves_to_a_plane_that_wants_it(scene: Scene) -> None:
    await scene.planes.announce(await scene.register("a"))
    (heard,) = scene.plane.of("controlplanes")
    assert (heard.method, heard.tree["controlplaneId"], heard.tree["endpoint"]) == ("PUT", "cp", "http://cp.example/acme")


# --- the older dialect


async def legacy(scene: Scene, **changes: Any) -> None:
    response = {
        "@context": {"@vocab": "https://w3id.org/edc/v0.0.1/ns/", "dspace": "https://w3id.org/dspace/v0.8/"},
        "@type": "DataFlowResponseMessage",
        "provisioning": False,
    }
    scene.plane.answers["start"] = lambda _: (200, response)
    scene.plane.answers["prepare"] = lambda _: (200, response)
    scene.plane.answers["state"] = lambda _: (200, {"@type": "DataFlowState", "state": "STARTED"})
    for step in ("suspend", "terminate"):
        scene.plane.answers[step] = lambda _: (204, None)
    await scene.register("edc", dialect=Dialect.EDC, source_types=("HttpData", "AmazonS3"), **changes)


async def test_the_older_dialect_is_told_where_the_data_lies_and_resumes_by_the_same_start(scene: Scene) -> None:
    await legacy(scene)
    for call in (Call.START, Call.SUSPEND, Call.RESUME, Call.COMPLETED):
        await scene.tell("edc", call, source=HTTP)
    assert [one.step for one in scene.plane.heard] == ["start", "suspend", "start", "terminate"]
    first, again = scene.plane.of("start")
    assert first.body == again.body
    assert first.tree["callbackAddress"] == "http://cp.example/acme"
    named = {
        entry["dspace:name"]: entry["dspace:value"] for entry in first.tree["sourceDataAddress"]["dspace:endpointProperties"]
    }
    assert {name.rpartition("/")[2]: value for name, value in named.items()} == {
        "baseUrl": HTTP.url,
        "authKey": "X-Key",
        "authCode": "s3cret",
    }


async def test_a_consumers_plane_of_the_older_dialect_hears_of_what_it_prepares_alone(scene: Scene) -> None:
    await legacy(scene)
    for call in (Call.PREPARE, Call.STARTED, Call.SUSPEND, Call.RESUME, Call.TERMINATE):
        await scene.tell("edc", call, is_provider=False)
    assert scene.plane.heard == []
    await legacy(scene, provision_types=("HttpData",))
    for call in (Call.PREPARE, Call.STARTED, Call.TERMINATE):
        await scene.tell("edc", call, is_provider=False)
    assert [one.step for one in scene.plane.heard] == ["prepare", "terminate"]
    # the party named is the consumer, and that is us
    assert scene.plane.of("prepare")[0].tree["participantId"] == "did:web:ours"


async def test_in_the_older_dialect_success_is_200_or_204(scene: Scene) -> None:
    await legacy(scene)
    scene.plane.answers["suspend"] = lambda _: (202, None)
    with pytest.raises(PeerAnswer):
        await scene.tell("edc", Call.SUSPEND)
    assert (await scene.planes.look("acme", "edc", "f")).state is FlowState.STARTED


@pytest.mark.parametrize(
    "source", [None, Source(type="file", path="/d"), Source(type="s3", objects=ObjectPlace(bucket="b", key="folder/"))]
)
async def test_a_source_that_the_older_dialect_has_no_words_for_is_said_before_anything_is_sent(
    scene: Scene, source: Any
) -> None:
    await legacy(scene)
    with pytest.raises(SourceError):
        await scene.tell("edc", Call.START, source=source)
    assert scene.plane.heard == []


async def test_an_object_is_named_in_edcs_words(scene: Scene) -> None:
    await legacy(scene)
    place = ObjectPlace(bucket="b", key="k", endpoint="https://s3.example", access_key="a", secret_key="s")
    await scene.tell("edc", Call.START, source=Source(type="s3", objects=place), profile="AmazonS3-PUSH", address=ADDRESS)
    (heard,) = scene.plane.of("start")
    named = {
        e["dspace:name"].rpartition("/")[2]: e["dspace:value"]
        for e in heard.tree["sourceDataAddress"]["dspace:endpointProperties"]
    }
    assert (named["bucketName"], named["objectName"], named["secretAccessKey"]) == ("b", "k", "s")
