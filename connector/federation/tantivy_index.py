"""The search index on tantivy: ranking, facets, orders and suggestions over local files.

What lives here: `TantivyIndex`, the port `Index`. What does not: stems (`words.py`), how words are looked for (`ways.py`), how facets are
counted (`counting.py`), what is indexed of a product (`reading.py`).

A product is one document, found by its number. Orders other than by relevance use keys made of the value and the number, so that no
two are equal and a page begins exactly behind the one before, whatever has come or gone meanwhile. The number of the last change taken
over stands in a file beside the index, written after each commit: after a crash the changes behind it are simply taken over again.
"""

from __future__ import annotations

import json
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Final

from connector import observe
from connector.describe.words import fold, runs
from connector.federation.counting import NUMBERED, Counts, age_bounds
from connector.federation.ways import Asked
from connector.federation.words import Stems
from connector.ports.index import (
    ENOUGH,
    FACETS,
    MAX_DEPTH,
    MOST_VALUES,
    Document,
    Found,
    Hit,
    Sort,
    Wanted,
    Way,
    start_of,
)

_LAYOUT: Final = 5
"""Of the fields; another one in the file means that the index is made anew."""
_HEAP_BYTES: Final = 24 << 20
_NUMBER_BITS: Final = 31
_NUMBERS: Final = (1 << _NUMBER_BITS) - 1
_MOST_CENTS: Final = (1 << 32) - 1
"""Of an order; what costs more comes after what costs less, in no order."""
_NO_PRICE: Final = 1 << 62
_SPARE: Final = 50
"""Hits looked at beyond a page of a ranking, to find the place behind its last one again."""
_KEYS: Final = {Sort.MODIFIED: "modified_key", Sort.ADDED: "added_key", Sort.CHEAPEST: "price_key"}


class TantivyIndex:
    """An index in the folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stems = Stems()
        self._schema: Any = None
        self._index: Any = None
        self._writer: Any = None
        self._counting: Any = None
        self._secret = b""
        self._one = Lock()

    # --- its life

    def open(self) -> int:
        """The sequence number up to which it is made; an index that cannot be read is thrown away and begins at 0."""
        import tantivy

        self._schema = _schema()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = self._known()
        if known is None or known["layout"] != _LAYOUT:
            self._clear()
            known = None
        self._secret = bytes.fromhex(known["secret"]) if known else os.urandom(32)
        self._counting = Counts(self._schema, self._secret)
        try:
            self._opened(tantivy)
        except (ValueError, OSError) as fault:
            observe.warning("catalog.index_lost", folder=str(self._folder), cause=str(fault), mend="it is made anew")
            self._clear()
            known = None
            self._opened(tantivy)
        return int(known["sequence"]) if known else 0

    def _opened(self, tantivy: Any) -> None:
        (self._folder / "tantivy").mkdir(exist_ok=True)
        self._index = tantivy.Index(self._schema, path=str(self._folder / "tantivy"), reuse=True)
        blank = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("blank", blank)
        self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)

    def _writing(self) -> Any:
        """The writer; another one when the one before failed, which takes nothing any more: it begins at the last commit."""
        if self._writer is None:
            self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)
        return self._writer

    def _known(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._folder / "applied.json").read_text())
            return found if isinstance(found.get("sequence"), int) else None
        except (OSError, ValueError):
            return None

    def clear(self) -> None:
        import tantivy

        with self._one:
            self._closed()
            self._clear()
            self._opened(tantivy)

    def _clear(self) -> None:
        shutil.rmtree(self._folder / "tantivy", ignore_errors=True)
        (self._folder / "applied.json").unlink(missing_ok=True)

    def close(self) -> None:
        # whoever was told to stop may still be taking changes over in a thread
        with self._one:
            self._closed()

    def _closed(self) -> None:
        if self._writer is not None:
            self._writer.wait_merging_threads()
        self._writer = self._index = None

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    # --- what goes in

    def apply(self, documents: Sequence[Document], gone: Sequence[int], sequence: int) -> None:
        with self._one:
            writer = self._writing()
            try:
                for number in chain(gone, (document.number for document in documents)):
                    writer.delete_documents_by_term("key", str(number))
                for document in documents:
                    writer.add_document(self._document(document))
                writer.commit()
            except BaseException:
                # the disk is full, or whatever it was: half of it must not come with the next commit
                self._writer = writer = None
                raise
            self._index.reload()
            fresh = self._folder / "applied.json.new"
            fresh.write_text(json.dumps({"layout": _LAYOUT, "sequence": sequence, "secret": self._secret.hex()}))
            os.replace(fresh, self._folder / "applied.json")

    def _document(self, it: Document) -> Any:
        from tantivy import Document as Row

        row = Row()
        number = it.number & _NUMBERS
        row.add_unsigned("number", it.number)
        row.add_text("key", str(it.number))
        row.add_text("title", " ".join(self._indexed(it.titles)))
        row.add_text("body", " ".join(self._indexed((*it.keywords, *it.texts))))
        for word in _suggested(it):
            row.add_text("word", word)
        for name in FACETS:
            for value in it.facets.get(name, ()):
                row.add_text(f"f_{name}", value)
                if name in NUMBERED:
                    row.add_unsigned(f"n_{name}", self._counting.number_of(value))
        row.add_text("terms", it.terms)
        row.add_unsigned("open", int(it.is_open))
        row.add_unsigned("modified", it.modified_s)
        row.add_unsigned("price", it.price_cents if it.price_cents is not None else _NO_PRICE)
        row.add_unsigned("modified_key", it.modified_s << _NUMBER_BITS | number)
        row.add_unsigned("added_key", it.added_s << _NUMBER_BITS | number)
        cheap = max(1, _MOST_CENTS - it.price_cents) if it.price_cents is not None else 0
        row.add_unsigned("price_key", cheap << _NUMBER_BITS | number)
        return row

    def _indexed(self, texts: Sequence[tuple[str, str]]) -> Iterator[str]:
        for language, text in texts:
            yield from self._stems.indexed(text, language)

    # --- what comes out

    def search(self, wanted: Wanted) -> Found:
        from tantivy import Occur, Query

        searcher = self._index.searcher()
        words = self._stems.asked(wanted.text)
        sort = wanted.sort
        if not words:
            sort = Sort.ADDED if sort is Sort.RELEVANCE else sort
        asked = Asked(searcher, self._schema, self._stems, words)
        seen = list(self._seen(wanted))
        filters = [(Occur.Must, Query.const_score_query(one, 0.0)) for one in self._filters(wanted)]

        def query(way: Way) -> Any:
            every = [*((Occur.Must, one) for one in asked.queries(way)), *seen, *filters]
            if all(occur is Occur.MustNot for occur, _ in every):
                every.append((Occur.Must, Query.all_query()))
            return Query.boolean_query(every)

        def count(way: Way) -> int:
            return int(
                searcher.search(Query.boolean_query([*((Occur.Must, one) for one in asked.queries(way)), *seen]), limit=1).count
            )

        way = wanted.way if wanted.way is not None and words else Way.WORDS
        total, hits, has_more = self._page(searcher, query(way), sort, wanted)
        # the way depends on the text alone: a choice among the facets leads to what was counted for it
        if words and wanted.way is None and total < ENOUGH and (not filters or count(Way.WORDS) < ENOUGH):
            way = Way.PARTS if count(Way.PARTS) else Way.SOME
            total, hits, has_more = self._page(searcher, query(way), sort, wanted)
        counts = self._counting.of(searcher, query(way), wanted)
        return Found(total=total, hits=hits, counts=counts, has_more=has_more, way=way)

    def _page(self, searcher: Any, query: Any, sort: Sort, wanted: Wanted) -> tuple[int, tuple[Hit, ...], bool]:
        if sort is Sort.RELEVANCE:
            return self._ranked(searcher, query, wanted)
        return self._ordered(searcher, query, _KEYS[sort], wanted)

    def _ranked(self, searcher: Any, query: Any, wanted: Wanted) -> tuple[int, tuple[Hit, ...], bool]:
        """A page by score, equal scores by number. It begins behind the last hit of the page before, wherever that stands now: all
        scores move a little with each product that comes or goes."""
        most = min(wanted.skip + wanted.size + _SPARE, MAX_DEPTH)
        while True:
            found = searcher.search(query, limit=most, count=True)
            scored = found.hits
            # all that are equal to the page's last one have to be known, for their order is ours and not the engine's
            is_cut = len(scored) == most < MAX_DEPTH
            # the first page stands at the head: numbers of what is behind it say nothing
            near = scored if wanted.after is not None else scored[: _equal_until(scored, wanted.size)]
            rank = _rank(near, searcher.fast_field_values("number", [address for _, address in near]))
            begin = start_of([number for _, number in rank], wanted)
            end = begin + wanted.size
            if not is_cut or (len(rank) >= end and rank[end - 1][0] > scored[-1][0]):
                break
            most = min(most * 8, MAX_DEPTH)
        hits = tuple(Hit(number=number, value=score) for score, number in rank[begin:end])
        return found.count, hits, len(scored) > end and end < MAX_DEPTH

    def _ordered(self, searcher: Any, query: Any, key: str, wanted: Wanted) -> tuple[int, tuple[Hit, ...], bool]:
        """A page by a key that no two products share, the largest first."""
        from tantivy import FieldType, Occur, Query

        whole, total = query, None
        if wanted.after is not None:
            total = searcher.search(whole, limit=1, count=True).count
            behind = Query.range_query(self._schema, key, FieldType.Unsigned, None, int(wanted.after[0]), True, False)
            query = Query.boolean_query([(Occur.Must, whole), (Occur.Must, behind)])
        found = searcher.search(query, limit=wanted.size + 1, count=total is None, order_by_field=key)
        hits = tuple(Hit(number=value & _NUMBERS, value=value) for value, _ in found.hits[: wanted.size])
        return found.count if total is None else total, hits, len(found.hits) > wanted.size

    def _seen(self, wanted: Wanted) -> Iterator[Any]:
        """What narrows every way: products that are not seen say nothing about what there is."""
        from tantivy import Occur, Query

        if wanted.named is not None:
            yield Occur.Must, Query.const_score_query(self._for(wanted.named), 0.0)
        if wanted.terms is not None:
            one_of = Query.term_set_query(self._schema, "terms", list(wanted.terms)) if wanted.terms else Query.empty_query()
            yield Occur.Must, Query.const_score_query(one_of, 0.0)
        if wanted.without:
            yield Occur.MustNot, Query.term_set_query(self._schema, "terms", list(wanted.without))

    def _for(self, named: frozenset[str]) -> Any:
        """Products that are open, and those under the terms `named`."""
        from tantivy import Query

        is_open = Query.term_query(self._schema, "open", 1)
        return _any([is_open, Query.term_set_query(self._schema, "terms", list(named))]) if named else is_open

    def _filters(self, wanted: Wanted) -> Iterator[Any]:
        from tantivy import FieldType, Query

        for name, values in wanted.chosen.items():
            if name == "freshness":
                yield _any([self._aged(value, wanted.now_s) for value in values])
            elif name == "currency":
                free = Query.range_query(self._schema, "price", FieldType.Unsigned, 0, 0)
                yield _any([Query.term_set_query(self._schema, "f_currency", list(values)), free])
            else:
                yield Query.term_set_query(self._schema, f"f_{name}", list(values))
        if wanted.numbers is not None:
            keys = [str(number) for number in wanted.numbers]
            yield Query.term_set_query(self._schema, "key", keys) if keys else Query.empty_query()
        if wanted.modified_after_s is not None:
            yield Query.range_query(self._schema, "modified", FieldType.Unsigned, max(1, wanted.modified_after_s), None)
        if wanted.price_at_most_cents is not None:
            yield Query.range_query(self._schema, "price", FieldType.Unsigned, 0, wanted.price_at_most_cents)

    def _aged(self, value: str, now_s: int) -> Any:
        from tantivy import FieldType, Query

        for name, low, high in age_bounds(now_s):
            if name == value:
                return Query.range_query(self._schema, "modified", FieldType.Unsigned, low, high, True, high is None)
        return Query.empty_query()

    def suggest(self, beginning: str, limit: int, named: frozenset[str] | None = None) -> tuple[str, ...]:
        from tantivy import Occur, Query

        folded = fold(beginning.strip())
        if not folded:
            return ()
        searcher = self._index.searcher()
        seen = [(Occur.Must, self._for(named))] if named is not None else []
        found: list[str] = []
        # the dictionary still has the words of what is gone, until its parts are merged
        for word, _ in searcher.terms_with_prefix("word", folded, limit=limit + MOST_VALUES):
            of_word = Query.term_query(self._schema, "word", word, "basic")
            both = Query.boolean_query([(Occur.Must, of_word), *seen])
            if len(found) < limit and searcher.search(both, limit=1, count=False).hits:
                found.append(word)
        return tuple(found)


def _rank(scored: Sequence[tuple[float, Any]], numbers: Sequence[int]) -> list[tuple[float, int]]:
    """Scores, which come in their order, and numbers: equal scores by number."""
    rank: list[tuple[float, int]] = []
    begin = 0
    while begin < len(scored):
        score, end = scored[begin][0], begin + 1
        if end < len(scored) and scored[end][0] == score:
            end = _behind(scored, score, end)
            rank += [(score, number) for number in sorted(numbers[begin:end])]
        else:
            rank.append((score, numbers[begin]))
        begin = end
    return rank


def _equal_until(scored: Sequence[tuple[float, Any]], count: int) -> int:
    """How many hits there are until the last one that is equal to the one at the place `count`; all where there are fewer."""
    return _behind(scored, scored[count - 1][0], count) if len(scored) > count else len(scored)


def _behind(scored: Sequence[tuple[float, Any]], score: float, begin: int) -> int:
    """The place behind all hits that are not below `score`; it is `begin` or later."""
    return bisect_right(scored, -score, begin, key=lambda hit: -hit[0])


def _suggested(it: Document) -> set[str]:
    """Keywords as they are, folded, and the words of titles."""
    found = {fold(text.strip()) for _, text in it.keywords if len(text) <= 60}
    for _, title in it.titles:
        found |= {run for run, is_wide in runs(fold(title)) if not is_wide and 2 < len(run) <= 40}
    return {one for one in found if one}


def _any(queries: list[Any]) -> Any:
    from tantivy import Occur, Query

    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, one) for one in queries])


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    builder.add_unsigned_field("number", indexed=False, fast=True)
    # rows are deleted by a text: the library looks for signed numbers where it is given one
    builder.add_text_field("key", tokenizer_name="raw", index_option="basic")
    for name in ("title", "body"):
        builder.add_text_field(name, tokenizer_name="blank", index_option="freq")
    builder.add_text_field("word", tokenizer_name="raw", index_option="basic")
    for name in FACETS:
        if name != "freshness":
            builder.add_text_field(f"f_{name}", tokenizer_name="raw", index_option="basic", fast=True)
    for name in NUMBERED:
        builder.add_unsigned_field(f"n_{name}", indexed=True, fast=True)
    builder.add_text_field("terms", tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_unsigned_field("modified", indexed=True, fast=True)
    builder.add_unsigned_field("open", indexed=True)
    builder.add_unsigned_field("price", indexed=True, fast=True)
    for key in _KEYS.values():
        builder.add_unsigned_field(key, indexed=False, fast=True)
    return builder.build()
