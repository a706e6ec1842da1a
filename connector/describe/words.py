"""The words of a text as searching sees them: small letters without accents, Chinese by pairs of characters.

What lives here: splitting and folding, the same for what is indexed and what is asked. What does not: stems, which need a library
(`federation/words.py`).

Chinese, Japanese and Korean have no blanks between words. Pairs of neighbouring characters find nearly what a dictionary would, need
none, and miss nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

_WIDE: Final = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힯"
_RUN: Final = re.compile(rf"([{_WIDE}]+)|([^\W_{_WIDE}]+)")
_ACCENTS: Final = re.compile("[̀-ͯ]")
_SHORTEST_COMPOUND: Final = 8
_SHORTEST_PART: Final = 4
_SHORTEST_ALONE: Final = 5
_LINKS: Final = ("", "s", "n", "es", "en")
"""What German puts between the parts of a word."""
MAX_WORD: Final = 40
"""Longer words are cut: they are digests and addresses, not words."""


def fold(text: str) -> str:
    """The text in small letters and without accents: `Straße` and `STRASSE` are one."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain))


def runs(text: str) -> Iterator[tuple[str, bool]]:
    """Each word of a folded text, or run of wide characters, and whether it is such a run."""
    for found in _RUN.finditer(text):
        yield found[0], found[1] is not None


def pairs(run: str) -> list[str]:
    """The pairs of neighbouring characters in a run; the character itself where it stands alone."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def words(text: str) -> list[str]:
    """All words of a text, folded, wide characters by pairs."""
    found: list[str] = []
    for run, is_wide in runs(fold(text)):
        found += pairs(run) if is_wide else [run[:MAX_WORD]]
    return found


def parts(word: str, known: Callable[[str], str | None]) -> tuple[str, ...]:
    """The beginnings of words that a long word is put together from: `lebensmittel` and `preis` for `lebensmittelpreise`; that of its
    first part alone where the rest is not known; none for a word that cannot be taken apart.

    `known` says by which beginning a part is known, if it is.
    """
    alone: tuple[str, ...] = ()
    if len(word) < _SHORTEST_COMPOUND:
        return alone
    for cut in range(len(word) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
        head = known(word[:cut])
        if head is None:
            continue
        for link in _LINKS:
            rest = word[cut:].removeprefix(link)
            tail = known(rest) if len(rest) >= _SHORTEST_PART and word[cut:].startswith(link) else None
            if tail is not None:
                return head, tail
        if not alone and cut >= _SHORTEST_ALONE:
            alone = (head,)
    return alone
