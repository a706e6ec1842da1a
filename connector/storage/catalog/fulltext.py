"""The search index on SQLite's full text (FTS5): for a catalogue where the extra `catalog` is not installed.

What lives here: `FullText`, the port `Index`, in a file of its own that is made anew when it is lost. Words are found by their
beginnings, because FTS5 knows no stems but English ones; Chinese is found by pairs of characters. It answers what tantivy answers,
ten times slower at a million products.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from connector.describe.words import fold, pairs, parts, runs, words
from connector.ports.index import ENOUGH, FACETS, MAX_DEPTH, MOST_VALUES, Document, Found, Hit, Sort, Wanted, Way, start_of
from connector.storage.sqlite import space

_VERSION: Final = 4
_SCHEMA: Final = """
CREATE TABLE doc (
    number INTEGER PRIMARY KEY, terms TEXT NOT NULL, open INTEGER NOT NULL, modified INTEGER NOT NULL, added INTEGER NOT NULL, price INTEGER
);
CREATE INDEX doc_terms ON doc (terms);
CREATE INDEX doc_added ON doc (added, number);
CREATE INDEX doc_modified ON doc (modified, number);
CREATE TABLE facet (number INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (number, name, value)) WITHOUT ROWID;
CREATE INDEX facet_value ON facet (name, value, number);
CREATE TABLE word (word TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (word, number)) WITHOUT ROWID;
CREATE INDEX word_number ON word (number);
CREATE VIRTUAL TABLE text USING fts5(title, body, tokenize = "unicode61 remove_diacritics 0", prefix = '4');
CREATE VIRTUAL TABLE term USING fts5vocab(text, 'row');
CREATE TABLE applied (sequence INTEGER NOT NULL);
INSERT INTO applied VALUES (0);
"""
_NO_PRICE: Final = 1 << 62
_ORDERS: Final = {
    Sort.MODIFIED: "d.modified", Sort.ADDED: "d.added", Sort.CHEAPEST: f"{_NO_PRICE} - coalesce(d.price, {_NO_PRICE})",
}  # fmt: skip
_FOR: Final = "(d.open OR d.terms IN (SELECT value FROM json_each(?)))"
"""Products that are open, and those under terms that name somebody."""
_AGES: Final = (("day", 1), ("week", 7), ("month", 31), ("year", 366))
_DAY_S: Final = 86_400
_GIVEN_BACK_PAGES: Final = 2048
_SHORTEST_BEGINNING: Final = 4
_SPARE: Final = 50
"""Hits looked at beyond a page of a ranking, to find the place behind its last one again."""


class FullText:
    """An index in the folder `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "fulltext.db"
        self._local = threading.local()
        self._every: list[sqlite3.Connection] = []
        self._one = threading.Lock()

    def open(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return self._opened()
        except sqlite3.DatabaseError:
            for path in self._folder.glob("fulltext.db*"):
                path.unlink()
            return self._opened()

    def _opened(self) -> int:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("another layout")
            if version == 0:
                connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT")
            return int(connection.execute("SELECT sequence FROM applied").fetchone()[0])

    def close(self) -> None:
        # whoever was told to stop may still be taking changes over in a thread
        with self._one:
            for connection in self._every:
                connection.close()
            self._every.clear()
            self._local = threading.local()

    def clear(self) -> None:
        connection = self._connection()
        tables = ("text", "facet", "word", "doc")
        connection.executescript(
            f"BEGIN;{''.join(f'DELETE FROM {name};' for name in tables)}UPDATE applied SET sequence = 0;COMMIT"
        )

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.glob("fulltext.db*"))

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
            found.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = found
            self._every.append(found)
        return found

    # --- what goes in

    def apply(self, documents: Sequence[Document], gone: Sequence[int], sequence: int) -> None:
        with self._one:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                numbers = [(number,) for number in (*gone, *(document.number for document in documents))]
                for table, column in (("text", "rowid"), ("facet", "number"), ("word", "number"), ("doc", "number")):
                    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", numbers)
                connection.executemany(
                    "INSERT INTO doc VALUES (?, ?, ?, ?, ?, ?)",
                    [(it.number, it.terms, it.is_open, it.modified_s, it.added_s, it.price_cents) for it in documents],
                )
                connection.executemany(
                    "INSERT INTO text (rowid, title, body) VALUES (?, ?, ?)",
                    [(it.number, _joined(it.titles), _joined((*it.keywords, *it.texts))) for it in documents],
                )
                connection.executemany(
                    "INSERT OR IGNORE INTO facet VALUES (?, ?, ?)",
                    [(it.number, name, value) for it in documents for name in FACETS for value in it.facets.get(name, ())],
                )
                suggested = [(word, it.number) for it in documents for word in _suggested(it)]
                connection.executemany("INSERT OR IGNORE INTO word VALUES (?, ?)", suggested)
                connection.execute("UPDATE applied SET sequence = ?", (sequence,))
                connection.execute("COMMIT")
                _give_back(connection)
            except BaseException:
                # a disk that is full has ended the transaction already
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    # --- what comes out

    def search(self, wanted: Wanted) -> Found:
        connection = self._connection()
        asked = _Asked(connection, wanted.text)
        sort = wanted.sort if asked.is_any or wanted.sort is not Sort.RELEVANCE else Sort.ADDED
        every = replace(wanted, chosen={}, numbers=None, modified_after_s=None, price_at_most_cents=None)

        def count(way: Way, of: Wanted) -> int:
            return int(connection.execute(*_select("count(*)", asked.match(way), of)).fetchone()[0])

        way = wanted.way if wanted.way is not None and asked.is_any else Way.WORDS
        total = count(way, wanted)
        # the way depends on the text alone: a choice among the facets leads to what was counted for it
        if asked.is_any and wanted.way is None and total < ENOUGH and count(Way.WORDS, every) < ENOUGH:
            way = Way.PARTS if count(Way.PARTS, every) else Way.SOME
            total = count(way, wanted)
        match = asked.match(way)
        if sort is Sort.RELEVANCE:
            sql, values = _select("d.number, bm25(text, 3.0, 1.0) AS value", match, wanted)
            most = min(wanted.skip + wanted.size + _SPARE, MAX_DEPTH)
            rows = connection.execute(f"{sql} ORDER BY value, d.number LIMIT ?", [*values, most]).fetchall()
            begin = start_of([number for number, _ in rows], wanted)
            rows = rows[begin : begin + wanted.size + 1]
        else:
            sql, values = _select(f"d.number AS number, {_ORDERS[sort]} AS value", match, wanted)
            behind, more = "", []
            if wanted.after is not None:
                behind, more = " WHERE (value, number) < (?, ?)", list(wanted.after)
            rows = connection.execute(
                f"SELECT number, value FROM ({sql}){behind} ORDER BY value DESC, number DESC LIMIT ?",
                [*values, *more, wanted.size + 1],
            ).fetchall()
        hits = tuple(Hit(number=number, value=value) for number, value in rows[: wanted.size])
        counts = {name: tuple(_counted(connection, name, match, wanted)) for name in wanted.counted}
        has_more = len(rows) > wanted.size and wanted.skip + wanted.size < MAX_DEPTH
        return Found(total=total, hits=hits, counts=counts, has_more=has_more, way=way)

    def suggest(self, beginning: str, limit: int, named: frozenset[str] | None = None) -> tuple[str, ...]:
        folded = fold(beginning.strip())
        if not folded:
            return ()
        seen, values = "", [folded, folded + "\U0010ffff"]
        if named is not None:
            seen = f" AND number IN (SELECT d.number FROM doc AS d WHERE {_FOR})"
            values.append(json.dumps(sorted(named)))
        rows = self._connection().execute(
            f"SELECT word FROM word WHERE word >= ? AND word < ?{seen} GROUP BY word ORDER BY count(*) DESC, word LIMIT ?",
            (*values, limit),
        )
        return tuple(word for (word,) in rows)


def _joined(texts: Sequence[tuple[str, str]]) -> str:
    return " ".join(word for _, text in texts for word in words(text))


def _suggested(it: Document) -> set[str]:
    found = {fold(text.strip()) for _, text in it.keywords if len(text) <= 60}
    for _, title in it.titles:
        found |= {run for run, is_wide in runs(fold(title)) if not is_wide and 2 < len(run) <= 40}
    return {one for one in found if one}


def _give_back(connection: sqlite3.Connection) -> None:
    """Let a part of what is free go back to the disk, where it is much: the next changes give back the rest."""
    if space.look(connection).is_worth_it:
        space.cut(connection, _GIVEN_BACK_PAGES)


class _Asked:
    """The words of a question, as FTS5 looks for them in each way: by their beginnings, without what endings change."""

    def __init__(self, connection: sqlite3.Connection, text: str) -> None:
        self._connection = connection
        self._runs = list(runs(fold(text)))
        self.is_any = bool(self._runs)

    def match(self, way: Way) -> str:
        """The expression; empty when nothing is asked for."""
        every = [part for run, is_wide in self._runs for part in (_wide(run, way) if is_wide else [self._word(run, way)])]
        return (" OR " if way is Way.SOME else " AND ").join(every)

    def _word(self, run: str, way: Way) -> str:
        beginning = run[: max(_SHORTEST_BEGINNING, len(run) - 2)] if len(run) > _SHORTEST_BEGINNING + 1 else run
        found = f'"{beginning}"' + ("*" if len(run) >= _SHORTEST_BEGINNING else "")
        made_of = parts(run, self._known) if way is not Way.WORDS else ()
        if not made_of:
            return found
        joined = (" OR " if way is Way.SOME else " AND ").join(f'"{one}"*' for one in made_of)
        return f"({found} OR ({joined}))"

    def _known(self, part: str) -> str | None:
        """By which beginning the index knows a part of a word, without what endings change."""
        for beginning in (part[: len(part) - cut] for cut in (0, 1, 2)):
            if len(beginning) >= _SHORTEST_BEGINNING:
                sql = "SELECT 1 FROM term WHERE term >= ? AND term < ? LIMIT 1"
                if self._connection.execute(sql, (beginning, beginning + "\U0010ffff")).fetchone():
                    return beginning
        return None


def _wide(run: str, way: Way) -> list[str]:
    """A run of wide characters: all of its pairs, or any of them."""
    every = [f'"{pair}"*' for pair in pairs(run)]
    return every if way is Way.WORDS else [f"({' OR '.join(every)})"]


def _select(what: str, match: str, wanted: Wanted, tail: str = "") -> tuple[str, list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    source = "doc AS d"
    if match:
        source += " JOIN text ON text.rowid = d.number"
        conditions.append("text MATCH ?")
        values.append(match)
    for condition, more in _filters(wanted):
        conditions.append(condition)
        values += more
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {what} FROM {source}{where}{tail}", values


def _filters(wanted: Wanted) -> Iterator[tuple[str, list[Any]]]:
    for name, chosen in wanted.chosen.items():
        if name == "freshness":
            ages = [bounds for value in chosen if (bounds := _age(value, wanted.now_s)) is not None]
            either = " OR ".join("(d.modified >= ? AND d.modified < ?)" for _ in ages)
            yield f"({either or '0'})", [bound for bounds in ages for bound in bounds]
        else:
            marks = ", ".join("?" for _ in chosen)
            free = " OR d.price = 0" if name == "currency" else ""
            yield (
                f"(EXISTS (SELECT 1 FROM facet AS f WHERE f.number = d.number AND f.name = ? AND f.value IN ({marks})){free})",
                [name, *chosen],
            )
    if wanted.named is not None:
        yield _FOR, [json.dumps(sorted(wanted.named))]
    if wanted.terms is not None:
        yield "d.terms IN (SELECT value FROM json_each(?))", [json.dumps(sorted(wanted.terms))]
    if wanted.without:
        yield "d.terms NOT IN (SELECT value FROM json_each(?))", [json.dumps(sorted(wanted.without))]
    if wanted.numbers is not None:
        yield "d.number IN (SELECT value FROM json_each(?))", [json.dumps(sorted(wanted.numbers))]
    if wanted.modified_after_s is not None:
        yield "d.modified >= ?", [max(1, wanted.modified_after_s)]
    if wanted.price_at_most_cents is not None:
        yield "d.price <= ?", [wanted.price_at_most_cents]


def _bounds(now_s: int) -> Mapping[str, tuple[int, int]]:
    """Of each value of the facet `freshness`: its first second and the one behind its last."""
    found: dict[str, tuple[int, int]] = {}
    high = 1 << 40
    for name, days in _AGES:
        low = max(1, now_s - days * _DAY_S)
        found[name] = (low, high)
        high = low
    return {**found, "older": (1, high), "unknown": (0, 1)}


def _age(value: str, now_s: int) -> tuple[int, int] | None:
    return _bounds(now_s).get(value)


def _counted(connection: sqlite3.Connection, name: str, match: str, wanted: Wanted) -> Iterator[tuple[str, int]]:
    if name == "freshness":
        for value, (low, high) in _bounds(wanted.now_s).items():
            sql, values = _select("d.modified AS modified", match, wanted)
            (count,) = connection.execute(
                f"SELECT count(*) FROM ({sql}) WHERE modified >= ? AND modified < ?", [*values, low, high]
            ).fetchone()
            if count:
                yield value, count
        return
    if name == "terms":
        sql, values = _select("d.terms AS value", match, wanted)
        yield from connection.execute(f"SELECT value, count(*) FROM ({sql}) GROUP BY 1 ORDER BY 2 DESC, 1", values)
        return
    sql, values = _select("d.number, d.price", match, wanted)
    free = 0
    if name == "currency":
        # what costs nothing is counted with each currency, as it is found with each
        (free,) = connection.execute(f"SELECT count(*) FROM ({sql}) WHERE price = 0", values).fetchone()
    rows = connection.execute(
        f"SELECT value, count(*) FROM facet WHERE name = ? AND number IN (SELECT number FROM ({sql}))"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
        [name, *values, MOST_VALUES],
    )
    yield from ((value, count + free) for value, count in rows)
