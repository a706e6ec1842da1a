"""A file tells its media type, size, digest, rows and columns, whatever its form, and whatever is wrong with it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector import packaged
from connector.describe import detect, draft, reading, table
from connector.errors import ConfigurationError
from tests.examples import examples


def _file(folder: Path, name: str, body: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return path


def _columns(found: detect.Detected) -> dict[str, tuple[str, bool]]:
    assert found.table is not None, found.note
    return {column.name: (column.type, column.is_required) for column in found.table.columns}


def test_the_sample_is_known_to_the_last_row() -> None:
    path = packaged.sample_file("weather.csv")
    found = detect.look(path)
    assert (found.media_type, found.byte_size) == ("text/csv", path.stat().st_size)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.table is not None
    assert found.table.rows == 26115
    assert _columns(found) | {
        "origin": ("string", True), "year": ("integer", True), "temp": ("decimal", False), "time_hour": ("dateTime", True),
    } == _columns(found)  # fmt: skip


def test_the_time_of_the_last_change_is_that_of_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.bin", b"x")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert detect.look(path).modified == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    ("name", "body", "media_type"),
    [
        ("a.CSV", "a\n", "text/csv"),
        ("a.geojson", "{}", "application/geo+json"),
        ("a", b"PAR1....", "application/vnd.apache.parquet"),
        ("a", b"%PDF-1.7", "application/pdf"),
        ("a", b"", "application/octet-stream"),
    ],
)
def test_the_media_type_is_told_by_name_or_beginning(name: str, body: str | bytes, media_type: str, tmp_path: Path) -> None:
    assert detect.look(_file(tmp_path, name, body)).media_type == media_type


def test_each_column_has_the_narrowest_type_that_all_values_have(tmp_path: Path) -> None:
    text = (
        "\ufeffcode;whole;point;power;both;answer;day;time;mixed;empty;note\r\n"
        '007;1;1.5;1e3;1;true;2025-01-31;2025-01-31T10:00;1;;"a;\r\nb"\r\n'
        "008;-2;2.0;2.5e-1;1.5;FALSE;2024-02-29;2025-01-31 10:00:01Z;x;NA;\r\n"
    )
    assert _columns(detect.look(_file(tmp_path, "a.csv", text))) == {
        "code": ("string", True), "whole": ("integer", True), "point": ("decimal", True), "power": ("double", True),
        "both": ("decimal", True), "answer": ("boolean", True), "day": ("date", True), "time": ("dateTime", True),
        "mixed": ("string", True), "empty": ("string", False), "note": ("string", False),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "encoding"),
    [
        ("a.csv", "站名;温度\r\n北京;1,5\r\n".encode("utf-16"), None),
        ("a.csv", "站名\t温度\n北京\t1,5\n".encode("utf-16-be"), "utf-16-be"),
        ("a.csv", "站名,温度\n北京,1\n".encode("gb18030"), "gb18030"),
        ("a.csv", '站名,温度\n"北,京",1\n'.encode("gbk"), "GBK"),
        ("a.csv.gz", gzip.compress("站名|温度\n北京|1\n".encode()), None),
        ("a.csv", '"站名";"温度"\n"a,b,c";1\n'.encode(), None),
    ],
)
def test_columns_are_read_in_whatever_encoding_and_form_they_stand(
    name: str, body: bytes, encoding: str | None, tmp_path: Path
) -> None:
    found = detect.look(_file(tmp_path, name, body), encoding)
    assert list(_columns(found)) == ["站名", "温度"]
    assert found.table is not None
    assert found.table.rows == 1
    assert found.byte_size == len(body)


def test_a_separator_in_quotes_is_none(tmp_path: Path) -> None:
    found = detect.look(_file(tmp_path, "a.csv", '"Name, first, given";"Age, in years";City\nAnna;7;Köln\n'))
    assert list(_columns(found)) == ["Name, first, given", "Age, in years", "City"]


def test_an_encoding_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    for name in ("latin-99", "base64"):
        with pytest.raises(ConfigurationError, match="nobody knows the encoding"):
            detect.look(_file(tmp_path, "a.csv", "a\n"), name)


def test_json_lines_and_arrays_have_columns_too(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": 'x,]}\\"', "c": {"d": [1, 2]}}, {"a": 2.5, "b": None, "e": "2025-01-01"}, {"a": 3, "f": "7"}]
    wanted = {
        "a": ("decimal", True), "b": ("string", False), "c": ("json", False), "e": ("date", False), "f": ("string", False),
    }  # fmt: skip
    lines = _file(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    array = _file(tmp_path, "a.json", json.dumps(rows, indent=3))
    for path in (lines, array):
        found = detect.look(path)
        assert _columns(found) == wanted
        assert found.table is not None
        assert found.table.rows == 3


def test_a_json_object_has_no_rows(tmp_path: Path) -> None:
    found = detect.look(_file(tmp_path, "a.json", '{"a": [1, 2]}'))
    assert (found.table, found.note) == (None, "")


_SCALARS = st.none() | st.booleans() | st.integers() | st.text()
_TREES = st.recursive(_SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text(), part))


@given(st.lists(_TREES))
@settings(max_examples=examples(15))
def test_the_elements_of_any_array_are_found_wherever_it_is_cut(items: list[object]) -> None:
    body = json.dumps(items, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for size in (1, 3, 1000):
        found = [json.loads(part) for part in table._elements(_Pieces(body, size), Path("a.json"))]
        assert found == items


class _Pieces:
    """A file that gives few bytes at a time."""

    def __init__(self, body: bytes, size: int) -> None:
        self._parts: Iterator[bytes] = (body[at : at + size] for at in range(0, len(body), size))

    def read(self, _: int) -> bytes:
        return next(self._parts, b"")


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.csv", "a,b\n1,2,3\n", "a row of 3 values below a head of 2 at `a.csv:2`"),
        ("a.csv", "a,a\n1,2\n", "the column `a` stands twice"),
        ("a.csv", "a,\n1,2\n", "a column has no name"),
        ("a.csv", "1,2\n3,4\n", "the first row holds values and no names"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "\n", "a column has no name"),
        ("a.csv", 'a,b\n"1,2\n', "this is no CSV"),
        ("a.csv", b"a,b\n\xff,1\n", "save it as UTF-8, or name its encoding with `--encoding`"),
        ("a.csv", b"\xff\xfea", "this is not utf-16"),
        ("a.csv.gz", b"a,b\n1,2\n", "this is no whole gzip file"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-9], "this is no whole gzip file"),
        ("a.csv", ",".join(f"c{n}" for n in range(2001)), "2001 columns"),
        ("a.csv", "a\n" + "x" * (table.MAX_ROW_BYTES + 1), f"a row of more than {table.MAX_ROW_BYTES} bytes at `a.csv:2`"),
        ("a.jsonl", '{"a": 1}\n{"a": }\n', "this is no JSON"),
        ("a.jsonl", '{"": 1}', "an empty name at `a.jsonl, row 1`"),
        ("a.jsonl", "x" * (table.MAX_ROW_BYTES + 1), "a row of more than"),
        ("a.jsonl", json.dumps({f"n{n}": 1 for n in range(2001)}), "more than 2000 names"),
        ("a.json", "[1, 2", "the array does not end"),
        ("a.json", "[1] 2", "there is more after the array"),
        ("a.json", "[1, ]", "this is no JSON"),
        ("a.json", '["' + "x" * (2 * table.MAX_ROW_BYTES), "a row of more than"),
        ("a.parquet", b"PAR1", "no whole Parquet file"),
    ],
)
def test_a_file_that_is_not_what_it_says_keeps_its_digest_and_tells_why(
    name: str, body: str | bytes, said: str, tmp_path: Path
) -> None:
    path = _file(tmp_path, name, body)
    found = detect.look(path)
    assert found.table is None
    assert said in found.note
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert reading.read(draft.text(found)).sha256 == found.sha256


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = '{"name": "' + "x" * 4000 + '", "n": 1}'
    path = _file(tmp_path, "a.json", "[" + ",\n".join([row] * 2000) + "]")
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        assert detect.look(path).table is not None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3_000_000


@pytest.mark.parametrize(("name", "said"), [("", "this is a folder"), ("none.csv", "there is no such file")])
def test_what_is_no_file_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        detect.look(tmp_path / name)


@given(st.text(min_size=1).filter(lambda name: name.strip() != ""))
def test_a_draft_reads_back_to_what_was_detected(name: str) -> None:
    column = table.Column(name=name, type="string")
    found = detect.Detected(
        name=name, media_type="text/csv", byte_size=1, sha256="0" * 64, modified=datetime(2025, 1, 2, tzinfo=UTC),
        table=table.Table(rows=0, columns=(column,)),
    )  # fmt: skip
    it = reading.read(draft.text(found, "de"))
    assert (it.columns, it.rows, it.modified) == ((column,), 0, found.modified)
    assert [language for language, _ in it.title] == ["de"]
