"""What proves us to a NATS server: user and password, a token, the seed of an NKey, a credentials file, a certificate.

What lives here: reading the text of a secret, and signing what a server asks to be signed. What does not: connections (`jetstream.py`).
Pure. The library would need a package of its own for the signature; Ed25519 is at hand, and the rest is the coding of a seed: Base32
without padding of two bytes that carry the prefixes, 32 bytes, and a checksum.
Source: NATS, "NKeys" and "Decentralized JWT Authentication"; nkeys (strkey.go, crc16.go: CRC-16/XMODEM, lowest byte first); ADR-14 for
the JWT of a user.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SHAPES: Final = "`USER:PASSWORD`, a token, the seed of a user's NKey, a credentials file, or a certificate with its key (PEM)"
_SEED: Final = 18 << 3
_USER: Final = 20 << 3
"""The prefixes: they make an encoded seed begin with `S` and an encoded user with `U`."""
_SEED_SHAPED: Final = re.compile(r"S[A-Z2-7]{57}")
_CREDENTIALS: Final = re.compile(
    r"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+.*-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+",
    re.DOTALL,
)
_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]*(?:CERTIFICATE|PRIVATE KEY))-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Nkey:
    """A user's key."""

    seed: bytes = field(repr=False)
    """32 bytes."""

    def sign(self, nonce: str) -> bytes:
        """The signature of what a server has sent, in Base64."""
        return base64.b64encode(self._key().sign(nonce.encode()))

    @property
    def public(self) -> str:
        """The user that the key is, as a server's configuration names it: `U...`."""
        return encoded(bytes([_USER]) + self._key().public_key().public_bytes_raw())

    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a secret holds; nothing set: a server that lets everybody in."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: Nkey | None = None
    jwt: str | None = field(default=None, repr=False)
    """What an operator of NATS has signed for the user of `nkey`."""
    certificate: str | None = field(default=None, repr=False)
    """Our chain and its key, PEM, shown during the handshake of TLS."""


def login_of(secret: str | None, where: str) -> Login:
    """What `secret` holds, told by its shape; a certificate may stand before any of the others.

    Raises: ConfigurationError when it looks like a seed, a credentials file or a certificate, and is none; `where` names it.
    """
    text = secret or ""
    pem = "\n".join(block.group() for block in _PEM.finditer(text))
    rest = _PEM.sub("", text).strip()
    if pem and ("CERTIFICATE-----" not in pem or "PRIVATE KEY-----" not in pem):
        raise _broken("a certificate without its key, or a key without its certificate", where)
    login = Login(certificate=f"{pem}\n" if pem else None)
    if "NATS USER JWT" in rest or "USER NKEY SEED" in rest:
        found = _CREDENTIALS.search(rest)
        if found is None:
            raise _broken("a credentials file that is not whole", where)
        return Login(certificate=login.certificate, jwt=found.group(1), nkey=seed_of(found.group(2), where))
    if _SEED_SHAPED.fullmatch(rest):
        return Login(certificate=login.certificate, nkey=seed_of(rest, where))
    if "-----" in rest or "\n" in rest:
        raise _broken("nothing that is known", where)
    user, colon, password = rest.partition(":")
    if colon:
        return Login(certificate=login.certificate, user=user, password=password)
    return Login(certificate=login.certificate, token=rest or None)


def seed_of(text: str, where: str) -> Nkey:
    """The key whose seed is `text`.

    Raises: ConfigurationError when it is damaged, or the seed of an account or operator.
    """
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 36 or _crc16(raw[:-2]) != int.from_bytes(raw[-2:], "little"):
        raise _broken("the seed of an NKey that is damaged", where)
    # 5 bits say that it is a seed, the next 5 whose
    if raw[0] & 0xF8 != _SEED or (raw[0] & 0x07) << 5 | raw[1] >> 3 != _USER:
        raise _broken("an NKey, and none of a user: their seeds begin with `SU`", where)
    return Nkey(raw[2:34])


def encoded(raw: bytes) -> str:
    """A prefix and a key as NATS writes them."""
    return base64.b32encode(raw + _crc16(raw).to_bytes(2, "little")).decode().rstrip("=")


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, from 0. The standard library has the same, meant for another coding."""
    return binascii.crc_hqx(data, 0)


def _broken(what: str, where: str) -> ConfigurationError:
    return ConfigurationError(f"the secret holds {what}", where=where, mend=f"store {SHAPES}")
