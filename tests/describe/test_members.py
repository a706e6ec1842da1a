"""What a description says survives JSON-LD processing, beside that of other data sets."""

from __future__ import annotations

import json
from typing import Any

from connector import jsonld, rdf
from connector.describe import members, reading
from connector.dsp import catalog
from connector.dsp.plain import DSP_CONTEXT
from tests.describe import corpus

SERVICE = catalog.ServiceDescription(participant_id="did:web:a.example", endpoint_url="https://a.example/dsp")
OFFER = {"@id": "urn:offer", "@type": "Offer", "permission": [{"action": "use"}]}
ID = "urn:example:weather"


def _dataset(id_: str, properties: dict[str, Any]) -> catalog.DatasetDescription:
    return catalog.DatasetDescription(
        id=id_, title="one title", keywords=("one",), properties=properties, offers=(OFFER,), formats=("urn:example:pull",)
    )


def _properties(id_: str) -> dict[str, Any]:
    # what the node stores is JSON
    return json.loads(json.dumps(members.members(reading.read(corpus.whole_text()), id_)))


def test_every_member_comes_through_the_catalogue_and_json_ld_processing() -> None:
    tree = catalog.catalog(SERVICE, [_dataset(ID, _properties(ID))])
    expanded = jsonld.expand(tree)
    again = jsonld.compact(expanded, DSP_CONTEXT)
    before, after = rdf.from_json_ld(tree, "sent"), rdf.from_json_ld(again, "read")
    assert rdf.form(before) == rdf.form(after)
    told = {predicate for _, predicate, _ in rdf.from_json_ld(corpus.whole(), "draft").triples}
    kept = {predicate for _, predicate, _ in after.triples}
    own = {f"{catalog.SPDX}{name}" for name in ("checksum", "algorithm", "checksumValue")}
    assert told - kept == own | {"http://www.w3.org/ns/dcat#mediaType", "http://www.w3.org/ns/dcat#byteSize"}


def test_what_the_graph_says_is_what_was_written() -> None:
    graph = rdf.from_json_ld(catalog.catalog(SERVICE, [_dataset(ID, _properties(ID))]), "sent")
    data = rdf.Iri(ID)

    def said(name: str, node: rdf.Term = data) -> set[str]:
        prefix, _, rest = name.partition(":")
        return {getattr(term, "text", "") for term in graph.values(node, members.PREFIXES[prefix] + rest)}

    titles = graph.values(data, members.PREFIXES["dct"] + "title")
    assert {one.language for one in titles if isinstance(one, rdf.Literal)} == {"en", "de", "zh"}
    assert said("dcat:keyword") == {"weather", "wind", "Wetter"}
    assert said("dcat:theme") == {
        "http://publications.europa.eu/resource/authority/data-theme/ENVI",
        "https://example.org/concepts/air",
    }
    assert said("dct:publisher") == {"did:web:weather.example"}
    assert said("foaf:name", rdf.Iri("did:web:weather.example")) == {"Example Weather", "天气"}
    assert said("tds:productCode") < said("dct:identifier") == {"urn:example:weather", *said("tds:productCode")}
    assert said("as:alsoKnownAs") == {"did:web:weather.example:products:1"}
    assert said("tds:securityLevel") == {"1"}
    assert said("tds:grade") == {"general"}
    assert said("dct:rightsHolder") == said("tds:holdingRight") == {"did:web:weather.example"}
    assert said("schema:price", rdf.Iri(f"{ID}#price")) == {"12.50"}
    assert said("dct:modified") == {"2026-01-02T03:04:05Z"}


def test_the_columns_keep_their_order() -> None:
    graph = rdf.from_json_ld(members.draft(reading.read(corpus.whole_text()), ID), "draft")
    tree = rdf.tree(graph, rdf.Iri(f"{ID}#columns"))
    columns = tree[members.PREFIXES["csvw"] + "column"][0]["@list"]
    assert [column[members.PREFIXES["csvw"] + "name"][0]["@value"] for column in columns] == ["origin", "temp"]


def test_two_datasets_of_one_catalogue_do_not_mix() -> None:
    price = members.PREFIXES["schema"] + "priceSpecification"
    it = reading.read("price: {terms: a}")
    ids = ("urn:example:a", "urn:example:b#1", "no-iri")
    assert len({members.members(it, id_)[price]["@id"] for id_ in ids}) == 3


def test_a_dataset_without_a_description_says_what_its_asset_says() -> None:
    tree = catalog.describe(SERVICE, _dataset(ID, {}))
    assert (tree["dct:title"], tree["dcat:keyword"]) == ("one title", "one")
