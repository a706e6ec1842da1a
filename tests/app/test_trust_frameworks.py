"""The trust frameworks that settings name: read before anything is opened, with the place of a mistake."""

from __future__ import annotations

from typing import Any

import pytest

from connector.app.parts import trust_frameworks
from connector.errors import ConfigurationError
from connector.packaged import folder
from connector.settings import Settings

SHIPPED = [str(folder("policies") / "trust" / f"{name}.yaml") for name in ("example", "neighbour")]


def settings(files: list[str], **sections: Any) -> Settings:
    whole = {"node": {"public_url": "https://us.example"}, "identity": {"trust_frameworks": files}}
    return Settings.model_validate({**whole, **sections})


def test_those_that_ship_are_read_and_a_participant_takes_part_in_one() -> None:
    part = {"us": {"id": "did:web:us.example:us", "identity": {"spaces": ["urn:space:example"]}}}
    found = trust_frameworks(settings(SHIPPED, participants=part))
    assert [*found] == ["urn:space:example", "urn:space:neighbour"]
    assert found["urn:space:neighbour"].recognises[0].framework == "urn:space:example"


@pytest.mark.parametrize(
    ("files", "spaces", "where", "words"),
    [
        (["/nowhere.yaml"], [], "/nowhere.yaml", "cannot be read"),
        (SHIPPED[1:], [], "neighbour.yaml:9", "no file defines"),
        (SHIPPED, ["urn:space:other"], "participants.us.identity.spaces", "no file defines the space"),
    ],
)
def test_what_does_not_fit_keeps_the_node_from_starting(files: list[str], spaces: list[str], where: str, words: str) -> None:
    part = {"us": {"id": "did:web:us.example:us", "identity": {"spaces": spaces}}}
    with pytest.raises(ConfigurationError, match=words) as refused:
        trust_frameworks(settings(files, participants=part))
    assert refused.value.where == where
