"""The words of a text as searching sees them: small letters without accents, Chinese by pairs of characters.

What lives here: splitting and folding, the same for what is indexed and what is asked. What does not: stems, which need a library
(`federation/words.py`).

Chinese, Japanese and Korean have no blanks between words. Pairs of neighbouring characters find nearly what a dictionary would, need
none, and miss nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_WIDE: Final = "぀-ヿ㐀-䶿一-鿿豈-﫿가-힯"
_RUN: Final = re.compile(rf"([{_WIDE}]+)|([^\W_{_WIDE}]+)")
_ACCENTS: Final = re.compile("[̀-ͯ]")
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
