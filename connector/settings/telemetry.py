"""Where traces of what the node does are sent; without it nothing is loaded for them."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from connector.settings.fields import Secret, Section


class Telemetry(Section):
    """Traces over OTLP (extra `otel`). Trace ids go to peers and stand in the log whether or not they are exported."""

    otlp_url: str | None = Field(
        None, description="OTLP/HTTP collector that takes spans, such as `http://localhost:4318`; none exports nothing."
    )
    otlp_authorization: Secret | None = Field(None, repr=False, description="Whole `Authorization` value for the collector.")
    sample_ratio: float = Field(1.0, ge=0, le=1, description="Part of the traces that is exported; lower it under much load.")
    service: str = Field("kontor", min_length=1, max_length=200, description="`service.name` of the spans.")

    @field_validator("otlp_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
                raise ValueError("an absolute http(s) address without user and query, such as `http://localhost:4318`")
        return value
