"""A ledger with its pages on a real socket, filled with products of all kinds, some of them hostile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from connector.app.parts import known_vocabulary
from connector.controlplane.clock import SystemClock
from connector.controlplane.limits import Limiter
from connector.controlplane.secrets import Seal
from connector.describe import participant
from connector.errors import Unauthenticated
from connector.federation.answers import Audience
from connector.federation.crawl import Crawler, Pace
from connector.federation.feed import Following
from connector.federation.following import Indexer
from connector.federation.judging import Judge
from connector.federation.ledger import Ledger
from connector.federation.looking import Bounds, Looking
from connector.federation.notices import Notices, Readers
from connector.federation.permitted import Permitted
from connector.federation.reading import entry_of
from connector.federation.tantivy_index import TantivyIndex
from connector.ports.catalog import ITSELF, Entry, Listed, Report, Snapshot
from connector.ports.identity import Caller, MessageKind
from connector.settings import Settings
from connector.storage.catalog import open_records
from connector.storage.catalog.records import CatalogRecords
from connector.storage.memory import MemoryStore
from connector.strict import Limits
from connector.web.catalog import api, pages, protocol
from connector.web.catalog.viewers import Viewers
from connector.web.public import public_app
from tests.bench import crowd
from tests.federation.foreign import Roster

SCRIPT = "<script>document.title='stolen'</script><img src=x onerror=document.title='stolen'>"
HOSTILE: dict[str, Any] = {
    "@id": f"urn:x:{SCRIPT}",
    "@type": "Dataset",
    "dct:title": [{"@value": f"Hostile {SCRIPT}", "@language": '"><script>'}],
    "dct:description": f"{SCRIPT}]]>'\"&lt;",
    "dcat:keyword": [SCRIPT, "javascript:alert(1)"],
    "dcat:theme": {"@id": "javascript:alert(1)"},
    "dct:publisher": f"Evil {SCRIPT}",
    "dct:license": {"@id": f"https://x.example/{SCRIPT}"},
    "dct:spatial": {"@id": SCRIPT},
    "hasPolicy": [
        {"@id": "o", "@type": "Offer", "permission": [{"action": "use", "constraint": [
            {"leftOperand": "purpose", "operator": "eq", "rightOperand": SCRIPT}]}]}
    ],
    "distribution": [{"format": SCRIPT, "mediaType": SCRIPT}],
}  # fmt: skip


class Tokens:
    """Knows a member by the name that it shows."""

    async def verify(self, participant: str, authorization: str | None, kind: MessageKind) -> Caller:
        if authorization != "member":
            raise Unauthenticated("no valid token", where="Authorization")
        return Caller(id="did:web:member", claims={"membership": "active"})


class Contexts:
    """The participant as whom the ledger answers."""

    async def context(self, participant: str) -> object:
        return object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A ledger and its application."""

    ledger: Ledger
    records: CatalogRecords
    indexer: Indexer
    viewers: Viewers
    app: Any


@asynccontextmanager
async def stand(folder: Path, audience: Audience = Audience.EVERYBODY, members: int = 30) -> AsyncIterator[Stand]:
    """The ledger over a crowd of members, and one hostile product."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        records = open_records("memory:", folder=folder, connections=1)
        await records.open()
        stack.push_async_callback(records.close)
        index = TantivyIndex(folder / "index")
        indexer = Indexer(records, index, clock, space="Northern Data Alliance")
        await indexer.open()
        stack.push_async_callback(indexer.close)
        now = clock.now()
        names = [crowd.participant_id(number) for number in range(members)]
        listed = [Listed(id=name, address="https://x.example", title=f"Member {n}") for n, name in enumerate(names)]
        await records.list_members(
            [*listed, Listed(id="did:web:evil", address="https://evil.example", title=f"Evil {SCRIPT}")], now
        )
        snapshots = []
        for number, size in enumerate(crowd.sizes(members, members * 4)):
            base = f"https://m{number}.crowd.example/dsp"
            entries = [entry_of(crowd.product(number, n, 0), origin=names[number], endpoint=base) for n in range(size)]
            snapshots.append(_snapshot(names[number], entries, now))
        evil = entry_of(HOSTILE, origin="did:web:evil", endpoint="https://evil.example/dsp")
        snapshots[1] = replace(snapshots[1], entries=(*snapshots[1].entries, _itself(names[1])))
        await records.swap([*snapshots, _snapshot("did:web:evil", [evil], now, left_out=(f"left out {SCRIPT}",))], now)
        await records.report_agreements(names[1], 1_234, now)
        while await indexer.catch_up():
            pass
        ledger = Ledger(
            records, index, indexer, Permitted(known_vocabulary()), clock, audience=audience, own_id="did:web:ledger"
        )
        viewers = Viewers(Contexts(), Tokens(), ledger, "ledger")  # type: ignore[arg-type]
        crawler = _crawler(records)
        no_way_out: Any = None
        store = MemoryStore(node="n", lease_s=30)
        limiter = Limiter(Settings.model_validate({"node": {"public_url": "http://ledger.example"}}), store)
        notices = Notices(store, records, ledger, indexer, no_way_out, Seal(bytes(32)), clock)
        await notices.want(Caller(id="did:web:evil"), f"Wanted {SCRIPT}", SCRIPT, Readers.EVERYBODY)
        routes = [
            *api.routes(ledger, viewers, crawler, "http://ledger.example/catalog"),
            *protocol.routes(ledger, viewers, "http://ledger.example/catalog", Limits(), limiter),
            *pages.routes(ledger, viewers, notices, "Northern Data Alliance"),
        ]
        yield Stand(ledger=ledger, records=records, indexer=indexer, viewers=viewers, app=public_app(routes, most=1000))


def _snapshot(member: str, entries: list[Any], now: Any, left_out: tuple[str, ...] = ()) -> Snapshot:
    report = Report(at=now, is_good=True, entries=len(entries), left_out=left_out)
    return Snapshot(member=member, entries=tuple(entries), report=report, next_at=now + timedelta(days=1))


def _itself(member: str) -> Entry:
    """What a member says of itself, signed, and what somebody attests of it."""
    it = participant.Organisation(
        participant=member, name=(("en", f"Member One {SCRIPT}"),), legal_name="Member One Ltd", country="urn:country:DEU",
        sectors=("http://publications.europa.eu/resource/authority/data-theme/ENER",), capabilities=("labelling",),
    )  # fmt: skip
    service = participant.Service(
        address="https://m1.crowd.example/dsp", title="Member One", conforms_to=("https://w3id.org/dspace/2025/1/",),
        formats=("HttpData-PULL",), profiles=("https://w3id.org/kontor/profile/tds",), capabilities=("usage-control",), software="x 1",
    )  # fmt: skip
    tree = {**participant.members(it), participant.SERVICE: [participant.service(service)]}
    attested = {
        "types": ["MembershipCredential"],
        "issuer": "did:web:authority",
        "validUntil": None,
        "claims": {"level": SCRIPT},
    }
    carried = {"selfDescription": {"@id": "data:application/vc+jwt,x"}, "attestations": []}
    body = {"state": "verified", "reason": "", "carried": carried, "description": tree, "attestations": [attested]}
    return Entry(origin=member, id=ITSELF, endpoint="", tree=orjson.dumps(body), digest="itself", signed=member)


def _crawler(records: Any) -> Crawler:
    """One that is told of changes and looks at nobody."""
    whom: dict[str, Any] = {"participant": "ledger", "own_id": "did:web:ledger"}
    nobody: Any = None
    hour = timedelta(hours=1)
    pace = Pace(interval=hour, follow=hour, parallel=1, per_host=1, within=hour)
    judge = Judge(None)
    looking = Looking(nobody, judge, bounds=Bounds(), **whom)
    return Crawler(records, Roster(), looking, Following(nobody, judge, **whom), SystemClock(), pace)
