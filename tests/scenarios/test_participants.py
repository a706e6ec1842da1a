"""Participants come and go while the node runs; who leaves leaves its name to nobody else."""

from __future__ import annotations

import pytest

from connector import client
from connector.api.participants import NewParticipant
from connector.client import Calls, add_participant, participants, remove_participant
from connector.errors import Conflict, NotFound
from connector.testing.dataspace import DataSpace
from tests.scenarios.wire import Wire, message


async def test_a_participant_is_added_found_and_removed_without_a_restart(space: DataSpace, wire: Wire) -> None:
    provider, consumer = space.join("provider"), space.join("consumer")
    await provider.publish("weather")
    guest = Calls("guest")
    send = provider.send
    await send(add_participant(NewParticipant(name="guest", id="urn:guest")))
    await send(guest.put_secret("word", "hush"))
    page = await send(participants(limit=1))
    assert ([one.name for one in page.items], page.total, page.next_cursor) == (["guest"], 2, "guest")
    assert [one.name for one in (await send(participants(cursor="guest"))).items] == ["provider"]

    with pytest.raises(Conflict, match="stands in the settings"):
        await send(remove_participant("provider"))
    await send(remove_participant("guest"))
    with pytest.raises(NotFound):
        await send(guest.context())
    base = provider.address.replace("/provider/", "/guest/")
    gone = await wire.send(provider, f"{base}/catalog/request", message("CatalogRequestMessage"), caller=consumer)
    assert gone.status_code == 404
    with pytest.raises(NotFound):
        await send(remove_participant("guest"))

    with pytest.raises(Conflict, match="was the name of `urn:guest`"):
        await send(add_participant(NewParticipant(name="guest", id="urn:other")))
    await send(add_participant(NewParticipant(name="guest", id="urn:guest")))
    assert (await send(guest.secrets())).total == 0
    told = [entry.what for entry in (await send(client.audit())).items if entry.what is not None]
    assert told.count("DELETE /api/v1/participants/guest") == 2
