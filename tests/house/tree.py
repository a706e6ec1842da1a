"""The source tree as data: which files there are, and what each imports, wherever in the file and for whatever reason.

Imports are read from the syntax tree, so those inside functions and under `if TYPE_CHECKING` count like any other,
and so does `import_module("...")` with a literal name.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONNECTOR = ROOT / "connector"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name."""

    module: str
    """As it is written: `connector.dsp`, `httpx`."""
    name: str | None
    """What is taken from it; None for `import module`."""
    line: int

    @property
    def whole(self) -> str:
        """Module and name as one dotted name."""
        return f"{self.module}.{self.name}" if self.name else self.module


@functools.cache
def files(folder: Path = CONNECTOR) -> tuple[Path, ...]:
    """The Python files below `folder`, sorted."""
    return tuple(
        sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts and "target" not in path.parts)
    )


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything in the syntax tree of a file."""
    return tuple(ast.walk(parsed(path)))


@functools.cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything that a file imports."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    for node in nodes(path):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield Import(module=alias.name, name=None, line=node.lineno)
            case ast.ImportFrom(level=0, module=str(module)):
                for alias in node.names:
                    yield Import(module=module, name=alias.name, line=node.lineno)
            case ast.ImportFrom():
                raise AssertionError(f"{path}:{node.lineno}: a relative import; write the whole name")
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield Import(module=module, name=None, line=node.lineno)


def module_name(path: Path, folder: Path = CONNECTOR) -> str:
    """The dotted name of a file below the package folder `folder`."""
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The room of a module of the package: the first name below it, empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def shown(path: Path, line: int) -> str:
    """Where something stands, to be clicked on."""
    place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"{place}:{line}"


@functools.cache
def committed() -> tuple[Path, ...]:
    """The files that belong to the project: what git keeps, or in an unpacked archive everything."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    return tuple(path for path in found if path.is_file())
