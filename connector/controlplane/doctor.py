"""What only the node itself can see of itself: its store, its disk, its certificates, its workers, settings that weaken
a check.

What lives here: `node_findings`. What does not: how a participant looks from outside (`identity/examination.py`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from connector.api.doctor import Finding
from connector.controlplane.participants import NODE
from connector.controlplane.unfinished import given_up_work
from connector.errors import ConfigurationError, KontorError
from connector.ports.clock import MOST_AHEAD, Clock, how_far
from connector.ports.store import Store
from connector.settings import Settings

_ANSWERS_WITHIN_S: Final = 5.0
_SLOW_S: Final = 0.5
_LEAST_FREE_BYTES: Final = 1 << 30
_SOON: Final = timedelta(days=14)


async def node_findings(
    store: Store, settings: Settings, faults: Callable[[], tuple[str, ...]], clock: Clock
) -> tuple[Finding, ...]:
    """The findings, each with how to mend it."""
    return (
        *await _store(store, clock.now()),
        _disk(settings),
        *_certificates(settings, clock.now()),
        *await _given_up(store),
        *(
            Finding(check="worker", state="error", what=one, mend="see the log for why; report it if it comes again")
            for one in faults()
        ),
        *(
            Finding(
                check="unsafe",
                state="warning",
                what="a setting weakens a check",
                where=name,
                mend="take it out before peers elsewhere join",
            )
            for name in settings.unsafe()
        ),
    )


async def _given_up(store: Store) -> tuple[Finding, ...]:
    """Work of the node and its roles; that of participants stands with them."""
    try:
        return tuple([one for context in (NODE, "authority", "@catalog") for one in await given_up_work(store.jobs, context)])
    except KontorError:
        # the store's own finding tells
        return ()


async def _store(store: Store, now: datetime) -> tuple[Finding, ...]:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            ahead = await store.pulse(now)
    except TimeoutError:
        what = f"the store takes no write within {_ANSWERS_WITHIN_S:.0f} s"
        mend = "see its disk, its server and the network"
        return (Finding(check="store", state="error", what=what, where="store.url", mend=mend),)
    except KontorError as fault:
        return (Finding(check="store", state="error", what=fault.what, where="store.url", mend=fault.mend or "see its log"),)
    took = time.perf_counter() - begun
    what = f"the store takes a write in {took * 1000:.0f} ms"
    is_slow = took > _SLOW_S
    found = Finding(
        check="store",
        state="warning" if is_slow else "ok",
        what=what,
        where="store.url",
        mend="see its disk and its load" if is_slow else None,
    )
    if abs(ahead) <= MOST_AHEAD:
        return (found,)
    what = f"the clock of this node {how_far(ahead)} that of the store's server"
    mend = "let both follow a time server: a replica that is ahead takes what others are still at"
    return (found, Finding(check="clock", state="error", what=what, where="store.url", mend=mend))


def _disk(settings: Settings) -> Finding:
    folder = settings.node.data_dir
    try:
        free = shutil.disk_usage(folder).free
    except OSError as fault:
        what = f"the data folder cannot be read: {(fault.strerror or str(fault)).lower()}"
        return Finding(check="disk", state="error", what=what, where=str(folder), mend="see `node.data_dir`")
    what = f"{free / (1 << 30):.1f} GiB are free"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            check="disk", state="error", what=what, where=str(folder), mend="make room: nothing is stored on a full disk"
        )
    return Finding(check="disk", state="ok", what=what, where=str(folder))


def _certificates(settings: Settings, now: datetime) -> Iterator[Finding]:
    """The files of certificates that the settings name, each read as it is now: a renewed one counts from the next start on."""
    public, operator, reach = settings.public, settings.operator, settings.outbound
    data, planes = settings.data.listener, settings.signaling
    host = urlsplit(settings.node.public_url).hostname or ""
    for where, chain, key, name in (
        ("public.tls_certificate", public.tls_certificate, public.tls_key, host),
        ("operator.tls_certificate", operator.tls_certificate, operator.tls_key, ""),
        (
            "data.listener.tls_certificate",
            data.tls_certificate,
            data.tls_key,
            urlsplit(settings.data.public_url or "").hostname or "",
        ),
        ("outbound.client_certificate", reach.client_certificate, reach.client_key, ""),
    ):
        if chain is not None and key is not None:
            yield _certificate(where, chain, key, name, now)
    if planes is not None and planes.tls_certificate is not None and planes.tls_key is not None:
        name = urlsplit(planes.url or "").hostname or ""
        yield _certificate("signaling.tls_certificate", planes.tls_certificate, planes.tls_key, name, now)


def _certificate(where: str, chain: Path, key: Path, host: str, now: datetime) -> Finding:
    from connector.outbound import certificates

    def found(state: Literal["ok", "warning", "error"], what: str, mend: str = "") -> Finding:
        return Finding(check="certificate", state=state, what=what, where=where, mend=mend or None)

    try:
        one = certificates.read(chain, key)
    except ConfigurationError as fault:
        return found("error", fault.what, fault.mend)
    if not one.fits_key:
        return found("error", "the private key is not the certificate's", "name the key that the certificate was made for")
    if host and not certificates.is_for(one, host):
        names = ", ".join(f"`{name}`" for name in one.names[:8]) or "nobody"
        return found(
            "error",
            f"it is for {names}, and peers ask for `{host}`",
            f"get one for `{host}`, or mend the address that the settings name",
        )
    if one.ends <= now:
        return found("error", f"it ended on {one.ends:%Y-%m-%d %H:%M}", "renew it, and start the node again")
    what = f"it is good until {one.ends:%Y-%m-%d %H:%M}"
    return found("warning", what, "renew it, and start the node again") if one.ends < now + _SOON else found("ok", what)
