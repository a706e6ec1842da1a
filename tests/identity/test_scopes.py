"""Scopes are read in every spelling of the field, matched by whole names, and never grant more than was granted."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import BadMessage
from connector.identity import scopes
from connector.identity.scopes import By, parse, parse_all

DCP, EDC = "org.eclipse.dspace.dcp.vc.type", "org.eclipse.edc.vc.type"


@pytest.mark.parametrize("alias", [DCP, EDC, "org.eclipse.tractusx.vc.type"])
@pytest.mark.parametrize("operation", ["", ":read", ":*", ":all"])
def test_an_operation_may_follow(alias: str, operation: str) -> None:
    found = parse(f"{alias}:MembershipCredential{operation}")
    assert (found.by, found.value) == (By.TYPE, "MembershipCredential")
    assert found.matches(["A", "MembershipCredential"], None)
    assert not found.matches(["Membership", "MembershipCredentialX", "membershipcredential"], "MembershipCredential")


@pytest.mark.parametrize("operation", ["", ":read"])
def test_an_id_may_hold_colons(operation: str) -> None:
    found = parse(f"org.eclipse.dspace.dcp.vc.id:urn:uuid:8247{operation}")
    assert (found.by, found.value) == (By.ID, "urn:uuid:8247")
    assert found.matches([], "urn:uuid:8247")
    assert not found.matches(["urn:uuid:8247"], None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        DCP,
        f"{DCP}:",
        f"{DCP}::read",
        f"{DCP}:A:write",
        f"{DCP}:A:READ",
        f"{DCP}:A:B:read",
        "other.alias:A",
        f" {DCP}:A",
        f"{DCP}:A B",
        f"{DCP}:\x00",
        f"{DCP}:{'A' * 600}",
    ],
)
def test_anything_else_is_no_scope(text: str) -> None:
    with pytest.raises(BadMessage):
        parse(text)


def test_aliases_are_given() -> None:
    assert parse("space.example:A", {"space.example": By.TYPE}).value == "A"
    with pytest.raises(BadMessage):
        parse(f"{DCP}:A", {"space.example": By.TYPE})


def test_lists_and_texts_with_blanks_are_the_same() -> None:
    assert parse_all(f"{DCP}:A {DCP}:B") == parse_all([f"{DCP}:A", f"{DCP}:B", f"{DCP}:A"])


@pytest.mark.parametrize("nothing", [None, [], "", " ", {}, 7, [7], [None], ["x"] * 65])
def test_no_scope_is_refused(nothing: Any) -> None:
    with pytest.raises(BadMessage):
        parse_all(nothing)


def test_nobody_gets_more_than_was_granted() -> None:
    granted = parse_all([f"{EDC}:A:read", "org.eclipse.dspace.dcp.vc.id:urn:b"])
    asked = parse_all([f"{DCP}:A", f"{DCP}:B", "org.eclipse.dspace.dcp.vc.id:A", "org.eclipse.dspace.dcp.vc.id:urn:b:read"])
    assert [one.text for one in scopes.covered(asked, granted)] == [f"{DCP}:A", "org.eclipse.dspace.dcp.vc.id:urn:b:read"]


def test_scopes_are_written_as_a_space_wants_them() -> None:
    assert scopes.write("A") == f"{DCP}:A"
    assert scopes.write("A", EDC, "read") == f"{EDC}:A:read"
