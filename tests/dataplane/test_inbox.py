"""What lies in the inbox can be listed and forgotten, and nothing is ever there in part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connector.dataplane.inbox import Announced, Inbox, Part
from connector.errors import Conflict, Overloaded

PLACES = (("acme", "urn:uuid:1"), ("b.c", "urn:uuid:2/../x.gone"))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def _delivered(inbox: Inbox, participant: str, pid: str) -> None:
    part = inbox.begin(Announced(), participant, pid)
    part.write(b"rain")
    inbox.finish(participant, pid, part, "0" * 64, Announced())
    part.close()


def test_what_lies_there_is_listed_under_its_ids(inbox: Inbox, tmp_path: Path) -> None:
    assert inbox.places() == ()
    (tmp_path / "inbox").mkdir()
    for participant, pid in PLACES:
        inbox.begin(Announced(), participant, pid).close()
    assert inbox.places() == PLACES


def test_a_part_is_forgotten_and_what_is_whole_stays_until_that_may_go_too(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    inbox.begin(Announced(), *PLACES[0]).close()
    _delivered(inbox, *PLACES[1])
    for place in PLACES:
        assert inbox.forget(*place, is_whole_kept=True) is (place == PLACES[0])
    assert inbox.arrived(*PLACES[0]) is None
    assert inbox.arrived(*PLACES[1]) is not None
    assert inbox.forget(*PLACES[1], is_whole_kept=False)
    assert inbox.arrived(*PLACES[1]) is None
    assert inbox.places() == ()
    assert not inbox.forget(*PLACES[1], is_whole_kept=False)


def test_a_sender_that_comes_again_through_another_node_loses_no_byte(inbox: Inbox, tmp_path: Path) -> None:
    # 1. all bytes are here and are being judged; the sender has heard nothing, and comes to a node that shares the folder
    (tmp_path / "inbox").mkdir()
    there, place, said = Inbox(tmp_path / "inbox"), PLACES[0], Announced(byte_size=4)
    judged = inbox.begin(said, *place)
    judged.write(b"rain")
    # 2. it is asked for the last byte once more, so what was judged is not what lies here
    assert there.offset(*place) == 3
    with pytest.raises(Conflict, match="another node"):
        inbox.finish(*place, judged, "0" * 64, said)
    assert inbox.arrived(*place) is None
    # 3. the same when it has begun anew
    anew = there.begin(said, *place)
    anew.write(b"rai")
    with pytest.raises(Conflict, match="another node"):
        inbox.finish(*place, judged, "0" * 64, said)
    judged.close()
    # 4. there it comes to its end
    anew.write(b"n")
    assert there.finish(*place, anew, "0" * 64, said).path.read_bytes() == b"rain"
    anew.close()


def test_what_is_kept_free_is_kept_free_from_whoever_says_nothing_of_the_size(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with (tmp_path / "part").open("wb") as file:
        part = Part(file.fileno(), 0, is_hashed=True, keep_free_bytes=2 * free)
        with pytest.raises(Overloaded, match="the disk is full"):
            part.write(b"rain")
        assert part.offset == 0
        part.write(b"")


def test_a_removal_that_was_cut_short_is_finished_by_the_next(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    _delivered(inbox, *PLACES[0])
    folder = inbox.folder(*PLACES[0])
    folder.rename(folder.with_name(folder.name + ".gone"))
    assert inbox.arrived(*PLACES[0]) is None
    assert inbox.places() == PLACES[:1]
    inbox.forget(*PLACES[0], is_whole_kept=True)
    assert inbox.places() == ()
