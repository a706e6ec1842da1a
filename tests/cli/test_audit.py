"""`kontor audit`: acts as one line each, and the check of the trail against what was noted."""

from __future__ import annotations

from tests.cli.conftest import Run, Space


def test_acts_are_shown_and_the_trail_is_checked(run: Run, space: Space) -> None:
    me = space.provider.options
    run("keys", "create", "audited", *me)
    shown = run("audit", "--node", *me).out.splitlines()
    assert shown[0].split() == ["NUMBER", "AT", "WHO", "FROM", "WHAT", "RESULT"]
    assert "operator" in shown[1]
    assert "POST /api/v1/keys" in shown[1]
    assert shown[1].endswith("201 audited")
    verdict = run("audit", "--node", "--verify", "--json", *me).tree
    noted = f"{verdict['last_number']}:{verdict['last_sha256']}"
    run("keys", "revoke", "audited", *me)
    assert run("audit", "--node", "--verify", "--noted", noted, *me).out.startswith("whole: ")
    broken = run("audit", "--node", "--verify", "--noted", f"{verdict['last_number']}:{'0' * 64}", *me)
    assert (broken.code, broken.out.startswith("broken: entry ")) == (1, True)
    assert run("audit", "--verify", *me).code == 0
    assert run("audit", "--noted", "x", *me).code == 2
