"""Words with their stems, in English, German, French and Chinese: for what is indexed and for what is asked.

What lives here: `Stems`. A text is stemmed by the rules of its own language, or of all three when nobody says which it is in. A word
that is asked for is looked for under every stem that it could have: whoever searches does not say in which language.
Source: Snowball stemmers, stop words as tantivy carries them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from connector.describe.words import MAX_WORD, fold, pairs, runs

_NAMES: Final = {"en": "english", "de": "german", "fr": "french"}
_MOST_CHARACTERS: Final = 20_000
"""Of one text; what stands behind is not searched."""


class Stems:
    """The analysers of all languages; loads tantivy."""

    def __init__(self) -> None:
        from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

        def analyser(language: str, *, drops_stop_words: bool) -> Any:
            builder = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.lowercase())
            if drops_stop_words:
                builder = builder.filter(Filter.stopword(language))
            return builder.filter(Filter.stemmer(language)).filter(Filter.ascii_fold()).build()

        self._texts = {code: analyser(name, drops_stop_words=True) for code, name in _NAMES.items()}
        self._words = {code: analyser(name, drops_stop_words=False) for code, name in _NAMES.items()}
        self.variants = lru_cache(maxsize=4096)(self._variants)

    def indexed(self, text: str, language: str) -> list[str]:
        """What stands in the index for a text: each stem as often as it occurs."""
        text = text[:_MOST_CHARACTERS]
        narrow: list[str] = []
        found: list[str] = []
        for run, is_wide in runs(text):
            if is_wide:
                found += pairs(run)
                if len(run) <= 2 * MAX_WORD:
                    found += run if len(run) > 1 else []
            else:
                narrow.append(run[:MAX_WORD])
        if narrow:
            joined = " ".join(narrow)
            code = language[:2].lower()
            if code in self._texts:
                found += self._texts[code].analyze(joined)
            else:
                stems = {stem for analyser in self._texts.values() for stem in analyser.analyze(joined)}
                found += sorted(stems | set(fold(joined).split()))
        return found

    def asked(self, text: str) -> list[tuple[tuple[str, ...], ...]]:
        """The words that are looked for. Each is one or more parts (pairs of wide characters), each part one or more variants.

        Words that say nothing in any of the languages are left out, unless there are no others.
        """
        every: list[tuple[tuple[str, ...], ...]] = []
        telling: list[tuple[tuple[str, ...], ...]] = []
        word: tuple[tuple[str, ...], ...]
        for run, is_wide in runs(text[:_MOST_CHARACTERS]):
            if is_wide:
                word = tuple((pair,) for pair in pairs(run))
                telling.append(word)
            else:
                word = (self.variants(run[:MAX_WORD]),)
                if all(analyser.analyze(run) for analyser in self._texts.values()):
                    telling.append(word)
            every.append(word)
        return telling or every

    def _variants(self, word: str) -> tuple[str, ...]:
        found = dict.fromkeys(stem for analyser in self._words.values() for stem in analyser.analyze(word))
        found[fold(word)] = None
        return tuple(found)
