"""The state machines as data: total, reachable, final where they should be, and printed the same every time."""

from __future__ import annotations

import pytest

from connector.dsp.tables import NEGOTIATION, TABLES, TRANSFER, Event, Kind, Role, State, Table, diagram, follow, lawful
from connector.errors import IllegalTransition

BOTH = [pytest.param(table, id=kind.value) for kind, table in TABLES.items()]


def reachable(table: Table) -> set[State | None]:
    found: set[State | None] = {None}
    todo: list[State | None] = [None]
    while todo:
        for move in table[todo.pop()]:
            if move.to not in found:
                found.add(move.to)
                todo.append(move.to)
    return found


# the diagrams and the prose of the standard: state, who sends, what, state; C and P stand for consumer and provider
STANDARD = {
    Kind.NEGOTIATION: """
        - C request REQUESTED     - P offer OFFERED
        REQUESTED P offer OFFERED     REQUESTED P agree AGREED     REQUESTED P terminate TERMINATED
        REQUESTED C terminate TERMINATED
        OFFERED C request REQUESTED     OFFERED C accept ACCEPTED     OFFERED C terminate TERMINATED
        OFFERED P terminate TERMINATED
        ACCEPTED P agree AGREED     ACCEPTED P terminate TERMINATED     ACCEPTED C terminate TERMINATED
        AGREED C verify VERIFIED     AGREED C terminate TERMINATED     AGREED P terminate TERMINATED
        VERIFIED P finalize FINALIZED     VERIFIED P terminate TERMINATED     VERIFIED C terminate TERMINATED""",
    Kind.TRANSFER: """
        - C request REQUESTED
        REQUESTED P start STARTED     REQUESTED P terminate TERMINATED     REQUESTED C terminate TERMINATED
        STARTED P suspend SUSPENDED     STARTED C suspend SUSPENDED     STARTED P complete COMPLETED
        STARTED C complete COMPLETED     STARTED P terminate TERMINATED     STARTED C terminate TERMINATED
        SUSPENDED P start STARTED     SUSPENDED C start STARTED     SUSPENDED P terminate TERMINATED
        SUSPENDED C terminate TERMINATED""",
}


@pytest.mark.parametrize("kind", Kind)
def test_the_table_is_that_of_the_standard_and_nothing_more(kind: Kind) -> None:
    words = STANDARD[kind].split()
    written = {tuple(words[at : at + 4]) for at in range(0, len(words), 4)}
    moves = [(state, move) for state, row in TABLES[kind].items() for move in row]
    assert {(state or "-", move.sender[0].upper(), move.event, move.to) for state, move in moves} == written


@pytest.mark.parametrize("table", BOTH)
def test_every_state_has_a_row_and_every_row_is_reached(table: Table) -> None:
    assert reachable(table) == set(table)


@pytest.mark.parametrize("table", BOTH)
def test_terminal_states_have_empty_rows_and_no_other_does(table: Table) -> None:
    for state, moves in table.items():
        assert (moves == ()) == (state is not None and state.is_terminal)


@pytest.mark.parametrize("table", BOTH)
def test_a_message_leads_to_one_state(table: Table) -> None:
    for moves in table.values():
        assert len({(m.sender, m.event) for m in moves}) == len(moves)


@pytest.mark.parametrize("table", BOTH)
def test_a_final_state_can_be_reached_from_everywhere(table: Table) -> None:
    for start in table:
        seen, todo = {start}, [start]
        while todo:
            for move in table[todo.pop()]:
                if move.to not in seen:
                    seen.add(move.to)
                    todo.append(move.to)
        assert any(state is not None and state.is_terminal for state in seen)


@pytest.mark.parametrize("table", BOTH)
def test_either_party_may_terminate_in_every_state_that_is_not_final(table: Table) -> None:
    for state in table:
        if state is not None and not state.is_terminal:
            assert follow(table, state, Role.CONSUMER, Event.TERMINATE) is State.TERMINATED
            assert follow(table, state, Role.PROVIDER, Event.TERMINATE) is State.TERMINATED


@pytest.mark.parametrize(
    ("state", "sender"),
    [(State.ACCEPTED, Role.CONSUMER), (State.AGREED, Role.PROVIDER), (State.VERIFIED, Role.CONSUMER)],
)
def test_what_only_the_prose_allows_is_accepted_and_never_sent(state: State, sender: Role) -> None:
    assert follow(NEGOTIATION, state, sender, Event.TERMINATE) is State.TERMINATED
    with pytest.raises(IllegalTransition):
        follow(NEGOTIATION, state, sender, Event.TERMINATE, sending=True)


def test_every_pair_outside_the_table_is_illegal_and_the_error_lists_what_is_lawful() -> None:
    for table in TABLES.values():
        for state in table:
            for sender in Role:
                may = {m.event: m.to for m in lawful(table, state, sender)}
                for event in Event:
                    if event in may:
                        assert follow(table, state, sender, event) is may[event]
                        continue
                    with pytest.raises(IllegalTransition) as caught:
                        follow(table, state, sender, event)
                    assert all(known.value in caught.value.mend for known in may)


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ((("consumer", "request"), ("provider", "agree"), ("consumer", "verify"), ("provider", "finalize")), State.FINALIZED),
        (
            (
                ("consumer", "request"),
                ("provider", "offer"),
                ("consumer", "request"),
                ("provider", "offer"),
                ("consumer", "accept"),
                ("provider", "agree"),
                ("consumer", "verify"),
                ("provider", "finalize"),
            ),
            State.FINALIZED,
        ),
        ((("provider", "offer"), ("consumer", "accept"), ("provider", "agree")), State.AGREED),
    ],
)
def test_the_usual_negotiations_run_through(path: tuple[tuple[str, str], ...], end: State) -> None:
    state: State | None = None
    for sender, event in path:
        state = follow(NEGOTIATION, state, Role(sender), Event(event))
    assert state is end


def test_a_transfer_may_be_suspended_and_resumed_by_either_side() -> None:
    for sender in Role:
        state = follow(TRANSFER, State.STARTED, sender, Event.SUSPEND)
        assert follow(TRANSFER, state, sender.other, Event.START) is State.STARTED


def test_completion_out_of_suspended_is_illegal() -> None:
    with pytest.raises(IllegalTransition):
        follow(TRANSFER, State.SUSPENDED, Role.PROVIDER, Event.COMPLETE)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_diagram_names_every_move(kind: Kind) -> None:
    text = diagram(kind)
    assert text == diagram(kind)
    for state, moves in TABLES[kind].items():
        for move in moves:
            assert f"{state.value if state else '[*]'} --> {move.to.value}: {move.event.value} by " in text
