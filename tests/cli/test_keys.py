"""`kontor keys`: made, listed, used and revoked by command."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run, Space


def test_a_key_is_made_used_and_revoked(run: Run, space: Space, tmp_path: Path) -> None:
    config = space.provider.config
    made = run("keys", "create", "ci", "--role", "read", "--for", "provider", "--config", config, "--json").tree
    key_file = tmp_path / "ci.key"
    key_file.write_text(made["key"])
    listed = {key["name"]: key for key in run("keys", "list", "--config", config, "--json").tree}
    assert (listed["ci"]["role"], listed["ci"]["created_by"]) == ("read", "operator")
    assert made["key"] not in run("keys", "list", "--config", config).out
    # it looks and does not act
    assert run("catalog", "--config", config, "--participant", "provider", "--api-key-file", key_file).code == 0
    refused = run("keys", "list", "--config", config, "--api-key-file", key_file)
    assert (refused.code, "has not the role `admin`" in refused.err) == (1, True)
    assert run("keys", "revoke", "ci", "--config", config).out == "key `ci` is good for nothing any more\n"
    assert "no valid API key" in run("catalog", "--config", config, "--participant", "provider", "--api-key-file", key_file).err
