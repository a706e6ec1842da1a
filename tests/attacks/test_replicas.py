"""T16 on a second worker: of copies of a token that reach two replicas at once, exactly one is accepted."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx

from connector.app import App
from connector.app.listening import free_ports
from connector.settings import Settings
from tests.attacks.stage import CATALOG, SCOPE, Party, Stage
from tests.identity.hosts import host


async def test_t16_a_token_counts_once_on_all_replicas_together(postgres: str, tmp_path: Path) -> None:
    ports = free_ports(4)
    async with host() as served, httpx.AsyncClient(trust_env=False, timeout=60) as http:
        # replicas stand behind one address; its first port is in the identifier
        did = f"did:web:localhost%3A{ports[0]}:acme"

        def replica(number: int) -> App:
            membership = {"trusted_issuers": [{"id": f"{served.did}:issuer"}], "scopes": [SCOPE]}
            settings: dict[str, Any] = {
                "node": {"id": f"r{number}", "public_url": f"http://localhost:{ports[0]}", "data_dir": tmp_path / str(number)},
                "public": {"port": ports[2 * number]},
                "operator": {"port": ports[2 * number + 1]},
                "store": {"url": postgres},
                "secrets_key": base64.b64encode(bytes(32)).decode(),
                "outbound": {"unsafe_allow_http": True, "unsafe_allow_loopback": True},
                "identity": {"membership": membership},
                "participants": {"acme": {"id": did}},
            }
            return App(Settings.model_validate(settings))

        async with replica(0), replica(1):
            stage = Stage(None, type("Acme", (), {"id": did})(), None, served, served, http)  # type: ignore[arg-type]
            stage.issuer, stage.holder = stage.party("issuer"), stage.party("holder")

            async def ask(number: int, raw: str) -> int:
                url = f"http://127.0.0.1:{ports[2 * number]}/acme/dsp/2025-1/catalog/request"
                headers = {"Authorization": f"Bearer {raw}", "Content-Type": "application/json"}
                return (await http.post(url, content=CATALOG, headers=headers)).status_code

            for one in (0, 1):
                assert await ask(one, _token(stage.holder)) == 200
            for _ in range(3):
                raw = _token(stage.holder)
                statuses = await asyncio.gather(*(ask(number % 2, raw) for number in range(50)))
                assert sorted(statuses) == [200] + [401] * 49


def _token(party: Party) -> str:
    """A token that no other run of this test has sent: the store outlives it."""
    import uuid

    return party.token(jti=str(uuid.uuid4()))
