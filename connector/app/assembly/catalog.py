"""The role `catalog`: the ledger of data products, its crawler and its index, its addresses on the public listener."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING

from connector import observe
from connector.app.assembly.ground import Ground, Role, Worker
from connector.app.assembly.identity import Identity
from connector.app.parts import known_vocabulary
from connector.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from connector.federation.ledger import Ledger
    from connector.federation.notices import Notices
    from connector.identity.listsource import ListSource
    from connector.ports.index import Index
    from connector.ports.members import Members
    from connector.settings.catalog import Catalog
    from connector.web.catalog.viewers import Viewers


async def opened_catalog(ground: Ground, identity: Identity, stack: AsyncExitStack) -> Role:
    """The catalogue's part of a node, for as long as `stack` is open.

    Raises: ConfigurationError, StoreUnavailable.
    """
    from connector.controlplane.jobs import Pace as JobPace
    from connector.controlplane.jobs import repeated
    from connector.controlplane.peers import Peers
    from connector.controlplane.secrets import Seal
    from connector.controlplane.webhook_delivery import PACE, WATCH_PACE
    from connector.federation import notices, rejudging, reproving
    from connector.federation.answers import Audience
    from connector.federation.crawl import Crawler, Pace
    from connector.federation.feed import Following
    from connector.federation.following import Indexer
    from connector.federation.judging import Judge
    from connector.federation.ledger import Ledger
    from connector.federation.looking import Bounds, Looking
    from connector.federation.permitted import Permitted
    from connector.federation.telling import Above, Telling
    from connector.storage.catalog import open_records
    from connector.strict import Limits
    from connector.web.catalog import api, protocol
    from connector.web.catalog import notices as doors
    from connector.web.catalog.viewers import Viewers

    whole, clock = ground.settings, ground.clock
    settings = whole.catalog
    own = whole.participants.get(settings.participant)
    if own is None:
        raise ConfigurationError(
            f"the role `catalog` speaks as a participant, and there is none named `{settings.participant}`",
            where="catalog.participant",
            mend="name one of `participants`",
        )
    address = f"{ground.public_url}/catalog"
    peers = Peers(ground.outbound, identity.tokens, clock)
    records = open_records(whole.store.url, folder=whole.node.data_dir, connections=whole.store.connections)
    await records.open()
    stack.push_async_callback(records.close)
    index = _index(settings, ground)
    indexer = Indexer(records, index, clock, space=settings.space)
    await indexer.open()
    stack.push_async_callback(indexer.close)
    judge = Judge(identity.attests)
    members = _members(settings, identity)
    crawler = Crawler(
        records,
        members,
        Looking(
            peers,
            judge,
            participant=settings.participant,
            own_id=own.id,
            bounds=Bounds(page_bytes=whole.outbound.max_answer_bytes),
        ),
        Following(peers, judge, participant=settings.participant, own_id=own.id),
        clock,
        Pace(
            interval=timedelta(seconds=settings.interval_s),
            follow=timedelta(seconds=settings.follow_s),
            parallel=settings.parallel,
            per_host=settings.parallel_per_host,
            within=timedelta(seconds=settings.look_within_s),
        ),
    )
    again = rejudging.Rejudging(records, ground.store.jobs, judge, clock)
    pace = JobPace(
        attempts=rejudging.ATTEMPTS,
        first_delay_s=rejudging.FIRST_DELAY_S,
        max_delay_s=rejudging.MAX_DELAY_S,
        timeout_s=rejudging.WITHIN_S,
    )
    ground.jobs.register(rejudging.KIND, again.work, pace)
    await again.take_up()
    proving = reproving.Reproving(records, ground.store.jobs, judge, clock, timedelta(seconds=settings.interval_s))
    ground.jobs.register(reproving.KIND, repeated(proving.work), JobPace(timeout_s=reproving.WITHIN_S))
    await proving.take_up()
    telling = Telling(
        records,
        peers,
        clock,
        participant=settings.participant,
        above=[Above(id=one.id, address=one.address) for one in own.catalogs if one.id != own.id],
    )

    def changed() -> None:
        indexer.woken.set()
        telling.changed()

    crawler.unjudged, crawler.room = again.put, indexer.near
    crawler.changed = again.changed = proving.changed = changed
    # the authority tells our participant when somebody leaves, is suspended or is back: nobody waits for the next look at its list
    members.changed = crawler.list_anew
    permitted = Permitted(known_vocabulary(whole.profiles, whole.plugins))
    ledger = Ledger(records, index, indexer, permitted, clock, audience=Audience(settings.viewers), own_id=own.id)
    left = notices.Notices(ground.store, records, ledger, indexer, ground.outbound, Seal(ground.key), clock)
    ground.jobs.register(notices.KIND, left.tell, PACE)
    ground.jobs.register(notices.WATCH, left.watch, WATCH_PACE)
    more: dict[str, Worker] = {}
    extra: list[BaseRoute] = []
    viewers = Viewers(ground.participants, identity.verifier, ledger, settings.participant)
    if settings.sparql:
        from connector.federation.sparql import Limits as Bounded
        from connector.federation.sparql import Sparql
        from connector.web.catalog import sparql as questions

        bounds = Bounded(within=timedelta(seconds=settings.sparql_within_s))
        triples = Sparql(records, permitted, clock, whole.node.data_dir / "catalog-triples", bounds)
        await triples.open()
        stack.push_async_callback(triples.close)
        extra, more["catalog-triples"] = questions.routes(triples, ledger, viewers), triples.run
    limits = Limits(max_bytes=whole.public.max_body_bytes)
    return Role(
        routes=[
            *api.routes(ledger, viewers, crawler, address),
            *extra,
            *doors.routes(left, viewers, address),
            *protocol.routes(ledger, viewers, address, limits, ground.limiter),
            *_pages(ledger, viewers, left, settings.space or own.title),
        ],
        sweeps=frozenset({"catalog-list", "catalog-crawl", "catalog-index", "catalog-triples"}),
        workers={
            "catalog-list": crawler.keep_list,
            "catalog-crawl": crawler.run,
            "catalog-index": indexer.run,
            "catalog-notices": left.run,
            **({"catalog-telling": telling.run} if own.catalogs else {}),
            **more,
        },
    )


def _pages(ledger: Ledger, viewers: Viewers, left: Notices, space: str) -> list[BaseRoute]:
    """The pages for people, where the library of their templates is installed."""
    if find_spec("jinja2") is None:
        observe.warning(
            "catalog.without_pages", mend="install the extra: `kontor-connector[catalog]`; programs are answered all the same"
        )
        return []
    from connector.web.catalog import pages

    return pages.routes(ledger, viewers, left, space)


def _members(settings: Catalog, identity: Identity) -> Members:
    """Who the members are: by the signed list, or by the settings alone."""
    from connector.federation.roster import MembersOfSettings, listed

    if settings.list is None:
        return MembersOfSettings(settings.members)
    from connector.identity.listsource import ListAddress
    from connector.identity.roster import SignedMembers
    from connector.identity.trustlists import Listing

    said = settings.list
    address = ListAddress(url=said.url, listing=Listing.PARTICIPANTS, governance=said.governance, space=said.space)

    async def lists() -> ListSource:
        return (await identity.parts.opened()).lists

    async def follow() -> None:
        await (await identity.parts.opened()).newcomers.follow(settings.participant, said.governance)

    return SignedMembers(lists, address, listed(settings.members), follow)


def _index(settings: Catalog, ground: Ground) -> Index:
    """The search index that the settings name, or the best that is installed.

    Raises: ConfigurationError.
    """
    folder = ground.settings.node.data_dir / "catalog-index"
    if settings.index != "fts5":
        try:
            from connector.federation.tantivy_index import TantivyIndex

            return TantivyIndex(folder)
        except ModuleNotFoundError as fault:
            mend = "install the extra: `kontor-connector[catalog]`"
            if settings.index == "tantivy":
                raise ConfigurationError("tantivy is not installed", where="catalog.index", mend=mend) from fault
            observe.warning("catalog.without_tantivy", mend=mend)
    from connector.storage.catalog.fulltext import FullText

    return FullText(folder)
