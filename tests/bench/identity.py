"""Figure 18: proving who sends a message, cold and warm, to a bare PyJWT verification; and what identity is made of.

Cold: self-issued token, presentation and one credential are judged, and looked up in a status list; documents and the list, which
the members of a space share, are at hand: what is measured is judging one more sender, not the network. Warm: the sender is known,
each message costs one token. CPU time, both sides in turn, in this process.
Beside it: tokens issued and verified per CPU second, 50 copies of one token at once, a status list that is a bomb, and the onboarding of
1,000 members into one authority, and how soon all of them are told of a suspension.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from joserfc import jwt as other
from joserfc.jwk import ECKey

from connector import jose, observe
from connector.controlplane.clock import SystemClock
from connector.controlplane.secrets import Seal
from connector.errors import Unauthenticated, Unproven
from connector.identity import did, messages, profiles, status, tokens
from connector.identity.credentials import Trust
from connector.identity.did import Relationship
from connector.identity.evidence import EvidenceSource
from connector.identity.known import Known
from connector.identity.resolver import Resolver, ResolverRules
from connector.identity.senders import Senders
from connector.identity.verifier import Membership, WalletVerifier
from connector.outbound.client import Answer
from connector.outbound.rules import OutboundRules, Target, vet
from connector.ports.identity import MessageKind
from connector.storage.memory import Memory, MemoryStore
from connector.storage.replay import MemoryReplay
from tests.bench import figures, onboarding, suspension
from tests.bench.asked import Asked
from tests.bench.load import on_loop
from tests.identity.registry import registry
from tests.identity.space import Party, bits, credential_1, entry, list_tree, packed, presentation_1, tree_1

_US, _HOLDER, _ISSUER = "did:web:us.example", "did:web:holder.example", "did:web:issuer.example"
_LIST = "https://issuer.example/status/1"
_SERVICE = "https://holder.example/cs"
_COPIES = 50
_BOMB_BYTES = 1 << 30
_RULES = OutboundRules()


def run(asked: Asked) -> list[figures.Figure]:
    """The figures."""
    observe.configure(format_="text", level="error")
    return [
        *_tokens(asked),
        *on_loop(lambda: _verifications(asked)),
        on_loop(lambda: _replays(asked)),
        *_bombs(asked),
        *on_loop(lambda: onboarding.measured(asked)),
        *suspension.figures_of(asked),
    ]


# --- tokens


def _tokens(asked: Asked) -> list[figures.Figure]:
    count = asked.of(2000)
    key = jose.generate(f"{_HOLDER}#key-1")
    theirs = ECKey.import_key(key.numbers)  # type: ignore[arg-type]
    now = SystemClock().now()
    at = int(now.timestamp())
    claims = {"iss": _HOLDER, "sub": _HOLDER, "aud": _US, "iat": at, "nbf": at, "exp": at + 300, "jti": "1", "token": "t" * 600}
    raw = jose.sign(key, claims)
    required = {"require": list(profiles.SELF_ISSUED.profile.required), "strict_aud": True}
    public = key.public

    sides: dict[str, Callable[[], object]] = {
        "sign": lambda: jose.sign(key, claims),
        "sign, PyJWT": lambda: jwt.encode(claims, key.numbers, "ES256", {"kid": key.id}),  # type: ignore[arg-type]
        "sign, joserfc": lambda: other.encode({"alg": "ES256", "kid": key.id}, claims, theirs),
        "verify": lambda: profiles.SELF_ISSUED.verify(raw, public, now=now, audience=_US, issuer=_HOLDER),
        "verify, PyJWT": lambda: jwt.decode(raw, public.numbers, ["ES256"], required, audience=_US, issuer=_HOLDER),  # type: ignore[arg-type]
        "verify, joserfc": lambda: other.decode(raw, theirs, algorithms=["ES256"]),
    }
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(asked.rounds):
        for name, work in sides.items():
            found[name].append(1 / _each(work, count))
        asked.tell(f"round {number + 1}: " + ", ".join(f"{name} {values[-1]:.0f}/s" for name, values in found.items()))
    return [
        figures.ratio(
            18,
            f"tokens per CPU second: {act}, to {library}",
            found[act],
            found[f"{act}, {library}"],
            unit="/s",
            must=0.6 if library == "PyJWT" else None,
            is_larger_better=True,
        )
        for act in ("sign", "verify")
        for library in ("PyJWT", "joserfc")
    ]


def _each(work: Callable[[], object], count: int) -> float:
    begin = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - begin) / count


# --- whole verifications


@dataclass
class _AtHand:
    """A way out that has everything: what it gives costs nothing."""

    rules: OutboundRules = _RULES
    pages: dict[str, bytes] = field(default_factory=dict)

    def vet(self, url: str) -> Target:
        return vet(url, self.rules)

    async def get(self, url: str, headers: Any, *, max_bytes: int | None = None) -> Answer:
        return Answer(status=200, headers={}, body=self.pages[url])

    async def post(self, url: str, body: bytes, headers: Any, *, max_bytes: int | None = None) -> Answer:
        return Answer(status=200, headers={}, body=self.pages[url])


class _Space:
    """A holder with a member's credential, its issuer, and us."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.holder, self.issuer = jose.generate(f"{_HOLDER}#key-1"), jose.generate(f"{_ISSUER}#key-1")
        self.ids = itertools.count()
        self.way = _AtHand()
        for name, key, service in ((_HOLDER, self.holder, _SERVICE), (_ISSUER, self.issuer, "")):
            uses = [Relationship.INVOCATION, Relationship.AUTHENTICATION, Relationship.ASSERTION]
            tree = did.write(name, [(key.id, key.public, uses)], {"CredentialService": service} if service else {})
            self.way.pages[did.url_of(name)] = json.dumps(tree).encode()
        now = self.clock.now()
        at = int(now.timestamp())
        dates = {"validFrom": (now - timedelta(days=1)).isoformat(), "validUntil": (now + timedelta(days=1)).isoformat()}
        listed = list_tree(*range(0, 131_072, 131), **dates)
        self.way.pages[_LIST] = jose.sign(self.issuer, listed, type_="vc+jwt").encode()
        issued = {"issuanceDate": dates["validFrom"], "expirationDate": dates["validUntil"]}
        subject = {"id": _HOLDER, "memberOf": "test"}
        tree = tree_1(**issued, credentialSubject=subject, credentialStatus=entry("7", statusListCredential=_LIST))
        times = {"nbf": at - 60, "exp": at + 86_400}
        credential = credential_1(tree, by=Party(_ISSUER, self.issuer), iss=_ISSUER, sub=_HOLDER, **times)
        shown = presentation_1(credential, by=Party(_HOLDER, self.holder), aud=_US, iat=at, nbf=at, exp=at + 3600)
        self.way.pages[f"{_SERVICE}/presentations/query"] = json.dumps(messages.answer([shown])).encode()

    def verifier(self) -> WalletVerifier:
        way: Any = self.way
        resolver = Resolver(way, ResolverRules())
        scope = "org.eclipse.dspace.dcp.vc.type:MembershipCredential"
        trust = Trust(issuers={_ISSUER: frozenset({"MembershipCredential"})})
        us = Membership(did=_US, key=jose.generate(f"{_US}#key-1"), scopes=(scope,), trust=trust)
        evidence = EvidenceSource(way, resolver)
        return WalletVerifier(
            registry({"us": us}),
            evidence=evidence,
            senders=Senders(resolver=resolver, replay=MemoryReplay(), clock=self.clock),
            known=Known(MemoryStore(node="bench", lease_s=1, memory=Memory()), Seal(bytes(32)), evidence),
            clock=self.clock,
            new_id=lambda: str(next(self.ids)),
        )

    def authorization(self, jti: str | None = None) -> str:
        now = self.clock.now()
        raw = tokens.self_issued(
            self.holder, sender=_HOLDER, receiver=_US, now=now, jti=jti or str(next(self.ids)), token="t" * 600
        )
        return f"Bearer {raw}"


async def _verifications(asked: Asked) -> list[figures.Figure]:
    space = _Space()
    verifier = space.verifier()
    await verifier.verify(
        "us", space.authorization(), MessageKind.NEGOTIATION
    )  # documents and the list are at hand from here on
    now = space.clock.now()
    raw = space.authorization().removeprefix("Bearer ")
    numbers: Any = space.holder.public.numbers
    count = asked.of(1000)

    async def each(is_cold: bool) -> float:
        messages_ = [space.authorization() for _ in range(count)]
        begin = time.process_time()
        for one in messages_:
            if is_cold:
                verifier._known.forget()
            await verifier.verify("us", one, MessageKind.NEGOTIATION)
        return (time.process_time() - begin) / count * 1e6

    found: dict[str, list[float]] = {"bare": [], "cold": [], "warm": []}
    for number in range(asked.rounds):
        found["bare"].append(_each(lambda: jwt.decode(raw, numbers, ["ES256"], audience=_US), count) * 1e6)
        found["cold"].append(await each(is_cold=True))
        found["warm"].append(await each(is_cold=False))
        asked.tell(f"round {number + 1}: " + ", ".join(f"{name} {values[-1]:.0f} us" for name, values in found.items()))
    assert space.clock.now() - now < timedelta(seconds=290), "the tokens ended meanwhile"
    bare = found["bare"]
    return [
        figures.ratio(18, "whole DCP verification, cold", found["cold"], bare, unit="us", must=6, ambition=4),
        figures.ratio(18, "the same, sender known (warm)", found["warm"], bare, unit="us", must=1.7, ambition=1.3),
    ]


async def _replays(asked: Asked) -> figures.Figure:
    """Copies of one token at once: exactly one is accepted, in each round."""
    space = _Space()
    verifier = space.verifier()
    accepted: list[float] = []
    for number in range(asked.rounds):
        one = space.authorization(f"copied-{number}")

        async def told(shown: str = one) -> int:
            try:
                await verifier.verify("us", shown, MessageKind.NEGOTIATION)
            except Unauthenticated:
                return 0
            return 1

        accepted.append(sum(await asyncio.gather(*(told() for _ in range(_COPIES)))))
    worst = max(accepted, key=lambda count: abs(count - 1))
    return figures.plain(18, f"accepted of {_COPIES} copies of a token at once", [worst], unit="copies", must=1)


# --- status lists


def _bombs(asked: Asked) -> list[figures.Figure]:
    packed_list = packed(bits(*range(0, 131_072, 131)))
    bomb = _bomb(asked.folder)
    plain = [_each(lambda: status.unpack(packed_list), asked.of(500)) * 1e3 for _ in range(asked.rounds)]
    refused = [_timed(bomb) for _ in range(asked.rounds)]
    tracemalloc.start()
    _timed(bomb)
    peak = tracemalloc.get_traced_memory()[1] / (1 << 20)
    tracemalloc.stop()
    return [
        figures.plain(18, "status list of 131,072 entries decoded", plain, unit="ms"),
        figures.plain(18, "bomb of 1 GiB refused", refused, unit="ms", must=50),
        figures.plain(18, "the memory that this took", [peak], unit="MiB", must=64),
    ]


def _timed(bomb: str) -> float:
    begin = time.process_time()
    try:
        status.unpack(bomb)
    except Unproven:
        return (time.process_time() - begin) * 1e3
    raise AssertionError("the bomb was taken for a list")


def _bomb(folder: Path) -> str:
    """An encoded list of one megabyte that claims to hold a gibibyte."""
    path = folder / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(_BOMB_BYTES >> 20):
            file.write(bytes(1 << 20))
    return "u" + base64.urlsafe_b64encode(path.read_bytes()).rstrip(b"=").decode()
