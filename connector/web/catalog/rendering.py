"""Pages made of templates: whatever stands in them is a text, without signs that command, or that turn round what stands beside it.

What lives here: `Page`, an address that shows a page also when it cannot, its headers, and the templates' environment. What does not:
which page shows what (`pages.py`).
Source: Content Security Policy Level 3; Unicode Standard Annex 9, section 2; Unicode Technical Report 36, section 2.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from connector.errors import KontorError, MethodNotAllowed, Unauthenticated
from connector.web import edge, errors

Values = dict[str, Any]
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"vary", b"authorization"),
)
_HTML: Final = b"text/html; charset=utf-8"
_UNSEEN: Final = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), 0x200B, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)
)
"""Controls, overrides and embeddings of direction, and what has no width: a title of one member must not rewrite the line of another."""


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("connector.web.catalog"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=plain,
    )


class Page:
    """An address that shows a page, also when it cannot."""

    def __init__(self, show: Callable[[Scope], Awaitable[tuple[str, Values]]], space: str) -> None:
        self._show = show
        self._space = space

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 200
        headers: tuple[tuple[bytes, bytes], ...] = _HEADERS
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{scope['method']} is not for this address", allowed=("GET", "HEAD"))
            name, values = await self._show(scope)
        except KontorError as fault:
            verdict = errors.judge(fault)
            edge.note(scope, error_id=verdict.error_id, cause=verdict.text)
            status, headers = verdict.status, (*_HEADERS, *verdict.headers)
            phrase = "Members only" if isinstance(fault, Unauthenticated) else HTTPStatus(status).phrase
            name, values = "fault.html", {"title": phrase, "name": phrase, "what": verdict.what, "mend": verdict.mend}
            values["is_members_only"] = isinstance(fault, Unauthenticated)
        shown: Values = {"space": self._space, "here": "", "next": None, **values}
        text = await asyncio.to_thread(lambda: _templates().get_template(name).render(shown))
        await edge.reply(send, status, text.encode("utf-8", "replace"), headers, _HTML)


def plain(value: Any) -> Any:
    """What a template shows: texts without signs that nobody sees."""
    return value.translate(_UNSEEN) if isinstance(value, str) else value
