"""The pages in a real browser: nothing runs that a member wrote, and everything is there without scripts. Pictures are kept."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import uvicorn

from tests.servers.chromium import shown
from tests.web.catalog.stand import stand


def folder_of_pictures(other: Path) -> Path:
    """Where pictures are kept: `.ci/run` names `artefacts/pictures`, which is in no commit."""
    found = Path(os.environ.get("KONTOR_PICTURES") or other).absolute()
    found.mkdir(parents=True, exist_ok=True)
    return found


async def test_the_pages_work_in_a_real_browser(chromium: str, tmp_path: Path) -> None:
    pictures = folder_of_pictures(tmp_path)
    async with stand(tmp_path) as found:
        with socket.create_server(("127.0.0.1", 0)) as at:
            server = uvicorn.Server(uvicorn.Config(found.app, log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[at]))
            base = f"http://127.0.0.1:{at.getsockname()[1]}/catalog"

            async def page(path: str, name: str, size: tuple[int, int] = (1280, 1500)) -> str:
                return await asyncio.to_thread(shown, chromium, base + path, picture=pictures / f"ledger-{name}.png", size=size)

            search = await page("/?q=quality+water+Wasser", "search")
            narrow = await page("/", "phone", (400, 900))
            product = await page("/products/1", "product", (1280, 1100))
            participant = await page("/participants/did:web:m1.crowd.example", "participant", (1280, 1100))
            statistics = await page("/statistics", "statistics", (1280, 1500))
            hostile = await page("/?q=Hostile", "hostile", (1280, 700))
            server.should_exit = True
            await serving
    assert "Narrow down" in search
    assert "product" in narrow
    assert "What you may do with it" in product
    assert "What others attest" in participant
    assert "<rect" in statistics
    # the browser parsed what a member wrote as text, and ran nothing of it
    assert "<title>stolen</title>" not in hostile
    assert "Hostile &lt;script&gt;" in hostile
    for name in ("search", "phone", "product", "participant", "statistics", "hostile"):
        assert (pictures / f"ledger-{name}.png").stat().st_size > 10_000
