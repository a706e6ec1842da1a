"""The token service makes tokens for the programs that the settings name, for others' DIDs, within what they may grant."""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

import pytest

from connector import jose
from connector import settings as configured
from connector.errors import BadMessage, NotFound, TooMany, Unauthenticated
from connector.identity import tokens
from connector.identity.holder import Wallet
from connector.identity.sts import TokenService
from connector.testing.clock import MovedClock
from tests.identity.registry import registry
from tests.identity.space import NOW

US, PEER = "did:web:us.example", "did:web:peer.example"
MEMBER, OTHER = "org.eclipse.dspace.dcp.vc.type:MembershipCredential", "org.eclipse.dspace.dcp.vc.type:Other"
FORM = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "secret", "audience": PEER}


@dataclass
class Scene:
    service: TokenService
    clock: MovedClock
    key: jose.SigningKey
    access: jose.SigningKey

    async def ask(self, authorization: str | None = None, address: str = "10.0.0.1", **changes: str | None) -> jose.Token:
        form = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
        answer = await self.service.answer("us", form, authorization, address)
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
        token = tokens.open_self_issued(answer["access_token"], receiver=PEER, now=self.clock.now())
        assert token.issuer == US
        return token

    def granted(self, token: jose.Token) -> list[str]:
        raw = token.claims["token"]
        found = tokens.granted(raw, key=lambda _: self.access.public, holder=US, verifier=PEER, now=self.clock.now())
        return [one.text for one in found[1]]


@pytest.fixture
def scene() -> Scene:
    clock, ids = MovedClock(NOW), itertools.count()
    keys = [jose.generate(f"{US}#{name}") for name in ("token", "presentation", "access")]
    wallet = Wallet(did=US, token_key=keys[0], presentation_key=keys[1], access_key=keys[2], held=(), grants=(MEMBER, OTHER))
    client = configured.WalletClient(id="robot", sha256=hashlib.sha256(b"secret").hexdigest(), scopes=(MEMBER,))
    part = configured.Membership(clients=(client,))
    service = TokenService(
        parts=registry({"us": (US, part)}), wallets=registry({"us": wallet}), clock=clock, new_id=lambda: str(next(ids))
    )
    return Scene(service, clock, keys[0], keys[2])


async def test_a_program_gets_a_token_with_an_access_token_for_what_it_asks(scene: Scene) -> None:
    token = await scene.ask(bearer_access_scope=f"{MEMBER}:read")
    assert scene.granted(token) == [f"{MEMBER}:read"]
    assert "token" not in (await scene.ask()).claims
    assert (await scene.ask(token="theirs")).claims["token"] == "theirs"
    # both: the scope wins, as with the wallets in the field
    assert scene.granted(await scene.ask(token="theirs", bearer_access_scope=MEMBER)) == [MEMBER]


async def test_a_client_may_show_its_secret_in_the_header(scene: Scene) -> None:
    basic = base64.b64encode(b"robot:secret").decode()
    assert await scene.ask(f"Basic {basic}", client_id=None, client_secret=None)
    with pytest.raises(Unauthenticated):
        await scene.ask("Basic !!", client_id=None, client_secret=None)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"audience": "https://peer.example"}, "audience"),
        ({"audience": US}, "audience"),
        ({"audience": None}, "audience"),
        ({"grant_type": "password"}, "grant_type"),
        ({"bearer_access_scope": OTHER}, "bearer_access_scope"),
        ({"bearer_access_scope": f"{MEMBER} {OTHER}"}, "bearer_access_scope"),
        ({"bearer_access_scope": "nonsense"}, "scope"),
        ({"token": ""}, "token"),
    ],
)
async def test_what_it_may_not_have_is_refused(scene: Scene, changes: dict[str, Any], where: str) -> None:
    with pytest.raises(BadMessage) as caught:
        await scene.ask(**changes)
    assert caught.value.where == where


async def test_wrong_secrets_and_unknown_clients_sound_the_same_and_are_counted(scene: Scene) -> None:
    said = set()
    for changes in [
        {"client_secret": "wrong"},
        {"client_id": "nobody"},
        {"client_secret": None},
        {"client_secret": "\udcff"},
    ] * 3:
        try:
            await scene.ask(**changes)
        except Unauthenticated as fault:
            said.add(str(fault))
        except TooMany:
            break
    assert len(said) == 1
    with pytest.raises(TooMany):
        await scene.ask()
    # others are served meanwhile, and it is when the minute is over
    assert await scene.ask(address="10.0.0.2")
    scene.clock.move(seconds=61)
    assert await scene.ask()


async def test_participants_without_a_wallet_have_no_such_service(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.service.answer("them", FORM, None, "10.0.0.1")
