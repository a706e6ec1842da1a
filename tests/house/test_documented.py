"""Whoever opens a file, a setting or an error is told what it is."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any, get_args

import pydantic

from connector import errors, settings
from tests.house.tree import CONNECTOR, ROOT, files, parsed

_LONGEST = 400
_LONGEST_TEST = 450


def _models(kind: Any) -> Iterator[type[pydantic.BaseModel]]:
    """The settings models inside a type such as `tuple[Rule, ...]`."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)


def _undescribed(model: type[pydantic.BaseModel], where: str) -> Iterator[str]:
    if not model.__dict__.get("__doc__"):
        yield f"{where or 'the file'}: `{model.__name__}` has no docstring"
    for name, field in model.model_fields.items():
        here = f"{where}.{name}" if where else name
        inner = list(_models(field.annotation))
        # a section is described by its own docstring
        if not field.description and not inner:
            yield f"{here}: no description"
        for part in inner:
            yield from _undescribed(part, here)


def test_every_setting_says_when_to_change_it() -> None:
    assert list(_undescribed(settings.Settings, "")) == []


def test_every_description_of_a_setting_is_one_line() -> None:
    seen: list[type[pydantic.BaseModel]] = [settings.Settings]
    for model in seen:
        for name, field in model.model_fields.items():
            assert "\n" not in (field.description or ""), f"{model.__name__}.{name}"
            seen += [part for part in _models(field.annotation) if part not in seen]


def test_every_error_says_what_it_means() -> None:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.KontorError)]
    assert len(found) > 10
    assert [kind.__name__ for kind in found if not kind.__dict__.get("__doc__")] == []
    assert [kind.__name__ for kind in found if not 400 <= kind.status <= 599 or not kind.code] == []


def test_every_file_begins_with_what_lives_in_it() -> None:
    found = (*files(CONNECTOR), *files(ROOT / "tests"))
    assert [str(path.relative_to(ROOT)) for path in found if not ast.get_docstring(parsed(path))] == []


def test_no_file_holds_two_ideas() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (*files(CONNECTOR), *files(ROOT / "tests"))}
    limits = {path: _LONGEST if path.is_relative_to(CONNECTOR) else _LONGEST_TEST for path in lengths}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > limits[path]} == {}
