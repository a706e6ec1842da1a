"""Descriptions for the checks: one that keeps every rule, and ways to break each of them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from connector.describe import members, reading

CODE = "6" + "91110000MA00XXXX0Y" + "1100" + "A1B2C3D4"
WHOLE = f"""\
title: {{en: "Hourly weather, 2013", de: Wetter jede Stunde, zh: 每小时天气}}
description: {{en: "Temperature < 50 and wind at three airports.", fr: "Température et vent."}}
keywords: {{en: [weather, wind], de: [Wetter]}}
themes: [environment, "https://example.org/concepts/air"]
publisher: {{id: "did:web:weather.example", name: {{en: Example Weather, zh: 天气}}}}
contact: data@weather.example
license: https://creativecommons.org/publicdomain/zero/1.0/
provenance: {{source: original, text: {{en: Measured by instruments.}}, derived_from: ["urn:example:raw"]}}
frequency: hourly
quality: {{grade: A, measures: {{completeness: 0.98, "https://example.org/metrics/bias": -0.1}}}}
columns:
  - {{name: origin, type: string, required: true, title: {{en: Airport}}}}
  - {{name: temp, type: decimal, unit: degF, description: Air temperature}}
rows: 26115
form: dataset
grade: general
level: 1
rights: {{holding: "did:web:weather.example", processing: {{name: Example Analytics}}, operating: "did:web:shop.example"}}
price: {{amount: 12.50, currency: EUR, per: month, terms: {{en: Payable in advance.}}}}
identifiers: ["urn:example:weather", "did:web:weather.example:products:1"]
product_code: "{CODE}?"
conforms_to: ["https://example.org/schema"]
spatial: ["http://publications.europa.eu/resource/authority/country/USA"]
temporal: {{from: 2013-01-01, to: "2013-12-30T23:00:00Z"}}
landing_page: https://weather.example/
version: "1.0"
media_type: text/csv
byte_size: 2294215
sha256: "{"ab" * 32}"
modified: 2026-01-02T03:04:05Z
"""


def whole_text() -> str:
    """The YAML that keeps every rule of every profile but those of DCAT-AP about foreign themes."""
    from connector.describe.codes import check_character

    return WHOLE.replace("?", check_character(CODE), 1)


@cache
def _draft() -> dict[str, Any]:
    return members.draft(reading.read(whole_text()), "urn:example:weather")


def whole() -> dict[str, Any]:
    """The same as a document, for its caller to change."""
    return deepcopy(_draft())


TDS, KONTOR = members.PREFIXES["tds"], members.PREFIXES["kontor"]
_SCHEMA, _DQV, _CSVW, _FOAF, _RDFS, _PROV, _AS = (
    members.PREFIXES[name] for name in ("schema", "dqv", "csvw", "foaf", "rdfs", "prov", "as")
)


def small() -> dict[str, Any]:
    """Not much more than a title: what else is said does not change whether one word is right."""
    return {name: value for name, value in whole().items() if name.startswith("@") or name in ("dct:title", "distribution")}


_THEME = "http://publications.europa.eu/resource/authority/data-theme/ENVI"
MARKUP = "<img src=x onerror=alert(1)>"


def broken() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each way to break it: its name and the document."""
    for name in [name for name in whole() if not name.startswith("@")]:
        tree = whole()
        del tree[name]
        yield f"without {name}", tree
    changes: dict[str, list[Any]] = {
        "dct:title": ["", "x" * 301, "<script>alert(1)</script>", "a << b <", {"@id": "urn:a"}, [_en("a"), _en("b")], 7, True,
                      {"@value": "x", "@type": "xsd:token"}, [_en("a"), 1.5], _en("")],
        "dct:description": [
            5, _typed("date", "2025-01-01"), "x" * 20_001, "see <b>here</b>", "1 < 2", "<<b", {"@id": "urn:a"},
            [_en("a"), _en("b")], "two\nlines\n",
        ],
        "dcat:keyword": ["x" * 101, "<i>", {"@id": "urn:a"}, [2013, "weather"], [False]],
        "dcat:theme": ["weather", {"@id": "urn:theme"}, [{"@id": "urn:theme"}, {"@id": _THEME}], {"dct:title": "weather"}],
        "dct:publisher": ["Example", {"@id": "urn:nobody"}, {f"{_FOAF}name": "Somebody"}, [{"@id": "urn:a"}, {"@id": "urn:b"}],
                          {f"{_FOAF}name": 7}, {f"{_FOAF}name": "x" * 301}, {f"{_FOAF}name": [_en("a"), MARKUP]}],
        "dcat:contactPoint": ["Anna", {"@id": "mailto:a@example.org"}],
        "dct:accrualPeriodicity": ["daily", {"@id": "http://purl.org/cld/freq/daily"}, {"dct:title": "daily"}],
        "dct:license": ["CC0"],
        "dct:provenance": ["measured", {f"{_RDFS}label": MARKUP}, {f"{_RDFS}label": ["x" * 20_001, _en("y")]}, {f"{_RDFS}label": 5}],
        f"{_PROV}wasDerivedFrom": ["raw", [{"@id": "urn:a"}, {"dct:title": "b"}]],
        f"{TDS}holdingRight": ["Anna", 7], f"{TDS}processingRight": ["Anna"], f"{TDS}operatingRight": [{"@id": "urn:a"}],
        "dct:rightsHolder": ["Anna"],
        "dct:identifier": [7, "x" * 501, {"@id": "urn:a"}, ["a", "b"]],
        f"{_AS}alsoKnownAs": ["did:web:a", {"dct:title": "a"}],
        "dct:conformsTo": ["a schema", {"dct:title": "a schema"}, 3],
        "dct:spatial": ["Germany", {"dct:title": "Germany"}],
        "dct:temporal": ["2025", *({"dcat:startDate": value} for value in (
            "2025-01-01", 2025, _typed("date", "2025-02-30"), _typed("date", "2024-02-29"), _typed("gYear", "2025"), _typed("gYear", "25"),
            _typed("gYear", "٢٠٢٥"),
            _typed("gYearMonth", "2025-13"), _typed("gYearMonth", "2025-12"), _typed("time", "10:00:00"),
        )), {"dcat:endDate": [_typed("dateTime", "2025-01-01T10:00"), _typed("date", "2025-01-01")]}],
        "dct:modified": ["yesterday", 5, _typed("date", "2025-1-1"), _typed("dateTime", "2025-01-31T24:30:00Z"),
                         _typed("dateTime", "2025-01-31T10:00:00.5+08:00"), _typed("dateTime", "2025-01-31 10:00:00"), _en("2025-01-01")],
        "dcat:landingPage": [{"@id": "javascript:alert(1)"}, "https://example.org/", {"@id": "ftp://example.org/"}, {"dct:title": "a"}],
        "dcat:version": [1.0, 2, "1.0", _en("one")],
        f"{KONTOR}rowCount": ["7", 7, -7, _typed("nonNegativeInteger", "-7"), _typed("nonNegativeInteger", "seven"),
                               *(_typed("nonNegativeInteger", text) for text in ("1_000", "٧", "-0", "+7", "7.0"))],
        f"{TDS}grade": ["secret", "General", {"@id": "urn:general"}, ["core", "general"], _en("core"), True],
        f"{TDS}securityLevel": [0, 6, 3, "3", 2.5, _typed("integer", "three"), _typed("integer", " 3 "), _typed("integer", "٣"),
                                 _typed("integer", "9"), _typed("decimal", "3.0"), [1, 2]],
        f"{TDS}source": ["001", "1", 1],
        f"{TDS}form": ["006", "007"],
        f"{TDS}productCode": ["6", {"@id": "urn:code"}],
        f"{_SCHEMA}priceSpecification": [
            {f"{_SCHEMA}price": value, f"{_SCHEMA}priceCurrency": currency}
            for value, currency in (
                (_typed("decimal", "-1"), "EUR"), (_typed("decimal", "a lot"), "EUR"), (_typed("decimal", "1e2"), "EUR"),
                ("12", "EUR"), (12, "EUR"), (1.5, "EUR"),
                (_typed("decimal", "0.00"), "Euro"), (_typed("decimal", "+1."), "CNY"),
            )
        ] + [{f"{_SCHEMA}description": text} for text in (MARKUP, "in advance")],
        f"{_DQV}hasQualityMeasurement": [
            {f"{_DQV}value": "A"}, {f"{_DQV}isMeasurementOf": {"@id": f"{TDS}qualityGrade"}}, {"@id": "urn:none"}, "A",
            {f"{_DQV}value": "A", f"{_DQV}isMeasurementOf": "completeness"},
        ],
        f"{_CSVW}tableSchema": [
            {f"{_CSVW}column": {"@list": [{"@type": f"{_CSVW}Column", **column}]}}
            for column in (
                {}, {f"{_CSVW}name": ["a", "b"], f"{_CSVW}datatype": {"@id": "urn:text"}},
                {f"{_CSVW}name": "a", f"{_CSVW}datatype": "text"}, {f"{_CSVW}name": 7}, {f"{_CSVW}name": "x" * 301},
                {f"{_CSVW}name": MARKUP}, {f"{_CSVW}name": "a", f"{_CSVW}title": MARKUP}, {f"{_CSVW}name": "a", "dct:description": "<b>"},
                *({f"{_CSVW}name": "a", f"{_CSVW}required": value} for value in (True, "yes", _typed("boolean", "yes"))),
            )
        ],
        "distribution": [
            [{"@type": "Distribution", "dcat:byteSize": 7}], [{"@type": "Distribution", "dct:license": {"@id": "urn:licence"}}],
            [{"@type": "Distribution", "dcat:byteSize": _typed("nonNegativeInteger", "many")}],
            [{"@type": "Distribution", "dcat:mediaType": "text/csv", "dcat:accessURL": {"@id": "https://example.org/a"}}],
            [{"@type": "Distribution", "dcat:mediaType": {"dct:title": "CSV"}}, {"@type": "Distribution", "dcat:byteSize": 1}],
        ],
    }  # fmt: skip
    for name, values in changes.items():
        for value in values:
            yield f"{name} = {str(value)[:70]}", {**small(), name: value}
    bare = {name: value for name, value in whole().items() if name.startswith("@")}
    yield "nothing at all", bare
    yield "nothing but a licence of the distribution", {
        **bare, "distribution": [{"@type": "Distribution", "dct:license": {"@id": "urn:licence"}}],
    }  # fmt: skip


def _en(text: str) -> dict[str, str]:
    return {"@value": text, "@language": "en"}


def _typed(kind: str, text: str) -> dict[str, str]:
    return {"@value": text, "@type": f"xsd:{kind}"}
