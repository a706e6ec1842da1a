"""Rows and columns of Parquet, as the file itself says: its footer is read, and none of its data.

Needs the extra `parquet`; without it a description names no columns and says why.
Source: Apache Parquet, file format and logical types; XML Schema 1.1 part 2 (names of types).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from connector.describe.table import MAX_COLUMNS, Column, Table
from connector.errors import BadMessage

MEDIA_TYPE: Final = "application/vnd.apache.parquet"
_MAX_FOOTER_BYTES: Final = 64 << 20


def read(path: Path) -> Table:
    """What the file says of its rows and columns.

    Raises: BadMessage when it is no Parquet, has too many columns, or the extra `parquet` is not installed.
    """
    _vet_footer(path)
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as fault:
        raise BadMessage("reading Parquet needs the extra `parquet`", mend="install `kontor-connector[parquet]`") from fault
    try:
        with parquet.ParquetFile(path) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except (pyarrow.ArrowException, OSError) as fault:
        raise BadMessage(f"this is no Parquet: {str(fault).splitlines()[0][:200]}", mend="write the file again") from fault
    if len(schema) > MAX_COLUMNS:
        raise BadMessage(f"{len(schema)} columns, more than {MAX_COLUMNS}", mend="list those that matter under `columns`")
    columns = tuple(Column(name=one.name, type=_type(one.type), is_required=not one.nullable) for one in schema if one.name)
    return Table(rows=rows, columns=columns)


def _vet_footer(path: Path) -> None:
    """Nothing, when the file ends as Parquet does, with a footer of sensible size: the library would take its word for it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        end = file.read(8)
    footer = int.from_bytes(end[:4], "little")
    if size < 12 or end[4:] != b"PAR1" or footer > min(size - 12, _MAX_FOOTER_BYTES):
        raise BadMessage("this is no whole Parquet file", mend="write the file again")


def _type(kind: Any) -> str:
    """The name of XML Schema for a type of Arrow."""
    from pyarrow import types

    tests = (
        (types.is_boolean, "boolean"), (types.is_integer, "integer"), (types.is_decimal, "decimal"),
        (types.is_floating, "double"), (types.is_date, "date"), (types.is_timestamp, "dateTime"), (types.is_nested, "json"),
    )  # fmt: skip
    return next((name for is_kind, name in tests if is_kind(kind)), "string")
