"""Static tokens: the whole header value proves a peer, to one participant, both ways, and nothing else does."""

from __future__ import annotations

import pytest

from connector.errors import CallerError, ConfigurationError, Unauthenticated
from connector.identity.static import StaticTokens
from connector.ports.identity import MessageKind
from connector.settings import Participant, StaticPeer

ALPHA = Participant(
    id="urn:alpha",
    unsafe_static_tokens=(
        StaticPeer(id="urn:beta", theirs="Bearer beta-to-alpha", ours="alpha-to-beta", claims={"region": "eu"}),
        StaticPeer(id="urn:gamma", theirs='{"clientId": "gamma"}'),
        StaticPeer(id="urn:delta", ours="Bearer alpha-to-delta"),
    ),
)
TOKENS = StaticTokens({"alpha": ALPHA, "other": Participant(id="urn:other")})


async def test_the_whole_value_proves_the_peer_with_or_without_a_scheme() -> None:
    beta = await TOKENS.verify("alpha", "Bearer beta-to-alpha", MessageKind.NEGOTIATION)
    assert (beta.id, dict(beta.claims)) == ("urn:beta", {"region": "eu"})
    assert (await TOKENS.verify("alpha", '{"clientId": "gamma"}', MessageKind.NEGOTIATION)).id == "urn:gamma"


@pytest.mark.parametrize(
    "shown",
    [None, "", "beta-to-alpha", "bearer beta-to-alpha", "Bearer beta-to-alpha ", "alpha-to-beta", "é\udcff", "x" * 100_000],
)
async def test_anything_else_proves_nothing(shown: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await TOKENS.verify("alpha", shown, MessageKind.NEGOTIATION)
    assert refused.value.what == "no valid token"


async def test_a_token_for_one_participant_is_none_for_another() -> None:
    for participant in ("other", "nobody"):
        with pytest.raises(Unauthenticated):
            await TOKENS.verify(participant, "Bearer beta-to-alpha", MessageKind.NEGOTIATION)


async def test_our_own_text_goes_to_the_peer_it_was_agreed_with() -> None:
    assert await TOKENS.authorization("alpha", "urn:beta", "http://x") == "alpha-to-beta"
    assert await TOKENS.authorization("alpha", "urn:gamma", "http://x") is None
    assert await TOKENS.authorization("alpha", "urn:delta", "http://x") == "Bearer alpha-to-delta"


@pytest.mark.parametrize(("participant", "peer"), [("alpha", "urn:stranger"), ("other", "urn:beta"), ("nobody", "urn:beta")])
async def test_a_peer_without_an_entry_is_an_error_that_says_where_to_mend(participant: str, peer: str) -> None:
    with pytest.raises(ConfigurationError) as missing:
        await TOKENS.authorization(participant, peer, "http://x")
    assert missing.value.where == f"participants.{participant}.unsafe_static_tokens"
    assert peer in missing.value.mend


async def test_claims_are_known_without_a_request() -> None:
    assert await TOKENS.claims_of("alpha", "urn:beta") == {"region": "eu"}
    assert await TOKENS.claims_of("alpha", "urn:stranger") == {}


@pytest.mark.parametrize("text", ["", " x", "x\r\nInjected: 1", "x" * 20_000])
def test_a_text_that_no_header_can_carry_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the value of a header"):
        StaticTokens({"alpha": Participant(id="a", unsafe_static_tokens=(StaticPeer(id="b", theirs=text),))})


@pytest.mark.parametrize(
    "peers",
    [
        (StaticPeer(id="b", theirs="x"), StaticPeer(id="c", theirs="x")),
        (StaticPeer(id="b", theirs="x"), StaticPeer(id="b", theirs="y")),
    ],
)
def test_a_text_or_id_that_stands_twice_stops_the_start(peers: tuple[StaticPeer, ...]) -> None:
    with pytest.raises(ConfigurationError, match="two peers have the same"):
        StaticTokens({"alpha": Participant(id="a", unsafe_static_tokens=peers)})


def test_peers_without_a_text_are_not_the_same() -> None:
    StaticTokens({"alpha": Participant(id="a", unsafe_static_tokens=(StaticPeer(id="b"), StaticPeer(id="c")))})


async def test_who_names_no_peer_is_told_to() -> None:
    with pytest.raises(CallerError, match="name the peer's id"):
        await TOKENS.authorization("alpha", "", "https://beta.example/dsp")
