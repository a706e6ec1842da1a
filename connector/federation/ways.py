"""The words of a question, as queries of tantivy: whole, as parts of longer words and in parts, or some of them.

What lives here: `Asked`. What does not: which way is gone (`tantivy_index.py`), stems (`words.py`), and taking a word apart, which needs
no library (`describe/words.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from connector.describe.words import parts
from connector.federation.words import Stems
from connector.ports.index import Way

_TITLE_BOOST: Final = 3.0
_SHARE_OF_PAIRS: Final = 0.6
"""So many of the pairs in a run of wide characters must be there: not all pairs in a question are words."""
_LOOSE_SHARE: Final = 0.34
_LOOSE_BOOST: Final = 0.4
"""Of what a word is a part of, or is made of, against the word itself."""
_SHORTEST_BEGINNING: Final = 5
_SHORTEST_STEM: Final = 4
_MOST_LONGER: Final = 20


class Asked:
    """The words of a question, as queries of each way."""

    def __init__(self, searcher: Any, schema: Any, stems: Stems, words: Sequence[tuple[tuple[str, ...], ...]]) -> None:
        self._searcher = searcher
        self._schema = schema
        self._stems = stems
        self._words = words
        self._kept: dict[Way, list[Any]] = {}
        self._begun: dict[str, tuple[str, ...]] = {}

    def queries(self, way: Way) -> list[Any]:
        """One for each word; in the last way one for all."""
        from tantivy import Occur, Query

        if way not in self._kept:
            made = [self._exact(word, _SHARE_OF_PAIRS) if way is Way.WORDS else self._loose(word, way) for word in self._words]
            some = way is Way.SOME and len(made) > 1
            self._kept[way] = [Query.boolean_query([(Occur.Should, one) for one in made])] if some else made
        return self._kept[way]

    def _exact(self, word: tuple[tuple[str, ...], ...], share: float) -> Any:
        from tantivy import Occur, Query

        pairs = [(Occur.Should, self._terms(part)) for part in word]
        if len(pairs) == 1:
            return pairs[0][1]
        return Query.boolean_query(pairs, minimum_number_should_match=max(1, math.ceil(len(pairs) * share)))

    def _loose(self, word: tuple[tuple[str, ...], ...], way: Way) -> Any:
        from tantivy import Occur, Query

        if len(word) > 1:
            return self._exact(word, _LOOSE_SHARE if way is Way.PARTS else 0.0)
        (variants,) = word
        found = [self._terms(variants)]
        longer = [term for one in variants if len(one) >= _SHORTEST_BEGINNING for term in self._beginning(one)]
        if longer:
            found.append(Query.boost_query(self._terms(longer), _LOOSE_BOOST))
        made_of = parts(max(variants, key=len), self._known)
        if made_of:
            each = [(Occur.Must if way is Way.PARTS else Occur.Should, self._terms(self._beginning(one))) for one in made_of]
            found.append(Query.boost_query(Query.boolean_query(each), _LOOSE_BOOST))
        return found[0] if len(found) == 1 else Query.disjunction_max_query(found, 0.1)

    def _terms(self, variants: Sequence[str]) -> Any:
        from tantivy import Query

        terms = [Query.boost_query(Query.term_query(self._schema, "title", one, "freq"), _TITLE_BOOST) for one in variants]
        terms += [Query.term_query(self._schema, "body", one, "freq") for one in variants]
        return Query.disjunction_max_query(terms, 0.3)

    def _known(self, part: str) -> str | None:
        """By which beginning the index knows a part of a word: that of one of its stems."""
        return next((one for one in self._stems.variants(part) if len(one) >= _SHORTEST_STEM and self._beginning(one)), None)

    def _beginning(self, text: str) -> tuple[str, ...]:
        """Some words of the index that begin so, the most frequent first."""
        if text not in self._begun:
            found = [self._searcher.terms_with_prefix(field, text, limit=_MOST_LONGER) for field in ("title", "body")]
            self._begun[text] = tuple(dict.fromkeys(term for part in found for term, _ in part))
        return self._begun[text]
