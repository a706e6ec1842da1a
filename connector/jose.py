"""Tokens and keys: the one place that reads, judges, proves and signs JSON Web Tokens.

What lives here: `TokenVerifier` with a `Profile` per use, public keys from JWKs, keys of our own, `sign`.
What does not: which profile a protocol asks for, and where keys come from (`identity/`).

PyJWT and cryptography do the arithmetic. The reading is ours, because PyJWT takes for good what must not count: tokens of any
size, members that stand twice, times as text, several audiences, padded segments. Every JSON here passes `strict.scan`.
Only keys that are asymmetric, and only the algorithms of the key's own type: a token never chooses how it is judged.
Source: RFC 7515, 7517, 7518, 7519, 8037, 8725 (best current practice), 9864 (fully specified algorithms).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms
from jwt.exceptions import PyJWTError

from connector import strict
from connector.errors import BadMessage, ConfigurationError, TooLarge, Unproven

_RS256 = algorithms.RSAAlgorithm(algorithms.RSAAlgorithm.SHA256)
_PS256 = algorithms.RSAPSSAlgorithm(algorithms.RSAPSSAlgorithm.SHA256)
_ES256 = algorithms.ECAlgorithm(algorithms.ECAlgorithm.SHA256, ec.SECP256R1)
_ES384 = algorithms.ECAlgorithm(algorithms.ECAlgorithm.SHA384, ec.SECP384R1)
_EDDSA = algorithms.OKPAlgorithm()

# by type of key, the algorithms that a token may name with it; the first is the one that we sign with
_BY_KEY: Final[Mapping[str, Mapping[str, algorithms.Algorithm]]] = {
    "P-256": {"ES256": _ES256},
    "P-384": {"ES384": _ES384},
    # RFC 9864: `Ed25519` is the new name of what `EdDSA` means with such a key
    "Ed25519": {"EdDSA": _EDDSA, "Ed25519": _EDDSA},
    "RSA": {"PS256": _PS256, "RS256": _RS256},
}
ALGORITHMS: Final = frozenset(name for names in _BY_KEY.values() for name in names)

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_LAST: Final = {2: "AQgw", 3: "AEIMQUYcgkosw048"}  # how the last character may end so that no bit is left over
_TO_PLAIN = str.maketrans("-_", "+/")
# key material, places to fetch it from, extensions and compression: a token has no say in any of them
_FORBIDDEN_HEADERS: Final = ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc")
_HEADER_LIMITS = strict.Limits(max_bytes=8 << 10, max_depth=4)
_LATEST: Final = 253_402_300_800  # the year 10000, where `datetime` ends
_MOST_TEXT: Final = 2048
_RSA_BITS: Final = range(2048, 8193)
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384"}

PublicNumbers = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
PrivateNumbers = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a token must be for one use."""

    name: str
    types: frozenset[str | None]
    """The `typ` header values that it may have, in lower case and without `application/`; None stands for no header."""
    required: tuple[str, ...] = ("iss", "sub", "aud", "exp", "iat", "jti")
    """Claims that must be there."""
    forbidden: tuple[str, ...] = ()
    """Claims that tell a token of another use."""
    max_life: timedelta | None = timedelta(hours=1)
    """From `iat` (or `nbf`, or now) to `exp`; it also bounds how long a used `jti` is remembered."""
    max_bytes: int = 32 << 10
    is_audience_shared: bool = False
    """Whether `aud` may name others too: any of them could use the token here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it was read; nothing of it is proven before `TokenVerifier.prove` has returned."""

    raw: str
    algorithm: str
    key_id: str | None
    type: str | None
    """As `Profile.types` spells them."""
    claims: Mapping[str, Any]
    signature: bytes

    @property
    def issuer(self) -> str:
        """`iss`; empty when there is none."""
        return str(self.claims.get("iss", ""))

    @property
    def expires(self) -> datetime | None:
        """`exp`."""
        exp = self.claims.get("exp")
        return None if exp is None else datetime.fromtimestamp(exp, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A key that can prove a signature, of a type that we know."""

    type: str
    """`P-256`, `P-384`, `Ed25519` or `RSA`."""
    numbers: PublicNumbers

    def jwk(self) -> dict[str, str]:
        """The key as a JSON Web Key, without `kid` and `alg`."""
        found: Mapping[str, Any] = next(iter(_BY_KEY[self.type].values())).to_jwk(self.numbers, as_dict=True)
        return {name: str(found[name]) for name in ("kty", "crv", "x", "y", "n", "e") if name in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key of our own. It is never shown: not by `repr`, not in a log."""

    id: str
    """The `kid` of what it signs: in DCP the full DID URL."""
    numbers: PrivateNumbers

    def __repr__(self) -> str:
        return f"SigningKey(id={self.id!r})"

    @property
    def public(self) -> PublicKey:
        """The key to prove its signatures with."""
        return _known(self.numbers.public_key())

    def to_pem(self, passphrase: bytes) -> bytes:
        """The key as PKCS #8, encrypted under `passphrase`: the only form in which a key is kept."""
        if not passphrase:
            raise ConfigurationError("keys are never kept without a passphrase", where=self.id, mend="give one")
        encryption = serialization.BestAvailableEncryption(passphrase)
        return self.numbers.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def generate(id_: str, kind: str = "P-256") -> SigningKey:
    """A new key of type `P-256`, `P-384` or `Ed25519`, drawn from the operating system."""
    match kind:
        case "P-256":
            return SigningKey(id=id_, numbers=ec.generate_private_key(ec.SECP256R1()))
        case "P-384":
            return SigningKey(id=id_, numbers=ec.generate_private_key(ec.SECP384R1()))
        case "Ed25519":
            return SigningKey(id=id_, numbers=ed25519.Ed25519PrivateKey.generate())
    raise ConfigurationError(f"no keys of type `{kind}` are made here", mend="use P-256, P-384 or Ed25519")


def from_pem(id_: str, pem: bytes, passphrase: bytes) -> SigningKey:
    """The key in an encrypted PKCS #8 file.

    Raises: ConfigurationError when the passphrase is not its own, or the key is of a type that we do not sign with.
    """
    try:
        numbers = serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        mend = "give the passphrase it was written with; keys without one are not read"
        raise ConfigurationError("the private key cannot be opened", where=id_, mend=mend) from fault
    if not isinstance(numbers, PrivateNumbers):
        raise ConfigurationError("the private key is of a type that is not used here", where=id_, mend="make a P-256 key")
    try:
        _type(numbers)
    except Unproven as fault:
        raise ConfigurationError(fault.words, where=id_, mend="make a P-256 key") from fault
    return SigningKey(id=id_, numbers=numbers)


def from_jwk(jwk: object) -> PublicKey:
    """The public key that a JSON Web Key describes.

    Raises: Unproven for a private or symmetric key, another type or curve, a point that is not on its curve, a weak RSA key.
    Source: RFC 7517; RFC 7518, section 6; RFC 8037, section 2.
    """
    if not isinstance(jwk, dict):
        raise _bad_key("it is no object")
    jwk = {name: value for name, value in jwk.items() if value is not None}  # some write null for what is not there
    private = sorted({"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & jwk.keys())
    if private:
        raise _bad_key(f"it shows private members ({', '.join(private)})")
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise _bad_key("it is not for signatures")
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", "P-256" | "P-384":
                numbers: Any = algorithms.ECAlgorithm.from_jwk(_members(jwk, "crv", "x", "y"))
            case "OKP", "Ed25519":
                numbers = algorithms.OKPAlgorithm.from_jwk(_members(jwk, "crv", "x"))
            case "RSA", _:
                numbers = algorithms.RSAAlgorithm.from_jwk(_members(jwk, "n", "e"))
            case kind, curve:
                raise _bad_key(f"type {strict.shown(kind)} with curve {strict.shown(curve)} is not known here")
    except (PyJWTError, ValueError, UnsupportedAlgorithm) as fault:
        raise _bad_key(f"its numbers are no key ({type(fault).__name__})") from fault
    found = _known(numbers)
    if "alg" in jwk and jwk["alg"] not in list(_BY_KEY[found.type]):
        raise _bad_key(f"its `alg` {strict.shown(jwk['alg'])} does not belong to its type")
    return found


def sign(key: SigningKey, claims: Mapping[str, Any], *, type_: str | None = None, **header: str) -> str:
    """The compact token over `claims`; `alg` and `kid` are the key's."""
    name, algorithm = next(iter(_BY_KEY[_type(key.numbers)].items()))
    head = {"alg": name, "kid": key.id, **({"typ": type_} if type_ else {}), **header}
    signed = f"{_encoded(orjson.dumps(head))}.{_encoded(orjson.dumps(dict(claims)))}"
    return f"{signed}.{_encoded(algorithm.sign(signed.encode(), key.numbers))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerifier:
    """The one judge of tokens, for one use. First `open`, then fetch what `open` names, then `prove`."""

    profile: Profile
    leeway: timedelta = timedelta(seconds=5)
    """How far the clocks of two machines may differ."""

    def open(self, raw: str | Token, *, now: datetime, audience: str | None = None, issuer: str | None = None) -> Token:
        """The token, lawful in everything that can be judged without a key. Fetch nothing for one that does not open.

        `audience` must then be its only audience (see `Profile.is_audience_shared`), and `issuer` its `iss`.

        Raises: Unproven with the failed check.
        Source: RFC 7519, section 7.2; RFC 8725, section 3.
        """
        token = read(raw, max_bytes=self.profile.max_bytes) if isinstance(raw, str) else raw
        self.judge_use(token)
        claims = token.claims
        if issuer is not None and claims.get("iss") != issuer:
            raise _refused("issuer", f"`iss` is {strict.shown(claims.get('iss'))}, expected `{issuer}`")
        named = claims.get("aud")
        is_among = self.profile.is_audience_shared and isinstance(named, list) and audience in named
        if audience is not None and named not in (audience, [audience]) and not is_among:
            raise _refused("audience", f"`aud` is {strict.shown(named)}, expected `{audience}` alone")
        self._judge_times(claims, now)
        return token

    def judge_use(self, token: Token) -> None:
        """Returns when `token` is one for this use, by its `typ` and its claims' names. Raises: Unproven."""
        profile = self.profile
        if token.type not in profile.types:
            raise _refused("type", f"`typ` is {strict.shown(token.type)}, which is not that of a {profile.name}")
        for name in profile.forbidden:
            if name in token.claims:
                raise _refused("type", f"a token with `{name}` is no {profile.name}")
        for name in profile.required:
            if name not in token.claims:
                raise _refused(name, f"the {profile.name} has no `{name}`")

    def prove(self, token: Token, key: PublicKey) -> None:
        """Returns when `key` signed `token`.

        Raises: Unproven, also when the token's algorithm is not one of the key's type.
        """
        algorithm = _BY_KEY[key.type].get(token.algorithm)
        if algorithm is None:
            raise _refused("algorithm", f"`alg` {token.algorithm} does not belong to a key of type {key.type}")
        if not algorithm.verify(token.raw.rpartition(".")[0].encode(), key.numbers, token.signature):
            raise _refused(
                "signature", f"the signature of the {self.profile.name} is not of the key {token.key_id or ''}".rstrip()
            )

    def verify(
        self, raw: str, key: PublicKey, *, now: datetime, audience: str | None = None, issuer: str | None = None
    ) -> Token:
        """The token, lawful and proven by a key that is known beforehand. Raises: as `open` and `prove`."""
        token = self.open(raw, now=now, audience=audience, issuer=issuer)
        self.prove(token, key)
        return token

    def _judge_times(self, claims: Mapping[str, Any], now: datetime) -> None:
        at, leeway = now.timestamp(), self.leeway.total_seconds()
        exp, nbf, iat = claims.get("exp"), claims.get("nbf"), claims.get("iat")
        if exp is not None and at >= exp + leeway:
            raise _refused("expired", f"it ended {at - exp:.0f} s ago")
        if nbf is not None and nbf > at + leeway:
            raise _refused("not-before", f"it begins in {nbf - at:.0f} s")
        if iat is not None and iat > at + leeway:
            raise _refused("issued-at", f"it was issued {iat - at:.0f} s in the future")
        most = self.profile.max_life
        if most is None or exp is None:
            return
        begin = iat if iat is not None else nbf if nbf is not None else at
        if not 0 < exp - begin <= most.total_seconds():
            raise _refused("life", f"it is good for {exp - begin:.0f} s, at most {most.total_seconds():.0f} s are lawful")


def read(raw: str, *, max_bytes: int) -> Token:
    """The parts of a compact token, judged by its form alone (RFC 7515, section 5.2). Prefer `TokenVerifier.open`.

    Raises: Unproven.
    """
    if len(raw) > max_bytes:
        raise _refused("size", f"the token has {len(raw)} characters, at most {max_bytes} are read")
    parts = _COMPACT.fullmatch(raw)
    if parts is None:
        raise _refused("form", "it is no compact token of three parts in base64url without padding")
    header = _object(parts[1], "header", _HEADER_LIMITS)
    claims = _object(parts[2], "payload", strict.Limits(max_bytes=max_bytes, max_depth=32))
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise _refused("header", f"the header has `{name}`, which no token may have here")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("algorithm", f"`alg` {strict.shown(algorithm)} is not one of {', '.join(sorted(ALGORITHMS))}")
    key_id = _text(header, "kid", "header")
    type_ = _text(header, "typ", "header")
    for name in ("iss", "sub", "jti"):
        _text(claims, name, "payload")
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name, 0)
        # no fractions: RFC 7519 allows them, nobody sends them, and 1e400 is one of their spellings
        if type(value) is not int or not 0 <= value < _LATEST:
            raise _refused(name, f"`{name}` is {strict.shown(value)}, which is no number of seconds")
    audience = claims.get("aud", "none")
    if not all(_is_text(one) for one in (audience if isinstance(audience, list) and audience else [audience])):
        raise _refused("aud", f"`aud` is {strict.shown(audience)}, which is no text and no list of them")
    return Token(
        raw=raw,
        algorithm=algorithm,
        key_id=key_id,
        type=None if type_ is None else type_.lower().removeprefix("application/"),
        claims=MappingProxyType(claims),
        signature=_decoded(parts[3], "signature"),
    )


def _object(part: str, name: str, limits: strict.Limits) -> dict[str, Any]:
    try:
        found = strict.scan(_decoded(part, name), limits)
    except (BadMessage, TooLarge) as fault:
        raise _refused("form", f"the {name} is not strict JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise _refused("form", f"the {name} is no JSON object")
    return found


def _decoded(part: str, name: str) -> bytes:
    over = len(part) % 4
    if over == 1 or (over and part[-1] not in _LAST[over]):
        raise _refused("form", f"the {name} is not base64url")
    try:
        return binascii.a2b_base64(part.translate(_TO_PLAIN) + "=" * (-len(part) % 4), strict_mode=True)
    except binascii.Error as fault:
        raise _refused("form", f"the {name} is not base64url") from fault


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_TEXT and value.isprintable()


def _text(part: Mapping[str, Any], name: str, where: str) -> str | None:
    value = part.get(name)
    if name in part and not _is_text(value):
        raise _refused(name, f"`{name}` in the {where} is {strict.shown(value)}, which is no line of text")
    return value


def _members(jwk: Mapping[str, Any], *names: str) -> dict[str, str]:
    for name in names:
        value = jwk.get(name)
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,1400}", value):
            raise _bad_key(f"its `{name}` is {strict.shown(value)}")
    return {"kty": jwk["kty"], **{name: jwk[name] for name in names}}


def _known(numbers: Any) -> PublicKey:
    return PublicKey(type=_type(numbers), numbers=numbers)


def _type(numbers: Any) -> str:
    match numbers:
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            name = _CURVES.get(numbers.curve.name)
            if name is not None:
                return name
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            return "Ed25519"
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            if numbers.key_size not in _RSA_BITS:
                raise _bad_key(f"it has {numbers.key_size} bits, RSA keys need 2048 to 8192")
            return "RSA"
    raise _bad_key("it is of a type that is not used here")


def _bad_key(words: str) -> Unproven:
    return _refused("key", f"the key is not usable: {words}")


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
