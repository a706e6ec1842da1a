"""`kontor get`: data of a peer on this disk, under a contract, verified.

1. Find the dataset in the peer's catalogue.          2. Reuse an agreement about it, or negotiate one.
3. Ask for the transfer, or take up one that runs.     4. Fetch the bytes through our node; for a folder its manifest, then each file.
5. Compare each digest with the one in the catalogue.  6. Complete the transfer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector import strict
from connector.cli import download, negotiate
from connector.cli.access import Access
from connector.cli.command import command
from connector.cli.download import Wanted
from connector.cli.negotiate import Address, Dataset, OfferId, Peer, Purpose, Wait
from connector.cli.output import Output, note
from connector.errors import BadMessage, Conflict, KontorError, NotFound, PeerError, Unreachable

if TYPE_CHECKING:
    from connector.api.transfers import Transfer
    from connector.cli.offers import Described, Found
    from connector.client import Calls, Client

_PULL, _PUSH = "HttpData-PULL", "HttpData-PUSH"
_MANIFEST_TYPE = "application/vnd.kontor.manifest+json"
"""Media type of a dataset that is a folder: its data is a list of files with their digests."""
_MANIFEST = strict.Limits(max_bytes=1 << 30, max_depth=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of it."""

    file: str
    byte_size: int
    sha256: str
    is_verified: bool
    """True when the description named a digest and this is it."""
    agreement: str
    transfer: str
    state: str | None
    """State of the transfer afterwards."""


def register(app: typer.Typer) -> None:
    """Add `get` to the commands."""
    example = (
        "kontor get https://data.example.org/weather/dsp/2025-1 urn:example:weather-2025 --purpose research -o weather.csv"
    )
    command(app, "get", get, example=example)


def get(
    access: Access,
    out: Output,
    address: Address,
    dataset: Dataset,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write; the dataset's name when left out.")
    ] = None,
    peer: Peer = None,
    purpose: Purpose = None,
    offer_id: OfferId = None,
    push: Annotated[bool, typer.Option("--push", help="Let the provider deliver to our node, and take it from there.")] = False,
    wait: Wait = 60,
) -> None:
    """Get a dataset of a peer: negotiate or reuse an agreement, transfer, download, verify the digest."""
    from connector.cli.offers import find

    with access.open() as (node, me):
        found = find(node, me, address, dataset, peer=peer, offer_id=offer_id)
        target = output or Path(_name(found.dataset.id))
        if target.exists():
            raise Conflict("there is such a file already", where=str(target), mend="name another with `-o`")
        done = fetch(node, me, found, target, purpose=purpose, push=push, within_s=wait, is_shown=not out.as_json)
    verified = "digest as in the catalogue" if done.is_verified else "the catalogue names no digest, so nothing to compare with"
    out.lines(
        asdict(done),
        f"{done.file}  {done.byte_size} bytes  sha-256 {done.sha256}  {verified}",
        f"transfer {done.transfer} {done.state} under agreement {done.agreement}",
    )


def fetch(
    node: Client,
    me: Calls,
    found: Found,
    target: Path,
    *,
    purpose: str | None,
    push: bool,
    within_s: float,
    is_shown: bool = True,
) -> Fetched:
    """The dataset in the file `target`, verified, its transfer completed.

    Raises: what went wrong, by whose fault it is; a partial download stays in `target` with `.part` at its end, and is
    continued by the next try. Bytes with a wrong digest do not stay.
    """
    format_ = _PUSH if push else _PULL
    if found.dataset.formats and format_ not in found.dataset.formats:
        offered = ", ".join(f"`{one}`" for one in found.dataset.formats)
        raise NotFound(f"it is not offered as `{format_}`", where=found.dataset.id, mend=f"it is offered as {offered}")
    agreement, transfer = _transfer(node, me, found, purpose, format_, within_s)
    dataset, pid = found.dataset, transfer.pid
    if dataset.media_type == _MANIFEST_TYPE:
        size, digest = _folder(node, me, pid, dataset, target, is_shown=is_shown)
    else:
        wanted = Wanted(
            call=me.data(pid), name=dataset.id, byte_size=dataset.byte_size, digest=dataset.digest, is_shown=is_shown
        )
        size, digest = download.fetch(node, wanted, target)
    return Fetched(
        file=str(target), byte_size=size, sha256=digest, is_verified=dataset.digest is not None, agreement=agreement,
        transfer=pid, state=_complete(node, me, transfer, within_s).state,
    )  # fmt: skip


def _folder(node: Client, me: Calls, pid: str, dataset: Described, target: Path, *, is_shown: bool) -> tuple[int, str]:
    """Size and manifest digest of a folder, after its files are in the folder `target`; files that are there are not fetched again.

    Raises: as `download.fetch`; BadMessage for a manifest that names files outside the folder.
    """
    target.mkdir(parents=True, exist_ok=True)
    manifest = target.with_name(f"{target.name}.manifest")
    manifest.unlink(missing_ok=True)
    _, digest = download.fetch(
        node, Wanted(call=me.data(pid), name=dataset.id, digest=dataset.digest, is_shown=False), manifest
    )
    size = 0
    for path, byte_size, sha256 in _entries(manifest.read_bytes(), dataset.id):
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not (file.is_file() and sha256 is not None and download.sha256(file) == sha256):
            wanted = Wanted(call=me.data(pid, path), name=path, byte_size=byte_size, digest=sha256, is_shown=is_shown)
            download.fetch(node, wanted, file)
        size += file.stat().st_size
    manifest.unlink()
    return size, digest


def _lies_inside(path: str) -> bool:
    """Whether a path is that of a file in a folder here: a backslash is a letter like others, where it separates nothing."""
    steps = path.replace(os.sep, "/").split("/")
    return set(steps).isdisjoint({"", ".", ".."}) and "\0" not in path and not Path(path).drive


def _entries(manifest: bytes, where: str) -> Iterator[tuple[str, int | None, str | None]]:
    """Path, size and digest of each file that a manifest names."""
    try:
        files = [
            (str(one["path"]), one.get("byte_size"), one.get("sha256")) for one in strict.scan(manifest, _MANIFEST)["files"]
        ]
    except (KontorError, KeyError, TypeError, AttributeError) as fault:
        raise BadMessage("this is no manifest of a folder", where=where, mend="tell the provider") from fault
    for path, byte_size, sha256 in files:
        # the manifest is a peer's: nothing that it names may lie outside the folder
        if not _lies_inside(path):
            raise BadMessage(
                f"the manifest names `{path}`, which is no file of a folder", where=where, mend="tell the provider"
            )
        yield path, byte_size, sha256


def _transfer(
    node: Client, me: Calls, found: Found, purpose: str | None, format_: str, within_s: float
) -> tuple[str, Transfer]:
    """The agreement, and a transfer under it that has data to give; steps 2 and 3.

    An agreement of the past may not be good any more for a reason that only its provider knows: then a new one is negotiated.
    """
    for known in _agreements(node, me, found, purpose):
        if running := _running(node, me, known, format_):
            return known, _ready(node, me, running, within_s)
        try:
            return known, _started(node, me, known, format_, purpose, within_s)
        except Unreachable:
            # nobody has said that the agreement is not good any more
            raise
        except PeerError as refused:
            note(f"agreement {known} gives nothing any more ({refused.what}); negotiating a new one")
            break
    process = negotiate.begin(node, me, found, purpose=purpose, within_s=within_s)
    negotiate.check(process)
    fresh = process.agreement_id or ""
    return fresh, _started(node, me, fresh, format_, purpose, within_s)


def _agreements(node: Client, me: Calls, found: Found, purpose: str | None) -> Iterator[str]:
    """Ids of agreements in force about the dataset, for the same purpose, newest first."""
    page = node.send(me.agreements(role="consumer", peer=found.peer, dataset=found.dataset.id))
    for one in page.items:
        if one.ended_at is None and one.dataset == found.dataset.id and one.peer == found.peer and one.purpose == purpose:
            yield one.id


def _running(node: Client, me: Calls, agreement: str, format_: str) -> Transfer | None:
    """A transfer that an earlier, broken try has left: it flows, or waits for the provider."""
    page = node.send(me.transfers(role="consumer", agreement=agreement))
    mine = [one for one in page.items if one.agreement_id == agreement and one.format == format_ and one.in_flight is None]
    flowing = (one for one in mine if one.state == "STARTED" and (one.is_open or format_ == _PUSH))
    return next(flowing, None) or next((one for one in mine if one.state == "REQUESTED"), None)


def _started(node: Client, me: Calls, agreement: str, format_: str, purpose: str | None, within_s: float) -> Transfer:
    from connector.api.transfers import NewTransfer

    begun = node.send(me.begin_transfer(NewTransfer(agreement=agreement, format=format_, purpose=purpose)))
    return _ready(node, me, begun, within_s)


def _ready(node: Client, me: Calls, begun: Transfer, within_s: float) -> Transfer:
    """The transfer as soon as its data can be fetched: a pull when it is STARTED, a push when it is COMPLETED.

    Raises: PeerError when it was ended, Unreachable when it takes too long.
    """
    ready = "STARTED" if begun.format == _PULL else "COMPLETED"
    transfer = node.wait(me.transfer(begun.pid), lambda one: one.state in (ready, "COMPLETED", "TERMINATED"), within_s=within_s)
    if transfer.state in (ready, "COMPLETED"):
        return transfer
    look = f"`kontor show {transfer.pid}` tells the whole story"
    if transfer.state == "TERMINATED":
        why = "; ".join(filter(None, (transfer.code, *transfer.reasons, transfer.error))) or "no reason was given"
        raise PeerError(f"there is no transfer: {why}", where=transfer.pid, mend=look)
    last = f", the last failure: {transfer.error}" if transfer.error else ""
    raise Unreachable(f"the transfer is still in {transfer.state or 'no state'}{last}", where=transfer.pid, mend=look)


def _complete(node: Client, me: Calls, transfer: Transfer, within_s: float) -> Transfer:
    """The transfer, completed; the data is here whatever becomes of it, so a failure is told and not raised."""
    try:
        if transfer.state == "STARTED":
            node.send(me.act_in_transfer(transfer.pid, "complete"))
        is_over = ("COMPLETED", "TERMINATED")
        return node.wait(me.transfer(transfer.pid), lambda one: one.state in is_over, within_s=min(within_s, 10))
    except KontorError as error:
        note(f"warning: the data is here, its transfer could not be completed: {error}")
        return transfer


def _name(dataset: str) -> str:
    return re.sub("[^A-Za-z0-9._-]+", "-", re.split("[/:#]", dataset.rstrip("/"))[-1]).strip("-.") or "data"
