"""Texts of the operator: files that a command reads, and JSON in them. What the text means is the reader's business."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from connector.errors import ConfigurationError, PolicyError


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
        tree = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise PolicyError(f"this is no JSON: {fault}", where=str(path), mend="mend it, or write it as YAML") from fault
    if _SURROGATE.search(text) and _is_broken(tree):
        raise PolicyError("a text with half a character (a lone surrogate)", where=str(path), mend="write the whole character")
    if not isinstance(tree, dict):
        raise PolicyError("this is no JSON object", where=str(path), mend="begin it with `{`")
    return tree
