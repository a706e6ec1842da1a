"""Texts of the operator: files that a command reads, and JSON in them. What the text means is the reader's business."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connector.errors import ConfigurationError, PolicyError
from connector.strict import each_once


def read(path: Path) -> str:
    """The text of a file of the operator.

    Raises: ConfigurationError when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        said = getattr(fault, "strerror", None) or str(fault)
        raise ConfigurationError(
            f"the file cannot be read: {said}", where=str(path), mend="name a readable text file"
        ) from fault


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _is_broken(tree: object) -> bool:
    try:
        json.dumps(tree, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def json_object(text: str, path: Path) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises: PolicyError when it is none.
    """
    try:
        tree = json.loads(text, object_pairs_hook=each_once)
    except (ValueError, RecursionError) as fault:
        raise PolicyError(f"this is no JSON: {fault}", where=str(path), mend="mend it, or write it as YAML") from fault
    if _SURROGATE.search(text) and _is_broken(tree):
        raise PolicyError("a text with half a character (a lone surrogate)", where=str(path), mend="write the whole character")
    if not isinstance(tree, dict):
        raise PolicyError("this is no JSON object", where=str(path), mend="begin it with `{`")
    return tree


def json_objects(text: str, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The JSON objects in `text`, each with its place: one a line, or those of one array, or of `items` as the operator API lists.

    Raises: PolicyError when one is none.
    """
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield json_object(line, Path(f"{path}:{number}")), f"{path}:{number}"
        return
    items = whole.get("items", [whole]) if isinstance(whole, dict) else whole
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        where = f"{path} entry {number}"
        if not isinstance(item, dict):
            raise PolicyError("this is no JSON object", where=where, mend="write one object a line")
        yield item, where


def moment(text: object, where: str) -> datetime:
    """The moment that a text of the operator spells; without a zone it is universal time.

    Raises: PolicyError when it is none.
    """
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as fault:
        raise PolicyError(f"`{str(text)[:40]}` is no moment", where=where, mend="write it as 2027-01-31T12:00:00Z") from fault
    return found if found.tzinfo else found.replace(tzinfo=UTC)
