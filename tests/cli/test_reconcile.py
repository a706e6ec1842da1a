"""`kontor reconcile`, and `kontor compact`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, Space


def test_processes_are_compared_with_the_peer_and_the_latest_comparison_is_shown_again(run: Run, space: Space) -> None:
    options = space.consumer.options
    found = run("reconcile", "--dry-run", "--peer", space.provider.id, *options, "--json")
    assert (found.tree["dry_run"], found.tree["is_done"], found.tree["waiting"]) == (True, True, [])
    assert found.tree["same"] + len(found.tree["findings"]) == sum(found.tree["peers"].values())
    last = run("reconcile", "--last", *options)
    assert "(dry run)" in last.out
    assert "alike; asked for" in last.out
    wrong = run("reconcile", "--last", "--dry-run", *options)
    assert wrong.code == 1
    assert "`--last` begins nothing" in wrong.err


def test_what_is_free_in_a_store_is_given_back(run: Run, tmp_path: Path) -> None:
    assert run("init", "acme", "--unsafe-local", "--folder", tmp_path).code == 0
    config = ("--config", tmp_path / "kontor.toml")
    missing = run("compact", *config)
    assert missing.code == 1
    assert "there is no store yet" in missing.err
    run("migrate", *config)
    (one,) = run("compact", *config, "--json").tree
    assert one["after_bytes"] == one["before_bytes"]
    assert "MiB before" in run("compact", *config).out
