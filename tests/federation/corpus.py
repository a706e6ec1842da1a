"""Products to search among: the labelled questions with what answers them, and enough beside them to get lost in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.describe.document import THEMES
from connector.ports.index import Document

_WORDS = list(THEMES)
_PLACES = {
    "en": ("Leeds", "Cork"), "de": ("Köln", "Graz"), "fr": ("Lyon", "Nantes"), "zh": ("上海", "成都"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, and the numbers of the products that answer it."""

    language: str
    text: str
    answers: frozenset[int]


def rows() -> list[list[str]]:
    """Language, title, description, question."""
    text = Path(__file__).with_name("labelled.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def document(number: int, language: str, title: str, description: str, **facets: tuple[str, ...]) -> Document:
    """A product in one language."""
    return Document(
        number=number,
        titles=((language, title),),
        texts=((language, description),),
        keywords=(),
        facets={"theme": (_WORDS[number % len(_WORDS)],), "language": (language,), **facets},
        terms=f"terms-{number % 5}",
        modified_s=1_700_000_000 + number * 3_600,
        added_s=1_750_000_000 + number,
        price_cents=None if number % 3 == 0 else number * 10,
    )


def labelled() -> tuple[list[Document], list[Question]]:
    """Each row as two products of two places that answer its question, and a thousand that mix the words of all."""
    documents: list[Document] = []
    questions: list[Question] = []
    described: dict[str, list[str]] = {}
    for language, title, description, question in rows():
        answers = []
        for place in _PLACES[language]:
            number = len(documents) + 1
            documents.append(document(number, language, f"{title} {place}", description))
            answers.append(number)
        questions.append(Question(language=language, text=question, answers=frozenset(answers)))
        described.setdefault(language, []).append(description)
    chance = random.Random(7)
    for _ in range(1_000):
        language = chance.choice(list(described))
        first, second = chance.sample(described[language], 2)
        number = len(documents) + 1
        mixed = first[: len(first) // 2] + second[len(second) // 2 :]
        documents.append(document(number, language, chance.choice(_PLACES[language]), mixed))
    return documents, questions


def natural() -> list[Question]:
    """Questions in words of their own, of people who have not seen how a product is described: compounds, other forms, other orders."""
    numbers: dict[tuple[str, str], frozenset[int]] = {}
    for place, (language, title, _, _) in enumerate(rows()):
        numbers[language, title] = frozenset({2 * place + 1, 2 * place + 2})
    text = Path(__file__).with_name("natural.tsv").read_text(encoding="utf-8")
    return [
        Question(language=language, text=question, answers=numbers[language, title])
        for language, title, question in (line.split("\t") for line in text.splitlines())
    ]


def recall(found: Sequence[int], answers: frozenset[int]) -> float:
    """The share of the answers among the first ten that were found."""
    return len(answers & set(found[:10])) / len(answers)
