"""Renewing the token of a pull: no answer that is lost ends a transfer."""

from __future__ import annotations

import pathlib

import aiohttp
import orjson
import pytest

from connector.dataplane.addresses import PULL, RENEWAL, S3_PULL
from connector.dsp.tables import State
from tests.dataplane.conftest import SAMPLE, Node, file


async def ask(method: str, url: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as client, client.request(method, url, headers=headers) as got:
        return got.status, {name.lower(): value for name, value in got.headers.items()}, await got.read()


async def renewed(url: str, token: str) -> str:
    status, headers, body = await ask("POST", url, token)
    assert (status, headers["cache-control"]) == (200, "no-store")
    tree = orjson.loads(body)
    assert (tree["authType"], tree["expiresIn"]) == ("bearer", "3600")
    return str(tree["authorization"])


@pytest.mark.parametrize("format_", [PULL, S3_PULL])
def test_the_address_of_a_pull_says_where_its_token_is_renewed(node: Node, format_: str) -> None:
    endpoint = node.plane.endpoint("acme", "urn:uuid:a/b", format_)
    assert endpoint is not None
    assert endpoint.address.property(RENEWAL) == f"{node.url}/acme/data/renew/urn:uuid:a%2Fb"


async def test_the_old_token_lives_until_the_new_one_is_first_used(node: Node, sample: pathlib.Path) -> None:
    url, old = node.offer(file(sample))
    at = url.replace("/pull/", "/renew/")
    lost = await renewed(at, old)
    new = await renewed(at, old)
    assert len({old, lost, new}) == 3
    assert (await ask("GET", url, lost))[0] == 401
    assert (await ask("GET", url, old))[2] == SAMPLE
    assert (await ask("GET", url, new))[2] == SAMPLE
    assert (await ask("GET", url, old))[0] == 401
    assert (await ask("POST", at, old))[0] == 401
    assert await renewed(at, new) != new


async def test_a_renewal_renews(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    at = url.replace("/pull/", "/renew/")
    for _ in range(3):
        token = await renewed(at, token)
    assert (await ask("GET", url, token))[0] == 200


async def test_who_may_not_read_gets_no_new_token(node: Node, sample: pathlib.Path) -> None:
    url, token = node.offer(file(sample))
    at = url.replace("/pull/", "/renew/")
    assert (await ask("POST", at, None))[0] == 401
    assert (await ask("POST", at, "other"))[0] == 401
    assert (await ask("GET", at, token))[0] == 405
    node.move("urn:uuid:1", State.SUSPENDED)
    assert (await ask("POST", at, token))[0] == 403
