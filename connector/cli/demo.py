"""`kontor demo`: members of a data space exchange real data under a contract, a stranger does not get it, nor who is suspended.

Real processes, real sockets, SQLite and local files. Each step says what it expects; the exit code is 0 only when all of it
came true. Starting and stopping of the processes is in `nodes.py`; everything else goes through the client, as a user would.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from connector.cli.command import command
from connector.cli.init import CONFIG_FILE, Governed, NewNode, did_web, participant_text, write
from connector.cli.output import Output
from connector.cli.story import Story, Unexpected, expect
from connector.errors import ConfigurationError, PeerError

if TYPE_CHECKING:
    from connector.cli.nodes import Running
    from connector.cli.offers import Found
    from connector.client import Calls, Client

FOLDER = Path("kontor-demo")
_MARK = ".kontor-demo"
_MEMBER = "https://w3id.org/kontor/ns/membership"
_POLICY = "members-for-research"
_TERMS = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": _MEMBER, "operator": "eq", "rightOperand": "active"},
                {"leftOperand": "purpose", "operator": "eq", "rightOperand": "research"},
            ],
        }
    ]
}
_SPACE = "urn:example:space"
_WITHIN_S = 20.0
_STOPS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A participant with its node."""

    name: str
    id: str
    address: str
    """Base address that peers know."""
    node: Client
    calls: Calls
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The parties of the demo, up and running."""

    provider: Party
    consumer: Party
    stranger: Party
    """Knows the provider's address, and takes no part in the space."""
    guest: Party
    """Takes part in the space as a guest: its membership is not active."""
    authority: Running
    authority_url: str
    nodes: list[Running]


def register(app: typer.Typer) -> None:
    """Add `demo` to the commands."""
    command(app, "demo", demo, example="kontor demo --keep")


def demo(
    out: Output,
    data: Annotated[Path | None, typer.Option(help="Exchange this file instead of the sample.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help=f"Leave it running, its files in ./{FOLDER}, and say what to try.")
    ] = False,
) -> None:
    """Let a provider and a consumer exchange real data under a contract on this machine, and show who is refused and why."""
    from connector.packaged import sample_file

    file = (data or sample_file("weather.csv")).absolute()
    if not file.is_file():
        raise ConfigurationError("there is no such file", where=str(file), mend="name a file with `--data`")
    story = Story(is_told=not out.as_json)
    is_met = False
    before = signal.signal(signal.SIGTERM, _stopped)
    with _folder(keep) as folder:
        with contextlib.ExitStack() as stack, contextlib.suppress(Unexpected):
            space = story.step("start an authority and three connectors", lambda: _start(stack, folder))
            story.step("provider, consumer and guest join the data space", lambda: (None, _join(space)))
            found = _exchange(story, space, file, folder)
            _refusals(story, space, found)
            story.step("the authority suspends the consumer", lambda: (None, _suspension(space, found, keep)))
            if keep:
                is_met = story.end(out)
                _stay(space, found)
        if not (keep and is_met):
            is_met = story.end(out)
    signal.signal(signal.SIGTERM, before)
    if not is_met:
        raise typer.Exit(1)


# --- the space


def _start(stack: contextlib.ExitStack, folder: Path) -> tuple[Space, str]:
    """Four processes: the authority, a provider, a consumer, and one that hosts the two who do not get the data."""
    from connector.app.listening import free_ports
    from connector.cli.nodes import running
    from connector.client import Calls

    hosts = {"authority": (), "provider": ("provider",), "consumer": ("consumer",), "stranger": ("stranger", "guest")}
    ports = free_ports(2 * len(hosts))
    # a did:web has a name, not an IP address
    bases = {host: f"http://localhost:{ports[2 * n]}" for n, host in enumerate(hosts)}
    ids = {name: did_web(bases[host], name) for host, names in hosts.items() for name in names}
    keys = {}
    for n, (host, names) in enumerate(hosts.items()):
        wanted = NewNode(
            name=names[0] if names else "", id=ids[names[0]] if names else "", title=f"The {host} of the demo",
            public_url=bases[host], port=ports[2 * n], operator_port=ports[2 * n + 1], is_local=True,
            governs=None if names else Governed(space=_SPACE, title="The data space of the demo"),
        )  # fmt: skip
        keys[host] = write(folder / host, wanted)
        for name in names[1:]:
            with (folder / host / CONFIG_FILE).open("a", encoding="utf-8") as config:
                config.write("\n" + participant_text(name, ids[name], f"The {name} of the demo"))
    nodes = stack.enter_context(running([(folder / host, ports[2 * n + 1], keys[host]) for n, host in enumerate(hosts)]))
    parties = {
        name: Party(
            name=name, id=ids[name], address=f"{bases[host]}/{name}/dsp/2025-1", node=nodes[n].client, calls=Calls(name),
            folder=folder / host,
        )
        for n, (host, names) in enumerate(hosts.items())
        for name in names
    }  # fmt: skip
    said = ", ".join(f"{host} on {bases[host]}" for host in hosts)
    return Space(**parties, authority=nodes[0], authority_url=bases["authority"], nodes=nodes), said


def _join(space: Space) -> str:
    """Each applies and proves who it is; the authority takes it in and says what it is; its wallet gets the credential."""
    from connector.api.authority import Approval
    from connector.api.spaces import SpaceWish
    from connector.client import authority

    members = {space.provider: "active", space.consumer: "active", space.guest: "guest"}
    for party, membership in members.items():
        applied = party.node.send(party.calls.join_space(SpaceWish(authority=space.authority_url)))
        expect(applied.state == "VERIFIED", f"{party.name} is {applied.state}")
        space.authority.client.send(authority.approve(party.id, Approval(attributes={"membership": membership})))
    for party in members:
        found = party.node.wait(
            party.calls.spaces(), lambda all_: all_.items[0].state == "ACTIVE" or bool(all_.items[0].error), within_s=_WITHIN_S
        ).items[0]
        expect(found.state == "ACTIVE", f"{party.name} is {found.state}: {found.error}")
    said = ", ".join(f"{party.name} ({membership})" for party, membership in members.items())
    return f"proven by their keys, attested by {applied.authority}\n{said}"


# --- what is expected to work


def _exchange(story: Story, space: Space, file: Path, folder: Path) -> Found:
    """Publish, find, negotiate, pull, push."""
    from connector.cli import download, get, negotiate

    provider, consumer = space.provider, space.consumer
    sha256 = download.sha256(file)
    dataset = f"urn:example:{re.sub('[^A-Za-z0-9._-]+', '-', file.name)}"

    def publish() -> tuple[None, str]:
        from connector.api.offerings import Asset, ContractDefinition, Policy
        from connector.api.sources import AssetSource

        asset = Asset(
            id=dataset, title="Hourly weather at New York's airports, 2013" if file.name == "weather.csv" else file.name,
            keywords=("weather", "hourly", "observation") if file.name == "weather.csv" else ("demo",),
            media_type="text/csv" if file.suffix == ".csv" else None, source=AssetSource(type="file", path=str(file)),
        )  # fmt: skip
        kept = provider.node.send(provider.calls.add_asset(asset))
        provider.node.send(provider.calls.add_policy(Policy(id=_POLICY, policy=_TERMS)))
        definition = ContractDefinition(id="demo", assets=(dataset,), policy=_POLICY)
        provider.node.send(provider.calls.add_definition(definition))
        expect(kept.digest == sha256, f"the node says the digest is {kept.digest}, the file has {sha256}")
        return None, f"{dataset}, {file.stat().st_size:,} bytes\nsha-256 {sha256}"

    def find() -> tuple[Found, str]:
        found = _found(consumer, provider, dataset)
        expect(found.dataset.digest == sha256, f"the catalogue says the digest is {found.dataset.digest}")
        from connector.cli.offers import terms

        words = ", ".join(found.dataset.keywords)
        return found, f"`{found.dataset.title}` ({words})\noffered: {terms(found.offer)}\nas {', '.join(found.dataset.formats)}"

    def agree() -> tuple[None, str]:
        process = negotiate.begin(consumer.node, consumer.calls, found, purpose="research", within_s=_WITHIN_S)
        negotiate.check(process)
        return None, f"{_states(consumer, process.pid)}\nagreement {process.agreement_id}"

    def fetch(push: bool) -> tuple[None, str]:
        target = folder / f"{'pushed' if push else 'pulled'}-{file.name}"
        done = get.fetch(
            consumer.node, consumer.calls, found, target, purpose="research", push=push, within_s=_WITHIN_S, is_shown=False
        )
        expect(done.is_verified and download.sha256(target) == sha256, f"{target} has the digest {download.sha256(target)}")
        expect(done.state == "COMPLETED", f"the transfer {done.transfer} is {done.state}")
        return None, f"{_states(consumer, done.transfer)}\n{done.byte_size:,} bytes, sha-256 as in the catalogue"

    story.step("the provider publishes a data set for members, for research", publish)
    found = story.step("the consumer finds it in the provider's catalogue", find)
    story.step("the consumer negotiates, for research", agree)
    story.step("the consumer pulls the data under the agreement", lambda: fetch(False))
    story.step("the provider pushes the data under the same agreement", lambda: fetch(True))
    return found


# --- what is expected to be refused


def _refusals(story: Story, space: Space, found: Found) -> None:
    """A stranger, a guest of the space, and a member with another purpose."""

    def stranger() -> tuple[None, str]:
        try:
            _found(space.stranger, space.provider, found.dataset.id)
        except PeerError as error:
            expect("401" in str(error), f"refused, but not for its token: {error}")
            # the peer's own words stand in the body that our node quotes
            reason = re.search(r'"reason":\["([^"]+)"', error.what)
            return None, f"refused with 401: {reason[1] if reason else error.what}"
        raise Unexpected("the stranger got the catalogue")

    story.step("a stranger who takes no part in the space asks for the catalogue", stranger)
    story.step(
        "a guest whose membership is not active asks for the data, for research",
        lambda: (None, _refused(space, space.guest, found.dataset.id, "research", "membership")),
    )
    story.step(
        "the consumer asks for the data, for marketing",
        lambda: (None, _refused(space, space.consumer, found.dataset.id, "marketing", "purpose")),
    )


def _suspension(space: Space, found: Found, keep: bool) -> str:
    """From then on the consumer gets nothing, though everything it ever proved is fresh in the provider's memory."""
    from connector.api.authority import Decision, Reinstatement
    from connector.client import authority

    consumer = space.consumer
    begin = time.monotonic()
    space.authority.client.send(authority.decide(consumer.id, "suspend", Decision(reason="the demo shows it")))
    while True:
        took_s = time.monotonic() - begin
        try:
            _found(consumer, space.provider, found.dataset.id)
        except PeerError as error:
            expect("401" in str(error), f"refused, but not for its standing: {error}")
            break
        expect(took_s < _STOPS_WITHIN_S, f"it still sees the catalogue {took_s:.1f} s later")
        time.sleep(0.02)
    if keep:
        space.authority.client.send(authority.reinstate(consumer.id, Reinstatement()))
    return f"the consumer is refused with 401, {took_s * 1000:.0f} ms later{'; then it is reinstated' if keep else ''}"


def _refused(space: Space, party: Party, dataset: str, purpose: str, word: str) -> str:
    """How a negotiation was refused; `word` must stand in the reason."""
    from connector.cli import negotiate

    found = _found(party, space.provider, dataset)
    process = negotiate.begin(party.node, party.calls, found, purpose=purpose, within_s=_WITHIN_S)
    why = "; ".join(process.reasons)
    expect(process.state == "TERMINATED", f"the negotiation is {process.state}: {process.hold or process.error or why}")
    expect(word in why, f"refused, but the reason does not name {word}: {why or 'none'}")
    return f"refused: {why}\n{_states(party, process.pid)}"


def _found(party: Party, provider: Party, dataset: str) -> Found:
    from connector.cli.offers import find

    return find(party.node, party.calls, provider.address, dataset, peer=provider.id)


def _states(party: Party, pid: str) -> str:
    """The states that a process went through, as its timeline has them."""
    states = [record.state for record in party.node.send(party.calls.timeline(pid)).records if record.state]
    return " > ".join(state for n, state in enumerate(states) if n == 0 or states[n - 1] != state)


# --- folders, and leaving it running


@contextlib.contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """A folder for the nodes: of the system's temporary ones, or `kontor-demo` here, made anew.

    Raises: ConfigurationError when `kontor-demo` is somebody else's, or in use.
    """
    if not keep:
        with tempfile.TemporaryDirectory(prefix="kontor-demo-") as name:
            yield Path(name)
        return
    folder = FOLDER.absolute()
    mark = folder / _MARK
    if folder.exists():
        if not mark.is_file():
            raise ConfigurationError("there is such a folder already, not of a demo", where=str(folder), mend="move it away")
        if _is_alive(mark.read_text().strip()):
            raise ConfigurationError("a demo runs there already", where=str(folder), mend="stop it with Ctrl-C in its terminal")
        shutil.rmtree(folder)
    folder.mkdir()
    mark.write_text(f"{os.getpid()}\n")
    yield folder
    mark.write_text("\n")


def _is_alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stay(space: Space, found: Found) -> None:
    """Say what to try, and wait for Ctrl-C.

    Raises: ConfigurationError when a node ends by itself.
    """
    from connector.cli.nodes import LOG_FILE, ended

    kontor = (
        shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "kontor" else f"{shlex.quote(sys.executable)} -m connector.cli"
    )
    consumer, provider = (
        f"--config {shlex.quote(os.path.relpath(p.folder / CONFIG_FILE))}" for p in (space.consumer, space.provider)
    )
    authority = f"--config {shlex.quote(os.path.relpath(space.authority.folder / CONFIG_FILE))}"
    peer = f"--peer {shlex.quote(space.provider.id)}"
    commands = (
        ("what the provider offers", f"catalog {found.address} {peer} {consumer}"),
        (
            "get it again, under the agreement there is",
            f"get {found.address} {found.dataset.id} {peer} --purpose research -o again.csv {consumer}",
        ),
        ("the negotiations as the provider saw them", f"negotiations {provider}"),
        ("the agreements of the consumer", f"agreements {consumer}"),
        ("the members, as the authority sees them", f"authority participants {authority}"),
        ("every setting, explained", "config explain"),
    )
    print("\nThe nodes go on running; in another terminal, in this folder, try:\n")
    for what, words in commands:
        print(f"  # {what}\n  {kontor} {words}")
    print(
        f"\nLogs: {FOLDER}/*/{LOG_FILE}. Ctrl-C stops everything; the files stay until the next `kontor demo --keep`.",
        flush=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        while (gone := ended(space.nodes)) is None:
            time.sleep(0.2)
        raise ConfigurationError("a node has ended by itself", where=str(gone.folder / LOG_FILE), mend="see the end of its log")


def _stopped(number: int, frame: object) -> NoReturn:
    # SIGTERM ends us as Ctrl-C does: the nodes are stopped on the way out
    raise KeyboardInterrupt
