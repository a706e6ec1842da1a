"""What can be asked of a node about the data planes of others under its control."""

from __future__ import annotations

import json
from dataclasses import replace

from connector.api.common import Listing
from connector.api.dataplanes import DataPlane, NewDataPlane
from connector.client.calls import Call, deleted, get, written


def dataplanes(participant: str) -> Call[Listing[DataPlane]]:
    """The data planes that are registered for a participant."""
    return get(Listing[DataPlane], "participants", participant, "dataplanes")


def put_dataplane(participant: str, id_: str, wanted: NewDataPlane) -> Call[DataPlane]:
    """A data plane, registered anew or in place of its earlier entry."""
    tree = wanted.model_dump(mode="json", exclude_none=True)
    said = wanted.authorization
    # secrets dump as stars: what goes in is spelled here
    for name, secret in (("secret", said.secret), ("client_secret", said.client_secret)):
        if secret is not None:
            tree["authorization"][name] = secret.get_secret_value()
    call = written("PUT", DataPlane, "participants", participant, "dataplanes", id_, body=wanted)
    return replace(call, body=json.dumps(tree).encode())


def delete_dataplane(participant: str, id_: str) -> Call[None]:
    """Forget a data plane."""
    return deleted("participants", participant, "dataplanes", id_)
