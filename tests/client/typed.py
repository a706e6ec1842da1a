"""Does a user's program that the README shows satisfy `mypy --strict`, with nothing but what is installed with the product?

    python -m tests.client.typed

The settings of this project are not a user's: without them nothing helps the type checker to understand the models.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.test_readme import ROOT, blocks


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="kontor-typed-") as folder:
        programs = []
        for number, body in enumerate(blocks("python")):
            programs.append(Path(folder) / f"program_{number}.py")
            programs[-1].write_text(body)
        if not programs:
            print("the README shows no program", file=sys.stderr)
            return 1
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache'}"]
        return subprocess.run([*command, *map(str, programs)], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
