"""A node serves the documents of its participants' DIDs, mixes wallets and fixed texts, and loads nothing of it before it is asked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import pytest

from connector.app import App
from connector.app.listening import free_ports
from tests.app.conftest import Make
from tests.house.tree import ROOT

DSP = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"}


async def _ask(method: str, url: str, **given: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.request(method, url, **given)


async def test_documents_lie_where_the_dids_say(settings: Make) -> None:
    port = free_ports(1)[0]
    base, did = f"http://localhost:{port}", f"did:web:localhost%3A{port}"
    parties = {"root": {"id": did}, "anna": {"id": f"{did}:anna"}, "acme": {"id": "urn:acme"}}
    async with App(settings(node={"public_url": base}, public={"port": port}, participants=parties)):
        for path, owner in (("/.well-known/did.json", did), ("/anna/did.json", f"{did}:anna")):
            answer = await _ask("GET", base + path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            assert answer.json()["id"] == owner
            assert '"d"' not in answer.text
            # DCP 1.0, 5.2, and Dataspace Protocol 2025-1, "Discovery of Service Endpoints": where the wallet and the connector are
            at = {one["type"]: one["serviceEndpoint"] for one in answer.json()["service"]}
            name = "anna" if owner.endswith("anna") else "root"
            known = {"CredentialService": f"{base}/{name}/dcp", "DataService": f"{base}/{name}/.well-known/dspace-version"}
            assert at == known
            assert (await _ask("GET", at["DataService"])).status_code == 200
        # a participant without a DID, and nobody
        for name in ("acme", "nobody"):
            assert (await _ask("GET", f"{base}/{name}/did.json")).status_code == 404
        assert (await _ask("POST", f"{base}/anna/did.json")).headers["allow"] == "GET, HEAD"
        assert (await _ask("GET", f"{base}/anna/dcp/credentials")).status_code == 405


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({"json": {}}, 415, "invalid_request"),
        ({"data": {"client_id": "x", "client_secret": "y"}}, 401, "invalid_client"),
        ({"content": b"a=1&a=2", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400, "invalid_request"),
        ({"content": b"\xff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400, "invalid_request"),
    ],
)
async def test_the_token_service_answers_as_oauth_does(settings: Make, given: dict[str, Any], status: int, error: str) -> None:
    async with App(settings(participants={"acme": {"id": "did:web:acme.example"}})) as app:
        answer = await _ask("POST", f"{app.public_url}/acme/sts/token", **given)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.headers["cache-control"] == "no-store"


async def test_a_fixed_text_counts_beside_a_wallet_and_instead_of_one(settings: Make) -> None:
    peer = {"id": "urn:peer", "theirs": "Bearer text", "ours": "ours"}
    parties = {
        "wallet": {"id": "did:web:acme.example", "unsafe_static_tokens": [peer]},
        "texts": {"id": "urn:texts", "unsafe_static_tokens": [peer]},
    }
    async with App(settings(participants=parties)) as app:
        for name in parties:
            for text, status in (("Bearer text", 200), ("Bearer other", 401), ("", 401)):
                url = f"{app.public_url}/{name}/dsp/2025-1/catalog/request"
                answer = await _ask("POST", url, json=DSP, headers={"authorization": text} if text else {})
                assert answer.status_code == status, (name, text)


def test_a_node_that_nobody_asked_has_loaded_no_tokens_and_no_keys() -> None:
    text = """
import asyncio, sys, tempfile
from connector.app import App
from connector.settings import Settings

async def main(folder):
    sections = {"node": {"public_url": "http://127.0.0.1:0", "data_dir": folder}, "public": {"port": 0}, "operator": {"port": 0},
        "store": {"url": "memory:"}, "outbound": {"unsafe_allow_http": True}, "participants": {"a": {"id": "did:web:a.example"}}}
    async with App(Settings.model_validate(sections)):
        print(*(name for name in ("jwt", "cryptography", "connector.identity.wallets", "fastapi") if name in sys.modules))

with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
"""
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
