"""What of a consumer's request reaches an upstream, decided without a network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.asking import address_of, check_path, headers_of
from connector.errors import BadMessage, KontorError, NotFound, TooLarge, UnsupportedMediaType
from connector.ports.dataplane import DataRequest, Passing, Source

BASE = "https://upstream.example/api/v1?key=1"
OPEN = Source(type="http", url=BASE, passing=Passing(methods=("GET", "POST"), path=True, query=("*",)))


def test_a_path_and_a_query_are_added_to_the_published_address() -> None:
    request = DataRequest(path="stations/köln west.json", query="from=2026-01-01&to=a%26b&flag=")
    assert (
        address_of(OPEN, request)
        == "https://upstream.example/api/v1/stations/k%C3%B6ln%20west.json?key=1&from=2026-01-01&to=a%26b&flag="
    )


def test_nothing_passes_that_the_source_does_not_let_pass() -> None:
    shut = Source(type="http", url=BASE)
    assert address_of(shut, DataRequest()) == BASE
    with pytest.raises(NotFound):
        address_of(shut, DataRequest(path="stations"))
    with pytest.raises(BadMessage, match="`from` is not served"):
        address_of(shut, DataRequest(query="from=1"))


def test_only_named_parameters_pass_and_never_those_of_the_published_address() -> None:
    named = Source(type="http", url=BASE, passing=Passing(query=("from", "key")))
    assert address_of(named, DataRequest(query="from=1&from=2")) == f"{BASE}&from=1&from=2"
    for query in ("to=1", "key=2", "from=1&key=2"):
        with pytest.raises(BadMessage, match="known here: `from`"):
            address_of(named, DataRequest(query=query))
    for name in ("key", "KEY", "%6Bey"):
        with pytest.raises(BadMessage, match="is not served"):
            address_of(OPEN, DataRequest(query=f"{name}=2"))
    with pytest.raises(BadMessage, match="cannot be read"):
        address_of(OPEN, DataRequest(query="nonsense"))


@pytest.mark.parametrize(
    "path",
    [
        "..", "../x", "a/../../x", "a/..", ".", "a/./b", "/x", "a//b", "//host/x", "%2e%2e/x", "a/%2e%2e/%2e%2e/x", "..%5cx", "..\\x",
        "%252e%252e/x", "a%2f..%2f..%2fx", "%25252e%25252e/x", "a\0b", "a\nb", "http://other.example/x", "%2525252525252e", "a%00b",
        "..;/x", "a/..;v=1/x", ".;/x", "..%3b/x", ";/x", "a/;v",
    ],
)  # fmt: skip
def test_no_path_leads_out_in_any_reading(path: str) -> None:
    with pytest.raises(BadMessage, match="not served"):
        check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.json", "a/", "100% sure", "a:b", "a..b/c", "...", "a;v=1/b", "ümlaut/x"])
def test_a_plain_path_is_a_path(path: str) -> None:
    check_path(path)


@given(path=st.text(alphabet="a./\\%2e5cf:\n", max_size=12), query=st.text(alphabet="ab=&%;#?/.", max_size=12))
def test_whatever_is_asked_stays_below_the_published_address(path: str, query: str) -> None:
    try:
        found = address_of(OPEN, DataRequest(path=path, query=query))
    except KontorError:
        return
    assert found.startswith("https://upstream.example/api/v1")
    below, _, asked = found.removeprefix("https://upstream.example/api/v1").partition("?")
    assert below == "" or below.startswith("/")
    assert not {"..", "."} & set(below.split("/"))
    assert asked.startswith("key=1")
    assert "#" not in found


def test_of_a_post_its_description_passes_and_nothing_else() -> None:
    headers = {
        "content-type": "application/json",
        "content-length": "12",
        "cookie": "a=b",
        "authorization": "x",
        "range": "bytes=0-1",
    }
    assert headers_of(DataRequest(method="POST", headers=headers), 100) == {
        "content-type": "application/json",
        "content-length": "12",
    }
    assert headers_of(DataRequest(headers=headers), 100) == {"range": "bytes=0-1"}


def test_a_body_that_cannot_be_passed_on_is_refused_before_it_is_read() -> None:
    for headers, kind in (
        ({"content-length": "101"}, TooLarge),
        ({"content-length": "-1"}, BadMessage),
        ({"content-length": "1, 1"}, BadMessage),
        ({"content-encoding": "gzip"}, UnsupportedMediaType),
    ):
        with pytest.raises(kind):
            headers_of(DataRequest(method="POST", headers=headers), 100)
