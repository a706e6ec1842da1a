"""The ledger of data products: the questions that people and programs ask of it, each with who asks.

What lives here: `Ledger`. What does not: what a query means to the index (`query.py`), how members are looked at (`crawl.py`), the
spelling of answers (`web/catalog`).

INVARIANT: the ledger shows nothing that its viewer could not see at the source. The record holds what sources showed to the
catalogue's own participant. Of that, `members` shows to proven members only, and of whom nothing is proven sees nothing; `everybody` is
for a catalogue whose own participant is told no more than a stranger is. An offer that names its assignee is shown to that one alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from connector.errors import Gone, NotFound, Unauthenticated
from connector.federation import feed
from connector.federation.answers import Answer, Audience, Offering, Standing, Statistics
from connector.federation.following import Indexer
from connector.federation.origins import name_of, places_of
from connector.federation.permitted import Permitted, Question
from connector.federation.query import POLICY_FACETS, Query, cursor_of, wanted_of
from connector.ports.catalog import ITSELF, MemberRow, MemberState, Product, Records, Totals
from connector.ports.clock import Clock
from connector.ports.identity import Caller
from connector.ports.index import FACETS, MAX_DEPTH, MOST_TERMS, MOST_VALUES, Index, Wanted, Way

_TOTALS_FOR: Final = timedelta(seconds=10)
_TERMS_FOR: Final = timedelta(minutes=1)
_TITLES_FOR: Final = timedelta(minutes=1)
_MOST_TITLES: Final = 50_000
_TOLD_TO_ITSELF: Final = "what was left out, and what is unusual, is told to the member itself"
_IN_A_THREAD: Final = 50


class Ledger:
    """Answers questions about all products."""

    def __init__(
        self,
        records: Records,
        index: Index,
        indexer: Indexer,
        permitted: Permitted,
        clock: Clock,
        *,
        audience: Audience,
        own_id: str,
    ) -> None:
        self._records = records
        self._index = index
        self._indexer = indexer
        self._permitted = permitted
        self._clock = clock
        self.audience = audience
        self.own_id = own_id
        self._terms_at = -1
        self._terms_whole_at: datetime | None = None
        self._terms_one = asyncio.Lock()
        self._titles: tuple[datetime, dict[str, str]] = (clock.now(), {})
        self._totals: tuple[datetime, tuple[int, frozenset[str]], Totals] | None = None

    def admit(self, viewer: Caller | None) -> None:
        """Nothing, when `viewer` may ask at all.

        Raises: Unauthenticated.
        """
        if viewer is None and self.audience is Audience.MEMBERS:
            raise Unauthenticated(
                "this catalogue answers members only", where="Authorization", mend="ask with the token of a member's connector"
            )

    # --- searching

    async def search(self, query: Query, viewer: Caller | None) -> Answer:
        """A page of what is found.

        Raises: Unauthenticated; BadMessage for an unknown facet or a cursor of another query.
        """
        self.admit(viewer)
        now = self._clock.now()
        await self._know_terms()
        wanted = wanted_of(query, now, self._permitted.named(viewer.id if viewer is not None else None))
        if query.action is not None or query.purpose is not None:
            question = Question(action=query.action or "use", purpose=query.purpose)
            wanted = self._under(wanted, await self._digests(question, viewer, now))
        found = await asyncio.to_thread(self._index.search, wanted)
        # what is counted beside it is looked for in the same way
        wanted = replace(wanted, way=found.way)
        shown = await self._shown([hit.number for hit in found.hits], viewer)
        counts = dict(found.counts)
        by_terms = counts.pop("terms", ())
        facets = {name: counts[name] for name in query.facets if name in counts}
        if asked := [name for name in POLICY_FACETS if name in query.facets]:
            by = dict(by_terms) if len(by_terms) < MOST_TERMS else None
            named = self._permitted.named_words(by, viewer.id if viewer is not None else None)
            for name in asked:
                words = named[POLICY_FACETS.index(name)]
                facets[name] = await self._allowed(name, words, by, wanted, query, viewer, now)
        last = found.hits[-1] if found.hits else None
        cursor = None
        # the last page of a ranking that ends before all that was found leads to whoever says how to go on
        is_cut = not found.has_more and found.total > wanted.skip + len(found.hits) and wanted.skip + wanted.size >= MAX_DEPTH
        if (found.has_more or is_cut) and last is not None:
            cursor = cursor_of(query, last, wanted.skip + len(found.hits), found.way)
        return Answer(
            total=found.total,
            products=tuple(shown[hit.number] for hit in found.hits if hit.number in shown),
            facets=facets,
            cursor=cursor,
            is_relaxed=found.way is Way.SOME and found.total > 0,
        )

    async def numbers(self, query: Query, viewer: Caller | None) -> tuple[int, ...]:
        """The numbers of the products on the page of a search.

        Raises: as `search`.
        """
        self.admit(viewer)
        await self._know_terms()
        wanted = wanted_of(query, self._clock.now(), self._permitted.named(viewer.id if viewer is not None else None))
        return tuple(hit.number for hit in (await asyncio.to_thread(self._index.search, wanted)).hits)

    async def suggest(self, beginning: str, limit: int, viewer: Caller | None) -> tuple[str, ...]:
        """Words that begin so.

        Raises: Unauthenticated.
        """
        self.admit(viewer)
        await self._know_terms()
        named = self._permitted.named(viewer.id if viewer is not None else None)
        return await asyncio.to_thread(self._index.suggest, beginning[:100], max(1, min(limit, 20)), named)

    def _under(self, wanted: Wanted, digests: frozenset[str]) -> Wanted:
        """The same of products under one of these terms: an index is asked for few of them, or for all but few."""
        if 2 * len(digests) <= self._permitted.count:
            return replace(wanted, terms=digests)
        return replace(wanted, without=self._permitted.others(digests))

    async def _shown(self, numbers: Sequence[int], viewer: Caller | None) -> Mapping[int, Product]:
        """Products as the record has them, which may be newer than the index: by the terms that they have now."""
        found = await self._records.products(numbers)
        await self._know_terms(found.values())
        return {product.number: product for product in self._seen(found.values(), viewer)}

    def _seen(self, products: Iterable[Product], viewer: Caller | None) -> list[Product]:
        """Those of the products that `viewer` sees, as it sees them."""
        visible, who = self._visible(viewer), viewer.id if viewer is not None else None
        return [self._permitted.shown(one, who) for one in products if one.entry.terms in visible]

    async def _know_terms(self, products: Iterable[Product] = ()) -> None:
        """Have the engine know the terms that the index may name, and those of `products`, which may be newer than the index.

        What is new is asked for; everything only now and then, to forget what is not in use any more.
        """
        async with self._terms_one:
            now, at, fresh = self._clock.now(), self._indexer.generation, set[str]()
            unknown = {one.entry.terms for one in products if not self._permitted.knows(one.entry.terms)}
            if self._terms_at != at:
                fresh = set(self._indexer.fresh)
                unknown |= {one for one in fresh if not self._permitted.knows(one)}
                if self._terms_whole_at is None or not timedelta() <= now - self._terms_whole_at <= _TERMS_FOR:
                    await asyncio.to_thread(self._permitted.know, await self._records.terms())
                    self._terms_whole_at, unknown = now, set()
            if unknown:
                await asyncio.to_thread(self._permitted.know, await self._records.terms(sorted(unknown)), is_all=False)
            self._indexer.fresh -= fresh
            self._terms_at = at

    def _visible(self, viewer: Caller | None) -> frozenset[str]:
        """The terms of what `viewer` sees at all: an offer to somebody else is none of theirs."""
        return self._permitted.addressed_to(viewer.id if viewer is not None else None)

    async def _digests(self, question: Question, viewer: Caller | None, now: datetime) -> frozenset[str]:
        if self._permitted.count < _IN_A_THREAD:
            return self._permitted.digests(question, viewer, now)
        return await asyncio.to_thread(self._permitted.digests, question, viewer, now)

    async def _allowed(
        self, name: str, words: Mapping[str, int], counts: Mapping[str, int] | None, wanted: Wanted, query: Query,
        viewer: Caller | None, now: datetime,
    ) -> tuple[tuple[str, int], ...]:  # fmt: skip
        """How many of the products found would be allowed for each of the words, actions or purposes: what most of them name first.

        By the counts of terms; where there are more terms than an index counts, by a question for each word.
        """
        rows: list[tuple[str, int]] = []
        for word, _ in sorted(words.items(), key=lambda one: (-one[1], one[0]))[:MOST_VALUES]:
            if name == "action":
                question = Question(action=word, purpose=query.purpose)
            else:
                question = Question(action=query.action or "use", purpose=word)
            digests = await self._digests(question, viewer, now)
            if counts is not None:
                count = sum(number for digest, number in counts.items() if digest in digests)
            else:
                also = wanted.terms if wanted.terms is not None else self._permitted.others(wanted.without)
                one = replace(wanted, terms=None, without=frozenset(), size=1, counted=(), after=None, skip=0)
                count = (await asyncio.to_thread(self._index.search, self._under(one, digests & also))).total
            if count:
                rows.append((word, count))
        return tuple(rows)

    # --- one thing

    async def product(self, number: int, viewer: Caller | None) -> Product:
        """One product.

        Raises: Unauthenticated, NotFound.
        """
        self.admit(viewer)
        # no store has a number that is larger
        found = (await self._records.products([number])).get(number) if number < 1 << 63 else None
        await self._know_terms([found] if found else ())
        seen = self._seen([found] if found else (), viewer)
        if not seen:
            raise NotFound("there is no such product", where=str(number), mend="it may have left; search again")
        return seen[0]

    async def named(self, id_: str, viewer: Caller | None) -> Sequence[Product]:
        """The products whose dataset has this id.

        Raises: Unauthenticated.
        """
        self.admit(viewer)
        every = await self._records.named(id_)
        await self._know_terms(every)
        return self._seen(every, viewer)

    def offers(self, product: Product, viewer: Caller | None) -> Sequence[Any]:
        """The policies of a product's offers that `viewer` sees."""
        return self._permitted.offers(product.entry.terms, viewer.id if viewer is not None else None)

    async def allowed(self, product: Product, viewer: Caller | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The actions that `viewer` could agree to, and the purposes it could name for a use, of those that the offers name, as far as
        the engine knows beforehand."""
        now = self._clock.now()
        words, purposes = self._permitted.words(product.entry.terms, viewer.id if viewer is not None else None)
        actions: list[str] = []
        for action in words:
            if product.entry.terms in await self._digests(Question(action=action), viewer, now):
                actions.append(action)
        named: list[str] = []
        for purpose in purposes:
            if product.entry.terms in await self._digests(Question(purpose=purpose), viewer, now):
                named.append(purpose)
        return tuple(actions), tuple(named)

    async def places(self, product: Product) -> tuple[str, ...]:
        """Where the origin of a product has signed that it answers, of one whose endpoint nothing proves; the product is one that the
        viewer sees."""
        if not product.entry.via or product.entry.is_placed:
            return ()
        said = await self._records.product(product.entry.origin, ITSELF)
        return places_of(said.entry, self._clock.now()) if said is not None else ()

    async def participant(self, id_: str, after: int, limit: int, viewer: Caller | None) -> Offering:
        """A participant as the list of members has it, and a page of those of its products that `viewer` sees.

        Raises: Unauthenticated, NotFound.
        """
        self.admit(viewer)
        member = await self._records.member(id_)
        said = await self._records.product(id_, ITSELF)
        products: list[Product] = []
        following: int | None = after
        while following is not None and not products:
            found = await self._records.of_origin(id_, following, limit)
            await self._know_terms(found)
            products += self._seen(found, viewer)
            following = found[-1].number if len(found) == limit else None
        if not products and said is None and (member is None or member.state is not MemberState.LISTED):
            raise NotFound("there is no such participant", where=id_[:200], mend="search for its products")
        standing = await self._standing(member, viewer) if member is not None else None
        name = (member.title if member else "") or (name_of(said.entry) if said else "") or id_
        return Offering(
            name=name, standing=standing, said=said, at=self._clock.now(), products=tuple(products), after=following
        )

    async def titles(self, products: Iterable[Product]) -> Mapping[str, str]:
        """The names of those who offer these products, as the list of members has them; of whom it has none there is none."""
        now = self._clock.now()
        # a clock that was set back makes nothing of what is kept last
        if not timedelta() <= now - self._titles[0] <= _TITLES_FOR or len(self._titles[1]) > _MOST_TITLES:
            self._titles = (now, {})
        known = self._titles[1]
        for origin in {one.entry.origin for one in products} - known.keys():
            member = await self._records.member(origin)
            known[origin] = member.title if member is not None else ""
        return known

    async def report(self, id_: str, viewer: Caller | None) -> Standing:
        """How the last looks at a member went. Whoever may not ask this ledger, perhaps a member that cannot prove itself, reads why
        nothing was taken, and nothing about products.

        Raises: NotFound.
        """
        member = await self._records.member(id_)
        if member is None:
            raise NotFound("there is no such member", where=id_[:200], mend="name it by its participant id")
        return await self._standing(member, viewer)

    async def _standing(self, member: MemberRow, viewer: Caller | None) -> Standing:
        report = member.report
        may_know = self.audience is Audience.EVERYBODY or (viewer is not None and viewer.id in (member.id, self.own_id))
        if report is not None and (report.left_out or report.notes) and not may_know:
            # they name products, and of one that was left out nobody knows any more for whom it was
            member = replace(member, report=replace(report, left_out=(), notes=(_TOLD_TO_ITSELF,)))
        if viewer is None and self.audience is Audience.MEMBERS:
            return Standing(member=member, entries=None)
        await self._know_terms()
        hidden = self._permitted.hidden_from(viewer.id if viewer is not None else None)
        is_itself = viewer is not None and viewer.id == member.id
        entries = member.entries if is_itself or not hidden else await self._records.entries(member.id, hidden)
        return Standing(member=member, entries=entries)

    async def members(self, after: str | None, limit: int) -> Sequence[MemberRow]:
        """Listed members by id."""
        return await self._records.members(after, limit)

    async def standings(self, after: str | None, limit: int, viewer: Caller | None, *, failing: bool) -> Sequence[Standing]:
        """Listed members by id and how they stand, as far as `viewer` is told; with `failing` those at which the last look failed.

        Raises: Unauthenticated.
        """
        self.admit(viewer)
        rows = await self._records.members(after, limit, failing=failing)
        return [await self._standing(row, viewer) for row in rows]

    async def report_agreements(self, member: str, count: int) -> bool:
        """Take down how many agreements a member says it has concluded; False when it is no member."""
        self._totals = None
        return await self._records.report_agreements(member, count, self._clock.now())

    async def statistics(self, viewer: Caller | None) -> Statistics:
        """The ledger in numbers, of what `viewer` sees.

        Raises: Unauthenticated.
        """
        self.admit(viewer)
        await self._know_terms()
        hidden = self._permitted.hidden_from(viewer.id if viewer is not None else None)
        now, of = self._clock.now(), (self._indexer.generation, hidden)
        if self._totals is None or self._totals[1] != of or not timedelta() <= now - self._totals[0] <= _TOTALS_FOR:
            self._totals = (now, of, await self._records.totals(now, hidden))
        query = Query(size=1, facets=tuple(name for name in FACETS if name != "origin"))
        answer = await self.search(query, viewer)
        return Statistics(totals=self._totals[2], facets=answer.facets)

    async def feed(self, after: int, limit: int, viewer: Caller | None) -> bytes:
        """A page of the change feed, for other catalogues.

        Raises: Unauthenticated, Gone.
        """
        self.admit(viewer)
        limit = max(1, min(limit, feed.PAGE))
        if after > await self._records.sequence():
            # the record was made anew since the reader asked last
            raise Gone("there is no such change", where="after", mend="begin again without `after`")
        every = await self._records.changes(after, limit)
        shown = [change.product for change in every if change.product is not None and not change.is_itself]
        await self._know_terms(shown)
        seen = {one.number: one for one in self._seen(shown, viewer)}
        changes = [one if one.is_itself else replace(one, product=seen.get(one.number)) for one in every]
        # whoever could ever see it is told that it is gone; nobody else learns that it was there, and who begins anew has nothing of it
        who = viewer.id if viewer is not None else None
        silent = {
            one.number
            for one in changes
            if one.product is None and (not after or (one.readers is not None and who not in one.readers))
        }
        return await asyncio.to_thread(feed.page, self.own_id, await self._records.epoch(), changes, limit, after, silent)
