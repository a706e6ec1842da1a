"""What people look for is found, in four languages, by either index; pages and counts are right while things change."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from sqlite3 import OperationalError
from threading import Event

import pytest

from connector.federation.tantivy_index import TantivyIndex
from connector.ports.index import LANGUAGES, Document, Hit, Index, Sort, Wanted, Way
from connector.storage.catalog.fulltext import FullText
from tests.federation.corpus import document, labelled, natural, recall

NOW_S = 1_705_000_000
KINDS: dict[str, Callable[[Path], Index]] = {"tantivy": TantivyIndex, "fts5": FullText}


@pytest.fixture(scope="module", params=list(KINDS))
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index over the labelled products."""
    index = KINDS[request.param](tmp_path_factory.mktemp("index"))
    assert index.open() == 0
    documents, _ = labelled()
    index.apply(documents, (), len(documents))
    yield index
    index.close()


@pytest.fixture(params=list(KINDS))
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    """An index with nothing in it."""
    index = KINDS[request.param](tmp_path)
    index.open()
    yield index
    index.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [40, 15])
def test_of_what_answers_a_set_of_questions_nine_tenths_are_among_the_first_ten(full: Index, language: str, count: int) -> None:
    """Forty questions in each language with words of the descriptions, and fifteen in words of their own."""
    asked = labelled()[1] if count == 40 else natural()
    questions = [question for question in asked if question.language == language]
    assert len(questions) == count
    found = {
        q.text: recall([hit.number for hit in full.search(Wanted(text=q.text, size=10)).hits], q.answers) for q in questions
    }
    missed = sorted(text for text, share in found.items() if share < 1)
    assert sum(found.values()) / len(found) >= 0.9, missed


@pytest.mark.parametrize("sort", list(Sort))
def test_pages_give_each_product_once_while_others_come_and_go(small: Index, sort: Sort) -> None:
    small.apply([document(number, "en", "Weather", "the same for all") for number in range(1, 121)], (), 1)
    seen: list[Hit] = []
    wanted = Wanted(text="weather", sort=sort, size=25, now_s=NOW_S)
    while True:
        page = small.search(wanted)
        assert page.total == 120
        seen += page.hits
        if not page.has_more:
            break
        # one that was seen goes, and comes back at another place in the file
        small.apply([document(seen[0].number, "en", "Weather", "the same for all")], (), 2)
        last = page.hits[-1]
        wanted = replace(wanted, after=(last.value, last.number), skip=len(seen))
    assert sorted(hit.number for hit in seen) == list(range(1, 121))


def test_totals_and_counts_are_those_of_all_that_is_found(full: Index) -> None:
    found = full.search(
        Wanted(chosen={"language": ("zh",)}, size=1, counted=("theme", "language", "freshness", "terms"), now_s=NOW_S)
    )
    assert found.total > 80
    assert dict(found.counts["language"]) == {"zh": found.total}
    assert sum(count for _, count in found.counts["terms"]) == found.total
    assert sum(count for _, count in found.counts["freshness"]) == found.total
    assert sum(count for _, count in found.counts["theme"]) == found.total


def test_publishers_are_counted_by_their_names_whoever_comes_and_goes_and_after_a_restart(tmp_path: Path) -> None:
    def one(number: int, publisher: str) -> Document:
        it = document(number, "en", "Weather", "")
        return replace(it, facets={**it.facets, "publisher": (publisher,), "origin": (f"did:web:{number}",)})

    wanted = Wanted(text="weather", counted=("publisher", "origin"))
    for name, kind in KINDS.items():
        index = kind(tmp_path / name)
        index.open()
        index.apply([one(n, f"Office {n % 7}") for n in range(1, 21)], (), 7)
        counts = index.search(wanted).counts
        assert counts["publisher"] == (*((f"Office {n}", 3) for n in range(1, 7)), ("Office 0", 2))
        assert dict(counts["origin"]) == {f"did:web:{n}": 1 for n in range(1, 21)}
        index.apply([one(1, "Office 2"), one(21, "Büro 9")], (7, 14), 8)
        expected = (("Office 2", 4), *((f"Office {n}", 3) for n in range(3, 7)), ("Office 1", 2), ("Büro 9", 1))
        assert index.search(wanted).counts["publisher"] == expected
        index.close()
        index = kind(tmp_path / name)
        index.open()
        index.apply([one(22, "Büro 9")], (), 9)
        assert dict(index.search(wanted).counts["publisher"]) == {**dict(expected), "Büro 9": 2}
        index.close()


def test_filters_narrow_and_values_of_one_facet_widen(full: Index) -> None:
    def total(**chosen: tuple[str, ...]) -> int:
        return full.search(Wanted(chosen=chosen, now_s=NOW_S)).total

    assert total(language=("de", "fr")) == total(language=("de",)) + total(language=("fr",))
    assert 0 < total(language=("de",), theme=("health",)) < total(language=("de",))
    assert total(theme=("astrology",)) == 0
    ages = [total(freshness=(age,)) for age in ("day", "week", "month", "year", "older", "unknown")]
    assert sum(ages) == total()


def test_terms_dates_and_prices_bound_what_is_found(full: Index) -> None:
    every = full.search(Wanted(now_s=NOW_S)).total
    of_terms = [full.search(Wanted(terms=frozenset({f"terms-{n}"}))).total for n in range(5)]
    assert sum(of_terms) == every
    assert full.search(Wanted(terms=frozenset())).total == 0
    assert full.search(Wanted(without=frozenset({"terms-0", "terms-1"}))).total == sum(of_terms[2:])
    with_and_without = [
        full.search(Wanted(without=one, text="earthquake")).total for one in (frozenset(), frozenset({"terms-0"}))
    ]
    assert with_and_without[0] > with_and_without[1] > 0
    assert [hit.number for hit in full.search(Wanted(numbers=frozenset({7, 5, 99_999}))).hits] == [7, 5]
    assert full.search(Wanted(numbers=frozenset())).total == 0
    assert full.search(Wanted(price_at_most_cents=100)).total == 7  # numbers 1 to 10, each third without a price
    assert full.search(Wanted(modified_after_s=1_700_000_000 + 3_600 * (every - 9))).total == 10


@pytest.mark.parametrize("kind", KINDS)
def test_what_names_somebody_is_found_by_whom_it_names(kind: str, tmp_path: Path) -> None:
    index = KINDS[kind](tmp_path)
    index.open()
    every = [replace(document(number, "en", f"Weather {number}", ""), is_open=number > 2) for number in range(1, 5)]
    index.apply(every, (), 1)
    for named, numbers in ((None, [4, 3, 2, 1]), (frozenset(), [4, 3]), (frozenset({"terms-2"}), [4, 3, 2])):
        assert [hit.number for hit in index.search(Wanted(named=named)).hits] == numbers
        assert index.search(Wanted(named=named, text="weather")).total == len(numbers)
    index.close()


def test_the_cheapest_come_first_and_those_without_a_price_last(full: Index) -> None:
    assert [hit.number for hit in full.search(Wanted(sort=Sort.CHEAPEST, size=4)).hits] == [1, 2, 4, 5]


def test_when_nothing_has_all_words_what_has_some_is_shown_and_says_so(full: Index) -> None:
    found = full.search(Wanted(text="earthquake sausages"))
    assert found.way is Way.SOME
    assert found.total > 0
    assert full.search(Wanted(text="earthquake")).way is not Way.SOME
    assert full.search(Wanted(text="sausages")).total == 0


@pytest.mark.parametrize(
    "text", ['"', "a AND", "title:x", "(((", "NEAR(", "*", "-", "^1", "'; DROP TABLE doc", "<b>", "\\", "《》"]
)
def test_no_sign_that_people_type_is_a_command(full: Index, text: str) -> None:
    assert full.search(Wanted(text=text)).total >= 0


def test_words_are_suggested_by_their_beginning(full: Index) -> None:
    assert full.suggest("Erdbeben", 5) == ("erdbebenkatalog",)
    assert "satellite" in full.suggest("sat", 5)
    assert full.suggest("", 5) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_is_full_takes_nothing_half_and_when_there_is_room_everything(kind: str, tmp_path: Path) -> None:
    index = KINDS[kind](tmp_path)
    index.open()
    index.apply([document(1, "en", "Weather", "")], (), 1)
    more = [document(number, "en", f"Weather {number}", f"{number:x}" * 50) for number in range(2, 100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_048, hard))
    try:
        with pytest.raises((ValueError, OperationalError), match=r"File too large|disk"):
            index.apply(more, (), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert index.search(Wanted(text="weather")).total == 1
    index.apply(more, (), 2)
    assert index.search(Wanted(text="weather")).total == 99
    index.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_what_is_gone_is_suggested(kind: str, tmp_path: Path) -> None:
    index = KINDS[kind](tmp_path)
    index.open()
    index.apply([document(1, "en", "Weather", ""), document(2, "en", "Secret weapons", "")], (), 7)
    index.apply([], (2,), 8)
    assert (index.suggest("sec", 5), index.suggest("wea", 5)) == ((), ("weather",))
    index.close()


def test_what_was_taken_over_is_there_after_a_restart(tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        first = kind(tmp_path / name)
        first.open()
        first.apply([document(1, "en", "Weather", ""), document(2, "en", "Wind", "")], (), 7)
        first.apply([], (2,), 8)
        first.close()
        again = kind(tmp_path / name)
        assert again.open() == 8
        assert [hit.number for hit in again.search(Wanted(text="weather")).hits] == [1]
        assert again.search(Wanted(text="wind")).total == 0
        again.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_that_is_closed_while_it_takes_something_over_ends_that_first(kind: str, tmp_path: Path) -> None:
    index, is_begun = KINDS[kind](tmp_path), Event()

    class Told(list[Document]):
        def __iter__(self) -> Iterator[Document]:
            is_begun.set()
            return super().__iter__()

    index.open()
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(index.apply, Told(document(n, "en", "Weather", "of today") for n in range(1, 301)), (), 7)
        assert is_begun.wait(10)
        index.close()
        taken.result(10)
    again = KINDS[kind](tmp_path)
    assert (again.open(), again.search(Wanted(text="weather")).total) == (7, 300)
    again.close()


def test_an_index_that_is_damaged_begins_anew(tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        first = kind(tmp_path / name)
        first.open()
        first.apply([document(1, "en", "Weather", "")], (), 7)
        first.close()
        for path in (tmp_path / name).rglob("*"):
            if path.is_file() and path.name != "applied.json":
                path.write_bytes(b"no index at all" * 100)
        again = kind(tmp_path / name)
        assert again.open() == 0
        assert again.search(Wanted()).total == 0
        again.close()


def test_a_long_word_is_found_by_its_parts_and_a_part_in_a_long_word(small: Index) -> None:
    titles = {1: "Preise von Lebensmitteln", 2: "Hochwasserwarnungen am Pegel", 3: "Weizen im Winter", 4: "Ernteerträge"}
    small.apply([document(number, "de", title, "") for number, title in titles.items()], (), 1)
    for text, numbers in (
        ("Lebensmittelpreise", [1]), ("Hochwasser", [2]), ("Pegelstand", [2]), ("Bundesgartenschau", []), ("Weizenpreise", []),
    ):  # fmt: skip
        found = small.search(Wanted(text=text, way=Way.PARTS))
        assert [hit.number for hit in found.hits] == numbers, text
    # both parts are there, and no product has both: some of them is better than nothing, and is called that
    found = small.search(Wanted(text="Weizenernte"))
    assert (found.way, sorted(hit.number for hit in found.hits)) == (Way.SOME, [3, 4])


def test_what_has_the_word_itself_comes_before_what_has_it_in_another(tmp_path: Path) -> None:
    """Where the index knows words: that of SQLite knows beginnings alone."""
    index = TantivyIndex(tmp_path)
    index.open()
    index.apply(
        [document(1, "de", "Wetterkarten", ""), document(2, "de", "Wetter", ""), document(3, "de", "Karten", "")], (), 1
    )
    assert [hit.number for hit in index.search(Wanted(text="Wetter")).hits] == [2, 1]
    index.close()


def test_a_choice_leads_to_what_was_counted_for_it_in_whatever_way_it_was_found(small: Index) -> None:
    """Eleven have the word, of which one is in a theme that others are in who have it as a part: it was counted as one."""
    themes = {number: ("energy",) if number in (1, 20, 21) else ("health",) for number in (*range(1, 12), 20, 21)}
    titles = {number: "Wetterkarte" if number >= 20 else "Wetter" for number in themes}
    small.apply([document(number, "de", titles[number], "", theme=themes[number]) for number in themes], (), 1)
    counted = dict(small.search(Wanted(text="Wetter", counted=("theme",))).counts["theme"])
    for theme, count in counted.items():
        assert small.search(Wanted(text="Wetter", chosen={"theme": (theme,)})).total == count, theme
    assert counted["health"] == 10


def test_a_page_goes_on_in_the_way_of_the_one_before_it(small: Index) -> None:
    small.apply([document(number, "de", "Wetterkarte", "") for number in range(1, 10)], (), 1)
    first = small.search(Wanted(text="Wetter", size=4))
    # meanwhile there are so many with the word itself that nobody would look for it in others
    small.apply([document(number, "de", "Wetter", "") for number in range(20, 40)], (), 2)
    last = first.hits[-1]
    second = small.search(Wanted(text="Wetter", size=40, after=(last.value, last.number), skip=4, way=first.way))
    assert first.way is Way.PARTS
    assert {hit.number for hit in second.hits} >= set(range(5, 10))
