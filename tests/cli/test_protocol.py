"""`kontor protocol diagram`: the tables, and nothing else."""

from __future__ import annotations

from connector.dsp.tables import TABLES, Kind, diagram
from tests.cli.conftest import Run


def test_it_prints_both_machines_or_the_one_asked_for(run: Run) -> None:
    both = run("protocol", "diagram").out
    assert both == f"{diagram(Kind.NEGOTIATION)}\n\n{diagram(Kind.TRANSFER)}\n"
    assert run("protocol", "diagram", "--kind", "transfer").out == f"{diagram(Kind.TRANSFER)}\n"


def test_as_json_every_move_is_there(run: Run) -> None:
    tree = run("protocol", "diagram", "--json").tree
    assert {kind: len(moves) for kind, moves in tree.items()} == {
        kind.value: sum(len(moves) for moves in table.values()) for kind, table in TABLES.items()
    }
    assert {"from": None, "to": "REQUESTED", "by": "consumer", "event": "request", "only_accepted": False} in tree["transfer"]
