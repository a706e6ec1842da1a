"""Importing the product is cheap: what is heavy is loaded by the function that needs it."""

from __future__ import annotations

import subprocess
import sys

from connector import __version__
from tests.house.tree import CONNECTOR, ROOT

HEAVY = ("pyld", "rdflib", "pyshacl", "authlib", "obstore", "aiohttp", "asyncpg", "nats", "opentelemetry")
_HAS_COMMAND = (CONNECTOR / "cli").is_dir() and (CONNECTOR / "cli" / "__init__.py").is_file()


def run(*arguments: str) -> str:
    """What a fresh Python in the checkout prints."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded(module: str) -> set[str]:
    """The heavy libraries that `import module` loads."""
    return set(run("-c", f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))").split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("connector") == set()


def test_importing_the_command_loads_nothing_heavy() -> None:
    assert loaded("connector.cli" if _HAS_COMMAND else "connector") == set()


def test_the_command_tells_its_version() -> None:
    arguments = ("-m", "connector.cli", "--version") if _HAS_COMMAND else ("-c", f"print('{__version__}')")
    assert __version__ in run(*arguments)
