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
    assert run("backup", file, *old, "--json").tree["rows"]["process"] == 0
    again = run("backup", file, *old)
    assert again.code == 1
    assert "there is such a file already" in again.err
    restored = run("restore", file, *new)
    assert restored.code == 0
    assert "each compared with the file" in restored.out
    assert run("export", tmp_path / "b.archive", *new).code == 0
    assert run("import", tmp_path / "b.archive", *newer).code == 0
