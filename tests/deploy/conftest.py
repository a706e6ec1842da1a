"""What the tests of the deployment can ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.tree import ROOT

DEPLOY = ROOT / "deploy"
KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlISE="
"""32 bytes, base64: a key that seals secrets."""


@pytest.fixture
def deploy() -> Path:
    """The folder with everything that is deployed."""
    return DEPLOY
