"""A wallet that somebody else runs: one request for each token, and what it refuses is the operator's to mend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest

from connector.errors import ConfigurationError, KontorError, NotFound, PeerAnswer, PeerMessage
from connector.identity.holder import CredentialService, WalletTokens
from connector.identity.remote import Remote
from connector.identity.senders import Senders
from connector.outbound.client import OutboundClient
from connector.settings import RemoteWallet
from connector.testing.clock import MovedClock
from tests.identity.hosts import LOCAL, Host, host
from tests.identity.registry import registry
from tests.identity.space import NOW

PEER, SCOPE = "did:web:peer.example%3A8443:anna", "org.eclipse.edc.vc.type:MembershipCredential:read"
PATH = "/sts/token"


@dataclass
class Scene:
    served: Host
    remote: Remote
    sent: list[bytes] = field(default_factory=list)

    def answers(self, body: bytes, status: int = 200) -> None:
        def page(_head: str, sent: bytes) -> bytes:
            self.sent.append(sent)
            return body

        self.served.pages[PATH], self.served.statuses[PATH] = page, status


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with host() as served, OutboundClient(LOCAL) as client:
        settings = RemoteWallet(token_url=served.url + PATH, client_id="did:web:us.example", client_secret="s&cret")
        found = Scene(served, Remote(settings=settings, outbound=client))
        found.answers(b'{"access_token": "a.b.c", "expires_in": 300, "token_type": "Bearer"}')
        yield found


async def test_each_message_asks_for_a_token_once(scene: Scene) -> None:
    remote = registry({"us": (scene.remote, (SCOPE, "x:y"))})
    tokens = WalletTokens(registry({}), clock=MovedClock(NOW), new_id=str, remote=remote)
    for _ in range(2):
        assert await tokens.authorization("us", PEER, "https://peer.example") == "Bearer a.b.c"
    assert len(scene.sent) == 2
    assert parse_qs(scene.sent[0].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["did:web:us.example"],
        "client_secret": ["s&cret"],
        "audience": [PEER],
        "bearer_access_scope": [f"{SCOPE} x:y"],
    }
    # the `%3A` of the identifier is escaped once more
    assert b"did%3Aweb%3Apeer.example%253A8443%3Aanna" in scene.sent[0]
    with pytest.raises(ConfigurationError):
        await tokens.authorization("us", "urn:peer", "https://peer.example")
    with pytest.raises(ConfigurationError):
        await tokens.authorization("them", PEER, "https://peer.example")


async def test_a_question_gives_back_the_others_access_token(scene: Scene) -> None:
    assert await scene.remote.issue(PEER, token="theirs") == "a.b.c"
    form = parse_qs(scene.sent[0].decode())
    assert form["token"] == ["theirs"]
    assert "bearer_access_scope" not in form


@pytest.mark.parametrize(
    ("body", "status", "kind", "said"),
    [
        (b'{"error": "invalid_client", "error_description": "no"}', 401, ConfigurationError, 'invalid_client", "no"'),
        (b'[{"error": "invalid_request"}]', 400, ConfigurationError, "invalid_request"),
        (b"<html>", 500, PeerAnswer, "no JSON"),
        (b"{}", 429, PeerAnswer, "no reason"),
        (b"{}", 200, PeerMessage, "access_token"),
        (b'{"access_token": "a\\r\\nb"}', 200, PeerMessage, "access_token"),
        (b"<html>", 200, PeerMessage, "cannot be read"),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    scene: Scene, body: bytes, status: int, kind: type[KontorError], said: str
) -> None:
    scene.answers(body, status)
    with pytest.raises(kind) as caught:
        await scene.remote.issue(PEER, scopes=[SCOPE])
    assert said in str(caught.value)
    assert "s&cret" not in str(caught.value)


async def test_what_such_a_participant_holds_is_not_shown_here(scene: Scene) -> None:
    senders: Any = Senders(resolver=None, replay=None, clock=MovedClock(NOW))  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await CredentialService(registry({}), senders=senders, new_id=str).answer("us", None, b"{}")
