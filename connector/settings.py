"""Every setting of a node: one TOML file, typed, with a default that is safe and a line that says when to change it.

What lives here: the models, reading the file, and errors that name file, line, setting and mend. Secrets may be written as
`{ env = "NAME" }` or `{ file = "PATH" }`; nothing else in the product reads the environment.
"""

from __future__ import annotations

import os
import pathlib
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from connector.errors import ConfigurationError

_RESERVED = frozenset({"api", "health", "metrics", "authority", "catalog"})
_MOST_WAIT_S = 10 * 365 * 86_400
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def _secret(value: object, info: ValidationInfo) -> object:
    """A text as it stands, or what the environment variable or file that it names holds."""
    if not isinstance(value, Mapping):
        return value
    match dict(value):
        case {"env": str(name)} if len(value) == 1:
            if name not in os.environ:
                raise ValueError(f"the environment variable `{name}` is not set")
            return os.environ[name]
        case {"file": str(path)} if len(value) == 1:
            try:
                return (_folder(info) / path).read_text().strip()
            except OSError as fault:
                raise ValueError(f"`{path}` cannot be read: {fault.strerror}") from fault
    raise ValueError('a secret is a text, `{ env = "NAME" }` or `{ file = "PATH" }`')


def _folder(info: ValidationInfo) -> pathlib.Path:
    return pathlib.Path((info.context or {}).get("folder", "."))


def _beside(path: pathlib.Path, info: ValidationInfo) -> pathlib.Path:
    """`path`, relative to the folder of the file that names it."""
    return (_folder(info) / path).absolute()


File = Annotated[pathlib.Path, AfterValidator(_beside)]
Secret = Annotated[str, BeforeValidator(_secret)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listener(_Section):
    """An address that the node listens on."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all of the machine.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: File | None = Field(None, description="PEM chain; set it where no reverse proxy ends TLS.")
    tls_key: File | None = Field(None, description="PEM private key of `tls_certificate`.")
    max_body_bytes: int = Field(
        1 << 20, ge=1024, description="Largest protocol message or API body; raise it for huge policies."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses of reverse proxies whose forwarded headers are believed; empty believes none."
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Listener:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("`tls_certificate` and `tls_key` go together; set both or none")
        return self


class Public(Listener):
    """What peers reach."""

    port: int = Field(8080, ge=0, le=65535, description="Port that peers reach, directly or through the reverse proxy.")


class ApiKey(_Section):
    """Someone who may use the operator API."""

    name: str = Field(description="Who holds the key; it stands in the log.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the key, hexadecimal; `kontor init` prints the key once."
    )
    participants: tuple[str, ...] = Field(("*",), description="Contexts the key is good for; `*` is all.")


class Operator(Listener):
    """What operators and their programs reach."""

    port: int = Field(8081, ge=0, le=65535, description="Port of the operator API; keep it off the internet.")
    api_keys: tuple[ApiKey, ...] = Field((), description="Keys of the operator API; without one nobody gets in.")


class Node(_Section):
    """The process itself."""

    id: str = Field(
        "node-1", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Id among the nodes that share a store; differs per replica."
    )
    roles: tuple[Literal["connector"], ...] = Field(("connector",), description="What this process plays.")
    public_url: str = Field(description="Address under which peers reach this node, such as `https://data.example.org`.")
    data_dir: pathlib.Path = Field(
        pathlib.Path("data"), description="Folder for the store, received data and keys; back it up."
    )
    log_format: Literal["auto", "text", "json"] = Field("auto", description="`auto`: text on a terminal, JSON elsewhere.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug` shows more while hunting a fault."
    )

    @field_validator("public_url")
    @classmethod
    def _is_base_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an absolute http(s) address, such as `https://data.example.org`")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("no query, fragment or user in the address")
        return value.rstrip("/")


class StoreSettings(_Section):
    """Where state is kept."""

    url: Secret = Field(
        "sqlite:///kontor.db",
        repr=False,
        description="`sqlite:///PATH` (relative to `data_dir`), `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` for replicas, or"
        " `memory:` (lost at exit).",
    )
    connections: int = Field(
        16, ge=1, le=1000, description="PostgreSQL connections that a node works on at once; more for many processors there."
    )
    lease_s: float = Field(30, gt=0, description="How long a node owns what it took from the outbox; longer on slow networks.")


class Outbound(_Section):
    """How other machines are reached."""

    connect_timeout_s: float = Field(5, gt=0, description="Longest wait for a connection.")
    read_timeout_s: float = Field(10, gt=0, description="Longest silence in an answer.")
    total_timeout_s: float = Field(
        30, gt=0, description="Longest time for a whole protocol message; data streams have no such end."
    )
    max_answer_bytes: int = Field(
        16 << 20, ge=1024, description="Largest answer to a protocol message; raise it for huge catalogues."
    )
    allowed_ports: tuple[int, ...] = Field((), description="Ports of peers that may be reached; empty allows all.")
    ca_file: File | None = Field(None, description="PEM bundle of further certificate authorities, for closed networks.")
    client_certificate: File | None = Field(None, description="PEM chain shown to peers that ask for one (mTLS).")
    client_key: File | None = Field(None, description="PEM private key of `client_certificate`.")
    unsafe_allow_http: bool = Field(False, description="Reach peers over plain http; for development on one machine.")
    unsafe_allow_loopback: bool = Field(False, description="Reach peers on this machine; for development.")
    unsafe_allow_private: bool = Field(False, description="Reach peers on private networks, for spaces inside one network.")


class Delivery(_Section):
    """How often and how long a message is tried."""

    attempts: int = Field(8, ge=1, le=100, description="Tries before a message is given up.")
    first_delay_s: float = Field(0.2, gt=0, description="Pause after the first failed try; it doubles each time.")
    max_delay_s: float = Field(300, gt=0, description="Longest pause between two tries.")
    parallel: int = Field(64, ge=1, description="Messages under way at once.")
    parallel_per_peer: int = Field(16, ge=1, description="Messages under way at once to one peer.")


class Data(_Section):
    """The built-in data plane."""

    pull_token_ttl_s: int = Field(
        3600, ge=10, description="How long the token of a pull is good; each request is judged anew anyway."
    )
    max_push_bytes: int = Field(1 << 40, ge=1, description="Largest data set that a push may deliver here.")
    allowed_object_endpoints: tuple[str, ...] = Field(
        (),
        description="Object stores that peers may name, such as `https://s3.example.org` or `https://*.example.org`; none by default.",
    )
    push_attempts: int = Field(8, ge=1, description="Tries to deliver a push before the transfer is given up.")
    push_first_delay_s: float = Field(0.5, gt=0, description="Pause after the first broken push; it doubles each time.")


class Rule(_Section):
    """One automation rule: in this state, do that. The policy gate decides whether it may."""

    kind: Literal["negotiation", "transfer"] = Field("negotiation", description="Which process it is for.")
    on: Literal[
        "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"
    ] = Field(description="The state that was entered.")
    do: Literal[
        "offer", "agree", "accept", "counter", "verify", "finalize", "terminate", "start", "suspend", "complete", "hold"
    ] = Field(description="The act, or `hold`: wait for a human or the peer.")
    role: Literal["provider", "consumer"] | None = Field(None, description="Our role in the process; none fits both.")
    party: str | None = Field(None, description="The peer's participant id.")
    dataset: str | None = Field(None, description="Dataset id.")
    agreement: str | None = Field(None, description="Agreement id (transfers).")
    format: str | None = Field(None, description="Transfer format (transfers).")
    nth: int | None = Field(None, ge=1, description="The n-th time that the state is entered; none fits every time.")
    delay_s: float = Field(0, ge=0, le=_MOST_WAIT_S, description="How long to wait before the act; kept across restarts.")
    reason: str = Field("", description="Told to the peer with a termination or suspension, and shown in the timeline.")


def _participant_id(value: str) -> str:
    if 0 < len(value) <= 512 and not re.search(r"[\x00-\x20\x7f]", value):
        return value
    raise ValueError("an id has 1 to 512 characters and no blanks, such as `did:web:data.example.org`")


_Id = Annotated[str, AfterValidator(_participant_id)]


class StaticPeer(_Section):
    """A peer known by a fixed token, for closed networks and development."""

    id: _Id = Field(description="The peer's participant id.")
    theirs: Secret | None = Field(None, repr=False, description="Whole `Authorization` value that its requests carry.")
    ours: Secret | None = Field(None, repr=False, description="Whole `Authorization` value that our requests to it carry.")
    claims: dict[str, Any] = Field(default_factory=dict, description="What is attested about it, for policies: name and value.")


class Participant(_Section):
    """One participant context served by this node."""

    id: _Id = Field(description="Participant id as in agreements: a DID or another URI.")
    title: str = Field("", description="Name for people.")
    unsafe_static_tokens: tuple[StaticPeer, ...] = Field(
        (), description="Peers that are proven by a shared text alone; for closed networks and development."
    )
    rules: tuple[Rule, ...] = Field((), description="Automation rules of this participant; none is needed for the usual flow.")
    disclosure: Literal["code", "operands", "full"] = Field(
        "full", description="How much of a refusal's reasons a peer is told; its own log and timeline always say all."
    )
    page_size: int = Field(1000, ge=1, le=100_000, description="Datasets on one page of the catalogue.")
    approval: Literal["auto", "manual"] = Field("auto", description="`manual` holds every request for a human.")
    longest_wait_s: float = Field(
        30 * 86_400,
        gt=0,
        le=_MOST_WAIT_S,
        description="How long a negotiation, or a transfer that was asked for, may stand still before it is terminated and the"
        " peer told; longer where people decide slowly.",
    )


class Settings(_Section):
    """A node's whole configuration."""

    node: Node
    public: Public = Public()
    operator: Operator = Operator()
    store: StoreSettings = StoreSettings()
    outbound: Outbound = Outbound()
    delivery: Delivery = Delivery()
    data: Data = Data()
    participants: dict[str, Participant] = Field(default_factory=dict, description="Contexts by local name, as in addresses.")
    secrets_key: Secret | None = Field(
        None,
        repr=False,
        description="Key that seals stored secrets (32 bytes, base64); `kontor init` writes one to `data_dir/secrets.key`.",
    )
    plugins: tuple[str, ...] = Field((), description="Entry points that may be loaded; being installed is not consent.")

    @field_validator("participants")
    @classmethod
    def _local_names(cls, value: dict[str, Participant]) -> dict[str, Participant]:
        for name in value:
            if fault := Settings.local_name_fault(name):
                raise ValueError(fault)
        return value

    @staticmethod
    def local_name_fault(name: str) -> str | None:
        """Why `name` cannot be a participant's local name; None when it can."""
        if _NAME.fullmatch(name) and name not in _RESERVED:
            return None
        reserved = ", ".join(sorted(_RESERVED))
        return f"`{name}` is no local name: lower-case letters, digits, `.`, `_`, `-`, at most 64, and none of {reserved}"

    def unsafe(self) -> tuple[str, ...]:
        """The settings in force that weaken a check: each start warns about them."""
        found = [
            f"outbound.{n}" for n in type(self.outbound).model_fields if n.startswith("unsafe_") and getattr(self.outbound, n)
        ]
        found += [f"participants.{n}.unsafe_static_tokens" for n, p in self.participants.items() if p.unsafe_static_tokens]
        return tuple(found)


def read(path: pathlib.Path) -> Settings:
    """The settings in the TOML file `path`; relative paths in it are relative to its folder.

    Raises: ConfigurationError with file, line, setting and mend; every fault of the file in one message.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as fault:
        raise ConfigurationError(
            "there is no configuration file", where=str(path), mend="make one with `kontor init`, or name it with `--config`"
        ) from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"the configuration cannot be read: {fault}", where=str(path)) from fault
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigurationError(
            f"this is no TOML: {fault}", where=str(path), mend="see https://toml.io for the format"
        ) from fault
    try:
        settings = Settings.model_validate(tree, context={"folder": path.parent})
    except ValidationError as fault:
        lines = [_fault(text, error["loc"], error["msg"], error["type"]) for error in fault.errors()]
        raise ConfigurationError(
            "; ".join(lines), where=str(path), mend="`kontor config explain` lists every setting"
        ) from fault
    return settings.model_copy(update={"node": _absolute(settings.node, path.parent)})


def located(fault: ConfigurationError, path: pathlib.Path) -> ConfigurationError:
    """The fault with file and line of the setting that its `where` names; as it is when that is no setting."""
    names = fault.where.partition(",")[0].split(".")
    if names[0] not in Settings.model_fields:
        return fault
    try:
        line = line_of(path.read_text(encoding="utf-8"), tuple(names))
    except OSError:
        line = None
    place = f"{path}: line {line}" if line else str(path)
    return type(fault)(fault.what, where=f"{place}: {fault.where}", mend=fault.mend)


def _absolute(node: Node, folder: pathlib.Path) -> Node:
    return node.model_copy(update={"data_dir": (folder / node.data_dir).resolve()})


def _fault(text: str, location: tuple[int | str, ...], message: str, kind: str) -> str:
    """One fault of the file: line, setting, what is wrong."""
    setting = ".".join(str(part) for part in location)
    line = line_of(text, location)
    said = "unknown setting" if kind == "extra_forbidden" else message.removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    return f"line {line}: `{setting}`: {said}" if line else f"`{setting}`: {said}"


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The line on which the setting at `location` stands, or that of the nearest table around it; None when neither is there."""
    names = [str(part) for part in location if not isinstance(part, int)]
    table: list[str] = []
    best: int | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if header := re.match(r"\[\[?\s*([^\]]+?)\s*\]\]?", stripped):
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            if names[: len(table)] == table:
                best = number
        elif assignment := re.match(r"([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            here = table + [part.strip("\"'") for part in assignment[1].split(".")]
            if names[: len(here)] == here:
                best = number
                if here == names:
                    return number
    return best
