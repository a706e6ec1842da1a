"""A description as members of a data set in DCAT 3, in the spelling that JSON-LD processing keeps.

What lives here: which property tells what, and the document that is checked. What does not: the data set of the catalogue itself,
its offers and distributions, which `dsp.catalog` builds from the asset.

The context of the protocol knows `dct`, `dcat`, `odrl` and `xsd`; everything else is written as a full IRI. What has parts of its
own gets a name below the data set's, so that two data sets of one catalogue never mix.
Source: DCAT 3; Data Quality Vocabulary; CSV on the Web, metadata vocabulary; Dataspace Protocol 2025-1, Catalog Protocol.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final
from urllib.parse import quote

from connector.describe import document
from connector.describe.document import Description, Party, Texts
from connector.describe.table import Column
from connector.dsp.catalog import MEDIA_TYPES, SPDX
from connector.dsp.plain import DSP_CONTEXT

PREFIXES: Final = {
    "dct": "http://purl.org/dc/terms/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "dqv": "http://www.w3.org/ns/dqv#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "schema": "https://schema.org/",
    "spdx": SPDX,
    "as": "https://www.w3.org/ns/activitystreams#",
    "tds": "https://w3id.org/kontor/ns/tds/",
    "kontor": "https://w3id.org/kontor/ns/",
}
"""What the checks may abbreviate."""
_FOAF, _PROV, _DQV, _CSVW = (PREFIXES[name] for name in ("foaf", "prov", "dqv", "csvw"))
_SCHEMA, _TDS, _KONTOR = (PREFIXES[name] for name in ("schema", "tds", "kontor"))
DRAFT_ID: Final = "urn:kontor:draft"
"""The name of a data set that has none yet."""
Tree = dict[str, Any]


def members(it: Description, dataset: str) -> Tree:
    """The members of the data set named `dataset`: properties of its asset, each under a name that is kept.

    Media type, size and digest are not among them: they are the asset's own and stand in its distributions.
    """
    root = dataset if ":" in dataset else f"urn:kontor:dataset:{quote(dataset, safe='')}"
    below = root + ("/" if "#" in root else "#")
    rights: Tree = {f"{_TDS}{kind}Right": _party(party, f"{below}{kind}") for kind, party in it.rights}
    holder = next((party.id for kind, party in it.rights if kind == "holding" and party.id), None)
    columns = [_column(column, f"{below}column-{place}") for place, column in enumerate(it.columns, start=1)]
    quality = [
        _measurement(f"{below}quality-{place}", metric, value) for place, (metric, value) in enumerate(_measured(it), start=1)
    ]
    tree: Tree = {
        "dct:title": _texts(it.title),
        "dct:description": _texts(it.description),
        "dcat:keyword": _texts(it.keywords),
        "dcat:theme": _named(it.themes),
        "dct:publisher": _party(it.publisher, f"{below}publisher") if it.publisher else None,
        "dcat:contactPoint": _contact(it.contact, f"{below}contact") if it.contact else None,
        "dct:license": _named(it.license),
        "dct:provenance": {
            "@id": f"{below}provenance", "@type": "dct:ProvenanceStatement", f"{PREFIXES['rdfs']}label": _texts(it.provenance),
        } if it.provenance else None,
        f"{_TDS}source": document.SOURCES[it.source] if it.source else None,
        f"{_PROV}wasDerivedFrom": _named(it.derived_from),
        "dct:accrualPeriodicity": _named(it.frequency),
        f"{_DQV}hasQualityMeasurement": quality,
        f"{_CSVW}tableSchema": {
            "@id": f"{below}columns", "@type": f"{_CSVW}Schema", f"{_CSVW}column": {"@list": columns},
        } if columns else None,
        f"{_KONTOR}rowCount": _typed("nonNegativeInteger", it.rows),
        f"{_TDS}form": document.FORMS[it.form] if it.form else None,
        f"{_TDS}grade": it.grade,
        f"{_TDS}securityLevel": _typed("integer", it.level),
        **rights,
        "dct:rightsHolder": _named(holder),
        f"{_SCHEMA}priceSpecification": _price(it.price, f"{below}price") if it.price else None,
        "dct:identifier": [one for one in (*it.identifiers, it.product_code) if one and not one.startswith("did:")],
        f"{PREFIXES['as']}alsoKnownAs": _named([one for one in it.identifiers if one.startswith("did:")]),
        f"{_TDS}productCode": it.product_code,
        "dct:conformsTo": _named(it.conforms_to),
        "dct:spatial": _named(it.spatial),
        "dct:temporal": _present({
            "@id": f"{below}temporal", "@type": "dct:PeriodOfTime", "dcat:startDate": _day(it.begins), "dcat:endDate": _day(it.ends),
        }) if it.begins or it.ends else None,
        "dcat:landingPage": _named(it.landing_page),
        "dcat:version": it.version,
        "dct:modified": _typed("dateTime", it.modified.astimezone(UTC).isoformat().replace("+00:00", "Z") if it.modified else None),
    }  # fmt: skip
    return _present(tree)


def draft(it: Description, dataset: str = DRAFT_ID) -> Tree:
    """The data set as a document of its own, with one distribution and without an offer: what is checked before publishing."""
    checksum = {
        "@type": f"{SPDX}Checksum",
        f"{SPDX}algorithm": {"@id": f"{SPDX}checksumAlgorithm_sha256"},
        f"{SPDX}checksumValue": _typed("hexBinary", it.sha256),
    }
    distribution = {
        "@type": "Distribution",
        # whoever publishes it names the service
        "accessService": {"@id": DRAFT_ID + ":service", "@type": "DataService"},
        "dcat:mediaType": _named(MEDIA_TYPES + it.media_type if it.media_type else None),
        "dcat:byteSize": _typed("nonNegativeInteger", it.byte_size),
        f"{SPDX}checksum": checksum if it.sha256 else None,
    }
    return {
        "@context": [DSP_CONTEXT],
        "@id": dataset,
        "@type": "Dataset",
        **members(it, dataset),
        "distribution": [_present(distribution)],
    }


_DATATYPES: Final = {"json": f"{PREFIXES['rdf']}JSON"}


def _present(tree: Tree) -> Tree:
    return {name: value for name, value in tree.items() if value is not None and value != []}


def _texts(texts: Texts) -> Any:
    found = [{"@value": text, "@language": language} if language else text for language, text in texts]
    return found[0] if len(found) == 1 else found


def _named(iri: str | list[str] | tuple[str, ...] | None) -> Any:
    if iri is None or isinstance(iri, str):
        return {"@id": iri} if iri else None
    return [{"@id": one} for one in iri]


def _typed(kind: str, value: object) -> Tree | None:
    return None if value is None else {"@type": f"xsd:{kind}", "@value": str(value)}


def _day(text: str | None) -> Tree | None:
    return _typed("date" if text and len(text) == 10 else "dateTime", text)


def _party(party: Party, name: str) -> Tree:
    about: Tree = {"@type": f"{_FOAF}Agent", f"{_FOAF}name": _texts(party.name)} if party.name else {}
    return {"@id": party.id or name, **about}


def _contact(iri: str, name: str) -> Tree:
    """Whom to ask, as DCAT has it: a card of which the mail address, the telephone or the page is known."""
    card = PREFIXES["vcard"]
    kind = {"mailto": "hasEmail", "tel": "hasTelephone"}.get(iri.partition(":")[0], "hasURL")
    return {"@id": name, "@type": f"{card}Kind", f"{card}{kind}": {"@id": iri}}


def _column(column: Column, name: str) -> Tree:
    return _present(
        {
            "@id": name,
            "@type": f"{_CSVW}Column",
            f"{_CSVW}name": column.name,
            f"{_CSVW}datatype": {"@id": _DATATYPES.get(column.type) or PREFIXES["xsd"] + column.type},
            f"{_CSVW}required": {"@type": "xsd:boolean", "@value": "true"} if column.is_required else None,
            f"{_CSVW}title": _texts(column.title),
            "dct:description": _texts(column.description),
            f"{_KONTOR}unit": column.unit,
        }
    )


def _measured(it: Description) -> list[tuple[str, Tree | str]]:
    grade: list[tuple[str, Tree | str]] = [("qualityGrade", it.quality_grade)] if it.quality_grade else []
    return grade + [(one.metric, {"@type": "xsd:decimal", "@value": one.value}) for one in it.measures]


def _measurement(name: str, metric: str, value: Tree | str) -> Tree:
    # a metric of another vocabulary is named by its IRI
    iri = metric if ":" in metric else f"{_TDS if metric == 'qualityGrade' else _KONTOR + 'metric/'}{quote(metric, safe='')}"
    return {"@id": name, "@type": f"{_DQV}QualityMeasurement", f"{_DQV}isMeasurementOf": {"@id": iri}, f"{_DQV}value": value}


def _price(price: document.Price, name: str) -> Tree:
    return _present(
        {
            "@id": name,
            "@type": f"{_SCHEMA}UnitPriceSpecification",
            f"{_SCHEMA}price": _typed("decimal", price.amount),
            f"{_SCHEMA}priceCurrency": price.currency,
            f"{_SCHEMA}unitText": price.per,
            f"{_SCHEMA}description": _texts(price.terms),
        }
    )
