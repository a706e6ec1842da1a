"""The settings of the process and its surroundings: listeners, store, way out, delivery, the built-in data plane."""

from __future__ import annotations

import pathlib
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connector.settings.fields import File, Secret, Section


class Listener(Section):
    """An address that the node listens on."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all of the machine.")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    tls_certificate: File | None = Field(None, description="PEM chain; set it where no reverse proxy ends TLS.")
    tls_key: File | None = Field(None, description="PEM private key of `tls_certificate`.")
    max_body_bytes: int = Field(
        1 << 20, ge=1024, description="Largest protocol message or API body; raise it for huge policies."
    )
    connections: int = Field(
        4096,
        ge=1,
        description="Connections at once; requests on more are answered 503. The system must allow as many open files.",
    )
    requests_at_once: int = Field(
        2048, ge=1, description="Requests that wait for the beginning of their answer; more are answered 503."
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


class Node(Section):
    """The process itself."""

    id: Secret = Field(
        "node-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description='Id among the nodes that share a store; differs per replica, such as `{ env = "HOSTNAME" }`.',
    )
    roles: tuple[Literal["connector", "authority", "catalog", "dataplane"], ...] = Field(
        ("connector",), description="What this process plays, one or several."
    )
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
        return _base_address(value)


def _base_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an absolute http(s) address, such as `https://data.example.org`")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("no query, fragment or user in the address")
    return value.rstrip("/")


class StoreSettings(Section):
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


class Outbound(Section):
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


class Delivery(Section):
    """How often and how long a message is tried."""

    attempts: int = Field(
        12,
        ge=1,
        le=100,
        description="Tries before a message is given up; the pauses between 12 of them add up to seven minutes.",
    )
    first_delay_s: float = Field(0.2, gt=0, description="Pause after the first failed try; it doubles each time.")
    max_delay_s: float = Field(300, gt=0, description="Longest pause between two tries.")
    parallel: int = Field(64, ge=1, description="Messages under way at once.")
    parallel_per_peer: int = Field(16, ge=1, description="Messages under way at once to one peer.")


class DataListener(Listener):
    """Where data workers listen."""

    port: int = Field(
        8082, ge=0, le=65535, description="Port of the data workers, reached directly or through the reverse proxy."
    )


class Data(Section):
    """The built-in data plane."""

    workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes of their own that serve and receive data of the role `connector`, or of `dataplane` where that is all; one"
        " for each processor that streams may take, 0 for none.",
    )
    listener: DataListener = Field(
        DataListener(), description="Where the workers listen; their addresses are announced to peers."
    )
    public_url: str | None = Field(
        None,
        description="Address under which peers reach the workers, such as `https://data.example.org:8443`; `workers` needs it.",
    )
    pull_token_ttl_s: int = Field(
        3600, ge=10, description="How long the token of a pull is good; each request is judged anew anyway."
    )
    max_push_bytes: int = Field(1 << 40, ge=1, description="Largest data set that a push may deliver here.")
    max_request_bytes: int = Field(
        16 << 20, ge=0, description="Largest body that a consumer may POST to an upstream; raise it for large questions."
    )
    allowed_object_endpoints: tuple[str, ...] = Field(
        (),
        description="Object stores that peers may name, such as `https://s3.example.org` or `https://*.example.org`; none by default.",
    )
    allowed_event_endpoints: tuple[str, ...] = Field(
        (), description="Event servers (NATS) that peers may name, such as `tls://nats.example.org:4222`; none by default."
    )
    push_attempts: int = Field(
        12,
        ge=1,
        description="Tries to deliver a push, none of which moved anything, before the transfer is given up; the pauses between 12 of"
        " them add up to a quarter of an hour.",
    )
    push_first_delay_s: float = Field(0.5, gt=0, description="Pause after the first broken push; it doubles each time.")

    @field_validator("public_url")
    @classmethod
    def _is_base_address(cls, value: str | None) -> str | None:
        return _base_address(value) if value is not None else None

    @model_validator(mode="after")
    def _workers_are_reached(self) -> Data:
        if self.workers and self.public_url is None:
            raise ValueError("`workers` listen at an address of their own: set `public_url`, and `listener` where they listen")
        return self
