"""JSON-LD is processed with contexts that ship with us, within bounds, and never over the network."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from connector import jsonld, packaged
from connector.errors import BadMessage

DSP = jsonld.DSP_CONTEXT
FOREIGN: dict[str, Any] = {
    "@context": {"d": "https://w3id.org/dspace/2025/1/", "odrl": "http://www.w3.org/ns/odrl/2/"},
    "@type": "d:ContractAgreementMessage",
    "d:providerPid": {"@id": "p"},
    "d:consumerPid": {"@id": "urn:c"},
    "d:agreement": {
        "@id": "urn:a",
        "@type": "odrl:Agreement",
        "odrl:permission": {"odrl:action": {"@id": "odrl:use"}},
    },
}


def test_a_foreign_document_becomes_one_in_the_protocols_terms() -> None:
    assert jsonld.compact(jsonld.expand(FOREIGN), DSP) == {
        "@context": [DSP],
        "@type": "ContractAgreementMessage",
        "providerPid": "p",
        "consumerPid": "urn:c",
        "agreement": {"@id": "urn:a", "@type": "Agreement", "permission": [{"action": "use"}]},
    }


@pytest.mark.parametrize("url", list(jsonld.CONTEXTS))
def test_every_context_on_the_list_is_there(url: str) -> None:
    assert packaged.vocab_file(jsonld.CONTEXTS[url]).is_file()
    assert jsonld.expand({"@context": url, "@id": "urn:a", "odrl:x" if "edc" not in url else "edc:x": 1})


def test_a_relative_id_is_never_resolved() -> None:
    (node,) = jsonld.expand({"@context": DSP, "@type": "Dataset", "@id": "weather-1"})
    assert node["@id"] == "weather-1"


def test_two_spellings_have_the_same_triples() -> None:
    canonical = jsonld.compact(jsonld.expand(FOREIGN), DSP)
    assert jsonld.canonical(canonical) == jsonld.canonical(FOREIGN) != ""
    assert jsonld.canonical({**canonical, "consumerPid": "urn:d"}) != jsonld.canonical(canonical)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"@context": "https://evil.example/c.jsonld"}, "@context"),
        ({"@context": [DSP, "https://evil.example/c.jsonld"]}, "@context[1]"),
        ({"@context": DSP, "dct:x": [{"@context": "https://evil.example/c.jsonld"}]}, "dct:x[0].@context"),
        ({"@context": {"t": {"@id": "urn:t", "@context": ["https://evil.example/c.jsonld"]}}}, "@context.t.@context[0]"),
    ],
)
def test_an_unknown_context_is_refused_by_name_and_not_fetched(document: Any, where: str) -> None:
    with pytest.raises(BadMessage, match=r'unknown context "https://evil.example/c.jsonld"') as refused:
        jsonld.expand(document)
    assert refused.value.where == where
    assert "nothing is fetched" in refused.value.mend
    assert all(url in refused.value.mend for url in (DSP, jsonld.EDC_CONTEXT))


def test_a_context_that_imports_another_is_refused() -> None:
    with pytest.raises(BadMessage, match="imports another"):
        jsonld.expand({"@context": {"@import": jsonld.DSP_ODRL_CONTEXT, "permission": "urn:evil"}, "permission": 1})


def test_no_document_changes_what_the_next_one_means() -> None:
    before = jsonld.expand({"@context": DSP, "@type": "Catalog", "dataset": [{"@type": "Dataset"}]})
    for inline in ({"dspace": "urn:evil"}, {"x": "urn:x"}, {"@vocab": "urn:v/"}):
        for contexts in ([DSP, inline], [inline, DSP]):
            try:
                jsonld.expand({"@context": contexts, "@type": "Dataset", "hasPolicy": [{"x": 1}]})
            except BadMessage as fault:
                assert "protected" in fault.what  # noqa: PT017 - some of these are refused, others are not
    assert jsonld.expand({"@context": DSP, "@type": "Catalog", "dataset": [{"@type": "Dataset"}]}) == before


@pytest.mark.parametrize(
    "document",
    [
        {"@context": DSP, "@id": 5},
        {"@context": DSP, "@type": {"a": 1}},
        {"@context": {"a": 5}},
        {"@context": 7},
        {"@context": [[DSP]]},
        {"@context": {f"t{i}": f"t{i + 1}:a" for i in range(900)}},
        {"@context": {"a": "b:x", "b": "a:x"}, "a": 1},
        {"@context": {"dspace": "urn:x"}, "@graph": 5, "@list": []},
    ],
    ids=str,
)
def test_what_is_no_json_ld_is_refused_or_read_but_never_breaks(document: Any) -> None:
    try:
        jsonld.compact(jsonld.expand(document), DSP)
    except BadMessage as fault:
        message = str(fault)
    else:
        message = ""
    assert "\n" not in message
    assert len(message) < 700


def test_large_documents_are_refused_before_any_work() -> None:
    started = time.process_time()
    with pytest.raises(BadMessage, match="more than 5000 values"):
        jsonld.expand({"@context": DSP, "dct:x": list(range(100_000))})
    with pytest.raises(BadMessage, match="has 9 contexts"):
        jsonld.expand({"@context": DSP, "dct:x": [{"@context": {}} for _ in range(8)]})
    assert time.process_time() - started < 1


def test_the_largest_document_takes_bounded_time() -> None:
    nested: dict[str, Any] = {
        "@context": DSP,
        "@type": "Catalog",
        "dct:x": [{"@type": "Dataset", "odrl:y": i} for i in range(1600)],
    }
    started = time.process_time()
    jsonld.compact(jsonld.expand(nested), DSP)
    # half a second on the machine that set the bound; ten times that is no bound any more
    assert time.process_time() - started < 5


def test_threads_do_not_disturb_each_other() -> None:
    expected, found = jsonld.expand(FOREIGN), []
    threads = [threading.Thread(target=lambda: found.append(jsonld.expand(FOREIGN))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_the_processor_is_loaded_by_the_first_use_only() -> None:
    code = "import sys, connector.jsonld, connector.dsp.wire, connector.dsp.catalog; sys.exit('pyld' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
