"""The states of a data flow, and what a profile's name says."""

from __future__ import annotations

import pytest

from connector.dps.flow import ARRIVED, TABLE, UNDERWAY, Call, Direction, FlowState, direction_of, follow, format_of
from connector.errors import BadMessage, IllegalTransition


def test_the_table_is_total_and_only_the_ends_go_nowhere_else() -> None:
    assert set(TABLE) == set(FlowState)
    assert [state for state in TABLE if set(TABLE[state].values()) <= {state}] == [FlowState.COMPLETED, FlowState.TERMINATED]


@pytest.mark.parametrize("state", list(FlowState))
@pytest.mark.parametrize("call", list(Call))
def test_each_call_leads_where_the_table_says_or_nowhere(state: FlowState, call: Call) -> None:
    if call in TABLE[state]:
        assert follow(state, call) is TABLE[state][call]
    else:
        with pytest.raises(IllegalTransition, match=f"in {state} takes no `{call}`"):
            follow(state, call)


def test_whatever_is_not_over_can_be_terminated() -> None:
    living = [state for state in FlowState if not state.is_over and state is not FlowState.INITIALIZED]
    assert {follow(state, Call.TERMINATE) for state in living} == {FlowState.TERMINATED}


def test_prepare_and_start_may_take_their_time_and_nothing_else_may() -> None:
    for call in Call:
        for state, row in TABLE.items():
            if call in row:
                slow = follow(state, call, is_ready=False)
                assert slow is UNDERWAY.get(call, row[call])
                assert ARRIVED.get(slow, row[call]) is row[call]


@pytest.mark.parametrize(
    ("profile", "direction", "format_"),
    [
        ("HttpData-PULL", Direction.PULL, "HttpData-PULL"),
        ("http-pull", Direction.PULL, "HttpData-PULL"),
        ("https://w3id.org/dspace-sig/profile/http-push", Direction.PUSH, "HttpData-PUSH"),
        ("AmazonS3-PUSH", Direction.PUSH, "AmazonS3-PUSH"),
        ("com.test.mqtt-Pull", Direction.PULL, "com.test.mqtt-Pull"),
    ],
)
def test_a_profile_says_which_way_and_names_a_format(profile: str, direction: Direction, format_: str) -> None:
    assert (direction_of(profile), format_of(profile)) == (direction, format_)


def test_a_profile_that_does_not_say_which_way_is_refused() -> None:
    with pytest.raises(BadMessage, match="which way"):
        direction_of("https://w3id.org/dspace-sig/profile/http")
