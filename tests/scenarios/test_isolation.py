"""What belongs to one participant does not exist for another: not for its peers, on any address of the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from connector.api.agreements import Agreement
from connector.api.negotiations import Negotiation
from connector.api.transfers import Transfer
from connector.testing.dataspace import DataSpace, Member, Offer
from connector.web.protocol import routes
from tests.scenarios.wire import FAMILY_ERROR, Wire, example, filled, first

ADDRESSES = routes.table(None, None, None, None)  # type: ignore[arg-type]
WITH_PID = [(address, method) for address, known in ADDRESSES.items() for method in known.allowed if "*" in address]
ALL = [(address, method) for address, known in ADDRESSES.items() for method in known.allowed]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Alpha and beta live on one node; gamma has agreed with alpha and pulls from it; delta has nothing to do with it."""

    alpha: Member
    beta: Member
    gamma: Member
    delta: Member
    offer: Offer
    negotiation: Negotiation
    transfer: Transfer
    agreement: Agreement
    wire: Wire

    def pid(self, address: str) -> str:
        """The id of alpha's that an address of the table may name."""
        return {
            "catalog": self.offer.dataset,
            "negotiations": self.negotiation.peer_pid or "",
            "transfers": self.transfer.peer_pid or "",
        }[address.partition("/")[0]]

    def body(self, address: str, provider_pid: str) -> dict[str, Any] | None:
        post = ADDRESSES[address].post
        if post is None:
            return None
        ours = self.negotiation.pid if address.startswith("negotiations") else self.transfer.pid
        tree = example(post.message, provider_pid=provider_pid, consumer_pid=ours, callback=self.gamma.address)
        return tree if "*" in address else first(post.message, tree, self.gamma.address)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with DataSpace() as space:
        alpha = space.join("alpha")
        beta, gamma, delta = space.join("beta", on=alpha), space.join("gamma"), space.join("delta")
        offer = await alpha.publish("weather")
        await beta.publish("traffic")
        negotiation = await gamma.negotiate(offer)
        await alpha.until_negotiation(negotiation.peer_pid or "", "FINALIZED")
        transfer = await gamma.transfer(negotiation)
        agreement = await alpha.send(alpha.calls.agreement(negotiation.agreement_id or ""))
        wire = Wire()
        yield Scene(
            alpha=alpha, beta=beta, gamma=gamma, delta=delta, offer=offer, negotiation=negotiation, transfer=transfer,
            agreement=agreement, wire=wire,
        )  # fmt: skip
        await wire.close()


def _checked(answer: httpx.Response, address: str, status: int) -> None:
    assert answer.status_code == status, (address, answer.text)
    assert answer.json()["@type"] == FAMILY_ERROR[address.partition("/")[0]]


@pytest.mark.parametrize(("address", "method"), WITH_PID)
async def test_an_unknown_id_is_404(scene: Scene, address: str, method: str) -> None:
    body = scene.body(address, "urn:uuid:nobody") if method == "POST" else None
    answer = await scene.wire.send(scene.alpha, filled(address, "urn:uuid:nobody"), body, caller=scene.gamma)
    _checked(answer, address, 404)


@pytest.mark.parametrize(("address", "method"), [pair for pair in WITH_PID if not pair[0].startswith("catalog")])
async def test_a_process_of_another_pair_is_404_and_looks_like_an_unknown_one(scene: Scene, address: str, method: str) -> None:
    pid = scene.pid(address)
    body = scene.body(address, pid) if method == "POST" else None
    seen = await scene.wire.send(scene.alpha, filled(address, pid), body, caller=scene.delta)
    _checked(seen, address, 404)
    unknown = pid[:-4] + "0000"
    not_there = await scene.wire.send(
        scene.alpha, filled(address, unknown), scene.body(address, unknown) if method == "POST" else None, caller=scene.delta
    )
    assert seen.text.replace(pid, "*") == not_there.text.replace(unknown, "*")


@pytest.mark.parametrize(("address", "method"), WITH_PID)
async def test_a_process_of_the_neighbour_on_the_same_node_is_404(scene: Scene, address: str, method: str) -> None:
    pid = scene.pid(address)
    body = scene.body(address, pid) if method == "POST" else None
    _checked(await scene.wire.send(scene.beta, filled(address, pid), body, caller=scene.gamma), address, 404)


@pytest.mark.parametrize(("address", "method"), ALL)
async def test_nobody_without_a_token_of_this_participant_gets_further_than_401(
    scene: Scene, address: str, method: str
) -> None:
    pid = scene.pid(address)
    body = scene.body(address, pid) if method == "POST" else None
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": scene.gamma.token_for(scene.beta)}):
        answer = await scene.wire.send(scene.alpha, filled(address, pid), body, caller=None, headers=headers)
        _checked(answer, address, 401)
        assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("address", "method"), ALL)
async def test_a_participant_that_is_not_here_is_404(scene: Scene, address: str, method: str) -> None:
    url = f"{scene.alpha.app.public_url}/nobody/dsp/2025-1/{filled(address, 'x')}"
    body = scene.body(address, "x") if method == "POST" else None
    answer = await scene.wire.send(scene.alpha, url, body, caller=scene.gamma)
    _checked(answer, address, 404)


async def test_a_token_of_alphas_data_opens_nothing_under_another_name_or_pid(scene: Scene) -> None:
    found = await scene.gamma.send(scene.gamma.calls.data_address(scene.transfer.pid))
    url, token = found.endpoint or "", {"Authorization": found.properties["authorization"]}
    assert (await scene.wire.send(scene.alpha, url, caller=None, headers=token)).status_code == 200
    for other in (
        url.replace("/alpha/", "/beta/"),
        url.replace("/alpha/", "/nobody/"),
        f"{url[:-4]}0000",
        url.replace("/pull/", "/push/"),
    ):
        for method in ("GET", "PUT"):
            answer = await scene.wire.send(scene.alpha, other, caller=None, headers=token, method=method)
            assert answer.status_code in (401, 403, 404, 405), (method, other, answer.text)
            assert b"weather" not in answer.content


async def test_nothing_of_all_that_left_a_trace(scene: Scene) -> None:
    assert (await scene.alpha.send(scene.alpha.calls.negotiations())).total == 1
    assert (await scene.beta.send(scene.beta.calls.negotiations())).total == 0
    assert (await scene.alpha.send(scene.alpha.calls.transfers())).total == 1
    assert (await scene.gamma.send(scene.gamma.calls.transfer(scene.transfer.pid))).state == "STARTED"
