"""A product code with a typo is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.describe import codes
from connector.errors import BadMessage

SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
BODIES = st.text(SIGNS, min_size=30, max_size=30).map("6".__add__)


def test_the_check_character_is_that_of_the_standard() -> None:
    # the donation number in the ISBT 128 specification, whose check character is ISO 7064 MOD 37-2
    assert codes.check_character("G123498654321") == "H"


@given(BODIES, st.sampled_from(["", "·doi:10.1/2"]))
def test_a_code_with_its_check_character_is_kept(body: str, extension: str) -> None:
    code = body + codes.check_character(body) + extension
    assert codes.checked(code) == code


@given(BODIES, st.integers(1, 30), st.sampled_from(SIGNS))
def test_one_changed_sign_is_found(body: str, place: int, sign: str) -> None:
    code = body + codes.check_character(body)
    changed = code[:place] + sign + code[place + 1 :]
    if changed != code:
        with pytest.raises(BadMessage, match="check character"):
            codes.checked(changed)


@given(BODIES, st.integers(1, 29))
def test_two_neighbours_that_changed_places_are_found(body: str, place: int) -> None:
    code = body + codes.check_character(body)
    changed = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    if changed != code:
        with pytest.raises(BadMessage, match="check character"):
            codes.checked(changed)


@pytest.mark.parametrize(
    "code", ["", "6", "8" * 32, "6" * 31 + "a", "6" * 32 + "\n", "6" * 32 + "·", "6" * 32 + "·" + "x" * 33]
)
def test_what_does_not_look_like_a_code_is_refused(code: str) -> None:
    with pytest.raises(BadMessage, match="no product code"):
        codes.checked(code)
