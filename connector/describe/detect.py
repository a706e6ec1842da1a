"""What a file tells of itself: media type, size, SHA-256, time of its last change, rows and columns.

What lives here: one look at a file of the operator. What does not: guessing what the data means, which a person says, and
folders. The file is read twice, in pieces; one that changes meanwhile is refused, because its digest would be of neither state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connector.describe import parquet, table
from connector.errors import BadMessage, ConfigurationError, Conflict

_SUFFIXES: Final = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".json": "application/json", ".geojson": "application/geo+json",
    ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet",
    ".xml": "application/xml", ".html": "text/html", ".txt": "text/plain", ".md": "text/markdown", ".pdf": "application/pdf",
    ".zip": "application/zip", ".gz": "application/gzip", ".ttl": "text/turtle", ".jsonld": "application/ld+json",
    ".nc": "application/x-netcdf", ".tif": "image/tiff", ".tiff": "image/tiff", ".png": "image/png", ".jpg": "image/jpeg",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".yaml": "application/yaml",
}  # fmt: skip
_BEGINNINGS: Final = {
    b"PAR1": "application/vnd.apache.parquet",
    b"%PDF-": "application/pdf",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b": "application/gzip",
    b"\x89PNG": "image/png",
}
_GZIP: Final = "application/gzip"
# media types that have columns which are not read here
_UNREAD: Final = ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """One look at a file."""

    name: str
    media_type: str
    byte_size: int
    sha256: str
    modified: datetime
    table: table.Table | None = None
    note: str = ""
    """Why there are no rows and columns, where a reader would expect them."""


def look(path: Path, encoding: str | None = None) -> Detected:
    """What the file tells of itself; `encoding` is that of its text, where it is neither UTF-8 nor marked as UTF-16.

    Raises: ConfigurationError when it cannot be read or is no file, or nobody knows the encoding; Conflict when it changes while it is
    read.
    """
    if encoding is not None:
        _check_encoding(encoding)
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise ConfigurationError(what, where=str(path), mend="name one file")
    try:
        before = path.stat()
        with path.open("rb") as file:
            media_type = media_type_of(path, file.read(8))
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        rows, note = _rows(path, media_type, encoding) if before.st_size else (None, "the file is empty")
        after = path.stat()
    except OSError as fault:
        raise ConfigurationError(
            f"the file cannot be read: {fault.strerror}", where=str(path), mend="make it readable"
        ) from fault
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Conflict("the file changed while it was read", where=str(path), mend="try again when it is at rest")
    return Detected(
        name=path.name,
        media_type=media_type,
        byte_size=before.st_size,
        sha256=sha256,
        modified=datetime.fromtimestamp(int(before.st_mtime), UTC),
        table=rows,
        note=note,
    )


def media_type_of(path: Path, beginning: bytes) -> str:
    """The media type by the name of a file, or else by how it begins."""
    known = _SUFFIXES.get(path.suffix.lower())
    if known is not None:
        return known
    return next((kind for sign, kind in _BEGINNINGS.items() if beginning.startswith(sign)), "application/octet-stream")


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except LookupError:
        mend = "write a name such as `utf-8`, `gb18030`, `utf-16` or `windows-1252`"
        raise ConfigurationError(f"nobody knows the encoding `{name[:60]}`", where="--encoding", mend=mend) from None


def _rows(path: Path, media_type: str, encoding: str | None) -> tuple[table.Table | None, str]:
    if media_type in _UNREAD:
        return None, f"columns of `{media_type}` are not read; list them under `columns`"
    is_compressed = media_type == _GZIP
    inside = media_type_of(Path(path.stem), b"") if is_compressed else media_type
    try:
        if inside == parquet.MEDIA_TYPE and not is_compressed:
            return parquet.read(path), ""
        return table.read(path, inside, encoding=encoding, is_compressed=is_compressed), ""
    except BadMessage as fault:
        return None, f"columns are not listed: {fault}"
