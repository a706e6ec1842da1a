"""Where the files that ship with the product stand: the policy library, the vocabularies, the sample data set.

In a wheel they lie inside the package (`connector/_packaged/...`); in a checkout and in an editable install they lie
beside it (`policies/`, `vocab/`, `deploy/sample/`). Whoever needs one asks here by name and gets a path.
Reading and understanding the files is the business of the rooms that ask. Files that an operator writes have no place here.
"""

from __future__ import annotations

import re
from pathlib import Path

from connector.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "_packaged"
# the folders of a checkout, by the names they bear in a wheel
_CHECKOUT = {"policies": "policies", "vocab": "vocab", "sample": "deploy/sample"}
# one path segment: starts with a letter or digit, so neither `..` nor a hidden or absolute path can be spelled
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def vocab_file(name: str) -> Path:
    """The file `name` of the vocabularies, such as `dsp/context.jsonld`.

    Raises: ConfigurationError when there is no such file in this installation, or `name` is not a plain relative path.
    """
    return _file("vocab", name)


def policy_file(name: str) -> Path:
    """The policy `name` of the library: a name from `policy_names()`, or a file's name with its suffix.

    Raises: ConfigurationError when there is no such policy; the mend lists those there are.
    """
    if name in policy_names():
        return _file("policies", f"{name}.yaml")
    return _file("policies", name)


def policy_names() -> tuple[str, ...]:
    """The names of the policies in the library, sorted: `a` for `a.yaml`. Case files (`a.cases.yaml`, `cases/`) and trust
    frameworks (`trust/`) are not policies."""
    root = folder("policies")
    names = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))
    return tuple(sorted(name for name in names if not name.endswith(".cases") and not name.startswith(("cases/", "trust/"))))


def sample_file(name: str) -> Path:
    """The file `name` of the sample data set, such as `weather.csv`.

    Raises: ConfigurationError when there is no such file in this installation, or `name` is not a plain relative path.
    """
    return _file("sample", name)


def folder(kind: str) -> Path:
    """The folder of one kind of shipped files: `policies`, `vocab` or `sample`.

    Raises: ConfigurationError when the installation lacks it.
    """
    # the wheel's folder first: a package that carries its files never looks at what happens to lie beside it
    for place in (_SHIPPED / kind, _PACKAGE.parent / _CHECKOUT[kind]):
        if place.is_dir():
            return place
    raise ConfigurationError(
        f"this installation has no `{kind}` files",
        where=str(_SHIPPED / kind),
        mend="install the wheel again, or run from a whole checkout",
    )


def _file(kind: str, name: str) -> Path:
    root = folder(kind)
    if not all(_SEGMENT.fullmatch(part) for part in name.split("/")):
        raise ConfigurationError(
            f"`{name}` is not the name of a shipped file",
            where=kind,
            mend="give a relative path of letters, digits, `.`, `_`, `+`, `-`, such as `dsp/context.jsonld`",
        )
    path = root / name
    # a link that leads out of the folder is not a shipped file
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        raise ConfigurationError(f"no shipped file `{name}`", where=kind, mend=f"known here: {_listed(root)}")
    return path


def _listed(root: Path, most: int = 8) -> str:
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    shown = ", ".join(f"`{name}`" for name in names[:most]) or "nothing"
    return f"{shown} ({len(names) - most} more)" if len(names) > most else shown
