"""`kontor backup`, `restore`, `export`, `import`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run


def test_a_store_goes_to_a_file_and_into_a_new_store(run: Run, tmp_path: Path) -> None:
    for name in ("old", "new", "newer"):
        assert run("init", "acme", "--unsafe-local", "--folder", tmp_path / name).code == 0
    old, new, newer = (("--config", tmp_path / name / "kontor.toml") for name in ("old", "new", "newer"))
    file = tmp_path / "kontor.archive"
    missing = run("backup", file, *old)
    assert missing.code == 1
    assert "there is no store yet" in missing.err
    run("migrate", *old)
    made = run("backup", file, *old, "--json").tree
    assert made["rows"]["process"] == 0
    assert len(made["left_out"]) == 2
    again = run("backup", file, *old)
    assert again.code == 1
    assert "there is such a file already" in again.err
    left = tmp_path / "kontor.archive.a1b2c3d4.part"
    left.touch(0o600)
    assert f"had left: `{left}` (0.0 MiB)" in run("backup", tmp_path / "c.archive", *old).err
    assert not left.exists()
    restored = run("restore", file, *new)
    assert restored.code == 0
    assert "each compared with the file" in restored.out
    assert "not in it: what happened after 20" in restored.err
    told = run("export", tmp_path / "b.archive", *new)
    assert told.code == 0
    assert "not in it: the key" in told.err
    assert "not in it: data that pushes brought" in told.err
    assert run("import", tmp_path / "b.archive", *newer).code == 0


def test_the_key_goes_along_under_a_passphrase_and_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    for name in ("old", "new", "other"):
        assert run("init", "acme", "--unsafe-local", "--folder", tmp_path / name).code == 0
    old, new, other = (("--config", tmp_path / name / "kontor.toml") for name in ("old", "new", "other"))
    good, bad, short = (tmp_path / name for name in ("good", "bad", "short"))
    good.write_text("correct horse battery staple")
    bad.write_text("correct horse battery stable")
    short.write_text("horse")
    file = tmp_path / "kontor.archive"
    run("migrate", *old)
    keys = {name: tmp_path / name / "data" / "secrets.key" for name in ("old", "new", "other")}
    assert run("backup", file, *old, "--passphrase-file", short).code == 1
    made = run("backup", file, *old, "--passphrase-file", good)
    assert made.code == 0
    assert "not in it: the key" not in made.err
    keys["new"].unlink(missing_ok=True)
    refused = run("restore", file, *new, "--passphrase-file", bad)
    assert refused.code == 1
    assert "does not open" in refused.err
    assert run("restore", file, *new, "--passphrase-file", good).code == 0
    assert keys["new"].read_text() == keys["old"].read_text()
    keys["other"].parent.mkdir(parents=True, exist_ok=True)
    keys["other"].write_text("A" * 43 + "=\n")
    different = run("restore", file, *other, "--passphrase-file", good)
    assert different.code == 1
    assert "another key" in different.err
    plain = tmp_path / "plain.archive"
    assert run("backup", plain, *old).code == 0
    assert "holds no key" in run("restore", plain, *other, "--passphrase-file", good).err
