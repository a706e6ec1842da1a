"""Secrets for NATS servers, told by their shape; and the key of a user against the example of NATS's own documentation."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connector.dataplane.nkeys import Login, login_of, seed_of
from connector.errors import ConfigurationError

SEED, USER = (
    "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
    "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
)
"""Source: NATS documentation, "NKeys", "Generating NKeys and Configuring your Server"."""
CREDENTIALS = f"""-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.e30.x
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""
CHAIN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"


def test_a_seed_is_the_user_that_nats_takes_it_for_and_signs_for_it() -> None:
    key = seed_of(SEED, "here")
    assert key.public == USER
    public = base64.b32decode(USER + "=" * (-len(USER) % 8))[1:33]
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(key.sign("a nonce")), b"a nonce")
    assert SEED not in repr(login_of(SEED, "here"))


@pytest.mark.parametrize(
    ("secret", "login"),
    [
        (None, Login()),
        ("kontor:pass:word", Login(user="kontor", password="pass:word")),
        ("a-token", Login(token="a-token")),
        (f"{SEED}\n", Login(nkey=seed_of(SEED, ""))),
        (CREDENTIALS, Login(nkey=seed_of(SEED, ""), jwt="eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.e30.x")),
        (CHAIN + KEY, Login(certificate=CHAIN + KEY)),
        (CHAIN + KEY + SEED, Login(certificate=CHAIN + KEY, nkey=seed_of(SEED, ""))),
    ],
    ids=["nothing", "password", "token", "seed", "credentials", "certificate", "both"],
)
def test_a_secret_is_told_by_its_shape(secret: str | None, login: Login) -> None:
    assert login_of(secret, "here") == login


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (SEED[:-1] + "A", "damaged"),
        # of an account: `SA`, with its own checksum
        ("SAANXRC6U6DFCUZDL3UWHLTCAKJWN7NVYXHIM4SLUCTBRSBDLYLMVZBGZY", "begin with `SU`|damaged"),
        (CREDENTIALS.replace(SEED, ""), "not whole"),
        (CREDENTIALS.replace(SEED, SEED[:20]), "damaged"),
        (CHAIN, "without its key"),
        (KEY, "without its certificate"),
        ("-----BEGIN OPENSSH-----", "nothing that is known"),
        ("two\nlines", "nothing that is known"),
    ],
)
def test_what_looks_like_a_login_and_is_none_is_refused_without_showing_it(secret: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        login_of(secret, "tls://nats.example.org:4222")
    assert caught.value.where == "tls://nats.example.org:4222"
    assert SEED not in str(caught.value)
