"""`kontor init`: a folder with a configuration, an API key and the key that seals secrets.

What lives here: the text of a new `kontor.toml` and the files beside it. Nothing is ever overwritten.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from connector.cli.access import KEY_FILE
from connector.cli.command import command
from connector.cli.output import Output
from connector.errors import ConfigurationError

CONFIG_FILE = "kontor.toml"
SECRETS_KEY = Path("data", "secrets.key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another connector that proves itself by a fixed text."""

    id: str
    theirs: str
    ours: str
    claims: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """A data space that a node is the authority of."""

    space: str | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """What a new configuration says."""

    name: str
    """Local name of the participant, as in addresses; empty for a node without one."""
    id: str
    title: str
    public_url: str
    port: int
    operator_port: int
    is_local: bool = False
    """Plain http and loopback are allowed: everything runs on one machine."""
    peers: tuple[Peer, ...] = ()
    governs: Governed | None = None
    """The data space whose authority the node is; None for a connector."""


def register(app: typer.Typer) -> None:
    """Add `init` to the commands."""
    command(app, "init", init, example="kontor init acme --public-url https://data.acme.example")


def init(
    out: Output,
    name: Annotated[str, typer.Argument(help="Local name of the participant: lower-case letters, digits, `-`.")],
    public_url: Annotated[str | None, typer.Option(help="Address under which peers reach the node; its https address.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Participant id in agreements; a did:web of the address if left out.")
    ] = None,
    title: Annotated[str, typer.Option(help="Name for people.")] = "",
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
    port: Annotated[int, typer.Option(help="Port that peers reach.")] = 8080,
    operator_port: Annotated[int, typer.Option(help="Port of the operator API, on this machine alone.")] = 8081,
    unsafe_local: Annotated[
        bool, typer.Option("--unsafe-local", help="Allow plain http and loopback: for trying it on one machine.")
    ] = False,
) -> None:
    """Write the configuration and the keys of a new participant. Existing files stay as they are."""
    if public_url is None:
        if not unsafe_local:
            raise typer.BadParameter(
                "the address that peers reach; or `--unsafe-local` to try it here", param_hint="--public-url"
            )
        # a did:web has the name of a host in it, never an IP address
        public_url = f"http://{'127.0.0.1' if id else 'localhost'}:{port}"
    wanted = NewNode(
        name=name, id=id or did_web(public_url, name), title=title, public_url=public_url.rstrip("/"),
        port=port, operator_port=operator_port, is_local=unsafe_local,
    )  # fmt: skip
    write(folder, wanted)
    config = folder / CONFIG_FILE
    tree = {"config": str(config), "api_key_file": str(folder / KEY_FILE), "participant": {"name": name, "id": wanted.id}}
    out.lines(
        tree,
        f"participant  {name} ({wanted.id})",
        f"settings     {config}",
        f"API key      {folder / KEY_FILE} (keep it; the settings hold its digest alone)",
        f"secrets key  {folder / SECRETS_KEY} (back it up; without it stored secrets are lost)",
        f"next         kontor serve --config {config}",
    )


def write(folder: Path, wanted: NewNode) -> str:
    """Write configuration and keys into `folder`; the API key.

    Raises: ConfigurationError when one of the files is there already, or the settings would not be good ones.
    """
    from connector.settings import read

    config, key_file, secrets_key = folder / CONFIG_FILE, folder / KEY_FILE, folder / SECRETS_KEY
    for path in (config, key_file, secrets_key):
        if path.exists():
            raise ConfigurationError(
                "there is such a file already", where=str(path), mend="name another folder with `--folder`"
            )
    key = secrets.token_urlsafe(32)
    secrets_key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    config.write_text(settings_text(wanted, hashlib.sha256(key.encode()).hexdigest()), encoding="utf-8")
    try:
        read(config)
    except ConfigurationError:
        config.unlink()
        raise
    _write_private(key_file, key)
    _write_private(secrets_key, base64.b64encode(secrets.token_bytes(32)).decode())
    return key


def did_web(public_url: str, name: str) -> str:
    """The did:web that `public_url` can serve for a participant.

    Source: did:web method specification, "Create": a port's colon is written `%3A`.
    """
    parts = urlsplit(public_url)
    path = "".join(f":{part}" for part in parts.path.split("/") if part)
    return f"did:web:{parts.netloc.replace(':', '%3A')}{path}:{name}"


def settings_text(wanted: NewNode, key_sha256: str) -> str:
    """A commented `kontor.toml`."""
    local = (
        "unsafe_allow_http = true        # this node was made for one machine:\n"
        "unsafe_allow_loopback = true    # take both lines out before peers elsewhere join\n"
        if wanted.is_local
        else "# unsafe_allow_private = true     # for data spaces inside one private network\n"
    )
    roles = 'roles = ["authority"]    # it governs a data space\n' if wanted.governs else ""
    return f"""\
# A Kontor node. `kontor config explain` tells every setting with its default; `kontor config check` reads this file.
# Relative paths are relative to this file.

[node]
public_url = {_quoted(wanted.public_url)}    # what peers reach, directly or through your reverse proxy
data_dir = "data"    # the store, received data and the key that seals secrets: back it up
{roles}
[public]
port = {wanted.port}
# host = "0.0.0.0"    # where peers reach this machine without a reverse proxy on it
# tls_certificate = "server.pem"    # where no reverse proxy ends TLS
# tls_key = "server.key"

[operator]
port = {wanted.operator_port}    # on this machine alone
# the key itself stands in `{KEY_FILE}`; further people and programs get keys of their own (`kontor keys create`)
api_keys = [{{ name = "operator", role = "admin", sha256 = "{key_sha256}" }}]

[outbound]
{local}
{_governed_text(wanted.governs) if wanted.governs else _connector_text(wanted)}"""


def _governed_text(governs: Governed) -> str:
    space = f"space = {_quoted(governs.space)}" if governs.space else '# space = "urn:space:example"'
    return f"""\
[authority]
{space}    # the space's id; the authority's own DID if left out
title = {_quoted(governs.title)}
# approval = "automatic"    # take in whoever controls its DID
# plain_status_lists = true    # for spaces with connectors of the Eclipse family

# What is issued; without any block a MembershipCredential. The first is membership.
# [[authority.credentials]]
# type = "MembershipCredential"
# claims = {{ memberOf = "urn:space:example" }}
# schema_file = "membership.schema.json"
"""


def _connector_text(wanted: NewNode) -> str:
    return f"""\
{participant_text(wanted.name, wanted.id, wanted.title)}# approval = "manual"    # every request waits for `kontor approve`

# Peers that prove themselves by a fixed text, for closed networks and development: one such block for each.
# [[participants.{_key(wanted.name)}.unsafe_static_tokens]]
# id = "did:web:peer.example"
# theirs = {{ env = "PEER_TOKEN" }}    # the whole `Authorization` value that its requests carry
# ours = {{ env = "OUR_TOKEN" }}       # the one that our requests to it carry
# claims = {{ membership = "active" }}
{"".join(_peer_text(wanted.name, peer) for peer in wanted.peers)}"""


def participant_text(name: str, id_: str, title: str, peers: tuple[Peer, ...] = ()) -> str:
    """The table of one participant in a `kontor.toml`."""
    own = f"[participants.{_key(name)}]\nid = {_quoted(id_)}    # who you are in agreements\ntitle = {_quoted(title)}\n"
    return own + "".join(_peer_text(name, peer) for peer in peers)


def _peer_text(name: str, peer: Peer) -> str:
    claims = ", ".join(f"{key} = {_quoted(value)}" for key, value in peer.claims.items())
    return f"""
[[participants.{_key(name)}.unsafe_static_tokens]]
id = {_quoted(peer.id)}
theirs = {_quoted(peer.theirs)}
ours = {_quoted(peer.ours)}
claims = {{ {claims} }}
"""


def _quoted(text: Any) -> str:
    # a JSON string without raw control characters is a TOML basic string
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _quoted(name)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text + "\n", encoding="utf-8")
