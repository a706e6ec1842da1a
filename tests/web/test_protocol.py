"""The protocol's addresses: versions for everybody, pages by Link, entity tags, both roles at one address."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from connector.api.offerings import Asset, AssetSource, ContractDefinition
from connector.dsp import version
from connector.testing.dataspace import DataSpace
from connector.web.protocol import routes
from tests.scenarios.wire import Wire, message

ADDRESSES = routes.table(None, None, None, None)  # type: ignore[arg-type]


async def test_the_version_document_is_open_to_everybody_and_leads_to_the_base(space: DataSpace, wire: Wire) -> None:
    provider = space.join("provider")
    await space.begin()
    root = f"{provider.app.public_url}/provider"
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = await wire.send(provider, f"{root}/.well-known/dspace-version", caller=None, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json() == {"protocolVersions": [{"version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS"}]}
    assert version.base_address(root, answer.content) == provider.address
    missing = await wire.send(provider, f"{provider.app.public_url}/nobody/.well-known/dspace-version", caller=None)
    assert missing.status_code == 404
    wrong = await wire.send(provider, f"{root}/.well-known/dspace-version", caller=None, method="POST")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_catalogue_goes_page_by_page_both_ways(space: DataSpace, wire: Wire) -> None:
    provider, consumer = space.join("provider", page_size=2), space.join("consumer")
    for name in "abcde":
        await provider.publish(name)
    seen, url, method = [], "catalog/request", "POST"
    links: list[dict[str, str]] = []
    while url:
        body = message("CatalogRequestMessage") if method == "POST" else None
        page = await wire.send(provider, url, body, caller=consumer)
        assert page.status_code == 200, page.text
        seen.append([dataset["@id"] for dataset in page.json()["dataset"]])
        found = re.findall(r'<([^>]+)>; rel="(\w+)"', page.headers.get("Link", ""))
        links.append({rel: to for to, rel in found})
        url, method = links[-1].get("next", ""), "GET"
    assert seen == [["urn:provider:a", "urn:provider:b"], ["urn:provider:c", "urn:provider:d"], ["urn:provider:e"]]
    assert [sorted(one) for one in links] == [["next"], ["next", "previous"], ["previous"]]
    back = await wire.send(provider, links[2]["previous"], caller=consumer)
    assert [dataset["@id"] for dataset in back.json()["dataset"]] == seen[1]
    # a peer that follows with a POST of the same message gets the same page
    posted = await wire.send(provider, links[0]["next"], message("CatalogRequestMessage"), caller=consumer)
    assert [dataset["@id"] for dataset in posted.json()["dataset"]] == seen[1]
    # and our own consumer reads them all
    whole = await consumer.catalog(provider)
    assert (whole.pages, len(whole.catalog["dataset"])) == (3, 5)
    assert len((await consumer.catalog(provider, limit=3)).catalog["dataset"]) == 3


async def test_a_cursor_that_is_none_of_ours_is_400(space: DataSpace, wire: Wire) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    await provider.publish("a")
    answer = await wire.send(provider, "catalog/request?cursor=%FF", caller=consumer)
    assert (answer.status_code, answer.json()["@type"]) == (400, "CatalogError")


async def test_an_unchanged_catalogue_is_not_sent_again(space: DataSpace, wire: Wire) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    await provider.publish("a")
    first = await wire.send(provider, "catalog/request", caller=consumer)
    tag = first.headers["ETag"]
    for known in (tag, f'"other", W/{tag}'):
        again = await wire.send(provider, "catalog/request", caller=consumer, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    await provider.publish("b")
    changed = await wire.send(provider, "catalog/request", caller=consumer, headers={"If-None-Match": tag})
    assert changed.status_code == 200


async def test_a_dataset_is_found_by_its_id_even_with_slashes(space: DataSpace, wire: Wire) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    id_ = "https://example.org/data//a b?x#y".replace(" ", "%20")
    await provider.publish("a")
    await provider.send(provider.calls.add_asset(Asset(id=id_, source=AssetSource(type="none"), formats=("HttpData-PULL",))))
    await provider.send(provider.calls.add_definition(ContractDefinition(id="all", assets=("*",), policy="a-terms")))
    for spelled in (quote(id_, safe=""), quote(id_, safe="/:")):
        answer = await wire.send(provider, f"catalog/datasets/{spelled}", caller=consumer)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["@id"], answer.json()["@type"]) == (id_, "Dataset")


@pytest.mark.parametrize(
    ("path", "address", "id_"),
    [
        ("negotiations/request", "negotiations/request", ""),
        ("negotiations/urn:uuid:1", "negotiations/*", "urn:uuid:1"),
        ("negotiations/x/agreement/verification", "negotiations/*/agreement/verification", "x"),
        ("transfers/x/start", "transfers/*/start", "x"),
        ("catalog/datasets/a/b/c", "catalog/datasets/*", "a/b/c"),
        ("negotiations/request/events", "negotiations/*/events", "request"),
    ],
)
def test_a_path_leads_to_its_address(path: str, address: str, id_: str) -> None:
    assert routes.found(ADDRESSES, path) == (ADDRESSES[address], id_)


@pytest.mark.parametrize(
    "path", ["", "negotiations", "negotiations/", "negotiations//events", "x/y", "negotiations/x/agreement/", "catalog"]
)
def test_any_other_path_leads_nowhere(path: str) -> None:
    assert routes.found(ADDRESSES, path) is None


async def test_an_address_that_is_none_is_a_404_problem(space: DataSpace, wire: Wire) -> None:
    provider = space.join("provider")
    await space.begin()
    for url in (
        "/",
        "/provider",
        "/provider/dsp/2025-1/nothing",
        "/provider/dsp/2024-1/catalog/request",
        "/api/v1/participants",
    ):
        answer = await wire.send(provider, provider.app.public_url + url, caller=None)
        assert answer.status_code == 404, url
        assert answer.headers["Content-Type"] == "application/problem+json"
