"""JSON Schemas for claims of credentials, compiled.

What lives here: `compiled`, the door of jsonschema-rs for this room; a reference to anything outside the schema is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector import strict
from connector.errors import BadMessage, ConfigurationError, TooLarge
from connector.identity.credentials import SchemaCheck


def compiled(text: bytes, where: str) -> SchemaCheck:
    """The check of the JSON Schema in `text`; `where` names it in errors.

    Raises: ConfigurationError when it is none, refers elsewhere, or the library is not installed.
    """
    try:
        import jsonschema_rs
    except ModuleNotFoundError as fault:
        mend = "install the extra: `kontor-connector[schemas]`"
        raise ConfigurationError("schemas of credentials need the library `jsonschema-rs`", where=where, mend=mend) from fault
    try:
        validator: Any = jsonschema_rs.validator_for(strict.scan(text), retriever=_nothing)
    except (BadMessage, TooLarge, ValueError) as fault:
        raise ConfigurationError(
            f"this is no JSON Schema: {fault}", where=where, mend="one file, without references"
        ) from fault

    def check(claims: Mapping[str, Any]) -> str | None:
        found = next(iter(validator.iter_errors(dict(claims))), None)
        return None if found is None else f"{found.message} at `{strict.path(found.instance_path) or 'the claims'}`"

    return check


def _nothing(address: str) -> Any:
    raise ValueError(f"`{address}` is outside the schema")
