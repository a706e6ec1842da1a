"""Who asks for too much is told so and when to come again, in the protocol's own words; others are served meanwhile."""

from __future__ import annotations

from connector.testing.dataspace import DataSpace
from tests.scenarios.wire import Wire, message, request


async def test_too_large_too_often_too_many_transfers_each_have_their_answer(space: DataSpace, wire: Wire) -> None:
    provider = space.join("provider", peer_limits={"urn:member:busy": {"requests_per_s": 8, "transfers_at_once": 1}})
    busy, calm = space.join("busy"), space.join("calm")
    provider.options["peer_limits"]["urn:member:calm"] = {"max_body_bytes": 2048}  # type: ignore[index]
    offer = await provider.publish("weather")
    agreement = (await busy.negotiate(offer)).agreement_id

    def wanted(pid: str) -> dict[str, object]:
        return message(
            "TransferRequestMessage",
            consumerPid=pid,
            agreementId=agreement,
            format="HttpData-PULL",
            callbackAddress=busy.address,
        )

    first = await wire.send(provider, "transfers/request", wanted("urn:t:1"), caller=busy)
    assert first.status_code == 201
    second = await wire.send(provider, "transfers/request", wanted("urn:t:2"), caller=busy)
    assert (second.status_code, second.headers["retry-after"], second.json()["code"]) == (429, "60", "too-many")
    again = await wire.send(provider, "transfers/request", wanted("urn:t:1"), caller=busy)
    assert again.status_code == 201
    assert again.json()["providerPid"] == first.json()["providerPid"]

    large = request(offer.dataset, offer.offer_id, callback=calm.address, filler="x" * 4096)
    assert (await wire.send(provider, "negotiations/request", large, caller=calm)).status_code == 413
    answers = [await wire.send(provider, "catalog/request", message("CatalogRequestMessage"), caller=busy) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["@type"] == "CatalogError"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert (await wire.send(provider, "catalog/request", message("CatalogRequestMessage"), caller=calm)).status_code == 200
