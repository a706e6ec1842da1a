"""Secrets of a participant, such as credentials of an upstream: written and named, never given back."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, SecretStr

from connector.api.common import Asked, Shown


class NewSecret(Asked):
    """The value of a secret; it is sealed before it is stored and no call returns it."""

    value: SecretStr = Field(min_length=1, max_length=65_536, examples=["Bearer 2YotnFZFEjr1zCsicMWpAA"])


class SecretName(Shown):
    """That there is a secret."""

    name: str
    updated_at: datetime
