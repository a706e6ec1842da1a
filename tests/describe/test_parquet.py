"""Parquet says itself how many rows and which columns it has."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from connector.describe import detect
from connector.describe.parquet import read
from connector.errors import BadMessage

COLUMNS = {
    "n": pyarrow.array([1, 2, None]),
    "x": pyarrow.array([1.5, None, 2.0]),
    "money": pyarrow.array([Decimal("1.20"), None, Decimal("3.40")]),
    "is": pyarrow.array([True, False, None]),
    "day": pyarrow.array([date(2026, 1, 1), None, None]),
    "at": pyarrow.array([datetime(2026, 1, 1, tzinfo=UTC), None, None]),
    "name": pyarrow.array(["a", "b", "c"]),
    "parts": pyarrow.array([[1], [2], []]),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.parquet"
    fields = [pyarrow.field(name, column.type, nullable=name != "name") for name, column in COLUMNS.items()]
    parquet.write_table(pyarrow.table(list(COLUMNS.values()), schema=pyarrow.schema(fields)), path)
    return path


def test_rows_and_columns_with_their_types(file: Path) -> None:
    found = read(file)
    assert found.rows == 3
    assert {one.name: one.type for one in found.columns} == {
        "n": "integer", "x": "double", "money": "decimal", "is": "boolean", "day": "date", "at": "dateTime", "name": "string",
        "parts": "json",
    }  # fmt: skip
    assert [one.name for one in found.columns if one.is_required] == ["name"]


def test_a_look_at_the_file_finds_them(file: Path) -> None:
    found = detect.look(file)
    assert (found.media_type, found.note) == ("application/vnd.apache.parquet", "")
    assert found.table is not None
    assert found.table.rows == 3


@pytest.mark.parametrize("cut", [0, 3, 11, 100])
def test_a_file_that_is_cut_is_none(file: Path, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(BadMessage, match="no whole Parquet"):
        read(file)


def test_a_footer_that_lies_about_its_size_is_not_believed(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-8] + (1 << 31).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(BadMessage, match="no whole Parquet"):
        read(file)
    file.write_bytes(b"PAR1" + b"\xff" * 100 + (90).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(BadMessage, match="no Parquet"):
        read(file)
