"""A shelf that follows a change of a few documents is the one that all documents make."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from connector.controlplane.shelf import Shelf
from connector.controlplane.shelving import ASSET, DEFINITION, POLICY, Stock
from connector.ports.dataplane import Source
from connector.ports.documents import Changes
from connector.ports.store import Document
from tests.controlplane.scene import NOW, USE

ASSETS = [f"urn:d:{number}" for number in range(6)]
POLICIES = ["p0", "p1", "p2"]


class Plane:
    """A data plane that serves files."""

    def formats(self, source: Source) -> tuple[str, ...]:
        return ("HttpData-PULL",) if source.type == "file" else ()


def document(kind: str, id_: str, version: int, body: dict[str, Any]) -> Document:
    at = NOW + timedelta(seconds=version)
    return Document(participant="alice", kind=kind, id=id_, body=body, version=version, created_at=NOW, updated_at=at)


def any_document(dice: random.Random, version: int) -> Document:
    """A document of any kind under one of a few ids, now and then one that cannot be read or stands on what is not there."""
    match dice.choice((ASSET, ASSET, POLICY, DEFINITION, DEFINITION)):
        case "asset":
            id_ = dice.choice(ASSETS)
            source = dice.choice(({"type": "file", "path": "/d"}, {"type": "file", "path": "/d"}, {"type": "http", "url": "x"}))
            words = dice.choice(([], ["wet"], ["wet", "cold"]))
            return document(ASSET, id_, version, {"id": id_, "source": source, "keywords": words})
        case "policy":
            id_ = dice.choice(POLICIES)
            heir = {"permission": [{"action": "use"}], "inheritFrom": dice.choice(POLICIES)}
            body: Any = dice.choice((USE, USE, {"permission": [{"action": "read"}]}, heir, {"permission": 3}))
            return document(POLICY, id_, version, {"id": id_, "policy": body})
    id_ = f"d{dice.randrange(4)}"
    body = {
        "id": id_,
        "assets": dice.choice((["*"], [dice.choice(ASSETS)], dice.sample(ASSETS, 3), ["urn:d:none"])),
        "policy": dice.choice(POLICIES),
        "access_policy": dice.choice((None, None, *POLICIES)),
        "keywords": dice.choice(([], [], ["cold"])),
        "offer_id": dice.choice(("{definition}:{dataset}", "{definition}:{dataset}", "same")),
    }
    return document(DEFINITION, id_, version, body)


def told(shelf: Shelf) -> tuple[object, ...]:
    offers = [(id_, item.asset, item.modified, item.formats, item.terms) for id_, item in shelf.items.items()]
    return offers, shelf.assets, shelf.definitions, shelf.policies, shelf.known, shelf.faults, shelf.by_access


def test_whatever_changes_the_shelf_is_as_if_all_were_read_anew() -> None:
    for seed in range(8):
        dice = random.Random(seed)
        stock, kept = Stock(Plane()), dict[tuple[str, str], Document]()  # type: ignore[arg-type]
        for number in range(1, 60):
            if kept and dice.random() < 0.15:
                del kept[gone := dice.choice(sorted(kept))]
                if dice.random() < 0.5:
                    stock.replace(kept.values(), {})
                else:
                    stock.follow(Changes(deleted=(gone,)))
            else:
                new = [any_document(dice, number) for _ in range(dice.choice((1, 1, 3)))]
                kept |= {(one.kind, one.id): one for one in new}
                stock.follow(Changes(written=tuple({(one.kind, one.id): one for one in new}.values())))
            whole = Stock(Plane())  # type: ignore[arg-type]
            whole.replace([kept[at] for at in sorted(kept)], {})
            assert told(stock.shelf(number)) == told(whole.shelf(number)), f"seed {seed}, step {number}"


def test_what_is_not_touched_is_handed_on_as_it_is() -> None:
    stock = Stock(Plane())  # type: ignore[arg-type]
    first = [document(ASSET, id_, 1, {"id": id_, "source": {"type": "file", "path": "/d"}}) for id_ in ASSETS]
    terms = [
        document(POLICY, "use", 1, {"id": "use", "policy": USE}),
        document(DEFINITION, "all", 1, {"id": "all", "assets": ["*"], "policy": "use"}),
    ]
    stock.replace([*first, *terms], {})
    before = stock.shelf(1)
    new = document(ASSET, ASSETS[2], 2, {"id": ASSETS[2], "title": "new", "source": {"type": "file", "path": "/d"}})
    stock.follow(Changes(written=(new,)))
    # written again with the same rules: nothing that is offered says anything else
    stock.follow(Changes(written=(document(POLICY, "use", 2, {"id": "use", "policy": USE}),)))
    after = stock.shelf(2)
    assert list(after.items) == list(before.items) == ASSETS
    assert [id_ for id_ in ASSETS if after.items[id_] is not before.items[id_]] == [ASSETS[2]]
    assert before.items[ASSETS[2]].asset.title == ""
