"""The fields of an address."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from connector.errors import BadMessage
from connector.federation.asking import Fields

_MOST_FIELDS: Final = 100


def fields(scope: Scope) -> Fields:
    """The fields of the address.

    Raises: BadMessage when there are too many, or they are no text.
    """
    try:
        text = scope["query_string"].decode("ascii")
        return parse_qs(text, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as fault:
        raise BadMessage(
            f"the query cannot be read: {fault}", where="query", mend="send fewer fields, escaped as UTF-8"
        ) from None
