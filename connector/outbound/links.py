"""Links that an answer carries in its header.

Source: RFC 8288, Web Linking.
"""

from __future__ import annotations


def next_link(header: str) -> str | None:
    """The target of the link `rel="next"` in a `Link` header; None without one.

    Read from left to right in one pass, whatever a peer writes there.
    Source: RFC 8288, section 3.
    """
    at = 0
    while (start := header.find("<", at)) >= 0 and (end := header.find(">", start)) >= 0:
        at, words, is_quoted = end + 1, [""], False
        while at < len(header) and (is_quoted or header[at] != ","):
            char = header[at]
            if char == "\\" and is_quoted:
                at += 1
            elif char == '"':
                is_quoted = not is_quoted
            elif char == ";" and not is_quoted:
                words.append("")
            else:
                words[-1] += char
            at += 1
        for word in words:
            name, _, value = word.partition("=")
            if name.strip().lower() == "rel" and "next" in value.lower().split():
                return header[start + 1 : end].strip()
    return None
