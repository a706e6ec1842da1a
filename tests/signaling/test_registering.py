"""Our data plane registers itself at the control planes of others, in the words and with the login that each of them takes."""

from __future__ import annotations

import json
import pathlib

from connector.dps import legacy, standard
from tests.dps.schemas import faults
from tests.signaling.foreign import Plane, listening
from tests.signaling.kit import running

PROFILES = ("HttpData-PULL", "HttpData-PUSH")


async def test_each_control_plane_is_told_where_we_are_in_its_own_words(tmp_path: pathlib.Path) -> None:
    async with listening(Plane()) as control:
        # EDC of today answers at a listener of its management API, with a key of its own; one of yesterday wants no login
        edc = {
            "control_plane": "edc",
            "url": f"{control.url}/management/v4/dataplanes",
            "form": "edc",
            "api_key": "of the operator",
        }
        older = {"control_plane": "old", "url": f"{control.url}/control/v1/dataplanes", "form": "edc-legacy"}
        ours = {"control_plane": "tck", "url": f"{control.url}/acme/dataplanes"}
        named = [
            {"id": "tck", "endpoint": f"{control.url}/acme", "secret": "between us"},
            {"id": "edc", "endpoint": f"{control.url}/signaling", "secret": "of edc"},
            {"id": "old", "endpoint": f"{control.url}/control", "dialect": "edc-legacy", "secret": "of the old one"},
        ]
        async with running(tmp_path, control, control_planes=named, register_at=[ours, edc, older]) as kit:
            await control.until("dataplanes", 3)
            at = {one.path: one for one in control.of("dataplanes")}
        base = kit.url

    found = at["/acme/dataplanes"]
    plane = standard.read_plane(found.body)
    assert (found.method, found.headers["authorization"]) == ("PUT", "Bearer between us")
    assert (found.tree["endpoint"], plane.id, plane.profiles) == (base, "our-dp", PROFILES)
    assert faults([("dataplanes", found.tree)]) == []

    found = at["/management/v4/dataplanes"]
    assert (found.method, found.headers["x-api-key"], "authorization" in found.headers) == ("PUT", "of the operator", False)
    # EDC appends nothing but the call, reads `transferTypes`, and knows nothing of a shared secret
    assert (found.tree["endpoint"], found.tree["transferTypes"]) == (f"{base}/dataflows", list(PROFILES))
    assert "authorization" not in found.tree
    assert b"of edc" not in found.body

    found = at["/control/v1/dataplanes"]
    old = legacy.read_plane(found.body)
    assert (found.method, json.loads(found.body)[f"{legacy.EDC}url"]) == ("POST", f"{base}/dataflows")
    assert (old.id, old.profiles, old.source_types) == ("our-dp", PROFILES, ("HttpData",))
    assert b"of the old one" not in found.body
