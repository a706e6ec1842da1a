"""What a node finds of its own files of certificates, each with how to mend it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from connector.api.doctor import Finding
from connector.controlplane.doctor import node_findings
from connector.errors import KontorError, StoreUnavailable
from connector.settings import Settings
from connector.storage.memory import Memory, MemoryStore
from connector.testing.clock import MovedClock

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
AUTHORITY = trustme.CA()


def files(folder: Path, *names: str, ends: timedelta = timedelta(days=90)) -> dict[str, str]:
    """A certificate for `names`, and its key."""
    issued = AUTHORITY.issue_cert(*names, not_after=NOW + ends)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return {"tls_certificate": str(chain), "tls_key": str(key)}


async def found(folder: Path, public: dict[str, str], host: str = "data.acme.example", **more: Any) -> list[Finding]:
    settings = Settings.model_validate(
        {
            "node": {"public_url": f"https://{host}", "data_dir": folder},
            "participants": {"acme": {"id": "urn:acme"}},
            "public": public,
            **more,
        }
    )
    store = MemoryStore(node="n", lease_s=30, memory=Memory())
    return [one for one in await node_findings(store, settings, tuple, MovedClock(NOW)) if one.check == "certificate"]


@pytest.mark.parametrize(
    ("names", "days", "state", "what"),
    [
        (("data.acme.example",), 90, "ok", "it is good until 2027-02-26"),
        (("*.acme.example",), 90, "ok", "good until"),
        (("other.example", "data.acme.example"), 90, "ok", "good until"),
        (("data.acme.example",), 13, "warning", "it is good until 2026-12-11"),
        (("data.acme.example",), -1, "error", "it ended on 2026-11-27"),
        (("other.example",), 90, "error", "it is for `other.example`, and peers ask for `data.acme.example`"),
        (("*.example",), 90, "error", "peers ask for"),
        (("10.0.0.1",), 90, "error", "it is for `10.0.0.1`"),
    ],
)
async def test_a_certificate_is_read_and_judged(
    tmp_path: Path, names: tuple[str, ...], days: int, state: str, what: str
) -> None:
    (one,) = await found(tmp_path, files(tmp_path, *names, ends=timedelta(days=days)))
    assert (one.state, what in one.what, one.where) == (state, True, "public.tls_certificate")
    assert bool(one.mend) is (state != "ok")


async def test_a_key_of_another_or_a_file_of_something_else_is_said(tmp_path: Path) -> None:
    said = files(tmp_path, "data.acme.example")
    (tmp_path / "of-another").mkdir()
    key = files(tmp_path / "of-another", "data.acme.example")["tls_key"]
    (one,) = await found(tmp_path, {**said, "tls_key": key})
    assert (one.state, one.what) == ("error", "the private key is not the certificate's")
    (one,) = await found(tmp_path, {**said, "tls_certificate": key})
    assert (one.state, "cannot be read" in one.what) == ("error", True)


async def test_the_other_listeners_have_certificates_too(tmp_path: Path) -> None:
    said = files(tmp_path, "acme.example", ends=timedelta(days=-1))
    more = {"data": {"workers": 1, "public_url": "https://acme.example:8443", "listener": said}, "signaling": said}
    ended = await found(tmp_path, {}, **more)
    assert [one.where for one in ended] == ["data.listener.tls_certificate", "signaling.tls_certificate"]
    assert [one.what for one in ended] == ["it ended on 2026-11-27 12:00"] * 2


async def test_where_no_file_is_named_none_is_looked_for(tmp_path: Path) -> None:
    assert await found(tmp_path, {}) == []


class Server(MemoryStore):
    """A store whose server has another clock, or takes no writes."""

    ahead = timedelta()
    fault: KontorError | None = None

    async def pulse(self, now: datetime) -> timedelta:
        if self.fault is not None:
            raise self.fault
        return self.ahead


async def test_a_store_that_takes_no_writes_or_goes_by_another_clock_is_said(tmp_path: Path) -> None:
    settings = Settings.model_validate({"node": {"public_url": "https://acme.example", "data_dir": tmp_path}})
    store = Server(node="n", lease_s=30, memory=Memory())

    async def told() -> list[tuple[str, str, bool]]:
        seen = await node_findings(store, settings, tuple, MovedClock(NOW))
        return [(one.state, one.what, bool(one.mend)) for one in seen if one.check in ("store", "clock")]

    ((state, what, _),) = await told()
    assert (state, what.startswith("the store takes a write in")) == ("ok", True)
    store.ahead = timedelta(seconds=-63)
    assert (await told())[1:] == [("error", "the clock of this node is 63 s behind that of the store's server", True)]
    # such as a database that was switched to read only: it still answers questions
    store.fault = StoreUnavailable("cannot execute INSERT in a read-only transaction")
    assert await told() == [("error", "cannot execute INSERT in a read-only transaction", True)]
