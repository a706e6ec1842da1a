"""Signatures on JSON documents, as the member `proof`: made and proven over the canonical form of JSON.

What lives here: `secure` and `prove` for the cryptosuites `ecdsa-jcs-2019` and `eddsa-jcs-2022`, and the canonical form. Pure. What does
not: which key belongs to whom (`did.py`), tokens (`jose.py`), suites that need RDF: what is signed so is not known here.
Source: Verifiable Credential Data Integrity 1.0, section 4; Data Integrity ECDSA Cryptosuites 1.0, section 3.3; Data Integrity EdDSA
Cryptosuites 1.0, section 3.3; RFC 8785 (canonical JSON); ECMAScript, Number::toString.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from connector import strict
from connector.errors import Unproven
from connector.identity.did import Document, Relationship
from connector.jose import PublicKey, SigningKey

_SUITES: Final = {"ecdsa-jcs-2019": ("P-256", "P-384"), "eddsa-jcs-2022": ("Ed25519",)}
"""With the types of key that each is made with."""
_HASHES: Final = {"P-256": "sha256", "P-384": "sha384", "Ed25519": "sha256"}
_HALVES: Final = {"P-256": 32, "P-384": 48}
_LEEWAY: Final = timedelta(minutes=1)
_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MOST_CHARACTERS: Final = 200
_MOST_EXACT: Final = (1 << 53) - 1


def secure(tree: Mapping[str, Any], key: SigningKey, now: datetime) -> dict[str, Any]:
    """The document with a proof by `key`, whose id is a DID URL."""
    kind = key.public.type
    suite = next(name for name, kinds in _SUITES.items() if kind in kinds)
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": suite,
        "created": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "verificationMethod": key.id,
        "proofPurpose": Relationship.ASSERTION.value,
    }
    plain = {name: value for name, value in tree.items() if name != "proof"}
    return {**plain, "proof": {**proof, "proofValue": "z" + _base58(_signed(key, _digest(plain, proof, kind)))}}


def method_of(tree: Mapping[str, Any]) -> str:
    """The DID URL of the key that should have made the proof of a document.

    Raises: Unproven, with the check `kind` for a proof of a kind that is not known here.
    """
    proof = _proof(tree)
    method = proof.get("verificationMethod")
    if not isinstance(method, str) or not method.startswith("did:") or "#" not in method:
        raise _refused("key-id", f"the proof names the key {strict.shown(method)}")
    return method


def created(tree: Mapping[str, Any]) -> float | None:
    """When the proof of a document says it was made, in seconds; None when it does not say. Raises: Unproven."""
    found = _moment(_proof(tree), "created")
    return found.timestamp() if found is not None else None


def prove(tree: Mapping[str, Any], document: Document, now: datetime) -> None:
    """Returns when a key of `document`, for assertions, made the proof of a document. Raises: Unproven."""
    proof = _proof(tree)
    if proof.get("proofPurpose") != Relationship.ASSERTION:
        raise _refused("purpose", f"the proof is made for {strict.shown(proof.get('proofPurpose'))}, not to assert something")
    created, expires = _moment(proof, "created"), _moment(proof, "expires")
    if created is not None and created > now + _LEEWAY:
        raise _refused("not-before", f"the proof is of {created.isoformat()}, which is still to come")
    if expires is not None and expires <= now:
        raise _refused("expired", f"the proof ended at {expires.isoformat()}")
    if "@context" in proof and proof["@context"] != tree.get("@context"):
        raise _refused("context", "the proof is made under another context than the document")
    key = document.key(method_of(tree), Relationship.ASSERTION)
    if key.type not in _SUITES[proof["cryptosuite"]]:
        raise _refused("key", f"a key of type {key.type} makes no proof of the kind {proof['cryptosuite']}")
    plain = {name: value for name, value in tree.items() if name != "proof"}
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    if not _holds(key, _value(proof), _digest(plain, config, key.type)):
        raise _refused("signature", "the proof is not of this document, or not made by this key")


def _proof(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    proof = tree.get("proof")
    if isinstance(proof, list) and len(proof) == 1:
        proof = proof[0]
    if not isinstance(proof, Mapping):
        raise _refused("kind", f"the proof is {strict.shown(proof)}, which is none that is known here")
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") not in _SUITES:
        said = f"{strict.shown(proof.get('type'))} {strict.shown(proof.get('cryptosuite'))}"
        raise _refused("kind", f"the proof is of the kind {said}; known here: {', '.join(_SUITES)}")
    return proof


def _value(proof: Mapping[str, Any]) -> bytes:
    value = proof.get("proofValue")
    if not isinstance(value, str) or len(value) > _MOST_CHARACTERS or not value.startswith("z") or set(value) - set(_ALPHABET):
        raise _refused("format", "the value of the proof is no base58 text")
    number = 0
    for sign in value[1:]:
        number = number * 58 + _ALPHABET.index(sign)
    zeros = len(value[1:]) - len(value[1:].lstrip(_ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _base58(data: bytes) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _ALPHABET[rest] + text
    return _ALPHABET[0] * (len(data) - len(data.lstrip(b"\0"))) + text


def _moment(proof: Mapping[str, Any], name: str) -> datetime | None:
    value = proof.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _refused("format", f"`{name}` of the proof is {strict.shown(value)}, which is no date") from None
    if found.tzinfo is None:
        raise _refused("format", f"`{name}` of the proof has no time zone")
    return found


# --- what is signed


def _digest(tree: Mapping[str, Any], config: Mapping[str, Any], kind: str) -> bytes:
    name = _HASHES[kind]
    return hashlib.new(name, canonical(config)).digest() + hashlib.new(name, canonical(tree)).digest()


def _signed(key: SigningKey, data: bytes) -> bytes:
    numbers, kind = key.numbers, key.public.type
    if isinstance(numbers, ed25519.Ed25519PrivateKey):
        return numbers.sign(data)
    assert isinstance(numbers, ec.EllipticCurvePrivateKey), "no other keys sign here"
    half = _HALVES[kind]
    r, s = decode_dss_signature(numbers.sign(data, ec.ECDSA(_algorithm(kind))))
    return r.to_bytes(half, "big") + s.to_bytes(half, "big")


def _holds(key: PublicKey, signature: bytes, data: bytes) -> bool:
    numbers = key.numbers
    try:
        if isinstance(numbers, ed25519.Ed25519PublicKey):
            numbers.verify(signature, data)
            return True
        if isinstance(numbers, ec.EllipticCurvePublicKey):
            half = _HALVES[key.type]
            if len(signature) != 2 * half:
                return False
            pair = encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
            numbers.verify(pair, data, ec.ECDSA(_algorithm(key.type)))
            return True
    except InvalidSignature:
        return False
    return False


def _algorithm(kind: str) -> hashes.HashAlgorithm:
    return hashes.SHA256() if kind == "P-256" else hashes.SHA384()


def canonical(value: Any) -> bytes:
    """The one form that equal JSON values have. Raises: Unproven for numbers that no double tells apart. Source: RFC 8785."""
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        # by UTF-16 code units, not by characters
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_text(name)}:{_text(value[name])}" for name in names) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and abs(value) > _MOST_EXACT:
        # several of them are one double: a signature over one would be good for the others (RFC 7493, section 2.2)
        raise _refused("format", f"the number {value} is too large to be signed exactly")
    return _number(float(value))


def _number(value: float) -> str:
    """A number as ECMAScript writes it: the fewest digits that tell it from its neighbours."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, assumed = "".join(map(str, digits)), int(exponent)
    minus, point = "-" if sign else "", len(text) + assumed
    if 0 < point <= 21:
        whole = text.ljust(point, "0")
        return minus + (whole if len(text) <= point else f"{text[:point]}.{text[point:]}")
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def _refused(check: str, words: str) -> Unproven:
    return Unproven(words, check=check)
