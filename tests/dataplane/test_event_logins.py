"""Real NATS servers that want TLS, NKeys, JWTs, tokens or certificates: who proves itself gets in, everybody else hears why not."""

from __future__ import annotations

import asyncio
import base64
import json
import pathlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.dataplane.events import check
from connector.dataplane.jetstream import Door, connected
from connector.dataplane.logins import Logins
from connector.dataplane.nkeys import encoded, seed_of
from connector.errors import ConfigurationError, KontorError, PeerMessage, SourceError
from connector.outbound.client import OutboundClient
from connector.outbound.rules import OutboundRules
from connector.outbound.tls import Tls
from connector.ports.dataplane import EventPlace, Source
from connector.testing.clock import MovedClock
from tests.servers.nats import configured

OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
SUBJECT = "weather.oslo"


@dataclass(frozen=True)
class Key:
    """A key of NATS, of whatever kind."""

    prefix: int
    raw: bytes

    @classmethod
    def new(cls, prefix: int) -> Key:
        return cls(prefix, secrets.token_bytes(32))

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.raw)

    @property
    def public(self) -> str:
        return encoded(bytes([self.prefix]) + self._private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        return encoded(bytes([18 << 3 | self.prefix >> 5, (self.prefix & 31) << 3]) + self.raw)

    def jwt(self, subject: Key, nats: dict[str, Any], **claims: Any) -> str:
        """What this key says of `subject`. Source: ADR-14."""
        now = int(datetime.now(UTC).timestamp())
        body = {"jti": secrets.token_hex(8), "iat": now, "iss": self.public, "sub": subject.public, "name": "n", **claims}
        body["nats"] = {**nats, "version": 2}
        signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
        return f"{signed}.{base64.urlsafe_b64encode(self._private.sign(signed.encode())).decode().rstrip('=')}"


def _part(tree: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Trust:
    """An authority, and files that it has signed."""

    authority: trustme.CA
    folder: pathlib.Path

    @property
    def file(self) -> pathlib.Path:
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        return self.folder / "ca.pem"

    def settings(self, more: str = "") -> str:
        """The section `tls` of a server that is `localhost`."""
        certificate = self.authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        return f'tls {{ cert_file: "{self.folder}/cert.pem", key_file: "{self.folder}/key.pem", ca_file: "{self.file}"\n{more} }}\n'

    def client(self, name: str) -> str:
        """A certificate for `name` with its key, PEM."""
        certificate = self.authority.issue_cert(name, common_name=name)
        pem: bytes = certificate.private_key_and_cert_chain_pem.bytes()
        return pem.decode()


@pytest.fixture
def trust(tmp_path: pathlib.Path) -> Trust:
    return Trust(trustme.CA(), tmp_path)


def logins(ca_file: pathlib.Path | None = None) -> Logins:
    upstreams = OutboundClient(OutboundRules(allow_http=True, allow_loopback=True), Tls(ca_file=ca_file))
    return Logins(upstreams, MovedClock(datetime(2026, 3, 1, tzinfo=UTC)))


def source(url: str, secret: str | None) -> Source:
    return Source(type="nats", events=EventPlace(url=url, stream="weather", credentials=secret), name="weather")


async def read(url: str, secret: str | None, ca_file: pathlib.Path | None = None) -> bytes:
    """What comes of a message that is published and read with one login."""
    door = Door(url=url, credentials=secret, tls=logins(ca_file).tls_context_for)
    place = source(url, secret).events
    assert place is not None
    async with connected(door) as link:
        await link.stream.add_stream(name="weather", subjects=["weather.>"])
        await link.publish(SUBJECT, b"rain", {})
        async with link.reading(place, "reader") as reader:
            return (await reader.batch(5))[0].data


async def refused(url: str, secret: str | None, ca_file: pathlib.Path | None = None) -> KontorError:
    """Why a source is not published."""
    with pytest.raises((SourceError, ConfigurationError)) as caught:
        await check(source(url, secret), logins(ca_file))
    assert caught.value.where == url
    assert secret is None or secret.strip() not in str(caught.value)
    return caught.value


async def test_over_tls_by_password_and_by_nkey(nats: str, trust: Trust) -> None:
    key, other, password = Key.new(USER), Key.new(USER), secrets.token_hex(16)
    users = f'authorization {{ users: [ {{ user: kontor, password: "{password}" }}, {{ nkey: {key.public} }} ] }}\n'
    with configured(trust.settings() + users) as port:
        url = f"tls://localhost:{port}"
        assert await read(url, f"kontor:{password}", trust.file) == b"rain"
        assert await read(url, key.seed, trust.file) == b"rain"
        # the server wants TLS, whatever its address promises
        await check(source(f"nats://localhost:{port}", key.seed), logins(trust.file))

        for secret in ("kontor:wrong", "a-token", other.seed, None):
            fault = await refused(url, secret, trust.file)
            assert "refuses us" in fault.what
            assert fault.mend == "check stream, subject and secret of this asset's source"
        assert "damaged" in (await refused(url, f"{key.seed[:-1]}{'A' if key.seed[-1] != 'A' else 'B'}", trust.file)).what
        # nobody whom we know has signed for it, or for another name
        fault = await refused(url, key.seed)
        assert "CERTIFICATE_VERIFY_FAILED" in fault.what
        assert fault.mend == "see `outbound.ca_file`"
        assert "IP address mismatch" in (await refused(f"tls://127.0.0.1:{port}", key.seed, trust.file)).what


async def test_by_what_an_operator_has_signed(nats: str) -> None:
    operator, account, system, user = Key.new(OPERATOR), Key.new(ACCOUNT), Key.new(ACCOUNT), Key.new(USER)
    unbounded = dict.fromkeys(
        ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams", "consumer"),
        -1,
    )
    about = {"type": "account", "limits": {**unbounded, "wildcards": True}, "default_permissions": {"pub": {}, "sub": {}}}
    of_system = {"type": "account", "limits": {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1}}
    settings = (
        f"operator: {operator.jwt(operator, {'type': 'operator'})}\nsystem_account: {system.public}\nresolver: MEMORY\n"
        f"resolver_preload {{ {account.public}: {operator.jwt(account, about)}\n"
        f"{system.public}: {operator.jwt(system, of_system)} }}\n"
    )

    def credentials(signer: Key, seed: str, **claims: Any) -> str:
        allowed = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
        return (
            f"-----BEGIN NATS USER JWT-----\n{signer.jwt(user, allowed, **claims)}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )

    with configured(settings) as port:
        url = f"nats://127.0.0.1:{port}"
        assert await read(url, credentials(account, user.seed)) == b"rain"
        for wrong in (
            credentials(Key.new(ACCOUNT), user.seed),
            credentials(account, Key.new(USER).seed),
            credentials(account, user.seed, exp=int(datetime.now(UTC).timestamp()) - 60),
            user.seed,
            "kontor:password",
        ):
            assert "refuses us" in (await refused(url, wrong)).what
        assert "begin with `SU`" in (await refused(url, account.seed)).what


async def test_by_a_token(nats: str) -> None:
    with configured('authorization { token: "of-the-server" }\n') as port:
        url = f"nats://127.0.0.1:{port}"
        assert await read(url, "of-the-server") == b"rain"
        assert "refuses us" in (await refused(url, "of-another")).what


async def test_by_a_certificate(nats: str, trust: Trust) -> None:
    mapped = 'authorization { users: [ { user: "kontor" } ] }\n'
    with configured(trust.settings("verify_and_map: true") + mapped) as port:
        url = f"tls://localhost:{port}"
        assert await read(url, trust.client("kontor"), trust.file) == b"rain"
        await refused(url, trust.client("mallory"), trust.file)
        await refused(url, Trust(trustme.CA(), trust.folder).client("kontor"), trust.file)
        await refused(url, None, trust.file)


@pytest.mark.parametrize("is_peers", [False, True])
@pytest.mark.parametrize(
    "secret", ["kontor:s3cret", "s3cret", Key.new(USER).seed, None], ids=["password", "token", "nkey", "none"]
)
async def test_a_server_that_leaves_out_the_tls_of_its_address_hears_nothing_of_us(secret: str | None, is_peers: bool) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {
            "server_id": "x",
            "version": "2.10.0",
            "max_payload": 1024,
            "headers": True,
            "auth_required": True,
            "nonce": "n",
        }
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"PONG\r\n" if line.startswith(b"PING") else b"")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        door = Door(url=url, credentials=secret, tls=logins().tls_context_for, is_peers=is_peers)
        with pytest.raises(PeerMessage if is_peers else SourceError, match="speaks no TLS"):
            async with connected(door):
                pass
    said = b"".join(heard)
    assert b"s3cret" not in said
    assert b'"sig"' not in said


async def test_a_seed_of_a_peer_that_is_none_is_the_peers_fault() -> None:
    door = Door(url="nats://127.0.0.1:1", credentials="S" + "A" * 57, tls=logins().tls_context_for, is_peers=True)
    with pytest.raises(PeerMessage, match="damaged"):
        async with connected(door):
            pass


def test_the_seed_of_a_test_is_read_as_the_key_that_it_is() -> None:
    key = Key.new(USER)
    assert seed_of(key.seed, "here").public == key.public
