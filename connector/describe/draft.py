"""A description document as text: what was detected filled in, and what a person should add as comments.

What lives here: writing YAML that `reading` reads back to the same. What does not: guessing what only a person knows.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import Any, Final

from connector.describe.detect import Detected
from connector.describe.document import FREQUENCIES, THEMES

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./+-]*[A-Za-z0-9]\Z|[A-Za-z]\Z")
# words that YAML takes for something else
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_MORE: Final = """\
# What follows is for you: take away the `#` of what you can say.
# keywords: {LANGUAGE: [word, another word]}
# themes: [environment]        # THEMES, or the IRI of a concept
# publisher: {id: "did:web:example.org", name: Example Organisation}
# contact: data@example.org
# license: "https://creativecommons.org/licenses/by/4.0/"
# provenance: {source: original, text: How the data was collected.}   # original, collected, traded, other
# frequency: daily             # FREQUENCIES
# quality: {grade: A, measures: {completeness: 0.98}}   # A to D
# form: dataset                # dataset, api, application, report, object, other
# grade: general               # core, important, general (GB/T 43697)
# level: 1                     # 1 to 5
# rights: {holding: "did:web:example.org", processing: "did:web:example.org", operating: "did:web:example.org"}
# price: free                  # or {amount: 12.50, currency: EUR, per: month}
# identifiers: ["urn:example:product-1", "did:web:example.org:product-1"]
# product_code: ""             # 32 signs with the check character, for the trusted data space
# spatial: ["http://publications.europa.eu/resource/authority/country/DEU"]
# temporal: {from: 2025-01-01, to: 2025-12-31}
# conforms_to: ["https://example.org/schema"]
# landing_page: "https://example.org/product"
# version: "1.0"
"""


def text(found: Detected, language: str = "en") -> str:
    """The document for a file that was looked at; its title is the file's name, until a person writes a better one."""
    lines = [
        f"# What {_one_line(found.name)} says of itself. Use it with: kontor publish FILE --description X.yaml --policy POLICY",
        f"title: {{{language}: {_quoted(_title(_one_line(found.name) or 'data'))}}}",
        f"# description: {{{language}: Some sentences for those who look for such data.}}",
        f"media_type: {_quoted(found.media_type)}",
        f"byte_size: {found.byte_size}",
        f"sha256: {_quoted(found.sha256)}",
        f"modified: {found.modified.astimezone(UTC).isoformat().replace('+00:00', 'Z')}",
    ]
    if found.table is not None:
        lines.append(f"rows: {found.table.rows}")
        if found.table.columns:
            lines.append("columns:")
        for column in found.table.columns:
            required = ", required: true" if column.is_required else ""
            lines.append(f"  - {{name: {_quoted(column.name)}, type: {column.type}{required}}}")
    if found.note:
        lines.append(f"# {_one_line(found.note)}")
    more = (
        _MORE.replace("LANGUAGE", language).replace("THEMES", ", ".join(THEMES)).replace("FREQUENCIES", ", ".join(FREQUENCIES))
    )
    return "\n".join(lines) + "\n\n" + more


def tree(found: Detected) -> dict[str, Any]:
    """The same as a JSON tree."""
    table = found.table
    return {
        "name": found.name,
        "media_type": found.media_type,
        "byte_size": found.byte_size,
        "sha256": found.sha256,
        "modified": found.modified.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "rows": table.rows if table else None,
        "columns": [{"name": c.name, "type": c.type, "required": c.is_required} for c in table.columns] if table else None,
        "note": found.note,
    }


def _title(name: str) -> str:
    stem = name.rpartition(".")[0] or name
    words = re.sub(r"[\s_-]+", " ", stem).strip() or name
    return words[:1].upper() + words[1:]


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _quoted(text: str) -> str:
    """A text as YAML reads it back: bare where nothing can go wrong, else in quotes with every odd sign escaped."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    # JSON in the signs that YAML takes as they are; surrogate pairs, which JSON escapes by halves, are not YAML
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)
