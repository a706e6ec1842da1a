"""What nobody should send: refused in the protocol's own words with path and mend, nothing stored, at once."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector.testing.dataspace import DataSpace, Member, Offer, api_key
from tests.scenarios.wire import Wire, message, request

pytestmark = pytest.mark.asyncio(loop_scope="module")
_LIMIT = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A provider with a small body limit, and a consumer who sends it nonsense."""

    provider: Member
    consumer: Member
    offer: Offer
    wire: Wire

    @property
    def good(self) -> dict[str, Any]:
        """A request that would be accepted."""
        return request(self.offer.dataset, self.offer.offer_id, callback=self.consumer.address)

    async def stored(self) -> int:
        """How many processes the provider knows."""
        calls = self.provider.calls
        return (await self.provider.send(calls.negotiations())).total + (await self.provider.send(calls.transfers())).total


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    limits = {"public": {"max_body_bytes": _LIMIT}, "operator": {"max_body_bytes": _LIMIT}}
    async with DataSpace(settings=limits) as space:
        provider, consumer = space.join("provider", approval="manual"), space.join("consumer")
        offer = await provider.publish("weather")
        wire = Wire()
        yield Scene(provider=provider, consumer=consumer, offer=offer, wire=wire)
        await wire.close()


def _with(change: dict[str, Any]) -> Any:
    """The good request with members changed; a dotted name reaches inside; None leaves a member out."""

    def changed(good: dict[str, Any]) -> bytes:
        for name, value in change.items():
            *above, last = name.split("/")
            at = good
            for part in above:
                at = at[part]
            if value is None:
                del at[last]
            else:
                at[last] = value
        return json.dumps(good).encode()

    return changed


def _text(old: str, new: str | bytes) -> Any:
    """The good request with a piece of its text replaced."""

    def changed(good: dict[str, Any]) -> bytes:
        body = json.dumps(good).encode()
        assert old.encode() in body
        return body.replace(old.encode(), new.encode() if isinstance(new, str) else new, 1)

    return changed


def _raw(body: bytes) -> Any:
    return lambda good: body


# body, status, what the reason names
BAD: dict[str, tuple[Any, int, str]] = {
    "empty": (_raw(b""), 400, "empty"),
    "no JSON": (_raw(b"hello"), 400, "not JSON"),
    "half a body": (lambda good: json.dumps(good).encode()[:-20], 400, "not JSON"),
    "a list": (_raw(b"[]"), 400, "object"),
    "a text": (_raw(b'"x"'), 400, "object"),
    "invalid UTF-8": (_text('"urn:c:1"', b'"urn:c:\xff"'), 400, "consumerPid"),
    "NaN": (_text('"urn:c:1"', "NaN"), 400, "consumerPid"),
    "Infinity": (_text('"urn:c:1"', "Infinity"), 400, "consumerPid"),
    "a number beyond a double": (_text('"urn:c:1"', "1e999"), 400, "consumerPid"),
    "a member twice": (_text('"consumerPid"', '"consumerPid": "urn:c:2", "consumerPid"'), 400, "consumerPid"),
    "a member twice, spelled with an escape": (
        _text('"consumerPid"', '"consumer\\u0050id": "urn:c:2", "consumerPid"'), 400, "consumerPid",
    ),
    "a null character": (_text("urn:c:1", "urn\\u0000"), 400, "consumerPid"),
    "half a surrogate pair": (_text("urn:c:1", "\\ud800"), 400, "consumerPid"),
    "too deep": (_text('"urn:c:1"', '{"a":' * 5000 + "1" + "}" * 5000), 400, "consumerPid"),
    "too big": (_text("urn:c:1", "x" * (_LIMIT + 1)), 413, "larger"),
    "far too big": (_text("urn:c:1", "x" * (30 << 20)), 413, "larger"),
    "unknown context": (_with({"@context": ["https://example.com/context.jsonld"]}), 400, "@context"),
    "no context": (_with({"@context": None}), 400, "@context"),
    "wrong type": (_with({"@type": "TransferRequestMessage"}), 400, "@type"),
    "no type": (_with({"@type": None}), 400, "@type"),
    "a pid that is a number": (_with({"consumerPid": 5}), 400, "consumerPid"),
    "no pid": (_with({"consumerPid": None}), 400, "consumerPid"),
    "an empty pid": (_with({"consumerPid": ""}), 400, "consumerPid"),
    "no callback and no providerPid": (_with({"callbackAddress": None}), 400, "callbackAddress"),
    "both of them": (_with({"providerPid": "urn:p:1"}), 400, "providerPid"),
    "a callback that is no address": (_with({"callbackAddress": "over there"}), 400, "address"),
    "a callback into the provider's network": (_with({"callbackAddress": "http://169.254.169.254/latest"}), 400, "169.254.169.254"),
    "a callback of another scheme": (_with({"callbackAddress": "file:///etc/passwd"}), 400, "address"),
    "a callback with credentials": (_with({"callbackAddress": "http://a:b@127.0.0.1:1/"}), 400, "credentials"),
    "no offer": (_with({"offer": None}), 400, "offer"),
    "an offer that is a text": (_with({"offer": "urn:o:1"}), 400, "offer"),
    "an offer without id": (_with({"offer/@id": None}), 400, "offer"),
    "an offer without target": (_with({"offer/target": None}), 400, "offer"),
    "an offer nobody made": (_with({"offer/@id": "urn:o:404"}), 400, "offer"),
    "an offer for other data": (_with({"offer/target": "urn:d:404"}), 400, "offer"),
    "permissions that are a text": (_with({"offer/permission": "all"}), 400, "offer.permission"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_message_is_refused_with_a_reason_and_leaves_no_trace(scene: Scene, name: str) -> None:
    made, status, named = BAD[name]
    before = await scene.stored()
    begun = time.monotonic()
    answer = await scene.wire.send(scene.provider, "negotiations/request", made(scene.good), caller=scene.consumer)
    assert time.monotonic() - begun < 1
    assert answer.status_code == status, answer.text
    tree = answer.json()
    assert tree["@type"] == "ContractNegotiationError"
    reason = tree["reason"][0]
    assert named in reason, reason
    assert ";" in reason, f"no mend in: {reason}"
    assert len(answer.content) < 2000
    assert await scene.stored() == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/xml; charset=utf-8"}, 415),
        ({"Content-Type": ""}, 201),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 201),
        ({"Content-Type": "Application/LD+JSON"}, 201),
    ],
)
async def test_only_json_is_read(scene: Scene, headers: dict[str, str], status: int) -> None:
    body = request(
        scene.offer.dataset,
        scene.offer.offer_id,
        callback=scene.consumer.address,
        consumer_pid=f"urn:c:{'-'.join(headers.values())}",
    )
    answer = await scene.wire.send(scene.provider, "negotiations/request", body, caller=scene.consumer, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 415:
        assert "application/json" in answer.json()["reason"][0] or "as it is" in answer.json()["reason"][0]


async def test_a_body_without_announced_length_is_cut_at_the_limit(scene: Scene) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b" " * 65536

    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Authorization": scene.consumer.token_for(scene.provider), "Content-Type": "application/json"}
        url = f"{scene.provider.address}/negotiations/request"
        try:
            answer = await http.post(url, content=endless(), headers=headers)
        except httpx.TransportError:
            return  # the node did not wait for its end: as good
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "kind", "error"),
    [
        ("catalog/request", "CatalogRequestMessage", "CatalogError"),
        ("transfers/request", "TransferRequestMessage", "TransferError"),
    ],
)
async def test_each_family_has_its_own_error_body(scene: Scene, path: str, kind: str, error: str) -> None:
    for body in (b"{", json.dumps(message("Nothing")).encode()):
        answer = await scene.wire.send(scene.provider, path, body, caller=scene.consumer)
        assert (answer.status_code, answer.json()["@type"]) == (400, error)


async def test_a_filter_that_is_not_understood_is_400(scene: Scene) -> None:
    sent = message("CatalogRequestMessage", filter=["title contains rain"])
    answer = await scene.wire.send(scene.provider, "catalog/request", sent, caller=scene.consumer)
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported-filter")


async def test_another_method_is_405_and_says_which_are_lawful(scene: Scene) -> None:
    answer = await scene.wire.send(scene.provider, "negotiations/request", method="DELETE", caller=scene.consumer)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    answer = await scene.wire.send(scene.provider, "catalog/request", method="PUT", caller=scene.consumer)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


# --- the operator API

BAD_FOR_OPERATORS: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, ""),
    "a member twice": (b'{"id": "a", "id": "b"}', 400, "id"),
    "NaN": (b'{"id": "a", "byte_size": NaN}', 400, "byte_size"),
    "invalid UTF-8": (b'{"id": "\xff"}', 400, "id"),
    "too deep": (b'{"properties":' + b"[" * 200 + b"]" * 200 + b"}", 400, "properties"),
    "too big": (b'{"id": "' + b"x" * (_LIMIT + 1) + b'"}', 413, ""),
    "a list": (b"[]", 400, ""),
    "a member that is missing": (b'{"title": "x"}', 400, "id"),
    "an unknown member": (b'{"id": "a", "colour": "blue"}', 400, "colour"),
    "a wrong type inside": (b'{"id": "a", "source": {"type": "ftp"}}', 400, "source.type"),
    "a source without its place": (b'{"id": "a", "source": {"type": "file"}}', 400, "source"),
    "an id with blanks": (b'{"id": "a b"}', 400, "id"),
}


@pytest.mark.parametrize("name", BAD_FOR_OPERATORS)
async def test_operators_are_told_where_it_is_and_how_to_mend_it(scene: Scene, name: str) -> None:
    body, status, where = BAD_FOR_OPERATORS[name]
    url = f"{scene.provider.app.operator_url}/api/v1/participants/provider/assets"
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"X-Api-Key": api_key(), "Content-Type": "application/json"}
        begun = time.monotonic()
        answer = await http.post(url, content=body, headers=headers)
        assert time.monotonic() - begun < 1
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["mend"]
    assert len(problem["error_id"]) == 32
    assert where in (problem["where"] or "")
    assert (await scene.provider.send(scene.provider.calls.assets())).total == 1


async def test_a_policy_that_cannot_be_read_names_the_place(scene: Scene) -> None:
    rule = {"action": "use", "constraint": [{"leftOperand": "purpose", "operator": "resembles", "rightOperand": "x"}]}
    url = f"{scene.provider.app.operator_url}/api/v1/participants/provider/policies"
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(
            url, json={"id": "bad", "policy": {"permission": [rule]}}, headers={"Authorization": f"Bearer {api_key()}"}
        )
    assert answer.status_code == 400, answer.text
    assert "constraint[0].operator" in answer.json()["where"]
    assert "resembles" in answer.json()["detail"]
