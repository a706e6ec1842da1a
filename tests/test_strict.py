"""Bytes from outside are strict JSON or are refused with the place of the fault."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector import strict
from connector.errors import BadMessage, TooLarge
from connector.strict import Limits, scan

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=30
)


@given(trees, st.booleans(), st.sampled_from([None, 1]))
def test_what_python_writes_is_read_back(tree: Any, ascii_only: bool, indent: int | None) -> None:
    assert scan(json.dumps(tree, ensure_ascii=ascii_only, indent=indent).encode()) == tree


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c:d", ":", 'e"', "\\", "é"]), st.integers(0, 9) | texts), max_size=5),
    st.data(),
)
def test_a_member_may_stand_once_however_it_is_spelled(members: list[tuple[str, Any]], data: st.DataObject) -> None:
    def spelled(name: str) -> str:
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
        return f'"{escaped}"' if data.draw(st.booleans()) else json.dumps(name)

    body = "[{" + ", ".join(f"{spelled(name)} : {json.dumps(value)}" for name, value in members) + "}]"
    names = [name for name, _ in members]
    if len(set(names)) == len(names):
        assert scan(body.encode()) == [dict(members)]
    else:
        with pytest.raises(BadMessage, match="stands twice"):
            scan(body.encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        scan(data)
    except BadMessage as fault:
        message = str(fault)
    else:
        message = ""
        json.loads(data)
    assert "\n" not in message


@given(st.integers(0, 9), st.booleans(), st.lists(st.booleans(), min_size=9, max_size=9))
def test_depth_counts_objects_and_arrays(depth: int, leaf: bool, kinds: list[bool]) -> None:
    tree: Any = 1
    for is_object in kinds[:depth]:
        tree = {"k": tree} if is_object else [tree] * (2 if leaf else 1)
    body = json.dumps(tree).encode()
    limits = Limits(max_depth=4)
    if depth <= 4:
        assert scan(body, limits) == tree
    else:
        with pytest.raises(BadMessage, match="nested too deeply"):
            scan(body, limits)


def test_the_default_depth_is_64() -> None:
    assert scan(b"[" * 64 + b"]" * 64)
    with pytest.raises(BadMessage) as refused:
        scan(b'{"a":' * 65 + b"1" + b"}" * 65)
    assert refused.value.where == "a.a.a.a.a.a.a.a"
    assert refused.value.mend == "nest objects and arrays at most 64 deep"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; send a JSON object"),
        (b" \n", "the body is empty; send a JSON object"),
        (b"\xef\xbb\xbf{}", "the body begins with a byte order mark; send UTF-8 without it"),
        (b'{"e":["\xc3\xa9",{"k":"\xff"}]}', "the body is not JSON: byte 17 is not UTF-8 at `e[1].k`; see character 16 of the body"),
        (b'{"a":"\xed\xa0\x80"}', "the body is not JSON: byte 6 is not UTF-8 at `a`; see character 6 of the body"),
        (b'{"a":1,"a":2}', 'member "a" stands twice at `a`; send it once'),
        (b'{"o":[{"b":1},{"b":1,"\\u0062":3}]}', 'member "b" stands twice at `o[1].b`; send it once'),
        (b'{"a":"\\u003a","a":1}', 'member "a" stands twice at `a`; send it once'),
        (b'{"x":[1,NaN]}', "the body is not JSON: `NaN` is no JSON value at `x[1]`; see character 8 of the body"),
        (b'{"a":-Infinity}', "the body is not JSON: `Infinity` is no JSON value at `a`; see character 6 of the body"),
        (b'{"a":[1e400]}', "the body is not JSON: a number is too large for a double at `a[0]`; see character 6 of the body"),
        (b"9" * 400, "the body is not JSON: a number is too large for a double; see character 0 of the body"),
        (b'["\\ud800"]', "the body is not JSON: a text has half of a surrogate pair at `[0]`; see character 2 of the body"),
        (b'{"a":"\\u0000"}', "a text contains U+0000 at `a`; leave that character out"),
        (b"{} x", "the body is not JSON: there is more after its end; see character 3 of the body"),
        (b'{"a":1', "the body is not JSON: it ends too early at `a`; see character 6 of the body"),
        (b'{"a":1,"a":NaN}', 'member "a" stands twice at `a`; send it once'),
        (
            b'{"https://x":{"a b":[01]}}',
            'the body is not JSON: number with leading zero is not allowed at `["https://x"]["a b"][0]`; see character 21 of the body',
        ),
    ],
)  # fmt: skip
def test_a_refusal_says_what_where_and_how_to_mend_it(body: bytes, message: str) -> None:
    with pytest.raises(BadMessage) as refused:
        scan(body)
    assert str(refused.value) == message


@pytest.mark.parametrize("body", [b'{"a":"\\\\u0000"}', b'{"a":"\\\\u003a"}', b'{"a:b":"c:d","e":"\\u003a"}', b'["[[[{{{"]'])
def test_what_only_looks_like_a_fault_is_read(body: bytes) -> None:
    assert scan(body) == json.loads(body)


def test_size_is_limited_before_anything_is_read() -> None:
    with pytest.raises(TooLarge, match="the body has 12 bytes; send at most 10 bytes"):
        scan(b"not json  at", Limits(max_bytes=10))
    assert TooLarge.status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b"{" + b",".join(b'"k%d":1' % i for i in range(80_000)) + b',"k9":1}',
        b'{"a":"' + b"\\" * 1_000_000 + b'","a":1}',
        b'{"a":"' + b"\\u0000" * 150_000 + b'"}',
        b'{"a":"' + b"\\u003a" * 150_000 + b'","a":1}',
        b'{"a":1,' + b'"":{},' * 150_000 + b'"a":1}',
        b'"' * 1_000_000,
        b"[" + b"1," * 500_000 + b"NaN]",
    ],
    ids=["deep", "late-duplicate", "backslashes", "nul", "escaped", "empty-names", "quotes", "late-nan"],
)
def test_the_worst_body_is_refused_in_bounded_time(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(BadMessage):
        scan(body)
    assert time.process_time() - started < 1


def test_a_path_reads_like_code() -> None:
    assert strict.path(["offer", "permission", 0, "constraint", 1, "operator"]) == "offer.permission[0].constraint[1].operator"
    assert strict.path([2, "@id", "a b"]) == '[2].@id["a b"]'


def test_what_a_peer_wrote_is_shown_on_one_short_line() -> None:
    assert strict.shown("a\nb\x7f") == '"a\\nb\\u007f"'
    assert len(strict.shown("x" * 1000)) == 63
