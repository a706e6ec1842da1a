"""Words are the same however they are written, and Chinese is split by pairs."""

from __future__ import annotations

import pytest

from connector.describe.words import MAX_WORD, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Qualité de l'air", ["qualite", "de", "l", "air"]),
        ("PM2.5 snake_case", ["pm2", "5", "snake", "case"]),
        ("空气质量", ["空气", "气质", "质量"]),
        ("水 H2O水质", ["水", "h2o", "水质"]),
        ("", []),
        ("a" * 100, ["a" * MAX_WORD]),
    ],
)
def test_words_of_a_text(text: str, found: list[str]) -> None:
    assert words(text) == found
