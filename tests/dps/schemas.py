"""The standard's own schemas, as its readme says they are to be used; and what they find wrong with a recorded exchange."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import jsonschema_rs

_BASE = "https://w3id.org/dspace-sig/v1.0/"
BY_STEP = {
    "prepare": "DataFlowPrepareMessage",
    "start": "DataFlowStartMessage",
    "started": "DataFlowStartedNotificationMessage",
    "suspend": "DataFlowSuspendMessage",
    "resume": "DataFlowResumeMessage",
    "terminate": "DataFlowTerminateMessage",
    "status": "DataFlowStatusResponseMessage",
    "report": "DataFlowStatusMessage",
    "dataplanes": "DataPlaneRegistrationMessage",
    "controlplanes": "ControlPlaneRegistrationMessage",
    "agreement": "AgreementResponse",
}
"""By the last step of an address, which schema its messages have; `completed` of a control plane has none."""


@functools.cache
def validators(folder: pathlib.Path) -> dict[str, Any]:
    """A validator for each schema, by its name."""
    own = {path.name: json.loads(path.read_text()) for path in sorted((folder / "dps/schemas").glob("*.json"))}
    for name, schema in own.items():
        # each under the base and its file name, whatever `$id` it carries
        schema["$id"] = f"{_BASE}{name}"
    profile = json.loads((folder / "dps/profiles/http/data-address-schema.json").read_text())
    # fault 1 of the protocol's readme: references without the slash
    texts = [
        path.read_text().replace("#definitions/", "#/definitions/") for path in sorted((folder / "dsp/schema").glob("*.json"))
    ]
    protocol = [json.loads(text) for text in texts]
    registry = jsonschema_rs.Registry([(schema["$id"], schema) for schema in (*own.values(), profile, *protocol)])
    named = {name.partition(".")[0]: schema for name, schema in own.items()} | {"HttpProfile": profile}
    return {name: jsonschema_rs.validator_for(schema, registry=registry) for name, schema in named.items()}


def faults(messages: Iterable[tuple[str, Any]]) -> list[str]:
    """What is wrong with messages, by the last step of their address; that there are none is a fault.

    Nothing is looked at without the official files.
    """
    said = [(step, tree) for step, tree in messages if step in BY_STEP]
    if not said:
        return ["nothing was said"]
    folder = os.environ.get("KONTOR_OFFICIAL")
    if not folder:
        return []
    known = validators(pathlib.Path(folder))
    return [f"{step}: {error.message}" for step, tree in said for error in known[BY_STEP[step]].iter_errors(tree)]
