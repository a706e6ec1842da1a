"""Other connectors: which base address they mean, and their catalogues page by page, lies included."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from connector.controlplane import catalog as catalogs
from connector.controlplane.catalog import PeerCatalog
from connector.dsp import catalog as shapes
from connector.errors import AddressRefused, Conflict, NotFound, PeerAnswer, PeerMessage, Unreachable
from connector.outbound.client import Answer
from connector.outbound.links import next_link
from tests.controlplane.scene import BASE, BOB, USE, Node, answer

WELL_KNOWN = "/.well-known/dspace-version"
SERVICE = shapes.ServiceDescription(participant_id="urn:bob", endpoint_url=BASE, title="Bob")


def versions(path: str, version: str = "2025-1") -> Answer:
    return answer(200, orjson.dumps({"protocolVersions": [{"version": version, "path": path, "binding": "HTTPS"}]}))


def asked(node: Node) -> list[str]:
    return [sent.url for sent in node.host.sent]


# --- which base address is meant


async def test_the_document_below_the_address_names_the_base(node: Node) -> None:
    node.host.documents[f"https://bob.example/p{WELL_KNOWN}"] = versions("/dsp/2025-1")
    assert await node.peers.base("https://bob.example/p/") == "https://bob.example/p/dsp/2025-1"
    # and is remembered for a while
    assert await node.peers.base("https://bob.example/p") == "https://bob.example/p/dsp/2025-1"
    assert len(node.host.sent) == 1
    node.clock.move(minutes=11)
    await node.peers.base("https://bob.example/p")
    assert len(node.host.sent) == 2


@pytest.mark.parametrize("found", [answer(404), answer(200, b"<html>"), answer(200, b"{}"), answer(401), answer(301)])
async def test_without_a_document_the_address_is_the_base(node: Node, found: Answer) -> None:
    node.host.documents[f"{BASE}{WELL_KNOWN}"] = found
    assert await node.peers.base(BASE) == BASE


async def test_the_root_of_the_host_is_asked_too_and_believed_when_it_agrees(node: Node) -> None:
    node.host.documents[f"https://bob.example{WELL_KNOWN}"] = versions("/dsp/2025-1")
    assert await node.peers.base(BASE) == f"{BASE}/2025-1"
    # another tenant of the host is not who was meant
    assert await node.peers.base("https://bob.example/carol") == "https://bob.example/carol"


async def test_a_root_that_speaks_another_version_is_nobody_whom_we_asked(node: Node) -> None:
    node.host.documents[f"https://bob.example{WELL_KNOWN}"] = versions("/x", "0.8")
    assert await node.peers.base(BASE) == BASE


async def test_a_peer_that_speaks_another_version_is_refused(node: Node) -> None:
    node.host.documents[f"{BASE}{WELL_KNOWN}"] = versions("/", "0.8")
    with pytest.raises(PeerMessage, match="does not speak"):
        await node.peers.base(BASE)


@pytest.mark.parametrize("fault", [Unreachable("no whole answer"), answer(503)])
async def test_what_could_not_be_found_out_is_not_remembered(node: Node, fault: Any) -> None:
    node.host.documents[f"{BASE}{WELL_KNOWN}"] = fault
    assert await node.peers.base(BASE) == BASE
    node.host.documents[f"{BASE}{WELL_KNOWN}"] = versions("/2025-1")
    assert await node.peers.base(BASE) == f"{BASE}/2025-1"


async def test_an_address_that_we_may_not_reach_is_not_asked(node: Node) -> None:
    with pytest.raises(AddressRefused):
        await node.peers.base("https://127.0.0.1/dsp")
    assert node.host.sent == []


async def test_addresses_are_not_remembered_without_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.controlplane import peers

    monkeypatch.setattr(peers, "_KEPT", 3)
    for number in range(10):
        await node.peers.base(f"https://bob.example/{number}")
    assert len(node.peers._bases) == 3


# --- catalogues


def page(*ids: str) -> bytes:
    offer = {"@id": "urn:o:1", "@type": "Offer", **USE}
    described = [shapes.DatasetDescription(id=id_, title=id_, offers=(offer,), formats=("HttpData-PULL",)) for id_ in ids]
    return shapes.encode(shapes.catalog(SERVICE, described))


async def gathered(node: Node, **wanted: Any) -> PeerCatalog:
    return await node.catalogs.of_peer("alice", address=BASE, peer=BOB.id, **wanted)


def ids(found: PeerCatalog) -> list[str]:
    return [dataset["@id"] for dataset in found.tree["dataset"]]


async def test_all_pages_are_gathered_by_get(node: Node) -> None:
    node.host.replies.append(answer(200, page("urn:1", "urn:2"), link='</dsp/more?p=2>; rel="next"'))
    node.host.documents["https://bob.example/dsp/more?p=2"] = answer(200, page("urn:3"))
    found = await gathered(node)
    assert (ids(found), found.pages, found.base, found.warnings) == (["urn:1", "urn:2", "urn:3"], 2, BASE, ())
    assert [sent.headers.get("authorization") for sent in node.host.sent[-2:]] == ["to urn:bob"] * 2


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_pages_that_are_not_there_by_get_are_asked_for_by_post(node: Node, status: int) -> None:
    node.host.documents[f"{BASE}/more"] = answer(status)
    node.host.replies.extend([answer(200, page("urn:1"), link=f'<{BASE}/more>; rel="next"'), answer(200, page("urn:2"))])
    assert ids(await gathered(node)) == ["urn:1", "urn:2"]
    posts = [sent for sent in node.host.sent if sent.method == "POST"]
    assert posts[0].body == posts[1].body


async def test_a_limit_ends_the_gathering(node: Node) -> None:
    node.host.replies.append(answer(200, page("urn:1", "urn:2", "urn:3"), link=f'<{BASE}/more>; rel="next"'))
    assert ids(await gathered(node, limit=2)) == ["urn:1", "urn:2"]
    assert not [url for url in asked(node) if url.endswith("/more")]


async def test_pages_in_a_circle_are_noticed(node: Node) -> None:
    node.host.replies.append(answer(200, page("urn:1"), link='<?p=2>; rel="next"'))
    node.host.documents[f"{BASE}/catalog/request?p=2"] = answer(200, page("urn:2"), link='<?p=2>; rel="next"')
    found = await gathered(node)
    assert ids(found) == ["urn:1", "urn:2"]
    assert "in a circle" in found.warnings[0]


@pytest.mark.parametrize("link", ["https://elsewhere.example/more", "//elsewhere.example/more", "http://bob.example/more"])
async def test_our_token_is_shown_to_nobody_whom_the_peer_names(node: Node, link: str) -> None:
    node.host.replies.append(answer(200, page("urn:1"), link=f'<{link}>; rel="next"'))
    found = await gathered(node)
    assert "elsewhere" in found.warnings[0]
    assert all(url.startswith("https://bob.example/") for url in asked(node))


async def test_what_is_gathered_is_bounded_and_says_so(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "_MOST_BYTES", 1500)
    for number in range(20):
        following = answer(200, page(f"urn:{number}"), link=f'<?p={number + 1}>; rel="next"')
        if number == 0:
            node.host.replies.append(following)
        node.host.documents[f"{BASE}/catalog/request?p={number}"] = following
    found = await gathered(node)
    assert found.pages < 5
    assert "there are more datasets" in found.warnings[0]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('<a>; rel="next"', "a"),
        ("<a>;rel=next", "a"),
        ('<a>; title="x; rel=\\"no"; REL="Next"', "a"),
        ('<p>; rel="previous", <n>; rel="next"', "n"),
        ('<n>; rel="prev next"', "n"),
        ('<a,b>; rel="next"', "a,b"),
        ('<a>; title="one, <two>; rel=next"; rel="self"', None),
        ('<a>; rel="nextish"', None),
        ("", None),
        ("<a", None),
        ("rel=next", None),
    ],
)
def test_the_next_page_is_found_in_a_link_header(header: str, expected: str | None) -> None:
    assert next_link(header) == expected


@pytest.mark.parametrize("piece", [";a====", ';a="', "<", "<x>", "<x>;", ",", ';a=="b"'])
def test_no_link_header_takes_long_to_read(piece: str) -> None:
    before = time.process_time()
    next_link("<x>" + piece * 20_000)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (answer(404, b"who are you"), PeerAnswer),
        (answer(500), PeerAnswer),
        (answer(200, b"<html>"), PeerMessage),
        (answer(200, b'{"@type":"Catalog"'), PeerMessage),
        (Unreachable("no whole answer"), Unreachable),
    ],
)
async def test_a_catalogue_that_is_none_is_the_peers_fault_and_says_where(
    node: Node, reply: Any, fault: type[Exception]
) -> None:
    node.host.replies.append(reply)
    with pytest.raises(fault):
        await gathered(node)


async def test_a_peer_that_is_not_known_here_and_a_participant_that_is_not(node: Node) -> None:
    with pytest.raises(Conflict, match="no token"):
        await node.catalogs.of_peer("alice", address=BASE, peer="urn:nobody")
    with pytest.raises(NotFound):
        await node.catalogs.of_peer("nobody", address=BASE, peer=BOB.id)
