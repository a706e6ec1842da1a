"""`kontor dataplanes`: registered, listed and forgotten by command."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, Space


def test_a_data_plane_is_registered_listed_and_forgotten(run: Run, space: Space, tmp_path: Path) -> None:
    options = space.provider.options
    secret = tmp_path / "dp.secret"
    secret.write_text("between the two of us\n")
    plane = ("dp-1", "http://127.0.0.1:9/v1/dataflows", "--profile", "Tape-PULL", "--label", "cold", "--secret-file", secret)
    made = run("dataplanes", "add", *plane, *options)
    assert (made.code, made.out) == (0, "registered dp-1 at http://127.0.0.1:9/v1\n")
    shown = run("dataplanes", "list", "--json", *options)
    (found,) = shown.tree
    assert (found["id"], found["profiles"], found["labels"], found["owner"]) == ("dp-1", ["Tape-PULL"], ["cold"], "operator")
    assert "between the two of us" not in shown.out
    assert "Tape-PULL" in run("dataplanes", "list", *options).out
    broker = ("--broker", "http://127.0.0.1:9/token", "--issuer", "urn:broker", "--jwks-uri", "http://127.0.0.1:9/jwks")
    named = (*broker, "--resource", "urn:us", "--scope", "flows", "--principal", "urn:them")
    changed = run("dataplanes", "add", *plane[:4], *named, "--json", *options)
    assert (changed.code, changed.tree["principal"]) == (0, "urn:them")
    assert run("dataplanes", "remove", "dp-1", *options).out == "removed dp-1\n"
    assert "`kontor dataplanes add`" in run("dataplanes", "list", *options).err


def test_what_is_not_whole_is_refused_with_its_mend(run: Run, space: Space, tmp_path: Path) -> None:
    options = space.provider.options
    keyless = run("dataplanes", "add", "dp-2", "http://127.0.0.1:9", "--profile", "Tape-PULL", *options)
    assert (keyless.code, "no keys are registered" in keyless.err) == (1, True)
    sideways = run("dataplanes", "add", "dp-2", "http://127.0.0.1:9", "--profile", "Tape", "--unverified", *options)
    assert (sideways.code, "which way" in sideways.err) == (1, True)
    assert run("dataplanes", "remove", "dp-2", *options).code == 1
    missing = run(
        "dataplanes", "add", "dp-2", "http://127.0.0.1:9", "--profile", "T-PULL", "--secret-file", tmp_path / "no", *options
    )
    assert missing.code == 1
