"""`kontor doctor`: what is not well with a node, a participant or a peer, and how to mend it.

1. The settings, where the configuration file is at hand.     2. The node: store, disk, workers; of one that does not run, its store.
3. The participant as others see it, and what it holds as they would judge it.     4. Its keys.     5. A peer, where one is named.
Exit code: 0 when nothing is an error, 1 otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.access import Access, has_participants
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import ConfigurationError, Forbidden, KontorError, NotFound, Unreachable

if TYPE_CHECKING:
    from connector.api.doctor import Finding
    from connector.api.identity import IdentityKey
    from connector.client import Calls, Client

_MARKS = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}


def register(app: typer.Typer) -> None:
    """Add `doctor` to the commands."""
    command(app, "doctor", doctor, example="kontor doctor\nkontor doctor --peer did:web:connector.example.com:acme --json")


def doctor(
    access: Access,
    out: Output,
    peer: Annotated[str | None, typer.Option(help="Look at this peer, too: its DID or the address of its connector.")] = None,
) -> None:
    """Look for what is not well, from inside and from outside, and say how to mend it."""
    found = [*_settings(access)]
    try:
        with access.node() as (node, _):
            found += _node(node)
            if access.participant is None and not has_participants(node):
                found.append(_none(peer))
            else:
                with access.open() as (node_, me):
                    found += _participant(node_, me, peer)
    except Unreachable as fault:
        # why it does not run may show in its store
        found += _store(access)
        found.append(_bad("node", fault.what, fault.where, fault.mend))
    except KontorError as fault:
        found.append(_bad("node", fault.what, fault.where, fault.mend or "start it with `kontor serve`"))
    errors = sum(one.state == "error" for one in found)
    warnings = sum(one.state == "warning" for one in found)
    lines = [line for one in found for line in _lines(one)]
    tree = {"findings": [one.model_dump(mode="json") for one in found], "errors": errors, "warnings": warnings}
    out.lines(tree, *lines, f"{len(found)} checks, {errors} errors, {warnings} warnings")
    if errors:
        raise typer.Exit(1)


def _lines(one: Finding) -> Iterator[str]:
    place = f" ({one.where})" if one.where else ""
    yield f"{_MARKS[one.state]}  {one.check:<12} {one.what}{place}"
    if one.mend and one.state != "ok":
        yield f"{'':24}mend: {one.mend}"


def _settings(access: Access) -> Iterator[Finding]:
    """What the configuration file says, as far as it is at hand."""
    from connector import app
    from connector.api.doctor import Finding

    if access.url is not None or not access.config.exists():
        return
    try:
        from connector.settings import read

        app.check(read(access.config))
    except ConfigurationError as fault:
        yield _bad("settings", fault.what, fault.where, fault.mend)
    else:
        yield Finding(check="settings", state="ok", what="a node can start with them", where=str(access.config))


def _store(access: Access) -> Iterator[Finding]:
    """What the store of a node that does not run looks like, where the configuration file is at hand."""
    from connector import app
    from connector.api.doctor import Finding
    from connector.settings import read

    if access.url is not None or not access.config.exists():
        return
    try:
        settings = read(access.config)
        if settings.store.url.startswith("memory:"):
            return
        has, needs = asyncio.run(app.schema(settings))
    except KontorError as fault:
        yield _bad("store", fault.what, fault.where, fault.mend)
        return
    if has and has < needs:
        yield _bad(
            "store", f"it has schema {has}, this release needs {needs}", "store.url", "make a backup, then run `kontor migrate`"
        )
    else:
        what = f"its schema is that of this release, {needs}" if has else "it is made when the node first starts"
        yield Finding(check="store", state="ok", what=what, where="store.url")


def _node(node: Client) -> Iterator[Finding]:
    from connector.api.doctor import Finding
    from connector.client import examine_node

    try:
        yield from node.send(examine_node()).findings
    except Forbidden as fault:
        yield Finding(check="node", state="warning", what="it was not looked at: the key is not for the node", mend=fault.mend)


def _none(peer: str | None) -> Finding:
    from connector.api.doctor import Finding

    if peer is not None:
        return _bad(
            "participant", "this node has none, as whom the peer could be looked at", "", "ask the node of a participant"
        )
    return Finding(check="participant", state="ok", what="this node serves none: it has another role")


def _participant(node: Client, me: Calls, peer: str | None) -> Iterator[Finding]:
    yield from node.send(me.examine()).findings
    try:
        keys = node.send(me.keys()).items
    except NotFound:
        pass  # a participant without a wallet: its peers know it by other means
    else:
        yield from _keys(keys)
    if peer is not None:
        yield from node.send(me.examine(peer)).findings


def _keys(keys: list[IdentityKey]) -> Iterator[Finding]:
    from connector.api.doctor import Finding

    for purpose in ("token", "presentation"):
        active = [one for one in keys if one.purpose == purpose and one.state == "ACTIVE"]
        if not active:
            yield _bad("keys", f"there is no key for `{purpose}`", "", f"make one: `kontor identity rotate {purpose}`")
        else:
            yield Finding(check="keys", state="ok", what=f"`{purpose}` is signed by a key of ours", where=active[-1].id)


def _bad(check: str, what: str, where: str, mend: str) -> Finding:
    from connector.api.doctor import Finding

    return Finding(check=check, state="error", what=what, where=where or None, mend=mend or None)
