"""A description in YAML is read whole, or every fault in it is told with its place and a hint."""

from __future__ import annotations

import pytest

from connector.describe import reading
from connector.describe.document import Party, Price
from connector.errors import ConfigurationError
from tests.describe import corpus


def test_a_whole_description_is_read() -> None:
    it = reading.read(corpus.whole_text(), "weather.yaml")
    assert dict(it.title) == {"en": "Hourly weather, 2013", "de": "Wetter jede Stunde", "zh": "每小时天气"}
    assert it.keywords == (("en", "weather"), ("en", "wind"), ("de", "Wetter"))
    assert it.contact == "mailto:data@weather.example"
    assert it.frequency == "http://publications.europa.eu/resource/authority/frequency/HOURLY"
    assert dict(it.rights)["processing"] == Party(name=(("", "Example Analytics"),))
    assert it.price == Price(amount="12.50", currency="EUR", per="month", terms=(("en", "Payable in advance."),))
    assert [(one.name, one.type, one.is_required) for one in it.columns] == [
        ("origin", "string", True),
        ("temp", "decimal", False),
    ]
    assert it.modified is not None
    assert it.modified.isoformat() == "2026-01-02T03:04:05+00:00"
    assert it.places["title"] == "weather.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titel: a", "unknown word `titel` at `d.yaml:1:1`; did you mean `title`"),
        ("title: a\ntitle: b", "`title` is written twice at `d.yaml:2:1`"),
        ("title: {in english: a}", "`in english` is no language at `d.yaml:1:9`"),
        ("title: {en: a, EN: b}", "the language `en` stands twice at `d.yaml:1:16`"),
        ("title: [a]", "expected a text at `d.yaml:1:8`"),
        ("title: 5", '`5` is a number, and a text is expected at `d.yaml:1:8`; quote it if it is one: "5"'),
        ("title: {en: yes}", "`yes` is yes or no, and a text is expected at `d.yaml:1:13`"),
        ("description: 2025-01-01", "`2025-01-01` is a date, and a text is expected at `d.yaml:1:14`"),
        ("keywords: [weather, 2013]", "`2013` is a number, and a text is expected at `d.yaml:1:21`"),
        ("keywords: [~]", "expected a text at `d.yaml:1:12`"),
        ("identifiers: [~]", "expected a text at `d.yaml:1:15`"),
        ("identifiers: {a: b}", "expected a text at `d.yaml:1:14`"),
        ("publisher: {name: 7}", "`7` is a number, and a text is expected at `d.yaml:1:19`"),
        ("columns: [{name: 1}]", "`1` is a number, and a text is expected at `d.yaml:1:18`"),
        ("columns: [{name: a, unit: 3}]", "`3` is a number, and a text is expected at `d.yaml:1:27`"),
        ("contact: Anna", "`Anna` is no contact at `d.yaml:1:10`; write a mail address"),
        ("contact: 'javascript:alert(1)'", "`javascript:alert(1)` is no contact at `d.yaml:1:10`"),
        ("landing_page: 'javascript:alert(1)'", "`javascript:alert(1)` is no web address at `d.yaml:1:15`"),
        ("temporal: {from: 2025-12-31, to: 2025-01-01}", "it ends on 2025-01-01, before it begins at `d.yaml:1:34`"),
        ("quality: {measures: {a: 0.1, a: 0.2}}", "`a` is measured twice at `d.yaml:1:30`"),
        ("frequency: dayly", "unknown frequency `dayly` at `d.yaml:1:12`; did you mean `daily`"),
        ("themes: [enviroment]", "unknown theme `enviroment` at `d.yaml:1:10`; did you mean `environment`"),
        ("grade: 9", "unknown grade `9` at `d.yaml:1:8`; known here: `core`, `general`, `important`"),
        ("level: 6", "unknown level `6` at `d.yaml:1:8`"),
        ("rights: {owning: a}", "unknown word `owning` at `d.yaml:1:10`"),
        ("publisher: {name: a, mail: b}", "no party at `d.yaml:1:12`"),
        ("columns:\n  - {type: string}", "a column without a name at `d.yaml:2:5`"),
        ("columns:\n  - {name: a}\n  - {name: a}", "the column `a` stands twice at `d.yaml:3:12`"),
        ("columns: [{name: a, type: int}]", "unknown type `int` at `d.yaml:1:27`"),
        ("quality: {measures: {completeness: 98%}}", "`98%` is no number at `d.yaml:1:36`"),
        ("price: {amount: 3}", "an amount without a currency at `d.yaml:1:17`"),
        ("price: {amount: -3, currency: EUR}", "`-3` is no amount at `d.yaml:1:17`"),
        ("price: {amount: 3, currency: Euro}", "`Euro` is no currency at `d.yaml:1:30`"),
        ("license: CC0", "`CC0` is no IRI at `d.yaml:1:10`"),
        ("byte_size: 1.5", "`1.5` is no whole number at `d.yaml:1:12`"),
        ("sha256: abc", "`abc` is no SHA-256 at `d.yaml:1:9`"),
        ("media_type: csv", "`csv` is no media type at `d.yaml:1:13`"),
        ("modified: 2025-02-30", "`2025-02-30` is no date at `d.yaml:1:11`"),
        ("temporal: {from: soon}", "`soon` is no date at `d.yaml:1:18`"),
        ("temporal: 2025", "expected `name: value` lines at `d.yaml:1:11`"),
        ("product_code: 61234", "`61234` is no product code at `d.yaml:1:15`"),
        ("keywords: [" + "a, " * 101 + "]", "101 keywords at `d.yaml:1:11`"),
        ("a: &x b", "an anchor or alias at `d.yaml:1:4`"),
        ("a: {b", "not YAML"),
        ("", "an empty file at `d.yaml`"),
        ("[]", "expected `name: value` lines at `d.yaml:1:1`"),
        ("[[[[[[[[[1]]]]]]]]]", "nested deeper than 8 at `d.yaml:1:9`"),
        ("a" * 1_000_001, "more than 1000000 characters at `d.yaml`"),
        ("title: \x00", "not YAML"),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        reading.read(text, "d.yaml")
    assert str(fault.value).startswith(said)


def test_all_faults_are_found_in_one_reading_and_the_rest_is_kept() -> None:
    it, faults = reading.parsed("title: a\ngrade: secret\nlevel: 2\nfrequency: often\n", "d.yaml")
    assert [fault.where for fault in faults] == ["d.yaml:2:8", "d.yaml:4:12"]
    assert (it.title, it.level, it.grade) == ((("", "a"),), "2", None)


def test_a_word_with_nothing_behind_it_says_nothing() -> None:
    assert reading.read("title: a\nlicense:\n").license is None


def test_numbers_and_codes_need_no_quotes_and_stay_as_they_are_written() -> None:
    it = reading.read(
        "title: a\nversion: 1.10\nidentifiers: [007, 1e3]\nlevel: 2\ntemporal: {from: 2025-01-01 10:00, to: 2025-01-02}\n"
    )
    assert (it.version, it.identifiers, it.level) == ("1.10", ("007", "1e3"), "2")
    # XML Schema has no time without seconds
    assert (it.begins, it.ends) == ("2025-01-01T10:00:00", "2025-01-02")
